//! The one way into a table: data files first, then the commit that names them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use boathouse_catalog::{DataFile, Format, Partition, PartitionFilter, Table, Update};
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::{Action, Add, StructType};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::{Stream, StreamExt};
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::commit::{commit, log_store};
use crate::data_files::write_whole;
use crate::engine::{Engine, Shared};
use crate::scan::{DeltaSnapshot, partition_value, to_catalog};
use crate::stores::store_path;
use crate::{Error, Result};

/// Data files are about this large.
pub(crate) const FILE_BYTES: u64 = 128 << 20;
const WRITE_BATCH_ROWS: usize = 8192;
/// Attempts at a commit to the catalog while others commit too.
const COMMIT_ATTEMPTS: usize = 20;

/// Where rows go.
#[derive(Clone)]
pub(crate) enum Target {
    /// A Delta table; the commit is one version of its log.
    Delta(Arc<DeltaSnapshot>),
    /// Parquet files that the catalog lists.
    External(Box<Table>),
}

impl Target {
    pub(crate) fn delta(snapshot: Arc<DeltaSnapshot>) -> Result<Self> {
        let metadata = snapshot.table.snapshot()?.metadata();
        let mapping = metadata.configuration().get("delta.columnMapping.mode");
        if mapping.is_some_and(|mode| mode != "none") {
            return Err(Error::unsupported(format!(
                "writing to {}, which uses the Delta feature columnMapping",
                snapshot.url
            )));
        }
        Ok(Self::Delta(snapshot))
    }

    pub(crate) fn external(table: &Table, format: Format) -> Result<Self> {
        match format {
            Format::Parquet => Ok(Self::External(Box::new(table.clone()))),
            format => Err(Error::unsupported(format!(
                "INSERT INTO table \"{}\", whose files are {}",
                table.name,
                format.as_str().to_uppercase()
            ))
            .with_hint("Rows can be added to Parquet and Delta tables.")),
        }
    }

    fn location(&self) -> Result<Url> {
        match self {
            Self::Delta(snapshot) => Ok(snapshot.url.clone()),
            Self::External(table) => folder(table),
        }
    }

    /// The files' schema (with partition keys, as the writer splits by them) and the keys.
    fn layout(&self) -> Result<(SchemaRef, Vec<String>)> {
        match self {
            Self::Delta(snapshot) => {
                Ok((snapshot.schema.clone(), snapshot.partition_columns.clone()))
            }
            Self::External(table) => {
                let keys = table.spec.partition_keys.iter().map(|key| key.name.clone());
                Ok((crate::resolve::catalog_schema(table)?, keys.collect()))
            }
        }
    }

    async fn commit(&self, shared: &Shared, adds: Vec<Add>) -> Result<()> {
        match self {
            Self::Delta(snapshot) => append(shared, snapshot, adds).await,
            Self::External(table) => register(shared, table, adds).await,
        }
    }
}

/// Where new files of an external table go: its folder.
fn folder(table: &Table) -> Result<Url> {
    let location = table.spec.location.as_deref().unwrap_or_default();
    let url = Url::parse(location)
        .map_err(|error| Error::bad_data(format!("location \"{location}\": {error}")))?;
    if !url.path().ends_with('/') {
        return Err(Error::unsupported(format!(
            "INSERT INTO table \"{}\", which is the one file {location}",
            table.name
        ))
        .with_hint("Make the table over a folder, with LOCATION 'folder/'."));
    }
    Ok(url)
}

/// The plan that writes `input` into a table when it's executed.
pub(crate) fn insert_plan(
    engine: Engine,
    name: &str,
    target: Target,
    input: Arc<dyn ExecutionPlan>,
) -> Arc<dyn ExecutionPlan> {
    let schema = input.schema();
    let sink = InsertSink { engine, name: name.to_owned(), target, schema };
    Arc::new(DataSinkExec::new(input, Arc::new(sink), None))
}

struct InsertSink {
    engine: Engine,
    name: String,
    target: Target,
    schema: SchemaRef,
}

impl fmt::Debug for InsertSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InsertSink({})", self.name)
    }
}

