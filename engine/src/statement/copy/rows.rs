//! The rows of files: chunks of text decoded on all threads, or a scan of Parquet.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use boathouse_catalog::Format;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::execute_stream;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::chunks::{Chunk, Fields, Syntax, produce};
use super::files::{Files, LoadFile};
use super::json::JsonReader;
use super::options::CopyOptions;
use super::rejects::Rejects;
use super::text::TextReader;
use super::values::check_type;
use crate::engine::panic_text;
use crate::scan::{GivenFiles, Wanted, compression, describe};
use crate::session::Session;
use crate::{Error, ErrorKind, Result};

/// Batches with some of a table's columns, by name.
pub(super) type LoadRows = BoxStream<'static, Result<RecordBatch>>;

/// Chunks that wait for a thread.
const CHUNKS_QUEUED: usize = 2;

/// What is read, and as what.
pub(super) struct Load<'a> {
    pub(super) session: &'a Session,
    pub(super) options: &'a CopyOptions,
    pub(super) files: &'a Files,
    /// The columns that are loaded, in the order of a record's fields.
    pub(super) columns: Schema,
    /// Those of them whose values are in the files' paths.
    pub(super) keys: Vec<FieldRef>,
    /// The statement names the columns: others in the files are not loaded.
    pub(super) columns_named: bool,
    pub(super) rejects: Arc<Rejects>,
}

