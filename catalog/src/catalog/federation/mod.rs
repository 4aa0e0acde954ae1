//! A catalog that another server keeps, behind AWS Glue's API.
//!
//! ```text
//! read:   is the mirror's copy fresh? else ask the remote, put it into the mirror -> read that
//! change: ask the remote, compare-and-set where it can -> ask what became of it -> put that too
//! ```
//!
//! The mirror is a SQLite store of this process with the tables of any catalog. A table in it has
//! an id and versions of its own, which change when the remote's record or partitions do and
//! at no other time. So whoever holds a [`Table`] sees one state of it, as with any catalog.
//!
//! - A table's *turn* lets one caller at a time ask for it or change it: an old answer never comes
//!   after a newer one. A database's turn is for listing its tables.
//! - A *pin* keeps what a caller has just made fresh in the mirror until it is read.

mod calls;
mod client;
mod endpoint;
mod fault;
mod memory;
mod mirror;
mod partitions;
mod reads;
mod tables;
mod turns;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::aws::AwsCredentialProvider;
use object_store::client::HttpConnector;
use tempfile::TempDir;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::Catalog;
use crate::store::Store;
use crate::{Error, Result};
use calls::Calls;
use client::Client;
use endpoint::Endpoint;
pub(crate) use endpoint::is_federated;
use memory::{Limits, Memory};
use mirror::Mirror;
use turns::Turns;

/// Tables and partitions of them that the mirror has at a time; beyond, those that were used
/// least recently leave it. One listing, and the partitions of one table, may be as many.
const TABLES_MAX: usize = 10_000;
const PARTITIONS_MAX: usize = 1_000_000;

/// How a catalog that another server keeps is reached.
#[derive(Clone, Debug)]
pub struct Federated {
    /// `glue:https://HOST/…`, `glue:http://127.0.0.1:PORT`, or `glue:aws` for AWS's own.
    pub url: String,
    /// The region that requests are signed for.
    pub region: String,
    /// Whether other computers may be asked without TLS.
    pub allow_http: bool,
    /// What requests are signed with; `None` leaves them unsigned.
    pub credentials: Option<AwsCredentialProvider>,
    /// What makes the connections.
    pub connector: Arc<dyn HttpConnector>,
    /// How long an answer counts before it is asked for again.
    pub fresh_for: Duration,
    /// Tables that are kept at a time; `None` is the usual limit.
    pub tables_max: Option<usize>,
}

/// Keeps what is in the mirror there while it is held.
pub(crate) type Pin = OwnedRwLockReadGuard<()>;

/// A remote catalog with its mirror.
#[derive(Debug)]
pub(crate) struct Federation {
    calls: Calls,
    mirror: Mirror,
    memory: Mutex<Memory>,
    turns: Turns,
    pins: Arc<RwLock<()>>,
    partitions_max: usize,
    _folder: TempDir,
}

impl Federation {
    async fn new(config: &Federated) -> Result<Self> {
        let endpoint = Endpoint::parse(&config.url, &config.region, config.allow_http)?;
        let name = endpoint.name.clone();
        let client = Client::new(endpoint, &*config.connector, config.credentials.clone())?;
        let folder = tempfile::Builder::new().prefix("boathouse-mirror-").tempdir();
        let folder = folder.map_err(|source| Error::Unavailable {
            attempt: format!("make a folder for what is known of catalog \"{name}\""),
            source: Arc::new(source),
        })?;
        let store = Store::temporary(&folder.path().join("mirror.db"), &name).await?;
        let limits = Limits {
            fresh_for: config.fresh_for,
            tables: config.tables_max.unwrap_or(TABLES_MAX),
            partitions: PARTITIONS_MAX as u64,
        };
        Ok(Self {
            calls: Calls(client),
            mirror: Mirror { store },
            memory: Mutex::new(Memory::new(limits)),
            turns: Turns::default(),
            pins: Arc::default(),
            partitions_max: PARTITIONS_MAX,
            _folder: folder,
        })
    }

    /// The error for what no remote catalog can do.
    pub(crate) fn refusal(&self, what: &str) -> Error {
        Error::NotFederated { what: what.to_owned(), url: self.calls.name().to_owned() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Each change is whole, so a panic elsewhere leaves nothing half done.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Catalog {
    /// Opens a catalog that another server keeps. Nothing is asked of it yet.
    ///
    /// It has databases, tables, versions and partitions, and no documents: reading one finds
    /// nothing, and making one is [`Error::NotFederated`].
    pub async fn federate(config: &Federated) -> Result<Self> {
        let federation = Federation::new(config).await?;
        let store = federation.mirror.store.clone();
        Ok(Self { store, federation: Some(Arc::new(federation)) })
    }

    /// Whether `url` names a catalog for [`Catalog::federate`].
    pub fn is_federated_url(url: &str) -> bool {
        is_federated(url)
    }

    /// Whether another server keeps it: then it has no files of partitions.
    pub fn is_federated(&self) -> bool {
        self.federation.is_some()
    }

    /// How many requests a federated catalog has made; `None` if it is none.
    pub fn remote_requests(&self) -> Option<u64> {
        self.federation.as_ref().map(|federation| federation.calls.0.requests())
    }
}
