//! Databases, tables and partitions in the shapes that AWS Glue's API has for them.
//!
//! The server that speaks this API and the client that asks another one use the same shapes, so
//! what one writes the other reads. What SQL made comes back as it was: see `own.rs`.

mod columns;
mod database;
mod own;
mod partition;
mod table;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub use database::{DatabaseInput, database_shape};
pub(crate) use database::{database_input, read_database};
pub use partition::{PartitionInput, partition_shape, partition_texts, partition_values};
pub(crate) use partition::{partition_input, read_partition};
pub(crate) use table::{ShownTable, read_table, table_input};
pub use table::{TableInput, table_shape};

/// The account that answers name; there is none behind it.
pub const CATALOG_ID: &str = "000000000000";

/// Milliseconds since 1970 as AWS writes times: seconds with a fraction.
pub fn seconds(ms: i64) -> Value {
    json!(ms as f64 / 1000.0)
}

/// A time as AWS writes it in milliseconds since 1970; 0 if it is none.
fn milliseconds(time: Option<&Value>) -> i64 {
    (time.and_then(Value::as_f64).unwrap_or_default() * 1000.0).round() as i64
}

/// Those of the members that have these names and say something. Answers have more than inputs
/// may have, and newer services have more than this one knows.
fn only(members: &[&str], mut shape: Map<String, Value>) -> Map<String, Value> {
    shape.retain(|member, value| members.contains(&member.as_str()) && !value.is_null());
    shape
}
