//! What a crawler is told: where to look and what it may do.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::schedule::Schedule;
use super::{Error, Result};

/// What a crawler looks at and what it may do.
///
/// It is the body of the [`crate::DocumentKind::Crawler`] document of the crawler's name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CrawlerSpec {
    /// Where it looks.
    pub targets: Vec<Target>,
    /// The database of its tables.
    pub database: String,
    /// What the names of its tables start with.
    #[serde(default)]
    pub table_prefix: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// When it runs, in AWS's `cron(…)` text; set by [`CrawlerSpec::set_schedule`].
    #[serde(default)]
    pub schedule: Option<String>,
    /// Whether the schedule is kept.
    #[serde(default)]
    pub is_scheduled: bool,
    /// The names of custom classifiers, in their order.
    #[serde(default)]
    pub classifiers: Vec<String>,
    /// What a crawl after the first looks at.
    #[serde(default)]
    pub recrawl: Recrawl,
    /// What happens when a schema has changed.
    #[serde(default)]
    pub on_change: OnChange,
    /// What happens when a folder is gone.
    #[serde(default)]
    pub on_delete: OnDelete,
    /// Whether a date column may become a timestamp.
    #[serde(default)]
    pub widen_dates: bool,
    /// What the Glue API said beyond all this, in its names and shapes. `Configuration` has a say
    /// in grouping, `EventQueue` is where the messages of [`Recrawl::Events`] are.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

/// A place a crawler looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// A folder or a file, as a URL such as `s3://lake/raw/`.
    pub location: String,
    /// What of it is left out: patterns relative to the location, with `*` within a folder, `**`
    /// across folders, `?`, `[abc]` and `{a,b}`.
    #[serde(default)]
    pub exclusions: Vec<String>,
}

/// What a crawl looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Recrawl {
    /// Everything at the targets.
    #[default]
    Everything,
    /// Only what the catalog doesn't have yet: nothing is changed or deleted.
    NewFoldersOnly,
    /// Only the folders that events of the store name; everything in the first crawl.
    Events,
}

/// What happens when the schema of a table has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OnChange {
    /// Columns are added, and types get wider where nothing is lost.
    #[default]
    Update,
    /// Columns are added, types stay.
    AddColumns,
    /// Nothing; the change is reported.
    Log,
}

/// What happens when the folder of a table or a partition is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OnDelete {
    /// It goes from the catalog.
    Delete,
    /// It gets the parameter `DEPRECATED_BY_CRAWLER`, which says when.
    #[default]
    Deprecate,
    /// Nothing; it is reported.
    Log,
}

/// Opens object stores.
pub trait Stores: Send + Sync {
    /// The store that holds `url`, rooted at the bucket or the file system's root, and the path of
    /// `url` in it.
    fn open(&self, url: &Url) -> Result<(Arc<dyn ObjectStore>, Path)>;
}

impl CrawlerSpec {
    /// Takes a schedule, which is kept from then on. An empty one is none.
    pub fn set_schedule(&mut self, schedule: &str) -> Result<()> {
        let is_given = !schedule.is_empty();
        if is_given {
            Schedule::parse(schedule)?;
        }
        self.schedule = is_given.then(|| schedule.to_owned());
        self.is_scheduled = is_given;
        Ok(())
    }

    /// The last time at or before `now` at which it should have run, if its schedule is kept.
    pub fn last_due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let schedule = self.schedule.as_deref().filter(|_| self.is_scheduled)?;
        Schedule::parse(schedule).ok()?.last_before(now)
    }

    /// Whether sibling folders of compatible schemas are one table whatever their names.
    pub(super) fn combines(&self) -> bool {
        let configuration = match self.details.get("Configuration") {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            Some(other) => other.clone(),
            None => Value::Null,
        };
        let grouping = &configuration["Grouping"];
        let policy = grouping.get("TableGroupingPolicy").unwrap_or(grouping);
        policy.as_str() == Some("CombineCompatibleSchemas")
    }

    /// Where the messages of events are.
    pub(super) fn event_queue(&self) -> Result<Url> {
        let queue = self.details.get("EventQueue").and_then(Value::as_str).ok_or_else(|| {
            Error::Invalid("a crawler of events needs an EventQueue, the URL of a folder".into())
        })?;
        folder(queue)
    }
}

/// The URL of a folder, with the slash at its end.
pub(super) fn folder(location: &str) -> Result<Url> {
    let location = location.replacen("s3a://", "s3://", 1);
    let mut url = Url::parse(&location)
        .map_err(|error| Error::Invalid(format!("\"{location}\" is no location: {error}")))?;
    if url.cannot_be_a_base() {
        return Err(Error::Invalid(format!("\"{location}\" is no location of files")));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// The URL of a path in the store that holds `of`.
pub(super) fn url_of(of: &Url, path: &Path) -> Url {
    let mut url = of.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path("");
    // Segment by segment: a path's text is not percent-encoded as a URL's is.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().extend(path.parts().map(|part| part.as_ref().to_owned()));
    }
    url
}

/// The URL of a folder in the store that holds `of`, with the slash at its end.
pub(super) fn folder_url_of(of: &Url, path: &Path) -> Url {
    let mut url = url_of(of, path);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// A location in the one form in which two of the same place are equal.
pub(super) fn normal(location: &str) -> String {
    location.replacen("s3a://", "s3://", 1).trim_end_matches('/').to_owned()
}
