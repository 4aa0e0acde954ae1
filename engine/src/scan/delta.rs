//! Delta tables: snapshots, kept and advanced, and their active files.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use boathouse_catalog::{Table, TableSpec};
use chrono::DateTime;
use datafusion::catalog::TableProvider;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use deltalake::DeltaTable;
use deltalake::kernel::LogicalFileView;
use object_store::ObjectMeta;
use tokio::sync::OnceCell;
use url::Url;

use super::files::{ScanFile, partition_value};
use super::storage::{absolute, location_of};
use crate::commit::log_store;
use crate::engine::Shared;
use crate::rules::Rules;
use crate::session::Session;
use crate::statement::partition_text;
use crate::stores::{folder_url, store_path};
use crate::{Error, Result};

/// Snapshots that are kept between queries.
const KEPT_MAX: usize = 256;

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
    pub(crate) table: DeltaTable,
    pub(crate) url: Url,
    /// All columns in the table's order, which need not end with the partition keys.
    pub(crate) schema: SchemaRef,
    pub(crate) partition_columns: Vec<String>,
    files: OnceCell<Files>,
    rules: OnceLock<Result<Arc<Rules>>>,
    clustering: OnceCell<Vec<String>>,
}

/// How a snapshot's rows are found.
#[derive(Clone)]
pub(crate) enum Files {
    /// Plain Parquet files.
    Plain(Arc<Vec<ScanFile>>),
    /// Deletion vectors or column mapping: the Delta library's own scan applies them.
    Mapped(Arc<dyn TableProvider>),
}

