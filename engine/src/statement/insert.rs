//! INSERT: a physical plan, once DEFAULT stands for a value.

use datafusion::common::ParamValues;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Insert, Query, SetExpr, Statement as Sql, TableObject, Value,
};

use super::rows;
use crate::definition::ColumnRules;
use crate::parse::{Parsed, name_parts, parse};
use crate::query::{Plan, QueryKind};
use crate::rules::parsed_default;
use crate::scan::format_of;
use crate::session::Session;
use crate::{Error, Result};

pub(super) async fn plan(
    session: &Session,
    statement: &Statement,
    values: Option<ParamValues>,
) -> Result<Plan> {
    let written = with_defaults(session, statement).await?;
    let statement = written.as_ref().unwrap_or(statement);
    rows::plan(session, statement, QueryKind::RowCount, values).await
}

/// The statement with values in the place of DEFAULT, if there is one.
pub(super) async fn with_defaults(
    session: &Session,
    statement: &Statement,
) -> Result<Option<Statement>> {
    let Statement::Statement(sql) = statement else { return Ok(None) };
    let Sql::Insert(insert) = sql.as_ref() else { return Ok(None) };
    if !has_default(insert) {
        return Ok(None);
    }
    let columns = columns(session, insert).await?;
    let mut insert = insert.clone();
    match &mut insert.source {
        None => insert.source = Some(all_defaults(&columns)?),
        Some(query) => {
            let given: Vec<String> = insert.columns.iter().filter_map(last_part).collect();
            put_defaults(query, &columns, &given)?;
        }
    }
    Ok(Some(Statement::Statement(Box::new(Sql::Insert(insert)))))
}

fn last_part(name: &datafusion::sql::sqlparser::ast::ObjectName) -> Option<String> {
    name_parts(name).pop()
}

fn is_default(value: &Expr) -> bool {
    match value {
        Expr::Identifier(ident) => {
            ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default")
        }
        _ => false,
    }
}

/// `DEFAULT VALUES`, or a DEFAULT among the values.
fn has_default(insert: &Insert) -> bool {
    match insert.source.as_deref() {
        None => insert.assignments.is_empty(),
        Some(Query { body, .. }) => match body.as_ref() {
            SetExpr::Values(values) => {
                values.rows.iter().any(|row| row.content.iter().any(is_default))
            }
            _ => false,
        },
    }
}

/// A column's name, and the SQL of its default.
type Column = (String, Option<String>);

async fn columns(session: &Session, insert: &Insert) -> Result<Vec<Column>> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(Error::unsupported("INSERT INTO a function or a query"));
    };
    let table = super::existing_table(session, &name_parts(name)).await?;
    if format_of(&table.spec) != Some(boathouse_catalog::Format::Delta) {
        let columns = table.spec.columns.iter().chain(&table.spec.partition_keys);
        return Ok(columns.map(|column| (column.name.clone(), None)).collect());
    }
    let snapshot = super::alter_table::snapshot(session, &table).await?;
    let schema = snapshot.columns();
    schema
        .fields()
        .map(|column| Ok((column.name.clone(), ColumnRules::of(column)?.default)))
        .collect()
}

fn all_defaults(columns: &[Column]) -> Result<Box<Query>> {
    let values: Vec<&str> =
        columns.iter().map(|(_, default)| default.as_deref().unwrap_or("NULL")).collect();
    let text = format!("VALUES ({})", values.join(", "));
    let Parsed::Sql(statement) = parse(&text)? else {
        return Err(Error::internal("VALUES is a statement"));
    };
    match statement.get() {
        Statement::Statement(sql) => match sql.as_ref() {
            Sql::Query(query) => Ok(query.clone()),
            _ => Err(Error::internal("VALUES is a query")),
        },
        _ => Err(Error::internal("VALUES is SQL")),
    }
}

/// Puts each column's default, or NULL, where DEFAULT stands for it.
fn put_defaults(query: &mut Query, columns: &[Column], given: &[String]) -> Result<()> {
    let SetExpr::Values(values) = query.body.as_mut() else { return Ok(()) };
    for row in &mut values.rows {
        for (position, value) in row.content.iter_mut().enumerate() {
            if is_default(value) {
                *value = default_at(position, columns, given)?;
            }
        }
    }
    Ok(())
}

fn default_at(position: usize, columns: &[Column], given: &[String]) -> Result<Expr> {
    let column = match given.is_empty() {
        true => columns.get(position),
        false => {
            let name = given.get(position);
            columns.iter().find(|(known, _)| Some(known) == name)
        }
    };
    match column.and_then(|(_, default)| default.as_deref()) {
        Some(sql) => parsed_default(sql),
        None => Ok(Expr::value(Value::Null)),
    }
}
