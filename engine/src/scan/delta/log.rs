//! The files of a version: read from its log, or from those of a version before it and the
//! commits since.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef};
use chrono::DateTime;
use datafusion::common::ScalarValue;
use deltalake::kernel::{Action, Add, DeletionVectorDescriptor, LogicalFileView, StorageType};
use deltalake::logstore::{LogStore, get_actions};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;
use object_store::path::Path;
use percent_encoding::percent_decode_str;
use url::Url;

use super::DeltaSnapshot;
use super::deletion::{self, DeletionVector};
use super::statistics::StatisticsReader;
use crate::scan::files::{Leaves, ScanFile, partition_value};
use crate::stores::store_path;
use crate::{Error, Result};

/// Commits that are read one by one; after more than this, the whole log is read again.
const COMMITS_MAX: u64 = 100;
/// Commits that are fetched at once.
const FETCHED_AT_ONCE: usize = 16;

/// The files of a table at one version.
pub(crate) struct Files {
    pub(crate) all: Arc<Vec<ScanFile>>,
    /// The fields in structs that the files may have statistics of.
    pub(crate) leaves: Arc<Leaves>,
    /// The values of each partition as the log has them, and typed.
    partitions: Partitions,
}

type Partitions = HashMap<Vec<Option<String>>, Arc<[ScalarValue]>>;

/// What tells a file of the log from others: its place, and that of its deletion vector.
type FileKey = (Path, Option<String>);

/// A file as a log has it.
struct Logged {
    /// Decoded.
    path: String,
    values: HashMap<String, Option<String>>,
    size: i64,
    modified_at_ms: i64,
    statistics: Option<String>,
    deletion: Option<DeletionVectorDescriptor>,
}

impl Files {
    /// About the memory that they take.
    pub(super) fn size(&self) -> usize {
        let of_one = self.all.first().map_or(0, |file| {
            let columns = file.statistics.as_ref().map_or(0, |s| s.column_statistics.len());
            let leaves = file.leaves.as_ref().map_or(0, |leaves| leaves.len());
            (columns + leaves) * size_of::<datafusion::common::ColumnStatistics>()
                + size_of::<ScanFile>()
                + file.meta.location.as_ref().len()
        });
        let deleted = self.all.iter().filter_map(|file| file.deletion.as_ref());
        self.all.len() * of_one + deleted.map(|deletion| deletion.size()).sum::<usize>()
    }

    /// The values of each partition as the log has them, with its files.
    pub(super) fn by_partition(&self) -> BTreeMap<&[Option<String>], Vec<&ScanFile>> {
        let texts: HashMap<*const ScalarValue, &[Option<String>]> =
            self.partitions.iter().map(|(texts, values)| (values.as_ptr(), &texts[..])).collect();
        let mut found: BTreeMap<&[Option<String>], Vec<&ScanFile>> = BTreeMap::new();
        for file in self.all.iter() {
            let texts = texts.get(&file.partition_values.as_ptr()).copied().unwrap_or_default();
            found.entry(texts).or_default().push(file);
        }
        found
    }

    /// All files of a version, from its log.
    pub(super) async fn read(snapshot: &DeltaSnapshot, file_schema: &SchemaRef) -> Result<Self> {
        let batches: Vec<RecordBatch> =
            snapshot.log.files(snapshot.log_store.as_ref(), None).try_collect().await?;
        let mut logged = Vec::new();
        for batch in &batches {
            logged.extend(LoggedBatch::new(batch)?.files(&snapshot.url)?);
        }
        if logged.iter().any(|file| file.statistics.is_none()) {
            add_statistics(snapshot, &mut logged).await?;
        }
        let mut builder = Builder::new(snapshot, file_schema);
        for file in logged {
            builder.add(&file)?;
        }
        Ok(builder.finish())
    }

