//! Runs of crawlers, and the record of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::notes::Note;
use super::plan::{Action, Counts, CrawlPlan, Drift, Phase, Progress};
use super::scan::plan;
use super::spec::{CrawlerSpec, Stores};
use super::{Error, Result};
use crate::catalog::now_ms;
use crate::{Catalog, DocumentKind, TableName, Update, chain};

/// The document that says which crawl of a crawler runs.
const RUNNING: &str = "running";
/// How often a crawl says that it still runs.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a crawl may be silent before it is taken as dead.
const STALE_MS: i64 = 5 * 60 * 1000;
/// How often a plan is made anew because others changed the same tables.
const ATTEMPTS: usize = 5;
/// How many crawls of a crawler are kept.
const KEPT: usize = 100;
/// How many changes, drifts and notes are kept of each crawl.
const LISTED_MAX: usize = 1000;

/// One run of a crawler.
///
/// It is the body of a [`DocumentKind::Crawl`] document whose parent is the crawler's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crawl {
    /// Its id; ids sort by the time of the start.
    pub id: String,
    /// The crawler's name.
    pub crawler: String,
    /// How far it is, or how it ended.
    pub state: CrawlState,
    /// When it started, in milliseconds since 1970 (UTC).
    pub started_at_ms: i64,
    /// When it last said that it runs.
    pub heartbeat_at_ms: i64,
    /// When it ended.
    #[serde(default)]
    pub ended_at_ms: Option<i64>,
    /// How much it looked at and changed.
    #[serde(default)]
    pub counts: Counts,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// What it changed.
    #[serde(default)]
    pub changes: Listed<ChangeRecord>,
    /// Which schemas were not what the catalog said.
    #[serde(default)]
    pub drift: Listed<Drift>,
    /// Why folders are tables or not.
    #[serde(default)]
    pub notes: Listed<Note>,
}

/// How far a crawl is, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CrawlState {
    /// It goes on.
    Running,
    /// It changed what its plan said.
    Completed,
    /// It changed nothing.
    Failed,
    /// It was stopped, and changed nothing.
    Stopped,
}

impl CrawlState {
    /// The word for it, as in `completed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// The first of some records, and how many there are more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed<T> {
    /// The first records.
    pub first: Vec<T>,
    /// How many more there were.
    pub more: u64,
}

/// A change that was made, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// The table.
    pub table: TableName,
    /// What happened to it.
    pub action: Action,
    /// Why.
    pub reason: String,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { first: Vec::new(), more: 0 }
    }
}

impl<T: Clone> Listed<T> {
    fn of(all: &[T]) -> Self {
        let first: Vec<T> = all.iter().take(LISTED_MAX).cloned().collect();
        Self { more: (all.len() - first.len()) as u64, first }
    }
}

/// Plans a crawl, applies the plan and records both.
///
/// A crawl that fails or is stopped is recorded and returned as such; it has changed nothing. An
/// error is what keeps it from starting or from being recorded. It stops when `stop` turns true, or
/// when the future is dropped; then it counts as running until its last heartbeat is stale.
pub async fn run(
    catalog: &Catalog,
    stores: &dyn Stores,
    name: &str,
    spec: &CrawlerSpec,
    stop: watch::Receiver<bool>,
    progress: &(dyn Fn(&Progress) + Send + Sync),
) -> Result<Crawl> {
    let mut record = Record::start(catalog, name).await?;
    let outcome = record.attempts(stores, spec, stop, progress).await;
    match outcome {
        Ok(Some(plan)) => record.completed(&plan),
        Ok(None) => record.crawl.state = CrawlState::Stopped,
        Err(error) => {
            record.crawl.state = CrawlState::Failed;
            record.crawl.error = Some(chain(&error));
        }
    }
    record.end().await
}

/// The crawls of a crawler or of all there are, newest first.
///
/// One whose process has died is shown as failed.
pub async fn crawls(catalog: &Catalog, crawler: Option<&str>) -> Result<Vec<Crawl>> {
    let crawlers = match crawler {
        Some(crawler) => vec![crawler.to_owned()],
        None => catalog.document_parents(DocumentKind::Crawl).await?,
    };
    let mut crawls = Vec::new();
    for crawler in crawlers {
        let documents = catalog.documents(DocumentKind::Crawl, &crawler).await?;
        let documents = documents.into_iter().filter(|document| document.name != RUNNING);
        crawls.extend(documents.filter_map(|document| {
            serde_json::from_value::<Crawl>(document.body).ok().map(Crawl::aged)
        }));
    }
    crawls.sort_by(|a, b| (&b.id, &b.crawler).cmp(&(&a.id, &a.crawler)));
    Ok(crawls)
}

