//! Runs every `tests/slt/**/*.slt`, each against its own empty lake, in four ways: on the engine,
//! through a Flight SQL client, with the lake on S3 and the catalog in PostgreSQL, and with a
//! catalog that another Boathouse keeps.
//!
//! `SLT=pruning cargo test --workspace slt` runs the files whose path contains "pruning";
//! `SLT_COMPLETE=1 cargo test --workspace slt_on_the_engine` writes the results it got into
//! the files.
//!
//! In a file with `control substitution on`, `${DATASETS}` is the repository's `datasets/`,
//! `${DATA}` is `tests/slt/data/`, and `${SCRATCH}` is an empty folder. Results and messages
//! show the three as `<datasets>`, `<data>` and `<scratch>`. A query that begins with the line
//! `-- with names` has its column names as the first row of its result.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use futures::{StreamExt, stream};
use sqllogictest::{
    AsyncDB, DBOutput, DefaultColumnType, MakeConnection, Runner, default_normalizer,
    default_validator, strict_column_validator,
};

use crate::door::{Answer, Door, Session};
use crate::support::{Lake, Services, repository, values};

/// A file that takes longer than this hangs.
const TIME_MAX: Duration = Duration::from_secs(120);

/// What is otherwise with a catalog that another server keeps, and why.
const NOT_FEDERATED: &[(&str, &str)] = &[
    ("crawl/crawlers.slt", "crawlers and their crawls are kept where the catalog is"),
    ("crawl/location.slt", "crawlers and their crawls are kept where the catalog is"),
    ("crawl/system.slt", "crawlers and their crawls are kept where the catalog is"),
    ("copy/once.slt", "what loads did is not recorded"),
    ("copy/rows_that_cannot_be_read.slt", "what loads did is not recorded"),
    ("ddl/external_tables.slt", "AWS Glue's API has no way to rename a table"),
    ("ddl/rename_table.slt", "AWS Glue's API has no way to rename a table"),
    ("maintenance/analyze.slt", "statistics are not kept"),
    ("explain/analyze.slt", "no files are listed, so nobody knows how many are skipped"),
    ("explain/pruning.slt", "no files are listed, so nobody knows how many are skipped"),
    ("external_table/alter_partitions.slt", "SHOW PARTITIONS knows no files of a partition"),
    ("show/partitions.slt", "SHOW PARTITIONS knows no files of a partition"),
];

#[tokio::test]
async fn slt_on_the_engine() {
    run_files(async || Lake::local().await, async |lake| Door::engine(lake)).await;
}

#[tokio::test]
async fn slt_through_flight_sql() {
    run_files(async || Lake::local().await, async |lake| Door::flight(lake).await).await;
}

#[tokio::test]
async fn slt_on_s3_and_postgres() {
    let Some(services) = Services::from_env() else { return };
    run_files(async || Lake::shared(&services).await, async |lake| Door::engine(lake)).await;
}

#[tokio::test]
async fn slt_with_the_catalog_of_another() {
    let is_other = |path: &str| NOT_FEDERATED.iter().any(|(end, _)| path.ends_with(end));
    let mut files = wanted_files();
    files.retain(|path| !is_other(&path.to_string_lossy()));
    if !files.is_empty() {
        run(files, async || Lake::federated().await, async |lake| Door::engine(lake)).await;
    }
}

/// Runs the wanted files.
async fn run_files(lake: impl AsyncFn() -> Lake, door: impl AsyncFn(&Lake) -> Door) {
    let files = wanted_files();
    assert!(!files.is_empty(), "no .slt file matches");
    run(files, lake, door).await;
}

/// Runs files, two at a time.
async fn run(files: Vec<PathBuf>, lake: impl AsyncFn() -> Lake, door: impl AsyncFn(&Lake) -> Door) {
    let outcomes = stream::iter(&files).map(async |file| {
        let lake = lake().await;
        let door = door(&lake).await;
        let run = run_file(file, Arc::new(lake), Arc::new(door));
        match tokio::time::timeout(TIME_MAX, run).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("{} takes longer than {TIME_MAX:?}", file.display())),
        }
    });
    let outcomes: Vec<_> = outcomes.buffer_unordered(2).collect().await;
    let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(
        failures.is_empty(),
        "{} of {} files failed:\n\n{}",
        failures.len(),
        files.len(),
        failures.join("\n\n")
    );
}

fn wanted_files() -> Vec<PathBuf> {
    let only = std::env::var("SLT").unwrap_or_default();
    walkdir::WalkDir::new(repository("tests/slt"))
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .filter(|path| path.to_string_lossy().contains(&only))
        .collect()
}

async fn run_file(file: &Path, lake: Arc<Lake>, door: Arc<Door>) -> Result<(), String> {
    let engine = lake.engine.clone();
    let places = [
        ("DATASETS", lake.datasets.clone()),
        ("DATA", lake.data.clone()),
        ("SCRATCH", lake.scratch.clone()),
    ];
    let mut runner = Runner::new(move || {
        let (lake, door) = (lake.clone(), door.clone());
        async move { Ok(Connection { session: door.session().await, lake }) }
    });
    runner.with_column_validator(strict_column_validator);
    for (name, place) in places {
        runner.set_var(name.to_owned(), place);
    }
    let outcome = if std::env::var_os("SLT_COMPLETE").is_some() {
        complete(&mut runner, file).await
    } else {
        runner.run_file_async(file).await.map_err(|error| error.to_string())
    };
    drop(runner);
    engine.close().await;
    outcome
}

async fn complete<M>(runner: &mut Runner<Connection, M>, file: &Path) -> Result<(), String>
where
    M: MakeConnection<Conn = Connection>,
{
    let update = runner.update_test_file(
        file,
        " ",
        default_validator,
        default_normalizer,
        strict_column_validator,
    );
    update.await.map_err(|error| error.to_string())
}

struct Connection {
    session: Session,
    lake: Arc<Lake>,
}

/// What a person would read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failure(String);

#[async_trait::async_trait]
impl AsyncDB for Connection {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let answer = self.session.run(sql).await;
        match answer.map_err(|message| Failure(self.lake.without_places(&message)))? {
            Answer::Count(count) => Ok(DBOutput::StatementComplete(count)),
            Answer::Rows(schema, batches) => {
                let fields = schema.fields();
                let types = fields.iter().map(|field| column_type(field.data_type())).collect();
                let names = fields.iter().map(|field| field.name().clone()).collect();
                let header = sql.starts_with("-- with names").then_some(names);
                let rows = header.into_iter().chain(self.shown(&batches)).collect();
                Ok(DBOutput::Rows { types, rows })
            }
        }
    }

    async fn shutdown(&mut self) {}

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl Connection {
    /// The rows as files expect them.
    fn shown(&self, batches: &[RecordBatch]) -> impl Iterator<Item = Vec<String>> {
        let shown = |value: &String| match value.as_str() {
            "" => "(empty)".to_owned(),
            value => self.lake.without_places(value),
        };
        values(batches).into_iter().flat_map(lines).map(move |row| row.iter().map(shown).collect())
    }
}

/// A row whose last value has several lines, as a plan has, becomes several rows.
fn lines(mut row: Vec<String>) -> Vec<Vec<String>> {
    let last = row.pop().unwrap_or_default();
    let mut lines = last.lines().map(str::to_owned);
    row.push(lines.next().unwrap_or_default());
    [row].into_iter().chain(lines.map(|line| vec![line])).collect()
}

fn column_type(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DefaultColumnType::Text,
        data_type if data_type.is_integer() => DefaultColumnType::Integer,
        data_type if data_type.is_numeric() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Any,
    }
}
