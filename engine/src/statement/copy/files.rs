//! The files that COPY loads: found at a location or named by a manifest, each with its identity.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use boathouse_catalog::Format;
use datafusion::common::ScalarValue;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use crate::scan::{by_extension, is_visible, list_pattern, partition_value, path_values};
use crate::stores::{Stores, folder_url, location_url, object_url, store_path, store_root};
use crate::{Error, ErrorKind, Result};

/// Files that one statement loads.
const FILES_MAX: usize = 100_000;
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// Requests about the entries of a manifest that are on their way at once.
const ENTRIES_AT_ONCE: usize = 16;

/// A file to load.
pub(super) struct LoadFile {
    url: String,
    pub(super) meta: ObjectMeta,
    /// Of the keys in its path, each of its column's type.
    pub(super) values: Vec<ScalarValue>,
}

impl LoadFile {
    /// As its user writes it.
    pub(super) fn shown(&self) -> String {
        match self.url.starts_with("file:") {
            true => format!("/{}", self.meta.location),
            false => self.url.clone(),
        }
    }

    /// What a table's log keeps of it once it's loaded: another file at the same place, or a newer
    /// version of this one, has another.
    pub(super) fn identity(&self) -> String {
        let version = match &self.meta.e_tag {
            Some(tag) => tag.clone(),
            None => format!("{}-{}", self.meta.size, self.meta.last_modified.timestamp_micros()),
        };
        let digest = Sha256::digest(format!("{}\n{version}", self.url));
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{IDENTITY_PREFIX}{hex}")
    }
}

/// What the identities of loaded files begin with.
pub(super) const IDENTITY_PREFIX: &str = "copy:";

/// The files of a statement.
pub(super) struct Files {
    /// Keys in paths count from here on.
    pub(super) base: Url,
    pub(super) metas: Vec<ObjectMeta>,
    pub(super) format: Format,
}

/// Finds the files at a location: a file, a folder, a pattern, or all keys that begin so.
pub(super) async fn find(stores: &Stores, location: &str, format: Option<Format>) -> Result<Files> {
    let url = location_url(location)?;
    let store = stores.store(&url)?;
    let (base, metas) =
        list(store.as_ref(), &url, location).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => nothing_there(location),
            _ => error,
        })?;
    chosen(base, metas, format, location)
}

/// The files that a manifest names.
pub(super) async fn of_manifest(
    stores: &Stores,
    location: &str,
    format: Option<Format>,
) -> Result<Files> {
    let url = location_url(location)?;
    let store = stores.store(&url)?;
    let manifest = read_manifest(store.as_ref(), &url).await?;
    let base = store_root(&url)?;
    let entries = manifest.entries.into_iter().map(|entry| {
        let (store, base) = (store.clone(), base.clone());
        async move { entry_file(store.as_ref(), &base, &entry).await }
    });
    let metas: Vec<Option<ObjectMeta>> =
        stream::iter(entries).buffered(ENTRIES_AT_ONCE).try_collect().await?;
    chosen(base, metas.into_iter().flatten().collect(), format, location)
}

fn chosen(
    base: Url,
    mut metas: Vec<ObjectMeta>,
    format: Option<Format>,
    location: &str,
) -> Result<Files> {
    let named = || metas.iter().find_map(|meta| by_extension(meta.location.as_ref()));
    let format = format.or_else(named).unwrap_or(Format::Csv);
    metas.retain(|meta| by_extension(meta.location.as_ref()).is_none_or(|known| known == format));
    metas.sort_by(|a, b| a.location.cmp(&b.location));
    metas.dedup_by(|a, b| a.location == b.location);
    if metas.is_empty() {
        return Err(nothing_there(location));
    }
    if metas.len() > FILES_MAX {
        return Err(Error::new(
            ErrorKind::ResourcesExhausted,
            format!("\"{location}\" has {} files, and {FILES_MAX} are loaded at once", metas.len()),
        )
        .with_hint("Load a part at a time, with a longer prefix or a manifest."));
    }
    Ok(Files { base, metas, format })
}

fn nothing_there(location: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no file to load at \"{location}\""))
        .with_hint(
            "Check the path. Empty files, files of another format and those whose name begins \
             with '_' or '.' are left out.",
        )
        .with_word(location)
}

async fn list(
    store: &dyn ObjectStore,
    url: &Url,
    location: &str,
) -> Result<(Url, Vec<ObjectMeta>)> {
    if url.path().contains(['*', '?', '[']) || url.path().contains("%3F") {
        return list_pattern(store, url, |_| nothing_there(location)).await;
    }
    let path = store_path(url)?;
    if !url.path().ends_with('/') {
        match store.head(&path).await {
            Ok(meta) => return Ok((url.clone(), vec![meta])),
            Err(object_store::Error::NotFound { .. }) => {}
            // A local folder without a trailing slash.
            Err(_) if url.scheme() == "file" => {}
            Err(error) => return Err(Error::from(error).about(url)),
        }
    }
    let about = |error: object_store::Error| Error::from(error).about(url);
    let folder: Vec<ObjectMeta> =
        visible(store.list(Some(&path)).map_err(about), &path).try_collect().await?;
    if !folder.is_empty() || url.path().ends_with('/') {
        return Ok((folder_url(url.clone()), folder));
    }
    list_keys(store, url, &path).await
}

