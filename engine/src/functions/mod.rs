//! SQL functions beyond DataFusion's: those of PostgreSQL and Redshift that BI tools send.
//!
//! One file a family; each has its list, and `register` is the list of lists.

mod aliases;
mod civil;
mod conditional;
mod dates;
mod format;
mod hash;
mod json;
mod part;
mod pattern;
mod percentile_disc;
mod scalar;
mod session;
mod text;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

pub(crate) use part::Part;

/// Adds them to what DataFusion has.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    aliases::register(state)?;
    let families = [session::list(), dates::list(), text::list(), hash::list(), json::list()];
    for function in families.into_iter().flatten() {
        state.register_udf(Arc::new(ScalarUDF::from(function)))?;
    }
    conditional::register(state)?;
    format::register(state)?;
    state
        .register_udaf(Arc::new(AggregateUDF::from(percentile_disc::PercentileDisc::default())))?;
    state.register_expr_planner(Arc::new(json::Operators))
}
