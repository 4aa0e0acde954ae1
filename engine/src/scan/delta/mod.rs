//! Delta tables: snapshots, kept and advanced, and their active files.

mod deletion;
mod features;
mod hintless;
mod log;
mod mapping;
mod statistics;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use boathouse_catalog::{Format, Table, TableSpec};
use datafusion::datasource::table_schema::TableSchema;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow as _;
use deltalake::kernel::{Metadata, Protocol, Remove, Snapshot, StructType};
use deltalake::logstore::LogStoreRef;
use deltalake::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use tokio::sync::OnceCell;
use url::Url;

use super::columns::MappedFields;
use super::files::ScanFile;
use super::storage::{absolute, location_of};
use crate::commit::{log_store, log_store_on};
use crate::engine::Shared;
use crate::rules::Rules;
use crate::session::Session;
use crate::statement::partition_text;
use crate::stores::folder_url;
use crate::{Error, Result};

use hintless::Hintless;

pub(crate) use deletion::{DeletionVector, selections};
pub(crate) use log::Files;

/// Snapshots that are kept between queries, and about how much memory they may take. The one
/// that was used last is kept whatever it takes.
const KEPT_MAX: usize = 256;
const KEPT_BYTES_MAX: usize = 512 << 20;

/// The Delta tables that were used lately, by URL, and older versions of them.
#[derive(Default)]
pub(crate) struct DeltaTables {
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    snapshot: Arc<DeltaSnapshot>,
    used: u64,
}

/// A Delta table at one version.
pub(crate) struct DeltaSnapshot {
    pub(crate) url: Url,
    pub(crate) version: u64,
    /// All columns in the table's order, which need not end with the partition keys.
    pub(crate) schema: SchemaRef,
    pub(crate) partition_columns: Vec<String>,
    /// What the files' columns are called, where they have names of their own.
    pub(crate) mapping: Option<Arc<MappedFields>>,
    log: Arc<Snapshot>,
    log_store: LogStoreRef,
    /// The file of the log that made this version, which tells it from one of another table that
    /// was put in its place.
    commit: Option<ObjectMeta>,
    files: OnceCell<Arc<Files>>,
    table: OnceCell<DeltaTable>,
    /// What was known of an older version, until it's not needed any more.
    before: Mutex<Before>,
    rules: OnceLock<Result<Arc<Rules>>>,
    clustering: OnceCell<Vec<String>>,
}

/// What the next version starts from: files with their version, and the Delta library's table.
#[derive(Clone, Default)]
struct Before {
    files: Option<(u64, Arc<Files>)>,
    table: Option<DeltaTable>,
}

impl DeltaTables {
    /// The newest version of the table at `url`. It costs one listing, and the commits since the
    /// last time.
    pub(crate) async fn newest(&self, shared: &Shared, url: &Url) -> Result<Arc<DeltaSnapshot>> {
        let snapshot = match self.kept(url.as_str()) {
            Some(kept) => match kept.newer().await? {
                Newer::Same => return Ok(kept),
                Newer::Version(version, commit) => match kept.advanced(version, commit).await {
                    Ok(snapshot) => snapshot,
                    Err(_) => DeltaSnapshot::open(shared, url, None).await?,
                },
                Newer::Another => {
                    self.forget(url);
                    DeltaSnapshot::open(shared, url, None).await?
                }
            },
            None => DeltaSnapshot::open(shared, url, None).await?,
        };
        let snapshot = Arc::new(snapshot);
        self.keep(url.to_string(), snapshot.clone());
        Ok(snapshot)
    }

    /// Another version of the table that `newest` is the newest of.
    pub(crate) async fn at(
        &self,
        shared: &Shared,
        newest: &Arc<DeltaSnapshot>,
        version: u64,
    ) -> Result<Arc<DeltaSnapshot>> {
        if newest.version == version {
            return Ok(newest.clone());
        }
        let key = key_at(&newest.url, version);
        if let Some(snapshot) = self.kept(&key) {
            return Ok(snapshot);
        }
        let snapshot = DeltaSnapshot::open(shared, &newest.url, Some(version)).await?;
        let snapshot = Arc::new(snapshot);
        self.keep(key, snapshot.clone());
        Ok(snapshot)
    }

    /// The table at `url` as it was last used, if it's kept.
    pub(crate) fn last(&self, url: &Url) -> Option<Arc<DeltaSnapshot>> {
        self.kept(url.as_str())
    }

