//! What was found against what the catalog has: the changes, and why.

use std::collections::{BTreeMap, HashMap, HashSet};

use object_store::ObjectStoreExt as _;
use url::Url;

use super::columns::Columns;
use super::definition::{DEPRECATED_BY, METADATA_LOCATION, UPDATED_BY, candidates, definition};
use super::grouping::{Found, Place};
use super::keys;
use super::notes::Notes;
use super::plan::{Action, Counts, Drift, Outcome, Step};
use super::scope::Scope;
use super::spec::{CrawlerSpec, OnChange, OnDelete, normal};
use super::{Error, Result};
use crate::{
    Catalog, Change, Format, Partition, PartitionFilter, Table, TableName, TableSpec, TableType,
};

/// The comparison of one crawl.
pub(super) struct Reconciler<'a> {
    pub(super) catalog: &'a Catalog,
    /// The crawler's name.
    pub(super) crawler: &'a str,
    pub(super) spec: &'a CrawlerSpec,
    /// What may be done about changed schemas and missing folders.
    pub(super) on_change: OnChange,
    /// `None` if nothing is to be looked at that is missing.
    pub(super) on_delete: Option<OnDelete>,
    /// The tables of the database.
    pub(super) tables: &'a [Table],
    pub(super) scopes: &'a [Scope],
    pub(super) notes: &'a mut Notes,
    pub(super) counts: &'a mut Counts,
    pub(super) steps: Vec<Step>,
    pub(super) drift: Vec<Drift>,
    pub(super) now_ms: i64,
}

/// What a table's partitions become.
#[derive(Default)]
struct PartitionChanges {
    put: Vec<Partition>,
    remove: Vec<Vec<Option<String>>>,
    added: usize,
    restored: usize,
    relisted: usize,
    gone: usize,
}

impl<'a> Reconciler<'a> {
    /// Compares everything that was found, sorted by location.
    pub(super) async fn run(&mut self, found: Vec<Found>) -> Result<()> {
        let found = self.without_doubles(found);
        let matched: Vec<Option<&Table>> =
            found.iter().map(|found| self.table_at(&found.location)).collect();
        let mut claimed: HashSet<String> =
            matched.iter().flatten().map(|table| table.name.table().to_owned()).collect();
        for (found, table) in found.iter().zip(&matched) {
            match table {
                Some(table) => self.compare(found, table).await?,
                None => self.create(found, &mut claimed)?,
            }
        }
        if self.on_delete.is_some() {
            self.missing_tables(&claimed).await?;
        }
        self.steps.sort_by(|a, b| a.table.cmp(&b.table));
        self.drift.sort();
        self.drift.dedup();
        Ok(())
    }

    fn without_doubles(&mut self, found: Vec<Found>) -> Vec<Found> {
        let mut seen = HashSet::new();
        found.into_iter().filter(|found| seen.insert(normal(&found.location))).collect()
    }

