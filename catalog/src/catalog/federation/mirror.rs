//! The local copy of what was asked of the remote catalog: the same tables as a catalog of its own.

use std::collections::{HashMap, HashSet};

use super::memory::Known;
use crate::catalog::commit::{change_partitions, prepare, total};
use crate::catalog::now_ms;
use crate::catalog::rows::{
    At, NewPartition, StoredTable, delete_table, insert_partitions, select_tables,
};
use crate::catalog::tables::{insert_table, new_table};
use crate::catalog::updates::{insert_version, keys_fit};
use crate::glue::ShownTable;
use crate::store::{Failure, Store, Transaction, values};
use crate::{
    DEFAULT_DATABASE, Database, Error, Partition, PartitionTotals, Result, Table, TableName, Update,
};

/// What becomes of a table that the remote catalog shows.
pub(super) struct Arrival {
    pub(super) shown: ShownTable,
    /// What the mirror has under its name.
    pub(super) known: Option<Known>,
}

/// The store of a mirror.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    pub(super) store: Store,
}

impl Mirror {
    /// Has these databases and no others, but for the one that every catalog has.
    pub(super) async fn put_databases(&self, databases: &[Database]) -> Result<()> {
        let there: HashSet<&str> = databases.iter().map(|one| one.name.as_str()).collect();
        let work = || async {
            let mut writer = self.store.write().await?;
            for row in writer.rows("SELECT name FROM databases", values![]).await? {
                let name = row.text(0)?;
                if name != DEFAULT_DATABASE && !there.contains(name.as_str()) {
                    delete_database(&mut writer, &name).await?;
                }
            }
            for database in databases {
                put_database(&mut writer, database).await?;
            }
            writer.commit().await
        };
        self.store.run("copy the databases", work).await
    }

    pub(super) async fn database_names(&self) -> Result<Vec<String>> {
        let work = || async {
            let mut reader = self.store.read().await?;
            let sql = "SELECT name FROM databases ORDER BY name";
            let rows = reader.rows(sql, values![]).await?;
            rows.iter().map(|row| Ok(row.text(0)?)).collect()
        };
        self.store.run("list the copies of databases", work).await
    }

    pub(super) async fn put_database(&self, database: &Database) -> Result<()> {
        let work = || async {
            let mut writer = self.store.write().await?;
            put_database(&mut writer, database).await?;
            writer.commit().await
        };
        self.store.run("copy a database", work).await
    }

    pub(super) async fn drop_database(&self, name: &str) -> Result<()> {
        let work = || async {
            let mut writer = self.store.write().await?;
            delete_database(&mut writer, name).await?;
            writer.commit().await
        };
        self.store.run("drop the copy of a database", work).await
    }

    /// Has these tables as they are shown; says which ids they have here.
    pub(super) async fn put_tables(
        &self,
        database: &str,
        arrivals: &[Arrival],
    ) -> Result<Vec<String>> {
        let work = || async {
            let mut writer = self.store.write().await?;
            put_placeholder(&mut writer, database).await?;
            let mut ids = Vec::with_capacity(arrivals.len());
            for arrival in arrivals {
                ids.push(put_table(&mut writer, arrival).await?);
            }
            writer.commit().await?;
            Ok(ids)
        };
        self.store.run("copy tables", work).await
    }

    pub(super) async fn drop_tables(&self, ids: &[String]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let work = || async {
            let mut writer = self.store.write().await?;
            for id in ids {
                let sql = "SELECT table_no FROM tables WHERE id = $1";
                if let Some(row) = writer.row(sql, values![id.as_str()]).await? {
                    delete_table(&mut writer, row.int(0)?).await?;
                }
            }
            writer.commit().await
        };
        self.store.run("drop copies of tables", work).await
    }

    pub(super) async fn table(&self, name: &TableName) -> Result<Table> {
        let work = || async {
            let mut reader = self.store.read().await?;
            Ok(StoredTable::find(&mut reader, name).await?.table)
        };
        self.store.run("read the copy of a table", work).await
    }