impl DisplayAs for InsertSink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INSERT INTO {}", self.name)
    }
}

#[async_trait]
impl DataSink for InsertSink {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    async fn write_all(
        &self,
        data: SendableRecordBatchStream,
        _context: &Arc<TaskContext>,
    ) -> DataFusionResult<u64> {
        let data = data.map(|batch| batch.map_err(Error::from));
        insert(&self.engine, &self.target, data)
            .await
            .map_err(|error| DataFusionError::from(error.about(format!("table \"{}\"", self.name))))
    }
}

/// Writes all of `data` and commits it. Nothing is visible before the commit.
pub(crate) async fn insert(
    engine: &Engine,
    target: &Target,
    data: impl Stream<Item = Result<RecordBatch>>,
) -> Result<u64> {
    let shared = engine.shared();
    let (schema, keys) = target.layout()?;
    let (adds, rows) = write_files(shared, &target.location()?, schema, keys, data).await?;
    if !adds.is_empty() {
        target.commit(shared, adds).await?;
    }
    Ok(rows)
}

/// Writes `data` as Parquet files under `location`, cast to `schema` by position. The files
/// belong to nobody until a commit names them.
pub(crate) async fn write_files(
    shared: &Shared,
    location: &Url,
    schema: SchemaRef,
    keys: Vec<String>,
    data: impl Stream<Item = Result<RecordBatch>>,
) -> Result<(Vec<Add>, u64)> {
    let root = shared.stores.store(location)?;
    let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(root, store_path(location)?));
    match keys.is_empty() {
        true => write_whole(store, schema, data).await,
        false => write_partitions(store, schema, keys, data).await,
    }
}

/// Files of a partitioned table: one open file for each partition that rows came for.
async fn write_partitions(
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    keys: Vec<String>,
    data: impl Stream<Item = Result<RecordBatch>>,
) -> Result<(Vec<Add>, u64)> {
    let config = WriterConfig::new(
        schema.clone(),
        keys,
        Some(crate::parquet_file::properties()?),
        std::num::NonZeroU64::new(FILE_BYTES),
        Some(WRITE_BATCH_ROWS),
        Default::default(),
        None,
    );
    let mut writer = DeltaWriter::new(store, config);
    let mut rows = 0;
    let mut store_failed = false;
    let mut data = std::pin::pin!(data);
    let written: Result<()> = async {
        while let Some(batch) = data.next().await {
            let batch = fitted(&batch?, &schema)?;
            rows += batch.num_rows() as u64;
            writer.write(&batch).await.inspect_err(|_| store_failed = true)?;
        }
        Ok(())
    }
    .await;
    match written {
        Ok(()) => Ok((writer.close().await?, rows)),
        Err(error) => {
            // Files that are whole already stay behind, unused: no commit names them. An upload
            // that failed by itself can't be aborted any more.
            if !store_failed && let Err(failure) = writer.abort().await {
                tracing::warn!(%failure, "parts of a failed write stay behind");
            }
            Err(error)
        }
    }
}

/// The batch as `schema` says, columns matched by position; a value that doesn't fit is an
/// error.
pub(crate) fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    if batch.num_columns() != schema.fields().len() {
        return Err(Error::invalid(format!(
            "the table has {} columns, and rows with {} came",
            schema.fields().len(),
            batch.num_columns()
        )));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            let column =
                cast_with_options(column, field.data_type(), &options).map_err(|error| {
                    Error::from(error).about(format!("column \"{}\"", field.name()))
                })?;
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(Error::invalid(format!(
                    "column \"{}\" is NOT NULL, and a NULL came",
                    field.name()
                )));
            }
            Ok(column)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// Adds files to a Delta table. Appends of others in between are no conflict.
async fn append(shared: &Shared, snapshot: &DeltaSnapshot, adds: Vec<Add>) -> Result<()> {
    let actions = adds.into_iter().map(Action::Add).collect();
    commit(shared, snapshot, actions, appending(snapshot)).await?;
    Ok(())
}

/// What the log says of a commit that adds rows.
pub(crate) fn appending(snapshot: &DeltaSnapshot) -> DeltaOperation {
    let keys = snapshot.partition_columns.clone();
    DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: (!keys.is_empty()).then_some(keys),
        predicate: None,
    }
}

