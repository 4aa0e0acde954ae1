//! What is at a location: its files, their schema, and the partitions in their paths.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use boathouse_catalog::{DataFile, Format, Partition};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::session_state::SessionState;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use url::Url;

use super::files::{partition_value, to_catalog};
use super::format::{by_extension, compression, reader};
use super::storage::absolute;
use crate::stores::{Stores, folder_url, location_url, object_url, store_path, store_root};
use crate::{Error, ErrorKind, Result};

/// Footers that are read at once.
const FOOTERS_AT_ONCE: usize = 16;
/// CSV and JSON files that types are inferred from.
const SAMPLED_FILES: usize = 8;
/// Files that are looked at to find a folder's format.
const FILES_LOOKED_AT: usize = 10_000;
/// Hive's name for the partition of NULL.
pub(super) const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The format of the files at a location whose name doesn't tell: that of the first file that
/// does.
pub(crate) async fn format_at(stores: &Stores, location: &str) -> Result<Option<Format>> {
    let url = location_url(location)?;
    let store = stores.store(&url)?;
    let path = store_path(&url)?;
    let mut files = store.list(Some(&path)).take(FILES_LOOKED_AT);
    let mut found = None;
    while let Some(meta) = files.try_next().await? {
        let is_log = meta.location.prefix_match(&path).and_then(|mut parts| parts.next());
        if is_log.is_some_and(|folder| folder.as_ref() == "_delta_log") {
            return Ok(Some(Format::Delta));
        }
        if found.is_none() && is_visible(&meta.location, &path) {
            found = by_extension(meta.location.as_ref());
        }
    }
    Ok(found)
}

/// What is asked of a location.
pub(crate) struct Wanted<'a> {
    pub(crate) location: &'a str,
    pub(crate) format: Format,
    pub(crate) parameters: &'a BTreeMap<String, String>,
    /// Columns that are given; without the partition keys.
    pub(crate) columns: Option<SchemaRef>,
    /// Partition keys that are given, in order; a type that isn't is inferred.
    pub(crate) keys: Option<Vec<(String, Option<DataType>)>>,
}

/// What was found there.
pub(crate) struct Found {
    /// Absolute; a folder's ends with a slash.
    pub(crate) location: Url,
    pub(crate) columns: SchemaRef,
    pub(crate) keys: Vec<FieldRef>,
    pub(crate) partitions: Vec<Partition>,
}

struct File {
    meta: ObjectMeta,
    /// `key=value` folders between the location and the file.
    values: Vec<(String, Option<String>)>,
}

/// Lists a location, reads footers or samples, and finds schema and partitions.
pub(crate) async fn discover(
    stores: &Stores,
    state: &SessionState,
    wanted: Wanted<'_>,
) -> Result<Found> {
    let location = location_url(wanted.location)?;
    let store = stores.store(&location)?;
    let (location, metas) = list(store.as_ref(), location, wanted.format).await?;
    describe(stores, state, wanted, location, metas).await
}

/// What `discover` finds of files that are listed already.
pub(crate) async fn describe(
    stores: &Stores,
    state: &SessionState,
    wanted: Wanted<'_>,
    location: Url,
    metas: Vec<ObjectMeta>,
) -> Result<Found> {
    let store = stores.store(&location)?;
    let files = with_values(&location, metas)?;
    let key_names = key_names(&files, wanted.keys.as_deref())?;
    let (found, statistics) = match wanted.format {
        Format::Parquet => footers(&store, &location, &files).await?,
        Format::Csv | Format::Json => (sample(&store, state, &files, &wanted).await?, None),
        format => {
            return Err(Error::unsupported(format!("a table over {format} files"))
                .with_hint("STORED AS takes PARQUET, CSV, JSON or DELTA."));
        }
    };
    let columns = match &wanted.columns {
        Some(given) => given.clone(),
        None => without(&found, &key_names),
    };
    if columns.fields().is_empty() {
        return Err(Error::bad_data(format!("no column was found in \"{location}\"")));
    }
    let keys = typed_keys(&key_names, &files, wanted.keys.as_deref())?;
    let partitions = group(&location, files, &keys, statistics)?;
    Ok(Found { location, columns, keys, partitions })
}