    /// The files of `snapshot`, from these and the commits after version `of`; none where there are
    /// too many commits, or one of them is gone.
    pub(super) async fn advanced(
        &self,
        of: u64,
        snapshot: &DeltaSnapshot,
        file_schema: &SchemaRef,
    ) -> Result<Option<Self>> {
        if snapshot.version - of > COMMITS_MAX {
            return Ok(None);
        }
        let commits = stream::iter(of + 1..=snapshot.version)
            .map(|version| commit(snapshot.log_store.as_ref(), version));
        let commits: Option<Vec<Vec<Action>>> = commits
            .buffered(FETCHED_AT_ONCE)
            .try_collect::<Vec<Option<Vec<Action>>>>()
            .await?
            .into_iter()
            .collect();
        let Some(commits) = commits else { return Ok(None) };
        let changes = changes(commits.into_iter().flatten(), &snapshot.url)?;
        let mut builder = Builder::new(snapshot, file_schema);
        builder.partitions = self.partitions.clone();
        builder.keep(&self.all, &changes);
        for file in changes.into_values().flatten() {
            builder.add(&file)?;
        }
        Ok(Some(builder.finish()))
    }
}

/// The actions of one commit, if it's still there and says nothing that isn't understood.
async fn commit(log_store: &dyn LogStore, version: u64) -> Result<Option<Vec<Action>>> {
    let Some(bytes) = log_store.read_commit_entry(version).await? else { return Ok(None) };
    Ok(get_actions(version, &bytes).ok())
}

/// What is there of each file after the actions: the last of them that names it holds.
fn changes(
    actions: impl Iterator<Item = Action>,
    table: &Url,
) -> Result<BTreeMap<FileKey, Option<Logged>>> {
    let mut changes = BTreeMap::new();
    for action in actions {
        match action {
            Action::Add(add) => {
                let file = Logged::from(add);
                changes.insert(file.key(table)?, Some(file));
            }
            Action::Remove(remove) => {
                let deletion = remove.deletion_vector.as_ref().map(deletion::id);
                changes.insert((file_location(&remove.path, table)?, deletion), None);
            }
            _ => {}
        }
    }
    Ok(changes)
}

struct Builder<'a> {
    snapshot: &'a DeltaSnapshot,
    /// The partition keys' names in the log, and in the table.
    keys: Vec<(String, String, DataType)>,
    reader: StatisticsReader,
    leaves: Arc<Leaves>,
    partitions: Partitions,
    files: Vec<ScanFile>,
}

impl<'a> Builder<'a> {
    fn new(snapshot: &'a DeltaSnapshot, file_schema: &SchemaRef) -> Self {
        let mapping = snapshot.mapping.as_deref();
        let keys: Vec<(String, String, DataType)> = snapshot
            .partition_columns
            .iter()
            .filter_map(|key| {
                let mapped = mapping.and_then(|mapping| mapping.field(key));
                let in_log = mapped.map_or_else(|| key.clone(), |field| field.physical.clone());
                let field = snapshot.schema.field_with_name(key).ok()?;
                Some((in_log, key.clone(), field.data_type().clone()))
            })
            .collect();
        let leaves = Leaves::of(file_schema);
        let reader = StatisticsReader::new(file_schema, &leaves, mapping);
        let leaves = Arc::new(leaves);
        Self { snapshot, keys, reader, leaves, partitions: HashMap::new(), files: Vec::new() }
    }

    /// Takes over the files that no change names.
    fn keep(&mut self, files: &[ScanFile], changes: &BTreeMap<FileKey, Option<Logged>>) {
        let named: std::collections::HashSet<&Path> =
            changes.keys().map(|(location, _)| location).collect();
        let stays = |file: &&ScanFile| {
            let location = &file.meta.location;
            !named.contains(location) || {
                let deletion = file.deletion.as_ref().map(|deletion| deletion.id());
                !changes.contains_key(&(location.clone(), deletion))
            }
        };
        self.files = files.iter().filter(stays).cloned().collect();
    }

