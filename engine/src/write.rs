//! The one way into a table: data files first, then the commit that names them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use boathouse_catalog::{DataFile, Format, Partition, PartitionFilter, Table, Update};
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::{Action, Add, StructField, StructType};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::{Stream, StreamExt};
use url::Url;

use crate::clustering::Run;
use crate::commit::{AppTransaction, Append, append, commit_first, is_done};
use crate::definition::Definition;
use crate::engine::{Engine, Shared};
use crate::file_writer::FileWriter;
use crate::rules::{Allotment, Rules, insert_with_identity, marked};
use crate::scan::{DeltaSnapshot, partition_value, relabel_batch, to_catalog};
use crate::stores::store_path;
use crate::{Error, Result};

/// Data files are about this large.
pub(crate) const FILE_BYTES: u64 = 128 << 20;
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
        snapshot.check_write()?;
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

    /// What the rows are to be (with partition keys, as the writer splits by them).
    fn rules(&self, shared: &Shared) -> Result<Arc<Rules>> {
        match self {
            Self::Delta(snapshot) => snapshot.rules(shared),
            Self::External(table) => {
                Ok(Arc::new(Rules::of_schema(crate::resolve::catalog_schema(table)?)))
            }
        }
    }

    async fn place(&self, shared: &Shared) -> Result<Place> {
        match self {
            Self::Delta(snapshot) => Place::of(shared, snapshot).await,
            Self::External(table) => {
                let keys = table.spec.partition_keys.iter().map(|key| key.name.clone());
                let keys = keys.collect();
                Ok(Place {
                    location: folder(table)?,
                    keys,
                    clustering: Vec::new(),
                    physical: None,
                    file_bytes: FILE_BYTES,
                })
            }
        }
    }

    /// Refuses what only Delta's log can keep.
    pub(crate) fn check(&self, how: &Append, name: &str) -> Result<()> {
        match (self, &how.transaction) {
            (Self::External(_), Some(_)) => Err(Error::unsupported(format!(
                "txn_app and txn_version for table \"{name}\", which is no Delta table"
            ))
            .with_hint("Make it with CREATE TABLE, without STORED AS.")),
            _ => Ok(()),
        }
    }

    /// Whether the newest version has what is to be written already.
    pub(crate) async fn is_done(&self, shared: &Shared, how: &Append) -> Result<bool> {
        match self {
            Self::Delta(snapshot) if how.transaction.is_some() => {
                let newest = shared.delta_tables.newest(shared, &snapshot.url).await?;
                is_done(shared, &newest, how).await
            }
            _ => Ok(false),
        }
    }

    /// `false` if others wrote the same meanwhile.
    async fn commit(&self, shared: &Shared, adds: Vec<Add>, how: &Append) -> Result<bool> {
        match self {
            Self::Delta(snapshot) => append(shared, snapshot, adds, how).await,
            Self::External(table) => register(shared, table, adds).await.map(|()| true),
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
    how: Append,
    input: Arc<dyn ExecutionPlan>,
) -> Arc<dyn ExecutionPlan> {
    let schema = input.schema();
    let sink = InsertSink { engine, name: name.to_owned(), target, how, schema };
    Arc::new(DataSinkExec::new(input, Arc::new(sink), None))
}

struct InsertSink {
    engine: Engine,
    name: String,
    target: Target,
    how: Append,
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
        insert(&self.engine, &self.target, &self.how, data)
            .await
            .map_err(|error| DataFusionError::from(error.about(format!("table \"{}\"", self.name))))
    }
}

/// Writes all of `data` and commits it. Nothing is visible before the commit. A transaction that
/// the table has is 0 rows; one of no rows is kept all the same.
pub(crate) async fn insert(
    engine: &Engine,
    target: &Target,
    how: &Append,
    data: impl Stream<Item = Result<RecordBatch>>,
) -> Result<u64> {
    let shared = engine.shared();
    if let Target::Delta(snapshot) = target {
        shared.commits.check_store(shared, &snapshot.url).await?;
    }
    if target.is_done(shared, how).await? {
        return Ok(0);
    }
    let rules = target.rules(shared)?;
    let data = data.map(|batch| batch.and_then(|b| rules.check_given(&b).map(|()| b)));
    if let (Target::Delta(snapshot), false) = (target, rules.identity.is_empty()) {
        return insert_with_identity(engine, snapshot, how, data).await;
    }
    let place = target.place(shared).await?;
    let written = write_files(shared, &place, &rules, data).await?;
    let nothing = written.adds.is_empty() && how.transaction.is_none();
    let done = nothing || target.commit(shared, written.adds, how).await?;
    if let Target::Delta(snapshot) = target {
        crate::compact::after_write(engine, snapshot);
    }
    match done {
        true => Ok(written.rows),
        false => Ok(0),
    }
}

/// Where data files go, and how rows lie in them.
pub(crate) struct Place {
    /// The table's folder.
    pub(crate) location: Url,
    /// The partition keys, as files have them.
    pub(crate) keys: Vec<String>,
    /// The columns by which rows are sorted.
    pub(crate) clustering: Vec<String>,
    /// The columns as files have them, where these are called something else.
    pub(crate) physical: Option<SchemaRef>,
    /// About how large files become.
    pub(crate) file_bytes: u64,
}

