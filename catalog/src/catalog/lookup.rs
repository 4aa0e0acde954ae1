//! Reading partitions, by an index on their keys.

use std::ops::Bound;

use serde::{Deserialize, Serialize};
use serde_json::Map;
use sqlx::AssertSqlSafe;

use super::Catalog;
use super::rows::At;
use crate::partition::identity;
use crate::sort_key::{KeyKind, SortKeys};
use crate::store::{Failure, Row, Transaction, Value, values};
use crate::{
    Error, ObjectKind, Partition, PartitionFilter, PartitionTotals, Result, Table, TableSpec,
};

/// From how many matches on a constraint counts as matching everything: counting must stay cheap.
const COUNT_LIMIT: i64 = 10_000;
/// What [`read`] reads.
const COLUMNS: &str = "SELECT p.partition_values, p.location, p.parameters, p.files, p.details";

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
        let _pin = self.pin_partitions(table).await?;
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

    /// Some of the partitions that [`Catalog::partitions`] finds, from just after a cursor on.
    ///
    /// They are ordered by the value of one key (NULL first; the key that the filter says most
    /// about, else the first) and then by age. Reading a page takes as long as it has partitions,
    /// however many there are. Segments of the same number in all are disjoint and hold
    /// everything together.
    pub async fn partition_page(
        &self,
        table: &Table,
        filter: &PartitionFilter,
        page: &PageRequest,
    ) -> Result<PartitionPage> {
        let mut tests = tests(table, filter)?;
        if tests.is_empty() && !table.spec.partition_keys.is_empty() {
            tests.push((0, SortKeys::Range(Bound::Unbounded, Bound::Unbounded)));
        }
        let _pin = self.pin_partitions(table).await?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let (at, _) = locate(&mut reader, table).await?;
            let driver = match &page.after {
                Some(cursor) => Some(cursor.driver).filter(|driver| *driver < tests.len()),
                None => most_selective(&mut reader, at, &tests).await?,
            };
            let query = Query::page(&reader, at, &tests, driver, page);
            let rows = reader.rows(AssertSqlSafe(query.sql), query.values).await?;
            let partitions = rows.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
            let is_full = partitions.len() == page.limit;
            let next = match rows.last().filter(|_| is_full) {
                Some(row) => Some(PartitionCursor {
                    driver: driver.unwrap_or(0),
                    sort_key: row.text(5)?,
                    partition_no: row.int(6)?,
                }),
                None => None,
            };
            Ok(PartitionPage { partitions, next })
        };
        let attempt = format!("read the partitions of table \"{}\"", table.name);
        self.store.run(&attempt, work).await
    }

    /// The partitions with exactly these values that `table` had at its `data_version`; those that
    /// are not there are left out.
    pub async fn partitions_of(
        &self,
        table: &Table,
        wanted: &[Vec<Option<String>>],
    ) -> Result<Vec<Partition>> {
        let identities: Vec<String> = wanted.iter().map(|values| identity(values)).collect();
        let _pin = self.pin_partitions(table).await?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let (at, _) = locate(&mut reader, table).await?;
            let mut query = Query::new(at);
            query.sql.push_str("FROM partitions p WHERE p.table_no = $1");
            query.restrict_to_version();
            query.values.push(serde_json::json!(identities).to_string().into());
            query.sql.push_str(" AND ");
            let is_in = reader.is_in("p.partition_values", 3, identities.len());
            query.sql.push_str(&is_in);
            let rows = reader.rows(AssertSqlSafe(query.sql), query.values).await?;
            rows.iter().map(read).collect::<Result<Vec<_>, Failure>>()
        };
        let attempt = format!("read the partitions of table \"{}\"", table.name);
        self.store.run(&attempt, work).await
    }

    /// How many partitions `table` had at its `data_version`, and how many files those list. It
    /// is kept, not counted.
    pub async fn partition_totals(&self, table: &Table) -> Result<PartitionTotals> {
        let _pin = self.pin_partitions(table).await?;
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

/// Which page of a table's partitions is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Where the page before it ended.
    pub after: Option<PartitionCursor>,
    /// How many partitions it has at most.
    pub limit: usize,
    /// The number of a segment, from 0, and how many segments there are.
    pub segment: Option<(u32, u32)>,
}