    fn add(&mut self, file: &Logged) -> Result<()> {
        let url = &self.snapshot.url;
        let bad =
            |what: &str| Error::bad_data(format!("the Delta log gives \"{}\" {what}", file.path));
        let values = self.partition_values(file)?;
        let deleted = match &file.deletion {
            Some(deletion) => u64::try_from(deletion.cardinality)
                .map_err(|_| bad("a deletion vector of a negative size"))?,
            None => 0,
        };
        let statistics = self.reader.read(file.statistics.as_deref(), &values, deleted);
        let meta = ObjectMeta {
            location: file_location(&file.path, url)?,
            last_modified: DateTime::from_timestamp_millis(file.modified_at_ms).unwrap_or_default(),
            size: u64::try_from(file.size).map_err(|_| bad("a negative size"))?,
            e_tag: None,
            version: None,
        };
        let deletion = file.deletion.clone().map(|descriptor| {
            Arc::new(DeletionVector::new(descriptor, url.clone(), statistics.rows))
        });
        self.files.push(ScanFile {
            meta,
            partition_values: values,
            statistics: Some(Arc::new(statistics.table)),
            leaves: statistics.leaves,
            deletion,
        });
        Ok(())
    }

    fn partition_values(&mut self, file: &Logged) -> Result<Arc<[ScalarValue]>> {
        let texts: Vec<Option<String>> = self
            .keys
            .iter()
            .map(|(key, _, _)| file.values.get(key).cloned().flatten())
            .map(|text| text.filter(|text| !text.is_empty()))
            .collect();
        if let Some(values) = self.partitions.get(&texts) {
            return Ok(values.clone());
        }
        let values = self
            .keys
            .iter()
            .zip(&texts)
            .map(|((_, key, data_type), text)| {
                partition_value(text.as_deref(), key, data_type, &file.path)
            })
            .collect::<Result<Arc<[ScalarValue]>>>()?;
        self.partitions.insert(texts, values.clone());
        Ok(values)
    }

    /// In the order in which scans have files: it's cheap to sort them again.
    fn finish(self) -> Files {
        let Self { leaves, partitions, mut files, .. } = self;
        files.sort_by(|one, other| one.meta.location.cmp(&other.meta.location));
        Files { all: Arc::new(files), leaves, partitions }
    }
}

impl Logged {
    fn key(&self, table: &Url) -> Result<FileKey> {
        Ok((file_location(&self.path, table)?, self.deletion.as_ref().map(deletion::id)))
    }
}

impl From<Add> for Logged {
    fn from(add: Add) -> Self {
        Self {
            path: add.path,
            values: add.partition_values,
            size: add.size,
            modified_at_ms: add.modification_time,
            statistics: add.stats,
            deletion: add.deletion_vector,
        }
    }
}

/// The columns of a batch of files.
struct LoggedBatch<'a> {
    path: &'a ArrayRef,
    size: &'a ArrayRef,
    modified_at_ms: &'a ArrayRef,
    statistics: Option<&'a ArrayRef>,
    deletion: Option<&'a ArrayRef>,
    values: Option<&'a ArrayRef>,
}

impl<'a> LoggedBatch<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| Error::internal(format!("a Delta log's files have no {name}")))
        };
        let constants = batch.column_by_name("fileConstantValues");
        let constants = constants.and_then(|constants| constants.as_struct_opt());
        Ok(Self {
            path: column("path")?,
            size: column("size")?,
            modified_at_ms: column("modificationTime")?,
            statistics: batch.column_by_name("stats"),
            deletion: batch.column_by_name("deletionVector"),
            values: constants.and_then(|constants| constants.column_by_name("partitionValues")),
        })
    }

    fn files(&self, table: &Url) -> Result<Vec<Logged>> {
        (0..self.path.len()).map(|row| self.file(row, table)).collect()
    }

    fn file(&self, row: usize, table: &Url) -> Result<Logged> {
        let wrong = |what: &str| Error::bad_data(format!("the Delta log of {table} has {what}"));
        let path = text(self.path, row).ok_or_else(|| wrong("a file without a path"))?;
        let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
        let size = number::<Int64Type>(self.size, row);
        let deletion = match self.deletion.and_then(|column| column.as_struct_opt()) {
            Some(column) if column.is_valid(row) => descriptor(column, row)
                .map_err(|what| wrong(&format!("a deletion vector of \"{path}\" {what}")))?,
            _ => None,
        };
        Ok(Logged {
            size: size.ok_or_else(|| wrong(&format!("no size for \"{path}\"")))?,
            modified_at_ms: number::<Int64Type>(self.modified_at_ms, row).unwrap_or_default(),
            statistics: self.statistics.and_then(|column| text(column, row)).map(str::to_owned),
            values: self.values.map(|column| map(column, row)).unwrap_or_default(),
            path,
            deletion,
        })
    }
}