/// The data files at a location: a file, a folder (with its folders), or a pattern.
async fn list(
    store: &dyn ObjectStore,
    location: Url,
    format: Format,
) -> Result<(Url, Vec<ObjectMeta>)> {
    let missing = |location: &Url| {
        let shown = percent_decoded(location);
        Error::new(ErrorKind::NotFound, format!("there is no file at \"{shown}\""))
            .with_hint("Check the path; a folder's files must not start with '_' or '.'.")
    };
    let has_pattern = location.path().contains(['*', '?', '[']) || location.path().contains("%3F");
    if has_pattern {
        return list_pattern(store, &location, missing).await;
    }
    let path = store_path(&location)?;
    if !location.path().ends_with('/') {
        match store.head(&path).await {
            Ok(meta) => return Ok((location, vec![meta])),
            Err(object_store::Error::NotFound { .. }) => {}
            // A local folder without a trailing slash.
            Err(error) if location.scheme() != "file" => {
                return Err(Error::from(error).about(&location));
            }
            Err(_) => {}
        }
    }
    let folder = folder_url(location.clone());
    let metas: Vec<ObjectMeta> = store
        .list(Some(&path))
        .try_collect()
        .await
        .map_err(|error| Error::from(error).about(&location))?;
    let visible: Vec<ObjectMeta> = metas
        .into_iter()
        .filter(|meta| meta.size > 0 && is_visible(&meta.location, &path))
        .collect();
    let matching = |meta: &&ObjectMeta| by_extension(meta.location.as_ref()) == Some(format);
    let mut chosen: Vec<ObjectMeta> = visible.iter().filter(matching).cloned().collect();
    if chosen.is_empty() {
        // Files without a telling name are the format that the statement says.
        chosen = visible
            .into_iter()
            .filter(|meta| by_extension(meta.location.as_ref()).is_none())
            .collect();
    }
    if chosen.is_empty() {
        return Err(missing(&location));
    }
    chosen.sort_by(|a, b| a.location.cmp(&b.location));
    Ok((folder, chosen))
}

/// The files that a pattern matches, and the folder that it begins with.
pub(crate) async fn list_pattern(
    store: &dyn ObjectStore,
    location: &Url,
    missing: impl Fn(&Url) -> Error,
) -> Result<(Url, Vec<ObjectMeta>)> {
    let pattern = ListingTableUrl::parse(percent_decoded(location))?;
    let metas: Vec<ObjectMeta> = store.list(Some(pattern.prefix())).try_collect().await?;
    let mut chosen: Vec<ObjectMeta> = metas
        .into_iter()
        .filter(|meta| meta.size > 0 && pattern.contains(&meta.location, false))
        .collect();
    if chosen.is_empty() {
        return Err(missing(location));
    }
    chosen.sort_by(|a, b| a.location.cmp(&b.location));
    let mut base = location.clone();
    let prefix = object_url(&store_root(location)?, pattern.prefix());
    base.set_path(
        Url::parse(&format!("{prefix}/")).map_or("/".into(), |u| u.path().to_owned()).as_str(),
    );
    Ok((base, chosen))
}

fn percent_decoded(url: &Url) -> String {
    match url.to_file_path() {
        Ok(path) => path.display().to_string(),
        Err(()) => url.to_string(),
    }
}

/// Spark, Hive and Delta hide files and folders by their first character.
pub(crate) fn is_visible(path: &Path, base: &Path) -> bool {
    path.prefix_match(base).is_some_and(|mut parts| {
        parts.all(|part| {
            let name = part.as_ref();
            !name.starts_with('.') && (!name.starts_with('_') || name.contains('='))
        })
    })
}

fn with_values(location: &Url, metas: Vec<ObjectMeta>) -> Result<Vec<File>> {
    let base = store_path(location)?;
    let files =
        metas.into_iter().map(|meta| File { values: path_values(&meta.location, &base), meta });
    Ok(files.collect())
}

/// The values in the `key=value` folders between `base` and a file.
pub(crate) fn path_values(path: &Path, base: &Path) -> Vec<(String, Option<String>)> {
    let Some(parts) = path.prefix_match(base) else { return Vec::new() };
    let folders: Vec<_> = parts.collect();
    let folders = folders.iter().take(folders.len().saturating_sub(1));
    folders
        .filter_map(|folder| {
            let (key, value) = folder.as_ref().split_once('=')?;
            Some((key.to_lowercase(), decoded(value)))
        })
        .collect()
}

