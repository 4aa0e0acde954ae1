//! RESTORE TABLE: a Delta table as it was at an earlier version, as a new version.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::{Table, Update};
use deltalake::DeltaTableError;

use super::create_external_table::delta_columns;
use super::maintenance::{batch_of, find_table, schema_of};
use super::{Command, listing};
use crate::commit::properties;
use crate::history::version_of;
use crate::parse::AsOf;
use crate::query::Plan;
use crate::scan::{DeltaSnapshot, delta_table};
use crate::session::Session;
use crate::{Error, ErrorKind, Result};

struct Restore {
    table: Table,
    version: u64,
    schema: SchemaRef,
}

pub(super) async fn plan(session: &Session, name: &[String], to: &AsOf) -> Result<Plan> {
    let table = find_table(session, name).await?;
    let newest = delta_table(session, &table, "older versions").await?;
    let version = version_of(session.engine.shared(), &session.query_state(), &newest, to)
        .await
        .map_err(|error| error.about(format!("table \"{}\"", table.name)))?;
    let number = DataType::Int64;
    let schema = schema_of(&[
        ("restored_version", number.clone()),
        ("version", number.clone()),
        ("num_restored_files", number.clone()),
        ("num_removed_files", number),
    ]);
    Ok(listing(schema.clone(), Restore { table, version, schema }))
}

#[async_trait(?Send)]
impl Command for Restore {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let newest = delta_table(session, &self.table, "older versions").await?;
        let before = newest.version;
        let (mut after, mut restored, mut removed) = (before, 0, 0);
        if self.version < before {
            let restore =
                newest.table().await?.clone().restore().with_version_to_restore(self.version);
            let done = restore.with_commit_properties(properties()).await;
            let (table, metrics) = done.map_err(|error| self.explained(error))?;
            after = table.version().unwrap_or(before);
            (restored, removed) = (metrics.num_restored_file, metrics.num_removed_file);
        }
        let now = delta_table(session, &self.table, "older versions").await?;
        follow_columns(session, &self.table, &now).await?;
        let number = |value: u64| {
            Arc::new(Int64Array::from(vec![i64::try_from(value).ok()])) as arrow::array::ArrayRef
        };
        let row = [self.version, after, restored as u64, removed as u64];
        batch_of(&self.schema, row.into_iter().map(number).collect())
    }
}

impl Restore {
    fn explained(&self, error: DeltaTableError) -> Error {
        let text = error.to_string();
        if text.contains("Find missing file") {
            return Error::new(
                ErrorKind::NotFound,
                format!(
                    "version {} of \"{}\" can't be restored: files of it are gone",
                    self.version, self.table.name
                ),
            )
            .with_hint("VACUUM removes files of versions older than the table's retention.");
        }
        Error::from(error).about(format!("table \"{}\"", self.table.name))
    }
}

/// Has the catalog's record show the columns that the table has now.
pub(super) async fn follow_columns(
    session: &Session,
    table: &Table,
    now: &DeltaSnapshot,
) -> Result<()> {
    let table = session.catalog().table(&table.name).await?;
    let (columns, partition_keys) = delta_columns(now)?;
    let mut spec = table.spec.clone();
    let names = |columns: &[boathouse_catalog::Column]| -> Vec<_> {
        columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect()
    };
    let is_same = names(&columns) == names(&spec.columns)
        && names(&partition_keys) == names(&spec.partition_keys);
    if is_same || spec.columns.is_empty() {
        return Ok(());
    }
    (spec.columns, spec.partition_keys) = (columns, partition_keys);
    match session.catalog().update_table(&table, spec).await? {
        Update::Done(_) => Ok(()),
        Update::Conflict { .. } => Err(Error::new(
            ErrorKind::Conflict,
            format!("table \"{}\" was restored, and changed by others meanwhile", table.name),
        )
        .with_hint("Run the statement again.")),
    }
}