    fn kept(&self, key: &str) -> Option<Arc<DeltaSnapshot>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = kept.values().map(|kept| kept.used).max().unwrap_or(0);
        let found = kept.get_mut(key)?;
        found.used = newest + 1;
        Some(found.snapshot.clone())
    }

    fn keep(&self, key: String, snapshot: Arc<DeltaSnapshot>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let used = kept.values().map(|kept| kept.used).max().unwrap_or(0) + 1;
        kept.insert(key, Kept { snapshot, used });
        let mut bytes: usize = kept.values().map(|kept| kept.snapshot.size()).sum();
        while kept.len() > 1 && (kept.len() > KEPT_MAX || bytes > KEPT_BYTES_MAX) {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.used).map(|(url, _)| url.clone());
            let Some(gone) = oldest.and_then(|url| kept.remove(&url)) else { return };
            bytes = bytes.saturating_sub(gone.snapshot.size());
        }
    }

    /// Forgets a table that is gone.
    pub(crate) fn forget(&self, url: &Url) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.snapshot.url != *url);
    }
}

/// A fragment is no part of a location, so this is nobody's newest version.
fn key_at(url: &Url, version: u64) -> String {
    format!("{url}#{version}")
}

/// What became of a table since a version of it was read.
enum Newer {
    Same,
    /// There is this newer one, which this file of the log made.
    Version(u64, ObjectMeta),
    /// The version's commit is not there any more, or not the same.
    Another,
}

impl DeltaSnapshot {
    /// The table at `url` at a version, or at its newest.
    pub(crate) async fn open(shared: &Shared, url: &Url, version: Option<u64>) -> Result<Self> {
        let mut log_store = log_store(shared, url)?;
        let mut log = Snapshot::try_new(log_store.as_ref(), version).await;
        if log.as_ref().is_err_and(|error| error.to_string().contains("_last_checkpoint")) {
            log_store = log_store_on(shared, Arc::new(Hintless(shared.stores.store(url)?)), url)?;
            log = Snapshot::try_new(log_store.as_ref(), version).await;
        }
        let log = Arc::new(log.map_err(log_error)?);
        let version = log.version();
        let found = commits(log_store.object_store(None).as_ref(), version).await?;
        let commit = found.into_iter().find(|(found, _)| *found == version).map(|(_, meta)| meta);
        Self::new(log, log_store, url.clone(), commit, Before::default())
    }

    fn new(
        log: Arc<Snapshot>,
        log_store: LogStoreRef,
        url: Url,
        commit: Option<ObjectMeta>,
        before: Before,
    ) -> Result<Self> {
        let delta_schema = log.schema();
        features::check_read(log.protocol(), log.metadata(), &delta_schema, &url)?;
        let schema: Schema = delta_schema.as_ref().try_into_arrow().map_err(|error| {
            Error::unsupported(format!("reading {url}, which has a type that is not read: {error}"))
        })?;
        Ok(Self {
            version: log.version(),
            schema: Arc::new(Schema::new(plain_fields(schema.fields()))),
            partition_columns: log.metadata().partition_columns().to_vec(),
            mapping: mapping::mapping(log.metadata(), &delta_schema)?,
            url,
            log,
            log_store,
            commit,
            files: OnceCell::new(),
            table: OnceCell::new(),
            before: Mutex::new(before),
            rules: OnceLock::new(),
            clustering: OnceCell::new(),
        })
    }

    /// What rows that are written to the table are to be. The settings of no session count.
    pub(crate) fn rules(&self, shared: &Shared) -> Result<Arc<Rules>> {
        self.rules.get_or_init(|| Rules::of_delta(&shared.base_state, self).map(Arc::new)).clone()
    }

    /// The columns by which rows are sorted; read from the log once.
    pub(crate) async fn clustering(&self, shared: &Shared) -> Result<Vec<String>> {
        let read = || crate::definition::clustering(shared, self);
        Ok(self.clustering.get_or_try_init(read).await?.clone())
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        self.log.metadata()
    }

    pub(crate) fn protocol(&self) -> &Protocol {
        self.log.protocol()
    }

    /// The columns with what Delta keeps of them.
    pub(crate) fn columns(&self) -> Arc<StructType> {
        self.log.schema()
    }

