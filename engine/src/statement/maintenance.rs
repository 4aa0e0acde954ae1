//! Statements about a table's past and its files: which is which.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use boathouse_catalog::Table;

use super::{analyze, convert, history, optimize, restore, vacuum};
use crate::Result;
use crate::compact::Wish;
use crate::parse::Maintenance;
use crate::query::Plan;
use crate::resolve::not_found;
use crate::session::Session;

pub(super) async fn plan(session: &Session, statement: &Maintenance) -> Result<Plan> {
    match statement {
        Maintenance::History { table, limit } => history::plan(session, table, *limit).await,
        Maintenance::Detail { table } => history::plan_detail(session, table).await,
        Maintenance::Restore { table, to } => restore::plan(session, table, to).await,
        Maintenance::Optimize { table, predicate, order } => {
            let wish = Wish { predicate: predicate.clone(), order: order.clone() };
            optimize::plan(session, table, wish).await
        }
        Maintenance::Vacuum { table, retain_hours, dry_run } => {
            let wish = vacuum::Wish { retain_hours: *retain_hours, dry_run: *dry_run };
            vacuum::plan(session, table, wish).await
        }
        Maintenance::Analyze { table, columns } => analyze::plan(session, table, columns).await,
        Maintenance::Convert { what, keys } => convert::plan(session, what, keys).await,
    }
}

/// The catalog's record of the table that a statement names.
pub(super) async fn find_table(session: &Session, name: &[String]) -> Result<Table> {
    let name = session.table_name(name)?;
    match session.catalog().table(&name).await {
        Ok(table) => Ok(table),
        Err(error) => Err(not_found(session, &name, error.into()).await),
    }
}

/// A schema of columns that may be NULL.
pub(super) fn schema_of(columns: &[(&str, DataType)]) -> SchemaRef {
    let fields = columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

pub(super) fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<Vec<RecordBatch>> {
    Ok(vec![RecordBatch::try_new(schema.clone(), columns)?])
}

/// A moment, in UTC.
pub(super) fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}
