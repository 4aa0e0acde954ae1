//! JSON: one array of objects, or one object on each line.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::json::writer::{JsonFormat, LineDelimited, Writer as JsonWriter, WriterBuilder};

use super::{Sink, Writer, write_error};
use crate::failure::Result;

/// One array, with each object on its own line.
pub(super) struct Array(JsonWriter<Writer, ArrayOfLines>);

/// One object on each line.
pub(super) struct Lines(JsonWriter<Writer, LineDelimited>);

#[derive(Debug, Default)]
struct ArrayOfLines;

impl JsonFormat for ArrayOfLines {
    fn start_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"[")?)
    }

    fn start_row<W: Write>(&self, writer: &mut W, is_first_row: bool) -> Result<(), ArrowError> {
        Ok(writer.write_all(if is_first_row { b"\n" } else { b",\n" })?)
    }

    fn end_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"\n]\n")?)
    }
}

/// Every object has every key, null where there is no value.
fn options() -> WriterBuilder {
    WriterBuilder::new().with_explicit_nulls(true)
}

impl Array {
    pub(super) fn new(writer: Writer) -> Self {
        Self(options().build(writer))
    }
}

impl Lines {
    pub(super) fn new(writer: Writer) -> Self {
        Self(options().build(writer))
    }
}

impl Sink for Array {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).map_err(write_error)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.0.finish().map_err(write_error)?;
        self.0.into_inner().flush().map_err(write_error)
    }
}

impl Sink for Lines {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).map_err(write_error)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.0.finish().map_err(write_error)?;
        self.0.into_inner().flush().map_err(write_error)
    }
}
