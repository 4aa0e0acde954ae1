//! Who may ask for a table, or list a database: one at a time.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::TableName;

/// Locks that all databases, and all tables, share among them.
const DATABASES: usize = 16;
const TABLES: usize = 64;

/// The turns of all databases and tables. Who has the turn of a table has that of its database
/// too, together with those of other tables.
#[derive(Debug)]
pub(super) struct Turns {
    all: Mutex<()>,
    databases: [RwLock<()>; DATABASES],
    tables: [Mutex<()>; TABLES],
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            databases: std::array::from_fn(|_| RwLock::default()),
            tables: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Turns {
    /// For the list of databases, or to look up or change one.
    pub(super) async fn databases(&self) -> MutexGuard<'_, ()> {
        self.all.lock().await
    }

    /// For all tables of a database.
    pub(super) async fn listing(&self, database: &str) -> RwLockWriteGuard<'_, ()> {
        self.databases[place(&database, DATABASES)].write().await
    }

    /// For one table.
    pub(super) async fn table(
        &self,
        name: &TableName,
    ) -> (RwLockReadGuard<'_, ()>, MutexGuard<'_, ()>) {
        let database = self.databases[place(&name.database(), DATABASES)].read().await;
        (database, self.tables[place(name, TABLES)].lock().await)
    }
}

fn place(name: &impl Hash, places: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    (hasher.finish() % places as u64) as usize
}
