//! CREATE CRAWLER, DROP CRAWLER, CRAWL and SHOW CRAWLERS.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use boathouse_catalog::DocumentKind;
use boathouse_catalog::crawler::{
    self, CrawlPlan, CrawlerSpec, OnChange, OnDelete, Progress, Recrawl, Target,
};

use super::{Command, command, listing, text_batch, text_columns};
use crate::engine::Engine;
use crate::parse::{Crawled, CrawlerStatement};
use crate::query::Plan;
use crate::session::Session;
use crate::stores::{folder_url, location_url};
use crate::{Error, ErrorKind, Result};

/// The name under which crawls of a location are recorded.
const UNNAMED: &str = "adhoc";

struct Create {
    name: String,
    if_not_exists: bool,
    spec: CrawlerSpec,
}

struct Drop {
    name: String,
    if_exists: bool,
}

struct Crawl {
    name: String,
    spec: CrawlerSpec,
    plan_only: bool,
    schema: SchemaRef,
}

struct Show {
    schema: SchemaRef,
}

pub(super) async fn plan(session: &Session, statement: &CrawlerStatement) -> Result<Plan> {
    match statement {
        CrawlerStatement::Create { name, if_not_exists, locations, database, options } => {
            let database = session.find_database(database).await?;
            let spec = spec(locations, database, options)?;
            Ok(command(Create { name: name.clone(), if_not_exists: *if_not_exists, spec }))
        }
        CrawlerStatement::Drop { name, if_exists } => {
            Ok(command(Drop { name: name.clone(), if_exists: *if_exists }))
        }
        CrawlerStatement::Crawl { of, plan_only } => {
            let (name, spec) = crawled(session, of).await?;
            let schema = text_columns(&["table_name", "action", "reason"]);
            let crawl = Crawl { name, spec, plan_only: *plan_only, schema: schema.clone() };
            Ok(listing(schema, crawl))
        }
        CrawlerStatement::Show => {
            let names = ["crawler", "database", "targets", "schedule", "last_crawl", "last_state"];
            let schema = text_columns(&names);
            Ok(listing(schema.clone(), Show { schema }))
        }
    }
}

async fn crawled(session: &Session, of: &Crawled) -> Result<(String, CrawlerSpec)> {
    match of {
        Crawled::Crawler(name) => Ok((name.clone(), stored(session.engine.clone(), name).await?)),
        Crawled::Location { location, database } => {
            let database = match database {
                Some(database) => session.find_database(database).await?,
                None => session.database(),
            };
            let spec = spec(std::slice::from_ref(location), database, &BTreeMap::new())?;
            Ok((UNNAMED.to_owned(), spec))
        }
    }
}

/// What the crawler of this name is told.
async fn stored(engine: Engine, name: &str) -> Result<CrawlerSpec> {
    let catalog = &engine.shared().catalog;
    let stored = catalog.document(DocumentKind::Crawler, "", name).await?;
    let stored = stored.ok_or_else(|| missing(name))?;
    serde_json::from_value(stored.body)
        .map_err(|error| Error::bad_data(format!("crawler \"{name}\" in the catalog: {error}")))
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("crawler \"{name}\" does not exist"))
        .with_word(name)
        .with_hint("Run SHOW CRAWLERS to list the crawlers there are.")
}

fn spec(
    locations: &[String],
    database: String,
    options: &BTreeMap<String, String>,
) -> Result<CrawlerSpec> {
    let mut spec = CrawlerSpec { database, ..CrawlerSpec::default() };
    for location in locations {
        let location = folder_url(location_url(location)?).to_string();
        spec.targets.push(Target { location, exclusions: Vec::new() });
    }
    for (name, value) in options {
        set(&mut spec, name, value)?;
    }
    Ok(spec)
}

fn set(spec: &mut CrawlerSpec, option: &str, value: &str) -> Result<()> {
    match option {
        "prefix" => spec.table_prefix = value.to_owned(),
        "comment" => spec.description = Some(value.to_owned()),
        "schedule" => {
            spec.set_schedule(value).map_err(|error| Error::from(error).with_word(value))?;
        }
        "exclude" => {
            let patterns: Vec<String> = value.split(',').map(|p| p.trim().to_owned()).collect();
            for target in &mut spec.targets {
                target.exclusions.clone_from(&patterns);
            }
        }
        "on_change" => {
            spec.on_change = one_of(
                option,
                value,
                [
                    ("update", OnChange::Update),
                    ("add_columns", OnChange::AddColumns),
                    ("log", OnChange::Log),
                ],
            )?;
        }
        "on_delete" => {
            spec.on_delete = one_of(
                option,
                value,
                [
                    ("delete", OnDelete::Delete),
                    ("deprecate", OnDelete::Deprecate),
                    ("log", OnDelete::Log),
                ],
            )?;
        }
        "recrawl" => {
            spec.recrawl = one_of(
                option,
                value,
                [
                    ("everything", Recrawl::Everything),
                    ("new_folders", Recrawl::NewFoldersOnly),
                    ("events", Recrawl::Events),
                ],
            )?;
        }
        "event_queue" => {
            let queue = folder_url(location_url(value)?).to_string();
            spec.details.insert("EventQueue".into(), queue.into());
        }
        "widen_dates" => {
            spec.widen_dates =
                one_of(option, value, [("true", true), ("false", false), ("", false)])?;
        }
        other => {
            return Err(Error::invalid(format!("\"{other}\" is no option of a crawler"))
                .with_word(other)
                .with_hint(
                    "The options are comment, event_queue, exclude, on_change, on_delete, prefix, \
                     recrawl, schedule and widen_dates.",
                ));
        }
    }
    Ok(())
}

