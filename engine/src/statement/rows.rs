//! SELECT and INSERT: statements that are a physical plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::ParamValues;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{LogicalPlan, TableType};
use datafusion::sql::parser::Statement;

use super::Action;
use crate::commit::AppTransaction;
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
    let logical = state.statement_to_plan(statement.clone()).await?;
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
