//! Other names for functions that DataFusion has.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;

/// DataFusion's name, and what else it is called.
const SCALARS: [(&str, &[&str]); 9] = [
    ("character_length", &["len", "textlen"]),
    ("repeat", &["replicate"]),
    ("nvl", &["isnull"]),
    ("signum", &["sign"]),
    ("ceil", &["ceiling"]),
    ("exp", &["dexp"]),
    ("ln", &["dlog1"]),
    ("log10", &["dlog10"]),
    ("uuid", &["gen_random_uuid"]),
];

const AGGREGATES: [(&str, &[&str]); 3] =
    [("string_agg", &["listagg"]), ("bool_and", &["every"]), ("var", &["variance"])];

pub(super) fn register(state: &mut SessionState) -> Result<()> {
    for (name, aliases) in SCALARS {
        let function = state.udf(name)?.as_ref().clone();
        state.register_udf(Arc::new(function.with_aliases(aliases.iter().copied())))?;
    }
    for (name, aliases) in AGGREGATES {
        let function = state.udaf(name)?.as_ref().clone();
        state.register_udaf(Arc::new(function.with_aliases(aliases.iter().copied())))?;
    }
    Ok(())
}
