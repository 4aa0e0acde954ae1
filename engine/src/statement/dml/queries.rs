//! Queries about the target, made of a statement's own expressions.

use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, Query, Select, SelectItem, SetExpr, Statement as Sql, TableFactor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::scan::{FILE, ROW};
use crate::{Error, Result};

/// `SELECT 1 FROM from`, to be filled.
pub(super) fn template(from: &str) -> Result<Query> {
    let mut parser =
        Parser::new(&GenericDialect {}).try_with_sql(&format!("SELECT 1 FROM {from}"))?;
    Ok(*parser.parse_query()?)
}

pub(super) fn select_of(query: &mut Query) -> Result<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Ok(select),
        _ => Err(Error::internal("the query is no SELECT")),
    }
}

/// `SELECT items FROM from WHERE filter`.
pub(super) fn query(from: &str, items: Vec<SelectItem>, filter: Option<SqlExpr>) -> Result<Query> {
    let mut query = template(from)?;
    let select = select_of(&mut query)?;
    select.projection = items;
    select.selection = filter;
    Ok(query)
}

/// `*`
pub(super) fn star() -> Result<Vec<SelectItem>> {
    let text = "SELECT * FROM x";
    let mut query = Parser::new(&GenericDialect {}).try_with_sql(text)?.parse_query()?;
    Ok(std::mem::take(&mut select_of(&mut query)?.projection))
}

/// Puts a table in the place of the one that a query reads.
pub(super) fn replace_from(select: &mut Select, table: TableFactor) -> Result<()> {
    match select.from.first_mut() {
        Some(from) => from.relation = table,
        None => return Err(Error::internal("the query has no FROM")),
    }
    Ok(())
}

/// The place of each row of the table that a query knows under `alias`.
pub(super) fn places(alias: &str) -> Vec<SelectItem> {
    [FILE, ROW].map(|name| SelectItem::UnnamedExpr(column(alias, name))).into()
}

/// The expressions under names that no two share.
pub(super) fn numbered(items: impl IntoIterator<Item = SqlExpr>) -> Vec<SelectItem> {
    let item = |(number, expr)| {
        let alias = Ident::with_quote('"', format!("__boathouse_{number}"));
        SelectItem::ExprWithAlias { expr, alias }
    };
    items.into_iter().enumerate().map(item).collect()
}

/// A column of the table that a query knows under `alias`.
pub(super) fn column(alias: &str, name: &str) -> SqlExpr {
    SqlExpr::CompoundIdentifier(vec![Ident::with_quote('"', alias), Ident::with_quote('"', name)])
}

pub(super) async fn planned(state: &SessionState, query: Query) -> Result<LogicalPlan> {
    let statement = Statement::Statement(Box::new(Sql::Query(Box::new(query))));
    Ok(state.statement_to_plan(statement).await?)
}

/// The condition of a planned `SELECT`, over the columns' bare names; `None` where there is none
/// or it was planned as more than a filter.
pub(super) fn condition(plan: &LogicalPlan) -> Option<Expr> {
    let LogicalPlan::Projection(projection) = plan else { return None };
    let LogicalPlan::Filter(filter) = projection.input.as_ref() else { return None };
    Some(unnormalize_col(filter.predicate.clone()))
}

/// The expressions of a `SELECT` over rows as they are, without their names, and what they
/// select from.
pub(super) fn taken_apart(plan: &LogicalPlan) -> Result<(Vec<Expr>, &LogicalPlan)> {
    let LogicalPlan::Projection(projection) = plan else {
        return Err(Error::internal("a SELECT was planned as something else"));
    };
    if let LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) = projection.input.as_ref() {
        return Err(Error::invalid("aggregates and window functions can't be assigned")
            .with_hint("Compute them in a subquery: (SELECT max(x) FROM …)."));
    }
    let exprs = projection.expr.iter().cloned().map(Expr::unalias).collect();
    Ok((exprs, projection.input.as_ref()))
}
