//! How a MERGE's join is done: with a hash table where one side surely fits into memory, else by
//! sorting both, which spills.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Distinct, LogicalPlan};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

use super::super::execution::Execution;
use crate::Result;

/// The part of the queries' memory that a hash table may take.
const HASH_SHARE: usize = 8;
/// What each of the partitions needs that are sorted at once.
const PARTITION_BYTES: usize = 64 << 20;
/// What a value of no fixed size is taken to need.
const VALUE_BYTES: usize = 64;

/// Whether neither side of a join surely fits into memory, given the target's rows that it reads.
pub(super) async fn are_both_large(
    run: &Execution<'_>,
    target: (Option<u64>, &Schema),
    source: &LogicalPlan,
) -> Result<bool> {
    let (target_rows, target_schema) = target;
    let source_rows = estimated_rows(run, source).await?;
    let fits = |rows: Option<u64>, schema: &Schema| {
        rows.is_some_and(|rows| rows.saturating_mul(row_bytes(schema)) <= hash_bytes(run))
    };
    // Of two sides the smaller one becomes the hash table only if both sizes are known.
    let source_fits = target_rows.is_some() && fits(source_rows, source.schema().as_arrow());
    Ok(!source_fits && !fits(target_rows, target_schema))
}

/// The state to plan a join with that sorts both sides.
pub(super) fn sorting(run: &Execution<'_>) -> SessionState {
    let mut state = run.state.clone();
    let options = state.config_mut().options_mut();
    options.optimizer.prefer_hash_join = false;
    if let MemoryLimit::Finite(bytes) = run.memory().memory_limit() {
        // Each sort keeps some memory back for its merge.
        let most = (bytes / PARTITION_BYTES).max(1);
        options.execution.target_partitions = options.execution.target_partitions.min(most);
    }
    state
}

fn hash_bytes(run: &Execution<'_>) -> u64 {
    match run.memory().memory_limit() {
        MemoryLimit::Finite(bytes) => (bytes / HASH_SHARE) as u64,
        _ => u64::MAX,
    }
}

async fn estimated_rows(run: &Execution<'_>, plan: &LogicalPlan) -> Result<Option<u64>> {
    let physical = run.state.create_physical_plan(plan).await?;
    let statistics = StatisticsContext::new().compute(physical.as_ref(), &StatisticsArgs::new())?;
    Ok(statistics.num_rows.get_value().map(|rows| *rows as u64))
}

/// About what a row needs in memory.
fn row_bytes(schema: &Schema) -> u64 {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(VALUE_BYTES);
    let bytes: usize = schema.fields().iter().map(|field| width(field.data_type())).sum();
    (bytes + VALUE_BYTES) as u64
}

/// Whether the plan gives the same rows each time it runs.
pub(super) fn is_stable(plan: &LogicalPlan) -> Result<bool> {
    let mut stable = true;
    plan.apply_with_subqueries(|node| {
        stable &= !matches!(node, LogicalPlan::Limit(_) | LogicalPlan::Distinct(Distinct::On(_)));
        node.apply_expressions(|expr| {
            stable &= !expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if stable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(stable)
}
