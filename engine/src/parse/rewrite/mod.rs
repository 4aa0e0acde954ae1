//! Syntax of PostgreSQL and Redshift that DataFusion doesn't plan, put as syntax that it does.
//!
//! The tree is changed before anything is planned, so that views, EXPLAIN and CREATE TABLE AS have
//! it too. What can't be put rightly is refused here.

mod build;
mod casts;
mod functions;
mod intervals;
mod limits;
mod operators;
mod pivot;
mod set_operations;

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Query, Select, TableFactor, Value, ValueWithSpan, VisitMut, VisitorMut,
};

use crate::{Error, Result};

/// Changes the statement in place.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Statement(sql) => match sql.visit(&mut Rewrite) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        },
        Statement::Explain(explain) => rewrite(&mut explain.statement),
        _ => Ok(()),
    }
}

struct Rewrite;

fn flow(result: Result<()>) -> ControlFlow<Error> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl VisitorMut for Rewrite {
    type Break = Error;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        flow(limits::rewrite(query).and_then(|()| set_operations::rewrite(query)))
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        flow(limits::check(select))
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        flow(pivot::rewrite(factor))
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        operators::sign_first(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        flow(match expr {
            Expr::Function(_) | Expr::Identifier(_) | Expr::Extract { .. } => {
                functions::rewrite(expr)
            }
            Expr::Cast { .. } | Expr::TypedString(_) => casts::rewrite(expr),
            Expr::Interval(interval) => intervals::rewrite(interval),
            Expr::SimilarTo { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::BinaryOp { .. } => operators::rewrite(expr),
            _ => Ok(()),
        })
    }

    fn post_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Error> {
        if let Value::UnicodeStringLiteral(text) | Value::NationalStringLiteral(text) =
            &mut value.value
        {
            value.value = Value::SingleQuotedString(std::mem::take(text));
        }
        ControlFlow::Continue(())
    }
}
