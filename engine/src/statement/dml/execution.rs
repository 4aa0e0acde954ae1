//! One run of a statement that changes rows: its plans, its new files and its commit.

use std::sync::Arc;

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
use crate::scan::DeltaFiles;
use crate::{Error, Result, write};

/// What plans run with; dropping it ends them.
pub(super) struct Execution<'a> {
    pub(super) engine: &'a Engine,
    pub(super) state: &'a SessionState,
    sources: Arc<Sources>,
    interrupt: Interrupt,
}

impl Drop for Execution<'_> {
    fn drop(&mut self) {
        self.interrupt.raise();
    }
}

impl<'a> Execution<'a> {
    pub(super) fn new(engine: &'a Engine, state: &'a SessionState, sources: Arc<Sources>) -> Self {
        Self { engine, state, sources, interrupt: Interrupt::default() }
    }

    pub(super) fn shared(&self) -> &Shared {
        self.engine.shared()
    }

    pub(super) fn memory(&self) -> &Arc<dyn MemoryPool> {
        &self.state.runtime_env().memory_pool
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
        write::new_files(self.shared(), &target.delta, rows).await
    }

    /// Takes the files of these numbers out of the table and puts new ones in.
    pub(super) async fn commit(
        &self,
        target: &DeltaFiles,
        removed: &[u32],
        new: NewFiles,
        operation: DeltaOperation,
    ) -> Result<()> {
        let mut actions = removals(target, removed)?;
        actions.extend(new.adds.into_iter().map(Action::Add));
        actions.extend(new.changes.into_iter().map(Action::Cdc));
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
fn removals(target: &DeltaFiles, removed: &[u32]) -> Result<Vec<Action>> {
    let log = target.delta.table.snapshot()?.snapshot().try_log_data()?;
    if log.num_files() != target.files.len() {
        return Err(Error::internal("a snapshot's files were listed differently"));
    }
    let wanted: std::collections::BTreeSet<u32> = removed.iter().copied().collect();
    let found = (0..).zip(log.iter()).filter(|(number, _)| wanted.contains(number));
    Ok(found.map(|(_, file)| Action::Remove(file.remove_action(true))).collect())
}
