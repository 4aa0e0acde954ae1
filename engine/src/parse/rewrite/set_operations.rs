//! `INTERSECT ALL` and `EXCEPT ALL`, which would be planned as semi joins, with other rows.
//!
//! Both sides are counted together by row, and each row comes back as often as it should.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Query, SetExpr, SetOperator, SetQuantifier, Statement, TableFactor, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::build::take_body;
use crate::functions::COPIES;
use crate::{Error, Result};

/// Names that no column of a user has.
const LEFT: &str = "\"-left\"";
const RIGHT: &str = "\"-right\"";

pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    rewrite_body(&mut query.body)
}

fn rewrite_body(body: &mut SetExpr) -> Result<()> {
    if let SetExpr::Select(select) = body
        && select.top.is_some()
    {
        return Err(Error::unsupported("TOP in a part of a UNION, INTERSECT or EXCEPT")
            .with_hint("Put that SELECT into parentheses."));
    }
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return Ok(()) };
    rewrite_body(left)?;
    rewrite_body(right)?;
    let copies = match (&op, &set_quantifier) {
        (SetOperator::Intersect, SetQuantifier::All) => format!("least({LEFT}, {RIGHT})"),
        (SetOperator::Except | SetOperator::Minus, SetQuantifier::All) => {
            format!("{LEFT} - {RIGHT}")
        }
        _ => return Ok(()),
    };
    *body = counted(&copies, take_body(left), take_body(right))?;
    Ok(())
}

/// The rows of both sides, each as often as `copies` says.
fn counted(copies: &str, left: SetExpr, right: SetExpr) -> Result<SetExpr> {
    let sql = format!(
        "SELECT * EXCLUDE ({LEFT}, {RIGHT}, \"-copy\") FROM ( \
         SELECT *, unnest({COPIES}({copies})) AS \"-copy\" FROM ( \
         SELECT * EXCLUDE ({LEFT}, {RIGHT}), sum({LEFT}) AS {LEFT}, sum({RIGHT}) AS {RIGHT} FROM ( \
         SELECT *, 1 AS {LEFT}, 0 AS {RIGHT} FROM (SELECT 1) AS a \
         UNION ALL SELECT *, 0, 1 FROM (SELECT 2) AS b) AS u GROUP BY ALL) AS c) AS d"
    );
    let mut statements = Parser::parse_sql(&GenericDialect {}, &sql)?;
    let Some(Statement::Query(mut query)) = statements.pop() else {
        return Err(Error::internal("a rewritten query is none"));
    };
    let mut sides = Sides { left: Some(left), right: Some(right) };
    let _ = query.visit(&mut sides);
    Ok(*query.body)
}

/// Puts the two sides where the template has them.
struct Sides {
    left: Option<SetExpr>,
    right: Option<SetExpr>,
}

impl VisitorMut for Sides {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, alias: Some(alias), .. } = factor {
            let side = match alias.name.value.as_str() {
                "a" => self.left.take(),
                "b" => self.right.take(),
                _ => None,
            };
            if let Some(side) = side {
                *subquery.body = side;
            }
        }
        ControlFlow::Continue(())
    }
}
