//! The catalog itself.

mod changes;
mod commit;
mod databases;
mod documents;
mod edits;
mod federation;
mod lookup;
mod rows;
mod tables;
mod updates;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::FutureExt;

use crate::store::Store;
use crate::{Error, Result, Table, TableName};
use federation::{Federation, Pin, is_federated};

pub use changes::Change;
pub use edits::PartitionEdit;
pub use federation::Federated;
pub use lookup::{PageRequest, PartitionCursor, PartitionPage};
pub use updates::Archive;

/// What became of a compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a conflict means that nothing was done"]
pub enum Update<T> {
    /// It was done.
    Done(T),
    /// The table has changed since it was read; nothing was done.
    Conflict {
        /// The version it was based on; the data version if only that has changed.
        expected: u64,
        /// The one that is stored; 0 if the name is another table's now.
        found: u64,
    },
}

impl<T> Update<T> {
    /// What was done, as something else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Update<U> {
        match self {
            Self::Done(done) => Update::Done(change(done)),
            Self::Conflict { expected, found } => Update::Conflict { expected, found },
        }
    }
}

/// The catalog of a lake, in a SQLite file or a PostgreSQL database, or kept by another server. It
/// is cheap to clone.
///
/// Several processes may have the same catalog open. Names are looked up in any case.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) store: Store,
    /// The server that keeps it; the store is a mirror then.
    federation: Option<Arc<Federation>>,
}

impl Catalog {
    /// Opens the catalog at `url`: `postgres://…`, `sqlite:PATH` or a plain path of a SQLite file.
    ///
    /// A file and its folder are made where there are none; in PostgreSQL the database must exist,
    /// and the catalog goes to the first schema of the search path. The schema is brought up to
    /// date, and database [`crate::DEFAULT_DATABASE`] is there from the start.
    pub async fn open(url: &str) -> Result<Self> {
        if is_federated(url) {
            return Err(Error::Invalid(
                "a federated catalog is not opened by its URL alone".to_owned(),
            ));
        }
        Ok(Self { store: Store::open(url).await?, federation: None })
    }

    async fn pin_databases(&self) -> Result<Option<Pin>> {
        let Some(federation) = &self.federation else { return Ok(None) };
        federation.pin_databases().boxed().await.map(Some)
    }

    async fn pin_database(&self, name: &str) -> Result<Option<Pin>> {
        let Some(federation) = &self.federation else { return Ok(None) };
        federation.pin_database(name).boxed().await.map(Some)
    }

    /// Of one database, or of all.
    async fn pin_listing(&self, database: Option<&str>) -> Result<Option<Pin>> {
        let Some(federation) = &self.federation else { return Ok(None) };
        match database {
            Some(database) => federation.pin_listing(database).boxed().await.map(Some),
            None => federation.pin_all().boxed().await.map(Some),
        }
    }

    async fn pin_table(&self, name: &TableName) -> Result<Option<Pin>> {
        let Some(federation) = &self.federation else { return Ok(None) };
        federation.pin_table(name).boxed().await.map(Some)
    }

    async fn pin_partitions(&self, table: &Table) -> Result<Option<Pin>> {
        let Some(federation) = &self.federation else { return Ok(None) };
        federation.pin_partitions(table).boxed().await.map(Some)
    }

    /// Fails in a federated catalog, where `what` cannot be had.
    fn must_be_own(&self, what: &str) -> Result<()> {
        self.federation.as_ref().map_or(Ok(()), |federation| Err(federation.refusal(what)))
    }

    /// Closes its connections, and with them every clone.
    pub async fn close(self) {
        self.store.close().await;
    }
}

/// The time in milliseconds since 1970 (UTC).
pub(crate) fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