/// A value as Hive writes it into a path.
fn decoded(text: &str) -> Option<String> {
    if text == HIVE_NULL {
        return None;
    }
    // Twice where a writer encodes the value and the store encodes the path.
    let once = percent_decode(text);
    Some(percent_decode(&once))
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let raw = text.as_bytes();
    let mut index = 0;
    while index < raw.len() {
        let hex = (raw[index] == b'%').then(|| text.get(index + 1..index + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                index += 3;
            }
            None => {
                bytes.push(raw[index]);
                index += 1;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// The partition keys: as given, or as the first file's path has them. All files must have them.
fn key_names(files: &[File], given: Option<&[(String, Option<DataType>)]>) -> Result<Vec<String>> {
    let names: Vec<String> = match (given, files.first()) {
        (Some(given), _) => given.iter().map(|(name, _)| name.to_lowercase()).collect(),
        (None, Some(first)) => first.values.iter().map(|(key, _)| key.clone()).collect(),
        (None, None) => Vec::new(),
    };
    for file in files {
        let has: Vec<&str> = file.values.iter().map(|(key, _)| key.as_str()).collect();
        let same = match given {
            Some(_) => names.iter().all(|name| has.contains(&name.as_str())),
            None => has == names,
        };
        if !same {
            return Err(Error::bad_data(format!(
                "\"{}\" is not in folders named {}=…",
                file.meta.location,
                names.join("=…/")
            ))
            .with_hint("All files of a table must have the same partition keys in their paths."));
        }
    }
    Ok(names)
}

fn without(schema: &SchemaRef, names: &[String]) -> SchemaRef {
    let fields: Vec<FieldRef> = schema
        .fields()
        .iter()
        .filter(|field| !names.iter().any(|name| name.eq_ignore_ascii_case(field.name())))
        .cloned()
        .collect();
    Arc::new(Schema::new(fields))
}

fn typed_keys(
    names: &[String],
    files: &[File],
    given: Option<&[(String, Option<DataType>)]>,
) -> Result<Vec<FieldRef>> {
    names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let declared = given.and_then(|given| given.get(index)?.1.clone());
            let data_type = match declared {
                Some(data_type) => data_type,
                None => infer_key(files.iter().filter_map(|file| value_of(file, name))),
            };
            for file in files {
                let text = value_of(file, name);
                partition_value(text, name, &data_type, file.meta.location.as_ref())?;
            }
            Ok(Arc::new(Field::new(name, data_type, true)))
        })
        .collect()
}

fn value_of<'a>(file: &'a File, name: &str) -> Option<&'a str> {
    file.values.iter().find(|(key, _)| key == name)?.1.as_deref()
}

/// Whole numbers, dates, or else strings.
fn infer_key<'a>(values: impl Iterator<Item = &'a str> + Clone) -> DataType {
    let is_date = |text: &str| chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
    if values.clone().next().is_none() {
        DataType::Utf8
    } else if values.clone().all(|text| text.parse::<i32>().is_ok()) {
        DataType::Int32
    } else if values.clone().all(|text| text.parse::<i64>().is_ok()) {
        DataType::Int64
    } else if values.clone().all(is_date) {
        DataType::Date32
    } else {
        DataType::Utf8
    }
}

type FooterStatistics = Vec<Option<boathouse_catalog::FileStatistics>>;

/// The merged schema of Parquet files, and the statistics of each.
async fn footers(
    store: &Arc<dyn ObjectStore>,
    location: &Url,
    files: &[File],
) -> Result<(SchemaRef, Option<FooterStatistics>)> {
    let jobs: Vec<_> = files
        .iter()
        .map(|file| {
            let name = shown(location, &file.meta.location);
            footer(store.clone(), file.meta.clone(), name)
        })
        .collect();
    let mut read = futures::stream::iter(jobs).buffered(FOOTERS_AT_ONCE);
    let mut merged: Option<Merge> = None;
    let mut statistics = Vec::with_capacity(files.len());
    let mut index = 0;
    while let Some((schema, file_statistics)) = read.try_next().await? {
        let path = files[index].meta.location.as_ref();
        match &mut merged {
            None => merged = Some(Merge::new(&schema)),
            Some(merged) => merged.add(&schema, path)?,
        }
        statistics.push(file_statistics);
        index += 1;
    }
    let merged = merged.map_or_else(|| Arc::new(Schema::empty()), Merge::schema);
    Ok((merged, Some(statistics)))
}

/// A file's name as its user writes it.
fn shown(location: &Url, path: &Path) -> String {
    match (location.scheme(), location.host_str()) {
        ("file", _) | (_, None) => format!("/{path}"),
        (scheme, Some(bucket)) => format!("{scheme}://{bucket}/{path}"),
    }
}

