//! One transaction, its statements and their rows.

use std::fmt::Write;

use sqlx::postgres::PgRow;
use sqlx::query::Query;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Database, Encode, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite, Type};
use tokio::sync::OwnedMutexGuard;

use super::Failure;

/// How many parameters a statement may have: both stores allow more, but gain nothing from it.
const MAX_PARAMETERS: usize = 3000;
/// How many texts PostgreSQL may compare every row with.
const FEW_TEXTS: usize = 100;

/// A transaction. It is rolled back unless it is committed.
pub(crate) enum Transaction {
    Sqlite { transaction: sqlx::Transaction<'static, Sqlite>, _turn: Option<OwnedMutexGuard<()>> },
    Postgres { transaction: sqlx::Transaction<'static, Postgres> },
}

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Text(Option<String>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(value.cast_signed())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

/// The parameters of a statement: `values![id, 3, name]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::Value::from($value)),*] };
}
pub(crate) use values;

/// The same body for whichever store it is.
macro_rules! on_either {
    ($self:expr, $connection:ident => $body:expr) => {
        match $self {
            Transaction::Sqlite { transaction, .. } => {
                let $connection = &mut **transaction;
                $body
            }
            Transaction::Postgres { transaction } => {
                let $connection = &mut **transaction;
                $body
            }
        }
    };
}

impl Transaction {
    /// Runs a statement and says how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: impl SqlSafeStr,
        values: Vec<Value>,
    ) -> Result<u64, sqlx::Error> {
        let sql = sql.into_sql_str();
        on_either!(self, connection => {
            Ok(bound(sql, values).execute(connection).await?.rows_affected())
        })
    }

    /// All rows of a query.
    pub(crate) async fn rows(
        &mut self,
        sql: impl SqlSafeStr,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let sql = sql.into_sql_str();
        on_either!(self, connection => {
            let rows = bound(sql, values).fetch_all(connection).await?;
            Ok(rows.into_iter().map(Row::from).collect())
        })
    }

    /// The first row of a query.
    pub(crate) async fn row(
        &mut self,
        sql: impl SqlSafeStr,
        values: Vec<Value>,
    ) -> Result<Option<Row>, sqlx::Error> {
        let sql = sql.into_sql_str();
        on_either!(self, connection => {
            Ok(bound(sql, values).fetch_optional(connection).await?.map(Row::from))
        })
    }

    /// Runs statements that have no parameters.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        on_either!(self, connection => {
            sqlx::raw_sql(sql).execute(connection).await?;
            Ok(())
        })
    }

    /// Inserts rows, many with one statement. `into` is the table and its columns, as in
    /// `points (x, y)`.
    pub(crate) async fn insert(
        &mut self,
        into: &str,
        rows: Box<dyn Iterator<Item = Vec<Value>> + Send + '_>,
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows.peekable();
        let Some(width) = rows.peek().map(Vec::len) else { return Ok(()) };
        let full = MAX_PARAMETERS / width;
        // SQLite finds the name of a parameter by walking past all before it: many must have none.
        let numbered = matches!(self, Self::Postgres { .. });
        let full_sql = insert_sql(into, full, width, numbered);
        while rows.peek().is_some() {
            let values: Vec<Value> = rows.by_ref().take(full).flatten().collect();
            let count = values.len() / width;
            let sql = match count {
                _ if count == full => full_sql.clone(),
                _ => insert_sql(into, count, width, numbered),
            };
            self.execute(AssertSqlSafe(sql), values).await?;
        }
        Ok(())
    }

    /// Makes all changes at once, and for good.
    pub(crate) async fn commit(self) -> Result<(), Failure> {
        match self {
            Self::Sqlite { transaction, .. } => transaction.commit().await?,
            Self::Postgres { transaction } => transaction.commit().await?,
        }
        Ok(())
    }

    /// The condition that an expression is one of `count` texts, given as a JSON array in a
    /// parameter.
    ///
    /// PostgreSQL can look the texts of an array up in an index, but it may as well compare every
    /// row with every text, which only few bear. IS TRUE keeps it from making a join of the query
    /// for many texts: it hashes them, and reads each row once.
    pub(crate) fn is_in(&self, expression: &str, parameter: usize, count: usize) -> String {
        match self {
            Self::Sqlite { .. } => {
                format!("{expression} IN (SELECT value FROM json_each(${parameter}))")
            }
            Self::Postgres { .. } => {
                let texts =
                    format!("SELECT value FROM json_array_elements_text(${parameter}::json)");
                if count <= FEW_TEXTS {
                    format!("{expression} = ANY (ARRAY({texts}))")
                } else {
                    format!("({expression} IN ({texts})) IS TRUE")
                }
            }
        }
    }

    /// What ends a query whose rows of the table `t` nobody else may change until the transaction
    /// ends. In SQLite a writer is alone anyway.
    pub(crate) fn for_update(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "",
            Self::Postgres { .. } => " FOR UPDATE OF t",
        }
    }
}

fn bound<'q, DB>(sql: SqlStr, values: Vec<Value>) -> Query<'q, DB, DB::Arguments>
where
    DB: Database,
    i64: Encode<'q, DB> + Type<DB>,
    Option<String>: Encode<'q, DB> + Type<DB>,
{
    values.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
    })
}

/// An INSERT of that many rows. `numbered` parameters are `$1, $2, …`; others `?, ?, …`.
fn insert_sql(into: &str, rows: usize, width: usize, numbered: bool) -> String {
    let mut sql = format!("INSERT INTO {into} VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..width {
            sql.push_str(if column == 0 { "" } else { ", " });
            if numbered {
                // Writing to a string cannot fail.
                let _ = write!(sql, "${}", row * width + column + 1);
            } else {
                sql.push('?');
            }
        }
        sql.push(')');
    }
    sql
}

/// A row of either store.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self::Postgres(row)
    }
}

impl Row {
    pub(crate) fn int(&self, column: usize) -> Result<i64, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(crate) fn optional_int(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(crate) fn count(&self, column: usize) -> Result<u64, sqlx::Error> {
        self.int(column).map(i64::cast_unsigned)
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<String>, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}
