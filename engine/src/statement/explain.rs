//! EXPLAIN and EXPLAIN ANALYZE: the plan with what each scan leaves out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser::{ExplainStatement, Statement};
use datafusion::sql::sqlparser::ast::Statement as Sql;
use futures::TryStreamExt;

use super::{Action, Command, dml, insert, listing, rows, text_batch, text_columns};
use crate::query::{Plan, QueryKind};
use crate::resolve::{Sources, resolve};
use crate::scan::report_of;
use crate::session::Session;
use crate::{Error, Result};

struct Explain {
    schema: SchemaRef,
    rows: Vec<Vec<Option<String>>>,
}

struct ExplainAnalyze {
    schema: SchemaRef,
    physical: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    sources: Arc<Sources>,
    verbose: bool,
}

pub(super) async fn plan(session: &Session, explain: &ExplainStatement) -> Result<Plan> {
    let kind = match explain.statement.as_ref() {
        Statement::Statement(sql) => match sql.as_ref() {
            sql if dml::is_dml(sql) => return plan_dml(session, explain).await,
            Sql::Query(_) => QueryKind::Rows,
            Sql::Insert(_) => QueryKind::RowCount,
            other => {
                return Err(Error::unsupported(format!("EXPLAIN of {}", super::kind_of(other)))
                    .with_hint("EXPLAIN takes a query, INSERT, UPDATE, DELETE or MERGE."));
            }
        },
        _ => return Err(Error::unsupported("EXPLAIN of this statement")),
    };
    let written = insert::with_defaults(session, &explain.statement).await?;
    let statement = written.as_ref().unwrap_or(&explain.statement);
    let schema = text_columns(&["plan_type", "plan"]);
    let options = &explain.options;
    if options.analyze {
        let planned = rows::plan(session, statement, kind, None::<ParamValues>).await?;
        let Action::Rows(rows) = planned.action else {
            return Err(Error::invalid("EXPLAIN ANALYZE can't have parameters"));
        };
        return Ok(listing(
            schema.clone(),
            ExplainAnalyze {
                schema,
                physical: rows.physical,
                context: rows.context,
                sources: rows.sources,
                verbose: options.verbose,
            },
        ));
    }
    let mut state = session.query_state();
    let sources = resolve(session, &mut state, statement).await?;
    let logical = state.statement_to_plan(statement.clone()).await?;
    let optimized = state.optimize(&logical)?;
    let physical = state
        .query_planner()
        .create_physical_plan(&optimized, &state)
        .await
        .map_err(|error| sources.name(error.into()))?;
    let rows = plans(&optimized, &physical, options.verbose.then_some(&logical));
    Ok(listing(schema.clone(), Explain { schema, rows }))
}

/// Shows how the rows are found that a statement changes.
async fn plan_dml(session: &Session, explain: &ExplainStatement) -> Result<Plan> {
    if explain.options.analyze {
        return Err(Error::unsupported("EXPLAIN ANALYZE of a statement that changes rows")
            .with_hint("Use EXPLAIN, or EXPLAIN ANALYZE of a SELECT with the same condition."));
    }
    let schema = text_columns(&["plan_type", "plan"]);
    let (state, sources, plan) = dml::explained(session, &explain.statement).await?;
    let rows = match plan {
        Some(logical) => {
            let optimized = state.optimize(&logical)?;
            let physical = state.query_planner().create_physical_plan(&optimized, &state).await;
            let physical = physical.map_err(|error| sources.name(error.into()))?;
            plans(&optimized, &physical, explain.options.verbose.then_some(&logical))
        }
        None => vec![vec![Some("logical_plan".to_owned()), Some("all rows".to_owned())]],
    };
    Ok(listing(schema.clone(), Explain { schema, rows }))
}

fn plans(
    optimized: &LogicalPlan,
    physical: &Arc<dyn ExecutionPlan>,
    logical: Option<&LogicalPlan>,
) -> Vec<Vec<Option<String>>> {
    let row = |kind: &str, text: String| vec![Some(kind.to_owned()), Some(text)];
    let mut rows = Vec::new();
    if let Some(logical) = logical {
        rows.push(row("initial_logical_plan", logical.display_indent().to_string()));
    }
    rows.push(row("logical_plan", optimized.display_indent().to_string()));
    let shown = DisplayableExecutionPlan::new(physical.as_ref()).indent(logical.is_some());
    rows.push(row("physical_plan", with_reports(&shown.to_string(), physical)));
    rows
}

/// The text of a plan, a line for each node, with its report after each scan.
fn with_reports(text: &str, plan: &Arc<dyn ExecutionPlan>) -> String {
    let mut reports = Vec::new();
    collect_reports(plan, &mut reports);
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() != reports.len() {
        return text.trim_end().to_owned();
    }
    let lines: Vec<String> = lines
        .into_iter()
        .zip(reports)
        .map(|(line, report)| match report {
            Some(report) => line.replacen("Exec: ", &format!("Exec: {report}, "), 1),
            None => line.to_owned(),
        })
        .collect();
    lines.join("\n")
}

/// A report, or none, for each node in the order in which a plan is shown.
fn collect_reports(plan: &Arc<dyn ExecutionPlan>, reports: &mut Vec<Option<String>>) {
    let scan = plan
        .downcast_ref::<DataSourceExec>()
        .and_then(|source| source.data_source().downcast_ref::<FileScanConfig>());
    let report = scan.and_then(|config| {
        config.file_groups.iter().flat_map(|group| group.files()).find_map(report_of)
    });
    reports.push(report.map(ToString::to_string));
    for child in plan.children() {
        collect_reports(child, reports);
    }
}

#[async_trait(?Send)]
impl Command for Explain {
    async fn run(&self, _: &Session) -> Result<Vec<RecordBatch>> {
        text_batch(&self.schema, self.rows.clone())
    }
}

#[async_trait(?Send)]
impl Command for ExplainAnalyze {
    async fn run(&self, _: &Session) -> Result<Vec<RecordBatch>> {
        let started = std::time::Instant::now();
        let physical = reset_plan_states(self.physical.clone())?;
        let stream = execute_stream(physical.clone(), self.context.clone())?;
        let mut stream = self.sources.name_in_errors(stream);
        let mut rows_out = 0;
        while let Some(batch) = stream.try_next().await? {
            rows_out += batch.num_rows();
        }
        let elapsed = started.elapsed();
        let shown = match self.verbose {
            true => DisplayableExecutionPlan::with_full_metrics(physical.as_ref()),
            false => DisplayableExecutionPlan::with_metrics(physical.as_ref()),
        };
        let text = with_reports(&shown.indent(self.verbose).to_string(), &physical);
        let summary = format!("rows={rows_out} elapsed={:.1} ms", elapsed.as_secs_f64() * 1e3);
        let row = |kind: &str, text: String| vec![Some(kind.to_owned()), Some(text)];
        text_batch(&self.schema, vec![row("plan_with_metrics", text), row("summary", summary)])
    }
}
