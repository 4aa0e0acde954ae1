//! The range of the source's keys: rows of the target outside of it have no partner.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::common::{Column, ExprSchema, ScalarValue, TableReference};
use datafusion::functions_aggregate::min_max::{max, min};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Join, LogicalPlanBuilder, Operator, lit,
};
use futures::TryStreamExt;

use super::super::execution::Execution;
use crate::Result;

/// A column of the target, and what it is equal to in the source.
struct Key {
    column: Column,
    source: Expr,
}

/// A condition that each row of the target satisfies which has a partner; `None` if nothing is
/// known.
pub(super) async fn of_keys(
    run: &Execution<'_>,
    target: &str,
    join: &Join,
) -> Result<Option<Expr>> {
    let keys = keys(target, join)?;
    if keys.is_empty() {
        return Ok(None);
    }
    let bounds = keys.iter().enumerate().flat_map(|(number, key)| {
        let (low, high) = (min(key.source.clone()), max(key.source.clone()));
        [low.alias(format!("low_{number}")), high.alias(format!("high_{number}"))]
    });
    let bounds: Vec<Expr> = bounds.collect();
    let plan = LogicalPlanBuilder::from(join.right.as_ref().clone())
        .aggregate(Vec::<Expr>::new(), bounds)?
        .build()?;
    let found: Vec<RecordBatch> = run.rows(&plan).await?.try_collect().await?;
    let Some(row) = found.iter().find(|batch| batch.num_rows() == 1) else { return Ok(None) };
    let bound = |column: usize| ScalarValue::try_from_array(row.column(column), 0);
    let mut conditions = Vec::new();
    for (number, key) in keys.into_iter().enumerate() {
        let (low, high) = (bound(2 * number)?, bound(2 * number + 1)?);
        if low.is_null() {
            // There is no key but NULL, which is equal to nothing.
            return Ok(Some(lit(false)));
        }
        conditions.push(Expr::Column(key.column).between(lit(low), lit(high)));
    }
    Ok(conjunction(conditions))
}

fn keys(target: &str, join: &Join) -> Result<Vec<Key>> {
    let side = TableReference::bare(target);
    let mut keys = Vec::new();
    for condition in join.filter.iter().flat_map(split_conjunction) {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
            continue;
        };
        for (column, source) in [(left, right), (right, left)] {
            let Expr::Column(column) = column.as_ref() else { continue };
            let is_source = !source.column_refs().is_empty()
                && source.column_refs().iter().all(|of| of.relation.as_ref() != Some(&side))
                && !source.is_volatile();
            if column.relation.as_ref() != Some(&side) || !is_source {
                continue;
            }
            let own = join.left.schema().data_type(column)?.clone();
            if is_alike(&own, &source.get_type(join.right.schema())?) {
                keys.push(Key { column: column.clone(), source: source.as_ref().clone() });
            }
        }
    }
    Ok(keys)
}

/// Whether values of both types are compared as they are ordered.
fn is_alike(own: &DataType, other: &DataType) -> bool {
    let is_text =
        |of: &DataType| matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    own.is_integer() && other.is_integer()
        || is_text(own) && is_text(other)
        || own == other && matches!(own, DataType::Date32 | DataType::Timestamp(..))
}
