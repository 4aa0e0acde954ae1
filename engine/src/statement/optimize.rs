//! OPTIMIZE: small files of a Delta table joined, or all of them ordered.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::Table;

use super::maintenance::{batch_of, find_table, schema_of};
use super::{Command, listing};
use crate::compact::{Wish, compact};
use crate::query::Plan;
use crate::scan::delta_table;
use crate::session::Session;
use crate::{Error, Result};

struct Optimize {
    table: Table,
    wish: Wish,
    schema: SchemaRef,
}

pub(super) async fn plan(session: &Session, name: &[String], wish: Wish) -> Result<Plan> {
    let table = find_table(session, name).await?;
    delta_table(session, &table, "compaction").await?;
    let columns = [
        "version",
        "num_files_added",
        "num_files_removed",
        "bytes_added",
        "bytes_removed",
        "partitions_optimized",
        "num_files_skipped",
    ];
    let schema = schema_of(&columns.map(|name| (name, DataType::Int64)));
    Ok(listing(schema.clone(), Optimize { table, wish, schema }))
}

#[async_trait(?Send)]
impl Command for Optimize {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let delta = delta_table(session, &self.table, "compaction").await?;
        let name = self.table.name.to_string();
        let done = compact(session, &name, delta, &self.wish)
            .await
            .map_err(|error: Error| error.about(format!("table \"{name}\"")))?;
        let numbers = [
            done.version,
            done.added.0,
            done.removed.0,
            done.added.1,
            done.removed.1,
            done.partitions,
            done.considered.saturating_sub(done.removed.0),
        ];
        let column = |number: u64| -> ArrayRef {
            Arc::new(Int64Array::from(vec![i64::try_from(number).ok()]))
        };
        batch_of(&self.schema, numbers.into_iter().map(column).collect())
    }
}
