//! Tables of the catalog: reading, making and dropping them.

use futures::FutureExt;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::commit::prepare;
use super::commit::total;
use super::databases::require;
use super::rows::{
    At, NewPartition, StoredTable, delete_table, insert_data_version, insert_partitions,
    select_tables,
};
use super::updates::{conflict, insert_version};
use super::{Catalog, Update, now_ms};
use crate::name::fold;
use crate::store::{Failure, Row, Transaction, values};
use crate::{
    Error, ObjectKind, Partition, Result, Table, TableName, TableSpec, TableSummary, TableVersion,
};

impl Catalog {
    /// The tables of a database, sorted by name.
    pub async fn tables(&self, database: &str) -> Result<Vec<Table>> {
        let database = fold(database)?;
        let _pin = self.pin_listing(Some(&database)).await?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let sql = select_tables!("WHERE t.database = $1 ORDER BY t.name");
            let rows = reader.rows(sql, values![database.as_str()]).await?;
            if rows.is_empty() {
                require(&mut reader, &database).await?;
            }
            read_tables(&rows)
        };
        self.store.run(&format!("list the tables of database \"{database}\""), work).await
    }

    /// Those tables of a database that have one of these names, sorted by name.
    pub async fn tables_named(&self, database: &str, names: &[String]) -> Result<Vec<Table>> {
        let database = fold(database)?;
        let _pin = self.pin_listing(Some(&database)).await?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let sql = select_tables!("WHERE t.database = $1 AND ");
            let sql = format!("{sql}{} ORDER BY t.name", reader.is_in("t.name", 2, names.len()));
            let values = values![database.as_str(), serde_json::to_string(names)?];
            read_tables(&reader.rows(AssertSqlSafe(sql), values).await?)
        };
        self.store.run(&format!("list tables of database \"{database}\""), work).await
    }

    /// The tables of all databases, sorted by name.
    pub async fn all_tables(&self) -> Result<Vec<Table>> {
        let _pin = self.pin_listing(None).await?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let sql = select_tables!("ORDER BY t.database, t.name");
            read_tables(&reader.rows(sql, values![]).await?)
        };
        self.store.run("list the tables", work).await
    }

    /// What there is to list of the tables of one database, or of all, sorted by name. It reads no
    /// definitions.
    pub async fn table_summaries(&self, database: Option<&str>) -> Result<Vec<TableSummary>> {
        let database = database.map(fold).transpose()?;
        let _pin = self.pin_listing(database.as_deref()).await?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let Some(database) = &database else {
                let sql = "SELECT database, name, table_type, comment FROM tables
                           ORDER BY database, name";
                return reader.rows(sql, values![]).await?.iter().map(read_summary).collect();
            };
            let sql = "SELECT database, name, table_type, comment FROM tables
                       WHERE database = $1 ORDER BY name";
            let rows = reader.rows(sql, values![database.as_str()]).await?;
            if rows.is_empty() {
                require(&mut reader, database).await?;
            }
            rows.iter().map(read_summary).collect()
        };
        self.store.run("list the tables", work).await
    }

    /// The table of this name, as it is now.
    pub async fn table(&self, name: &TableName) -> Result<Table> {
        let _pin = self.pin_table(name).await?;
        let work = || async {
            let mut reader = self.store.read().await?;
            Ok(StoredTable::find(&mut reader, name).await?.table)
        };
        self.store.run(&format!("read table \"{name}\""), work).await
    }

    /// Makes a table with its first partitions, all or nothing. Both its versions are 1.
    pub async fn create_table(
        &self,
        name: &TableName,
        spec: TableSpec,
        partitions: Vec<Partition>,
    ) -> Result<Table> {
        let table = new_table(name, spec)?;
        if let Some(federation) = &self.federation {
            prepare(&table, partitions.clone())?;
            return federation.create_table(name, table.spec, partitions).boxed().await;
        }
        let partitions = prepare(&table, partitions)?;
        let work = || async {
            let mut writer = self.store.write().await?;
            require(&mut writer, name.database()).await?;
            insert_table(&mut writer, &table, &partitions).await?;
            writer.commit().await
        };
        self.store.run(&format!("create table \"{name}\""), work).await?;
        Ok(table)
    }

    /// Drops a table with its versions and partitions, and says what it was.
    pub async fn drop_table(&self, name: &TableName) -> Result<Table> {
        if let Some(federation) = &self.federation {
            return federation.drop_table(name).boxed().await;
        }
        let work = || async {
            let mut writer = self.store.write().await?;
            let sql = select_tables!("WHERE t.database = $1 AND t.name = $2");
            let sql = AssertSqlSafe(format!("{sql}{}", writer.for_update()));
            let row = writer.row(sql, values![name.database(), name.table()]).await?;
            let stored = StoredTable::read(&row.ok_or_else(|| Error::no_table(name))?)?;
            delete_table(&mut writer, stored.no).await?;
            writer.commit().await?;
            Ok(stored.table)
        };
        self.store.run(&format!("drop table \"{name}\""), work).await
    }

    /// Drops a table if it is the same and still at `table.version`; its partitions may have
    /// changed.
    pub async fn drop_table_if_unchanged(&self, table: &Table) -> Result<Update<()>> {
        if let Some(federation) = &self.federation {
            return federation.drop_table_if_unchanged(table).boxed().await;
        }
        let work = || async {
            let mut writer = self.store.write().await?;
            let dropped = delete_unchanged(&mut writer, table).await?;
            if let Update::Done(()) = dropped {
                writer.commit().await?;
            }
            Ok(dropped)
        };
        self.store.run(&format!("drop table \"{}\"", table.name), work).await
    }

    /// The versions of a table's definition, newest first; the first is the current one.
    pub async fn table_versions(&self, name: &TableName) -> Result<Vec<TableVersion>> {
        if let Some(federation) = &self.federation {
            return federation.table_versions(name).boxed().await;
        }
        let work = || async {
            let mut reader = self.store.read().await?;
            let stored = StoredTable::find(&mut reader, name).await?;
            let sql = "SELECT version, spec, updated_at_ms FROM table_versions
                       WHERE table_no = $1 ORDER BY version DESC";
            let rows = reader.rows(sql, values![stored.no]).await?;
            rows.iter().map(read_version).collect()
        };
        self.store.run(&format!("read the versions of table \"{name}\""), work).await
    }

    /// Forgets an old version of a table's definition; says whether it was there. The current one
    /// stays.
    pub async fn delete_table_version(&self, name: &TableName, version: u64) -> Result<bool> {
        if let Some(federation) = &self.federation {
            return federation.delete_version(name, version).boxed().await;
        }
        let work = || async {
            let mut writer = self.store.write().await?;
            let stored = StoredTable::find(&mut writer, name).await?;
            if stored.table.version == version {
                let text = format!("version {version} of \"{name}\" is its current one");
                return Err(Error::Invalid(text).into());
            }
            let sql = "DELETE FROM table_versions WHERE table_no = $1 AND version = $2";
            let deleted = writer.execute(sql, values![stored.no, version]).await?;
            writer.commit().await?;
            Ok(deleted == 1)
        };
        self.store.run(&format!("delete version {version} of table \"{name}\""), work).await
    }
}

