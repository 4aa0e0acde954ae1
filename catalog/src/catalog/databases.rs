//! Databases of the catalog.

use futures::FutureExt;

use super::documents::delete_documents_of;
use super::rows::{StoredTable, delete_table, select_tables};
use super::{Catalog, now_ms};
use crate::name::fold;
use crate::store::{Failure, Row, Transaction, values};
use crate::{DEFAULT_DATABASE, Database, DocumentKind, Error, ObjectKind, Result, Table};

impl Catalog {
    /// All databases, sorted by name.
    pub async fn databases(&self) -> Result<Vec<Database>> {
        let _pin = self.pin_databases().await?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let sql = "SELECT name, comment, location, parameters, created_at_ms
                       FROM databases ORDER BY name";
            reader.rows(sql, values![]).await?.iter().map(read).collect()
        };
        self.store.run("list the databases", work).await
    }

    /// The database of this name.
    pub async fn database(&self, name: &str) -> Result<Database> {
        let name = fold(name)?;
        let _pin = self.pin_database(&name).await?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let sql = "SELECT name, comment, location, parameters, created_at_ms
                       FROM databases WHERE name = $1";
            let row = reader.row(sql, values![name.as_str()]).await?;
            read(&row.ok_or_else(|| Error::no_database(&name))?)
        };
        self.store.run(&format!("read database \"{name}\""), work).await
    }

    /// Makes a database; its time of creation is now, whatever is given.
    pub async fn create_database(&self, database: Database) -> Result<Database> {
        database.check()?;
        let name = fold(&database.name)?;
        let database = Database { name, created_at_ms: now_ms(), ..database };
        if let Some(federation) = &self.federation {
            federation.create_database(database.clone()).boxed().await?;
            return Ok(database);
        }
        let work = || async {
            let mut writer = self.store.write().await?;
            let row = values![
                database.name.as_str(),
                database.comment.clone(),
                database.location.clone(),
                serde_json::to_string(&database.parameters)?,
                database.created_at_ms,
            ];
            let sql = "INSERT INTO databases (name, comment, location, parameters, created_at_ms)
                       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING";
            if writer.execute(sql, row).await? == 0 {
                let (kind, name) = (ObjectKind::Database, database.name.clone());
                return Err(Error::AlreadyExists { kind, name }.into());
            }
            writer.commit().await
        };
        self.store.run(&format!("create database \"{}\"", database.name), work).await?;
        Ok(database)
    }

    /// Replaces what a database says, but its name and time of creation.
    pub async fn update_database(&self, database: Database) -> Result<()> {
        database.check()?;
        let name = fold(&database.name)?;
        if let Some(federation) = &self.federation {
            return federation.update_database(Database { name, ..database }).boxed().await;
        }
        let work = || async {
            let mut writer = self.store.write().await?;
            let row = values![
                name.as_str(),
                database.comment.clone(),
                database.location.clone(),
                serde_json::to_string(&database.parameters)?,
            ];
            let sql = "UPDATE databases SET comment = $2, location = $3, parameters = $4
                       WHERE name = $1";
            if writer.execute(sql, row).await? == 0 {
                return Err(Error::no_database(&name).into());
            }
            writer.commit().await
        };
        self.store.run(&format!("update database \"{name}\""), work).await
    }

    /// Drops a database, and with `cascade` its tables, which it returns: what to do with their
    /// files is the caller's business. Without `cascade` it must have none.
    pub async fn drop_database(&self, name: &str, cascade: bool) -> Result<Vec<Table>> {
        let name = fold(name)?;
        if name == DEFAULT_DATABASE {
            return Err(Error::Invalid(format!("database \"{name}\" cannot be dropped")));
        }
        if let Some(federation) = &self.federation {
            return federation.drop_database(&name, cascade).boxed().await;
        }
        let work = || async {
            let mut writer = self.store.write().await?;
            lock(&mut writer, &name).await?;
            let sql = select_tables!("WHERE t.database = $1 ORDER BY t.name");
            let rows = writer.rows(sql, values![name.as_str()]).await?;
            if !cascade && !rows.is_empty() {
                let (database, tables) = (name.clone(), rows.len() as u64);
                return Err(Error::NotEmpty { database, tables }.into());
            }
            let mut dropped = Vec::with_capacity(rows.len());
            for row in &rows {
                let stored = StoredTable::read(row)?;
                delete_table(&mut writer, stored.no).await?;
                dropped.push(stored.table);
            }
            delete_documents_of(&mut writer, &[DocumentKind::Function], &name).await?;
            writer.execute("DELETE FROM databases WHERE name = $1", values![name.as_str()]).await?;
            writer.commit().await?;
            Ok(dropped)
        };
        self.store.run(&format!("drop database \"{name}\""), work).await
    }
}

/// Fails unless the database exists.
pub(super) async fn require(transaction: &mut Transaction, name: &str) -> Result<(), Failure> {
    let row = transaction.row("SELECT 1 FROM databases WHERE name = $1", values![name]).await?;
    row.map(|_| ()).ok_or_else(|| Error::no_database(name).into())
}

/// Fails unless the database exists; until the transaction ends, nobody makes a table in it.
async fn lock(writer: &mut Transaction, name: &str) -> Result<(), Failure> {
    let sql = format!("SELECT 1 FROM databases t WHERE t.name = $1{}", writer.for_update());
    let row = writer.row(sqlx::AssertSqlSafe(sql), values![name]).await?;
    row.map(|_| ()).ok_or_else(|| Error::no_database(name).into())
}

fn read(row: &Row) -> Result<Database, Failure> {
    Ok(Database {
        name: row.text(0)?,
        comment: row.optional_text(1)?,
        location: row.optional_text(2)?,
        parameters: serde_json::from_str(&row.text(3)?)?,
        created_at_ms: row.int(4)?,
    })
}
