//! NOT IN (subquery) beside OR, where NULLs are about.
//!
//! DataFusion plans a NOT IN that stands alone in a WHERE with regard to NULLs. One that is part of
//! a larger condition becomes a join that marks rows, and there "unknown" counts as "not in": rows
//! are kept, or deleted, that no condition asked for.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder};
use datafusion::logical_expr::{Operator, Subquery};
use datafusion::optimizer::AnalyzerRule;

use crate::Error;

/// Says of each such NOT IN when it is true, in terms that have no unknown.
#[derive(Debug)]
pub(crate) struct NotIn;

impl AnalyzerRule for NotIn {
    fn name(&self) -> &str {
        "not_in"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Filter(filter) if has_in(&filter.predicate) => {
                Ok(Transformed::yes(LogicalPlan::Filter(with_nulls(filter)?)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(rewritten.data)
    }
}

fn has_in(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_)))).unwrap_or(true)
}

fn with_nulls(filter: Filter) -> Result<Filter> {
    let conditions = split_conjunction_owned(filter.predicate)
        .into_iter()
        .map(|condition| match is_alone(&condition) {
            true => Ok(condition),
            false => when_true(condition, false, filter.input.schema()),
        })
        .collect::<Result<Vec<Expr>>>()?;
    let predicate = conjunction(conditions)
        .ok_or_else(|| DataFusionError::from(Error::internal("a filter has no condition")))?;
    Filter::try_new(predicate, filter.input)
}

/// Whether DataFusion makes a join of its own of the condition.
fn is_alone(condition: &Expr) -> bool {
    match condition {
        Expr::Not(inner) => is_alone(inner),
        Expr::InSubquery(_) => true,
        other => !has_in(other),
    }
}

/// A condition that is true when `expr`, or its negation, is. Where that is unknown, it is false.
fn when_true(expr: Expr, negated: bool, schema: &DFSchema) -> Result<Expr> {
    match expr {
        Expr::Not(inner) => when_true(*inner, !negated, schema),
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let left = when_true(*left, negated, schema)?;
            let right = when_true(*right, negated, schema)?;
            Ok(match (op == Operator::And) != negated {
                true => left.and(right),
                false => left.or(right),
            })
        }
        Expr::InSubquery(found) => {
            let negated = found.negated != negated;
            let found = InSubquery { negated, ..found };
            match negated && may_be_unknown(&found, schema)? {
                true => not_in(found),
                false => Ok(Expr::InSubquery(found)),
            }
        }
        other if has_in(&other) => {
            Err(Error::unsupported("IN (subquery) within an expression other than AND, OR and NOT")
                .with_hint("Compute it in a join, or write EXISTS (SELECT … WHERE …).")
                .into())
        }
        other if negated => Ok(!other),
        other => Ok(other),
    }
}

fn may_be_unknown(found: &InSubquery, schema: &DFSchema) -> Result<bool> {
    use datafusion::logical_expr::ExprSchemable as _;
    let column = found.subquery.subquery.schema().fields().first();
    // A column of a query around this one is not in the schema.
    let value = found.expr.nullable(schema).unwrap_or(true);
    Ok(value || column.is_none_or(|column| column.is_nullable()))
}

/// No rows, or a value that is known, rows without NULL and none of them equal.
fn not_in(found: InSubquery) -> Result<Expr> {
    let of = |plan: Arc<LogicalPlan>| {
        let subquery = Subquery { subquery: plan, ..found.subquery.clone() };
        Expr::Exists(Exists::new(subquery, true))
    };
    let rows = found.subquery.subquery.clone();
    let value = rows.schema().columns().into_iter().next().map(Expr::Column);
    let value =
        value.ok_or_else(|| DataFusionError::from(Error::internal("IN without a column")))?;
    let unknown = LogicalPlanBuilder::from(rows.clone()).filter(value.is_null())?.build()?;
    let is_known = found.expr.as_ref().clone().is_not_null();
    let (is_empty, has_no_null) = (of(rows), of(Arc::new(unknown)));
    Ok(is_empty.or(is_known.and(has_no_null).and(Expr::InSubquery(found))))
}
