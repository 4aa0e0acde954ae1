//! From a crawler to its plan: targets are listed, files sampled, tables compared.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use serde_json::Value;
use url::Url;

use super::crawl::is_first;
use super::csv::Hints;
use super::definition::UPDATED_BY;
use super::events::{self, Events, Touched};
use super::glob::Exclusions;
use super::grouping::{Found, Grouping, Rules};
use super::listing::Tree;
use super::notes::Notes;
use super::plan::{Counts, CrawlPlan, Messages, Phase, Progress};
use super::reconcile::Reconciler;
use super::sample::Sampler;
use super::scope::Scope;
use super::spec::{CrawlerSpec, OnChange, Recrawl, Stores, Target, folder};
use super::{Error, Result};
use crate::{Catalog, DocumentKind, Format, PartitionFilter, Table};

/// Lists the targets of a crawler, samples their files and compares what is found with the
/// catalog. It writes nothing.
///
/// The same objects and the same catalog give the same plan.
pub async fn plan(
    catalog: &Catalog,
    stores: &dyn Stores,
    name: &str,
    spec: &CrawlerSpec,
    progress: &(dyn Fn(&Progress) + Send + Sync),
) -> Result<CrawlPlan> {
    if spec.targets.is_empty() {
        return Err(Error::Invalid(format!("crawler \"{name}\" has no target")));
    }
    catalog.database(&spec.database).await?;
    let tables = catalog.tables(&spec.database).await?;
    let scan = Scan {
        catalog,
        stores,
        name,
        spec,
        progress,
        hints: hints(catalog, spec).await?,
        known: known(catalog, name, spec, &tables).await?,
        tables,
        notes: Notes::default(),
        counts: Counts::default(),
        found: Vec::new(),
        scopes: Vec::new(),
    };
    scan.run().await
}

struct Scan<'a> {
    catalog: &'a Catalog,
    stores: &'a dyn Stores,
    name: &'a str,
    spec: &'a CrawlerSpec,
    progress: &'a (dyn Fn(&Progress) + Send + Sync),
    hints: Hints,
    known: HashSet<String>,
    tables: Vec<Table>,
    notes: Notes,
    counts: Counts,
    found: Vec<Found>,
    scopes: Vec<Scope>,
}

/// What is to be listed of one target.
struct Part {
    base: Path,
    /// The folders to list; `None` is all of the base.
    listed: Option<BTreeSet<Path>>,
}