/// A new Delta table's first version: its schema and files in one commit.
pub(crate) struct NewTable<'a> {
    pub(crate) name: &'a str,
    pub(crate) location: &'a Url,
    pub(crate) schema: &'a SchemaRef,
    pub(crate) keys: Vec<String>,
    pub(crate) comment: Option<String>,
    pub(crate) properties: BTreeMap<String, String>,
}

/// Makes a Delta table with its first files.
pub(crate) async fn create_delta(shared: &Shared, new: NewTable<'_>, adds: Vec<Add>) -> Result<()> {
    let schema: StructType = new.schema.as_ref().try_into_kernel().map_err(|error| {
        Error::unsupported(format!("table \"{}\": a column's type: {error}", new.name))
    })?;
    let properties: HashMap<String, Option<String>> =
        new.properties.into_iter().map(|(key, value)| (key, Some(value))).collect();
    let mut create = CreateBuilder::new()
        .with_log_store(log_store(shared, new.location)?)
        .with_table_name(new.name)
        .with_columns(schema.fields().cloned())
        .with_partition_columns(new.keys)
        .with_configuration(properties)
        .with_actions(adds.into_iter().map(Action::Add));
    if let Some(comment) = new.comment {
        create = create.with_comment(comment);
    }
    create.await?;
    Ok(())
}

/// Names new files of an external table in the catalog.
async fn register(shared: &Shared, table: &Table, adds: Vec<Add>) -> Result<()> {
    let location = folder(table)?;
    let schema = crate::resolve::catalog_schema(table)?;
    let columns = Arc::new(Schema::new(schema.fields()[..table.spec.columns.len()].to_vec()));
    let keys: Vec<FieldRef> = schema.fields()[table.spec.columns.len()..].to_vec();
    let mut new: BTreeMap<Vec<Option<String>>, (String, Vec<DataFile>)> = BTreeMap::new();
    for add in &adds {
        let values: Vec<Option<String>> = keys
            .iter()
            .map(|key| add.partition_values.get(key.name()).cloned().flatten())
            .collect();
        let file = registered_file(shared, &location, add, &columns).await?;
        let folder = match keys.is_empty() {
            true => location.to_string(),
            false => file.path.rsplit_once('/').map_or_else(String::new, |(f, _)| format!("{f}/")),
        };
        new.entry(values).or_insert_with(|| (folder, Vec::new())).1.push(file);
    }
    let mut current = table.clone();
    for _ in 0..COMMIT_ATTEMPTS {
        let known = shared.catalog.partitions(&current, &filter_for(&new)).await?;
        let mut put = Vec::new();
        for (values, (folder, files)) in &new {
            let mut partition =
                known.iter().find(|partition| &partition.values == values).cloned().unwrap_or_else(
                    || Partition {
                        values: values.clone(),
                        location: folder.clone(),
                        parameters: BTreeMap::new(),
                        files: Some(Vec::new()),
                        details: Default::default(),
                    },
                );
            // Where files aren't listed in the catalog, a new one is found by itself.
            if let Some(listed) = &mut partition.files {
                listed.extend(files.iter().cloned());
            }
            put.push(partition);
        }
        match shared.catalog.commit_partitions(&current, put, Vec::new()).await? {
            Update::Done(_) => return Ok(()),
            Update::Conflict { .. } => {
                current = shared.catalog.table(&table.name).await?;
                if current.id != table.id || current.version != table.version {
                    break;
                }
            }
        }
    }
    Err(Error::new(
        crate::ErrorKind::Conflict,
        format!("table \"{}\" was changed by others while rows were written", table.name),
    )
    .with_hint("Run the statement again."))
}

/// Only the partitions that get files.
fn filter_for(new: &BTreeMap<Vec<Option<String>>, (String, Vec<DataFile>)>) -> PartitionFilter {
    use boathouse_catalog::{KeyConstraint, KeyTest};
    let width = new.keys().next().map_or(0, Vec::len);
    let constraints = (0..width)
        .filter_map(|key| {
            let values: Option<Vec<String>> =
                new.keys().map(|values| values[key].clone()).collect();
            Some(KeyConstraint { key, test: KeyTest::In(values?) })
        })
        .collect();
    PartitionFilter { constraints }
}

