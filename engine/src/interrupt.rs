//! Ends operators that work for long without giving way.
//!
//! Dropping a stream stops a plan where it next waits. A join of many rows with many doesn't
//! wait while it has rows to give, so each join gives way between batches; and a nested loop
//! join whose filter lets nothing through has none to give, so its filter looks whether anybody
//! still wants the result.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result as DataFusionResult;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};

use crate::{Error, ErrorKind, Result};

/// Whether one run of a plan is still wanted. Clones are the same run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// The run's operators fail from now on.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Cancelled, "the query was cancelled")),
            false => Ok(()),
        }
    }
}

/// The plan with joins that give way, and a check in each nested loop join.
pub(crate) fn interruptible(
    plan: Arc<dyn ExecutionPlan>,
    interrupt: &Interrupt,
) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|node| {
        let is_join = node.is::<NestedLoopJoinExec>()
            || node.is::<HashJoinExec>()
            || node.is::<CrossJoinExec>()
            || node.is::<SortMergeJoinExec>();
        if !is_join {
            return Ok(Transformed::no(node));
        }
        let join = checked(node, interrupt)?;
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(join)) as Arc<dyn ExecutionPlan>))
    });
    Ok(plan.data()?)
}

/// A nested loop join with a check in its filter; other joins as they are.
fn checked(
    node: Arc<dyn ExecutionPlan>,
    interrupt: &Interrupt,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() else { return Ok(node) };
    let Some(filter) = join.filter() else { return Ok(node) };
    let checked = Checked { inner: filter.expression().clone(), interrupt: interrupt.clone() };
    let filter = JoinFilter::new(
        Arc::new(checked),
        filter.column_indices().to_vec(),
        filter.schema().clone(),
    );
    let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build()?;
    Ok(Arc::new(join))
}

/// An expression that fails once its run is no longer wanted.
#[derive(Debug)]
struct Checked {
    inner: Arc<dyn PhysicalExpr>,
    interrupt: Interrupt,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PartialEq for Checked {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Checked {}

impl Hash for Checked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl PhysicalExpr for Checked {
    fn data_type(&self, schema: &Schema) -> DataFusionResult<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> DataFusionResult<bool> {
        self.inner.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DataFusionResult<ColumnarValue> {
        self.interrupt.check()?;
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let inner = children.pop().unwrap_or_else(|| self.inner.clone());
        Ok(Arc::new(Self { inner, interrupt: self.interrupt.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