impl Load<'_> {
    /// The rows of `todo`, which are some of the files.
    pub(super) async fn rows(&self, todo: &[Arc<LoadFile>]) -> Result<LoadRows> {
        let state = self.session.query_state();
        match self.files.format {
            Format::Parquet => self.parquet(&state, todo).await,
            Format::Json => {
                let columns = self.columns_in_files();
                let reader = JsonReader { columns, rejects: self.rejects.clone() };
                let syntax = Syntax { fields: None, skip: 0 };
                self.text(&state, todo, syntax, move |chunk| reader.read(chunk))
            }
            _ => {
                let reader = self.text_reader()?;
                let fields = Some(reader.fields);
                let syntax = Syntax { fields, skip: self.options.text.skip };
                self.text(&state, todo, syntax, move |chunk| reader.read(chunk))
            }
        }
    }

    fn columns_in_files(&self) -> SchemaRef {
        let is_key = |field: &Field| self.keys.iter().any(|key| key.name() == field.name());
        let fields = self.columns.fields().iter().filter(|field| !is_key(field)).cloned();
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn text_reader(&self) -> Result<TextReader> {
        let columns = self.columns_in_files();
        for field in columns.fields() {
            check_type(field)?;
        }
        let options = self.options.text.clone();
        let default = if self.options.format.is_some() { b',' } else { self.usual_delimiter() };
        let fields = Fields {
            delimiter: options.delimiter.unwrap_or(default),
            quote: options.quote,
            escape: options.escape,
        };
        let (fill, rejects) = (self.options.fill, self.rejects.clone());
        Ok(TextReader { columns, options, fields, fill, rejects })
    }

    /// Of files without a format: by their names it's CSV, else Redshift's text.
    fn usual_delimiter(&self) -> u8 {
        let named = |path: &str| crate::scan::by_extension(path).is_some();
        match self.files.metas.first().is_some_and(|meta| named(meta.location.as_ref())) {
            true => b',',
            false => b'|',
        }
    }

    fn text(
        &self,
        state: &SessionState,
        todo: &[Arc<LoadFile>],
        syntax: Syntax,
        read: impl Fn(&Chunk) -> Result<Vec<RecordBatch>> + Send + Sync + 'static,
    ) -> Result<LoadRows> {
        let store = self.session.engine.shared().stores.store(&self.files.base)?;
        let files = todo.iter().map(|file| (file.clone(), self.compression_of(file))).collect();
        let (sender, chunks) = mpsc::channel(CHUNKS_QUEUED);
        let mut producer = JoinSet::new();
        producer.spawn(produce(store, files, syntax, sender));
        let (read, keys) = (Arc::new(read), Arc::new(self.keys.clone()));
        let chunks = stream::unfold((chunks, producer), |(mut chunks, producer)| async {
            let chunk = chunks.recv().await?;
            Some((chunk, (chunks, producer)))
        });
        let batches = chunks
            .map(move |chunk| decode(chunk, read.clone(), keys.clone()))
            .buffered(state.config().target_partitions())
            .map_ok(|batches| stream::iter(batches.into_iter().map(Ok)))
            .try_flatten();
        Ok(batches.boxed())
    }

    fn compression_of(&self, file: &LoadFile) -> FileCompressionType {
        self.options.compression.unwrap_or_else(|| compression(file.meta.location.as_ref()))
    }

    async fn parquet(&self, state: &SessionState, todo: &[Arc<LoadFile>]) -> Result<LoadRows> {
        let keys = self.keys.iter();
        let keys: Vec<_> =
            keys.map(|key| (key.name().clone(), Some(key.data_type().clone()))).collect();
        let wanted = Wanted {
            location: self.files.base.as_str(),
            format: Format::Parquet,
            parameters: &BTreeMap::new(),
            columns: None,
            keys: Some(keys),
        };
        let stores = &self.session.engine.shared().stores;
        let metas = todo.iter().map(|file| file.meta.clone()).collect();
        let base = self.files.base.clone();
        let mut found = describe(stores, state, wanted, base, metas).await?;
        found.columns = self.columns_of(&found.columns)?;
        let files = GivenFiles { name: self.files.base.to_string(), found };
        let plan = files.scan(self.session, state).await?;
        let rows = execute_stream(plan, state.task_ctx())?;
        Ok(rows.map_err(|error| damaged(Error::from(error))).boxed())
    }

    /// The files' columns that are loaded. All that are wanted must be there, and none be left
    /// out unasked.
    fn columns_of(&self, found: &Schema) -> Result<SchemaRef> {
        let wanted = self.columns_in_files();
        let has = |schema: &Schema, name: &str| {
            schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name))
        };
        let missing = wanted.fields().iter().find(|field| !has(found, field.name()));
        if let (Some(field), false) = (missing, self.options.fill) {
            return Err(Error::invalid(format!("the files have no column \"{}\"", field.name()))
                .with_hint(
                    "Name the columns to load: COPY table (column, …) FROM …; or add FILLRECORD, \
                     which makes columns that are missing NULL.",
                ));
        }
        let extra = found.fields().iter().find(|field| !has(&self.columns, field.name()));
        if let (Some(field), false) = (extra, self.columns_named) {
            return Err(Error::invalid(format!(
                "the files' column \"{}\" is none of the table's",
                field.name()
            ))
            .with_hint("Name the columns to load: COPY table (column, …) FROM …."));
        }
        let fields = found.fields().iter().filter(|field| has(&wanted, field.name()));
        Ok(Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>())))
    }
}

fn damaged(error: Error) -> Error {
    match error.kind() {
        ErrorKind::InvalidArgument => Error::bad_data(error.to_string()),
        _ => error,
    }
}

/// A chunk's rows, decoded on a thread of the queries', with the values that its path has.
async fn decode(
    chunk: Result<Chunk>,
    read: Arc<dyn Fn(&Chunk) -> Result<Vec<RecordBatch>> + Send + Sync>,
    keys: Arc<Vec<FieldRef>>,
) -> Result<Vec<RecordBatch>> {
    let chunk = chunk?;
    let decoding = tokio::spawn(async move {
        let batches = read(&chunk)?.into_iter();
        batches.map(|batch| with_keys(batch, &keys, &chunk.file)).collect()
    });
    decoding.await.map_err(|error| Error::internal(panic_text(error)))?
}

fn with_keys(batch: RecordBatch, keys: &[FieldRef], file: &LoadFile) -> Result<RecordBatch> {
    if keys.is_empty() {
        return Ok(batch);
    }
    let mut fields = batch.schema().fields().to_vec();
    let mut columns = batch.columns().to_vec();
    for (key, value) in keys.iter().zip(&file.values) {
        fields.push(key.clone());
        columns.push(value.to_array_of_size(batch.num_rows())?);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
