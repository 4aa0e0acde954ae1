//! Changes of databases and tables.

use std::time::Instant;

use super::Federation;
use super::fault::Fault;
use crate::catalog::{Archive, Update};
use crate::glue::{self, ShownTable};
use crate::name::fold;
use crate::{
    DEFAULT_DATABASE, Database, Error, ObjectKind, Partition, Result, Table, TableName, TableSpec,
    TableVersion,
};

impl Federation {
    pub(crate) async fn create_database(&self, database: Database) -> Result<()> {
        let _turn = self.turns.databases().await;
        let made = self.calls.create_database(&database).await;
        self.memory().changed_database(&database.name);
        match made {
            Ok(()) => {}
            Err(Fault::AlreadyExists) => {
                let (kind, name) = (ObjectKind::Database, database.name);
                return Err(Error::AlreadyExists { kind, name });
            }
            Err(Fault::Ambiguous(error)) => self.must_be_stored(&database, error).await?,
            Err(fault) => return Err(self.calls.error(fault)),
        }
        self.fetch_database(&database.name).await.map(drop)
    }

    pub(crate) async fn update_database(&self, database: Database) -> Result<()> {
        let _turn = self.turns.databases().await;
        let changed = self.calls.update_database(&database).await;
        self.memory().changed_database(&database.name);
        match changed {
            Ok(()) => {}
            Err(Fault::NotFound(_)) => return Err(Error::no_database(&database.name)),
            Err(Fault::Ambiguous(error)) => self.must_be_stored(&database, error).await?,
            Err(fault) => return Err(self.calls.error(fault)),
        }
        self.fetch_database(&database.name).await.map(drop)
    }

    /// Whether a change whose answer was lost was made; else its error.
    async fn must_be_stored(&self, wanted: &Database, error: Error) -> Result<()> {
        let stored = self.calls.database(&wanted.name).await?;
        let created_at_ms = wanted.created_at_ms;
        match stored.map(|stored| Database { created_at_ms, ..stored }) {
            Some(stored) if stored == *wanted => Ok(()),
            _ => Err(error),
        }
    }

    pub(crate) async fn drop_database(&self, name: &str, cascade: bool) -> Result<Vec<Table>> {
        let name = fold(name)?;
        let _listing = self.turns.listing(&name).await;
        self.fetch_listing(&name).await?;
        let tables = self.mirror.tables(&name).await?;
        if !cascade && !tables.is_empty() {
            return Err(Error::NotEmpty { database: name, tables: tables.len() as u64 });
        }
        let _turn = self.turns.databases().await;
        match self.calls.delete_database(&name).await {
            Ok(()) => {}
            Err(Fault::NotFound(_)) => return Err(Error::no_database(&name)),
            Err(Fault::Ambiguous(error)) => {
                if self.calls.database(&name).await?.is_some() {
                    return Err(error);
                }
            }
            Err(fault) => return Err(self.calls.error(fault)),
        }
        self.mirror.drop_database(&name).await?;
        self.memory().forget_database(&name);
        Ok(tables)
    }

    /// Makes a table, then its partitions; if these cannot be made, it is dropped again.
    pub(crate) async fn create_table(
        &self,
        name: &TableName,
        spec: TableSpec,
        partitions: Vec<Partition>,
    ) -> Result<Table> {
        let _turn = self.turns.table(name).await;
        self.make_table(name, &spec).await?;
        let table = self.fetch_table(name).await?.ok_or_else(|| Error::no_table(name))?;
        if let Err(error) = self.add_first(&table, partitions).await {
            // The error that counts is the first one.
            let _ = self.calls.delete_table(name).await;
            self.forget_table(name, Instant::now()).await?;
            return Err(error);
        }
        Ok(table)
    }

    async fn make_table(&self, name: &TableName, spec: &TableSpec) -> Result<()> {
        let mut made = self.calls.create_table(name, spec).await;
        if matches!(made, Err(Fault::NotFound(_))) && name.database() == DEFAULT_DATABASE {
            // Every catalog has this database, but not every remote one.
            let default = Database { name: DEFAULT_DATABASE.to_owned(), ..Database::default() };
            let _ = self.calls.create_database(&default).await;
            self.memory().changed_database(DEFAULT_DATABASE);
            made = self.calls.create_table(name, spec).await;
        }
        let taken = || Error::AlreadyExists { kind: ObjectKind::Table, name: name.to_string() };
        match made {
            Ok(()) => Ok(()),
            Err(Fault::NotFound(_)) => Err(Error::no_database(name.database())),
            Err(Fault::AlreadyExists) => {
                self.memory().doubt_table(name);
                Err(taken())
            }
            Err(Fault::Ambiguous(error)) => match self.calls.table(name).await? {
                Some(shown) if is_shown(name, spec, &shown) => Ok(()),
                Some(_) => Err(taken()),
                None => Err(error),
            },
            Err(fault) => Err(self.calls.error(fault)),
        }
    }

