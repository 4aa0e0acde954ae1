//! A Delta table's files with what takes them out of it, for those who write them anew.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::execution::session_state::SessionState;

use super::{DeltaSnapshot, LakeTable, ScanFile, Source, files, partition_schema};
use crate::compact::{Candidate, key_predicate};
use crate::{Error, Result};

impl LakeTable {
    /// The same table with only some of its files.
    pub(crate) fn with_files(&self, files: Vec<ScanFile>) -> Self {
        Self {
            name: self.name.clone(),
            engine: self.engine.clone(),
            schema: self.schema.clone(),
            layout: self.layout.clone(),
            format: self.format,
            reading: self.reading.clone(),
            matching: self.matching.clone(),
            root: self.root.clone(),
            source: Source::Files { files: Arc::new(files), delta: None },
            analyzed: None,
        }
    }

    pub(crate) fn is_key(&self, column: &str) -> bool {
        self.layout.table_partition_cols().iter().any(|key| key.name() == column)
    }
}

/// The files in the partitions that `predicate` leaves.
pub(crate) async fn delta_files(
    state: &SessionState,
    table: &LakeTable,
    delta: &DeltaSnapshot,
    predicate: Option<&str>,
) -> Result<Vec<Candidate>> {
    let Source::Files { files, .. } = &table.source else {
        return Err(Error::unsupported(format!(
            "writing the files of \"{}\" anew, which has deletion vectors or column mapping",
            table.name
        ))
        .with_hint("Copy it into a new table: CREATE TABLE … AS SELECT."));
    };
    let log = delta.table.snapshot()?.snapshot().try_log_data()?;
    let candidates = log
        .iter()
        .zip(files.iter())
        .map(|(view, file)| Candidate { file: file.clone(), remove: view.remove_action(false) })
        .collect();
    let Some(predicate) = predicate else { return Ok(candidates) };
    let keys = partition_schema(&table.layout);
    let filter = key_predicate(state, predicate, &keys)?;
    files::in_partitions(state, candidates, partition_values, &keys, &[filter])
}

fn partition_values(candidate: &Candidate) -> &[ScalarValue] {
    &candidate.file.partition_values
}
