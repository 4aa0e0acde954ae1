//! Reading: makes sure that the mirror has what is asked for, and not too old.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::memory::Known;
use super::mirror::Arrival;
use super::{Federation, Pin};
use crate::glue::ShownTable;
use crate::name::fold;
use crate::{DEFAULT_DATABASE, Error, Result, Table, TableName, TableSpec};

/// Databases whose tables are listed at once.
const LISTED_AT_ONCE: usize = 4;
/// How often something is asked for again that left the mirror before it was read.
const TRIES: usize = 5;

impl Federation {
    /// All databases are in the mirror.
    pub(crate) async fn pin_databases(&self) -> Result<Pin> {
        self.fresh_databases().await?;
        Ok(self.pin().await)
    }

    /// The database is in the mirror, and there.
    pub(crate) async fn pin_database(&self, name: &str) -> Result<Pin> {
        self.fresh_database(&fold(name)?).await?;
        Ok(self.pin().await)
    }

    /// The tables of a database are in the mirror.
    pub(crate) async fn pin_listing(&self, database: &str) -> Result<Pin> {
        let database = fold(database)?;
        for _ in 0..TRIES {
            self.fresh_listing(&database).await?;
            let pin = self.pin().await;
            if self.memory().keeps_listing(&database) {
                return Ok(pin);
            }
        }
        Err(self.too_small())
    }

    /// The tables of all databases are in the mirror.
    pub(crate) async fn pin_all(&self) -> Result<Pin> {
        for _ in 0..TRIES {
            let databases = self.fresh_databases().await?;
            let listings: Vec<BoxFuture<'_, Result<()>>> =
                databases.iter().map(|name| self.fresh_listing_if_there(name).boxed()).collect();
            stream::iter(listings)
                .buffer_unordered(LISTED_AT_ONCE)
                .try_collect::<Vec<()>>()
                .await?;
            let pin = self.pin().await;
            let memory = self.memory();
            if databases.iter().all(|name| memory.keeps_listing(name)) {
                return Ok(pin);
            }
        }
        Err(self.too_small())
    }

    /// The table is in the mirror, and if its partitions were ever asked for, they are too.
    pub(crate) async fn pin_table(&self, name: &TableName) -> Result<Pin> {
        for _ in 0..TRIES {
            self.fresh_table(name).await?;
            let pin = self.pin().await;
            if self.memory().table(name).is_some() {
                return Ok(pin);
            }
        }
        Err(self.too_small())
    }

    /// The partitions of the table are in the mirror, as of its data version.
    pub(crate) async fn pin_partitions(&self, table: &Table) -> Result<Pin> {
        for _ in 0..TRIES {
            self.fill(table).await?;
            let pin = self.pin().await;
            if self.has_partitions(table) != Some(false) {
                return Ok(pin);
            }
        }
        Err(self.too_small())
    }

    async fn pin(&self) -> Pin {
        Arc::clone(&self.pins).read_owned().await
    }

    fn too_small(&self) -> Error {
        Error::Unavailable {
            attempt: format!("keep what was asked of catalog \"{}\"", self.calls.name()),
            source: Arc::new(std::io::Error::other("too much is asked of it at once")),
        }
    }

    /// Whether the mirror has the partitions of this very table; `None` if it does not know it.
    fn has_partitions(&self, table: &Table) -> Option<bool> {
        if table.spec.partition_keys.is_empty() {
            return Some(true);
        }
        let memory = self.memory();
        let known = memory.table(&table.name).filter(|known| known.id == table.id)?;
        Some(known.partitions.is_some())
    }

    /// The names of all databases.
    async fn fresh_databases(&self) -> Result<Vec<String>> {
        if !self.memory().has_databases() {
            let _turn = self.turns.databases().await;
            if !self.memory().has_databases() {
                self.fetch_databases().await?;
            }
        }
        self.mirror.database_names().await
    }

    /// Asks for all databases. The caller has their turn.
    async fn fetch_databases(&self) -> Result<()> {
        let at = Instant::now();
        let databases = self.calls.databases().await?;
        self.mirror.put_databases(&databases).await?;
        let names = databases.into_iter().map(|database| database.name);
        self.memory().saw_databases(names, at);
        Ok(())
    }

    pub(super) async fn fresh_database(&self, name: &str) -> Result<()> {
        let known = self.memory().database(name);
        let is_there = match known {
            Some(is_there) => is_there,
            None => {
                let _turn = self.turns.databases().await;
                self.fetch_database(name).await?
            }
        };
        match is_there || name == DEFAULT_DATABASE {
            true => Ok(()),
            false => Err(Error::no_database(name)),
        }
    }

    /// Asks whether a database is there. The caller has the turn of the databases.
    pub(super) async fn fetch_database(&self, name: &str) -> Result<bool> {
        let at = Instant::now();
        let found = self.calls.database(name).await?;
        match &found {
            Some(database) => self.mirror.put_database(database).await?,
            None => {
                self.mirror.drop_database(name).await?;
                self.memory().forget_database(name);
            }
        }
        self.memory().saw_database(name, at, found.is_some());
        Ok(found.is_some())
    }

