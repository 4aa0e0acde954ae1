//! Reading partitions, by an index on their keys.

use std::ops::Bound;

use sqlx::AssertSqlSafe;

use super::Catalog;
use super::rows::At;
use crate::sort_key::{KeyKind, SortKeys};
use crate::store::{Failure, Row, Transaction, Value, values};
use crate::{
    Error, ObjectKind, Partition, PartitionFilter, PartitionTotals, Result, Table, TableSpec,
};

/// From how many matches on a constraint counts as matching everything: counting must stay cheap.
const COUNT_LIMIT: i64 = 10_000;

impl Catalog {
    /// The partitions that `table` had at its `data_version` and that `filter` may match, ordered
    /// by their values with NULL first.
    ///
    /// It reads no other partitions, whichever keys the filter names. A data version can be read
    /// for an hour after the next one is committed; then it is [`Error::NotFound`].
    pub async fn partitions(
        &self,
        table: &Table,
        filter: &PartitionFilter,
    ) -> Result<Vec<Partition>> {
        let tests = tests(table, filter)?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let (at, _) = locate(&mut reader, table).await?;
            let query = Query::plan(&mut reader, at, &tests).await?;
            let rows = reader.rows(AssertSqlSafe(query.sql), query.values).await?;
            rows.iter().map(read).collect::<Result<Vec<_>, Failure>>()
        };
        let attempt = format!("read the partitions of table \"{}\"", table.name);
        let mut partitions = self.store.run(&attempt, work).await?;
        partitions.sort_by_cached_key(|partition| sort_keys(partition, &table.spec));
        Ok(partitions)
    }

    /// How many partitions `table` had at its `data_version`, and how many files those list. It
    /// is kept, not counted.
    pub async fn partition_totals(&self, table: &Table) -> Result<PartitionTotals> {
        let work = || async {
            let mut reader = self.store.read().await?;
            Ok(locate(&mut reader, table).await?.1)
        };
        let attempt = format!("count the partitions of table \"{}\"", table.name);
        self.store.run(&attempt, work).await
    }
}

#[cfg(test)]
impl Catalog {
    /// How the store would do [`Catalog::partitions`], step by step, in its own words.
    pub(crate) async fn explain_partitions(
        &self,
        table: &Table,
        filter: &PartitionFilter,
    ) -> Result<Vec<String>, Failure> {
        let mut reader = self.store.read().await?;
        let (at, _) = locate(&mut reader, table).await?;
        let query = Query::plan(&mut reader, at, &tests(table, filter)?).await?;
        let (explain, column) = match &reader {
            Transaction::Sqlite { .. } => ("EXPLAIN QUERY PLAN", 3),
            Transaction::Postgres { .. } => ("EXPLAIN", 0),
        };
        let sql = AssertSqlSafe(format!("{explain} {}", query.sql));
        let rows = reader.rows(sql, query.values).await?;
        rows.iter().map(|row| Ok(row.text(column)?)).collect()
    }
}

/// A constraint as the store can test it: the position of the key and its sort keys.
type Test = (i64, SortKeys);

fn tests(table: &Table, filter: &PartitionFilter) -> Result<Vec<Test>> {
    let test = |constraint: &crate::KeyConstraint| {
        let key = table.spec.partition_keys.get(constraint.key).ok_or_else(|| {
            Error::Invalid(format!(
                "\"{}\" has no partition key number {}",
                table.name,
                constraint.key + 1
            ))
        })?;
        let sort_keys = SortKeys::passing(&constraint.test, KeyKind::of(&key.data_type));
        Ok((constraint.key as i64, sort_keys))
    };
    filter.constraints.iter().map(test).collect()
}

/// Where the rows of the table's data version are, and how much it has.
async fn locate(reader: &mut Transaction, table: &Table) -> Result<(At, PartitionTotals), Failure> {
    let sql = "SELECT t.table_no, d.partition_count, d.file_count
               FROM tables t LEFT JOIN data_versions d
                    ON d.table_no = t.table_no AND d.data_version = $2
               WHERE t.id = $1";
    let row = reader.row(sql, values![table.id.as_str(), table.data_version]).await?;
    let row = row.ok_or_else(|| Error::no_table(&table.name))?;
    let partitions = row.optional_int(1)?.ok_or_else(|| Error::NotFound {
        kind: ObjectKind::Version,
        name: format!("{} of the partitions of {}", table.data_version, table.name),
    })?;
    let at = At { table_no: row.int(0)?, data_version: table.data_version };
    let partitions = partitions.cast_unsigned();
    Ok((at, PartitionTotals { partitions, files: row.count(2)? }))
}

