//! Scans read on as many threads as there are, for rows whose order doesn't matter.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

use crate::Result;

/// The plan with its scans split by the ranges of their files, where nothing above them but
/// projections and unions depends on how they're split.
pub(crate) fn in_parallel(
    plan: Arc<dyn ExecutionPlan>,
    config: &ConfigOptions,
) -> Result<Arc<dyn ExecutionPlan>> {
    if plan.is::<DataSourceExec>() {
        let split = plan.repartitioned(config.execution.target_partitions, config)?;
        return Ok(split.unwrap_or(plan));
    }
    if !plan.is::<ProjectionExec>() && !plan.is::<UnionExec>() {
        return Ok(plan);
    }
    let children = plan
        .children()
        .into_iter()
        .map(|child| in_parallel(child.clone(), config))
        .collect::<Result<Vec<_>>>()?;
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Ok(plan.replace_children(children, options)?)
}
