//! Iceberg tables: the files of their current snapshots, read from metadata and manifests.

mod bounds;
mod manifest;
mod metadata;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use boathouse_catalog::{Format, TableSpec};
use bytes::Bytes;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::table_schema::TableSchema;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStoreExt as _};
use url::Url;

use manifest::{Content, Entry, Manifest};
use metadata::{Metadata, PartitionField, Snapshot};

use super::columns::FieldIds;
use super::discover::raw_key;
use super::files::ScanFile;
use super::storage::absolute;
use super::{in_order_of, layout};
use crate::stores::{Stores, store_path, store_root};
use crate::{Error, ErrorKind, Result};

/// Tables that are kept between queries, and the files of all of them together.
const KEPT_MAX: usize = 256;
const KEPT_FILES_MAX: usize = 1_000_000;
/// Manifests that are read at once.
const MANIFESTS_AT_ONCE: usize = 16;
/// A metadata file or manifest may be this large.
const BYTES_MAX: u64 = 256 << 20;

/// The Iceberg tables that were read lately, by the location of their metadata, which never
/// changes.
#[derive(Default)]
pub(crate) struct IcebergTables {
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    table: Arc<IcebergTable>,
    used: u64,
}

/// An Iceberg table at its current snapshot.
pub(super) struct IcebergTable {
    /// As a user sees it.
    pub(super) schema: SchemaRef,
    pub(super) layout: TableSchema,
    pub(super) ids: Arc<FieldIds>,
    /// The store of its files.
    pub(super) root: Url,
    pub(super) files: Arc<Vec<ScanFile>>,
}

impl IcebergTables {
    /// The table whose metadata is at `location`.
    pub(super) async fn table(&self, stores: &Stores, location: &str) -> Result<Arc<IcebergTable>> {
        if let Some(table) = self.kept(location) {
            return Ok(table);
        }
        let table = Arc::new(IcebergTable::read(stores, location).await?);
        self.keep(location, table.clone());
        Ok(table)
    }

    fn kept(&self, location: &str) -> Option<Arc<IcebergTable>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = kept.values().map(|kept| kept.used).max().unwrap_or(0);
        let found = kept.get_mut(location)?;
        found.used = newest + 1;
        Some(found.table.clone())
    }

    fn keep(&self, location: &str, table: Arc<IcebergTable>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let used = kept.values().map(|kept| kept.used).max().unwrap_or(0) + 1;
        kept.insert(location.to_owned(), Kept { table, used });
        while kept.len() > KEPT_MAX
            || kept.values().map(|kept| kept.table.files.len()).sum::<usize>() > KEPT_FILES_MAX
        {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(location, _)| location.clone()) else { return };
            kept.remove(&oldest);
        }
    }
}

/// Where the metadata of a table is that the catalog has.
pub(super) fn metadata_location(spec: &TableSpec) -> Result<&str> {
    let parameter =
        spec.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case("metadata_location"));
    parameter.map(|(_, location)| location.as_str()).ok_or_else(|| {
        Error::unsupported("an Iceberg table without the parameter metadata_location")
            .with_hint("Register it with a tool that sets it, as PyIceberg's Glue catalog does.")
    })
}

impl IcebergTable {
    async fn read(stores: &Stores, location: &str) -> Result<Self> {
        let metadata = Metadata::parse(&get(stores, location).await?)
            .map_err(|error| error.about(format!("\"{location}\"")))?;
        metadata.check_columns()?;
        let entries = match metadata.snapshot()? {
            Some(snapshot) => snapshot_entries(stores, &metadata, snapshot).await?,
            None => Vec::new(),
        };
        let schema = table_schema(&metadata)?;
        let keys = keys(&metadata, &entries, &schema)?;
        let (in_keys, in_files): (Vec<FieldRef>, Vec<FieldRef>) =
            schema.fields().iter().cloned().partition(|field| keys.contains(field.name()));
        let layout = layout(&Schema::new(in_files), in_keys, Format::Iceberg);
        let ids = ids(&metadata)?;
        let root = match entries.first() {
            Some((_, entry)) => store_root(&absolute(&entry.path)?)?,
            None => store_root(&absolute(location)?)?,
        };
        let files = entries
            .iter()
            .map(|(spec_id, entry)| {
                let spec = metadata.spec(*spec_id).unwrap_or_default();
                scan_file(entry, spec, &layout, &ids, &root)
            })
            .collect::<Result<Vec<ScanFile>>>()?;
        let schema = in_order_of(layout.table_schema(), &schema)?;
        Ok(Self { schema, layout, ids: Arc::new(ids), root, files: Arc::new(files) })
    }
}

