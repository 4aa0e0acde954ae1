//! Crawls that this process runs: those that were asked for, and those whose time has come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boathouse_catalog::crawler::{self, CrawlerSpec, Stores};
use boathouse_catalog::{Catalog, DocumentKind, chain};
use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use tokio::sync::watch;

use crate::glue;

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
            let Ok(spec) = glue::crawler_spec(&stored) else { continue };
            let schedule = spec.schedule.as_deref().filter(|_| glue::is_scheduled(&spec));
            let Some(Ok(schedule)) = schedule.map(Schedule::parse) else { continue };
            let Some(due) = schedule.last_before(now) else { continue };
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

/// When a crawler runs: AWS's `cron(minutes hours day-of-month month day-of-week year)`, in UTC.
pub(crate) struct Schedule(Cron);

impl Schedule {
    /// Reads a schedule; what is wrong with it is said for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let invalid = || {
            format!(
                "\"{text}\" is no schedule: write cron(minutes hours day-of-month month \
                 day-of-week year), such as cron(15 12 * * ? *)"
            )
        };
        let inner = text.trim().strip_prefix("cron(").and_then(|text| text.strip_suffix(')'));
        let inner = inner.ok_or_else(invalid)?;
        if inner.split_whitespace().count() != 6 {
            return Err(invalid());
        }
        // Days of the week are 1 (Sunday) to 7 in AWS.
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Required)
            .alternative_weekdays(true)
            .sloppy_ranges(true)
            .build();
        let cron = parser.parse(&format!("0 {inner}")).map_err(|_| invalid())?;
        Ok(Self(cron))
    }

    /// The last time at or before `now` that it names.
    fn last_before(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.find_previous_occurrence(&now, true).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(schedule: &str, now: &str) -> Option<String> {
        let last = Schedule::parse(schedule).unwrap().last_before(now.parse().unwrap());
        last.map(|time| time.format("%F %R").to_string())
    }

    #[test]
    fn schedules_are_those_of_aws() {
        let now = "2026-11-24T17:05:30Z"; // a Tuesday
        for (schedule, expected) in [
            ("cron(15 12 * * ? *)", "2026-11-24 12:15"),
            ("cron(0/15 * * * ? *)", "2026-11-24 17:00"),
            ("cron(0 8 ? * 2 *)", "2026-11-23 08:00"),
            ("cron(0 8 ? * MON-FRI *)", "2026-11-24 08:00"),
            ("cron(0 0 1 * ? *)", "2026-11-01 00:00"),
        ] {
            assert_eq!(last(schedule, now).as_deref(), Some(expected), "{schedule}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "cron()", "15 12 * * ? *", "cron(15 12 * * ?)", "cron(99 1 * * ? *)"] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }
}
