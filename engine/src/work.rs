//! How far a statement is that is more than one plan.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::physical_plan::ExecutionPlan;

/// Counted by those who do a statement's work, and read by those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Work {
    done: AtomicU64,
    total: AtomicU64,
    /// What runs now, where its own counts tell more.
    plan: Mutex<Option<Arc<dyn ExecutionPlan>>>,
    /// What is being done, in words.
    text: Mutex<String>,
}

impl Work {
    /// So many rows are to be done in all.
    pub(crate) fn expect(&self, rows: u64) {
        self.total.store(rows, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, rows: usize) {
        self.done.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// The rows that are done, and all of them where that is known.
    pub(crate) fn rows(&self) -> (u64, Option<u64>) {
        let total = self.total.load(Ordering::Relaxed);
        (self.done.load(Ordering::Relaxed), (total > 0).then_some(total))
    }

    pub(crate) fn tell(&self, text: impl Into<String>) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }

    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn run(&self, plan: &Arc<dyn ExecutionPlan>) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan.clone());
    }

    pub(crate) fn plan(&self) -> Option<Arc<dyn ExecutionPlan>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
