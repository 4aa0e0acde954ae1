//! A Parquet file whose columns are encoded at the same time, each by a task of its own.
//!
//! Rows stay in the order in which they come, and no more than one row group is held.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::file::writer::SerializedFileWriter;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::engine::panic_text;
use crate::{Error, Result};

const ROW_GROUP_ROWS: usize = 1 << 20;
/// A row group of long rows ends earlier: its values have about this many bytes before encoding.
const ROW_GROUP_BYTES: usize = 256 << 20;
/// Arrays that wait for a column's encoder.
const QUEUED_ARRAYS: usize = 4;
const UPLOAD_PART_BYTES: usize = 8 << 20;
/// Parts of one file that are uploaded at once.
const UPLOADS: usize = 4;

/// What the lake's own data files are written with.
pub(crate) fn properties() -> Result<WriterProperties> {
    Ok(compressed(Compression::ZSTD(ZstdLevel::try_new(1)?)))
}

/// The same with another compression.
pub(crate) fn compressed(compression: Compression) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build()
}

/// A file that is being written. It's there only after [`ParquetFile::finish`].
pub(crate) struct ParquetFile {
    path: Path,
    schema: SchemaRef,
    writer: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    upload: BufWriter,
    group: Option<RowGroup>,
    groups: usize,
    rows: u64,
    bytes: u64,
    upload_failed: bool,
    group_bytes: usize,
}

/// A file that was written.
pub(crate) struct Written {
    pub(crate) path: Path,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) metadata: ParquetMetaData,
}

impl ParquetFile {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        path: Path,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self> {
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
        let (writer, factory) = writer.into_serialized_writer()?;
        let upload = BufWriter::with_capacity(store, path.clone(), UPLOAD_PART_BYTES)
            .with_max_concurrency(UPLOADS);
        Ok(Self {
            path,
            schema,
            writer,
            factory,
            upload,
            group: None,
            groups: 0,
            rows: 0,
            bytes: 0,
            upload_failed: false,
            group_bytes: ROW_GROUP_BYTES,
        })
    }

    /// For a file that ends at this size: a row group has no more, before encoding.
    pub(crate) fn with_file_bytes(mut self, bytes: u64) -> Self {
        self.group_bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(ROW_GROUP_BYTES);
        self
    }

    /// Bytes of the row groups that are whole.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds rows, whose schema is the file's. It waits where encoding is slower than what gives
    /// the rows.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut rest = batch.clone();
        while rest.num_rows() > 0 {
            let group = match self.group.take() {
                Some(group) => group,
                None => RowGroup::start(&self.factory, self.groups, &self.schema)?,
            };
            let taken = rest.num_rows().min(ROW_GROUP_ROWS - group.rows);
            let group = self.group.insert(group);
            group.write(&rest.slice(0, taken)).await?;
            self.rows += taken as u64;
            rest = rest.slice(taken, rest.num_rows() - taken);
            if group.rows >= ROW_GROUP_ROWS || group.bytes >= self.group_bytes {
                self.end_group().await?;
            }
        }
        Ok(())
    }

    /// Ends the file: it's whole in its store after this.
    pub(crate) async fn finish(&mut self) -> Result<Written> {
        self.end_group().await?;
        let metadata = self.writer.finish()?;
        self.send().await?;
        use tokio::io::AsyncWriteExt as _;
        let ended = self.upload.shutdown().await;
        self.upload_failed |= ended.is_err();
        ended?;
        let (path, bytes, rows) = (self.path.clone(), self.bytes, self.rows);
        Ok(Written { path, bytes, rows, metadata })
    }

    /// Gives up on the file; nothing of it stays in the store.
    pub(crate) async fn abort(mut self) {
        // An upload that failed by itself can't be aborted any more.
        if self.upload_failed {
            return;
        }
        if let Err(failure) = self.upload.abort().await {
            tracing::warn!(%failure, path = %self.path, "parts of a failed write stay behind");
        }
    }

    async fn end_group(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let chunks = group.finish().await?;
        let mut writer = self.writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut writer)?;
        }
        writer.close()?;
        self.groups += 1;
        self.send().await
    }

    /// Sends what was encoded on its way.
    async fn send(&mut self) -> Result<()> {
        let encoded = std::mem::take(self.writer.inner_mut());
        self.bytes += encoded.len() as u64;
        let sent = self.upload.put(encoded.into()).await;
        self.upload_failed |= sent.is_err();
        Ok(sent?)
    }
}

/// One row group whose columns are being encoded. Dropping it ends the encoders.
struct RowGroup {
    columns: Vec<mpsc::Sender<ArrayRef>>,
    encoders: JoinSet<(usize, Result<Vec<ArrowColumnChunk>>)>,
    rows: usize,
    bytes: usize,
}

impl RowGroup {
    fn start(
        factory: &ArrowRowGroupWriterFactory,
        index: usize,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let mut writers = factory.create_column_writers(index)?.into_iter();
        let mut group = Self { columns: Vec::new(), encoders: JoinSet::new(), rows: 0, bytes: 0 };
        for (column, field) in schema.fields().iter().enumerate() {
            let (sender, arrays) = mpsc::channel(QUEUED_ARRAYS);
            let leaves = writers.by_ref().take(leaves(field.data_type())).collect();
            let encoder = encode(field.clone(), arrays, leaves);
            group.encoders.spawn(async move { (column, encoder.await) });
            group.columns.push(sender);
        }
        Ok(group)
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for (column, sender) in batch.columns().iter().zip(&self.columns) {
            self.bytes += column.to_data().get_slice_memory_size()?;
            if sender.send(column.clone()).await.is_err() {
                return Err(self.failure().await);
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Why an encoder ended before its time.
    async fn failure(&mut self) -> Error {
        self.columns.clear();
        while let Some(ended) = self.encoders.join_next().await {
            match ended {
                Ok((_, Ok(_))) => {}
                Ok((_, Err(error))) => return error,
                Err(error) => return Error::internal(panic_text(error)),
            }
        }
        Error::internal("an encoder ended without an error")
    }

    /// The encoded columns, in order.
    async fn finish(mut self) -> Result<Vec<ArrowColumnChunk>> {
        self.columns.clear();
        let mut columns = Vec::new();
        while let Some(ended) = self.encoders.join_next().await {
            let (column, chunks) = ended.map_err(|error| Error::internal(panic_text(error)))?;
            columns.push((column, chunks?));
        }
        columns.sort_by_key(|(column, _)| *column);
        Ok(columns.into_iter().flat_map(|(_, chunks)| chunks).collect())
    }
}

async fn encode(
    field: FieldRef,
    mut arrays: mpsc::Receiver<ArrayRef>,
    mut writers: Vec<ArrowColumnWriter>,
) -> Result<Vec<ArrowColumnChunk>> {
    while let Some(array) = arrays.recv().await {
        for (leaf, writer) in compute_leaves(&field, &array)?.iter().zip(&mut writers) {
            writer.write(leaf)?;
        }
    }
    Ok(writers.into_iter().map(ArrowColumnWriter::close).collect::<Result<_, _>>()?)
}

/// How many columns of the file a column becomes.
fn leaves(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => leaves(item.data_type()),
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        _ => 1,
    }
}
