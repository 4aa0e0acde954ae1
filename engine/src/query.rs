//! A planned statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::TryStreamExt;

use crate::hidden::Hidden;
use crate::interrupt::{Interrupt, interruptible};
use crate::parse::{self, Parsed};
use crate::rows::{Edge, Monitor, Rows, timed_out};
use crate::session::Session;
use crate::statement::{self, Action};
use crate::{Error, Result};

/// What comes back from a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// Rows: SELECT, VALUES, SHOW, DESCRIBE, EXPLAIN.
    Rows,
    /// One row with the column `count`: how many rows INSERT and its like changed.
    RowCount,
    /// Nothing: DDL, USE, SET.
    Command,
}

/// A statement's parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// As the statement has it, with its `$`.
    pub name: String,
    /// [`DataType::Null`] where the type can't be inferred.
    pub data_type: DataType,
}

/// A planned statement: names are resolved and versions fixed. It can be executed again, and
/// then sees the same versions.
#[derive(Clone)]
pub struct Query(Hidden<Planned>);

struct Planned {
    session: Session,
    sql: String,
    parsed: Parsed,
    kind: QueryKind,
    schema: SchemaRef,
    parameters: Vec<Parameter>,
    action: Action,
    ran: AtomicBool,
}

/// What planning a statement makes.
pub(crate) struct Plan {
    pub(crate) kind: QueryKind,
    /// Of the batches as the plan makes them.
    pub(crate) schema: SchemaRef,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) action: Action,
}

/// A physical plan and what it runs with.
#[derive(Clone)]
pub(crate) struct RowsPlan {
    pub(crate) physical: Arc<dyn ExecutionPlan>,
    pub(crate) context: Arc<TaskContext>,
    /// Where its errors come from, for messages.
    pub(crate) sources: Arc<crate::resolve::Sources>,
}

impl Query {
    pub(crate) async fn plan(session: &Session, sql: &str) -> Result<Self> {
        let (session, sql) = (session.clone(), sql.to_owned());
        let engine = session.engine.clone();
        engine
            .on_own_thread(move || async move {
                let parsed = parse::parse(&sql)?;
                Self::plan_parsed(session, sql, parsed, None).await
            })
            .await
    }

    async fn plan_parsed(
        session: Session,
        sql: String,
        parsed: Parsed,
        values: Option<ParamValues>,
    ) -> Result<Self> {
        let session = session.for_work();
        let plan = statement::plan(&session, &parsed, values)
            .await
            .map_err(|error| error.in_statement(&sql))?;
        let edge = Edge::new(&plan.schema, session.view_types());
        Ok(Self(Hidden::new(Planned {
            session,
            sql,
            parsed,
            kind: plan.kind,
            schema: edge.schema,
            parameters: plan.parameters,
            action: plan.action,
            ran: AtomicBool::new(false),
        })))
    }

    /// What comes back from it.
    pub fn kind(&self) -> QueryKind {
        self.0.get().kind
    }

    /// The text it was planned from.
    pub fn sql(&self) -> &str {
        &self.0.get().sql
    }

    /// The schema of each batch that [`Query::execute`] gives, exactly. While parameters are
    /// unbound it is what is known without their values.
    pub fn schema(&self) -> SchemaRef {
        self.0.get().schema.clone()
    }