/// The bytes of a file that metadata names.
async fn get(stores: &Stores, location: &str) -> Result<Bytes> {
    let url = absolute(location)?;
    let store = stores.store(&url)?;
    let path = object_path(location, &url)?;
    let read = async {
        let found = store.get(&path).await?;
        if found.meta.size > BYTES_MAX {
            return Err(Error::new(
                ErrorKind::ResourcesExhausted,
                format!("it has {} bytes, the limit is {BYTES_MAX}", found.meta.size),
            ));
        }
        Ok(found.bytes().await?)
    };
    read.await.map_err(|error: Error| error.about(format!("\"{location}\"")))
}

/// The path of a file by its location, which isn't encoded as a URL is.
fn object_path(location: &str, url: &Url) -> Result<object_store::path::Path> {
    raw_key(location).map_or_else(|| store_path(url), Ok)
}

/// The data files of a snapshot, with the ids of their partition specs.
async fn snapshot_entries(
    stores: &Stores,
    metadata: &Metadata,
    snapshot: &Snapshot,
) -> Result<Vec<(i32, Entry)>> {
    let manifests = match &snapshot.manifest_list {
        Some(list) => manifest::manifests(&get(stores, list).await?)
            .map_err(|error| error.about(format!("\"{list}\"")))?,
        None => {
            let paths = snapshot.manifests.iter();
            paths
                .map(|path| Manifest { path: path.clone(), spec_id: 0, is_of_deletes: false })
                .collect()
        }
    };
    let jobs: Vec<_> = manifests.into_iter().map(|manifest| entries(stores, manifest)).collect();
    let read: Vec<Vec<(i32, Entry)>> =
        stream::iter(jobs).buffered(MANIFESTS_AT_ONCE).try_collect().await?;
    let entries: Vec<(i32, Entry)> = read.into_iter().flatten().collect();
    for (spec_id, entry) in &entries {
        check_entry(entry)?;
        if metadata.spec(*spec_id).is_none() && !entry.partition.is_empty() {
            return Err(Error::bad_data(format!(
                "the Iceberg partition spec {spec_id} is missing"
            )));
        }
    }
    Ok(entries)
}

async fn entries(stores: &Stores, manifest: Manifest) -> Result<Vec<(i32, Entry)>> {
    let path = &manifest.path;
    let entries = manifest::entries(&get(stores, path).await?)
        .map_err(|error| error.about(format!("\"{path}\"")))?;
    if manifest.is_of_deletes && entries.iter().any(|entry| entry.content == Content::Data) {
        return Err(Error::bad_data(format!("\"{path}\" lists data among deletes")));
    }
    Ok(entries.into_iter().map(|entry| (manifest.spec_id, entry)).collect())
}

/// Refuses files whose rows can't be told.
fn check_entry(entry: &Entry) -> Result<()> {
    let is_vector = entry.format.eq_ignore_ascii_case("puffin");
    let feature = match entry.content {
        Content::PositionDeletes if is_vector => "deletion vectors",
        Content::PositionDeletes => "position deletes",
        Content::EqualityDeletes => "equality deletes",
        Content::Data if entry.is_encrypted => "encrypted files",
        Content::Data if !entry.format.eq_ignore_ascii_case("parquet") => {
            return Err(Error::unsupported(format!("Iceberg tables with {} files", entry.format))
                .with_hint("Rewrite the table's files as Parquet."));
        }
        Content::Data => return Ok(()),
    };
    Err(Error::unsupported(format!("the Iceberg feature of {feature}, which the table uses"))
        .with_hint(
            "Rewrite the table's files (compaction), or have rows deleted by copy-on-write.",
        ))
}

fn table_schema(metadata: &Metadata) -> Result<SchemaRef> {
    let fields = metadata.schema()?.fields.iter();
    Ok(Arc::new(Schema::new(fields.map(metadata::Field::arrow).collect::<Result<Vec<Field>>>()?)))
}

