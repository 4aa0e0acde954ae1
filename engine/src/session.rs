//! A connection's view of the engine: its current database and settings.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use boathouse_catalog::{Catalog, TableName, TableType};
use datafusion::execution::config::SessionConfig;
use datafusion::execution::session_state::SessionState;

use crate::engine::Engine;
use crate::names::did_you_mean;
use crate::query::Query;
use crate::settings::{self, CATALOG, Setting};
use crate::system::own_database;
use crate::work::Work;
use crate::{Error, Result};

/// One per connection. Clones share the current database and the settings.
#[derive(Clone)]
pub struct Session {
    pub(crate) engine: Engine,
    config: Arc<Mutex<SessionConfig>>,
    /// How far the statement is that runs with this clone.
    pub(crate) work: Arc<Work>,
}

/// A table or view as metadata calls list it.
#[derive(Clone, Debug)]
pub struct TableEntry {
    /// Its database.
    pub database: String,
    /// Its name within the database.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// What its owner says of it.
    pub comment: Option<String>,
    /// Columns with partition keys last; only where it was asked for.
    pub schema: Option<SchemaRef>,
}

/// What a [`TableEntry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// A table of rows, here or elsewhere in the lake.
    Table,
    /// A stored query.
    View,
    /// A table of `information_schema` or `system`.
    SystemTable,
}

impl TableKind {
    /// The word that JDBC and Flight SQL use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::View => "VIEW",
            Self::SystemTable => "SYSTEM TABLE",
        }
    }
}

impl From<TableType> for TableKind {
    fn from(table_type: TableType) -> Self {
        match table_type {
            TableType::External | TableType::Managed => Self::Table,
            TableType::View => Self::View,
        }
    }
}

impl Session {
    pub(crate) fn new(engine: Engine) -> Self {
        let config = engine.shared().base_state.config().clone();
        Self { engine, config: Arc::new(Mutex::new(config)), work: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, SessionConfig> {
        // A panic can't leave half a change here: each setting is one assignment.
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A clone for one statement, which counts its work apart from others'.
    pub(crate) fn for_work(&self) -> Self {
        Self { work: Arc::default(), ..self.clone() }
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.engine.shared().catalog
    }

    /// Parses, resolves and plans one statement. Nothing is created, changed, or read beyond
    /// metadata before [`Query::execute`].
    pub async fn query(&self, sql: &str) -> Result<Query> {
        Query::plan(self, sql).await
    }

    /// The current database.
    pub fn database(&self) -> String {
        self.lock().options().catalog.default_schema.clone()
    }

    /// Makes a database the current one.
    pub async fn use_database(&self, name: &str) -> Result<()> {
        let name = match own_database(name) {
            Some(own) => own.to_owned(),
            None => self.find_database(name).await?,
        };
        self.lock().options_mut().catalog.default_schema = name;
        Ok(())
    }

    /// The stored name of a database, or an error with the nearest candidates.
    pub(crate) async fn find_database(&self, name: &str) -> Result<String> {
        match self.catalog().database(name).await {
            Ok(database) => Ok(database.name),
            Err(error) => Err(self.with_candidates(error.into(), name).await),
        }
    }

    async fn with_candidates(&self, error: Error, name: &str) -> Error {
        if error.kind() != crate::ErrorKind::NotFound {
            return error;
        }
        let names = self.databases().await.unwrap_or_default();
        match did_you_mean(name, &names) {
            Some(hint) => error.with_hint(hint),
            None => error.with_hint("SHOW DATABASES lists them."),
        }
    }

    /// As SQL's SET: the value is checked, and counts from the next query on.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        settings::set(&mut self.lock(), name, value)
    }

    pub(crate) fn reset(&self, name: &str) -> Result<()> {
        let defaults = self.engine.shared().base_state.config();
        settings::reset(&mut self.lock(), defaults, name)
    }

    /// Every setting with its current value, sorted by name.
    pub fn settings(&self) -> Vec<Setting> {
        settings::list(&self.lock())
    }

    pub(crate) fn setting_name(&self, name: &str) -> Result<String> {
        settings::full_name(&self.lock(), name)
    }

    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        match settings::session_settings(&self.lock()).statement_timeout_seconds {
            0 => None,
            seconds => Some(Duration::from_secs(seconds)),
        }
    }

    /// Whether VACUUM refuses to remove files that are younger than the table says.
    pub(crate) fn checks_retention(&self) -> bool {
        settings::session_settings(&self.lock()).vacuum_retention_check
    }

    pub(crate) fn view_types(&self) -> bool {
        settings::session_settings(&self.lock()).view_types
    }

    /// What one query is planned with: the settings as they are now, the clock at now, and no
    /// tables yet.
    pub(crate) fn query_state(&self) -> SessionState {
        let mut state = self.engine.shared().base_state.clone();
        *state.config_mut() = self.lock().clone();
        state.mark_start_execution();
        state
    }

    /// The databases, sorted.
    pub async fn databases(&self) -> Result<Vec<String>> {
        Ok(self.catalog().databases().await?.into_iter().map(|database| database.name).collect())
    }

    /// Tables and views, sorted by database and name. With `with_schema` their columns come
    /// along, from the catalog: no file is read.
    pub async fn tables(&self, with_schema: bool) -> Result<Vec<TableEntry>> {
        let mut entries = Vec::new();
        if with_schema {
            for table in self.catalog().all_tables().await? {
                let schema = crate::resolve::catalog_schema(&table)?;
                entries.push(TableEntry {
                    database: table.name.database().to_owned(),
                    name: table.name.table().to_owned(),
                    kind: table.spec.table_type.into(),
                    comment: table.spec.comment,
                    schema: Some(schema),
                });
            }
        } else {
            for table in self.catalog().table_summaries(None).await? {
                entries.push(TableEntry {
                    database: table.name.database().to_owned(),
                    name: table.name.table().to_owned(),
                    kind: table.table_type.into(),
                    comment: table.comment,
                    schema: None,
                });
            }
        }
        entries.extend(crate::resolve::own_tables(with_schema).await?);
        entries.sort_by(|a, b| (&a.database, &a.name).cmp(&(&b.database, &b.name)));
        Ok(entries)
    }

    /// The full name that `parts` (one to three, outermost first) mean in this session.
    pub(crate) fn table_name(&self, parts: &[String]) -> Result<TableName> {
        let database = self.database();
        let (database, table) = match parts {
            [table] => (database.as_str(), table),
            [database, table] => (database.as_str(), table),
            [catalog, database, table] if catalog.eq_ignore_ascii_case(CATALOG) => {
                (database.as_str(), table)
            }
            [catalog, _, _] => return Err(no_such_catalog(catalog)),
            _ => {
                return Err(Error::invalid(format!("\"{}\" is no table name", parts.join(".")))
                    .with_hint("Write table, database.table or boathouse.database.table."));
            }
        };
        Ok(TableName::new(database, table)?)
    }
}

pub(crate) fn no_such_catalog(name: &str) -> Error {
    Error::new(crate::ErrorKind::NotFound, format!("catalog \"{name}\" does not exist"))
        .with_hint(format!("There is one catalog, \"{CATALOG}\"."))
}
