//! What a crawl has seen of a store, so that it knows what is gone.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use super::listing::{Folder, Tree};

/// One listing, and what it tells.
pub(super) struct Scope {
    pub(super) url: Url,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) tree: Tree,
    /// The folders that were listed, if not everything was.
    pub(super) listed: Option<Vec<Path>>,
    /// Whether what is missing may be taken as gone.
    pub(super) tells_gone: bool,
}

impl Scope {
    /// The path of a location in this store, if it is in it.
    pub(super) fn path(&self, url: &Url) -> Option<Path> {
        let is_same = url.scheme() == self.url.scheme() && url.host_str() == self.url.host_str();
        is_same.then(|| Path::from_url_path(url.path()).ok()).flatten()
    }

    /// Whether a location was listed, and what is missing may be taken as gone.
    pub(super) fn covers(&self, url: &Url) -> bool {
        let Some(path) = self.path(url).filter(|_| self.tells_gone) else { return false };
        match &self.listed {
            None => path.prefix_matches(&self.tree.base),
            Some(listed) => listed.iter().any(|listed| path.prefix_matches(listed)),
        }
    }

    /// Whether a location was listed and has nothing, in it or below.
    pub(super) fn is_gone(&self, url: &Url) -> bool {
        let is_empty = |folder: &Folder| folder.files + folder.excluded == 0;
        self.covers(url) && self.folder(url).is_none_or(is_empty)
    }

    /// Whether a location was listed and has no files directly in it.
    pub(super) fn has_no_files(&self, url: &Url) -> bool {
        let is_empty = |folder: &Folder| folder.files_here() + folder.excluded_here == 0;
        self.covers(url) && self.folder(url).is_none_or(is_empty)
    }

    fn folder(&self, url: &Url) -> Option<&Folder> {
        self.tree.find(&self.path(url)?)
    }
}
