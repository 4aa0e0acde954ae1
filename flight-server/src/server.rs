//! The listener: binds, serves, and stops in good order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use boathouse_engine::Engine;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{interval, timeout};
use tonic::transport::Server;

use crate::connection::Incoming;
use crate::door::Door;
use crate::framing::Framing;
use crate::service::{Metadata, Service};
use crate::session::{SessionLimits, Sessions};
use crate::sql_info::Limits;

/// How long cancelled queries and their connections get to wind up.
const WIND_UP: Duration = Duration::from_secs(2);
/// How often expired tickets and sessions are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// Bytes in flight that a client may send before it waits.
const WINDOW: u32 = 4 << 20;
/// Bytes of one HTTP/2 frame that a client may send.
const FRAME: u32 = 1 << 20;
/// Calls at a time on one connection.
const STREAMS: u32 = 256;

/// What a server runs with.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address of the endpoint; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Whether `listen` may be reachable from other machines.
    pub allow_remote: bool,
    /// Connections at a time. One more is closed at once.
    pub max_connections: usize,
    /// Sessions at a time. One more ends the one that was idle longest.
    pub max_sessions: usize,
    /// A session that no call names for this long ends.
    pub session_idle_timeout: Duration,
    /// Tickets that one session holds at a time.
    pub max_tickets: usize,
    /// How long a ticket may be fetched after it was issued or last used.
    pub ticket_lifetime: Duration,
    /// Prepared statements that one session holds at a time.
    pub max_prepared_statements: usize,
    /// Bytes of one request, or of one message of an upload.
    pub max_request_bytes: usize,
    /// Bytes of one message of a result. gRPC clients accept 4 MiB unless told otherwise.
    pub message_bytes: usize,
    /// How long running queries may go on when the server stops.
    pub shutdown_grace: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8815)),
            allow_remote: false,
            max_connections: 1000,
            max_sessions: 1000,
            session_idle_timeout: Duration::from_secs(30 * 60),
            max_tickets: 256,
            ticket_lifetime: Duration::from_secs(10 * 60),
            max_prepared_statements: 256,
            max_request_bytes: 64 << 20,
            message_bytes: 2_000_000,
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Whoever can reach the address can read and change the lake: ask the user first.
    #[error(
        "{0} can be reached from other machines, and there is no access control yet\n\
         Hint: Listen on 127.0.0.1, or set `allow_remote = true` if the network is trusted."
    )]
    NotLoopback(SocketAddr),
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
    /// The server cannot go on.
    #[error("the Flight SQL server failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A Flight SQL server that is bound to its address.
///
/// Clients that connect before [`FlightServer::serve`] runs wait for it.
pub struct FlightServer {
    listener: TcpListener,
    address: SocketAddr,
    sessions: Arc<Sessions>,
    door: Door,
    config: ServerConfig,
}

impl FlightServer {
    /// Takes the address that `config` names.
    pub async fn bind(engine: Engine, config: ServerConfig) -> Result<Self, ServerError> {
        let (listener, address) = listen(&config).await?;
        let sessions = Arc::new(Sessions::new(engine, session_limits(&config)));
        let metadata = Metadata::new(&limits(&config));
        let service = Service {
            sessions: Arc::clone(&sessions),
            metadata: metadata.map_err(|error| ServerError::Failed(Box::new(error)))?,
            message_bytes: config.message_bytes,
        };
        Ok(Self { listener, address, sessions, door: Door::new(service), config })
    }

    /// The address that clients connect to, with the port that was chosen for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves.
    ///
    /// Then new calls are refused with `UNAVAILABLE`, and running queries have
    /// [`ServerConfig::shutdown_grace`] to finish before they are cancelled.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { listener, sessions, door, config, .. } = self;
        let incoming = Incoming::new(listener, Arc::clone(&sessions), config.max_connections);
        let service = FlightServiceServer::new(door)
            .max_decoding_message_size(config.max_request_bytes)
            .max_encoding_message_size(usize::MAX);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let serving = transport().serve_with_incoming_shutdown(Framing(service), incoming, stopped);
        let mut serving = std::pin::pin!(serving);
        let outcome = tokio::select! {
            outcome = &mut serving => return failed(outcome),
            () = sweep(&sessions) => Ok(()),
            () = shutdown => Ok(()),
        };
        sessions.drain();
        let _ = stop.send(());
        if timeout(config.shutdown_grace, &mut serving).await.is_err() {
            tracing::info!("cancelling the queries that still run");
            sessions.end_all();
            let _ = timeout(WIND_UP, &mut serving).await;
        }
        sessions.end_all();
        outcome
    }
}

async fn listen(config: &ServerConfig) -> Result<(TcpListener, SocketAddr), ServerError> {
    let address = config.listen;
    if !config.allow_remote && !address.ip().is_loopback() {
        return Err(ServerError::NotLoopback(address));
    }
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ServerError::AddressInUse(address),
        _ => ServerError::Bind { address, source },
    })
}

fn transport() -> Server {
    Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(60)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
}

fn failed(outcome: Result<(), tonic::transport::Error>) -> Result<(), ServerError> {
    outcome.map_err(|error| ServerError::Failed(Box::new(error)))
}

async fn sweep(sessions: &Sessions) {
    let mut ticks = interval(SWEEP);
    loop {
        ticks.tick().await;
        sessions.sweep();
    }
}

fn session_limits(config: &ServerConfig) -> SessionLimits {
    SessionLimits {
        sessions: config.max_sessions,
        idle_timeout: config.session_idle_timeout,
        tickets: config.max_tickets,
        ticket_lifetime: config.ticket_lifetime,
        prepared: config.max_prepared_statements,
    }
}

fn limits(config: &ServerConfig) -> Limits {
    let idle = config.session_idle_timeout.as_millis();
    Limits {
        connections: config.max_connections,
        prepared: config.max_prepared_statements,
        prepared_milliseconds: i32::try_from(idle).unwrap_or(i32::MAX),
        request_bytes: config.max_request_bytes,
    }
}
