//! The listener: binds, serves, and stops in good order.

mod connections;
mod routes;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use boathouse_catalog::Catalog;
use boathouse_catalog::crawler::Stores;
use tokio::net::TcpListener;

use crate::aws::{Door, DoorConfig, Operations};
use crate::crawls::Crawls;
use crate::glue::Glue;
use crate::metrics::Metrics;
use connections::{Connections, Patience};

/// What a server runs with.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The address of the endpoint; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Whether `listen` may be reachable from other machines.
    pub allow_remote: bool,
    /// Whether requests must be signed with an access key of the catalog. They always must if
    /// `listen` is reachable from other machines.
    pub require_signature: bool,
    /// Connections at a time. One more is closed at once.
    pub max_connections: usize,
    /// Bytes of one request's body.
    pub max_request_bytes: usize,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long requests may go on when the server stops.
    pub shutdown_grace: Duration,
    /// Whether `POST /moto-api/reset` empties the catalog, as test suites expect. Never allowed
    /// if `listen` is reachable from other machines.
    pub test_reset: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8816)),
            allow_remote: false,
            require_signature: false,
            max_connections: 1000,
            max_request_bytes: 16 << 20,
            request_timeout: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(30),
            test_reset: false,
        }
    }
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Whoever can reach the address and has an access key can change the lake: ask the user first.
    #[error(
        "{0} can be reached from other machines\n\
         Hint: Listen on 127.0.0.1, or set `allow_remote = true`; requests must then be signed \
         with an access key."
    )]
    NotLoopback(SocketAddr),
    /// Whoever can reach the address could empty the catalog.
    #[error(
        "{0} can be reached from other machines, which must not reset the catalog\n\
         Hint: Listen on 127.0.0.1, or leave `test_reset` off."
    )]
    ResetNotLoopback(SocketAddr),
    /// Another process listens there: choose another port.
    #[error(
        "{0} is in use by another process\n\
         Hint: Stop that process, or choose another port; port 0 takes any free one."
    )]
    AddressInUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("could not listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// An HTTP server that is bound to its address.
///
/// Clients that connect before [`HttpServer::serve`] runs wait for it.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    routes: Router,
    metrics: Arc<Metrics>,
    config: HttpConfig,
    /// What runs crawlers, also when their time has come.
    crawls: Option<Crawls>,
}

impl HttpServer {
    /// Takes the address that `config` names, for clients of `catalog`, whose crawlers read from
    /// `stores`.
    pub async fn bind(
        catalog: Catalog,
        stores: Arc<dyn Stores>,
        config: HttpConfig,
    ) -> Result<Self, HttpError> {
        let crawls = Crawls::new(catalog.clone(), stores);
        let glue = Glue::new(catalog.clone(), crawls.clone());
        let server = Self::bind_to(glue, catalog, config).await?;
        Ok(Self { crawls: Some(crawls), ..server })
    }

    async fn bind_to(
        operations: impl Operations,
        catalog: Catalog,
        config: HttpConfig,
    ) -> Result<Self, HttpError> {
        let (listener, address) = listen(&config).await?;
        let metrics = Arc::new(Metrics::new());
        let limits = door_config(&config);
        let door = Door::new(operations, catalog.clone(), Arc::clone(&metrics), limits);
        let routes = routes::router(door, catalog, Arc::clone(&metrics), config.test_reset);
        Ok(Self { listener, address, routes, metrics, config, crawls: None })
    }

    /// The address that clients connect to, with the port that was chosen for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves.
    ///
    /// Then no connection is accepted any more, those without a request are closed, and requests
    /// have [`HttpConfig::shutdown_grace`] to finish before they are dropped.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, routes, metrics, config, crawls, .. } = self;
        let schedules = async {
            match &crawls {
                Some(crawls) => crawls.keep_schedules().await,
                None => std::future::pending().await,
            }
        };
        let mut schedules = pin!(schedules);
        let places = config.max_connections;
        let mut connections = Connections::new(routes, metrics, places, Patience::default());
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = listener.accept() => connections.welcome(accepted).await,
                () = connections.reap() => {}
                () = &mut schedules => {}
            }
        }
        drop(listener);
        if let Some(crawls) = &crawls {
            crawls.stop_all();
        }
        connections.finish(config.shutdown_grace).await;
    }
}

fn door_config(config: &HttpConfig) -> DoorConfig {
    DoorConfig {
        require_signature: config.require_signature || !config.listen.ip().is_loopback(),
        max_request_bytes: config.max_request_bytes,
        request_timeout: config.request_timeout,
    }
}

async fn listen(config: &HttpConfig) -> Result<(TcpListener, SocketAddr), HttpError> {
    let address = config.listen;
    if !address.ip().is_loopback() {
        check_remote(config)?;
    }
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => HttpError::AddressInUse(address),
        _ => HttpError::Bind { address, source },
    })
}

fn check_remote(config: &HttpConfig) -> Result<(), HttpError> {
    if !config.allow_remote {
        return Err(HttpError::NotLoopback(config.listen));
    }
    if config.test_reset {
        return Err(HttpError::ResetNotLoopback(config.listen));
    }
    Ok(())
}
