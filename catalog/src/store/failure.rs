//! Why a piece of work failed, before it is known what to call it.

use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::Error;

const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

/// A failed transaction.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The catalog has already said what it is.
    #[error(transparent)]
    Catalog(#[from] Error),
    /// The store failed.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// What the store holds cannot be read.
    #[error(transparent)]
    Stored(#[from] serde_json::Error),
}

impl Failure {
    /// Whether others were in the way, so that the same may succeed now.
    pub(super) fn is_transient(&self) -> bool {
        let Some(error) = self.database_error() else { return false };
        match sqlite_code(error) {
            Some(code) => matches!(code, SQLITE_BUSY | SQLITE_LOCKED),
            // A serialization failure and a deadlock.
            None => matches!(error.code().as_deref(), Some("40001" | "40P01")),
        }
    }

    pub(super) fn into_error(self, attempt: &str, url: &str) -> Error {
        let database_error = self.database_error();
        let is_corrupt = database_error
            .and_then(sqlite_code)
            .is_some_and(|code| matches!(code, SQLITE_CORRUPT | SQLITE_NOTADB));
        let refusal = database_error.filter(|error| is_refusal(*error)).map(ToString::to_string);
        let url = || url.to_owned();
        match self {
            Self::Catalog(error) => error,
            Self::Stored(source) => Error::Corrupt { url: url(), source: Arc::new(source) },
            Self::Sql(source) if is_corrupt => {
                Error::Corrupt { url: url(), source: Arc::new(source) }
            }
            Self::Sql(source) => match refusal {
                Some(refusal) => {
                    Error::Invalid(format!("catalog \"{}\" refused: {refusal}", url()))
                }
                None => {
                    Error::Unavailable { attempt: attempt.to_owned(), source: Arc::new(source) }
                }
            },
        }
    }

    fn database_error(&self) -> Option<&(dyn DatabaseError + 'static)> {
        match self {
            Self::Sql(error) => error.as_database_error(),
            Self::Catalog(_) | Self::Stored(_) => None,
        }
    }
}

/// SQLite's result code without its extension.
fn sqlite_code(error: &(dyn DatabaseError + 'static)) -> Option<i32> {
    error.try_downcast_ref::<SqliteError>()?;
    let code: i32 = error.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Whether PostgreSQL does not let this user in, has no such database or schema, or does not let
/// them write there: the settings are wrong.
fn is_refusal(error: &(dyn DatabaseError + 'static)) -> bool {
    let Some(error) = error.try_downcast_ref::<PgDatabaseError>() else { return false };
    matches!(error.code(), "28000" | "28P01" | "3D000" | "3F000" | "42501")
}
