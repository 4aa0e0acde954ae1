//! SELECT and INSERT: statements that are a physical plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::{ParamValues, TableReference};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{LogicalPlan, TableType};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Insert, Statement as Sql, TableObject};

use super::Action;
use crate::commit::AppTransaction;
use crate::parse::name_parts;
use crate::query::{Parameter, Plan, QueryKind, RowsPlan};
use crate::resolve::resolve;
use crate::rows::without_views;
use crate::session::Session;
use crate::{Error, Result};

pub(super) async fn plan(
    session: &Session,
    statement: &Statement,
    kind: QueryKind,
    values: Option<ParamValues>,
) -> Result<Plan> {
    plan_in(session, session.query_state(), statement, kind, values).await
}

/// An INSERT that is done once.
pub(super) async fn plan_once(
    session: &Session,
    statement: &Statement,
    transaction: &AppTransaction,
    values: Option<ParamValues>,
) -> Result<Plan> {
    let mut state = session.query_state();
    state.config_mut().set_extension(Arc::new(transaction.clone()));
    plan_in(session, state, statement, QueryKind::RowCount, values).await
}

async fn plan_in(
    session: &Session,
    mut state: SessionState,
    statement: &Statement,
    kind: QueryKind,
    values: Option<ParamValues>,
) -> Result<Plan> {
    let sources = resolve(session, &mut state, statement).await?;
    let logical = match state.statement_to_plan(statement.clone()).await {
        Ok(logical) => logical,
        Err(error) => return Err(insert_error(&state, statement, error.into()).await),
    };
    check_target(&logical)?;
    let parameters = parameters([&logical])?;
    let logical = match values {
        Some(values) => logical.replace_params_with_values(&values)?,
        None if parameters.is_empty() => logical,
        None => {
            let schema = without_views(logical.schema().as_arrow());
            return Ok(Plan { kind, schema, parameters, action: Action::Unbound });
        }
    };
    let physical =
        state.create_physical_plan(&logical).await.map_err(|error| sources.name(error.into()))?;
    sources.add_files(&physical);
    let schema = physical.schema();
    let plan = RowsPlan { physical, context: state.task_ctx(), sources };
    Ok(Plan { kind, schema, parameters: Vec::new(), action: Action::Rows(Box::new(plan)) })
}

/// Says how many columns there are where an INSERT has another number of values.
async fn insert_error(state: &SessionState, statement: &Statement, error: Error) -> Error {
    let text = error.to_string();
    let signs =
        ["Column count doesn't match insert query", "Inconsistent data length across values"];
    if !signs.iter().any(|sign| text.contains(sign)) {
        return error;
    }
    match counts(state, statement).await {
        Some((table, columns, values)) => {
            Error::invalid(format!("table \"{table}\" takes {columns}, and a row has {values}"))
                .with_hint("Name the columns: INSERT INTO t (a, b) …; the others become NULL.")
        }
        None => error,
    }
}

/// The table of an INSERT, what it takes, and how many values a row has.
async fn counts(state: &SessionState, statement: &Statement) -> Option<(String, String, usize)> {
    let Statement::Statement(sql) = statement else { return None };
    let Sql::Insert(Insert { table: TableObject::TableName(table), columns, source, .. }) =
        sql.as_ref()
    else {
        return None;
    };
    let query = Statement::Statement(Box::new(Sql::Query(source.clone()?)));
    let source = state.statement_to_plan(query).await.ok()?;
    let columns = match columns.len() {
        0 => {
            let reference = TableReference::parse_str(&table.to_string());
            let schema = state.schema_for_ref(reference.clone()).ok()?;
            let table = schema.table(reference.table()).await.ok()??;
            plural(table.schema().fields().len())
        }
        named => format!("the {} named", plural(named)),
    };
    Some((name_parts(table).join("."), columns, source.schema().fields().len()))
}

fn plural(columns: usize) -> String {
    if columns == 1 { "1 column".into() } else { format!("{columns} columns") }
}

/// Rows can't be put into a view.
fn check_target(plan: &LogicalPlan) -> Result<()> {
    let LogicalPlan::Dml(dml) = plan else { return Ok(()) };
    if dml.target.table_type() == TableType::View {
        let name = &dml.table_name;
        return Err(Error::invalid(format!(
            "\"{}.{}\" is a view",
            name.schema().unwrap_or("default"),
            name.table()
        ))
        .with_hint("Insert into the table under it."));
    }
    Ok(())
}

/// The parameters of plans by number, or by name where they have names.
pub(super) fn parameters<'a>(
    plans: impl IntoIterator<Item = &'a LogicalPlan>,
) -> Result<Vec<Parameter>> {
    let mut types = BTreeMap::new();
    for plan in plans {
        for (name, data_type) in plan.get_parameter_types()? {
            let known = types.entry(name).or_insert(None);
            *known = known.take().or(data_type);
        }
    }
    let mut parameters: Vec<Parameter> = types
        .into_iter()
        .map(|(name, data_type)| Parameter {
            name,
            data_type: data_type.unwrap_or(arrow::datatypes::DataType::Null),
        })
        .collect();
    let number = |parameter: &Parameter| parameter.name.trim_start_matches('$').parse::<u32>().ok();
    parameters.sort_by(|a, b| (number(a), &a.name).cmp(&(number(b), &b.name)));
    let numbers: Vec<u32> = parameters.iter().filter_map(number).collect();
    let gap = numbers.iter().zip(1..).find(|(number, expected)| **number != *expected);
    match gap {
        Some((_, missing)) => Err(Error::invalid(format!("parameter ${missing} is not used"))
            .with_hint("Number the parameters from $1 without gaps, or write ? for each.")),
        None => Ok(parameters),
    }
}