async fn footer(
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    name: String,
) -> Result<(SchemaRef, Option<boathouse_catalog::FileStatistics>)> {
    let about = |error: datafusion::common::DataFusionError| {
        let error = Error::from(error);
        match error.kind() {
            ErrorKind::BadData | ErrorKind::InvalidArgument | ErrorKind::Internal => {
                Error::bad_data(format!("\"{name}\" is no readable Parquet file: {error}"))
                    .with_hint("It may be cut short or of another format; remove or replace it.")
            }
            _ => error,
        }
    };
    let parquet =
        DFParquetMetadata::new(store.as_ref(), &meta).with_metadata_size_hint(Some(512 << 10));
    let metadata = parquet.fetch_metadata().await.map_err(about)?;
    let schema = Arc::new(parquet.fetch_schema().await.map_err(about)?);
    let statistics = DFParquetMetadata::statistics_from_parquet_metadata(&metadata, &schema)
        .ok()
        .and_then(|statistics| to_catalog(&statistics, &schema));
    Ok((schema, statistics))
}

/// Schemas of several files as one: columns by name, types widened where nothing is lost.
struct Merge {
    fields: Vec<Field>,
    files: usize,
    seen: Vec<usize>,
}

impl Merge {
    fn new(schema: &Schema) -> Self {
        let fields: Vec<Field> = schema.fields().iter().map(|field| plain(field)).collect();
        Self { seen: vec![1; fields.len()], fields, files: 1 }
    }

    fn add(&mut self, schema: &Schema, path: &str) -> Result<()> {
        self.files += 1;
        for field in schema.fields() {
            let Some(index) = self.fields.iter().position(|known| known.name() == field.name())
            else {
                self.fields.push(plain(field));
                self.seen.push(1);
                continue;
            };
            let known = &self.fields[index];
            let wider = widened(known.data_type(), field.data_type()).ok_or_else(|| {
                Error::bad_data(format!(
                    "column \"{}\" is {} in \"{path}\" and {} in the files before it",
                    field.name(),
                    field.data_type(),
                    known.data_type()
                ))
                .with_hint("Give the columns in CREATE EXTERNAL TABLE, or make two tables.")
            })?;
            let nullable = known.is_nullable() || field.is_nullable();
            self.fields[index] = Field::new(field.name(), wider, nullable);
            self.seen[index] += 1;
        }
        Ok(())
    }

    fn schema(self) -> SchemaRef {
        let fields = self.fields.into_iter().zip(self.seen);
        let fields: Vec<Field> = fields
            .map(|(field, seen)| {
                let everywhere = seen == self.files;
                let nullable = field.is_nullable() || !everywhere;
                field.with_nullable(nullable)
            })
            .collect();
        Arc::new(Schema::new(fields))
    }
}

fn plain(field: &Field) -> Field {
    Field::new(field.name(), field.data_type().clone(), field.is_nullable())
}

fn widened(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Utf8, Utf8View};
    if a == b {
        return Some(a.clone());
    }
    let order: [&[DataType]; 3] =
        [&[Int8, Int16, Int32, Int64], &[Float32, Float64], &[Utf8View, LargeUtf8, Utf8]];
    order.iter().find_map(|order| {
        let rank = |t: &DataType| order.iter().position(|known| known == t);
        Some(order[rank(a)?.max(rank(b)?)].clone())
    })
}

async fn sample(
    store: &Arc<dyn ObjectStore>,
    state: &SessionState,
    files: &[File],
    wanted: &Wanted<'_>,
) -> Result<SchemaRef> {
    if let Some(given) = &wanted.columns {
        return Ok(given.clone());
    }
    let Some(first) = files.first() else { return Ok(Arc::new(Schema::empty())) };
    let compressed = compression(first.meta.location.as_ref());
    let format =
        reader(wanted.format, wanted.parameters, compressed, state.default_table_options())?;
    let metas: Vec<ObjectMeta> = files
        .iter()
        .filter(|file| compression(file.meta.location.as_ref()) == compressed)
        .take(SAMPLED_FILES)
        .map(|file| file.meta.clone())
        .collect();
    let inferred = format.infer_schema(state, store, &metas).await.map_err(|error| {
        let error = Error::from(error);
        match error.kind() {
            ErrorKind::BadData | ErrorKind::InvalidArgument => Error::bad_data(format!(
                "\"{}\" is no readable {}: {error}",
                first.meta.location,
                wanted.format.as_str().to_uppercase()
            )),
            _ => error,
        }
    })?;
    Ok(Arc::new(Schema::new(
        inferred.fields().iter().map(|field| plain(field)).collect::<Vec<_>>(),
    )))
}

/// A value's one text: `07` of an integer key is `7`, so that equal values have equal texts.
fn canonical(text: Option<&str>, key: &Field, path: &str) -> Result<Option<String>> {
    let value = partition_value(text, key.name(), key.data_type(), path)?;
    match value.cast_to(&DataType::Utf8)? {
        ScalarValue::Utf8(text) => Ok(text),
        other => Err(Error::internal(format!("a partition value became {other}"))),
    }
}