    pub(super) async fn tables(&self, database: &str) -> Result<Vec<Table>> {
        let work = || async {
            let mut reader = self.store.read().await?;
            let sql = select_tables!("WHERE t.database = $1 ORDER BY t.name");
            let rows = reader.rows(sql, values![database]).await?;
            rows.iter().map(|row| Ok(StoredTable::read(row)?.table)).collect()
        };
        self.store.run("list the copies of tables", work).await
    }

    /// Has the partitions of a table for the first time: they are those of its data version.
    pub(super) async fn fill(&self, table: &Table, partitions: Vec<Partition>) -> Result<()> {
        let new = prepare(table, partitions)?;
        let work = || async {
            let mut writer = self.store.write().await?;
            let sql = "UPDATE tables SET next_partition_no = next_partition_no + $2
                       WHERE id = $1 RETURNING table_no, data_version, next_partition_no";
            let count = new.len() as u64;
            let row = writer.row(sql, values![table.id.as_str(), count]).await?;
            let row = row.ok_or_else(|| Error::no_table(&table.name))?;
            let at = At { table_no: row.int(0)?, data_version: row.count(1)? };
            // Of the versions before it nobody knows the partitions.
            let sql = "DELETE FROM data_versions WHERE table_no = $1 AND data_version < $2";
            writer.execute(sql, values![at.table_no, at.data_version]).await?;
            set_totals(&mut writer, at, total(&new)).await?;
            insert_partitions(&mut writer, at, row.int(2)? - count.cast_signed(), &new).await?;
            writer.commit().await
        };
        self.store.run("copy partitions", work).await
    }

    /// Has exactly these partitions. If that changes anything, the data version rises.
    pub(super) async fn replace(&self, table: &Table, partitions: Vec<Partition>) -> Result<()> {
        let new = prepare(table, partitions)?;
        let sql = "SELECT p.partition_values, p.location, p.parameters, p.details
                   FROM partitions p JOIN tables t ON t.table_no = p.table_no
                   WHERE t.id = $1 AND p.removed_at IS NULL";
        let work = || async {
            let mut reader = self.store.read().await?;
            let mut there = HashMap::new();
            for row in reader.rows(sql, values![table.id.as_str()]).await? {
                let texts = (row.text(1)?, row.text(2)?, row.optional_text(3)?);
                there.insert(row.text(0)?, texts);
            }
            Ok(there)
        };
        let mut there = self.store.run("read copies of partitions", work).await?;
        let is_new = |new: &NewPartition| match there.remove(&new.identity) {
            Some((location, parameters, details)) => {
                !new.says(&location, &parameters, details.as_deref())
            }
            None => true,
        };
        let mut new = new;
        new.retain(is_new);
        let gone = there.into_keys().map(|identity| serde_json::from_str(&identity));
        let gone = gone.collect::<Result<Vec<_>, _>>().map_err(|fault| {
            Error::Invalid(format!("a partition of \"{}\": {fault}", table.name))
        })?;
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.change(table, &new, &gone).await.map(drop)
    }

    /// Puts and removes partitions; the data version rises in any case.
    pub(super) async fn patch(
        &self,
        table: &Table,
        put: Vec<Partition>,
        remove: &[Vec<Option<String>>],
    ) -> Result<Table> {
        let put = prepare(table, put)?;
        self.change(table, &put, remove).await
    }

    async fn change(
        &self,
        table: &Table,
        put: &[NewPartition],
        remove: &[Vec<Option<String>>],
    ) -> Result<Table> {
        let work = || async {
            let mut writer = self.store.write().await?;
            let current = StoredTable::find(&mut writer, &table.name).await?.table;
            match change_partitions(&mut writer, &current, put, remove).await? {
                Update::Done(changed) => {
                    writer.commit().await?;
                    Ok(changed)
                }
                Update::Conflict { .. } => Err(sqlx::Error::RowNotFound.into()),
            }
        };
        self.store.run("change copies of partitions", work).await
    }
}

