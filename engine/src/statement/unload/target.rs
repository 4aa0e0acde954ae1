//! Where UNLOAD's files go: their names, and what is there already.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use url::Url;

use super::options::Existing;
use crate::engine::Shared;
use crate::stores::{folder_url, location_url, object_url, store_path, store_root};
use crate::{Error, ErrorKind, Result};

/// Where the lake keeps the tables that are its own.
const MANAGED: &str = "curated/";
/// Hive's name for the partition of NULL.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A folder, or what the names of its files begin with.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) store: Arc<dyn ObjectStore>,
    url: Url,
    base: Path,
    is_folder: bool,
}

impl Target {
    /// `in_folders` is whether files go into folders of their partition.
    pub(super) fn new(shared: &Shared, location: &str, in_folders: bool) -> Result<Self> {
        let mut url = location_url(location)?;
        if in_folders {
            url = folder_url(url);
        }
        let store = shared.stores.store(&url)?;
        let base = store_path(&url)?;
        let target = Self { is_folder: url.path().ends_with('/'), store, url, base };
        target.check_lake(shared)?;
        Ok(target)
    }

    fn check_lake(&self, shared: &Shared) -> Result<()> {
        let managed = shared
            .lake
            .join(MANAGED)
            .map_err(|error| Error::internal(format!("the lake's tables: {error}")))?;
        if !self.url.as_str().starts_with(managed.as_str()) {
            return Ok(());
        }
        Err(Error::invalid(format!("\"{}\" is where the lake's own tables are", self.url))
            .with_hint("Unload to another folder, or use CREATE TABLE … AS SELECT."))
    }

    /// The path of a file: `KEY=VALUE/…/NAME` within the folder, or the prefix followed by it.
    pub(super) fn path(&self, name: &str) -> Result<Path> {
        let base = match (self.is_folder, self.base.as_ref()) {
            (_, "") => String::new(),
            (true, base) => format!("{base}/"),
            (false, base) => base.to_owned(),
        };
        Path::parse(format!("{base}{name}"))
            .map_err(|error| Error::invalid(format!("a file of UNLOAD: {error}")))
    }

    pub(super) fn url(&self, path: &Path) -> Result<String> {
        Ok(object_url(&store_root(&self.url)?, path))
    }

    /// What is there, and may be as `existing` says.
    pub(super) async fn check(&self, shared: &Shared, existing: Existing) -> Result<Vec<Path>> {
        match existing {
            Existing::Overwrite => Ok(Vec::new()),
            Existing::Refuse => match self.existing().next().await.transpose()? {
                None => Ok(Vec::new()),
                Some(first) => Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!("\"{}\" is not empty: there is \"{first}\"", self.shown()),
                )
                .with_hint(
                    "Choose another place; or add CLEANPATH to remove what is there, or \
                     ALLOWOVERWRITE to write beside it.",
                )),
            },
            Existing::Clean => self.cleanable(shared).await,
        }
    }

    async fn cleanable(&self, shared: &Shared) -> Result<Vec<Path>> {
        let refused = |why: &str| {
            Err(Error::invalid(format!("CLEANPATH of \"{}\", {why}", self.shown()))
                .with_hint("Choose a folder that holds nothing but unloaded files."))
        };
        if self.base.as_ref().is_empty() {
            return refused("which is all of a store");
        }
        if shared.lake.as_str().starts_with(self.url.as_str()) {
            return refused("which holds the lake");
        }
        let found: Vec<Path> = self.existing().try_collect().await?;
        let is_log = |path: &Path| path.parts().any(|part| part.as_ref() == "_delta_log");
        if found.iter().any(is_log) {
            return refused("which holds a Delta table");
        }
        Ok(found)
    }

    fn existing(&self) -> futures::stream::BoxStream<'_, Result<Path>> {
        let parts: Vec<_> = self.base.parts().collect();
        let parent = Path::from_iter(parts.iter().take(parts.len().saturating_sub(1)).cloned());
        let about = |error: object_store::Error| Error::from(error).about(&self.url);
        let folder = if self.is_folder { self.base.clone() } else { parent };
        // A listing is by folder; of keys that begin alike it's the part from the first of them.
        let listed = match self.is_folder {
            true => self.store.list(Some(&folder)),
            false => self.store.list_with_offset(Some(&folder), &self.base),
        };
        let prefix = self.base.to_string();
        listed
            .map_err(about)
            .map_ok(|meta| meta.location)
            .try_filter(move |path| std::future::ready(path.as_ref().starts_with(&prefix)))
            .boxed()
    }

    /// Removes files that were there before and are none of the new ones.
    pub(super) async fn remove(&self, old: Vec<Path>, new: &[Path]) -> Result<()> {
        let new: HashSet<&Path> = new.iter().collect();
        for path in old.iter().filter(|path| !new.contains(path)) {
            match self.store.delete(path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(Error::from(error).about(&self.url)),
            }
        }
        Ok(())
    }

    pub(super) fn shown(&self) -> String {
        match self.url.to_file_path() {
            Ok(path) => path.display().to_string(),
            Err(()) => self.url.to_string(),
        }
    }
}

/// `key=value/` for each key, as Hive writes it.
pub(super) fn partition_folders(keys: &[String], values: &[Option<String>]) -> String {
    let folder = |(key, value): (&String, &Option<String>)| {
        let value = value.as_deref().map_or_else(|| HIVE_NULL.to_owned(), encoded);
        format!("{}={value}/", encoded(key))
    };
    keys.iter().zip(values).map(folder).collect()
}

/// Without characters that a path can't hold, or that have a meaning in one.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b' ');
        match is_plain {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