    /// The table at a location; of several the one of this crawler.
    fn table_at(&self, location: &str) -> Option<&'a Table> {
        let location = normal(location);
        let is_there = |table: &&Table| {
            table.spec.location.as_deref().is_some_and(|known| normal(known) == location)
        };
        let mut there = self.tables.iter().filter(is_there);
        let first = there.clone().next()?;
        Some(there.find(|table| self.is_own(table)).unwrap_or(first))
    }

    fn is_own(&self, table: &Table) -> bool {
        table.spec.parameters.get(UPDATED_BY).is_some_and(|name| name == self.crawler)
    }

    fn create(&mut self, found: &Found, claimed: &mut HashSet<String>) -> Result<()> {
        let Some(name) = self.free_name(found, claimed)? else { return Ok(()) };
        let spec = definition(found, self.crawler);
        let clashes = found.clashes.iter().map(|clash| Drift {
            table: name.clone(),
            column: clash.column.clone(),
            location: clash.location.clone(),
            kept: clash.kept.clone(),
            found: clash.found.clone(),
            outcome: if clash.is_widened { Outcome::Widened } else { Outcome::Quarantined },
            reason: clash.reason.clone(),
        });
        self.drift.extend(clashes);
        let partitions = found.places.iter().flatten().map(partition).collect();
        let change = Change::Create { name: name.clone(), spec: Box::new(spec), partitions };
        let reason = format!("{} is new: {}", found.location, found.reason);
        self.steps.push(Step { table: name, action: Action::Create, reason, change });
        Ok(())
    }

    /// A name for a new table; `None` if another table has it.
    fn free_name(
        &mut self,
        found: &Found,
        claimed: &mut HashSet<String>,
    ) -> Result<Option<TableName>> {
        let candidates = candidates(found, &self.spec.table_prefix);
        let first = candidates.first().cloned().unwrap_or_default();
        for candidate in candidates {
            if claimed.contains(&candidate) {
                continue;
            }
            if self.tables.iter().any(|table| table.name.table() == candidate) {
                let text = format!(
                    "left out: table {candidate} is at another location; rename or drop it, or \
                     give the crawler a table prefix"
                );
                self.notes.add(found.location.clone(), text);
                return Ok(None);
            }
            if candidate != first {
                let text = format!("named {candidate}: the name {first} is another table's");
                self.notes.add(found.location.clone(), text);
            }
            claimed.insert(candidate.clone());
            return Ok(Some(TableName::new(&self.spec.database, &candidate)?));
        }
        self.notes.add(found.location.clone(), "left out: no name for it is free");
        Ok(None)
    }

    /// Compares a table with what was found at its location.
    async fn compare(&mut self, found: &Found, table: &Table) -> Result<()> {
        if let Err(why) = fits(found, table) {
            self.notes.add(found.location.clone(), format!("table {} stays: {why}", table.name));
            return Ok(());
        }
        if !self.is_own(table) {
            return self.compare_foreign(found, table).await;
        }
        let mut spec = table.spec.clone();
        let mut reasons = Vec::new();
        let mut columns = Columns {
            table,
            spec: &mut spec,
            on_change: self.on_change,
            dates: self.spec.widen_dates,
            drift: &mut self.drift,
        };
        columns.merge(found);
        reasons.extend(columns.reasons(&table.spec));
        if spec.parameters.remove(DEPRECATED_BY).is_some() {
            reasons.push("it is there again".to_owned());
        }
        reasons.extend(newer_metadata(found, &mut spec));
        let changes = match &found.places {
            Some(places) => self.partitions(places, table, &mut spec).await?,
            None => PartitionChanges::default(),
        };
        self.push_update(table, spec, changes, reasons);
        Ok(())
    }

    /// A table that somebody else made gets new partitions and nothing else.
    async fn compare_foreign(&mut self, found: &Found, table: &Table) -> Result<()> {
        let text =
            format!("table {} was not made by this crawler: it gets partitions only", table.name);
        self.notes.add(found.location.clone(), text);
        let (Some(places), false) = (&found.places, table.spec.partition_keys.is_empty()) else {
            return Ok(());
        };
        let mut spec = table.spec.clone();
        let mut changes = self.partitions(places, table, &mut spec).await?;
        changes.remove.clear();
        self.push_update(table, table.spec.clone(), changes, Vec::new());
        Ok(())
    }

    fn push_update(
        &mut self,
        table: &Table,
        spec: TableSpec,
        changes: PartitionChanges,
        mut reasons: Vec<String>,
    ) {
        reasons.extend(changes.reasons(self.on_delete));
        let is_changed = spec != table.spec;
        if !is_changed && changes.put.is_empty() && changes.remove.is_empty() {
            return;
        }
        self.counts.partitions_added += changes.added as u64;
        self.counts.partitions_removed += changes.gone as u64;
        let action = match (is_changed, changes.added) {
            (true, _) => Action::Update,
            (false, 0) if changes.gone > 0 => Action::RemovePartitions,
            (false, 0) => Action::Update,
            (false, _) => Action::AddPartitions,
        };
        let change = Change::Update {
            table: Box::new(table.clone()),
            spec: is_changed.then(|| Box::new(spec)),
            put: changes.put,
            remove: changes.remove,
        };
        let (table, reason) = (table.name.clone(), reasons.join("; "));
        self.steps.push(Step { table, action, reason, change });
    }

    /// What the partitions of a table become; a key's type may get wider in `spec`.
    async fn partitions(
        &mut self,
        places: &[Place],
        table: &Table,
        spec: &mut TableSpec,
    ) -> Result<PartitionChanges> {
        let known = self.catalog.partitions(table, &PartitionFilter::default()).await?;
        let mut known: HashMap<Vec<Option<String>>, Partition> =
            known.into_iter().map(|known| (known.values.clone(), known)).collect();
        let mut changes = PartitionChanges::default();
        let is_own = self.is_own(table);
        for place in places {
            match known.remove(&place.values) {
                Some(known) if is_own => self.compare_partition(place, known, &mut changes),
                Some(_) => {}
                None if self.takes(table, spec, place, is_own) => {
                    changes.added += 1;
                    changes.put.push(partition(place));
                }
                None => {}
            }
        }
        if let (true, Some(on_delete)) = (is_own, self.on_delete) {
            let mut missing: Vec<Partition> = known.into_values().collect();
            missing.sort_by(|a, b| a.values.cmp(&b.values));
            self.missing_partitions(table, missing, on_delete, &mut changes);
        }
        Ok(changes)
    }

    fn compare_partition(
        &mut self,
        place: &Place,
        known: Partition,
        changes: &mut PartitionChanges,
    ) {
        if normal(&known.location) != normal(&place.location) {
            let text = format!("left out: the partition of its values is at {}", known.location);
            self.notes.add(place.location.clone(), text);
            return;
        }
        let was_gone = known.parameters.contains_key(DEPRECATED_BY);
        // A list of files that somebody else keeps is theirs.
        let is_relisted = match (&place.files, &known.files) {
            (Some(found), Some(known)) => !same_files(found, known),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if !was_gone && !is_relisted {
            return;
        }
        changes.restored += usize::from(was_gone);
        changes.relisted += usize::from(is_relisted);
        let mut next = known;
        next.parameters.remove(DEPRECATED_BY);
        if is_relisted {
            next.files.clone_from(&place.files);
        }
        changes.put.push(next);
    }

    /// Whether the values of a new partition can be values of the keys, which may get wider.
    fn takes(&mut self, table: &Table, spec: &mut TableSpec, place: &Place, is_own: bool) -> bool {
        for (index, value) in place.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let Some(key) = spec.partition_keys.get(index) else { return false };
            let kept = key.data_type.clone();
            if keys::fits(&kept, value) {
                continue;
            }
            let wide = wider_key(&kept, value);
            let may_widen = is_own && self.on_change == OnChange::Update;
            let mut drift = Drift {
                table: table.name.clone(),
                column: key.name.clone(),
                location: place.location.clone(),
                kept,
                found: value.clone(),
                outcome: Outcome::Quarantined,
                reason: "the partition's value is none of the key's type".into(),
            };
            let mut columns = Columns {
                table,
                spec,
                on_change: self.on_change,
                dates: false,
                drift: &mut self.drift,
            };
            match wide {
                Some(wide) if may_widen && !columns.is_pinned(&drift.column) => {
                    columns.widen_key(index, wide);
                    drift.outcome = Outcome::Widened;
                    drift.reason = format!("{wide} holds both");
                    self.drift.push(drift);
                }
                _ => {
                    self.drift.push(drift);
                    return false;
                }
            }
        }
        true
    }

    fn missing_partitions(
        &mut self,
        table: &Table,
        missing: Vec<Partition>,
        on_delete: OnDelete,
        changes: &mut PartitionChanges,
    ) {
        for partition in missing {
            if partition.location.is_empty() || !self.is_gone(&partition.location) {
                continue;
            }
            match on_delete {
                OnDelete::Delete => {
                    changes.gone += 1;
                    changes.remove.push(partition.values);
                }
                OnDelete::Deprecate if partition.parameters.contains_key(DEPRECATED_BY) => {}
                OnDelete::Deprecate => {
                    changes.gone += 1;
                    let mut next = partition;
                    next.parameters.insert(DEPRECATED_BY.into(), self.now_ms.to_string());
                    changes.put.push(next);
                }
                OnDelete::Log => {
                    let text = format!("the folder of a partition of {} is gone", table.name);
                    self.notes.add(partition.location, text);
                }
            }
        }
    }

    fn is_gone(&self, location: &str) -> bool {
        let Ok(url) = Url::parse(location) else { return false };
        self.scopes.iter().any(|scope| scope.is_gone(&url))
    }

    /// Tables of this crawler whose folder or file is gone.
    async fn missing_tables(&mut self, claimed: &HashSet<String>) -> Result<()> {
        let tables = self.tables;
        let missing: Vec<&Table> = tables
            .iter()
            .filter(|table| self.is_own(table) && !claimed.contains(table.name.table()))
            .filter(|table| table.spec.table_type == TableType::External)
            .collect();
        for table in missing {
            let Some(location) = &table.spec.location else { continue };
            if self.is_table_gone(table, location).await? {
                self.delete(table, location);
            }
        }
        Ok(())
    }

    async fn is_table_gone(&mut self, table: &Table, location: &str) -> Result<bool> {
        let Ok(url) = Url::parse(location) else { return Ok(false) };
        let Some(scope) = self.scopes.iter().find(|scope| scope.covers(&url)) else {
            return Ok(false);
        };
        if !url.path().ends_with('/') {
            let Some(path) = scope.path(&url) else { return Ok(false) };
            return match scope.store.head(&path).await {
                Ok(_) => Ok(false),
                Err(object_store::Error::NotFound { .. }) => Ok(true),
                Err(error) => Err(Error::unreachable(location, error)),
            };
        }
        let keeps_own_files = matches!(table.spec.format, Some(Format::Delta | Format::Iceberg));
        let is_plain = table.spec.partition_keys.is_empty() && !keeps_own_files;
        let is_gone = if is_plain { scope.has_no_files(&url) } else { scope.is_gone(&url) };
        if !is_gone {
            let text =
                format!("table {} stays: it is no table any more, but not empty", table.name);
            self.notes.add(location.to_owned(), text);
        }
        Ok(is_gone)
    }

    fn delete(&mut self, table: &Table, location: &str) {
        let reason = format!("there is nothing at {location} any more");
        let (action, change) = match self.on_delete {
            Some(OnDelete::Delete) => {
                (Action::Delete, Change::Drop { table: Box::new(table.clone()) })
            }
            Some(OnDelete::Deprecate) if !table.spec.parameters.contains_key(DEPRECATED_BY) => {
                let mut spec = table.spec.clone();
                spec.parameters.insert(DEPRECATED_BY.into(), self.now_ms.to_string());
                let change = Change::Update {
                    table: Box::new(table.clone()),
                    spec: Some(Box::new(spec)),
                    put: Vec::new(),
                    remove: Vec::new(),
                };
                (Action::Deprecate, change)
            }
            _ => {
                self.notes.add(location.to_owned(), format!("table {} is gone", table.name));
                return;
            }
        };
        self.steps.push(Step { table: table.name.clone(), action, reason, change });
    }
}

