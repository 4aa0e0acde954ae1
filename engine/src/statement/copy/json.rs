//! JSON, an object on each line: decoded at once where every value is as its column wants it,
//! else line by line.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;

use super::chunks::Chunk;
use super::rejects::{Reject, Rejects};
use super::text::shortened;
use super::values::type_name;
use crate::Result;

const BATCH_ROWS: usize = 8192;

/// How the lines of a load are read: keys are matched with columns by name.
pub(super) struct JsonReader {
    pub(super) columns: SchemaRef,
    pub(super) rejects: Arc<Rejects>,
}

impl JsonReader {
    pub(super) fn read(&self, chunk: &Chunk) -> Result<Vec<RecordBatch>> {
        match decoded(&self.columns, &chunk.bytes) {
            Ok(batches) => Ok(batches),
            Err(_) => self.read_lines(chunk),
        }
    }

    /// All lines that can be read, in as few batches as may be.
    fn read_lines(&self, chunk: &Chunk) -> Result<Vec<RecordBatch>> {
        let lines: Vec<&[u8]> = chunk.bytes.split(|byte| *byte == b'\n').collect();
        let mut good = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match decoded(&self.columns, line) {
                Ok(batches) if batches.iter().map(RecordBatch::num_rows).sum::<usize>() == 1 => {
                    good.extend_from_slice(line);
                    good.push(b'\n');
                }
                Ok(_) => self.reject(chunk, index, line, "not one object on its line".into())?,
                Err(error) => self.reject(chunk, index, line, words(&error))?,
            }
        }
        Ok(decoded(&self.columns, &good)?)
    }

    fn reject(&self, chunk: &Chunk, index: usize, line: &[u8], reason: String) -> Result<()> {
        let raw = String::from_utf8_lossy(line).trim_end().to_owned();
        let (column, value, reason) = match self.wrong_value(line) {
            Some((column, value, reason)) => (Some(column), Some(value), reason),
            None => (None, None, reason),
        };
        let (file, line) = (chunk.file.shown(), chunk.line + index as u64);
        self.rejects.add(Reject { file, line, column, value, raw, reason })
    }

    /// The first column whose value alone can't be read.
    fn wrong_value(&self, line: &[u8]) -> Option<(String, String, String)> {
        let object: serde_json::Value = serde_json::from_slice(line).ok()?;
        for field in self.columns.fields() {
            let Some(value) = object.get(field.name()) else { continue };
            let alone = serde_json::json!({ field.name(): value }).to_string();
            let column = Arc::new(Schema::new(vec![field.clone()]));
            if decoded(&column, alone.as_bytes()).is_err() {
                let value = value.to_string();
                let wanted = type_name(field.data_type());
                let reason = format!("{} is no {wanted}", shortened(&value));
                return Some((field.name().clone(), value, reason));
            }
        }
        None
    }
}

fn decoded(columns: &SchemaRef, bytes: &[u8]) -> Result<Vec<RecordBatch>, ArrowError> {
    let reader = ReaderBuilder::new(columns.clone()).with_batch_size(BATCH_ROWS).build(bytes)?;
    reader.collect()
}

fn words(error: &ArrowError) -> String {
    let text = error.to_string();
    let text = text.trim_start_matches("Json error: ");
    format!("no object: {}", shortened(text))
}