/// A place between two partitions, in the order of one filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionCursor {
    driver: usize,
    sort_key: String,
    partition_no: i64,
}

/// A page of a table's partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartitionPage {
    /// The partitions.
    pub partitions: Vec<Partition>,
    /// Where it ends, unless it is known to be the last.
    pub next: Option<PartitionCursor>,
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
        match most_selective(reader, at, tests).await? {
            Some(driver) => query.walk_along(reader, tests, driver),
            None => query.walk_all(),
        }
        Ok(query)
    }

    /// The query for one page of the partitions that pass `tests`, along the test `driver`.
    fn page(
        reader: &Transaction,
        at: At,
        tests: &[Test],
        driver: Option<usize>,
        page: &PageRequest,
    ) -> Self {
        let mut query = Self::new(at);
        let order = match driver {
            Some(driver) => {
                query.sql = format!("{COLUMNS}, k.sort_key, k.partition_no ");
                query.walk_along(reader, tests, driver);
                "k.sort_key, k.partition_no"
            }
            None => {
                query.sql = format!("{COLUMNS}, '', p.partition_no ");
                query.walk_all();
                "p.partition_no"
            }
        };
        if let Some(cursor) = &page.after {
            match driver {
                Some(_) => {
                    query.push(" AND (k.sort_key, k.partition_no) > (", cursor.sort_key.as_str());
                    query.push(", ", cursor.partition_no);
                    query.sql.push(')');
                }
                None => query.push(" AND p.partition_no > ", cursor.partition_no),
            }
        }
        if let Some((segment, segments)) = page.segment {
            query.push(" AND p.partition_no % ", i64::from(segments.max(1)));
            query.push(" = ", i64::from(segment));
        }
        query.sql.push_str(" ORDER BY ");
        query.sql.push_str(order);
        query.push(" LIMIT ", page.limit as i64);
        query
    }

    fn walk_all(&mut self) {
        self.sql.push_str("FROM partitions p WHERE p.table_no = $1");
        self.restrict_to_version();
    }

    fn walk_along(&mut self, reader: &Transaction, tests: &[Test], driver: usize) {
        self.sql.push_str("FROM partition_keys k CROSS JOIN partitions p WHERE k.table_no = $1");
        self.walk(reader, &tests[driver]);
        self.sql.push_str(" AND p.table_no = $1 AND p.partition_no = k.partition_no");
        self.restrict_to_version();
        for (position, (key, sort_keys)) in tests.iter().enumerate() {
            if position != driver {
                self.sql.push_str(" AND (SELECT ");
                self.test(reader, "o.sort_key", sort_keys);
                self.sql.push_str(
                    " FROM partition_keys o WHERE o.table_no = $1 \
                     AND o.partition_no = k.partition_no",
                );
                self.push(" AND o.key_position = ", *key);
                self.sql.push(')');
            }
        }
    }

    fn new(at: At) -> Self {
        let sql =
            "SELECT p.partition_values, p.location, p.parameters, p.files, p.details ".to_owned();
        Self { sql, values: values![at.table_no, at.data_version] }
    }

    fn restrict_to_version(&mut self) {
        self.sql.push_str(" AND p.added_at <= $2 AND (p.removed_at IS NULL OR $2 < p.removed_at)");
    }

    /// Adds that the rows `k` of `partition_keys` pass a test.
    fn walk(&mut self, reader: &Transaction, (key, sort_keys): &Test) {
        self.push(" AND k.key_position = ", *key);
        if *sort_keys != SortKeys::Range(Bound::Unbounded, Bound::Unbounded) {
            self.sql.push_str(" AND ");
            self.test(reader, "k.sort_key", sort_keys);
        }
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
    let details = row.optional_text(4)?;
    Ok(Partition {
        values: serde_json::from_str(&row.text(0)?)?,
        location: row.text(1)?,
        parameters: serde_json::from_str(&row.text(2)?)?,
        files: files.map(|files| serde_json::from_str(&files)).transpose()?,
        details: details.map_or(Ok(Map::new()), |details| serde_json::from_str(&details))?,
    })
}

fn sort_keys(partition: &Partition, spec: &TableSpec) -> Vec<Option<String>> {
    let keys = spec.partition_keys.iter().zip(&partition.values);
    keys.map(|(key, value)| KeyKind::of(&key.data_type).encode(value.as_deref())).collect()
}