impl PartitionChanges {
    fn reasons(&self, on_delete: Option<OnDelete>) -> Vec<String> {
        let gone = match on_delete {
            Some(OnDelete::Deprecate) => "deprecated, since their folders are gone",
            _ => "removed, since their folders are gone",
        };
        let texts = [
            (self.added, "added"),
            (self.restored, "there again"),
            (self.relisted, "with other files"),
            (self.gone, gone),
        ];
        let texts = texts.into_iter().filter(|(count, _)| *count > 0);
        texts
            .map(|(count, text)| {
                format!("{count} partition{} {text}", if count == 1 { "" } else { "s" })
            })
            .collect()
    }
}

fn partition(place: &Place) -> Partition {
    Partition {
        values: place.values.clone(),
        location: place.location.clone(),
        parameters: BTreeMap::new(),
        files: place.files.clone(),
        details: Default::default(),
    }
}

fn same_files(a: &[crate::DataFile], b: &[crate::DataFile]) -> bool {
    let key = |file: &crate::DataFile| (file.path.clone(), file.size_bytes, file.modified_at_ms);
    let (mut a, mut b): (Vec<_>, Vec<_>) =
        (a.iter().map(key).collect(), b.iter().map(key).collect());
    a.sort();
    b.sort();
    a == b
}

