//! Databases that the engine itself has: `information_schema`, and `system` with what it did.

mod crawls;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use boathouse_catalog::{Error as CatalogError, TableName};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;

use crate::loads;
use crate::names::did_you_mean;
use crate::session::Session;
use crate::{Error, ErrorKind, Result};

/// The database of [`SystemTable`]s.
pub(crate) const SYSTEM: &str = "system";
/// The database that the SQL standard says of.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// The stored name of a database of the engine's own, if `name` is one.
pub(crate) fn own_database(name: &str) -> Option<&'static str> {
    [INFORMATION_SCHEMA, SYSTEM].into_iter().find(|own| own.eq_ignore_ascii_case(name))
}

/// The system table that a name means: one of the database `system`, or, as Redshift's clients
/// write it, `sys_…` without a database where the current one has no table of that name.
pub(crate) async fn system_table(
    session: &Session,
    database: &str,
    name: &str,
) -> Result<Option<SystemTable>> {
    if database.eq_ignore_ascii_case(SYSTEM) {
        return SystemTable::find(name).map(Some);
    }
    let found = SystemTable::ALL.into_iter().find(|table| table.name() == name);
    let is_bare = name.starts_with("sys_") && database.eq_ignore_ascii_case(&session.database());
    let Some(found) = found.filter(|_| is_bare) else { return Ok(None) };
    match session.catalog().table(&TableName::new(database, name)?).await {
        Ok(_) => Ok(None),
        Err(CatalogError::NotFound { .. }) => Ok(Some(found)),
        Err(error) => Err(error.into()),
    }
}

/// A table of the database `system`. Its rows are those there are when a query is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SystemTable {
    Crawls,
    CrawlChanges,
    LoadHistory,
    LoadErrors,
}

impl SystemTable {
    /// All of them, sorted by name.
    pub(crate) const ALL: [Self; 4] =
        [Self::CrawlChanges, Self::Crawls, Self::LoadErrors, Self::LoadHistory];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crawls => "crawls",
            Self::CrawlChanges => "crawl_changes",
            Self::LoadHistory => "sys_load_history",
            Self::LoadErrors => "sys_load_errors",
        }
    }

    /// The table of this name, or an error that names the nearest.
    pub(crate) fn find(name: &str) -> Result<Self> {
        if let Some(found) = Self::ALL.into_iter().find(|table| table.name() == name) {
            return Ok(found);
        }
        let text = format!("table \"{SYSTEM}.{name}\" does not exist");
        let hint = did_you_mean(name, &Self::ALL.map(Self::name));
        Err(Error::new(ErrorKind::NotFound, text)
            .with_word(name)
            .with_hint(hint.unwrap_or_else(|| format!("SHOW TABLES FROM {SYSTEM} lists them."))))
    }

    pub(crate) fn schema(self) -> SchemaRef {
        match self {
            Self::Crawls => crawls::crawls_schema(),
            Self::CrawlChanges => crawls::changes_schema(),
            Self::LoadHistory => loads::history_schema(),
            Self::LoadErrors => loads::errors_schema(),
        }
    }

    /// The table with its rows of now.
    pub(crate) async fn read(self, session: &Session) -> Result<Arc<dyn TableProvider>> {
        let rows = match self {
            Self::Crawls => crawls::crawls(session.catalog()).await?,
            Self::CrawlChanges => crawls::changes(session.catalog()).await?,
            Self::LoadHistory => loads::history(session.catalog()).await?,
            Self::LoadErrors => loads::errors(session.catalog()).await?,
        };
        self.provider(vec![rows])
    }

    /// The table without rows, for lists of tables and columns.
    pub(crate) fn listed(self) -> Result<Arc<dyn TableProvider>> {
        self.provider(Vec::new())
    }

    fn provider(self, rows: Vec<RecordBatch>) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(MemTable::try_new(self.schema(), vec![rows])?))
    }
}