impl Place {
    pub(crate) async fn of(shared: &Shared, snapshot: &DeltaSnapshot) -> Result<Self> {
        let physical = snapshot.physical_schema()?;
        let files = physical.as_ref().unwrap_or(&snapshot.schema);
        let keys = snapshot.partition_columns.iter();
        let keys = keys.map(|key| Ok(files.field(snapshot.schema.index_of(key)?).name().clone()));
        Ok(Self {
            location: snapshot.url.clone(),
            keys: keys.collect::<Result<Vec<String>>>()?,
            clustering: snapshot.clustering(shared).await?,
            physical,
            file_bytes: FILE_BYTES,
        })
    }
}

/// Files that belong to nobody until a commit names them.
pub(crate) struct Written {
    pub(crate) adds: Vec<Add>,
    pub(crate) rows: u64,
    /// The last values that identity columns were allotted, if any.
    pub(crate) marks: Option<Vec<(String, i64)>>,
}

impl Written {
    /// What to commit on top of the `snapshot` whose rules the files were written by.
    pub(crate) async fn actions(
        self,
        shared: &Shared,
        snapshot: &DeltaSnapshot,
    ) -> Result<Vec<Action>> {
        let mut actions = append_actions(self.adds);
        if let Some(marks) = &self.marks {
            actions.push(marked(shared, snapshot, marks).await?);
        }
        Ok(actions)
    }
}

/// Writes new rows of a Delta table as files of it.
pub(crate) async fn new_files(
    shared: &Shared,
    delta: &DeltaSnapshot,
    data: impl Stream<Item = Result<RecordBatch>>,
) -> Result<Written> {
    let (place, rules) = (Place::of(shared, delta).await?, delta.rules(shared)?);
    write_files(shared, &place, &rules, data).await
}

/// Writes `data` as Parquet files at `place`, each row as `rules` make it.
pub(crate) async fn write_files(
    shared: &Shared,
    place: &Place,
    rules: &Rules,
    data: impl Stream<Item = Result<RecordBatch>>,
) -> Result<Written> {
    let schema = place.physical.clone().unwrap_or_else(|| rules.schema.clone());
    let mut writer = FileWriter::new(shared, place, schema)?;
    let relabelled = |batch: RecordBatch| match &place.physical {
        Some(physical) => relabel_batch(&batch, physical),
        None => Ok(batch),
    };
    let mut run = Run::new(&rules.schema, &place.clustering)?;
    let mut rows = 0;
    let mut allotment = Allotment::new(&rules.identity);
    let mut data = std::pin::pin!(data);
    let written: Result<()> = async {
        while let Some(batch) = data.next().await {
            let batch = rules.apply(&batch?, &mut allotment)?;
            rows += batch.num_rows() as u64;
            if let Some(batch) = run.push(batch)? {
                writer.write(&relabelled(batch)?).await?;
            }
        }
        if let Some(batch) = run.end()? {
            writer.write(&relabelled(batch)?).await?;
        }
        Ok(())
    }
    .await;
    if let Err(error) = written {
        writer.abort().await;
        return Err(error);
    }
    let adds = writer.close().await?;
    Ok(Written { adds, rows, marks: allotment.marks(&rules.identity) })
}

pub(crate) fn append_actions(adds: Vec<Add>) -> Vec<Action> {
    adds.into_iter().map(Action::Add).collect()
}

pub(crate) fn append_operation(snapshot: &DeltaSnapshot) -> DeltaOperation {
    let keys = snapshot.partition_columns.clone();
    DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: (!keys.is_empty()).then_some(keys),
        predicate: None,
    }
}

/// Makes a Delta table: its definition and first files in one commit.
pub(crate) async fn create_delta(
    shared: &Shared,
    location: &Url,
    definition: &mut Definition,
    adds: Vec<Add>,
    transaction: Option<&AppTransaction>,
) -> Result<()> {
    let mut actions = definition.actions()?;
    let mut first = (None, None);
    for action in &actions {
        match action {
            Action::Protocol(protocol) => first.0 = Some(protocol.clone()),
            Action::Metadata(metadata) => first.1 = Some(metadata.clone()),
            _ => {}
        }
    }
    let (Some(protocol), Some(metadata)) = first else {
        return Err(Error::internal("a new table has neither protocol nor metadata"));
    };
    let mode = SaveMode::ErrorIfExists;
    let operation = DeltaOperation::Create { mode, location: location.clone(), protocol, metadata };
    actions.extend(append_actions(adds));
    actions.extend(transaction.map(|transaction| Action::Txn(transaction.action())));
    commit_first(shared, location, actions, operation).await
}

/// Delta's columns for those of an Arrow schema of [`delta_schema`].
pub(crate) fn delta_columns(schema: &Schema) -> Result<Vec<StructField>> {
    let schema: StructType = schema
        .try_into_kernel()
        .map_err(|error| Error::unsupported(format!("a column's type: {error}")))?;
    Ok(schema.fields().cloned().collect())
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
