//! Crawls that this process runs: those that were asked for, and those whose time has come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boathouse_catalog::crawler::{self, CrawlerSpec, Stores};
use boathouse_catalog::{Catalog, DocumentKind, chain};
use chrono::{DateTime, Utc};
use tokio::sync::watch;

/// How often schedules are looked at. AWS's have minutes.
const TICK: Duration = Duration::from_secs(20);

/// The crawls of one process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Crawls(Arc<Shared>);

struct Shared {
    catalog: Catalog,
    stores: Arc<dyn Stores>,
    /// The crawlers that run, and how to stop them.
    running: Mutex<HashMap<String, watch::Sender<bool>>>,
}

/// What came of stopping a crawler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopping {
    /// It stops.
    Now,
    /// It was stopping already.
    Already,
}

impl Crawls {
    pub(crate) fn new(catalog: Catalog, stores: Arc<dyn Stores>) -> Self {
        Self(Arc::new(Shared { catalog, stores, running: Mutex::default() }))
    }

    /// Starts a crawl; says whether the crawler wasn't running here.
    pub(crate) fn start(&self, name: &str, spec: CrawlerSpec) -> bool {
        let (stop, stopped) = watch::channel(false);
        let mut running = self.running();
        if running.contains_key(name) {
            return false;
        }
        running.insert(name.to_owned(), stop);
        drop(running);
        let (crawls, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            crawls.run(&name, &spec, stopped).await;
            crawls.running().remove(&name);
        });
        true
    }

    async fn run(&self, name: &str, spec: &CrawlerSpec, stopped: watch::Receiver<bool>) {
        let Shared { catalog, stores, .. } = self.0.as_ref();
        let run = crawler::run(catalog, stores.as_ref(), name, spec, stopped, &|_| {});
        // The record of the crawl says the same to whoever asks.
        match run.await {
            Ok(crawl) => tracing::info!(crawler = name, state = ?crawl.state, "crawl ended"),
            Err(error) => tracing::warn!(crawler = name, error = chain(&error), "crawl failed"),
        }
    }

    /// Stops a crawl; `None` if the crawler isn't running here.
    pub(crate) fn stop(&self, name: &str) -> Option<Stopping> {
        let running = self.running();
        let stop = running.get(name)?;
        match stop.send_replace(true) {
            true => Some(Stopping::Already),
            false => Some(Stopping::Now),
        }
    }

    pub(crate) fn is_running(&self, name: &str) -> bool {
        self.running().contains_key(name)
    }

    pub(crate) fn is_stopping(&self, name: &str) -> bool {
        self.running().get(name).is_some_and(|stop| *stop.borrow())
    }

    /// Stops all crawls.
    pub(crate) fn stop_all(&self) {
        for stop in self.running().values() {
            stop.send_replace(true);
        }
    }

    /// Starts crawlers when their time has come, for ever. Times that passed before are not made
    /// up for. Of several processes that share a catalog the first to notice runs a crawl.
    pub(crate) async fn keep_schedules(&self) {
        let since = Utc::now();
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            if let Err(error) = self.start_due(since, Utc::now()).await {
                tracing::warn!(error = chain(&error), "schedules of crawlers cannot be read");
            }
        }
    }

    async fn start_due(
        &self,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> boathouse_catalog::Result<()> {
        for stored in self.0.catalog.documents(DocumentKind::Crawler, "").await? {
            let Ok(spec) = serde_json::from_value::<CrawlerSpec>(stored.body) else { continue };
            let Some(due) = spec.last_due(now) else { continue };
            let changed = DateTime::from_timestamp_millis(stored.updated_at_ms);
            if due < since || changed.is_some_and(|changed| due < changed) {
                continue;
            }
            let crawls = self.0.catalog.documents(DocumentKind::Crawl, &stored.name).await?;
            let is_done = crawls.iter().any(|crawl| {
                crawl.body["started_at_ms"].as_i64().is_some_and(|t| due.timestamp_millis() <= t)
            });
            if !is_done {
                self.start(&stored.name, spec);
            }
        }
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<bool>>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
