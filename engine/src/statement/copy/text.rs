//! CSV: decoded at once where every value is as its column wants it, else record by record.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{Field, Schema, SchemaRef};
use csv_core::ReadRecordResult;

use super::chunks::{Chunk, Fields};
use super::options::TextOptions;
use super::rejects::{Reject, Rejects};
use super::values::{Converted, convert, is_direct, type_name};
use crate::{Error, Result};

const BATCH_ROWS: usize = 8192;

/// How the records of a load are read.
pub(super) struct TextReader {
    /// The columns of a record, in its order.
    pub(super) columns: SchemaRef,
    pub(super) options: TextOptions,
    pub(super) fields: Fields,
    /// Missing fields at a record's end are NULL.
    pub(super) fill: bool,
    pub(super) rejects: Arc<Rejects>,
}

impl TextReader {
    pub(super) fn read(&self, chunk: &Chunk) -> Result<Vec<RecordBatch>> {
        let is_direct = self.columns.fields().iter().all(|field| is_direct(field));
        if is_direct
            && self.options.is_plain()
            && let Some(batches) = self.read_at_once(chunk)
        {
            return Ok(batches);
        }
        self.read_records(chunk)
    }

    /// `None` where anything isn't as it should be.
    fn read_at_once(&self, chunk: &Chunk) -> Option<Vec<RecordBatch>> {
        let mut builder = ReaderBuilder::new(self.columns.clone())
            .with_batch_size(BATCH_ROWS)
            .with_delimiter(self.fields.delimiter)
            .with_quote(self.fields.quote)
            .with_truncated_rows(self.fill);
        if let Some(escape) = self.fields.escape {
            builder = builder.with_escape(escape);
        }
        let reader = builder.build_buffered(chunk.bytes.as_ref()).ok()?;
        reader.collect::<Result<_, _>>().ok()
    }

    fn read_records(&self, chunk: &Chunk) -> Result<Vec<RecordBatch>> {
        let mut records = Records::new(self.fields, chunk);
        let mut batches = Vec::new();
        loop {
            let mut bad = Vec::new();
            let rows = self.take_rows(&mut records, chunk, &mut bad)?;
            let batch = self.convert_rows(&rows, chunk, &mut bad)?;
            // The first of them is the one that the error is about.
            bad.sort_by_key(|reject| reject.line);
            bad.into_iter().try_for_each(|reject| self.rejects.add(reject))?;
            if rows.is_empty() {
                return Ok(batches);
            }
            batches.push(batch);
        }
    }

    /// The next records that have as many fields as there are columns.
    fn take_rows(
        &self,
        records: &mut Records,
        chunk: &Chunk,
        bad: &mut Vec<Reject>,
    ) -> Result<Vec<Row>> {
        let wanted = self.columns.fields().len();
        let mut rows = Vec::new();
        while rows.len() < BATCH_ROWS {
            let Some((line, fields)) = records.next()? else { break };
            match self.texts(fields) {
                Ok(fields) if fields.len() == wanted => rows.push(Row { line, fields }),
                Ok(fields) if fields.len() < wanted && self.fill => {
                    rows.push(Row { line, fields });
                }
                Ok(fields) => {
                    let reason = format!("{} fields, and {wanted} columns", fields.len());
                    bad.push(self.reject(chunk, &Row { line, fields }, None, reason));
                }
                Err((column, fields)) => {
                    let reason = "the text is not UTF-8".to_owned();
                    bad.push(self.reject(chunk, &Row { line, fields }, Some(column), reason));
                }
            }
        }
        Ok(rows)
    }

    /// The fields as texts; of those that are none, where one is and what can be shown.
    fn texts(&self, fields: Vec<Vec<u8>>) -> Result<Vec<String>, (usize, Vec<String>)> {
        let mut wrong = None;
        let texts = fields.into_iter().enumerate().map(|(column, bytes)| {
            String::from_utf8(bytes).unwrap_or_else(|error| {
                if self.options.replacement.is_none() {
                    wrong = Some(column);
                }
                let shown = self.options.replacement.unwrap_or(char::REPLACEMENT_CHARACTER);
                String::from_utf8_lossy(error.as_bytes())
                    .replace(char::REPLACEMENT_CHARACTER, &shown.to_string())
            })
        });
        let texts: Vec<String> = texts.collect();
        wrong.map_or(Ok(texts.clone()), |column| Err((column, texts)))
    }

