//! `INTERSECT ALL` and `EXCEPT ALL`, which would be planned as semi joins, with other rows.

use datafusion::sql::sqlparser::ast::{Query, SetExpr, SetOperator, SetQuantifier};

use crate::{Error, Result};

pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    check(&query.body)
}

fn check(body: &SetExpr) -> Result<()> {
    match body {
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            let wrong =
                matches!(op, SetOperator::Intersect | SetOperator::Except | SetOperator::Minus);
            if wrong && *set_quantifier == SetQuantifier::All {
                return Err(Error::unsupported(format!("{op} ALL"))
                    .with_hint(format!("Use {op}, which leaves duplicates out.")));
            }
            check(left)?;
            check(right)
        }
        SetExpr::Select(select) if select.top.is_some() => {
            Err(Error::unsupported("TOP in a part of a UNION, INTERSECT or EXCEPT")
                .with_hint("Put that SELECT into parentheses."))
        }
        _ => Ok(()),
    }
}
