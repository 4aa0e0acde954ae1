//! The connections that clients open on a listener, each with a limit to how long it may idle.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Sleep, sleep, timeout};

use crate::metrics::{Metrics, Open};

/// How long dropped requests get to wind up.
const WIND_UP: Duration = Duration::from_secs(2);
/// How long the server waits when the system has no more sockets.
const RETRY: Duration = Duration::from_millis(50);

/// How long a connection may keep the server waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the head of a request, the first byte included: idle connections end with it too.
    pub(super) head: Duration,
    /// For a client that takes nothing of its answer.
    pub(super) stalled: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), stalled: Duration::from_secs(60) }
    }
}

/// The open connections.
pub(super) struct Connections {
    routes: Router,
    metrics: Arc<Metrics>,
    places: Arc<Semaphore>,
    protocol: http1::Builder,
    patience: Patience,
    shutdown: GracefulShutdown,
    tasks: JoinSet<()>,
}

/// A client's connection, and its place among them.
struct Connection {
    stream: TcpStream,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
    _open: Open,
}

impl Connections {
    /// At most `max` at a time; one more is closed at once.
    pub(super) fn new(
        routes: Router,
        metrics: Arc<Metrics>,
        max: usize,
        patience: Patience,
    ) -> Self {
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new()).header_read_timeout(patience.head);
        Self {
            routes,
            metrics,
            places: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            protocol,
            patience,
            shutdown: GracefulShutdown::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Starts to serve a connection, if one was accepted.
    pub(super) async fn welcome(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, peer)) => self.serve(stream, peer),
            Err(error) => {
                tracing::warn!("could not accept a connection: {error}");
                sleep(RETRY).await;
            }
        }
    }

    /// Forgets connections that ended. It never ends while there are none.
    pub(super) async fn reap(&mut self) {
        match self.tasks.join_next().await {
            Some(ended) => report(ended),
            None => std::future::pending().await,
        }
    }

    /// Ends all connections: idle ones at once, others when they are answered or `grace` is over.
    pub(super) async fn finish(self, grace: Duration) {
        let Self { shutdown, mut tasks, .. } = self;
        if timeout(grace, shutdown.shutdown()).await.is_err() {
            tracing::info!("dropping the HTTP requests that still run");
        }
        let _ = timeout(WIND_UP, tasks.shutdown()).await;
    }

    fn serve(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Some(connection) = self.connection(stream) else {
            self.metrics.refused_connection();
            tracing::warn!("refused a connection from {peer}: the limit of connections is reached");
            return;
        };
        let service = TowerToHyperService::new(self.routes.clone());
        let serving = self.protocol.serve_connection(TokioIo::new(connection), service);
        let serving = self.shutdown.watch(serving);
        self.tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!("the connection from {peer} ended: {error}");
            }
        });
    }

    fn connection(&self, stream: TcpStream) -> Option<Connection> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("could not set TCP_NODELAY: {error}");
        }
        let patience = self.patience.stalled;
        let open = self.metrics.connected();
        Some(Connection { stream, patience, stalled: None, _place: place, _open: open })
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!("an HTTP connection failed: {error}");
    }
}

impl Connection {
    /// `written`, or an error if the client has taken nothing for too long.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unless_stalled(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.unless_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
