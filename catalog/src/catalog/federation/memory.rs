//! What is known of the remote catalog, and since when.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::{Error, Result, TableName};

/// How long at most the answer that something is not there counts.
const ABSENT_FOR: Duration = Duration::from_secs(5);
/// Names of databases, and of tables that are not there, that are remembered.
const NAMES_MAX: usize = 10_000;

/// How much is kept of the remote catalog, and how long it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) fresh_for: Duration,
    pub(super) tables: usize,
    pub(super) partitions: u64,
}

/// What the mirror has, by name.
#[derive(Debug)]
pub(super) struct Memory {
    limits: Limits,
    /// When all databases were listed.
    databases_at: Option<Instant>,
    databases: HashMap<String, Seen>,
    /// When the tables of a database were listed.
    listings: HashMap<String, Instant>,
    tables: HashMap<TableName, Known>,
    absent: HashMap<TableName, Instant>,
}

/// When a name was looked up, and whether it was there.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    is_there: bool,
}

/// What is known of a table that the mirror has.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Its id in the mirror.
    pub(super) id: String,
    /// The remote catalog's version.
    pub(super) version_id: Option<String>,
    /// When it was made, by the remote catalog's clock.
    pub(super) created_at_ms: i64,
    /// A hash of its definition.
    pub(super) fingerprint: u64,
    /// When its record was asked for.
    pub(super) fetched: Instant,
    pub(super) used: Instant,
    /// Whether it has changed since, or may have.
    pub(super) is_doubted: bool,
    /// How many partitions the mirror has of it, and since when, unless that is doubted; `None` if
    /// they were never asked for.
    pub(super) partitions: Option<(Option<Instant>, u64)>,
}

impl Memory {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            databases_at: None,
            databases: HashMap::new(),
            listings: HashMap::new(),
            tables: HashMap::new(),
            absent: HashMap::new(),
        }
    }

    fn is_fresh(&self, at: Instant) -> bool {
        at.elapsed() < self.limits.fresh_for
    }

    fn is_absent(&self, at: Instant) -> bool {
        at.elapsed() < self.limits.fresh_for.min(ABSENT_FOR)
    }

    pub(super) fn has_databases(&self) -> bool {
        self.databases_at.is_some_and(|at| self.is_fresh(at))
    }

    /// Whether a database is there, if that is known.
    pub(super) fn database(&self, name: &str) -> Option<bool> {
        let seen = self.databases.get(name)?;
        let counts = if seen.is_there { self.is_fresh(seen.at) } else { self.is_absent(seen.at) };
        counts.then_some(seen.is_there)
    }

    pub(super) fn saw_database(&mut self, name: &str, at: Instant, is_there: bool) {
        if NAMES_MAX <= self.databases.len() {
            self.databases.clear();
        }
        self.databases.insert(name.to_owned(), Seen { at, is_there });
    }

    pub(super) fn saw_databases(&mut self, names: impl Iterator<Item = String>, at: Instant) {
        self.databases_at = Some(at);
        for name in names {
            self.saw_database(&name, at, true);
        }
    }

    /// A database was made, or is gone.
    pub(super) fn changed_database(&mut self, name: &str) {
        self.databases_at = None;
        self.databases.remove(name);
    }

    /// Whether the tables of a database are listed, and recently.
    pub(super) fn has_listing(&self, database: &str) -> bool {
        self.listings.get(database).is_some_and(|at| self.is_fresh(*at))
    }

    /// Whether the tables of a database are listed, at whatever time.
    pub(super) fn keeps_listing(&self, database: &str) -> bool {
        self.listings.contains_key(database)
    }

    pub(super) fn saw_listing(&mut self, database: &str, at: Instant) {
        if NAMES_MAX <= self.listings.len() {
            self.listings.clear();
        }
        self.listings.insert(database.to_owned(), at);
    }

    /// The tables of a database that are known.
    pub(super) fn tables_of(&self, database: &str) -> Vec<(TableName, String)> {
        let of = self.tables.iter().filter(|(name, _)| name.database() == database);
        of.map(|(name, known)| (name.clone(), known.id.clone())).collect()
    }

    pub(super) fn table(&self, name: &TableName) -> Option<&Known> {
        self.tables.get(name)
    }

    /// What is to be said of a table without asking: that it is there, or is not.
    pub(super) fn fresh_table(&mut self, name: &TableName) -> Option<Result<()>> {
        if self.absent.get(name).is_some_and(|at| self.is_absent(*at)) {
            return Some(Err(Error::no_table(name)));
        }
        let fresh_for = self.limits.fresh_for;
        let known = self.tables.get_mut(name)?;
        let counts = |at: Instant| at.elapsed() < fresh_for;
        let partitions = known.partitions.is_none_or(|(at, _)| at.is_some_and(counts));
        if known.is_doubted || !counts(known.fetched) || !partitions {
            return None;
        }
        known.used = Instant::now();
        Some(Ok(()))
    }

    /// Whether the mirror has the partitions of a table and they are too old.
    pub(super) fn has_old_partitions(&self, name: &TableName) -> bool {
        let partitions = self.tables.get(name).and_then(|known| known.partitions);
        partitions.is_some_and(|(at, _)| !at.is_some_and(|at| self.is_fresh(at)))
    }

    pub(super) fn saw_table(&mut self, name: TableName, known: Known) {
        self.absent.remove(&name);
        self.tables.insert(name, known);
    }

    /// Its partitions are in the mirror.
    pub(super) fn saw_partitions(&mut self, name: &TableName, id: &str, at: Instant, count: u64) {
        if let Some(known) = self.tables.get_mut(name).filter(|known| known.id == id) {
            known.partitions = Some((Some(at), count));
            known.used = Instant::now();
        }
    }

    /// The table is not there; says what the mirror has of it.
    pub(super) fn saw_no_table(&mut self, name: &TableName, at: Instant) -> Option<Known> {
        if NAMES_MAX <= self.absent.len() {
            self.absent.clear();
        }
        self.absent.insert(name.clone(), at);
        self.tables.remove(name)
    }

    /// What is known of the table counts no longer.
    pub(super) fn doubt_table(&mut self, name: &TableName) {
        self.absent.remove(name);
        if let Some(known) = self.tables.get_mut(name) {
            known.is_doubted = true;
            known.partitions = known.partitions.map(|(_, count)| (None, count));
        }
    }

    /// The database is gone, and its tables with it.
    pub(super) fn forget_database(&mut self, name: &str) {
        self.changed_database(name);
        self.listings.remove(name);
        self.tables.retain(|table, _| table.database() != name);
        self.absent.retain(|table, _| table.database() != name);
    }

    /// Whether there is more than there should be.
    pub(super) fn is_full(&self) -> bool {
        self.limits.tables < self.tables.len() || self.limits.partitions < self.partitions()
    }

    fn partitions(&self) -> u64 {
        self.tables.values().map(weight).sum()
    }

    /// Forgets what was used least recently, if there is too much; the ids of those tables.
    pub(super) fn make_room(&mut self) -> Vec<String> {
        if !self.is_full() {
            return Vec::new();
        }
        let mut partitions = self.partitions();
        // Somewhat more than needed, so that not every new table sorts them all.
        let (few, light) = (self.limits.tables / 10 * 9, self.limits.partitions / 10 * 9);
        let mut oldest: Vec<(Instant, TableName)> =
            self.tables.iter().map(|(name, known)| (known.used, name.clone())).collect();
        oldest.sort();
        let mut gone = Vec::new();
        for (_, name) in oldest {
            if self.tables.len() <= few && partitions <= light {
                break;
            }
            self.listings.remove(name.database());
            if let Some(known) = self.tables.remove(&name) {
                partitions -= weight(&known);
                gone.push(known.id);
            }
        }
        gone
    }
}

