//! Compare-and-sets of a table's definition and name.

use futures::FutureExt;

use super::tables::missing_database;
use super::{Catalog, Update, now_ms};
use crate::sort_key::KeyKind;
use crate::store::{Failure, Transaction, values};
use crate::{Error, ObjectKind, Result, Table, TableName, TableSpec};

impl Catalog {
    /// Replaces the definition if the table is the same and still at `table.version`; the old one
    /// is kept as a version.
    ///
    /// While the table has partitions, its keys may get other names but not another number, nor
    /// change between integers and anything else.
    pub async fn update_table(&self, table: &Table, spec: TableSpec) -> Result<Update<Table>> {
        self.update_table_keeping(table, spec, Archive::Keep).await
    }

    /// As [`Catalog::update_table`], which keeps the old definition or not.
    pub async fn update_table_keeping(
        &self,
        table: &Table,
        spec: TableSpec,
        archive: Archive,
    ) -> Result<Update<Table>> {
        spec.check(&table.name)?;
        if let Some(federation) = &self.federation {
            return federation.update_table(table, spec, archive).boxed().await;
        }
        let work = || async {
            let mut writer = self.store.write().await?;
            let updated = replace_spec(&mut writer, table, &spec, archive).await?;
            if let Update::Done(_) = updated {
                writer.commit().await?;
            }
            Ok(updated)
        };
        self.store.run(&format!("update table \"{}\"", table.name), work).await
    }

    /// Gives a table another name, in another database too, if it is the same and still at
    /// `table.version`. That makes a new version of the same definition.
    pub async fn rename_table(&self, table: &Table, to: &TableName) -> Result<Update<Table>> {
        self.must_be_own("a table cannot get another name")?;
        let next = Table { version: table.version + 1, name: to.clone(), ..table.clone() };
        let work = || async {
            let mut writer = self.store.write().await?;
            let now = now_ms();
            let sql = "UPDATE tables SET version = version + 1, database = $3, name = $4,
                                         updated_at_ms = $5
                       WHERE id = $1 AND version = $2 RETURNING table_no, data_version";
            let row = values![table.id.as_str(), table.version, to.database(), to.table(), now];
            let renamed = writer.row(sql, row).await.map_err(|error| taken_or_missing(error, to));
            let Some(row) = renamed? else { return conflict(&mut writer, table).await };
            let next = Table { data_version: row.count(1)?, updated_at_ms: now, ..next.clone() };
            insert_version(&mut writer, row.int(0)?, &next).await?;
            writer.commit().await?;
            Ok(Update::Done(next))
        };
        self.store.run(&format!("rename table \"{}\" to \"{to}\"", table.name), work).await
    }
}

/// What becomes of the old definition of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archive {
    /// It is kept as a version.
    Keep,
    /// It is forgotten.
    Skip,
}

/// Replaces the definition of a table, compare-and-set.
pub(super) async fn replace_spec(
    writer: &mut Transaction,
    table: &Table,
    spec: &TableSpec,
    archive: Archive,
) -> Result<Update<Table>, Failure> {
    let now = now_ms();
    let sql = "UPDATE tables SET version = version + 1, table_type = $3, comment = $4,
                                 updated_at_ms = $5
               WHERE id = $1 AND version = $2 RETURNING table_no, data_version";
    let row = values![
        table.id.as_str(),
        table.version,
        spec.table_type.as_str(),
        spec.comment.clone(),
        now,
    ];
    let Some(row) = writer.row(sql, row).await? else {
        return conflict(writer, table).await;
    };
    let (table_no, data_version) = (row.int(0)?, row.count(1)?);
    let (version, spec) = (table.version + 1, spec.clone());
    let next = Table { version, data_version, spec, updated_at_ms: now, ..table.clone() };
    if !keys_fit(&table.spec, &next.spec) {
        require_no_partitions(writer, table_no, &next).await?;
    }
    if archive == Archive::Skip {
        let sql = "DELETE FROM table_versions WHERE table_no = $1 AND version = $2";
        writer.execute(sql, values![table_no, table.version]).await?;
    }
    insert_version(writer, table_no, &next).await?;
    Ok(Update::Done(next))
}

/// Why a compare-and-set found nothing to change.
pub(super) async fn conflict<T>(
    transaction: &mut Transaction,
    table: &Table,
) -> Result<Update<T>, Failure> {
    let sql = "SELECT version, data_version FROM tables WHERE id = $1";
    if let Some(row) = transaction.row(sql, values![table.id.as_str()]).await? {
        let (version, data_version) = (row.count(0)?, row.count(1)?);
        return Ok(if version == table.version {
            Update::Conflict { expected: table.data_version, found: data_version }
        } else {
            Update::Conflict { expected: table.version, found: version }
        });
    }
    let sql = "SELECT 1 FROM tables WHERE database = $1 AND name = $2";
    let name = values![table.name.database(), table.name.table()];
    match transaction.row(sql, name).await? {
        Some(_) => Ok(Update::Conflict { expected: table.version, found: 0 }),
        None => Err(Error::no_table(&table.name).into()),
    }
}

/// Keeps the definition that `table` has as the version that it is.
pub(super) async fn insert_version(
    writer: &mut Transaction,
    table_no: i64,
    table: &Table,
) -> Result<(), Failure> {
    let sql = "INSERT INTO table_versions (table_no, version, spec, updated_at_ms)
               VALUES ($1, $2, $3, $4)";
    let spec = serde_json::to_string(&table.spec)?;
    writer.execute(sql, values![table_no, table.version, spec, table.updated_at_ms]).await?;
    Ok(())
}

/// Whether the stored sort keys are right for the new keys too.
pub(super) fn keys_fit(old: &TableSpec, new: &TableSpec) -> bool {
    let are_integers = |spec: &TableSpec| -> Vec<bool> {
        let kinds = spec.partition_keys.iter().map(|key| KeyKind::of(&key.data_type));
        kinds.map(|kind| kind == KeyKind::Integer).collect()
    };
    are_integers(old) == are_integers(new)
}

async fn require_no_partitions(
    writer: &mut Transaction,
    table_no: i64,
    table: &Table,
) -> Result<(), Failure> {
    let sql = "SELECT 1 FROM partitions WHERE table_no = $1 AND removed_at IS NULL LIMIT 1";
    match writer.row(sql, values![table_no]).await? {
        None => Ok(()),
        Some(_) => Err(Error::Invalid(format!(
            "the partition keys of \"{}\" cannot change in number or type while it has partitions",
            table.name
        ))
        .into()),
    }
}

fn taken_or_missing(error: sqlx::Error, name: &TableName) -> Failure {
    match error.as_database_error() {
        Some(fault) if fault.is_unique_violation() => {
            Error::AlreadyExists { kind: ObjectKind::Table, name: name.to_string() }.into()
        }
        _ => missing_database(error, name),
    }
}
