//! Rows that are there, checked before a constraint is added.

use arrow::array::RecordBatch;
use boathouse_catalog::Table;
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt;

use crate::definition::Check;
use crate::parse::{Parsed, parse};
use crate::query::QueryKind;
use crate::rules::{shown, spelled};
use crate::session::Session;
use crate::statement::table_ddl::quoted;
use crate::statement::{Action, rows};
use crate::{Error, Result};

/// What each row has to meet.
pub(super) struct Condition {
    /// What to say of it.
    name: String,
    /// True for a row that doesn't.
    violation: String,
}

impl Condition {
    pub(super) fn not_null(column: &str) -> Self {
        Self {
            name: format!("NOT NULL of column \"{column}\""),
            violation: format!("{} IS NULL", always_quoted(column)),
        }
    }

    pub(super) fn check(check: &Check) -> Self {
        Self {
            name: format!("CHECK constraint \"{}\" ({})", check.name, check.sql),
            violation: format!("NOT ({})", check.sql),
        }
    }
}

fn always_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Reads the whole table; the first row that doesn't meet the condition is an error.
pub(super) async fn check(session: &Session, table: &Table, condition: &Condition) -> Result<()> {
    let schema = super::snapshot(session, table).await?.schema.clone();
    let violation = spelled(&condition.violation, &schema)?;
    let name = &table.name;
    let name = format!("{}.{}", always_quoted(name.database()), always_quoted(name.table()));
    let sql = format!("SELECT * FROM {name} WHERE {violation} LIMIT 1");
    let Parsed::Sql(statement) = parse(&sql)? else {
        return Err(Error::internal("SELECT is a statement"));
    };
    let planned = rows::plan(session, statement.get(), QueryKind::Rows, None).await?;
    let Action::Rows(plan) = planned.action else {
        return Err(Error::internal("SELECT is a plan"));
    };
    let stream = execute_stream(plan.physical.clone(), plan.context.clone())?;
    let found: Vec<RecordBatch> = plan.sources.name_in_errors(stream).try_collect().await?;
    match found.iter().find(|batch| batch.num_rows() > 0) {
        None => Ok(()),
        Some(batch) => {
            let row = shown(batch, 0);
            let name = &condition.name;
            Err(Error::invalid(format!("{name} is violated by the row {row}")).with_hint(format!(
                "Find them all: SELECT * FROM {} WHERE {violation}",
                shown_name(table)
            )))
        }
    }
}

fn shown_name(table: &Table) -> String {
    format!("{}.{}", quoted(table.name.database()), quoted(table.name.table()))
}