/// The files whose keys begin with the location's text.
async fn list_keys(
    store: &dyn ObjectStore,
    url: &Url,
    prefix: &Path,
) -> Result<(Url, Vec<ObjectMeta>)> {
    let parts: Vec<_> = prefix.parts().collect();
    let parent = Path::from_iter(parts.iter().take(parts.len().saturating_sub(1)).cloned());
    let text = prefix.to_string();
    // Keys come in order from S3, so that a listing begins and ends at the prefix.
    let is_sorted = url.scheme() != "file";
    let about = |error: object_store::Error| Error::from(error).about(url);
    let listed = store.list_with_offset(Some(&parent), prefix).map_err(about);
    let listed = listed.try_take_while(|meta| {
        let is_past = is_sorted && !meta.location.as_ref().starts_with(&text);
        std::future::ready(Ok(!is_past))
    });
    let metas: Vec<ObjectMeta> = visible(listed, &parent)
        .try_filter(|meta| std::future::ready(meta.location.as_ref().starts_with(&text)))
        .try_collect()
        .await?;
    let root = store_root(url)?;
    let base = Url::parse(&object_url(&root, &parent)).unwrap_or(root);
    Ok((folder_url(base), metas))
}

/// Without hidden files, empty ones, and manifests.
fn visible<'a>(
    listed: impl stream::Stream<Item = Result<ObjectMeta>> + Send + 'a,
    base: &Path,
) -> impl stream::Stream<Item = Result<ObjectMeta>> + Send + 'a {
    let base = base.clone();
    listed.try_filter(move |meta| {
        let name = meta.location.filename().unwrap_or_default();
        let is_data = meta.size > 0 && is_visible(&meta.location, &base);
        std::future::ready(is_data && !name.ends_with("manifest"))
    })
}

/// A list of files, as UNLOAD writes it.
#[derive(Deserialize)]
struct Manifest {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    url: String,
    /// Whether it's an error that it isn't there.
    #[serde(default = "yes")]
    mandatory: bool,
    #[serde(default)]
    meta: EntryMeta,
}

#[derive(Default, Deserialize)]
struct EntryMeta {
    content_length: Option<u64>,
}

fn yes() -> bool {
    true
}

async fn read_manifest(store: &dyn ObjectStore, url: &Url) -> Result<Manifest> {
    let shown = match url.to_file_path() {
        Ok(path) => path.display().to_string(),
        Err(()) => url.to_string(),
    };
    let about =
        |error: object_store::Error| Error::from(error).about(format!("manifest \"{shown}\""));
    let found = store.get(&store_path(url)?).await.map_err(about)?;
    if found.meta.size > MANIFEST_BYTES_MAX {
        return Err(Error::bad_data(format!(
            "manifest \"{shown}\" has {} bytes, and at most {MANIFEST_BYTES_MAX} are read",
            found.meta.size
        )));
    }
    let bytes = found.bytes().await.map_err(about)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::bad_data(format!("\"{shown}\" is no manifest: {error}"))
            .with_hint("A manifest is JSON: {\"entries\": [{\"url\": \"s3://bucket/key\"}, …]}.")
    })
}

async fn entry_file(
    store: &dyn ObjectStore,
    base: &Url,
    entry: &Entry,
) -> Result<Option<ObjectMeta>> {
    let url = location_url(&entry.url)?;
    if store_root(&url)? != *base {
        return Err(Error::unsupported(format!(
            "the manifest's entry \"{}\", which is in another bucket than the manifest",
            entry.url
        ))
        .with_hint("Keep a manifest in the bucket of its files."));
    }
    let about = |error: Error| error.about("a file of the manifest");
    let meta = match store.head(&store_path(&url)?).await {
        Ok(meta) => meta,
        Err(object_store::Error::NotFound { .. }) if !entry.mandatory => return Ok(None),
        Err(error) => return Err(about(error.into())),
    };
    match entry.meta.content_length {
        Some(length) if length != meta.size => Err(Error::bad_data(format!(
            "\"{}\" has {} bytes, and the manifest says {length}",
            entry.url, meta.size
        ))
        .with_hint("Was the file replaced since the manifest was written?")),
        _ => Ok(Some(meta)),
    }
}

impl Files {
    /// The columns of `wanted` whose values are in the files' paths.
    pub(super) fn keys(&self, wanted: &Schema) -> Result<Vec<FieldRef>> {
        let Some(first) = self.metas.first() else { return Ok(Vec::new()) };
        let found = path_values(&first.location, &store_path(&self.base)?);
        let column = |name: &str| {
            wanted.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name)).cloned()
        };
        Ok(found.iter().filter_map(|(name, _)| column(name)).collect())
    }

    /// The files one by one, each with the values of `keys`.
    pub(super) fn load_files(&self, keys: &[FieldRef]) -> Result<Vec<Arc<LoadFile>>> {
        let root = store_root(&self.base)?;
        let base = store_path(&self.base)?;
        let files = self.metas.iter().map(|meta| {
            let url = object_url(&root, &meta.location);
            let found = path_values(&meta.location, &base);
            let values = keys
                .iter()
                .map(|key| key_value(key, &found, meta.location.as_ref()))
                .collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(LoadFile { url, meta: meta.clone(), values }))
        });
        files.collect()
    }
}

fn key_value(
    key: &FieldRef,
    found: &[(String, Option<String>)],
    path: &str,
) -> Result<ScalarValue> {
    let value = found.iter().find(|(name, _)| name.eq_ignore_ascii_case(key.name()));
    let Some((_, text)) = value else {
        let name = key.name();
        return Err(Error::bad_data(format!(
            "\"{path}\" is not in a folder {name}=…, as others are"
        ))
        .with_hint("All files must have the same keys in their paths."));
    };
    partition_value(text.as_deref(), key.name(), key.data_type(), path)
}