/// Whether the folder holds a Delta table.
pub(crate) async fn has_delta_log(stores: &Stores, folder: &Url) -> Result<bool> {
    let log = store_path(folder)?.join("_delta_log");
    let store = stores.store(folder)?;
    Ok(store.list(Some(&log)).try_next().await?.is_some())
}

/// The files of one partition's folder, for partitions that the catalog has no files of: all but
/// hidden and empty ones, and those whose names say another format. A folder that isn't there has
/// none.
pub(super) async fn list_folder(
    stores: &Stores,
    location: &str,
    format: Format,
) -> Result<Vec<DataFile>> {
    let url = absolute(location)?;
    let root = store_root(&url)?;
    let store = stores.store(&url)?;
    for folder in folders(location, &url)? {
        let found = list_visible(store.as_ref(), &folder, &url).await?;
        if found.is_empty() {
            continue;
        }
        let is_other = |meta: &ObjectMeta| {
            by_extension(meta.location.as_ref()).is_some_and(|named| named != format)
        };
        let files = found.into_iter().filter(|meta| !is_other(meta));
        return Ok(files.map(|meta| data_file(&root, meta, None)).collect());
    }
    Ok(Vec::new())
}

/// A folder's visible files that aren't empty, sorted; or the one file that isn't a folder.
async fn list_visible(
    store: &dyn ObjectStore,
    folder: &Path,
    url: &Url,
) -> Result<Vec<ObjectMeta>> {
    let about = |error: object_store::Error| Error::from(error).about(url);
    let listed: Vec<ObjectMeta> = store.list(Some(folder)).try_collect().await.map_err(about)?;
    if listed.is_empty() && !url.path().ends_with('/') {
        return match store.head(folder).await {
            Ok(meta) => Ok(vec![meta]),
            // A local folder, when it's empty, is no file either.
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(_) if url.scheme() == "file" => Ok(Vec::new()),
            Err(error) => Err(about(error)),
        };
    }
    let mut visible: Vec<ObjectMeta> = listed
        .into_iter()
        .filter(|meta| meta.size > 0 && is_visible(&meta.location, folder))
        .collect();
    visible.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(visible)
}

/// What a location may mean. Other tools write an object's key as it is, `%` and all; in a URL of
/// ours it is encoded.
fn folders(location: &str, url: &Url) -> Result<Vec<Path>> {
    let decoded = store_path(url)?;
    let raw = location
        .contains(['%', '#', '?'])
        .then(|| raw_key(location))
        .flatten()
        .filter(|raw| *raw != decoded);
    Ok(raw.into_iter().chain([decoded]).collect())
}

/// The key in a location that isn't encoded.
pub(super) fn raw_key(location: &str) -> Option<Path> {
    let after_scheme = match location.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => location.strip_prefix("file:").unwrap_or(location).strip_prefix('/')?,
    };
    Path::parse(after_scheme).ok()
}

fn data_file(
    root: &Url,
    meta: ObjectMeta,
    statistics: Option<boathouse_catalog::FileStatistics>,
) -> DataFile {
    DataFile {
        path: object_url(root, &meta.location),
        size_bytes: meta.size,
        etag: meta.e_tag,
        modified_at_ms: meta.last_modified.timestamp_millis(),
        statistics,
    }
}

fn group(
    location: &Url,
    files: Vec<File>,
    keys: &[FieldRef],
    statistics: Option<FooterStatistics>,
) -> Result<Vec<Partition>> {
    let root = store_root(location)?;
    let mut statistics = statistics.unwrap_or_default().into_iter();
    let mut partitions: BTreeMap<Vec<Option<String>>, Partition> = BTreeMap::new();
    for file in files {
        let values = keys
            .iter()
            .map(|key| canonical(value_of(&file, key.name()), key, file.meta.location.as_ref()))
            .collect::<Result<Vec<Option<String>>>>()?;
        let data_file = data_file(&root, file.meta, statistics.next().flatten());
        let url = data_file.path.clone();
        let partition = partitions.entry(values.clone()).or_insert_with(|| Partition {
            values,
            location: match keys.is_empty() {
                true => location.to_string(),
                false => {
                    url.rsplit_once('/').map_or(url.clone(), |(folder, _)| format!("{folder}/"))
                }
            },
            parameters: BTreeMap::new(),
            files: Some(Vec::new()),
            details: Default::default(),
        });
        partition.files.get_or_insert_default().push(data_file);
    }
    Ok(partitions.into_values().collect())
}