impl DeltaTables {
    /// The newest version of the table at `url`.
    pub(crate) async fn newest(&self, shared: &Shared, url: &Url) -> Result<Arc<DeltaSnapshot>> {
        let kept = self.kept(url.as_str());
        let table = match &kept {
            Some(snapshot) => {
                let mut table = snapshot.table.clone();
                table.update_state().await?;
                if table.version() == snapshot.table.version() {
                    return Ok(snapshot.clone());
                }
                table
            }
            None => {
                let mut table = DeltaTable::new(log_store(shared, url)?);
                table.load().await?;
                table
            }
        };
        let snapshot = Arc::new(DeltaSnapshot::new(table, url.clone())?);
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
        if newest.version()? == version {
            return Ok(newest.clone());
        }
        let key = key_at(&newest.url, version);
        if let Some(snapshot) = self.kept(&key) {
            return Ok(snapshot);
        }
        let mut table = DeltaTable::new(log_store(shared, &newest.url)?);
        table.load_version(version).await?;
        let snapshot = Arc::new(DeltaSnapshot::new(table, newest.url.clone())?);
        self.keep(key, snapshot.clone());
        Ok(snapshot)
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
        if kept.len() > KEPT_MAX {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.used).map(|(url, _)| url.clone());
            if let Some(url) = oldest {
                kept.remove(&url);
            }
        }
    }

    /// The table at `url` as it was last used, if it's kept.
    pub(crate) fn table(&self, url: &Url) -> Option<DeltaTable> {
        Some(self.kept(url.as_str())?.table.clone())
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

impl DeltaSnapshot {
    fn new(table: DeltaTable, url: Url) -> Result<Self> {
        let snapshot = table.snapshot()?.snapshot();
        let schema = plain_schema(&snapshot.arrow_schema());
        let partition_columns = snapshot.metadata().partition_columns().to_vec();
        Ok(Self {
            table,
            url,
            schema,
            partition_columns,
            files: OnceCell::new(),
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

    pub(crate) fn version(&self) -> Result<u64> {
        self.table.version().ok_or_else(|| Error::internal("a snapshot has a version"))
    }

    /// The files of this version; read from the log once.
    pub(crate) async fn files(&self, file_schema: &SchemaRef) -> Result<Files> {
        let files = self.files.get_or_try_init(|| self.read_files(file_schema)).await?;
        Ok(files.clone())
    }

    async fn read_files(&self, file_schema: &SchemaRef) -> Result<Files> {
        let snapshot = self.table.snapshot()?.snapshot();
        let mapping = snapshot.metadata().configuration().get("delta.columnMapping.mode");
        let mapped = mapping.is_some_and(|mode| mode != "none");
        let mut files = Vec::new();
        let log = snapshot.try_log_data()?;
        for view in log.iter() {
            if mapped || view.deletion_vector_descriptor().is_some() {
                let provider = self.table.table_provider().build().await?;
                return Ok(Files::Mapped(Arc::new(provider)));
            }
            files.push(self.scan_file(&view, file_schema)?);
        }
        Ok(Files::Plain(Arc::new(files)))
    }

    fn scan_file(&self, view: &LogicalFileView, file_schema: &SchemaRef) -> Result<ScanFile> {
        let path = view.path();
        let location = self.file_location(&path, view)?;
        let values = view.partition_values_map();
        let partition_values = self
            .partition_columns
            .iter()
            .map(|key| {
                let field = self.schema.field_with_name(key)?;
                let text = values.get(key).cloned().flatten().filter(|text| !text.is_empty());
                partition_value(text.as_deref(), key, field.data_type(), &path)
            })
            .collect::<Result<Vec<ScalarValue>>>()?;
        let meta = ObjectMeta {
            location,
            last_modified: DateTime::from_timestamp_millis(view.modification_time())
                .unwrap_or_default(),
            size: u64::try_from(view.size()).map_err(|_| {
                Error::bad_data(format!("the Delta log gives \"{path}\" a negative size"))
            })?,
            e_tag: None,
            version: None,
        };
        let statistics = statistics(view, file_schema).map(Arc::new);
        Ok(ScanFile { meta, partition_values: partition_values.into(), statistics })
    }

    /// The file's path in its store. A log may only name files of its own table.
    fn file_location(
        &self,
        path: &str,
        view: &LogicalFileView,
    ) -> Result<object_store::path::Path> {
        let outside = || {
            Error::bad_data(format!(
                "the Delta log of {} names a file outside of the table: \"{path}\"",
                self.url
            ))
        };
        if path.contains("://") || path.starts_with('/') {
            let url = Url::parse(path).map_err(|_| outside())?;
            let inside = url.as_str().starts_with(self.url.as_str());
            return if inside { store_path(&url) } else { Err(outside()) };
        }
        if path.split('/').any(|part| part == "..") {
            return Err(outside());
        }
        let root = store_path(&self.url)?;
        Ok(object_store::path::Path::from_iter(
            root.parts().chain(view.object_store_path().parts()),
        ))
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
    let mut partitions: BTreeMap<String, (u64, Option<u64>, u64)> = BTreeMap::new();
    for view in delta.table.snapshot()?.snapshot().try_log_data()?.iter() {
        let values = view.partition_values_map();
        let values: Vec<Option<String>> =
            keys.iter().map(|key| values.get(*key).cloned().flatten()).collect();
        let rows = view.num_records().map(|rows| rows as u64);
        let bytes = u64::try_from(view.size()).unwrap_or(0);
        let entry = partitions.entry(partition_text(&keys, &values)).or_insert((0, Some(0), 0));
        entry.0 += 1;
        entry.1 = entry.1.zip(rows).map(|(sum, rows)| sum + rows);
        entry.2 += bytes;
    }
    Ok(partitions
        .into_iter()
        .map(|(name, (files, rows, bytes))| {
            let rows = rows.map(|rows| rows.to_string());
            vec![Some(name), Some(files.to_string()), rows, Some(bytes.to_string())]
        })
        .collect())
}

/// What the log says of a file. Delta shortens strings, rounds times to milliseconds and writes
/// decimals as JSON numbers, so the bounds of those are not exact.
fn statistics(view: &LogicalFileView, schema: &Schema) -> Option<Statistics> {
    let rows = view.num_records()?;
    let bounds =
        view.stats().and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let group = |name: &str| bounds.as_ref().and_then(|bounds| bounds.get(name));
    let (min, max, nulls) = (group("minValues"), group("maxValues"), group("nullCount"));
    let column_statistics = schema
        .fields()
        .iter()
        .map(|field| {
            let pick = |group: Option<&serde_json::Value>, is_max: bool| {
                let value = group.and_then(|group| group.get(field.name()))?;
                bound(value, field.data_type(), is_max)
            };
            let nulls = nulls.and_then(|nulls| nulls.get(field.name())?.as_u64());
            ColumnStatistics {
                min_value: pick(min, false).unwrap_or(Precision::Absent),
                max_value: pick(max, true).unwrap_or(Precision::Absent),
                null_count: nulls.map_or(Precision::Absent, |count| {
                    Precision::Exact(usize::try_from(count).unwrap_or(usize::MAX))
                }),
                ..ColumnStatistics::new_unknown()
            }
        })
        .collect();
    Some(Statistics {
        num_rows: Precision::Exact(rows),
        total_byte_size: Precision::Absent,
        column_statistics,
    })
}

fn bound(
    value: &serde_json::Value,
    data_type: &DataType,
    is_max: bool,
) -> Option<Precision<ScalarValue>> {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        serde_json::Value::Bool(value) => value.to_string(),
        _ => return None,
    };
    let scalar = ScalarValue::try_from_string(text, data_type).ok()?;
    if scalar.is_null() {
        return None;
    }
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32 => {
            Some(Precision::Exact(scalar))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) if is_max => {
            // Written in milliseconds, cut off: the largest value may be up to that much later.
            let ScalarValue::TimestampMicrosecond(Some(micros), _) = scalar else { return None };
            let late = micros.checked_add(999)?;
            Some(Precision::Inexact(ScalarValue::TimestampMicrosecond(Some(late), zone.clone())))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _)
        | DataType::Boolean
        | DataType::Utf8
        | DataType::Utf8View => Some(Precision::Inexact(scalar)),
        // A decimal or float as a JSON number may be rounded to the wrong side.
        _ => None,
    }
}

/// Without the field metadata that Delta keeps for itself, so that a column's type alone
/// decides whether two schemas are equal.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let mut plain = field.as_ref().clone();
            let comment = field.metadata().get("comment").cloned();
            plain.set_metadata(
                comment.map(|text| ("comment".to_owned(), text)).into_iter().collect(),
            );
            plain
        })
        .collect();
    Arc::new(Schema::new(fields))
}
