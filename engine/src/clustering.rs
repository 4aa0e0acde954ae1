//! Clustering: rows that lie together in a file, so that statistics leave much of it out.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::SchemaRef;

use crate::Result;

/// So much is sorted at once; a larger file holds several sorted runs.
const RUN_BYTES: usize = 64 << 20;

/// Rows that are collected to be sorted. Without columns to sort by they pass as they are.
pub(crate) struct Run {
    schema: SchemaRef,
    columns: Vec<usize>,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Run {
    pub(crate) fn new(schema: &SchemaRef, columns: &[String]) -> Result<Self> {
        let columns =
            columns.iter().map(|name| Ok(schema.index_of(name)?)).collect::<Result<Vec<_>>>()?;
        Ok(Self { schema: schema.clone(), columns, batches: Vec::new(), bytes: 0 })
    }

    /// Takes rows, and gives those that are ready.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        if self.columns.is_empty() {
            return Ok(Some(batch));
        }
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
        if self.bytes < RUN_BYTES { Ok(None) } else { self.end() }
    }

    /// The rows that are left, sorted.
    pub(crate) fn end(&mut self) -> Result<Option<RecordBatch>> {
        if self.batches.is_empty() {
            return Ok(None);
        }
        self.bytes = 0;
        let batch = concat_batches(&self.schema, &std::mem::take(&mut self.batches))?;
        let by = |index: &usize| -> SortColumn {
            let values: ArrayRef = batch.column(*index).clone();
            SortColumn { values, options: None }
        };
        let columns: Vec<SortColumn> = self.columns.iter().map(by).collect();
        let order = lexsort_to_indices(&columns, None)?;
        Ok(Some(take_record_batch(&batch, &order)?))
    }
}
