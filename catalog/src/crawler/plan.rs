//! A crawl's plan: what would change in the catalog, and why.

use std::fmt::Write as _;
use std::sync::Arc;

use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use serde::{Deserialize, Serialize};

use super::Result;
use super::notes::Note;
use crate::{Catalog, Change, TableName, Update};

/// What a crawl would change, and why. Making one changes nothing.
pub struct CrawlPlan {
    /// The changes, at most one a table, sorted by table.
    pub steps: Vec<Step>,
    /// Schemas that are not what the catalog says.
    pub drift: Vec<Drift>,
    /// Why folders are tables or not, and what was left out.
    pub notes: Vec<Note>,
    /// How much was looked at and found.
    pub counts: Counts,
    /// Messages that are done with once the plan is applied.
    pub(super) messages: Option<Messages>,
}

/// One change of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The table.
    pub table: TableName,
    /// What happens to it.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// The change itself.
    pub change: Change,
}

/// What happens to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// It is made.
    Create,
    /// Its definition changes, and perhaps its partitions.
    Update,
    /// It gets partitions, and perhaps loses some.
    AddPartitions,
    /// It loses partitions, or these are marked as gone.
    RemovePartitions,
    /// It is dropped.
    Delete,
    /// It is marked as gone.
    Deprecate,
}

impl Action {
    /// The word for it, as in `create`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::AddPartitions => "add partitions to",
            Self::RemovePartitions => "remove partitions of",
            Self::Delete => "delete",
            Self::Deprecate => "deprecate",
        }
    }
}

/// A column that is found to be another than the catalog's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Drift {
    /// The table.
    pub table: TableName,
    /// The column.
    pub column: String,
    /// Where it was found.
    pub location: String,
    /// The type that it has in the catalog; empty if it isn't there.
    pub kept: String,
    /// The type that was found; empty if it is gone.
    pub found: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

/// What becomes of a [`Drift`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The column gets a type that holds both.
    Widened,
    /// The column is new, and added.
    Added,
    /// The column is gone from the table's own metadata, and removed.
    Removed,
    /// Nothing, for that is the crawler's policy.
    Logged,
    /// Nothing, since no type holds both.
    Quarantined,
    /// Nothing, since a person has said what the column is.
    Pinned,
}

impl Outcome {
    /// The word for it, as in `widened`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Widened => "widened",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Logged => "logged",
            Self::Quarantined => "quarantined",
            Self::Pinned => "pinned",
        }
    }
}

/// How much a crawl looked at and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Objects that were listed.
    pub objects: u64,
    /// Folders they are in.
    pub folders: u64,
    /// Listings that were started; a store may need a request for each page of one.
    pub listings: u64,
    /// Files that were sampled.
    pub files_sampled: u64,
    /// Bytes that were read of them.
    pub bytes_sampled: u64,
    /// Messages of events that were read.
    pub messages: u64,
    /// Tables that were found.
    pub tables_found: u64,
    /// Tables that are made.
    pub created: u64,
    /// Tables that change.
    pub updated: u64,
    /// Tables that are deleted or deprecated.
    pub deleted: u64,
    /// Partitions that are added to tables, those of new tables included.
    pub partitions_added: u64,
    /// Partitions that are removed or deprecated.
    pub partitions_removed: u64,
}

/// How far a crawl is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// The target, if it is about one.
    pub location: String,
    /// Objects that were listed so far.
    pub objects: u64,
    /// Tables that were found so far.
    pub tables: u64,
}

/// What a crawl is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// A target is listed.
    Listing,
    /// Files are sampled.
    Sampling,
    /// What was found is compared with the catalog.
    Comparing,
    /// The changes are written.
    Applying,
}

/// A line for people who wait.
impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { phase, location, objects, tables } = self;
        match phase {
            Phase::Listing => write!(f, "listing {location}: {objects} objects"),
            Phase::Sampling => write!(f, "sampling files in {location}: {objects} objects listed"),
            Phase::Comparing => write!(f, "comparing {tables} tables with the catalog"),
            Phase::Applying => write!(f, "changing the catalog: {tables} tables found"),
        }
    }
}

/// Messages in a queue's folder.
pub(super) struct Messages {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) paths: Vec<Path>,
}

impl CrawlPlan {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Makes all changes in one transaction, or none of them; then deletes the messages that led
    /// to them.
    pub async fn apply(&self, catalog: &Catalog) -> Result<Update<()>> {
        if !self.is_empty() {
            let changes: Vec<Change> = self.steps.iter().map(|step| step.change.clone()).collect();
            if let Update::Conflict { expected, found } = catalog.apply(&changes).await? {
                return Ok(Update::Conflict { expected, found });
            }
        }
        if let Some(messages) = &self.messages {
            messages.delete().await;
        }
        Ok(Update::Done(()))
    }

    /// The plan for people: a line for each change, then what drifted, then the notes.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let _ = writeln!(text, "{} {}: {}", step.action.as_str(), step.table, step.reason);
        }
        if self.is_empty() {
            text.push_str("nothing changes\n");
        }
        for drift in &self.drift {
            let _ = writeln!(text, "{drift}");
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {}: {}", note.location, note.text);
        }
        text
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |name: &str| if name.is_empty() { "nothing".to_owned() } else { name.to_owned() };
        write!(
            f,
            "drift: {}.{} is {}, found {} in {}: {} ({})",
            self.table,
            self.column,
            of(&self.kept),
            of(&self.found),
            self.location,
            self.outcome.as_str(),
            self.reason
        )
    }
}

impl Messages {
    /// Deletes the messages. One that stays is read again, which does no harm.
    async fn delete(&self) {
        let deletions = self.paths.iter().map(|path| async move {
            if let Err(error) = self.store.delete(path).await {
                tracing::warn!(%path, %error, "could not delete the message of an event");
            }
        });
        let deletions: Vec<_> = deletions.collect();
        futures::stream::iter(deletions).buffer_unordered(16).collect::<Vec<()>>().await;
    }
}

impl Counts {
    pub(super) fn count(&mut self, steps: &[Step]) {
        for step in steps {
            match &step.change {
                Change::Create { partitions, .. } => {
                    self.created += 1;
                    self.partitions_added += partitions.len() as u64;
                }
                Change::Update { .. } if step.action == Action::Deprecate => self.deleted += 1,
                Change::Update { .. } => self.updated += 1,
                Change::Drop { .. } => self.deleted += 1,
            }
        }
    }
}