    /// A database that is dropped while all are listed has no tables.
    async fn fresh_listing_if_there(&self, database: &str) -> Result<()> {
        match self.fresh_listing(database).await {
            Err(Error::NotFound { .. }) => {
                self.memory().saw_listing(database, Instant::now());
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn fresh_listing(&self, database: &str) -> Result<()> {
        if self.memory().has_listing(database) {
            return Ok(());
        }
        let _turn = self.turns.listing(database).await;
        if self.memory().has_listing(database) {
            return Ok(());
        }
        self.fetch_listing(database).await
    }

    /// Asks for the tables of a database. The caller has its turn.
    pub(super) async fn fetch_listing(&self, database: &str) -> Result<()> {
        self.make_room().await?;
        let at = Instant::now();
        let Some(shown) = self.calls.tables(database).await? else {
            self.mirror.drop_database(database).await?;
            self.memory().forget_database(database);
            if database != DEFAULT_DATABASE {
                return Err(Error::no_database(database));
            }
            self.memory().saw_listing(database, at);
            return Ok(());
        };
        let mut gone = self.memory().tables_of(database);
        gone.retain(|(name, _)| !shown.iter().any(|table| table.name == *name));
        for (name, _) in &gone {
            self.memory().saw_no_table(name, at);
        }
        let ids: Vec<String> = gone.into_iter().map(|(_, id)| id).collect();
        self.mirror.drop_tables(&ids).await?;
        self.keep(database, shown, at).await?;
        self.memory().saw_listing(database, at);
        Ok(())
    }

    async fn fresh_table(&self, name: &TableName) -> Result<()> {
        if let Some(answer) = self.memory().fresh_table(name) {
            return answer;
        }
        let _turn = self.turns.table(name).await;
        if let Some(answer) = self.memory().fresh_table(name) {
            return answer;
        }
        self.fetch_table(name).await?.map(drop).ok_or_else(|| Error::no_table(name))
    }

    /// Asks for a table, and for its partitions if the mirror has old ones. The caller has its
    /// turn.
    pub(super) async fn fetch_table(&self, name: &TableName) -> Result<Option<Table>> {
        self.make_room().await?;
        let at = Instant::now();
        let Some(shown) = self.calls.table(name).await? else {
            self.forget_table(name, at).await?;
            return Ok(None);
        };
        if shown.name != *name {
            return Err(Error::Invalid(format!(
                "catalog \"{}\" was asked for table \"{name}\" and shows \"{}\"",
                self.calls.name(),
                shown.name
            )));
        }
        let has_old_partitions = self.memory().has_old_partitions(name);
        self.keep(name.database(), vec![shown], at).await?;
        let table = self.mirror.table(name).await?;
        if has_old_partitions && self.has_partitions(&table) == Some(true) {
            self.fetch_partitions(&table).await?;
            return self.mirror.table(name).await.map(Some);
        }
        Ok(Some(table))
    }

    /// The table is not there.
    pub(super) async fn forget_table(&self, name: &TableName, at: Instant) -> Result<()> {
        let known = self.memory().saw_no_table(name, at);
        self.mirror.drop_tables(&known.map(|known| known.id).into_iter().collect::<Vec<_>>()).await
    }

    /// Puts tables into the mirror that are not there as they are shown.
    async fn keep(&self, database: &str, shown: Vec<ShownTable>, at: Instant) -> Result<()> {
        let _pin = self.pin().await;
        let mut arrivals = Vec::new();
        for shown in shown {
            let known = self.memory().table(&shown.name).cloned();
            match known {
                Some(known) if known.is_of(&shown) => {
                    let known = Known { fetched: at, is_doubted: false, ..known };
                    self.memory().saw_table(shown.name, known);
                }
                known => arrivals.push(Arrival { shown, known }),
            }
        }
        if arrivals.is_empty() {
            return Ok(());
        }
        let ids = self.mirror.put_tables(database, &arrivals).await?;
        for (Arrival { shown, known }, id) in arrivals.into_iter().zip(ids) {
            let partitions = known.filter(|known| known.id == id).and_then(|k| k.partitions);
            let known = Known {
                id,
                fingerprint: fingerprint(&shown.spec),
                version_id: shown.version_id,
                created_at_ms: shown.created_at_ms,
                fetched: at,
                used: Instant::now(),
                is_doubted: false,
                partitions,
            };
            self.memory().saw_table(shown.name, known);
        }
        Ok(())
    }

    /// Has the partitions of a table in the mirror, if it knows the table.
    async fn fill(&self, table: &Table) -> Result<()> {
        if self.has_partitions(table) != Some(false) {
            return Ok(());
        }
        let _turn = self.turns.table(&table.name).await;
        match self.has_partitions(table) {
            Some(false) => self.fetch_partitions(table).await,
            _ => Ok(()),
        }
    }

    /// Asks for the partitions of a table that the mirror has. The caller has its turn.
    pub(super) async fn fetch_partitions(&self, table: &Table) -> Result<()> {
        let at = Instant::now();
        let partitions = self.calls.partitions(table, self.partitions_max).await?;
        let count = partitions.len() as u64;
        let is_first = self.has_partitions(table) == Some(false);
        let _pin = self.pin().await;
        match is_first {
            true => self.mirror.fill(table, partitions).await?,
            false => self.mirror.replace(table, partitions).await?,
        }
        self.memory().saw_partitions(&table.name, &table.id, at, count);
        Ok(())
    }

    /// Takes what was used least recently out of the mirror, if there is too much in it.
    async fn make_room(&self) -> Result<()> {
        if !self.memory().is_full() {
            return Ok(());
        }
        let _gate = self.pins.write().await;
        let gone = self.memory().make_room();
        self.mirror.drop_tables(&gone).await
    }
}

impl Known {
    /// Whether the table is shown as it is known.
    fn is_of(&self, shown: &ShownTable) -> bool {
        self.version_id == shown.version_id
            && self.created_at_ms == shown.created_at_ms
            && self.fingerprint == fingerprint(&shown.spec)
    }
}

/// A hash of a definition.
fn fingerprint(spec: &TableSpec) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(spec).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}
