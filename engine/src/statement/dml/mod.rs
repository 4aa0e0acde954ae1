//! Statements that change rows of Delta tables: UPDATE, DELETE, TRUNCATE, MERGE and INSERT
//! OVERWRITE.
//!
//! Files are never changed. One plan finds the rows to change, with their places (`selection`);
//! another reads the files that have such rows and writes them anew; one commit puts the new
//! files in the place of the old ones. Where another commit touched what the statement read, it
//! is planned and run again at the newest version.

mod assign;
mod changes;
mod conflicts;
mod delete;
mod execution;
mod merge;
mod overwrite;
mod queries;
mod selection;
mod target;
mod update;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as Sql;

use self::execution::Execution;
use self::merge::Merge;
use self::overwrite::Overwrite;
use self::target::{Named, TargetTable};
use self::update::Assignments;
use super::{Action, Command};
use crate::hidden::Hidden;
use crate::query::{Plan, QueryKind};
use crate::resolve::{Sources, resolve};
use crate::session::Session;
use crate::{Error, ErrorKind, Result};

/// Runs of a statement while others commit to the same rows.
const ATTEMPTS: u32 = 10;

/// A statement planned at one version of its tables.
struct Change {
    state: SessionState,
    sources: Arc<Sources>,
    target: TargetTable,
    work: Work,
}

/// What is done to the target's rows.
enum Work {
    /// The plan finds the rows; none means all.
    Delete(Option<LogicalPlan>),
    Update(Option<LogicalPlan>, Assignments),
    Merge(Merge),
    Overwrite(Overwrite),
}

impl Work {
    fn plans(&mut self) -> Vec<&mut LogicalPlan> {
        match self {
            Self::Delete(find) => find.iter_mut().collect(),
            Self::Update(find, set) => find.iter_mut().chain([&mut set.values]).collect(),
            Self::Merge(merge) => vec![&mut merge.joined],
            Self::Overwrite(overwrite) => overwrite.plans(),
        }
    }
}

/// Whether it's one of these statements.
pub(super) fn is_dml(sql: &Sql) -> bool {
    match sql {
        Sql::Delete(_) | Sql::Update(_) | Sql::Truncate(_) | Sql::Merge(_) => true,
        Sql::Insert(insert) => insert.overwrite,
        _ => false,
    }
}

/// Plans the statement; without values for its parameters it can't be run.
pub(super) async fn plan(
    session: &Session,
    statement: &Statement,
    values: Option<ParamValues>,
) -> Result<Plan> {
    let state = session.query_state();
    let mut change = Change::plan(session, state.clone(), statement).await?;
    let parameters = super::rows::parameters(change.work.plans().into_iter().map(|plan| &*plan))?;
    let (kind, schema) = (QueryKind::RowCount, count_schema());
    if values.is_none() && !parameters.is_empty() {
        return Ok(Plan { kind, schema, parameters, action: Action::Unbound });
    }
    if let Some(values) = &values {
        change.bind(values)?;
    }
    let command = Dml {
        statement: Hidden::new(statement.clone()),
        state: Hidden::new(state),
        values: Hidden::new(values),
        planned: Hidden::new(change),
        ran: AtomicBool::new(false),
    };
    let action = Action::Command(Arc::new(command));
    Ok(Plan { kind, schema, parameters: Vec::new(), action })
}

/// The plan that finds the rows, for EXPLAIN; none if all are meant.
pub(super) async fn explained(
    session: &Session,
    statement: &Statement,
) -> Result<(SessionState, Arc<Sources>, Option<LogicalPlan>)> {
    let mut change = Change::plan(session, session.query_state(), statement).await?;
    let plan = change.work.plans().into_iter().next().cloned();
    Ok((change.state, change.sources, plan))
}

