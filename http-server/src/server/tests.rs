//! A server as its clients see it, on a loopback port and over a catalog of its own.

mod client;
mod door;
mod stopping;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use boathouse_catalog::Catalog;
use boathouse_catalog::crawler::{self, Stores};
use object_store::ObjectStore;
use object_store::path::Path;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use super::{HttpConfig, HttpError, HttpServer};
use crate::aws::{AwsError, Operations};
use client::{Answer, Client};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// Operations that do what tests need.
#[derive(Clone)]
struct Fake;

impl Operations for Fake {
    async fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        match operation {
            "Echo" => Ok(input),
            "Fail" => Err(AwsError::not_found("Table x not found.")),
            "Panic" => panic!("as asked"),
            "Wait" => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(json!({}))
            }
            "Hang" => pending().await,
            "Large" => Ok(json!({ "text": "x".repeat(64 << 20) })),
            other => Err(AwsError::unknown_operation(format!("{other} is not an operation"))),
        }
    }

    async fn reset(&self) -> Result<(), AwsError> {
        Ok(())
    }
}

/// Nowhere for crawlers to read from.
struct NoStores;

impl Stores for NoStores {
    fn open(&self, url: &Url) -> crawler::Result<(Arc<dyn ObjectStore>, Path)> {
        Err(crawler::Error::Invalid(format!("there is no store of {url}")))
    }
}

/// A server that runs; it is told to stop by [`Running::stop`].
struct Running {
    _folder: TempDir,
    catalog: Catalog,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    async fn start(config: HttpConfig) -> Self {
        let (folder, catalog) = catalog().await;
        let server = HttpServer::bind_to(Fake, catalog.clone(), config).await.unwrap();
        Self::serve(folder, catalog, server)
    }

    fn serve(folder: TempDir, catalog: Catalog, server: HttpServer) -> Self {
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.serve(async {
            let _ = stopped.await;
        }));
        Self { _folder: folder, catalog, address, stop, serving }
    }

    async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// The answer to one call, on a connection of its own.
    async fn call(&self, target: &str, body: &str) -> Answer {
        self.connect().await.call(target, body).await
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        timeout(LONG, self.serving).await.unwrap().unwrap();
    }
}

async fn catalog() -> (TempDir, Catalog) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let catalog = Catalog::open(path.to_str().unwrap()).await.unwrap();
    (folder, catalog)
}

fn any_port() -> HttpConfig {
    HttpConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..HttpConfig::default() }
}

async fn refusal(config: HttpConfig) -> HttpError {
    let (_folder, catalog) = catalog().await;
    let Err(error) = HttpServer::bind_to(Fake, catalog, config).await else {
        panic!("it was bound")
    };
    error
}

#[tokio::test]
async fn an_address_that_others_reach_must_be_asked_for() {
    let listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let config = HttpConfig { listen, ..any_port() };
    let error = refusal(config.clone()).await;
    assert!(matches!(error, HttpError::NotLoopback(_)), "{error}");
    assert!(error.to_string().contains("\nHint: "), "{error}");
    let error = refusal(HttpConfig { allow_remote: true, test_reset: true, ..config }).await;
    assert!(matches!(error, HttpError::ResetNotLoopback(_)), "{error}");
}

#[tokio::test]
async fn an_address_that_others_reach_wants_signatures() {
    let listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let config = HttpConfig { listen, allow_remote: true, ..any_port() };
    let mut server = Running::start(config).await;
    server.address.set_ip([127, 0, 0, 1].into());
    let answer = server.call("AWSGlue.Echo", "{}").await;
    assert_eq!(answer.error(), "MissingAuthenticationTokenException");
    server.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = Running::start(any_port()).await;
    let error = refusal(HttpConfig { listen: server.address, ..any_port() }).await;
    assert!(matches!(error, HttpError::AddressInUse(address) if address == server.address));
    server.stop().await;
}

#[tokio::test]
async fn glue_is_behind_the_door() {
    let (folder, catalog) = catalog().await;
    let server = HttpServer::bind(catalog.clone(), Arc::new(NoStores), any_port()).await.unwrap();
    let server = Running::serve(folder, catalog, server);
    let answer = server.call("AWSGlue.NoSuchOperation", "{}").await;
    assert_eq!((answer.status, answer.error()), (400, "UnknownOperationException".to_owned()));
    server.stop().await;
}
