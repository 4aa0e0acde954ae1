//! The catalog itself.

mod changes;
mod commit;
mod databases;
mod documents;
mod edits;
mod lookup;
mod rows;
mod tables;
mod updates;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::Result;
use crate::store::Store;

pub use changes::Change;
pub use edits::PartitionEdit;
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

/// The catalog of a lake, in a SQLite file or a PostgreSQL database. It is cheap to clone.
///
/// Several processes may have the same catalog open. Names are looked up in any case.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) store: Store,
}

impl Catalog {
    /// Opens the catalog at `url`: `postgres://…`, `sqlite:PATH` or a plain path of a SQLite file.
    ///
    /// A file and its folder are made where there are none; in PostgreSQL the database must exist,
    /// and the catalog goes to the first schema of the search path. The schema is brought up to
    /// date, and database [`crate::DEFAULT_DATABASE`] is there from the start.
    pub async fn open(url: &str) -> Result<Self> {
        Ok(Self { store: Store::open(url).await? })
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
