//! Brings the schema of a store up to date.

use super::transaction::values;
use super::{Failure, Store, Transaction};
use crate::{DEFAULT_DATABASE, Error, Result};

/// The step to each schema version, from 1, for SQLite and for PostgreSQL.
const STEPS: &[(&str, &str)] = &[
    (
        include_str!("../../migrations/sqlite/0001_catalog.sql"),
        include_str!("../../migrations/postgres/0001_catalog.sql"),
    ),
    (
        include_str!("../../migrations/sqlite/0002_documents.sql"),
        include_str!("../../migrations/postgres/0002_documents.sql"),
    ),
];

/// The schema version that this build reads and writes.
const SUPPORTED: i64 = STEPS.len().cast_signed() as i64;

/// One of all processes that find an older schema changes it; the others wait for it.
pub(super) async fn migrate(store: &Store) -> Result<()> {
    let attempt = format!("open catalog \"{}\"", store.url);
    store
        .run(&attempt, || async {
            let mut reader = store.read().await?;
            let found = schema_version(&mut reader).await?;
            drop(reader);
            if found != Some(SUPPORTED) {
                let mut writer = store.write().await?;
                upgrade(&mut writer, &store.url).await?;
                writer.commit().await?;
            }
            Ok(())
        })
        .await
}

async fn upgrade(writer: &mut Transaction, url: &str) -> Result<(), Failure> {
    if let Transaction::Postgres { .. } = writer {
        // The number is any that no other program is likely to lock.
        writer.execute("SELECT pg_advisory_xact_lock(6205377429641)", values![]).await?;
    }
    let found = schema_version(writer).await?;
    if found.is_none() {
        refuse_foreign_file(writer, url).await?;
        writer.script("CREATE TABLE boathouse_schema (version BIGINT NOT NULL)").await?;
        writer.execute("INSERT INTO boathouse_schema (version) VALUES ($1)", values![0i64]).await?;
    }
    let found = found.unwrap_or(0);
    if SUPPORTED < found {
        let url = url.to_owned();
        return Err(Error::NewerStore { found, supported: SUPPORTED, url }.into());
    }
    for (version, (sqlite, postgres)) in (1..).zip(STEPS) {
        if found < version {
            let is_sqlite = matches!(writer, Transaction::Sqlite { .. });
            writer.script(if is_sqlite { sqlite } else { postgres }).await?;
        }
    }
    writer.execute("UPDATE boathouse_schema SET version = $1", values![SUPPORTED]).await?;
    let sql = "INSERT INTO databases (name, parameters, created_at_ms) VALUES ($1, '{}', $2)
               ON CONFLICT (name) DO NOTHING";
    writer.execute(sql, values![DEFAULT_DATABASE, crate::catalog::now_ms()]).await?;
    Ok(())
}

/// The schema version, `None` in an empty store.
async fn schema_version(transaction: &mut Transaction) -> Result<Option<i64>, Failure> {
    let has_schema = match transaction {
        Transaction::Sqlite { .. } => {
            "SELECT count(*) FROM sqlite_schema WHERE name = 'boathouse_schema'"
        }
        Transaction::Postgres { .. } => {
            "SELECT count(*) FROM pg_catalog.pg_tables
             WHERE schemaname = current_schema() AND tablename = 'boathouse_schema'"
        }
    };
    let Some(row) = transaction.row(has_schema, values![]).await? else { return Ok(None) };
    if row.int(0)? == 0 {
        return Ok(None);
    }
    let row = transaction.row("SELECT version FROM boathouse_schema", values![]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}

/// A SQLite file that another program keeps its tables in must not become a catalog too. (In
/// PostgreSQL a database is made to be shared.)
async fn refuse_foreign_file(writer: &mut Transaction, url: &str) -> Result<(), Failure> {
    if let Transaction::Postgres { .. } = writer {
        return Ok(());
    }
    let row = writer.row("SELECT count(*) FROM sqlite_schema", values![]).await?;
    let tables = row.map(|row| row.int(0)).transpose()?;
    if tables.is_some_and(|tables| 0 < tables) {
        let text = format!("\"{url}\" is no catalog: it is the SQLite database of something else");
        return Err(Error::Invalid(text).into());
    }
    Ok(())
}
