//! `TOP n` and `FETCH FIRST n ROWS` as LIMIT.

use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, Query, Select, SetExpr, Top, TopQuantity,
};

use super::build::number;
use crate::{Error, Result};

pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    if let Some(fetch) = query.fetch.take() {
        if fetch.with_ties || fetch.percent {
            return Err(ties_or_percent("FETCH"));
        }
        limit(query, fetch.quantity.unwrap_or_else(|| number(1)), "FETCH")?;
    }
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(top) = select.top.take()
    {
        limit(query, quantity(top)?, "TOP")?;
    }
    Ok(())
}

/// The SELECTs of a UNION have an order of their own only in parentheses.
pub(super) fn check(select: &mut Select) -> Result<()> {
    match &select.top {
        Some(top) if top.percent || top.with_ties => Err(ties_or_percent("TOP")),
        _ => Ok(()),
    }
}

fn ties_or_percent(word: &str) -> Error {
    Error::unsupported(format!("{word} with PERCENT or WITH TIES"))
        .with_hint("Use QUALIFY rank() OVER (ORDER BY …) <= n.")
}

fn quantity(top: Top) -> Result<Expr> {
    match top.quantity {
        Some(TopQuantity::Constant(count)) => Ok(number(count)),
        Some(TopQuantity::Expr(count)) => Ok(count),
        None => Err(Error::invalid("TOP lacks the number of rows")),
    }
}

fn limit(query: &mut Query, count: Expr, word: &str) -> Result<()> {
    match &mut query.limit_clause {
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: Some(count),
                offset: None,
                limit_by: Vec::new(),
            });
            Ok(())
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => {
            *limit = Some(count);
            Ok(())
        }
        Some(_) => Err(Error::invalid(format!("a query has both {word} and LIMIT"))),
    }
}