    fn convert_rows(
        &self,
        rows: &[Row],
        chunk: &Chunk,
        bad: &mut Vec<Reject>,
    ) -> Result<RecordBatch> {
        let mut good = vec![true; rows.len()];
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (index, field) in self.columns.fields().iter().enumerate() {
            let texts: Vec<Option<&str>> =
                rows.iter().map(|row| row.fields.get(index).map(String::as_str)).collect();
            let Converted { column, bad: wrong } = convert(&texts, field, &self.options)?;
            let nulls = (0..rows.len()).filter(|row| !field.is_nullable() && column.is_null(*row));
            for row in wrong.into_iter().chain(nulls) {
                // A row is noted once, for the first of its values that can't be.
                if std::mem::replace(&mut good[row], false) {
                    bad.push(self.wrong_value(chunk, &rows[row], index));
                }
            }
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(nullable(&self.columns), columns, &options)?;
        if good.iter().all(|good| *good) {
            return Ok(batch);
        }
        Ok(filter_record_batch(&batch, &BooleanArray::from(good))?)
    }

    fn wrong_value(&self, chunk: &Chunk, row: &Row, column: usize) -> Reject {
        let field = self.columns.field(column);
        let texts = [row.fields.get(column).map(String::as_str)];
        let is_wrong =
            convert(&texts, field, &self.options).is_ok_and(|converted| !converted.bad.is_empty());
        let reason = match texts {
            [Some(text)] if is_wrong => {
                format!("\"{}\" is no {}", shortened(text), type_name(field.data_type()))
            }
            _ => "NULL, and the column is NOT NULL".to_owned(),
        };
        self.reject(chunk, row, Some(column), reason)
    }

    fn reject(&self, chunk: &Chunk, row: &Row, column: Option<usize>, reason: String) -> Reject {
        let delimiter = char::from(self.fields.delimiter).to_string();
        let names = self.columns.fields();
        Reject {
            file: chunk.file.shown(),
            line: row.line,
            column: column.and_then(|column| Some(names.get(column)?.name().clone())),
            value: column.and_then(|column| row.fields.get(column).cloned()),
            raw: row.fields.join(&delimiter),
            reason,
        }
    }
}

/// The schema while rows that lack a value are still among the others.
fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields: Vec<Field> =
        fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Arc::new(Schema::new(fields))
}

/// A value as a message has it.
pub(super) fn shortened(value: &str) -> String {
    const CHARS: usize = 60;
    match value.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

struct Row {
    line: u64,
    fields: Vec<String>,
}

/// The records of a chunk with their lines.
struct Records<'a> {
    reader: csv_core::Reader,
    rest: &'a [u8],
    first_line: u64,
    output: Vec<u8>,
    ends: Vec<usize>,
}

impl<'a> Records<'a> {
    fn new(fields: Fields, chunk: &'a Chunk) -> Self {
        let reader = csv_core::ReaderBuilder::new()
            .delimiter(fields.delimiter)
            .quote(fields.quote)
            .escape(fields.escape)
            .build();
        Self {
            reader,
            rest: &chunk.bytes,
            first_line: chunk.line,
            output: vec![0; 4096],
            ends: vec![0; 64],
        }
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<Vec<u8>>)>> {
        self.skip_line_ends();
        let line = self.first_line + self.reader.line() - 1;
        let (mut written, mut ended) = (0, 0);
        loop {
            let (result, read, output, ends) = self.reader.read_record(
                self.rest,
                &mut self.output[written..],
                &mut self.ends[ended..],
            );
            self.rest = self.rest.get(read..).unwrap_or_default();
            (written, ended) = (written + output, ended + ends);
            match result {
                // The next call, without input, ends the last record.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => grow(&mut self.output)?,
                ReadRecordResult::OutputEndsFull => grow(&mut self.ends)?,
                ReadRecordResult::Record => return Ok(Some((line, self.fields(ended)))),
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Ends of lines before a record would count as its own line otherwise.
    fn skip_line_ends(&mut self) {
        let blank = self.rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let lines = self.rest[..blank].iter().filter(|byte| **byte == b'\n').count() as u64;
        self.first_line += lines;
        self.rest = &self.rest[blank..];
    }

    fn fields(&self, count: usize) -> Vec<Vec<u8>> {
        let mut start = 0;
        let fields = self.ends[..count].iter().map(|end| {
            let field = self.output[start..*end].to_vec();
            start = *end;
            field
        });
        fields.collect()
    }
}

fn grow<T: Clone + Default>(buffer: &mut Vec<T>) -> Result<()> {
    const MAX: usize = 128 << 20;
    if buffer.len() >= MAX {
        return Err(Error::bad_data("a record is too long"));
    }
    buffer.resize(buffer.len() * 2, T::default());
    Ok(())
}
