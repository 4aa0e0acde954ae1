//! Text files in which a text stands for NULL: read as strings, and cast to the columns' types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::Session as PlanSession;
use datafusion::common::{Column, DFSchema};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::functions::core::expr_fn::nullif;
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use crate::{Error, Result};

/// The layout with columns of strings; partition keys keep their types.
pub(super) fn as_text(layout: &TableSchema) -> TableSchema {
    let fields: Vec<Field> = layout
        .file_schema()
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), DataType::Utf8, true))
        .collect();
    TableSchema::builder(Arc::new(Schema::new(fields)))
        .with_table_partition_cols(layout.table_partition_cols().clone())
        .build()
}

/// The strings that `scan` gives as the columns of `wanted`; the text `null` is NULL.
pub(super) fn typed(
    state: &dyn PlanSession,
    scan: Arc<dyn ExecutionPlan>,
    wanted: &Schema,
    null: &str,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = scan.schema();
    let columns = DFSchema::try_from(schema.as_ref().clone())?;
    let exprs = wanted
        .fields()
        .iter()
        .zip(schema.fields())
        .map(|(field, read)| {
            let column = Expr::Column(Column::from_name(field.name()));
            let expr = match read.data_type() {
                DataType::Utf8 => cast(nullif(column, lit(null)), castable(field)?),
                _ => column,
            };
            let expr = state.create_physical_expr(expr, &columns)?;
            Ok(ProjectionExpr { expr, alias: field.name().clone() })
        })
        .collect::<Result<Vec<ProjectionExpr>>>()?;
    Ok(Arc::new(ProjectionExec::try_new(exprs, scan)?))
}

fn castable(field: &Field) -> Result<DataType> {
    match field.data_type() {
        nested if nested.is_nested() => Err(Error::unsupported(format!(
            "column \"{}\" of type {nested} in text files",
            field.name()
        ))
        .with_hint("Leave the column out of the query.")),
        plain => Ok(plain.clone()),
    }
}