fn weight(known: &Known) -> u64 {
    known.partitions.map_or(0, |(_, count)| count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(id: &str, used: Instant, partitions: Option<u64>) -> Known {
        Known {
            id: id.to_owned(),
            version_id: None,
            created_at_ms: 0,
            fingerprint: 0,
            fetched: used,
            used,
            is_doubted: false,
            partitions: partitions.map(|count| (Some(used), count)),
        }
    }

    fn memory(tables: usize, partitions: u64) -> Memory {
        Memory::new(Limits { fresh_for: Duration::from_secs(60), tables, partitions })
    }

    fn name(table: &str) -> TableName {
        TableName::new("web", table).unwrap()
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let mut memory = memory(20, 1000);
        let start = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        for number in 0..21_u64 {
            let used = start + Duration::from_millis(number);
            memory.saw_table(name(&format!("t{number}")), known(&number.to_string(), used, None));
        }
        memory.saw_listing("web", start);
        assert!(memory.fresh_table(&name("t0")).is_some_and(|known| known.is_ok()));
        assert_eq!(memory.make_room(), ["1", "2", "3"]);
        assert!(!memory.keeps_listing("web"));
        assert!(memory.make_room().is_empty());
    }

    #[test]
    fn many_partitions_weigh_more() {
        let mut memory = memory(20, 1000);
        let start = Instant::now();
        for (number, count) in [(1, 900), (2, 90), (3, 20)] {
            let used = start + Duration::from_millis(number);
            memory.saw_table(
                name(&format!("t{number}")),
                known(&number.to_string(), used, Some(count)),
            );
        }
        assert_eq!(memory.make_room(), ["1"]);
    }

    #[test]
    fn what_is_not_there_counts_too() {
        let mut memory = memory(20, 1000);
        assert!(memory.fresh_table(&name("t")).is_none());
        memory.saw_no_table(&name("t"), Instant::now());
        assert!(memory.fresh_table(&name("t")).is_some_and(|known| known.is_err()));
        memory.doubt_table(&name("t"));
        assert!(memory.fresh_table(&name("t")).is_none());
        memory.saw_database("web", Instant::now(), false);
        assert_eq!(memory.database("web"), Some(false));
        memory.changed_database("web");
        assert_eq!(memory.database("web"), None);
    }
}