/// A table that is not stored yet.
pub(super) fn new_table(name: &TableName, spec: TableSpec) -> Result<Table> {
    spec.check(name)?;
    let now = now_ms();
    Ok(Table {
        id: Uuid::new_v4().to_string(),
        name: name.clone(),
        version: 1,
        data_version: 1,
        spec,
        created_at_ms: now,
        updated_at_ms: now,
    })
}

/// Deletes a table if it is the same and still at `table.version`.
pub(super) async fn delete_unchanged(
    writer: &mut Transaction,
    table: &Table,
) -> Result<Update<()>, Failure> {
    let sql = "SELECT t.table_no FROM tables t WHERE t.id = $1 AND t.version = $2";
    let sql = AssertSqlSafe(format!("{sql}{}", writer.for_update()));
    let row = writer.row(sql, values![table.id.as_str(), table.version]).await?;
    let Some(row) = row else { return conflict(writer, table).await };
    delete_table(writer, row.int(0)?).await?;
    Ok(Update::Done(()))
}

pub(super) async fn insert_table(
    writer: &mut Transaction,
    table: &Table,
    partitions: &[NewPartition],
) -> Result<(), Failure> {
    let count = partitions.len() as u64;
    let row = values![
        table.id.as_str(),
        table.name.database(),
        table.name.table(),
        table.version,
        table.data_version,
        count,
        table.spec.table_type.as_str(),
        table.spec.comment.clone(),
        table.created_at_ms,
    ];
    let sql = "INSERT INTO tables (id, database, name, version, data_version, next_partition_no,
                                   table_type, comment, created_at_ms, updated_at_ms)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
               ON CONFLICT (database, name) DO NOTHING RETURNING table_no";
    let inserted = writer.row(sql, row).await.map_err(|error| missing_database(error, &table.name));
    let Some(row) = inserted? else {
        let (kind, name) = (ObjectKind::Table, table.name.to_string());
        return Err(Error::AlreadyExists { kind, name }.into());
    };
    let at = At { table_no: row.int(0)?, data_version: table.data_version };
    insert_version(writer, at.table_no, table).await?;
    insert_data_version(writer, at, total(partitions)).await?;
    insert_partitions(writer, at, 0, partitions).await
}

/// A foreign key fails if the database was dropped in between.
pub(super) fn missing_database(error: sqlx::Error, name: &TableName) -> Failure {
    match error.as_database_error() {
        Some(fault) if fault.is_foreign_key_violation() => {
            Error::no_database(name.database()).into()
        }
        _ => error.into(),
    }
}

fn read_tables(rows: &[Row]) -> Result<Vec<Table>, Failure> {
    rows.iter().map(|row| Ok(StoredTable::read(row)?.table)).collect()
}

fn read_summary(row: &Row) -> Result<TableSummary, Failure> {
    Ok(TableSummary {
        name: TableName::new(&row.text(0)?, &row.text(1)?)?,
        table_type: row.text(2)?.parse()?,
        comment: row.optional_text(3)?,
    })
}

fn read_version(row: &Row) -> Result<TableVersion, Failure> {
    Ok(TableVersion {
        version: row.count(0)?,
        spec: serde_json::from_str(&row.text(1)?)?,
        updated_at_ms: row.int(2)?,
    })
}