    /// What the log says when these files of the version go; whether rows go with them.
    pub(crate) async fn removals<'a>(
        &self,
        files: impl IntoIterator<Item = &'a ScanFile>,
        data_change: bool,
    ) -> Result<Vec<Remove>> {
        let key = |file: &ScanFile| {
            let deletion = file.deletion.as_ref().map(|deletion| deletion.id());
            (file.meta.location.clone(), deletion)
        };
        let mut wanted: HashSet<(Path, Option<String>)> = files.into_iter().map(key).collect();
        let mut removals = Vec::with_capacity(wanted.len());
        let log = self.table().await?.snapshot()?.snapshot().try_log_data()?;
        for view in log.iter() {
            let deletion = view.deletion_vector_descriptor();
            let deletion = deletion.as_ref().map(deletion::id);
            if wanted.remove(&(log::file_location(&view.path(), &self.url)?, deletion)) {
                removals.push(view.remove_action(data_change));
            }
        }
        match wanted.is_empty() {
            true => Ok(removals),
            false => Err(Error::internal("a snapshot's files were listed differently")),
        }
    }

    /// As files have it: the columns in them, then the partition keys.
    pub(crate) fn layout(&self) -> Result<TableSchema> {
        let is_key = |field: &FieldRef| self.partition_columns.iter().any(|k| k == field.name());
        let columns: Vec<FieldRef> =
            self.schema.fields().iter().filter(|field| !is_key(field)).cloned().collect();
        let keys = self
            .partition_columns
            .iter()
            .map(|key| Ok(Arc::new(self.schema.field_with_name(key)?.clone())))
            .collect::<Result<Vec<FieldRef>>>()?;
        Ok(super::layout(&Schema::new(columns), keys, Format::Delta))
    }

    /// The files of this version; read from the log once.
    pub(crate) async fn files(&self, file_schema: &SchemaRef) -> Result<Arc<Files>> {
        let files = self.files.get_or_try_init(|| self.read_files(file_schema)).await?;
        Ok(files.clone())
    }

    async fn read_files(&self, file_schema: &SchemaRef) -> Result<Arc<Files>> {
        let before = self.before().files.take();
        if let Some((of, files)) = before
            && let Some(files) = files.advanced(of, self, file_schema).await?
        {
            return Ok(Arc::new(files));
        }
        Ok(Arc::new(Files::read(self, file_schema).await?))
    }

    /// The table as the Delta library has it, for its operations and for commits.
    pub(crate) async fn table(&self) -> Result<&DeltaTable> {
        self.table
            .get_or_try_init(|| async {
                let before = self.before().table.take();
                if let Some(mut table) = before
                    && table.update_incremental(Some(self.version)).await.is_ok()
                {
                    return Ok(table);
                }
                let mut table = DeltaTable::new(self.log_store.clone());
                table.load_version(self.version).await.map_err(log_error)?;
                Ok(table)
            })
            .await
    }

    /// Refuses to add rows where the table needs what isn't done here.
    pub(crate) fn check_write(&self) -> Result<()> {
        let (protocol, metadata) = (self.log.protocol(), self.log.metadata());
        features::check_write(protocol, metadata, &self.log.schema(), &self.url)
    }

    /// The schema that files are written with, where it isn't the table's.
    pub(crate) fn physical_schema(&self) -> Result<Option<SchemaRef>> {
        let mapping = self.mapping.as_deref();
        mapping.map(|mapping| mapping::physical_schema(&self.schema, mapping)).transpose()
    }

    async fn newer(&self) -> Result<Newer> {
        let found = commits(self.log_store.object_store(None).as_ref(), self.version).await?;
        let same = match (found.first(), &self.commit) {
            (Some((_, found)), Some(known)) => is_same(found, known),
            _ => false,
        };
        match found.into_iter().next_back() {
            Some((newest, commit)) if same && newest > self.version => {
                Ok(Newer::Version(newest, commit))
            }
            Some(_) if same => Ok(Newer::Same),
            _ => Ok(Newer::Another),
        }
    }

    /// The table at a newer version.
    async fn advanced(&self, version: u64, commit: ObjectMeta) -> Result<Self> {
        let engine = self.log_store.engine(None);
        let log = self.log.clone().update(engine, Some(version)).await.map_err(log_error)?;
        let same_schema =
            log.metadata() == self.log.metadata() && log.protocol() == self.log.protocol();
        let files = match self.files.get() {
            Some(files) => Some((self.version, files.clone())),
            None => self.before().files.clone(),
        };
        let before = Before {
            files: files.filter(|_| same_schema),
            table: self.table.get().cloned().or_else(|| self.before().table.clone()),
        };
        Self::new(log, self.log_store.clone(), self.url.clone(), Some(commit), before)
    }

    /// About the memory that it takes.
    fn size(&self) -> usize {
        let files = self.files.get().map(|files| files.size());
        let before = self.before();
        let older = before.files.as_ref().map(|(_, files)| files.size());
        let files = files.or(older).unwrap_or(0);
        // The Delta library keeps about as much of its own.
        let tables = usize::from(self.table.get().is_some() || before.table.is_some());
        files * (1 + tables)
    }

    fn before(&self) -> MutexGuard<'_, Before> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The commits of the log of the table that `store` is rooted at, from `version` on.