async fn registered_file(
    shared: &Shared,
    location: &Url,
    add: &Add,
    columns: &SchemaRef,
) -> Result<DataFile> {
    use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
    use object_store::ObjectStoreExt as _;
    let url = location
        .join(&add.path)
        .map_err(|error| Error::internal(format!("a new file's path: {error}")))?;
    let store = shared.stores.store(&url)?;
    let meta = store.head(&store_path(&url)?).await?;
    let statistics = DFParquetMetadata::new(store.as_ref(), &meta)
        .fetch_statistics(columns)
        .await
        .ok()
        .and_then(|statistics| to_catalog(&statistics, columns));
    Ok(DataFile {
        path: url.to_string(),
        size_bytes: meta.size,
        etag: meta.e_tag,
        modified_at_ms: meta.last_modified.timestamp_millis(),
        statistics,
    })
}

/// `schema` with types that Delta has: others become the narrowest that holds all their values.
/// Field metadata other than comments is dropped.
pub(crate) fn delta_schema(schema: &Schema) -> Result<SchemaRef> {
    let mut seen = std::collections::HashSet::new();
    let fields = schema
        .fields()
        .iter()
        .map(|field| {
            if !seen.insert(field.name().to_lowercase()) {
                return Err(Error::invalid(format!("there are two columns \"{}\"", field.name()))
                    .with_hint("Give one of them another name: expression AS name."));
            }
            delta_field(field)
        })
        .collect::<Result<Vec<Field>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

fn delta_field(field: &Field) -> Result<Field> {
    let data_type = delta_type(field.data_type())
        .map_err(|error| error.about(format!("column \"{}\"", field.name())))?;
    let comment = field.metadata().get("comment").cloned();
    let metadata = comment.map(|text| ("comment".to_owned(), text)).into_iter().collect();
    Ok(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(metadata))
}

fn delta_type(data_type: &DataType) -> Result<DataType> {
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32
        | DataType::Decimal128(_, 0..=38) => data_type.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Date64 => DataType::Date32,
        DataType::Decimal32(p, s @ 0..) | DataType::Decimal64(p, s @ 0..) => {
            DataType::Decimal128(*p, *s)
        }
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        DataType::Dictionary(_, value) => delta_type(value)?,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(delta_field(item)?.with_name("element")))
        }
        DataType::Struct(fields) => {
            let fields =
                fields.iter().map(|field| delta_field(field)).collect::<Result<Vec<_>>>()?;
            DataType::Struct(fields.into())
        }
        DataType::Map(entries, _) => DataType::Map(Arc::new(map_entries(entries)?), false),
        DataType::Null => {
            return Err(Error::invalid("NULL alone has no type")
                .with_hint("Say which one: CAST(NULL AS type) AS name."));
        }
        other => {
            let name = crate::types::type_string(other).unwrap_or_else(|_| other.to_string());
            return Err(Error::unsupported(format!("Delta tables have no type {name}"))
                .with_hint("Cast it: CAST(expression AS type)."));
        }
    })
}

fn map_entries(entries: &Field) -> Result<Field> {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => {
            let key = Field::new("key", delta_type(fields[0].data_type())?, false);
            let value = delta_field(&fields[1])?.with_name("value");
            Ok(Field::new("key_value", DataType::Struct(vec![key, value].into()), false))
        }
        other => Err(Error::invalid(format!("a map with entries of type {other}"))),
    }
}

/// A partition value's text must come back as the value; the types that may be keys.
pub(crate) fn check_key(field: &Field) -> Result<()> {
    match field.data_type() {
        data_type if data_type.is_nested() || data_type == &DataType::Binary => {
            Err(Error::invalid(format!("column \"{}\" can't be a partition key", field.name()))
                .with_hint("Keys are numbers, strings, booleans, dates and timestamps."))
        }
        data_type => partition_value(None, field.name(), data_type, "").map(|_| ()),
    }
}
