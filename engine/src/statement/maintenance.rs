//! Statements about a table's past and its files: which is which.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use boathouse_catalog::Table;

use super::history;
use super::restore;
use crate::parse::Maintenance;
use crate::query::Plan;
use crate::resolve::not_found;
use crate::session::Session;
use crate::{Error, Result};

pub(super) async fn plan(session: &Session, statement: &Maintenance) -> Result<Plan> {
    match statement {
        Maintenance::History { table, limit } => history::plan(session, table, *limit).await,
        Maintenance::Detail { table } => history::plan_detail(session, table).await,
        Maintenance::Restore { table, to } => restore::plan(session, table, to).await,
        other => Err(Error::unsupported(format!("{other:?}"))),
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
