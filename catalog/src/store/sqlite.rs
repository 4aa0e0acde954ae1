//! A SQLite file as the store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::{Backend, Store};
use crate::{Error, Result};

const CONNECTIONS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite itself waits for the writer of another process, before we try again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A store in the file of a URL (`sqlite:PATH`) or a plain path. Nothing is opened yet, but the
/// folder is there.
///
/// Several processes may share the file, on one machine: WAL mode needs memory that they share, so
/// the file must not be on a network file system. `synchronous=FULL` keeps every committed change
/// through a power loss; `NORMAL` could lose the last ones, and commits here are rare and precious.
pub(super) async fn prepare(url: &str) -> Result<Store> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
    if path.is_empty() || path == ":memory:" {
        return Err(Error::Invalid("a catalog needs the path of a file".to_owned()));
    }
    let path = Path::new(path);
    if path.is_dir() {
        return Err(Error::Invalid(format!(
            "catalog \"{url}\" is a folder: name a file, such as \"{}\"",
            path.join("catalog.db").display()
        )));
    }
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(|source| Error::Unavailable {
            attempt: format!("make folder \"{}\"", folder.display()),
            source: Arc::new(source),
        })?;
    }
    Ok(open(path, url, SqliteSynchronous::Full))
}

/// A store in a new file, whose content no power loss needs to survive.
pub(super) fn temporary(path: &Path, name: &str) -> Store {
    open(path, name, SqliteSynchronous::Off)
}

fn open(path: &Path, url: &str, synchronous: SqliteSynchronous) -> Store {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", "-16384") // in KiB
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options);
    Store { url: url.into(), backend: Backend::Sqlite { pool, writer: Arc::default() } }
}
