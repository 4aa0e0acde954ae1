//! Parquet files.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{Sink, Writer, write_error};
use crate::failure::Result;

/// A row group is written when it holds this much, so memory stays bounded for wide rows too.
const ROW_GROUP_BYTES_MAX: usize = 128 << 20;

/// A Parquet file compressed with zstd.
pub(super) struct Parquet(ArrowWriter<Writer>);

impl Parquet {
    pub(super) fn new(schema: &SchemaRef, writer: Writer) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = ArrowWriter::try_new(writer, schema.clone(), Some(properties));
        writer.map(Self).map_err(write_error)
    }
}

impl Sink for Parquet {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).map_err(write_error)?;
        if ROW_GROUP_BYTES_MAX <= self.0.in_progress_size() {
            self.0.flush().map_err(write_error)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.0.into_inner().map_err(write_error)?.flush().map_err(write_error)
    }
}