/// Deletes a crawler with the record of its crawls; says whether it was there.
pub async fn delete(catalog: &Catalog, crawler: &str) -> Result<bool> {
    let was_there = catalog.delete_document(DocumentKind::Crawler, "", crawler).await?;
    for crawl in catalog.documents(DocumentKind::Crawl, crawler).await? {
        catalog.delete_document(DocumentKind::Crawl, crawler, &crawl.name).await?;
    }
    Ok(was_there)
}

/// Whether no crawl of a crawler has been completed yet.
pub(super) async fn is_first(catalog: &Catalog, crawler: &str) -> Result<bool> {
    let crawls = crawls(catalog, Some(crawler)).await?;
    Ok(!crawls.iter().any(|crawl| crawl.state == CrawlState::Completed))
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could stop it.
        std::future::pending::<()>().await;
    }
}

/// The record of a crawl that runs.
struct Record<'a> {
    catalog: &'a Catalog,
    crawl: Crawl,
    /// The version of its document.
    version: u64,
}

impl<'a> Record<'a> {
    /// Records that a crawl runs, unless another does.
    async fn start(catalog: &'a Catalog, crawler: &str) -> Result<Self> {
        let now = now_ms();
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let crawl = Crawl {
            id: format!("{now:015}-{}", &unique[..8]),
            crawler: crawler.to_owned(),
            state: CrawlState::Running,
            started_at_ms: now,
            heartbeat_at_ms: now,
            ended_at_ms: None,
            counts: Counts::default(),
            error: None,
            changes: Listed::default(),
            drift: Listed::default(),
            notes: Listed::default(),
        };
        let body = body(&crawl)?;
        catalog.create_document(DocumentKind::Crawl, crawler, &crawl.id, &body).await?;
        let record = Self { catalog, crawl, version: 1 };
        if record.take_turn().await? {
            return Ok(record);
        }
        catalog.delete_document(DocumentKind::Crawl, crawler, &record.crawl.id).await?;
        Err(Error::AlreadyRunning(crawler.to_owned()))
    }

    /// Makes this the crawl that runs, if none does.
    async fn take_turn(&self) -> Result<bool> {
        let (catalog, crawler) = (self.catalog, self.crawl.crawler.as_str());
        let id = serde_json::json!(self.crawl.id);
        if catalog.create_document(DocumentKind::Crawl, crawler, RUNNING, &id).await? {
            return Ok(true);
        }
        let Some(turn) = catalog.document(DocumentKind::Crawl, crawler, RUNNING).await? else {
            return Ok(false);
        };
        let other = turn.body.as_str().unwrap_or_default();
        let other = catalog.document(DocumentKind::Crawl, crawler, other).await?;
        if let Some(other) = other {
            let Ok(crawl) = serde_json::from_value::<Crawl>(other.body) else { return Ok(false) };
            if crawl.state == CrawlState::Running && !crawl.is_stale() {
                return Ok(false);
            }
            // Its end is recorded, so that it stops if it was only asleep.
            let ended = body(&crawl.aged())?;
            let (name, version) = (other.name.as_str(), other.version);
            let kind = DocumentKind::Crawl;
            if !catalog.replace_document(kind, crawler, name, version, &ended).await? {
                return Ok(false);
            }
        }
        let kind = DocumentKind::Crawl;
        Ok(catalog.replace_document(kind, crawler, RUNNING, turn.version, &id).await?)
    }

