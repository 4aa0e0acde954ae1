//! The change data of tables with `delta.enableChangeDataFeed`: what a statement did to each row,
//! in files of its own.
//!
//! A commit that only adds or only removes files needs none: readers take its rows as inserted or
//! deleted.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use deltalake::kernel::AddCDCFile;
use futures::Stream;

use super::execution::Execution;
use super::target::TargetTable;
use crate::rules::Rules;
use crate::write::{FILE_BYTES, Place, write_files};
use crate::{Error, Result};

/// The column that says what became of a row.
const CHANGE: &str = "_change_type";
const FOLDER: &str = "_change_data/";

pub(super) const INSERT: &str = "insert";
pub(super) const DELETE: &str = "delete";
pub(super) const BEFORE: &str = "update_preimage";
pub(super) const AFTER: &str = "update_postimage";

/// The rows of a plan, which has the target's columns, with what became of them.
pub(super) fn labelled(rows: LogicalPlan, change: &str) -> Result<LogicalPlan> {
    let columns = rows.schema().columns().into_iter().map(Expr::Column);
    let columns: Vec<Expr> = columns.chain([lit(change).alias(CHANGE)]).collect();
    Ok(LogicalPlanBuilder::from(rows).project(columns)?.build()?)
}

/// The batch, which has the target's columns, with what became of its rows.
pub(super) fn labelled_batch(rows: &RecordBatch, change: &str) -> Result<RecordBatch> {
    let schema = rows.schema();
    let label = Arc::new(Field::new(CHANGE, DataType::Utf8, true));
    let fields: Vec<_> = schema.fields().iter().cloned().chain([label]).collect();
    let labels = Arc::new(StringArray::from(vec![change; rows.num_rows()]));
    let mut columns = rows.columns().to_vec();
    columns.push(labels);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Writes labelled rows as change data of the target.
pub(super) async fn write(
    run: &Execution<'_>,
    target: &TargetTable,
    rows: impl Stream<Item = Result<RecordBatch>>,
) -> Result<Vec<AddCDCFile>> {
    let delta = &target.files.delta;
    let folder = delta.url.join(FOLDER);
    let folder = folder.map_err(|error| Error::internal(format!("a table's folder: {error}")))?;
    if delta.mapping.is_some() {
        return Err(Error::unsupported("changes of a table with the Delta feature columnMapping"));
    }
    let place = Place {
        location: folder,
        keys: delta.partition_columns.clone(),
        clustering: Vec::new(),
        physical: None,
        file_bytes: FILE_BYTES,
    };
    let rules = Rules::of_schema(schema(&delta.schema));
    let adds = write_files(run.shared(), &place, &rules, rows).await?.adds;
    let file = |add: deltalake::kernel::Add| AddCDCFile {
        path: format!("{FOLDER}{}", add.path),
        size: add.size,
        partition_values: add.partition_values,
        data_change: false,
        tags: None,
    };
    Ok(adds.into_iter().map(file).collect())
}

fn schema(table: &SchemaRef) -> SchemaRef {
    let label = Arc::new(Field::new(CHANGE, DataType::Utf8, true));
    Arc::new(Schema::new(table.fields().iter().cloned().chain([label]).collect::<Vec<_>>()))
}
