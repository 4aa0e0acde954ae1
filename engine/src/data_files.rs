//! The data files of a table without partition keys, encoded on as many threads as there are.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use deltalake::kernel::Add;
use futures::{Stream, StreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use uuid::Uuid;

use crate::Result;
use crate::file_statistics::add_statistics;
use crate::parquet_file::{self, ParquetFile, Written};
use crate::write::{FILE_BYTES, fitted};

/// Writes the rows of `data` as files of `schema`: one after the other, in the order of the rows.
pub(crate) async fn write_whole(
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    data: impl Stream<Item = Result<RecordBatch>>,
) -> Result<(Vec<Add>, u64)> {
    let mut files = Files { store, schema, id: Uuid::new_v4(), open: None, adds: vec![], rows: 0 };
    let mut data = std::pin::pin!(data);
    let written = async {
        while let Some(batch) = data.next().await {
            let batch = fitted(&batch?, &files.schema)?;
            files.write(&batch).await?;
        }
        files.end_file().await
    }
    .await;
    if let Err(error) = written {
        // Files that are whole already stay behind, unused: no commit names them.
        if let Some(open) = files.open {
            open.abort().await;
        }
        return Err(error);
    }
    Ok((files.adds, files.rows))
}

/// The files that one write makes.
struct Files {
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    id: Uuid,
    open: Option<ParquetFile>,
    adds: Vec<Add>,
    rows: u64,
}

impl Files {
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
        self.rows += batch.num_rows() as u64;
        match file.bytes() >= FILE_BYTES {
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