    /// Plans and applies until nobody interferes; `None` if it was stopped. A plan that is being
    /// applied is not stopped, so that what is recorded is what was done.
    async fn attempts(
        &mut self,
        stores: &dyn Stores,
        spec: &CrawlerSpec,
        mut stop: watch::Receiver<bool>,
        progress: &(dyn Fn(&Progress) + Send + Sync),
    ) -> Result<Option<CrawlPlan>> {
        let catalog = self.catalog;
        let name = self.crawl.crawler.clone();
        for _ in 0..ATTEMPTS {
            let plan = tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(None),
                error = self.beat() => return Err(error),
                plan = plan(catalog, stores, &name, spec, progress) => plan?,
            };
            progress(&Progress {
                phase: Phase::Applying,
                location: String::new(),
                objects: plan.counts.objects,
                tables: plan.counts.tables_found,
            });
            match plan.apply(catalog).await {
                Ok(Update::Done(())) => return Ok(Some(plan)),
                Ok(Update::Conflict { .. }) => {}
                // Somebody has made or dropped a table of the plan.
                Err(Error::Catalog(
                    crate::Error::AlreadyExists { .. } | crate::Error::NotFound { .. },
                )) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Invalid(format!(
            "the tables of crawler \"{name}\" were changed by others {ATTEMPTS} times meanwhile"
        )))
    }

    /// Says again and again that the crawl runs; ends only with why it must not.
    async fn beat(&mut self) -> Error {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            self.crawl.heartbeat_at_ms = now_ms();
            match self.save().await {
                Ok(true) => {}
                Ok(false) => {
                    return Error::Invalid("another crawl took over, since this was silent".into());
                }
                // The store may be back at the next beat.
                Err(error) if self.crawl.is_stale() => return error,
                Err(_) => {}
            }
        }
    }

    /// Writes the record; says whether it was still this crawl's.
    async fn save(&mut self) -> Result<bool> {
        let body = body(&self.crawl)?;
        let (kind, crawl) = (DocumentKind::Crawl, &self.crawl);
        let replaced = self
            .catalog
            .replace_document(kind, &crawl.crawler, &crawl.id, self.version, &body)
            .await?;
        self.version += u64::from(replaced);
        Ok(replaced)
    }

    fn completed(&mut self, plan: &CrawlPlan) {
        let changes: Vec<ChangeRecord> = plan
            .steps
            .iter()
            .map(|step| ChangeRecord {
                table: step.table.clone(),
                action: step.action,
                reason: step.reason.clone(),
            })
            .collect();
        self.crawl.state = CrawlState::Completed;
        self.crawl.counts = plan.counts;
        self.crawl.changes = Listed::of(&changes);
        self.crawl.drift = Listed::of(&plan.drift);
        self.crawl.notes = Listed::of(&plan.notes);
    }

    /// Records the end and gives the turn back.
    async fn end(mut self) -> Result<Crawl> {
        let now = now_ms();
        self.crawl.heartbeat_at_ms = now;
        self.crawl.ended_at_ms = Some(now);
        // A beat may have been written just when it was dropped.
        let document =
            self.catalog.document(DocumentKind::Crawl, &self.crawl.crawler, &self.crawl.id).await?;
        if let Some(document) = document {
            self.version = document.version;
        }
        self.save().await?;
        let crawler = self.crawl.crawler.clone();
        let turn = self.catalog.document(DocumentKind::Crawl, &crawler, RUNNING).await?;
        if turn.is_some_and(|turn| turn.body.as_str() == Some(self.crawl.id.as_str())) {
            self.catalog.delete_document(DocumentKind::Crawl, &crawler, RUNNING).await?;
        }
        forget_oldest(self.catalog, &crawler).await?;
        Ok(self.crawl)
    }
}

impl Crawl {
    fn is_stale(&self) -> bool {
        now_ms() - self.heartbeat_at_ms > STALE_MS
    }

    /// As it is: failed if it says that it runs but is silent.
    fn aged(mut self) -> Self {
        if self.state == CrawlState::Running && self.is_stale() {
            self.state = CrawlState::Failed;
            self.ended_at_ms = Some(self.heartbeat_at_ms);
            self.error = Some("its process ended before it did".to_owned());
        }
        self
    }
}

fn body(crawl: &Crawl) -> Result<serde_json::Value> {
    serde_json::to_value(crawl)
        .map_err(|error| Error::Invalid(format!("crawl \"{}\" cannot be kept: {error}", crawl.id)))
}

async fn forget_oldest(catalog: &Catalog, crawler: &str) -> Result<()> {
    let documents = catalog.documents(DocumentKind::Crawl, crawler).await?;
    let mut names: Vec<String> = documents
        .into_iter()
        .map(|document| document.name)
        .filter(|name| name != RUNNING)
        .collect();
    names.sort();
    let surplus = names.len().saturating_sub(KEPT);
    for name in names.drain(..surplus) {
        catalog.delete_document(DocumentKind::Crawl, crawler, &name).await?;
    }
    Ok(())
}