async fn put_database(writer: &mut Transaction, database: &Database) -> Result<(), Failure> {
    let row = values![
        database.name.as_str(),
        database.comment.clone(),
        database.location.clone(),
        serde_json::to_string(&database.parameters)?,
        database.created_at_ms,
    ];
    let sql = "INSERT INTO databases (name, comment, location, parameters, created_at_ms)
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE
               SET comment = $2, location = $3, parameters = $4, created_at_ms = $5";
    writer.execute(sql, row).await?;
    Ok(())
}

/// A table needs its database there, whatever is known of that.
async fn put_placeholder(writer: &mut Transaction, name: &str) -> Result<(), Failure> {
    let sql = "INSERT INTO databases (name, parameters, created_at_ms) VALUES ($1, '{}', $2)
               ON CONFLICT (name) DO NOTHING";
    writer.execute(sql, values![name, now_ms()]).await?;
    Ok(())
}

async fn delete_database(writer: &mut Transaction, name: &str) -> Result<(), Failure> {
    let sql = "SELECT table_no FROM tables WHERE database = $1";
    for row in writer.rows(sql, values![name]).await? {
        delete_table(writer, row.int(0)?).await?;
    }
    if name != DEFAULT_DATABASE {
        writer.execute("DELETE FROM databases WHERE name = $1", values![name]).await?;
    }
    Ok(())
}

/// The table as a new version of what is there, or as a new table.
async fn put_table(writer: &mut Transaction, arrival: &Arrival) -> Result<String, Failure> {
    let ShownTable { name, spec, version_id, created_at_ms, updated_at_ms } = &arrival.shown;
    let sql = select_tables!("WHERE t.database = $1 AND t.name = $2");
    let row = writer.row(sql, values![name.database(), name.table()]).await?;
    let stored = row.as_ref().map(StoredTable::read).transpose()?;
    let is_same = |stored: &StoredTable| {
        let known = arrival.known.as_ref().filter(|known| known.id == stored.table.id);
        known.is_some_and(|known| known.created_at_ms == *created_at_ms)
            && keys_fit(&stored.table.spec, spec)
    };
    let (created_at_ms, updated_at_ms) = (*created_at_ms, *updated_at_ms);
    if let Some(stored) = stored {
        if is_same(&stored) {
            let version = next_version(version_id.as_deref(), stored.table.version);
            let spec = spec.clone();
            let next = Table { version, spec, updated_at_ms, ..stored.table };
            replace_version(writer, stored.no, &next).await?;
            return Ok(next.id);
        }
        delete_table(writer, stored.no).await?;
    }
    let version = next_version(version_id.as_deref(), 0);
    let table = new_table(name, spec.clone())?;
    let table = Table { version, created_at_ms, updated_at_ms, ..table };
    insert_table(writer, &table, &[]).await?;
    Ok(table.id)
}

/// The remote catalog's number of a version where it has one; it rises with each change.
fn next_version(version_id: Option<&str>, previous: u64) -> u64 {
    let number = version_id.and_then(|id| id.parse().ok());
    number.filter(|number| previous < *number && *number < 1 << 62).unwrap_or(previous + 1)
}

async fn replace_version(
    writer: &mut Transaction,
    table_no: i64,
    table: &Table,
) -> Result<(), Failure> {
    let sql = "UPDATE tables SET version = $2, table_type = $3, comment = $4, updated_at_ms = $5
               WHERE table_no = $1";
    let row = values![
        table_no,
        table.version,
        table.spec.table_type.as_str(),
        table.spec.comment.clone(),
        table.updated_at_ms,
    ];
    writer.execute(sql, row).await?;
    let sql = "DELETE FROM table_versions WHERE table_no = $1";
    writer.execute(sql, values![table_no]).await?;
    insert_version(writer, table_no, table).await
}

async fn set_totals(
    writer: &mut Transaction,
    at: At,
    totals: PartitionTotals,
) -> Result<(), Failure> {
    let sql = "UPDATE data_versions SET partition_count = $3, file_count = $4
               WHERE table_no = $1 AND data_version = $2";
    let row = values![at.table_no, at.data_version, totals.partitions, totals.files];
    writer.execute(sql, row).await?;
    Ok(())
}