impl Change {
    async fn plan(
        session: &Session,
        mut state: SessionState,
        statement: &Statement,
    ) -> Result<Self> {
        let sources = resolve(session, &mut state, statement).await?;
        let Statement::Statement(sql) = statement else { return Err(not_dml()) };
        let (target, work) = match sql.as_ref() {
            Sql::Delete(delete) => {
                let named = Named::of(delete::table(delete)?, "DELETE FROM")?;
                let target = begin(&mut state, &named, "DELETE FROM").await?;
                let filter = delete.selection.as_ref();
                let find = delete::find(&state, &target, &named, filter).await?;
                (target, Work::Delete(find))
            }
            Sql::Update(update) => {
                update::check(update)?;
                let named = Named::of(&update.table, "UPDATE")?;
                let target = begin(&mut state, &named, "UPDATE").await?;
                changes::check(session.engine.shared(), &target, "UPDATE")?;
                let filter = update.selection.as_ref();
                let find = delete::find(&state, &target, &named, filter).await?;
                let set = update::plan(&state, &target, &named, update).await?;
                (target, Work::Update(find, set))
            }
            Sql::Truncate(truncate) => {
                let named = Named { name: delete::truncated(truncate)?, alias: None };
                let target = begin(&mut state, &named, "TRUNCATE").await?;
                (target, Work::Delete(None))
            }
            Sql::Merge(merge) => {
                let named = Named::of_factor(&merge.table, "MERGE INTO")?;
                let target = begin(&mut state, &named, "MERGE INTO").await?;
                changes::check(session.engine.shared(), &target, "MERGE INTO")?;
                let merge = merge::plan(&state, &target, &named, merge).await?;
                (target, Work::Merge(merge))
            }
            Sql::Insert(insert) => {
                let named = Named { name: overwrite::table(insert)?, alias: None };
                let target = begin(&mut state, &named, "INSERT OVERWRITE").await?;
                let overwrite = overwrite::plan(&state, &target, insert).await?;
                (target, Work::Overwrite(overwrite))
            }
            _ => return Err(not_dml()),
        };
        Ok(Self { state, sources, target, work })
    }

    fn bind(&mut self, values: &ParamValues) -> Result<()> {
        for plan in self.work.plans() {
            *plan = plan.clone().replace_params_with_values(values)?;
        }
        Ok(())
    }

    async fn run(&self, session: &Session) -> Result<u64> {
        let run = Execution::new(&session.engine, &self.state, self.sources.clone());
        let target = &self.target;
        let rows = match &self.work {
            Work::Delete(find) => delete::run(&run, target, find.as_ref()).await,
            Work::Update(find, set) => update::run(&run, target, find.as_ref(), set).await,
            Work::Merge(merge) => merge::run(&run, target, merge).await,
            Work::Overwrite(overwrite) => overwrite::run(&run, target, overwrite).await,
        };
        rows.map_err(|error| match error.kind() {
            ErrorKind::Conflict => error,
            _ => self.sources.name(error),
        })
    }
}

/// Finds the target and puts it where queries look for it.
async fn begin(
    state: &mut SessionState,
    named: &Named<'_>,
    statement: &str,
) -> Result<TargetTable> {
    let target = TargetTable::find(state, named, statement).await?;
    target.register(state)?;
    Ok(target)
}

fn not_dml() -> Error {
    Error::internal("a statement that changes no rows")
}

/// What statements give that change rows.
fn count_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("count", DataType::UInt64, false)]))
}

struct Dml {
    statement: Hidden<Statement>,
    /// Settings and database as they were when it was planned; it has no tables yet.
    state: Hidden<SessionState>,
    values: Hidden<Option<ParamValues>>,
    planned: Hidden<Change>,
    ran: AtomicBool,
}

#[async_trait(?Send)]
impl Command for Dml {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let rows = self.until_committed(session).await?;
        let count = Arc::new(UInt64Array::from(vec![rows]));
        Ok(vec![RecordBatch::try_new(count_schema(), vec![count])?])
    }
}

impl Dml {
    /// Runs what was planned, and plans anew while others get in between.
    async fn until_committed(&self, session: &Session) -> Result<u64> {
        let mut result = match self.ran.swap(true, Ordering::AcqRel) {
            false => self.planned.get().run(session).await,
            true => self.again(session).await,
        };
        for attempt in 1..ATTEMPTS {
            match &result {
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    tokio::time::sleep(Duration::from_millis(10 << attempt.min(6))).await;
                    result = self.again(session).await;
                }
                _ => break,
            }
        }
        result.map_err(|error| match error.kind() {
            ErrorKind::Conflict => error.about(format!("after {ATTEMPTS} attempts")),
            _ => error,
        })
    }

    async fn again(&self, session: &Session) -> Result<u64> {
        let state = self.state.get().clone();
        let mut change = Change::plan(session, state, self.statement.get()).await?;
        if let Some(values) = self.values.get() {
            change.bind(values)?;
        }
        change.run(session).await
    }
}