    /// Replaces the definition of a table that is the same and still at its version.
    pub(crate) async fn update_table(
        &self,
        table: &Table,
        spec: TableSpec,
        archive: Archive,
    ) -> Result<Update<Table>> {
        let name = &table.name;
        let _turn = self.turns.table(name).await;
        let current = self.current(table).await?;
        if let Some(conflict) = conflict(table, &current) {
            return Ok(conflict);
        }
        let version_id = self.memory().table(name).and_then(|known| known.version_id.clone());
        let skips_archive = archive == Archive::Skip;
        let updated =
            self.calls.update_table(name, &spec, version_id.as_deref(), skips_archive).await;
        self.memory().doubt_table(name);
        match updated {
            Ok(()) => {}
            Err(Fault::NotFound(_)) => return Err(Error::no_table(name)),
            Err(Fault::Conflict) => {
                let found = self.fetch_table(name).await?.ok_or_else(|| Error::no_table(name))?;
                let conflict = conflict(table, &found);
                let (expected, found) = (table.version, table.version);
                return Ok(conflict.unwrap_or(Update::Conflict { expected, found }));
            }
            Err(Fault::Ambiguous(error)) => {
                let found = self.fetch_table(name).await?.ok_or_else(|| Error::no_table(name))?;
                if found.version == table.version || found.spec != spec {
                    return Err(error);
                }
                return Ok(Update::Done(found));
            }
            Err(fault) => return Err(self.calls.error(fault)),
        }
        let updated = self.fetch_table(name).await?.ok_or_else(|| Error::no_table(name))?;
        Ok(Update::Done(updated))
    }

    /// The table as it is known, asked for anew where that is too old. The caller has its turn.
    pub(super) async fn current(&self, table: &Table) -> Result<Table> {
        let is_known = self.memory().fresh_table(&table.name);
        match is_known {
            Some(known) => {
                known?;
                self.mirror.table(&table.name).await
            }
            None => {
                let found = self.fetch_table(&table.name).await?;
                found.ok_or_else(|| Error::no_table(&table.name))
            }
        }
    }

    pub(crate) async fn drop_table(&self, name: &TableName) -> Result<Table> {
        let _turn = self.turns.table(name).await;
        let table = self.fetch_table(name).await?.ok_or_else(|| Error::no_table(name))?;
        self.delete_table(name).await?;
        Ok(table)
    }

    /// Drops a table that is the same and still at its version. Between the question and the
    /// change others may come: Glue's API drops whatever has the name.
    pub(crate) async fn drop_table_if_unchanged(&self, table: &Table) -> Result<Update<()>> {
        let name = &table.name;
        let _turn = self.turns.table(name).await;
        let found = self.fetch_table(name).await?.ok_or_else(|| Error::no_table(name))?;
        if let Some(conflict) = conflict(table, &found) {
            return Ok(conflict.map(|_: Table| ()));
        }
        self.delete_table(name).await?;
        Ok(Update::Done(()))
    }

    /// Drops a table. The caller has its turn.
    async fn delete_table(&self, name: &TableName) -> Result<()> {
        let dropped = self.calls.delete_table(name).await;
        self.memory().doubt_table(name);
        match dropped {
            Ok(()) => {}
            Err(Fault::NotFound(_)) => return Err(Error::no_table(name)),
            Err(Fault::Ambiguous(error)) => {
                if self.calls.table(name).await?.is_some() {
                    return Err(error);
                }
            }
            Err(fault) => return Err(self.calls.error(fault)),
        }
        self.forget_table(name, Instant::now()).await
    }

    pub(crate) async fn table_versions(&self, name: &TableName) -> Result<Vec<TableVersion>> {
        self.calls.versions(name).await
    }

    pub(crate) async fn delete_version(&self, name: &TableName, version: u64) -> Result<bool> {
        match self.calls.delete_version(name, version).await {
            Ok(()) => Ok(true),
            Err(Fault::NotFound(_)) => Ok(false),
            Err(fault) => Err(self.calls.error(fault)),
        }
    }
}

/// What a change that is based on `table` meets in `found`, if that is another one.
pub(super) fn conflict<T>(table: &Table, found: &Table) -> Option<Update<T>> {
    if table.id != found.id {
        return Some(Update::Conflict { expected: table.version, found: 0 });
    }
    let (expected, found) = (table.version, found.version);
    (expected != found).then_some(Update::Conflict { expected, found })
}

/// Whether a table is shown as one that was made from `spec` would be.
fn is_shown(name: &TableName, spec: &TableSpec, shown: &ShownTable) -> bool {
    let sent = match glue::table_input(name, spec) {
        serde_json::Value::Object(sent) => glue::read_table(name.database(), sent),
        _ => return false,
    };
    sent.is_ok_and(|sent| sent.spec == shown.spec)
}
