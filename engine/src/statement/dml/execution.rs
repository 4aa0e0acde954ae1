//! One run of a statement that changes rows: its plans, its new files and its commit.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use deltalake::kernel::{Action, Add, AddCDCFile};
use deltalake::protocol::DeltaOperation;
use futures::{Stream, TryStreamExt};

use crate::commit::commit;
use crate::engine::{Engine, Shared};
use crate::interrupt::{Interrupt, interruptible};
use crate::resolve::Sources;
use crate::rules::marked;
use crate::scan::DeltaFiles;
use crate::{Error, Result, write};

/// What plans run with; dropping it ends them.
pub(super) struct Execution<'a> {
    pub(super) engine: &'a Engine,
    pub(super) state: &'a SessionState,
    sources: Arc<Sources>,
    interrupt: Interrupt,
    /// What is committed with new rows: the last values of identity columns.
    marks: Mutex<Vec<Action>>,
}

impl Drop for Execution<'_> {
    fn drop(&mut self) {
        self.interrupt.raise();
    }
}

impl<'a> Execution<'a> {
    pub(super) fn new(engine: &'a Engine, state: &'a SessionState, sources: Arc<Sources>) -> Self {
        let (interrupt, marks) = (Interrupt::default(), Mutex::default());
        Self { engine, state, sources, interrupt, marks }
    }

    pub(super) fn shared(&self) -> &Shared {
        self.engine.shared()
    }

    pub(super) fn memory(&self) -> &Arc<dyn MemoryPool> {
        &self.state.runtime_env().memory_pool
    }

    fn marks(&self) -> MutexGuard<'_, Vec<Action>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of a plan.
    pub(super) async fn rows(&self, plan: &LogicalPlan) -> Result<SendableRecordBatchStream> {
        self.rows_with(self.state, plan).await
    }

    /// The rows of a plan under other settings than the session's.
    pub(super) async fn rows_with(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
    ) -> Result<SendableRecordBatchStream> {
        let physical = state
            .create_physical_plan(plan)
            .await
            .map_err(|error| self.sources.name(error.into()))?;
        self.sources.add_files(&physical);
        let physical = interruptible(physical, &self.interrupt)?;
        let stream = execute_stream(physical, state.task_ctx())?;
        Ok(self.sources.name_in_errors(stream))
    }

    /// Writes a plan's rows as new files of the target.
    pub(super) async fn write(
        &self,
        target: &DeltaFiles,
        plan: &LogicalPlan,
    ) -> Result<(Vec<Add>, u64)> {
        let rows = self.rows(plan).await?;
        self.write_rows(target, rows.map_err(Error::from)).await
    }

    pub(super) async fn write_rows(
        &self,
        target: &DeltaFiles,
        rows: impl Stream<Item = Result<RecordBatch>>,
    ) -> Result<(Vec<Add>, u64)> {
        let written = write::new_files(self.shared(), &target.delta, rows).await?;
        if let Some(marks) = &written.marks {
            let marks = marked(self.shared(), &target.delta, marks).await?;
            self.marks().push(marks);
        }
        Ok((written.adds, written.rows))
    }

    /// Takes the files of these numbers out of the table and puts new ones in.
    pub(super) async fn commit(
        &self,
        target: &DeltaFiles,
        removed: &[u32],
        new: NewFiles,
        operation: DeltaOperation,
    ) -> Result<()> {
        let mut actions = removals(target, removed).await?;
        actions.extend(new.adds.into_iter().map(Action::Add));
        actions.extend(new.changes.into_iter().map(Action::Cdc));
        actions.append(&mut self.marks());
        if actions.is_empty() {
            return Ok(());
        }
        commit(self.shared(), &target.delta, actions, operation).await?;
        Ok(())
    }
}

/// What a commit adds.
#[derive(Default)]
pub(super) struct NewFiles {
    pub(super) adds: Vec<Add>,
    /// Change data.
    pub(super) changes: Vec<AddCDCFile>,
}

impl From<Vec<Add>> for NewFiles {
    fn from(adds: Vec<Add>) -> Self {
        Self { adds, changes: Vec::new() }
    }
}

/// What the log says when files go. They are numbered as the snapshot lists them.
async fn removals(target: &DeltaFiles, removed: &[u32]) -> Result<Vec<Action>> {
    let wanted: BTreeSet<u32> = removed.iter().copied().collect();
    let files = (0..).zip(target.files.iter()).filter(|(number, _)| wanted.contains(number));
    let removals = target.delta.removals(files.map(|(_, file)| file), true).await?;
    Ok(removals.into_iter().map(Action::Remove).collect())
}
