//! The rows of tables and partitions, and what becomes of them.

use super::documents::delete_documents_of;
use super::now_ms;
use crate::partition::identity;
use crate::sort_key::KeyKind;
use crate::store::{Failure, Row, Transaction, Value, values};
use crate::{DocumentKind, Error, Partition, PartitionTotals, Result, Table, TableName, TableSpec};

/// What belongs to a table and goes with it.
const TABLE_DOCUMENTS: [DocumentKind; 3] = [
    DocumentKind::ColumnStatistics,
    DocumentKind::PartitionIndex,
    DocumentKind::PartitionStatistics,
];

/// A query for tables that [`StoredTable::read`] reads, as a literal.
macro_rules! select_tables {
    ($rest:literal) => {
        concat!(
            "SELECT t.table_no, t.id, t.database, t.name, t.version, t.data_version, v.spec, ",
            "t.created_at_ms, t.updated_at_ms ",
            "FROM tables t JOIN table_versions v ",
            "ON v.table_no = t.table_no AND v.version = t.version ",
            $rest
        )
    };
}
pub(super) use select_tables;

/// A table and the number that its rows in other tables have.
pub(super) struct StoredTable {
    pub(super) no: i64,
    pub(super) table: Table,
}

impl StoredTable {
    pub(super) fn read(row: &Row) -> Result<Self, Failure> {
        let table = Table {
            id: row.text(1)?,
            name: TableName::new(&row.text(2)?, &row.text(3)?)?,
            version: row.count(4)?,
            data_version: row.count(5)?,
            spec: serde_json::from_str(&row.text(6)?)?,
            created_at_ms: row.int(7)?,
            updated_at_ms: row.int(8)?,
        };
        Ok(Self { no: row.int(0)?, table })
    }

    pub(super) async fn find(
        transaction: &mut Transaction,
        name: &TableName,
    ) -> Result<Self, Failure> {
        let sql = select_tables!("WHERE t.database = $1 AND t.name = $2");
        let row = transaction.row(sql, values![name.database(), name.table()]).await?;
        Self::read(&row.ok_or_else(|| Error::no_table(name))?)
    }
}

/// A partition as its rows will have it, made before the transaction that inserts it.
pub(super) struct NewPartition {
    pub(super) identity: String,
    location: String,
    parameters: String,
    details: Option<String>,
    files: Option<String>,
    pub(super) file_count: u64,
    sort_keys: Vec<String>,
}

impl NewPartition {
    pub(super) fn new(partition: Partition, spec: &TableSpec) -> Result<Self> {
        let json = |fault: serde_json::Error| {
            Error::Invalid(format!("partition of \"{}\": {fault}", partition.location))
        };
        let keys = spec.partition_keys.iter().zip(&partition.values);
        let details = Some(&partition.details).filter(|details| !details.is_empty());
        Ok(Self {
            details: details.map(serde_json::to_string).transpose().map_err(json)?,
            identity: identity(&partition.values),
            parameters: serde_json::to_string(&partition.parameters).map_err(json)?,
            file_count: partition.files.as_ref().map_or(0, |files| files.len() as u64),
            files: partition
                .files
                .map(|files| serde_json::to_string(&files))
                .transpose()
                .map_err(json)?,
            sort_keys: keys
                .filter_map(|(key, value)| KeyKind::of(&key.data_type).encode(value.as_deref()))
                .collect(),
            location: partition.location,
        })
    }

    /// Whether its row would say the same as one with these texts.
    pub(super) fn says(&self, location: &str, parameters: &str, details: Option<&str>) -> bool {
        self.location == location
            && self.parameters == parameters
            && self.details.as_deref() == details
    }
}

/// A point in the life of a table's partitions.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) table_no: i64,
    pub(super) data_version: u64,
}

/// Records a data version and how much it has.
pub(super) async fn insert_data_version(
    writer: &mut Transaction,
    at: At,
    totals: PartitionTotals,
) -> Result<(), Failure> {
    let sql = "INSERT INTO data_versions
                   (table_no, data_version, partition_count, file_count, committed_at_ms)
               VALUES ($1, $2, $3, $4, $5)";
    let PartitionTotals { partitions, files } = totals;
    let row = values![at.table_no, at.data_version, partitions, files, now_ms()];
    writer.execute(sql, row).await?;
    Ok(())
}

/// Inserts partitions that are there from `at` on, numbered from `first_no`.
pub(super) async fn insert_partitions(
    writer: &mut Transaction,
    at: At,
    first_no: i64,
    partitions: &[NewPartition],
) -> Result<(), Failure> {
    let rows = (first_no..).zip(partitions).map(|(no, partition)| {
        values![
            at.table_no,
            no,
            at.data_version,
            partition.identity.as_str(),
            partition.location.as_str(),
            partition.parameters.as_str(),
            partition.details.clone(),
            partition.files.clone(),
            partition.file_count,
        ]
    });
    let into = "partitions (table_no, partition_no, added_at, partition_values, location, parameters, \
                details, files, file_count)";
    writer.insert(into, Box::new(rows)).await?;

    let rows = (first_no..).zip(partitions).flat_map(|(no, partition)| {
        (0i64..).zip(&partition.sort_keys).map(move |(position, sort_key)| -> Vec<Value> {
            values![at.table_no, no, position, sort_key.as_str()]
        })
    });
    let into = "partition_keys (table_no, partition_no, key_position, sort_key)";
    writer.insert(into, Box::new(rows)).await?;
    Ok(())
}

/// Deletes a table with all its rows.
pub(super) async fn delete_table(writer: &mut Transaction, table_no: i64) -> Result<(), Failure> {
    let row = writer.row("SELECT id FROM tables WHERE table_no = $1", values![table_no]).await?;
    if let Some(row) = row {
        delete_documents_of(writer, &TABLE_DOCUMENTS, &row.text(0)?).await?;
    }
    writer.execute("DELETE FROM partition_keys WHERE table_no = $1", values![table_no]).await?;
    writer.execute("DELETE FROM tables WHERE table_no = $1", values![table_no]).await?;
    Ok(())
}
