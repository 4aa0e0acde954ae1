//! `boathouse serve`: the doors of the lake to other processes.

use std::time::Duration;

use boathouse_engine::Engine;
use boathouse_flight_server::{FlightServer, ServerConfig, ServerError};
use boathouse_http_server::{HttpConfig, HttpServer};

use crate::config::{Config, Flight, Http};
use crate::failure::{Failure, Result};

/// Serves the lake until Ctrl-C.
pub(crate) async fn serve(config: &Config, test_reset: bool) -> Result<()> {
    let engine = Engine::open(config.engine()?).await?;
    let result = async {
        let flight = bind(&engine, &config.flight).await?;
        let http = bind_http(&engine, &config.http, test_reset).await?;
        anstream::eprintln!(
            "Serving Arrow Flight SQL on grpc://{} and AWS Glue's API on http://{}. Ctrl-C stops.",
            flight.local_addr(),
            http.local_addr()
        );
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let http = tokio::spawn(http.serve(async { drop(stopped.await) }));
        let result = until_stopped(flight).await;
        drop(stop);
        match http.await {
            Ok(()) => result,
            Err(fault) => Err(Failure::Failed(format!("the HTTP server failed: {fault}"))),
        }
    };
    let result = result.await;
    engine.close().await;
    result
}

/// The Flight SQL endpoint, which has its address and does not answer yet.
pub(crate) async fn bind(engine: &Engine, flight: &Flight) -> Result<FlightServer> {
    let config = ServerConfig {
        listen: flight.listen,
        allow_remote: flight.allow_remote,
        max_connections: flight.max_connections,
        max_sessions: flight.max_sessions,
        session_idle_timeout: Duration::from_secs(flight.session_idle_seconds),
        max_tickets: flight.max_tickets,
        ticket_lifetime: Duration::from_secs(flight.ticket_lifetime_seconds),
        max_prepared_statements: flight.max_prepared_statements,
        max_request_bytes: flight.max_request_bytes,
        message_bytes: flight.message_bytes,
        shutdown_grace: Duration::from_secs(flight.shutdown_grace_seconds),
    };
    Ok(FlightServer::bind(engine.clone(), config).await?)
}

async fn bind_http(engine: &Engine, http: &Http, test_reset: bool) -> Result<HttpServer> {
    let config = HttpConfig {
        listen: http.listen,
        allow_remote: http.allow_remote,
        require_signature: http.require_signature,
        max_connections: http.max_connections,
        max_request_bytes: http.max_request_bytes,
        request_timeout: Duration::from_secs(http.request_timeout_seconds),
        shutdown_grace: Duration::from_secs(http.shutdown_grace_seconds),
        test_reset,
    };
    let (catalog, stores) = (engine.catalog().clone(), engine.stores());
    HttpServer::bind(catalog, stores, config)
        .await
        .map_err(|error| Failure::Failed(error.to_string()))
}

/// Answers until Ctrl-C or SIGTERM. Then running queries may finish, until the next Ctrl-C.
pub(crate) async fn until_stopped(server: FlightServer) -> Result<()> {
    let shutdown = async {
        stop_signal().await;
        anstream::eprintln!("Stopping when the running queries are done. Ctrl-C stops at once.");
    };
    let mut serving = std::pin::pin!(server.serve(shutdown));
    tokio::select! {
        result = &mut serving => Ok(result?),
        () = async { stop_signal().await; stop_signal().await } => Ok(()),
    }
}

/// Resolves when somebody wants the process to stop.
async fn stop_signal() {
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::Failed(error.to_string())
    }
}
