//! A Delta table's files, for those who write them anew.

use std::sync::Arc;

use datafusion::execution::session_state::SessionState;

use super::{LakeTable, ScanFile, Source, files, partition_schema};
use crate::compact::key_predicate;
use crate::{Error, Result};

impl LakeTable {
    /// The same table with only some of its files.
    pub(crate) fn with_files(&self, files: Vec<ScanFile>) -> Self {
        let source = Source::Files { files: Arc::new(files), delta: None };
        Self { source, analyzed: None, ..self.clone() }
    }

    pub(crate) fn is_key(&self, column: &str) -> bool {
        self.layout.table_partition_cols().iter().any(|key| key.name() == column)
    }
}

/// The files in the partitions that `predicate` leaves.
pub(crate) fn delta_files(
    state: &SessionState,
    table: &LakeTable,
    predicate: Option<&str>,
) -> Result<Vec<ScanFile>> {
    let Source::Files { files, .. } = &table.source else {
        return Err(Error::internal("a Delta table has no list of files"));
    };
    let all = files.as_ref().clone();
    let Some(predicate) = predicate else { return Ok(all) };
    let keys = partition_schema(&table.layout);
    let filter = key_predicate(state, predicate, &keys)?;
    files::in_partitions(state, all, |file| &file.partition_values, &keys, &[filter])
}