impl Scan<'_> {
    async fn run(mut self) -> Result<CrawlPlan> {
        let events = match self.spec.recrawl {
            Recrawl::Events => Some(self.events().await?),
            Recrawl::Everything | Recrawl::NewFoldersOnly => None,
        };
        let is_whole = events.is_none() || self.is_first().await?;
        let touched = events.as_ref().filter(|_| !is_whole).map(|events| &events.touched);
        let mut failed = None;
        let mut is_any_listed = false;
        for target in &self.spec.targets {
            match self.target(target, touched).await {
                Ok(()) => is_any_listed = true,
                Err(error @ Error::Unreachable { .. }) => {
                    let text = format!("not listed, so nothing of it changes: {}", chain(&error));
                    self.notes.add(target.location.clone(), text);
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let (Some(error), false) = (failed, is_any_listed) {
            return Err(error);
        }
        self.finish(events.map(|events| events.messages)).await
    }

    async fn finish(mut self, messages: Option<Messages>) -> Result<CrawlPlan> {
        self.report(Phase::Comparing, "");
        self.counts.tables_found = self.found.len() as u64;
        let policy = match self.spec.recrawl {
            Recrawl::NewFoldersOnly => (OnChange::Log, None),
            Recrawl::Everything | Recrawl::Events => {
                (self.spec.on_change, Some(self.spec.on_delete))
            }
        };
        let mut reconciler = Reconciler {
            catalog: self.catalog,
            crawler: self.name,
            spec: self.spec,
            on_change: policy.0,
            on_delete: policy.1,
            tables: &self.tables,
            scopes: &self.scopes,
            notes: &mut self.notes,
            counts: &mut self.counts,
            steps: Vec::new(),
            drift: Vec::new(),
            now_ms: crate::catalog::now_ms(),
        };
        reconciler.run(self.found).await?;
        let (steps, drift) = (reconciler.steps, reconciler.drift);
        self.counts.count(&steps);
        let notes = self.notes.into_sorted();
        Ok(CrawlPlan { steps, drift, notes, counts: self.counts, messages })
    }

    async fn events(&mut self) -> Result<Events> {
        let queue = self.spec.event_queue()?;
        let (store, path) = self.stores.open(&queue)?;
        let events = events::read(store, &queue, &path, &mut self.notes).await?;
        self.counts.messages = events.messages.paths.len() as u64;
        self.counts.listings += 1;
        Ok(events)
    }

    async fn is_first(&self) -> Result<bool> {
        let has_table = self.tables.iter().any(|table| is_of(table, self.name));
        Ok(!has_table && is_first(self.catalog, self.name).await?)
    }

    async fn target(&mut self, target: &Target, touched: Option<&Touched>) -> Result<()> {
        let url = folder(&target.location)?;
        let (store, root) = self.stores.open(&url)?;
        let exclusions = Arc::new(Exclusions::new(&target.exclusions)?);
        let parts = match touched {
            None => vec![Part { base: root.clone(), listed: None }],
            Some(touched) => self.parts(&url, &root, touched),
        };
        for part in parts {
            let tree = Tree::new(part.base.clone(), root.clone(), exclusions.clone());
            self.part(target, &url, store.clone(), tree, part.listed).await?;
        }
        Ok(())
    }

    /// Lists and groups one part of a target.
    async fn part(
        &mut self,
        target: &Target,
        url: &Url,
        store: Arc<dyn ObjectStore>,
        mut tree: Tree,
        listed: Option<BTreeSet<Path>>,
    ) -> Result<()> {
        self.report(Phase::Listing, &target.location);
        let base = tree.base.clone();
        let before = self.counts.objects;
        let prefixes = listed.clone().unwrap_or_else(|| BTreeSet::from([base]));
        for prefix in &prefixes {
            self.counts.listings += 1;
            let listed = |objects| {
                let location = target.location.clone();
                let tables = self.found.len();
                (self.progress)(&progress(Phase::Listing, location, before + objects, tables));
            };
            tree.list(store.as_ref(), prefix, listed)
                .await
                .map_err(|error| Error::unreachable(&target.location, error))?;
        }
        tree.finish();
        self.counts.objects += tree.objects;
        self.counts.folders += tree.folder_count();
        let is_empty = listed.is_none() && tree.objects == 0;
        let file = match is_empty && !target.location.ends_with('/') {
            true => self.file(store.as_ref(), &tree.base, target).await?,
            false => None,
        };
        if is_empty && file.is_none() {
            self.notes.add(target.location.clone(), "it is empty, so nothing of it is deleted");
        }
        if tree.is_cut {
            let text = "it has too many folders: not all were looked at, and nothing is deleted";
            self.notes.add(target.location.clone(), text);
        }
        let tells_gone = !is_empty && !tree.is_cut;
        let listed = listed.map(|listed| listed.into_iter().collect());
        let scope = Scope { url: url.clone(), store, tree, listed, tells_gone };
        self.group(&scope, target, file).await;
        self.scopes.push(scope);
        Ok(())
    }

    /// The file that a target is, if it is one.
    async fn file(
        &mut self,
        store: &dyn ObjectStore,
        path: &Path,
        target: &Target,
    ) -> Result<Option<(Path, u64)>> {
        match store.head(path).await {
            Ok(meta) => Ok(Some((meta.location, meta.size))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::unreachable(&target.location, error)),
        }
    }

    async fn group(&mut self, scope: &Scope, target: &Target, file: Option<(Path, u64)>) {
        self.report(Phase::Sampling, &target.location);
        let sampler = Sampler::new(scope.store.clone(), self.hints.clone());
        let objects = self.counts.objects;
        let earlier = self.found.len();
        let rules = Rules {
            combines: self.spec.combines(),
            dates: self.spec.widen_dates,
            known: &self.known,
        };
        let mut grouping = Grouping {
            tree: &scope.tree,
            sampler: &sampler,
            url: &scope.url,
            rules,
            notes: &mut self.notes,
            found: Vec::new(),
            listings: 0,
        };
        match file {
            Some((path, size)) => grouping.file(&path, size).await,
            None => {
                let report = |tables| {
                    let location = target.location.clone();
                    let tables = earlier + tables;
                    (self.progress)(&progress(Phase::Sampling, location, objects, tables));
                };
                grouping.run(report).await;
            }
        }
        self.counts.listings += grouping.listings;
        self.found.append(&mut grouping.found);
        self.counts.files_sampled += sampler.files.load(Ordering::Relaxed);
        self.counts.bytes_sampled += sampler.bytes.load(Ordering::Relaxed);
    }

    /// What is to be listed of a target for the objects that events have touched: of a known
    /// table the folders that were touched, else the whole folder in the target.
    fn parts(&self, url: &Url, root: &Path, touched: &Touched) -> Vec<Part> {
        let mut parts: BTreeMap<Path, BTreeSet<Path>> = BTreeMap::new();
        for key in touched.keys(url) {
            let Ok(path) = Path::parse(key) else { continue };
            let Some(mut below) = path.prefix_match(root) else { continue };
            let (base, listed) = match self.owner(url, root, &path) {
                Some((table, base)) => {
                    let listed = listed_of(table, &base, &path);
                    (base, listed)
                }
                None => match (below.next(), below.next()) {
                    (Some(first), Some(_)) => {
                        (root.clone(), super::listing::below(root, [first.as_ref()]))
                    }
                    _ => (root.clone(), root.clone()),
                },
            };
            parts.entry(base).or_default().insert(listed);
        }
        let part = |(base, listed)| Part { base, listed: Some(outermost(listed)) };
        parts.into_iter().map(part).collect()
    }

    /// The table that has a path below its location, and its location.
    fn owner(&self, url: &Url, root: &Path, path: &Path) -> Option<(&Table, Path)> {
        let places = self.tables.iter().filter_map(|table| {
            let location = Url::parse(table.spec.location.as_deref()?).ok()?;
            let is_here = location.scheme() == url.scheme()
                && location.host_str() == url.host_str()
                && location.path().ends_with('/');
            let base = is_here.then(|| Path::from_url_path(location.path()).ok()).flatten()?;
            (path.prefix_matches(&base) && base.prefix_matches(root)).then_some((table, base))
        });
        places.max_by_key(|(_, base)| base.parts_count())
    }

    fn report(&self, phase: Phase, location: &str) {
        let (objects, tables) = (self.counts.objects, self.found.len());
        (self.progress)(&progress(phase, location.to_owned(), objects, tables));
    }
}

fn progress(phase: Phase, location: String, objects: u64, tables: usize) -> Progress {
    Progress { phase, location, objects, tables: tables as u64 }
}

/// What is to be listed of a table of which `path` was touched.
fn listed_of(table: &Table, base: &Path, path: &Path) -> Path {
    match table.spec.format {
        Some(Format::Delta) => super::listing::below(base, ["_delta_log"]),
        Some(Format::Iceberg) => super::listing::below(base, ["metadata"]),
        _ if table.spec.partition_keys.is_empty() => base.clone(),
        _ => path.parent().filter(|p| p.prefix_matches(base)).unwrap_or_else(|| base.clone()),
    }
}

/// Folders without those that are below another.
fn outermost(folders: BTreeSet<Path>) -> BTreeSet<Path> {
    let all = folders.clone();
    let is_outermost = |folder: &Path| {
        let mut parent = folder.parent();
        while let Some(above) = parent {
            if all.contains(&above) {
                return false;
            }
            parent = above.parent();
        }
        true
    };
    folders.into_iter().filter(is_outermost).collect()
}

fn is_of(table: &Table, crawler: &str) -> bool {
    table.spec.parameters.get(UPDATED_BY).is_some_and(|name| name == crawler)
}

/// The locations of partitions that a crawl of new folders need not look at.
async fn known(
    catalog: &Catalog,
    crawler: &str,
    spec: &CrawlerSpec,
    tables: &[Table],
) -> Result<HashSet<String>> {
    let mut known = HashSet::new();
    if spec.recrawl == Recrawl::NewFoldersOnly {
        for table in tables.iter().filter(|table| is_of(table, crawler)) {
            let partitions = catalog.partitions(table, &PartitionFilter::default()).await?;
            known.extend(partitions.into_iter().map(|partition| partition.location));
        }
    }
    Ok(known)
}

/// What the custom classifiers say of CSV; the first that says anything counts.
async fn hints(catalog: &Catalog, spec: &CrawlerSpec) -> Result<Hints> {
    for name in &spec.classifiers {
        let found = catalog.document(DocumentKind::Classifier, "", name).await?;
        let csv = found.and_then(|found| found.body.get("CsvClassifier").cloned());
        if let Some(csv) = csv {
            return Ok(csv_hints(&csv));
        }
    }
    Ok(Hints::default())
}

fn csv_hints(classifier: &Value) -> Hints {
    let text = |key: &str| classifier.get(key).and_then(Value::as_str);
    let one = |key: &str| text(key).and_then(|text| text.chars().next()).filter(char::is_ascii);
    let names = classifier.get("Header").and_then(Value::as_array);
    Hints {
        delimiter: one("Delimiter"),
        quote: one("QuoteSymbol"),
        has_header: match text("ContainsHeader") {
            Some("PRESENT") => Some(true),
            Some("ABSENT") => Some(false),
            _ => None,
        },
        names: names
            .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
        ..Hints::default()
    }
}

fn chain(error: &Error) -> String {
    crate::chain(error)
}