/// A deletion vector, if the row has one.
fn descriptor(
    column: &arrow::array::StructArray,
    row: usize,
) -> Result<Option<DeletionVectorDescriptor>, &'static str> {
    let field = |name: &str| column.column_by_name(name);
    let Some(storage) = field("storageType").and_then(|column| text(column, row)) else {
        return Ok(None);
    };
    let storage_type: StorageType = storage.parse().map_err(|_| "of an unknown storage type")?;
    let path = field("pathOrInlineDv").and_then(|column| text(column, row));
    let size = field("sizeInBytes").and_then(|column| number::<Int32Type>(column, row));
    let cardinality = field("cardinality").and_then(|column| number::<Int64Type>(column, row));
    Ok(Some(DeletionVectorDescriptor {
        storage_type,
        path_or_inline_dv: path.ok_or("without a path")?.to_owned(),
        offset: field("offset").and_then(|column| number::<Int32Type>(column, row)),
        size_in_bytes: size.ok_or("without a size")?,
        cardinality: cardinality.ok_or("without a number of rows")?,
    }))
}

fn text(column: &ArrayRef, row: usize) -> Option<&str> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => None,
    }
}

fn number<T: arrow::datatypes::ArrowPrimitiveType>(
    column: &ArrayRef,
    row: usize,
) -> Option<T::Native> {
    let column = column.as_primitive_opt::<T>()?;
    column.is_valid(row).then(|| column.value(row))
}

fn map(column: &ArrayRef, row: usize) -> HashMap<String, Option<String>> {
    let Some(column) = column.as_map_opt().filter(|column| column.is_valid(row)) else {
        return HashMap::new();
    };
    let entries = column.value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    (0..entries.len())
        .filter_map(|entry| {
            Some((text(keys, entry)?.to_owned(), text(values, entry).map(str::to_owned)))
        })
        .collect()
}

/// Statistics that a checkpoint has as columns and not as text.
async fn add_statistics(snapshot: &DeltaSnapshot, files: &mut [Logged]) -> Result<()> {
    let table = snapshot.table().await?;
    let views = table.snapshot()?.snapshot().try_log_data()?;
    let mut found: HashMap<String, String> = views
        .iter()
        .filter_map(|view: LogicalFileView| Some((view.path().into_owned(), view.stats()?)))
        .collect();
    for file in files.iter_mut().filter(|file| file.statistics.is_none()) {
        file.statistics = found.remove(&file.path);
    }
    Ok(())
}

/// A file's path in its store. A log may only name files of its own table.
pub(super) fn file_location(path: &str, table: &Url) -> Result<Path> {
    let outside = || {
        Error::bad_data(format!(
            "the Delta log of {table} names a file outside of the table: \"{path}\""
        ))
    };
    if path.contains("://") || path.starts_with('/') {
        let url = Url::parse(path).map_err(|_| outside())?;
        let inside = url.as_str().starts_with(table.as_str());
        return if inside { store_path(&url) } else { Err(outside()) };
    }
    if path.split('/').any(|part| part == "..") {
        return Err(outside());
    }
    let root = store_path(table)?;
    // Names with what is an escape to a store come as they are; others are made to be paths.
    let path = Path::parse(path).unwrap_or_else(|_| Path::from(path));
    Ok(Path::from_iter(root.parts().chain(path.parts())))
}
