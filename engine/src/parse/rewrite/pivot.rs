//! PIVOT as aggregates with FILTER, UNPIVOT as a UNION ALL.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ExprWithAlias, Ident, NullInclusion, PivotValueSource, Query, SetExpr, Statement,
    TableAlias, TableFactor, Value, visit_expressions,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::super::fold;
use crate::{Error, Result};

pub(super) fn rewrite(factor: &mut TableFactor) -> Result<()> {
    let (query, alias) = match factor {
        TableFactor::Pivot {
            table,
            aggregate_functions,
            value_column,
            value_source,
            default_on_null,
            alias,
        } => {
            if default_on_null.is_some() {
                return Err(Error::unsupported("DEFAULT ON NULL in PIVOT")
                    .with_hint("Use coalesce() in the outer SELECT."));
            }
            let query = pivoted(table, aggregate_functions, value_column, value_source)?;
            (query, alias.take())
        }
        TableFactor::Unpivot { table, value, name, columns, null_inclusion, alias } => {
            let with_nulls = matches!(null_inclusion, Some(NullInclusion::IncludeNulls));
            (unpivoted(table, value, name, columns, with_nulls)?, alias.take())
        }
        _ => return Ok(()),
    };
    *factor = derived(query, alias);
    Ok(())
}

fn derived(query: Query, alias: Option<TableAlias>) -> TableFactor {
    TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None }
}

/// Reads a query that selects from `x`, and puts the table in the place of each such.
fn over(sql: &str, table: &TableFactor) -> Result<Query> {
    let mut statements = Parser::parse_sql(&GenericDialect {}, sql)?;
    let Some(Statement::Query(mut query)) = statements.pop() else {
        return Err(Error::internal("a rewritten query is none"));
    };
    put(&mut query.body, table);
    Ok(*query)
}

fn put(body: &mut SetExpr, table: &TableFactor) {
    match body {
        SetExpr::Select(select) => {
            for from in &mut select.from {
                from.relation = table.clone();
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            put(left, table);
            put(right, table);
        }
        _ => {}
    }
}

fn column(expr: &Expr) -> Result<&Ident> {
    match expr {
        Expr::Identifier(name) => Ok(name),
        Expr::CompoundIdentifier(parts) => {
            parts.last().ok_or_else(|| Error::internal("a name without parts"))
        }
        other => Err(Error::invalid(format!("{other} is no column"))
            .with_hint("PIVOT and UNPIVOT take names of columns here.")),
    }
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// One row for each combination of the columns that aren't named, one column for each value.
fn pivoted(
    table: &TableFactor,
    aggregates: &[ExprWithAlias],
    value_column: &[Expr],
    values: &PivotValueSource,
) -> Result<Query> {
    let PivotValueSource::List(values) = values else {
        return Err(Error::unsupported("PIVOT without a list of values")
            .with_hint("Write the values: FOR column IN ('a', 'b')."));
    };
    let [by] = value_column else {
        return Err(Error::unsupported("PIVOT by more than one column")
            .with_hint("Put the columns together in a subquery."));
    };
    let mut named = vec![fold(column(by)?)];
    for aggregate in aggregates {
        add_columns(&aggregate.expr, &mut named);
    }
    let mut items = Vec::new();
    for value in values {
        for aggregate in aggregates {
            let name = pivot_name(value, aggregate, aggregates.len())?;
            let filtered = filtered(aggregate, by, &value.expr)?;
            items.push(format!("{filtered} AS {}", quoted(&name)));
        }
    }
    let named: Vec<String> = named.iter().map(|name| quoted(name).to_string()).collect();
    let sql = format!(
        "SELECT * EXCLUDE ({}), {} FROM x GROUP BY ALL",
        named.join(", "),
        items.join(", ")
    );
    over(&sql, table)
}

/// Adds the columns that an expression names.
fn add_columns(expr: &Expr, names: &mut Vec<String>) {
    let _ = visit_expressions(expr, |expr| {
        if let Expr::Identifier(_) | Expr::CompoundIdentifier(_) = expr
            && let Ok(name) = column(expr)
            && !names.contains(&fold(name))
        {
            names.push(fold(name));
        }
        ControlFlow::<()>::Continue(())
    });
}

fn pivot_name(value: &ExprWithAlias, aggregate: &ExprWithAlias, of: usize) -> Result<String> {
    let value = match (&value.alias, &value.expr) {
        (Some(alias), _) => fold(alias),
        (None, Expr::Value(literal)) => match &literal.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string().to_lowercase(),
        },
        (None, other) => other.to_string(),
    };
    match &aggregate.alias {
        Some(alias) => Ok(format!("{value}_{}", fold(alias))),
        None if of == 1 => Ok(value),
        None => Err(Error::invalid("the aggregates of PIVOT need names where there are several")
            .with_hint("Write sum(a) AS total, count(*) AS n.")),
    }
}

fn filtered(aggregate: &ExprWithAlias, by: &Expr, value: &Expr) -> Result<String> {
    let Expr::Function(function) = &aggregate.expr else {
        return Err(Error::invalid(format!("{} is no aggregate", aggregate.expr)));
    };
    let condition = format!("{by} IS NOT DISTINCT FROM {value}");
    let condition = match &function.filter {
        Some(filter) => format!("({filter}) AND {condition}"),
        None => condition,
    };
    let mut function = function.clone();
    function.filter = None;
    Ok(format!("{function} FILTER (WHERE {condition})"))
}

/// One row for each of the columns.
fn unpivoted(
    table: &TableFactor,
    value: &Expr,
    name: &Ident,
    columns: &[ExprWithAlias],
    with_nulls: bool,
) -> Result<Query> {
    let value = column(value)?;
    let names: Vec<&Ident> =
        columns.iter().map(|named| column(&named.expr)).collect::<Result<_>>()?;
    let excluded: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let selects: Vec<String> = names
        .iter()
        .zip(columns)
        .map(|(source, named)| {
            let label = named.alias.as_ref().map_or_else(|| fold(source), fold);
            let kept =
                if with_nulls { String::new() } else { format!(" WHERE {source} IS NOT NULL") };
            format!(
                "SELECT * EXCLUDE ({}), '{}' AS {name}, {source} AS {value} FROM x{kept}",
                excluded.join(", "),
                label.replace('\'', "''")
            )
        })
        .collect();
    over(&selects.join(" UNION ALL "), table)
}
