//! The files of one write: one after the other, or one for each partition at a time.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::Add;
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use uuid::Uuid;

use crate::Result;
use crate::engine::Shared;
use crate::file_statistics::add_statistics;
use crate::parquet_file::{self, ParquetFile, Written};
use crate::stores::store_path;
use crate::write::Place;

const WRITE_BATCH_ROWS: usize = 8192;

/// Writes rows of one schema as Parquet files, which belong to nobody until a commit names them.
pub(crate) enum FileWriter {
    /// Files of a table without partition keys: in the order of the rows, each encoded on as many
    /// threads as there are.
    Whole(Box<WholeFiles>),
    /// Files of a partitioned table: one open file for each partition that rows came for.
    Partitions { writer: Box<DeltaWriter>, store_failed: bool },
}

impl FileWriter {
    /// Writes columns of `schema`, which are called as they are to be in files.
    pub(crate) fn new(shared: &Shared, place: &Place, schema: SchemaRef) -> Result<Self> {
        let root = shared.stores.store(&place.location)?;
        let path = store_path(&place.location)?;
        let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(root, path));
        if place.keys.is_empty() {
            let files = WholeFiles::new(store, schema, place.file_bytes);
            return Ok(Self::Whole(Box::new(files)));
        }
        let config = WriterConfig::new(
            schema,
            place.keys.clone(),
            Some(parquet_file::properties()?),
            std::num::NonZeroU64::new(place.file_bytes),
            Some(WRITE_BATCH_ROWS),
            Default::default(),
            None,
        );
        let writer = Box::new(DeltaWriter::new(store, config));
        Ok(Self::Partitions { writer, store_failed: false })
    }

    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Whole(files) => files.write(batch).await,
            Self::Partitions { writer, store_failed } => {
                Ok(writer.write(batch).await.inspect_err(|_| *store_failed = true)?)
            }
        }
    }

    /// Ends the last files; the actions that name all of them.
    pub(crate) async fn close(self) -> Result<Vec<Add>> {
        match self {
            Self::Whole(mut files) => match files.end_file().await {
                Ok(()) => Ok(files.adds),
                Err(error) => {
                    files.abort().await;
                    Err(error)
                }
            },
            Self::Partitions { writer, .. } => Ok(writer.close().await?),
        }
    }

    /// Gives up. Files that are whole already stay behind, unused: no commit names them.
    pub(crate) async fn abort(self) {
        match self {
            Self::Whole(files) => files.abort().await,
            // An upload that failed by itself can't be aborted any more.
            Self::Partitions { store_failed: true, .. } => {}
            Self::Partitions { writer, .. } => {
                if let Err(failure) = writer.abort().await {
                    tracing::warn!(%failure, "parts of a failed write stay behind");
                }
            }
        }
    }
}

/// The files of a table without keys that one write makes.
pub(crate) struct WholeFiles {
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    file_bytes: u64,
    id: Uuid,
    open: Option<ParquetFile>,
    adds: Vec<Add>,
}

impl WholeFiles {
    fn new(store: Arc<dyn ObjectStore>, schema: SchemaRef, file_bytes: u64) -> Self {
        Self { store, schema, file_bytes, id: Uuid::new_v4(), open: None, adds: Vec::new() }
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let file = match self.open.take() {
            Some(file) => file,
            None => self.next_file()?,
        };
        let file = self.open.insert(file);
        file.write(batch).await?;
        match file.bytes() >= self.file_bytes {
            true => self.end_file().await,
            false => Ok(()),
        }
    }

    fn next_file(&self) -> Result<ParquetFile> {
        let path = Path::from(format!("part-{:05}-{}-c000.zstd.parquet", self.adds.len(), self.id));
        let properties = parquet_file::properties()?;
        ParquetFile::new(self.store.clone(), path, self.schema.clone(), properties)
    }

    async fn end_file(&mut self) -> Result<()> {
        let Some(file) = &mut self.open else { return Ok(()) };
        let written = file.finish().await?;
        self.open = None;
        self.adds.push(add(written, &self.schema)?);
        Ok(())
    }

    async fn abort(self) {
        if let Some(open) = self.open {
            open.abort().await;
        }
    }
}

/// The action that names a file of a table without partition keys.
fn add(written: Written, schema: &SchemaRef) -> Result<Add> {
    Ok(Add {
        path: written.path.to_string(),
        size: i64::try_from(written.bytes).unwrap_or(i64::MAX),
        modification_time: chrono::Utc::now().timestamp_millis(),
        data_change: true,
        stats: Some(add_statistics(&written.metadata, schema)?),
        partition_values: Default::default(),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    })
}
