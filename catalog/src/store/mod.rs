//! Where the catalog is kept: SQLite or PostgreSQL, behind one seam.
//!
//! The SQL above this module is the same for both. What they do differently is here: how a
//! transaction starts, and the few words that [`Transaction::is_in`] and
//! [`Transaction::for_update`] stand for.

mod failure;
mod migrate;
mod postgres;
mod sqlite;
mod transaction;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{PgPool, SqlitePool};
use tokio::sync::Mutex;

pub(crate) use failure::Failure;
pub(crate) use transaction::{Row, Transaction, Value, values};

use crate::{Error, Result};

/// How long a call tries to get past others before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open store. It is cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// Its name in messages: no password.
    url: Arc<str>,
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    /// Writers of this process queue at the mutex, so that they wait in order and leave connections
    /// to the readers. Writers of other processes are waited for in SQLite.
    Sqlite {
        pool: SqlitePool,
        writer: Arc<Mutex<()>>,
    },
    Postgres {
        pool: PgPool,
    },
}

impl Store {
    /// Opens the store, makes it where there is none, and brings its schema up to date.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let store = match url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => postgres::connect(url).await?,
            None | Some(("sqlite", _)) => sqlite::prepare(url).await?,
            Some((scheme, _)) => {
                return Err(Error::Invalid(format!(
                    "a catalog cannot be at a {scheme}:// URL: \
                     use postgres://…, sqlite:PATH or the path of a file"
                )));
            }
        };
        migrate::migrate(&store).await?;
        Ok(store)
    }

    /// A new store in the file `path`, called `name`, for what may be lost at any time.
    pub(crate) async fn temporary(path: &Path, name: &str) -> Result<Self> {
        let store = sqlite::temporary(path, name);
        migrate::migrate(&store).await?;
        Ok(store)
    }

    /// Does `work` and turns its failure to `attempt` into an error. While others are in the way,
    /// it is done again; each time must be a transaction of its own.
    pub(crate) async fn run<T, F>(&self, attempt: &str, mut work: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let start = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            match work().await {
                Err(failure) if failure.is_transient() && start.elapsed() < PATIENCE => {
                    tracing::debug!(attempt, %failure, "trying again");
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(Duration::from_millis(500));
                }
                outcome => {
                    return outcome.map_err(|failure| failure.into_error(attempt, &self.url));
                }
            }
        }
    }

    /// A transaction that sees the store as it is at its first statement, throughout.
    pub(crate) async fn read(&self) -> Result<Transaction, Failure> {
        match &self.backend {
            Backend::Sqlite { pool, .. } => {
                Ok(Transaction::Sqlite { transaction: pool.begin().await?, _turn: None })
            }
            Backend::Postgres { pool } => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Ok(Transaction::Postgres { transaction: pool.begin_with(begin).await? })
            }
        }
    }

    /// A transaction that may write. Unless it is committed, it changes nothing.
    pub(crate) async fn write(&self) -> Result<Transaction, Failure> {
        match &self.backend {
            Backend::Sqlite { pool, writer } => {
                let turn = tokio::time::timeout(PATIENCE, Arc::clone(writer).lock_owned())
                    .await
                    .map_err(|_| sqlx::Error::PoolTimedOut)?;
                // A transaction that starts as a reader cannot wait to become a writer: SQLite
                // would fail it at once, whatever its busy timeout.
                let transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                Ok(Transaction::Sqlite { transaction, _turn: Some(turn) })
            }
            Backend::Postgres { pool } => {
                Ok(Transaction::Postgres { transaction: pool.begin().await? })
            }
        }
    }

    /// Closes every connection, those of its clones too.
    pub(crate) async fn close(&self) {
        match &self.backend {
            Backend::Sqlite { pool, .. } => pool.close().await,
            Backend::Postgres { pool } => pool.close().await,
        }
    }
}
