//! Arrow IPC: as a stream for a pipe, as a file for random access.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::{Sink, Writer, write_error};
use crate::failure::Result;

/// The stream form.
pub(super) struct Stream(StreamWriter<Writer>);

/// The file form.
pub(super) struct File(FileWriter<Writer>);

impl Stream {
    pub(super) fn new(schema: &SchemaRef, writer: Writer) -> Result<Self> {
        StreamWriter::try_new(writer, schema).map(Self).map_err(write_error)
    }
}

impl File {
    pub(super) fn new(schema: &SchemaRef, writer: Writer) -> Result<Self> {
        FileWriter::try_new(writer, schema).map(Self).map_err(write_error)
    }
}

impl Sink for Stream {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).map_err(write_error)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.0.finish().map_err(write_error)?;
        self.0.get_mut().flush().map_err(write_error)
    }
}

impl Sink for File {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).map_err(write_error)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.0.finish().map_err(write_error)?;
        self.0.get_mut().flush().map_err(write_error)
    }
}
