//! The names that may be completed, read with SQL so that they come from any server too.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use crate::client::Connection;
use crate::failure::{Failure, Result};

const DATABASES: &str = "SELECT schema_name FROM information_schema.schemata ORDER BY schema_name";
const TABLES: &str = "SELECT table_schema, table_name, table_type FROM information_schema.tables \
     ORDER BY table_schema, table_name";
const COLUMNS: &str = "SELECT table_schema, table_name, column_name, data_type \
     FROM information_schema.columns ORDER BY table_schema, table_name, ordinal_position";
const FUNCTIONS: &str =
    "SELECT DISTINCT routine_name FROM information_schema.routines ORDER BY routine_name";

/// What there is in a lake.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// The databases.
    pub(super) databases: Vec<String>,
    /// The tables and views, with their databases.
    pub(super) tables: BTreeMap<(String, String), Table>,
    /// The functions.
    pub(super) functions: Vec<String>,
    /// The database of bare table names.
    pub(super) current: String,
}

/// A table or view.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// What it is, as in "view".
    pub(super) kind: String,
    /// Its columns: names and types.
    pub(super) columns: Vec<(String, String)>,
}

/// Names that are read in the background.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedNames(Arc<RwLock<Arc<Names>>>);

impl SharedNames {
    /// What is known now.
    pub(super) fn now(&self) -> Arc<Names> {
        // Only whole values are ever stored.
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces what is known.
    pub(super) fn set(&self, names: Names) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
    }

    /// Reads all names again.
    pub(super) async fn refresh(&self, connection: &Connection) {
        match load(connection).await {
            Ok(names) => self.set(names),
            // Completion goes on with what it has.
            Err(failure) => tracing::info!("could not read the names to complete: {failure:?}"),
        }
    }
}

async fn load(connection: &Connection) -> Result<Names> {
    let mut names = Names { current: connection.database(), ..Names::default() };
    for row in texts(connection, DATABASES).await? {
        names.databases.extend(row);
    }
    for row in texts(connection, TABLES).await? {
        if let [database, table, kind] = row.as_slice() {
            let kind = if kind.to_lowercase().contains("view") { "view" } else { "table" };
            let table_of = (database.clone(), table.clone());
            names.tables.insert(table_of, Table { kind: kind.to_owned(), columns: Vec::new() });
        }
    }
    for row in texts(connection, COLUMNS).await? {
        if let [database, table, column, data_type] = row.as_slice()
            && let Some(table) = names.tables.get_mut(&(database.clone(), table.clone()))
        {
            table.columns.push((column.clone(), data_type.clone()));
        }
    }
    for row in texts(connection, FUNCTIONS).await? {
        names.functions.extend(row);
    }
    Ok(names)
}

/// The rows of a query whose columns are all texts.
pub(super) async fn texts(connection: &Connection, sql: &str) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for batch in connection.fetch(sql).await? {
        rows.extend(batch_texts(&batch)?);
    }
    Ok(rows)
}

fn batch_texts(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let mut rows = vec![Vec::new(); batch.num_rows()];
    for column in batch.columns() {
        let column = cast(column, &DataType::Utf8)
            .map_err(|error| Failure::Failed(format!("could not read the names: {error}")))?;
        let column = column.as_string::<i32>();
        for (index, row) in rows.iter_mut().enumerate() {
            row.push(if column.is_null(index) { "" } else { column.value(index) }.to_owned());
        }
    }
    Ok(rows)
}