/// A statement for partitions and its parameters.
struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    /// The query for the partitions that pass `tests`.
    ///
    /// It walks the index along the test that the fewest pass and looks up the other keys of each
    /// partition it meets. In SQLite, CROSS JOIN fixes that order; and neither store turns a query
    /// for a single value into a join, as PostgreSQL might an EXISTS, only to walk along each test.
    async fn plan(reader: &mut Transaction, at: At, tests: &[Test]) -> Result<Self, Failure> {
        let mut query = Self::new(at);
        let Some(driver) = most_selective(reader, at, tests).await? else {
            query.sql.push_str("FROM partitions p WHERE p.table_no = $1");
            query.restrict_to_version();
            return Ok(query);
        };
        query.sql.push_str("FROM partition_keys k CROSS JOIN partitions p WHERE k.table_no = $1");
        query.walk(reader, &tests[driver]);
        query.sql.push_str(" AND p.table_no = $1 AND p.partition_no = k.partition_no");
        query.restrict_to_version();
        for (position, (key, sort_keys)) in tests.iter().enumerate() {
            if position != driver {
                query.sql.push_str(" AND (SELECT ");
                query.test(reader, "o.sort_key", sort_keys);
                query.sql.push_str(
                    " FROM partition_keys o WHERE o.table_no = $1 \
                     AND o.partition_no = k.partition_no",
                );
                query.push(" AND o.key_position = ", *key);
                query.sql.push(')');
            }
        }
        Ok(query)
    }

    fn new(at: At) -> Self {
        let sql = "SELECT p.partition_values, p.location, p.parameters, p.files ".to_owned();
        Self { sql, values: values![at.table_no, at.data_version] }
    }

    fn restrict_to_version(&mut self) {
        self.sql.push_str(" AND p.added_at <= $2 AND (p.removed_at IS NULL OR $2 < p.removed_at)");
    }

    /// Adds that the rows `k` of `partition_keys` pass a test.
    fn walk(&mut self, reader: &Transaction, (key, sort_keys): &Test) {
        self.push(" AND k.key_position = ", *key);
        self.sql.push_str(" AND ");
        self.test(reader, "k.sort_key", sort_keys);
    }

    /// Adds the test of one sort key.
    fn test(&mut self, reader: &Transaction, column: &str, passing: &SortKeys) {
        match passing {
            SortKeys::In(keys) => match keys.as_slice() {
                [key] => self.push(&format!("{column} = "), key.as_str()),
                keys => {
                    self.values.push(serde_json::json!(keys).to_string().into());
                    self.sql.push_str(&reader.is_in(column, self.values.len(), keys.len()));
                }
            },
            SortKeys::Range(low, high) => {
                let mut and = "";
                for (bound, included, excluded) in [(low, ">=", ">"), (high, "<=", "<")] {
                    let (operator, key) = match bound {
                        Bound::Included(key) => (included, key),
                        Bound::Excluded(key) => (excluded, key),
                        Bound::Unbounded => continue,
                    };
                    self.push(&format!("{and}{column} {operator} "), key.as_str());
                    and = " AND ";
                }
            }
        }
    }

    /// Appends SQL and a parameter.
    fn push(&mut self, sql: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.sql.push_str(&format!("{sql}${}", self.values.len()));
    }
}

/// The position of the test that the fewest partitions pass. The count of each ends at a limit;
/// where all reach it the last key is taken, since keys often go from coarse to fine.
async fn most_selective(
    reader: &mut Transaction,
    at: At,
    tests: &[Test],
) -> Result<Option<usize>, Failure> {
    if tests.len() < 2 {
        return Ok(tests.len().checked_sub(1));
    }
    let mut best: Option<(i64, usize)> = None;
    for (position, test) in tests.iter().enumerate() {
        let mut query = Query { sql: String::new(), values: values![at.table_no, COUNT_LIMIT] };
        query
            .sql
            .push_str("SELECT count(*) FROM (SELECT 1 FROM partition_keys k WHERE k.table_no = $1");
        query.walk(reader, test);
        query.sql.push_str(" LIMIT $2) counted");
        let row = reader.row(AssertSqlSafe(query.sql), query.values).await?;
        let count = row.map(|row| row.int(0)).transpose()?.unwrap_or(0);
        if best.is_none_or(|(least, _)| count <= least) {
            best = Some((count, position));
        }
    }
    Ok(best.map(|(_, position)| position))
}

fn read(row: &Row) -> Result<Partition, Failure> {
    let files = row.optional_text(3)?;
    Ok(Partition {
        values: serde_json::from_str(&row.text(0)?)?,
        location: row.text(1)?,
        parameters: serde_json::from_str(&row.text(2)?)?,
        files: files.map(|files| serde_json::from_str(&files)).transpose()?,
    })
}

fn sort_keys(partition: &Partition, spec: &TableSpec) -> Vec<Option<String>> {
    let keys = spec.partition_keys.iter().zip(&partition.values);
    keys.map(|(key, value)| KeyKind::of(&key.data_type).encode(value.as_deref())).collect()
}