async fn commits(store: &dyn ObjectStore, version: u64) -> Result<Vec<(u64, ObjectMeta)>> {
    let log = Path::from("_delta_log");
    let before = Path::from(format!("_delta_log/{version:020}"));
    let found: Vec<ObjectMeta> = store.list_with_offset(Some(&log), &before).try_collect().await?;
    let mut commits: Vec<(u64, ObjectMeta)> = found
        .into_iter()
        .filter_map(|meta| {
            let number = meta.location.filename()?.strip_suffix(".json")?;
            let is_commit = number.len() == 20;
            Some((number.parse().ok().filter(|number| is_commit && *number >= version)?, meta))
        })
        .collect();
    commits.sort_unstable_by_key(|(version, _)| *version);
    Ok(commits)
}

fn is_same(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    (one.size, one.last_modified, &one.e_tag) == (other.size, other.last_modified, &other.e_tag)
}

/// A log that can't be read, by what is wrong with it.
fn log_error(error: DeltaTableError) -> Error {
    let text = error.to_string();
    let gap = text.split_once("found gap: ").map(|(_, gap)| gap);
    let versions = gap.into_iter().flat_map(|gap| gap.split("version: ").skip(1));
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok();
    match versions.filter_map(number).next() {
        Some(before) => Error::bad_data(format!(
            "the Delta log has no version {}, and has later ones",
            before.saturating_add(1)
        ))
        .with_hint("Restore that file of _delta_log."),
        None => error.into(),
    }
}

/// The folder of a Delta table of the catalog.
pub(crate) fn delta_url(spec: &TableSpec) -> Result<Url> {
    let location = location_of(spec).unwrap_or_default();
    Ok(folder_url(absolute(&location)?))
}

/// What SHOW PARTITIONS says of a Delta table: partition, files, rows and bytes of each.
pub(crate) async fn delta_partitions(
    session: &Session,
    table: &Table,
) -> Result<Vec<Vec<Option<String>>>> {
    let url = delta_url(&table.spec)?;
    let shared = session.engine.shared();
    let delta = shared.delta_tables.newest(shared, &url).await?;
    let keys: Vec<&str> = delta.partition_columns.iter().map(String::as_str).collect();
    let files = delta.files(delta.layout()?.file_schema()).await?;
    let rows = files.by_partition().into_iter().map(|(values, files)| {
        let rows = |file: &&ScanFile| file.statistics.as_ref()?.num_rows.get_value().copied();
        let rows: Option<usize> = files.iter().map(rows).sum();
        let bytes: u64 = files.iter().map(|file| file.meta.size).sum();
        vec![
            Some(partition_text(&keys, values)),
            Some(files.len().to_string()),
            rows.map(|rows| rows.to_string()),
            Some(bytes.to_string()),
        ]
    });
    let mut rows: Vec<Vec<Option<String>>> = rows.collect();
    rows.sort();
    Ok(rows)
}

/// Without the field metadata that Delta keeps for itself, so that a column's type alone
/// decides whether two schemas are equal.
fn plain_fields(fields: &Fields) -> Fields {
    let plain = |field: &FieldRef| {
        let comment = field.metadata().get("comment").cloned();
        let metadata = comment.map(|text| ("comment".to_owned(), text)).into_iter().collect();
        plain_field(field).with_metadata(metadata)
    };
    fields.iter().map(plain).map(Arc::new).collect()
}

fn plain_field(field: &Field) -> Field {
    let data_type = plain_type(field.data_type());
    Field::new(field.name(), data_type, field.is_nullable())
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| Arc::new(plain_field(field))).collect())
        }
        DataType::List(element) => DataType::List(Arc::new(plain_field(element))),
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(plain_field(entries)), *sorted),
        other => other.clone(),
    }
}
