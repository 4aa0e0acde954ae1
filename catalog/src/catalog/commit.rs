//! Changes of a table's partitions.

use std::collections::HashSet;

use futures::FutureExt;
use sqlx::AssertSqlSafe;

use super::rows::{At, NewPartition, insert_data_version, insert_partitions};
use super::updates::conflict;
use super::{Catalog, Update, now_ms};
use crate::partition::{check_values, identity};
use crate::store::{Failure, Transaction, values};
use crate::{Error, Partition, PartitionTotals, Result, Table, TableType};

/// How long a data version can still be read after the next one is committed.
const KEPT_MS: i64 = 60 * 60 * 1000;
/// How many removed partitions one commit deletes for good at most, so that none takes long.
const PURGE_LIMIT: i64 = 10_000;

impl Catalog {
    /// Removes and puts partitions, all or nothing, if the table is the same and still at
    /// `table.version` and `table.data_version`.
    ///
    /// A put partition replaces the one of the same values. Removals come first; to remove what is
    /// not there changes nothing. `data_version` rises by one in any case.
    pub async fn commit_partitions(
        &self,
        table: &Table,
        put: Vec<Partition>,
        remove: Vec<Vec<Option<String>>>,
    ) -> Result<Update<Table>> {
        for values in &remove {
            check_values(values, table)?;
        }
        if let Some(federation) = &self.federation {
            prepare(table, put.clone())?;
            return federation.commit_partitions(table, put, remove).boxed().await;
        }
        let put = prepare(table, put)?;
        let work = || async {
            let mut writer = self.store.write().await?;
            let committed = change_partitions(&mut writer, table, &put, &remove).await?;
            if let Update::Done(_) = committed {
                writer.commit().await?;
            }
            Ok(committed)
        };
        self.store.run(&format!("change the partitions of table \"{}\"", table.name), work).await
    }
}

/// Removes and puts partitions of a table, compare-and-set.
pub(super) async fn change_partitions(
    writer: &mut Transaction,
    table: &Table,
    put: &[NewPartition],
    remove: &[Vec<Option<String>>],
) -> Result<Update<Table>, Failure> {
    let gone: HashSet<String> = put
        .iter()
        .map(|partition| partition.identity.clone())
        .chain(remove.iter().map(|values| identity(values)))
        .collect();
    let now = now_ms();
    let sql = "UPDATE tables SET data_version = data_version + 1,
                      next_partition_no = next_partition_no + $4, updated_at_ms = $5
               WHERE id = $1 AND version = $2 AND data_version = $3
               RETURNING table_no, next_partition_no";
    let count = put.len() as u64;
    let row = values![table.id.as_str(), table.version, table.data_version, count, now];
    let Some(row) = writer.row(sql, row).await? else {
        return conflict(writer, table).await;
    };
    let at = At { table_no: row.int(0)?, data_version: table.data_version + 1 };
    let removed = remove_partitions(writer, at, &gone).await?;
    let before = totals_at(writer, at.table_no, table.data_version).await?;
    insert_data_version(writer, at, before.plus(total(put)).minus(removed)).await?;
    let first_no = row.int(1)? - count.cast_signed();
    insert_partitions(writer, at, first_no, put).await?;
    purge(writer, at, now - KEPT_MS).await?;
    let data_version = at.data_version;
    Ok(Update::Done(Table { data_version, updated_at_ms: now, ..table.clone() }))
}

/// Checks partitions that are to be put into `table` and makes them ready for it.
pub(super) fn prepare(table: &Table, partitions: Vec<Partition>) -> Result<Vec<NewPartition>> {
    if table.spec.table_type == TableType::View && !partitions.is_empty() {
        return Err(Error::Invalid(format!("\"{}\" is a view and has no partitions", table.name)));
    }
    let mut seen = HashSet::with_capacity(partitions.len());
    for partition in &partitions {
        partition.check(table)?;
        if !seen.insert(partition.values.as_slice()) {
            return Err(Error::Invalid(format!(
                "partition {} of \"{}\" is given twice",
                partition.describe(),
                table.name
            )));
        }
    }
    partitions.into_iter().map(|partition| NewPartition::new(partition, &table.spec)).collect()
}

/// How many partitions and files these are.
pub(super) fn total(partitions: &[NewPartition]) -> PartitionTotals {
    PartitionTotals {
        partitions: partitions.len() as u64,
        files: partitions.iter().map(|partition| partition.file_count).sum(),
    }
}

/// Notes that partitions are no longer there from `at` on; says how many were.
async fn remove_partitions(
    writer: &mut Transaction,
    at: At,
    identities: &HashSet<String>,
) -> Result<PartitionTotals, Failure> {
    let sql = format!(
        "UPDATE partitions SET removed_at = $2
         WHERE table_no = $1 AND removed_at IS NULL AND {}
         RETURNING file_count",
        writer.is_in("partition_values", 3, identities.len())
    );
    let values = values![at.table_no, at.data_version, serde_json::to_string(identities)?];
    let mut removed = PartitionTotals::default();
    for row in writer.rows(AssertSqlSafe(sql), values).await? {
        removed = removed.plus(PartitionTotals { partitions: 1, files: row.count(0)? });
    }
    Ok(removed)
}

async fn totals_at(
    writer: &mut Transaction,
    table_no: i64,
    data_version: u64,
) -> Result<PartitionTotals, Failure> {
    let sql = "SELECT partition_count, file_count FROM data_versions
               WHERE table_no = $1 AND data_version = $2";
    let row = writer.row(sql, values![table_no, data_version]).await?;
    let row = row.ok_or(sqlx::Error::RowNotFound)?;
    Ok(PartitionTotals { partitions: row.count(0)?, files: row.count(1)? })
}

/// Deletes data versions that were replaced before `before_ms`, and partitions that no remaining
/// one has.
async fn purge(writer: &mut Transaction, at: At, before_ms: i64) -> Result<(), Failure> {
    let sql = "SELECT max(data_version) FROM data_versions
               WHERE table_no = $1 AND committed_at_ms <= $2";
    let row = writer.row(sql, values![at.table_no, before_ms]).await?;
    let oldest = row.map(|row| row.optional_int(0)).transpose()?.flatten();
    let Some(oldest) = oldest else { return Ok(()) };
    let sql = "DELETE FROM data_versions WHERE table_no = $1 AND data_version < $2";
    writer.execute(sql, values![at.table_no, oldest]).await?;
    // Keys first: the same partitions must be found for both.
    for table in ["partition_keys", "partitions"] {
        let sql = format!(
            "DELETE FROM {table} WHERE table_no = $1 AND partition_no IN (
                 SELECT partition_no FROM partitions
                 WHERE table_no = $1 AND removed_at <= $2
                 ORDER BY removed_at, partition_no LIMIT $3)"
        );
        writer.execute(AssertSqlSafe(sql), values![at.table_no, oldest, PURGE_LIMIT]).await?;
    }
    Ok(())
}