/// Whether what was found can be the data of the table; if not, why not.
fn fits(found: &Found, table: &Table) -> Result<(), String> {
    let format = found.shape.format;
    match table.spec.format {
        Some(known) if known != format => {
            return Err(format!("its files are {format} now; drop it to have it made again"));
        }
        None => return Err("it has no format".into()),
        _ => {}
    }
    let known: Vec<&str> = table.spec.partition_keys.iter().map(|key| key.name.as_str()).collect();
    let names: Vec<&str> = found.keys.iter().map(|key| key.name.as_str()).collect();
    let is_same = known.len() == names.len()
        && known.iter().zip(&names).all(|(a, b)| a.eq_ignore_ascii_case(b));
    if !is_same && found.places.is_some() {
        let shown = |keys: &[&str]| match keys {
            [] => "none".to_owned(),
            keys => keys.join(", "),
        };
        return Err(format!(
            "its folders have the keys {}, it has {}; drop it to have it made again",
            shown(&names),
            shown(&known)
        ));
    }
    Ok(())
}

/// The type that holds a key's values and this one too. Numbers stay numbers: the catalog keeps
/// them in the order of numbers.
fn wider_key(kept: &str, value: &str) -> Option<&'static str> {
    match kept.to_ascii_lowercase().as_str() {
        "tinyint" | "smallint" | "int" | "integer" if keys::fits("int", value) => Some("int"),
        "tinyint" | "smallint" | "int" | "integer" if keys::fits("bigint", value) => Some("bigint"),
        "date" => Some("string"),
        _ => None,
    }
}

/// Takes newer Iceberg metadata into the parameters.
fn newer_metadata(found: &Found, spec: &mut TableSpec) -> Option<String> {
    let newest = found.parameters.get(METADATA_LOCATION)?;
    let known = spec.parameters.get(METADATA_LOCATION);
    // Whoever commits through the catalog may be ahead of what was listed.
    if known == Some(newest) || known.is_some_and(|known| number(known) > number(newest)) {
        return None;
    }
    let known = spec.parameters.insert(METADATA_LOCATION.into(), newest.clone());
    if let Some(known) = known {
        spec.parameters.insert("previous_metadata_location".into(), known);
    }
    Some("it has newer metadata".to_owned())
}

/// The number in the name of a metadata file.
fn number(location: &str) -> u64 {
    let name = location.rsplit('/').next().unwrap_or_default();
    let digits = name.trim_start_matches('v').split(['-', '.']).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}