fn one_of<T>(option: &str, value: &str, choices: [(&str, T); 3]) -> Result<T> {
    let names: Vec<&str> =
        choices.iter().map(|(name, _)| *name).filter(|n| !n.is_empty()).collect();
    let hint = format!("Choose one of {}.", names.join(", "));
    let found = choices.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    found.map(|(_, choice)| choice).ok_or_else(|| {
        Error::invalid(format!("\"{value}\" is no value of {option}"))
            .with_word(value)
            .with_hint(hint)
    })
}

#[async_trait(?Send)]
impl Command for Create {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let body =
            serde_json::to_value(&self.spec).map_err(|error| Error::internal(error.to_string()))?;
        let kind = DocumentKind::Crawler;
        if session.catalog().create_document(kind, "", &self.name, &body).await?
            || self.if_not_exists
        {
            return Ok(Vec::new());
        }
        let text = format!("crawler \"{}\" already exists", self.name);
        Err(Error::new(ErrorKind::AlreadyExists, text)
            .with_hint("Drop it first, or write CREATE CRAWLER IF NOT EXISTS."))
    }
}

#[async_trait(?Send)]
impl Command for Drop {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let catalog = session.catalog();
        if !crawler::delete(catalog, &self.name).await? && !self.if_exists {
            return Err(missing(&self.name));
        }
        Ok(Vec::new())
    }
}

#[async_trait(?Send)]
impl Command for Crawl {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let shared = session.engine.shared();
        let (catalog, stores) = (&shared.catalog, shared.stores.as_ref());
        let tell = |progress: &Progress| session.work.tell(progress.to_string());
        let rows = match self.plan_only {
            true => {
                let plan = crawler::plan(catalog, stores, &self.name, &self.spec, &tell).await?;
                planned(&plan)
            }
            false => {
                let (_stop, stopped) = tokio::sync::watch::channel(false);
                let run = crawler::run(catalog, stores, &self.name, &self.spec, stopped, &tell);
                let crawl = run.await?;
                if let Some(fault) = crawl.error {
                    let text = format!("the crawl of \"{}\" failed: {fault}", self.name);
                    return Err(Error::new(ErrorKind::Unavailable, text)
                        .with_hint("Nothing was changed. Check the location, and crawl again."));
                }
                let changes = crawl.changes.first.into_iter();
                changes.map(|c| row(c.table.to_string(), c.action.as_str(), c.reason)).collect()
            }
        };
        text_batch(&self.schema, rows)
    }
}

/// The changes of a plan, then the columns that are not what the catalog says, then why folders
/// are tables or not.
fn planned(plan: &CrawlPlan) -> Vec<Vec<Option<String>>> {
    let steps = plan
        .steps
        .iter()
        .map(|step| row(step.table.to_string(), step.action.as_str(), step.reason.clone()));
    let drift = plan
        .drift
        .iter()
        .map(|drift| row(drift.table.to_string(), drift.outcome.as_str(), drift.to_string()));
    let notes = plan.notes.iter().map(|note| {
        vec![None, Some("note".to_owned()), Some(format!("{}: {}", note.location, note.text))]
    });
    steps.chain(drift).chain(notes).collect()
}

fn row(table: String, action: &str, reason: String) -> Vec<Option<String>> {
    vec![Some(table), Some(action.to_string()), Some(reason)]
}

#[async_trait(?Send)]
impl Command for Show {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let catalog = session.catalog();
        let mut rows = Vec::new();
        for stored in catalog.documents(DocumentKind::Crawler, "").await? {
            let Ok(spec) = serde_json::from_value::<CrawlerSpec>(stored.body) else { continue };
            let crawls = crawler::crawls(catalog, Some(&stored.name)).await?;
            let last = crawls.first();
            let targets: Vec<&str> = spec.targets.iter().map(|t| t.location.as_str()).collect();
            rows.push(vec![
                Some(stored.name),
                Some(spec.database),
                Some(targets.join(", ")),
                spec.schedule,
                last.and_then(|crawl| time(crawl.started_at_ms)),
                last.map(|crawl| crawl.state.as_str().to_owned()),
            ]);
        }
        text_batch(&self.schema, rows)
    }
}

fn time(ms: i64) -> Option<String> {
    let time = chrono::DateTime::from_timestamp_millis(ms)?;
    Some(time.format("%Y-%m-%d %H:%M:%S").to_string())
}
