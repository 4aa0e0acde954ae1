//! A PostgreSQL database as the store.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use url::Url;

use super::{Backend, Failure, Store};
use crate::{Error, Result};

const CONNECTIONS: u32 = 8;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Every statement of the catalog can walk an index, from a few rows to a few rows, and may stop
/// early. Left to itself, PostgreSQL reads whole tables or whole ranges of an index first where its
/// statistics are old, as after a bulk load.
const WALK_INDEXES: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off;
                            SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";

/// A store in the database of a `postgres://` URL, in the first schema of the search path.
pub(super) async fn connect(text: &str) -> Result<Store> {
    let invalid = |fault: &dyn std::error::Error| {
        Error::Invalid(format!("the catalog's postgres:// URL is not valid: {fault}"))
    };
    let url = Url::parse(text).map_err(|fault| invalid(&fault))?;
    let options = PgConnectOptions::from_url(&url)
        .map_err(|fault| invalid(&fault))?
        .application_name("boathouse")
        .disable_statement_logging();
    let shown = redacted(url);
    try_connect(&options, &shown).await?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(WALK_INDEXES).execute(connection).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options);
    Ok(Store { url: shown.into(), backend: Backend::Postgres { pool } })
}

/// Connects once without the pool, which would try until its timeout and not say what failed.
async fn try_connect(options: &PgConnectOptions, url: &str) -> Result<()> {
    let attempt = format!("connect to catalog \"{url}\"");
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(Ok(connection)) => {
            // It has served its purpose, however it ends.
            let _ = connection.close().await;
            Ok(())
        }
        Ok(Err(error)) => Err(Failure::from(error).into_error(&attempt, url)),
        Err(elapsed) => Err(Error::Unavailable { attempt, source: Arc::new(elapsed) }),
    }
}

/// The URL as it may be shown: without what is secret in it.
fn redacted(mut url: Url) -> String {
    const HIDDEN: &str = "***";
    if url.password().is_some() {
        // It fails only for URLs that cannot have a password.
        let _ = url.set_password(Some(HIDDEN));
    }
    let parameters: Vec<(String, String)> = url
        .query_pairs()
        .map(|(key, value)| {
            let is_secret = key.to_ascii_lowercase().contains("password");
            (key.into_owned(), if is_secret { HIDDEN.to_owned() } else { value.into_owned() })
        })
        .collect();
    if !parameters.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(parameters);
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let url = "postgres://ann:s3cret@db.example:5432/lake?password=s3cret&sslmode=require";
        let shown = redacted(Url::parse(url).unwrap());
        assert_eq!(shown, "postgres://ann:***@db.example:5432/lake?password=***&sslmode=require");
    }
}
