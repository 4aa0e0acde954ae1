//! Empty stores, and what the checks put into them.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Write;
use std::sync::Once;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    Catalog, Column, Format, KeyConstraint, KeyTest, Partition, PartitionFilter, Table, TableName,
    TableSpec, TableType, Update, View,
};

const POSTGRES_URL: &str = "BOATHOUSE_TEST_POSTGRES_URL";

/// Runs `check` on a new SQLite file.
pub(super) async fn on_sqlite<F: Future<Output = ()>>(check: impl Fn(String) -> F) {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path().join("catalog.db").to_str().unwrap().to_owned()).await;
}

/// Runs `check` in a new schema of the PostgreSQL database for tests, if there is one.
pub(super) async fn on_postgres<F>(check: impl Fn(String) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    static SAY_SKIPPED: Once = Once::new();
    let Ok(url) = std::env::var(POSTGRES_URL) else {
        // Not `eprintln`: the test harness would keep it to itself.
        SAY_SKIPPED.call_once(|| {
            let text = format!("SKIPPED: the catalog on PostgreSQL, {POSTGRES_URL} is not set");
            writeln!(std::io::stderr(), "{text}").unwrap();
        });
        return;
    };
    let schema = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut admin = PgConnection::connect(&url).await.unwrap();
    run(&mut admin, format!("CREATE SCHEMA {schema}")).await;
    let mut in_schema = url::Url::parse(&url).unwrap();
    in_schema.query_pairs_mut().append_pair("options[search_path]", &schema);
    // In a task of its own, so that the schema goes even if the check panics.
    let outcome = tokio::spawn(check(in_schema.into())).await;
    run(&mut admin, format!("DROP SCHEMA {schema} CASCADE")).await;
    if let Err(failed) = outcome {
        std::panic::resume_unwind(failed.into_panic());
    }
}

async fn run(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

pub(super) fn name(text: &str) -> TableName {
    let (database, table) = text.split_once('.').unwrap_or(("default", text));
    TableName::new(database, table).unwrap()
}

pub(super) fn column(name: &str, data_type: &str) -> Column {
    Column { name: name.into(), data_type: data_type.into(), nullable: true, comment: None }
}

/// An external Parquet table with keys given as `(name, type)`.
pub(super) fn spec(keys: &[(&str, &str)]) -> TableSpec {
    TableSpec {
        table_type: TableType::External,
        format: Some(Format::Parquet),
        location: Some("s3://lake/hits/".into()),
        columns: vec![column("url", "string"), column("Clicks", "bigint")],
        partition_keys: keys.iter().map(|(name, data_type)| column(name, data_type)).collect(),
        comment: Some("what was clicked".into()),
        parameters: BTreeMap::from([("Owner".into(), "web team".into())]),
        view: None,
        details: Default::default(),
    }
}

pub(super) fn view(sql: &str) -> TableSpec {
    TableSpec {
        table_type: TableType::View,
        format: None,
        location: None,
        columns: vec![column("n", "bigint")],
        partition_keys: vec![],
        comment: None,
        parameters: BTreeMap::new(),
        view: Some(View { sql: sql.into(), database: "default".into() }),
        details: Default::default(),
    }
}

/// Partition values; `NULL` stands for NULL.
pub(super) fn values(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| (*text != "NULL").then(|| (*text).to_owned())).collect()
}

pub(super) fn partition(texts: &[&str]) -> Partition {
    let location = format!("s3://lake/hits/{}/", texts.join("/"));
    Partition { values: values(texts), location, ..Partition::default() }
}

pub(super) fn only(key: usize, test: KeyTest) -> PartitionFilter {
    PartitionFilter { constraints: vec![KeyConstraint { key, test }] }
}

pub(super) fn is_in(texts: &[&str]) -> KeyTest {
    KeyTest::In(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// The first values of all partitions.
pub(super) async fn firsts(catalog: &Catalog, table: &Table) -> Vec<String> {
    let partitions = catalog.partitions(table, &PartitionFilter::default()).await.unwrap();
    partitions.iter().map(|p| p.values[0].clone().unwrap_or("NULL".into())).collect()
}

impl<T: std::fmt::Debug> Update<T> {
    pub(crate) fn done(self) -> T {
        match self {
            Self::Done(value) => value,
            Self::Conflict { .. } => panic!("not done: {self:?}"),
        }
    }
}
