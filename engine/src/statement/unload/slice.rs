//! A slice: the files of one part of a result, written in the order of its rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use futures::{Stream, StreamExt};

use super::encode::{OpenFile, Unloaded};
use super::options::UnloadOptions;
use super::target::{Target, partition_folders};
use crate::Result;

/// Files that are open at once; with more partitions, files are ended and others begun.
const OPEN_MAX: usize = 64;

/// What all slices of a statement share.
pub(super) struct Layout {
    pub(super) target: Target,
    pub(super) options: UnloadOptions,
    /// Of the result.
    pub(super) keys: Vec<String>,
    pub(super) key_columns: Vec<usize>,
    /// The columns that are in the files, and their schema.
    pub(super) columns: Vec<usize>,
    pub(super) schema: SchemaRef,
}

/// The values of a row's keys.
type Values = Vec<Option<String>>;

/// One slice while it's written.
pub(super) struct Slice {
    layout: Arc<Layout>,
    number: usize,
    open: HashMap<Values, OpenFile>,
    /// Files of each partition that were begun.
    parts: HashMap<Values, usize>,
    pub(super) written: Vec<Unloaded>,
}

impl Slice {
    pub(super) fn new(layout: Arc<Layout>, number: usize) -> Self {
        Self { layout, number, open: HashMap::new(), parts: HashMap::new(), written: Vec::new() }
    }

    /// Writes all rows. When it fails, what is whole is in `written`.
    pub(super) async fn write_all(
        &mut self,
        rows: impl Stream<Item = Result<RecordBatch>>,
    ) -> Result<()> {
        let written = self.write_rows(rows).await;
        for (_, file) in self.open.drain() {
            // After success none is open.
            file.abort().await;
        }
        written
    }

    async fn write_rows(&mut self, rows: impl Stream<Item = Result<RecordBatch>>) -> Result<()> {
        let mut rows = std::pin::pin!(rows);
        while let Some(batch) = rows.next().await {
            for (values, batch) in self.split(&batch?)? {
                self.write(values, &batch.project(&self.layout.columns)?).await?;
            }
        }
        self.end_all().await
    }

    /// The batch's rows by their keys' values.
    fn split(&self, batch: &RecordBatch) -> Result<Vec<(Values, RecordBatch)>> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if self.layout.key_columns.is_empty() {
            return Ok(vec![(Vec::new(), batch.clone())]);
        }
        let texts = self
            .layout
            .key_columns
            .iter()
            .map(|key| cast(batch.column(*key), &DataType::Utf8))
            .collect::<Result<Vec<_>, _>>()?;
        let mut groups: HashMap<Values, Vec<u32>> = HashMap::new();
        for row in 0..batch.num_rows() {
            let value = |text: &arrow::array::ArrayRef| {
                text.is_valid(row).then(|| text.as_string::<i32>().value(row).to_owned())
            };
            let values = texts.iter().map(value).collect();
            groups.entry(values).or_default().push(u32::try_from(row).unwrap_or(u32::MAX));
        }
        let mut parts = groups
            .into_iter()
            .map(|(values, rows)| Ok((values, take_record_batch(batch, &UInt32Array::from(rows))?)))
            .collect::<Result<Vec<_>>>()?;
        parts.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(parts)
    }

    async fn write(&mut self, values: Values, batch: &RecordBatch) -> Result<()> {
        if !self.open.contains_key(&values) {
            if self.open.len() >= OPEN_MAX {
                self.end_all().await?;
            }
            let file = self.begin(&values)?;
            self.open.insert(values.clone(), file);
        }
        let Some(file) = self.open.get_mut(&values) else { return Ok(()) };
        file.write(batch).await?;
        if file.bytes() >= self.layout.options.file_bytes {
            self.written.push(file.finish().await?);
            self.open.remove(&values);
        }
        Ok(())
    }

    fn begin(&mut self, values: &Values) -> Result<OpenFile> {
        let Layout { target, options, keys, schema, .. } = self.layout.as_ref();
        let part = self.parts.entry(values.clone()).or_insert(0);
        let folders = partition_folders(keys, values);
        let name = format!("{folders}{:04}_part_{part:02}{}", self.number, options.ending);
        *part += 1;
        OpenFile::new(target.store.clone(), target.path(&name)?, schema.clone(), options)
    }

    async fn end_all(&mut self) -> Result<()> {
        let partitions: Vec<Values> = self.open.keys().cloned().collect();
        for values in partitions {
            if let Some(file) = self.open.get_mut(&values) {
                self.written.push(file.finish().await?);
                self.open.remove(&values);
            }
        }
        Ok(())
    }
}