    /// The parameters that are still to be bound, in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.0.get().parameters
    }

    /// The statement planned anew, against the newest versions of its tables.
    pub async fn replan(&self) -> Result<Self> {
        self.plan_again(None).await
    }

    /// The statement planned anew with a value for each parameter: column i of `row` in
    /// `values` is that of parameter i, cast to the parameter's type.
    pub async fn bind(&self, values: &RecordBatch, row: usize) -> Result<Self> {
        let parameters = self.parameters();
        if values.num_columns() != parameters.len() {
            return Err(Error::invalid(format!(
                "the statement has {} parameters, and {} values came",
                parameters.len(),
                values.num_columns()
            )));
        }
        if row >= values.num_rows() {
            return Err(Error::invalid(format!("there is no parameter row {row}")));
        }
        let mut bound = Vec::with_capacity(parameters.len());
        for (parameter, column) in parameters.iter().zip(values.columns()) {
            let value = scalar(column, row, &parameter.data_type)
                .map_err(|error| error.about(format!("parameter {}", parameter.name)))?;
            bound.push((parameter.name.trim_start_matches('$').to_owned(), value));
        }
        self.plan_again(Some(param_values(bound))).await
    }

    async fn plan_again(&self, values: Option<ParamValues>) -> Result<Self> {
        let Planned { session, sql, parsed, .. } = self.0.get();
        let (session, sql, parsed) = (session.clone(), sql.clone(), parsed.clone());
        let engine = session.engine.clone();
        engine.on_own_thread(move || Self::plan_parsed(session, sql, parsed, values)).await
    }

    /// Watches how far it is while [`Query::execute`] does what isn't a query.
    pub fn monitor(&self) -> Monitor {
        Monitor::of_work(self.0.get().session.work.clone())
    }

    /// Runs it on the engine's own threads. Rows stream; every other statement is done when
    /// this returns. Dropping the future, or the rows, cancels all work.
    pub async fn execute(&self) -> Result<Rows> {
        if let Some(parameter) = self.parameters().first() {
            return Err(Error::invalid(format!("parameter {} has no value", parameter.name))
                .with_hint("Bind a value to each parameter."));
        }
        let planned = self.0.get();
        let session = &planned.session;
        let timeout = session.statement_timeout();
        let again = planned.ran.swap(true, Ordering::AcqRel);
        match &planned.action {
            Action::Rows(plan) => {
                let rows = self.stream(plan, again)?;
                match planned.kind {
                    QueryKind::Rows => Ok(rows),
                    QueryKind::RowCount | QueryKind::Command => {
                        let batches: Vec<RecordBatch> = rows.try_collect().await?;
                        Ok(Rows::ready(self.schema(), batches))
                    }
                }
            }
            Action::Unbound => Err(Error::internal("an unbound statement was executed")),
            Action::Command(command) => {
                let (command, session) = (command.clone(), session.clone());
                let engine = session.engine.clone();
                let run = engine.on_own_thread(move || async move { command.run(&session).await });
                let batches = match timeout {
                    Some(timeout) => match tokio::time::timeout(timeout, run).await {
                        Ok(result) => result?,
                        Err(_) => return Err(timed_out(timeout)),
                    },
                    None => run.await?,
                };
                Ok(Rows::ready(self.schema(), batches))
            }
        }
    }

    fn stream(&self, plan: &RowsPlan, again: bool) -> Result<Rows> {
        let session = &self.0.get().session;
        // A plan keeps what it built (a join's table, a dynamic filter) for one run only.
        let physical = match again {
            true => reset_plan_states(plan.physical.clone())?,
            false => plan.physical.clone(),
        };
        let interrupt = Interrupt::default();
        let physical = interruptible(physical, &interrupt)?;
        let queries = &session.engine.shared().queries;
        let stream = {
            let _entered = queries.enter();
            execute_stream(physical.clone(), plan.context.clone())?
        };
        let edge = Edge { schema: self.schema() };
        let monitor = Monitor::new(Some(physical), interrupt);
        let stream = plan.sources.name_in_errors(stream);
        Ok(Rows::spawn(queries, stream, edge, monitor, session.statement_timeout()))
    }
}

fn param_values(mut bound: Vec<(String, ScalarValue)>) -> ParamValues {
    let numbers: Option<Vec<usize>> = bound.iter().map(|(name, _)| name.parse().ok()).collect();
    match numbers {
        Some(numbers) => {
            let mut list = vec![ScalarValue::Null; numbers.iter().copied().max().unwrap_or(0)];
            for (number, (_, value)) in numbers.into_iter().zip(bound.drain(..)) {
                list[number - 1] = value;
            }
            ParamValues::List(list.into_iter().map(ScalarAndMetadata::from).collect())
        }
        None => ParamValues::Map(
            bound.into_iter().map(|(name, value)| (name, ScalarAndMetadata::from(value))).collect(),
        ),
    }
}

/// The value in `row` of `column`, as `wanted` says; a dense union (as some clients send
/// parameters) counts as what it holds.
fn scalar(column: &ArrayRef, row: usize, wanted: &DataType) -> Result<ScalarValue> {
    let mut column = column.clone();
    if let DataType::Union(_, _) = column.data_type() {
        column = column.as_union().value(row);
    } else {
        let index = UInt32Array::from(vec![u32::try_from(row).unwrap_or(u32::MAX)]);
        column = take(&column, &index, None)?;
    }
    if wanted != &DataType::Null && column.data_type() != wanted {
        column = cast(&column, wanted)?;
    }
    Ok(ScalarValue::try_from_array(&column, 0)?)
}

/// All rows of `rows` in one batch.
pub async fn collect(rows: Rows) -> Result<RecordBatch> {
    let schema = rows.schema();
    let batches: Vec<RecordBatch> = rows.try_collect().await?;
    Ok(concat_batches(&schema, &batches)?)
}

/// No columns: what commands give.
pub(crate) fn no_columns() -> SchemaRef {
    Arc::new(Schema::empty())
}