fn ids(metadata: &Metadata) -> Result<FieldIds> {
    let columns = metadata.schema()?.fields.iter();
    Ok(FieldIds {
        of_columns: columns.map(|field| (field.name.clone(), field.id)).collect(),
        of_names: metadata.names_in_files()?,
    })
}

/// The columns that have one value in each file, which the manifests say: those that all files are
/// partitioned by as they are. Files of other writers need not have them.
fn keys(metadata: &Metadata, entries: &[(i32, Entry)], schema: &Schema) -> Result<HashSet<String>> {
    let specs: BTreeSet<i32> = entries.iter().map(|(spec, _)| *spec).collect();
    let is_key = |field: &&metadata::Field| {
        let everywhere = !specs.is_empty()
            && specs.iter().all(|spec| {
                let fields = metadata.spec(*spec).unwrap_or_default();
                place_of(field.id, fields).is_some()
            });
        let data_type = schema.field_with_name(&field.name).map(Field::data_type);
        everywhere && data_type.is_ok_and(can_be_key)
    };
    let fields = metadata.schema()?.fields.iter();
    let keys: HashSet<String> = fields.filter(is_key).map(|field| field.name.clone()).collect();
    // A file has at least one column.
    Ok(if keys.len() == schema.fields().len() { HashSet::new() } else { keys })
}

fn can_be_key(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(..)
            | DataType::Utf8
    )
}

/// Where in a partition the value of a column is.
fn place_of(column: i32, spec: &[PartitionField]) -> Option<usize> {
    spec.iter().position(|field| field.source_id == column && field.transform == "identity")
}

fn scan_file(
    entry: &Entry,
    spec: &[PartitionField],
    layout: &TableSchema,
    ids: &FieldIds,
    root: &Url,
) -> Result<ScanFile> {
    let url = absolute(&entry.path)?;
    if store_root(&url)? != *root {
        return Err(Error::unsupported(format!(
            "Iceberg tables with files in several buckets: {root} and \"{}\"",
            entry.path
        )));
    }
    let partition_values = layout
        .table_partition_cols()
        .iter()
        .map(|key| {
            let place = ids.of_columns.get(key.name()).and_then(|id| place_of(*id, spec));
            let value = place.and_then(|place| entry.partition.get(place)).ok_or_else(|| {
                let (path, key) = (&entry.path, key.name());
                Error::bad_data(format!("\"{path}\" has no value of partition column \"{key}\""))
            })?;
            Ok(value.cast_to(key.data_type())?)
        })
        .collect::<Result<Arc<[ScalarValue]>>>()?;
    let meta = ObjectMeta {
        location: object_path(&entry.path, &url)?,
        last_modified: Default::default(),
        size: entry.size,
        e_tag: None,
        version: None,
    };
    let statistics = Some(Arc::new(statistics(entry, layout.file_schema(), ids)));
    Ok(ScanFile { meta, partition_values, statistics, leaves: None, deletion: None })
}

/// What a manifest says of a file. Bounds need not be values, so they are not exact.
fn statistics(entry: &Entry, schema: &Schema, ids: &FieldIds) -> Statistics {
    let column = |field: &FieldRef| {
        let id = ids.of_columns.get(field.name()).copied().unwrap_or_default();
        let bound = |bounds: &[(i32, Vec<u8>)]| {
            let (_, bytes) = bounds.iter().find(|(key, _)| *key == id)?;
            Some(Precision::Inexact(bounds::decode(bytes, field.data_type())?))
        };
        let count = |counts: &[(i32, u64)]| counts.iter().find(|(key, _)| *key == id).map(|c| c.1);
        // NaN is greater than the bounds.
        let has_nans = count(&entry.nans).is_some_and(|nans| nans > 0);
        let known = |bounds| bound(bounds).filter(|_| !has_nans).unwrap_or(Precision::Absent);
        ColumnStatistics {
            min_value: known(&entry.lower),
            max_value: known(&entry.upper),
            null_count: count(&entry.nulls).map_or(Precision::Absent, |nulls| {
                Precision::Inexact(usize::try_from(nulls).unwrap_or(usize::MAX))
            }),
            ..ColumnStatistics::new_unknown()
        }
    };
    Statistics {
        num_rows: Precision::Exact(usize::try_from(entry.rows).unwrap_or(usize::MAX)),
        total_byte_size: Precision::Absent,
        column_statistics: schema.fields().iter().map(column).collect(),
    }
}
