//! A file of UNLOAD while it's written: rows are encoded, compressed and sent on their way.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder as CsvBuilder;
use arrow::datatypes::SchemaRef;
use arrow::json::WriterBuilder as JsonBuilder;
use arrow::json::writer::LineDelimited;
use boathouse_catalog::Format;
use datafusion::parquet::basic;
use flate2::write::GzEncoder;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tokio::io::AsyncWriteExt as _;

use super::options::UnloadOptions;
use crate::parquet_file::{ParquetFile, compressed, properties};
use crate::{Error, Result};

const UPLOAD_PART_BYTES: usize = 8 << 20;
/// Parts of one file that are uploaded at once.
const UPLOADS: usize = 4;
const ZSTD_LEVEL: i32 = 1;

/// How files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// Text isn't, Parquet as the lake's own files.
    Usual,
    Gzip,
    Zstd,
}

/// How CSV is written.
#[derive(Clone, Debug)]
pub(super) struct TextSyntax {
    pub(super) delimiter: u8,
    pub(super) header: bool,
    pub(super) null: String,
}

/// A file that was written.
pub(super) struct Unloaded {
    pub(super) path: Path,
    pub(super) bytes: u64,
    pub(super) rows: u64,
}

/// A file that is being written.
pub(super) enum OpenFile {
    Parquet(Box<ParquetFile>),
    Text(Box<TextFile>),
}

impl OpenFile {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        path: Path,
        schema: SchemaRef,
        options: &UnloadOptions,
    ) -> Result<Self> {
        if options.format != Format::Parquet {
            return Ok(Self::Text(Box::new(TextFile::new(store, path, options)?)));
        }
        let properties = match options.compression {
            Compression::Gzip => compressed(basic::Compression::GZIP(basic::GzipLevel::default())),
            Compression::Usual | Compression::Zstd => properties()?,
        };
        let file = ParquetFile::new(store, path, schema, properties)?;
        Ok(Self::Parquet(Box::new(file.with_file_bytes(options.file_bytes))))
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(file) => file.write(batch).await,
            Self::Text(file) => file.write(batch).await,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Parquet(file) => file.bytes(),
            Self::Text(file) => file.bytes,
        }
    }

    pub(super) async fn finish(&mut self) -> Result<Unloaded> {
        match self {
            Self::Parquet(file) => {
                let written = file.finish().await?;
                Ok(Unloaded { path: written.path, bytes: written.bytes, rows: written.rows })
            }
            Self::Text(file) => file.finish().await,
        }
    }

    pub(super) async fn abort(self) {
        match self {
            Self::Parquet(file) => file.abort().await,
            Self::Text(file) => file.abort().await,
        }
    }
}

/// A file of CSV or JSON.
pub(super) struct TextFile {
    path: Path,
    format: Format,
    syntax: TextSyntax,
    sink: Sink,
    upload: BufWriter,
    upload_failed: bool,
    bytes: u64,
    rows: u64,
}

impl TextFile {
    fn new(store: Arc<dyn ObjectStore>, path: Path, options: &UnloadOptions) -> Result<Self> {
        let upload = BufWriter::with_capacity(store, path.clone(), UPLOAD_PART_BYTES)
            .with_max_concurrency(UPLOADS);
        Ok(Self {
            path,
            format: options.format,
            syntax: options.text.clone(),
            sink: Sink::new(options.compression)?,
            upload,
            upload_failed: false,
            bytes: 0,
            rows: 0,
        })
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self.format {
            Format::Json => {
                let builder = JsonBuilder::new().with_explicit_nulls(true);
                let mut writer = builder.build::<_, LineDelimited>(&mut self.sink);
                writer.write(batch)?;
                writer.finish()?;
            }
            _ => self.write_csv(batch)?,
        }
        self.rows += batch.num_rows() as u64;
        let encoded = self.sink.take();
        self.send(encoded).await
    }

    fn write_csv(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut writer = CsvBuilder::new()
            .with_header(self.syntax.header && self.rows == 0)
            .with_delimiter(self.syntax.delimiter)
            .with_null(self.syntax.null.clone())
            .with_timestamp_format("%Y-%m-%d %H:%M:%S%.f".into())
            .with_timestamp_tz_format("%Y-%m-%d %H:%M:%S%.f%:z".into())
            .build(&mut self.sink);
        writer.write(batch).map_err(|error| match error {
            arrow::error::ArrowError::CsvError(text) => Error::unsupported(text)
                .with_hint("Lists, structs and maps can be unloaded as PARQUET or JSON."),
            error => error.into(),
        })
    }

    async fn send(&mut self, encoded: Vec<u8>) -> Result<()> {
        self.bytes += encoded.len() as u64;
        let sent = self.upload.put(encoded.into()).await;
        self.upload_failed |= sent.is_err();
        Ok(sent?)
    }

    async fn finish(&mut self) -> Result<Unloaded> {
        let rest = self.sink.finish()?;
        self.send(rest).await?;
        let ended = self.upload.shutdown().await;
        self.upload_failed |= ended.is_err();
        ended?;
        Ok(Unloaded { path: self.path.clone(), bytes: self.bytes, rows: self.rows })
    }

    async fn abort(mut self) {
        // An upload that failed by itself can't be aborted any more.
        if self.upload_failed {
            return;
        }
        if let Err(failure) = self.upload.abort().await {
            tracing::warn!(%failure, path = %self.path, "parts of a failed write stay behind");
        }
    }
}

/// Bytes on their way, compressed or not.
enum Sink {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Sink {
    fn new(compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::Usual => Self::Plain(Vec::new()),
            Compression::Gzip => {
                Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast()))
            }
            Compression::Zstd => {
                Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?)
            }
        })
    }

    /// What is ready to be sent.
    fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Plain(ready) => std::mem::take(ready),
            Self::Gzip(encoder) => std::mem::take(encoder.get_mut()),
            Self::Zstd(encoder) => std::mem::take(encoder.get_mut()),
        }
    }

    /// The rest.
    fn finish(&mut self) -> Result<Vec<u8>> {
        match self {
            Self::Plain(_) => {}
            Self::Gzip(encoder) => encoder.try_finish()?,
            Self::Zstd(encoder) => encoder.do_finish()?,
        }
        Ok(self.take())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(ready) => {
                ready.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Self::Gzip(encoder) => Write::write(encoder, bytes),
            Self::Zstd(encoder) => Write::write(encoder, bytes),
        }
    }

    /// Flushing a compressor would make its output larger: what is ready is taken instead.
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
