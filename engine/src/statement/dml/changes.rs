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
use crate::engine::Shared;
use crate::rules::Rules;
use crate::write::Place;
use crate::{Error, Result, write};

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

/// Refuses new rows for change data of a table whose columns get their values when files are
/// written.
pub(super) fn check(shared: &Shared, target: &TargetTable, statement: &str) -> Result<()> {
    let files = &target.files;
    if files.has_change_feed() && files.delta.rules(shared)?.has_computed_columns() {
        return Err(Error::unsupported(format!(
            "{statement} table \"{}\", which has change data and generated or identity columns",
            target.name
        ))
        .with_hint("Turn its property delta.enableChangeDataFeed off."));
    }
    Ok(())
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
    let own = Place::of(run.shared(), delta).await?;
    let physical = own.physical.as_ref().map(schema);
    let place = Place { location: folder, clustering: Vec::new(), physical, ..own };
    let rules = Rules::of_schema(schema(&delta.schema));
    let written = write::write_files(run.shared(), &place, &rules, rows).await?;
    let file = |add: deltalake::kernel::Add| AddCDCFile {
        path: format!("{FOLDER}{}", add.path),
        size: add.size,
        partition_values: add.partition_values,
        data_change: false,
        tags: None,
    };
    Ok(written.adds.into_iter().map(file).collect())
}

fn schema(table: &SchemaRef) -> SchemaRef {
    let label = Arc::new(Field::new(CHANGE, DataType::Utf8, true));
    Arc::new(Schema::new(table.fields().iter().cloned().chain([label]).collect::<Vec<_>>()))
}
