//! Commits to Delta tables: under wrong answers of a store, and against each other.

mod faults;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use boathouse_engine::{Error, ErrorKind, Result, Session};
use deltalake::kernel::{DataType, StructField};
use faults::Faults;
use url::Url;

use crate::support::{Lake, collect, values};

const WRITERS: usize = 4;
const COMMITS_IN_A_TABLE: u64 = 500;

async fn run(session: &Session, sql: &str) -> Result<Vec<Vec<String>>> {
    Ok(values(&collect(session.query(sql).await?.execute().await?).await?))
}

/// The rows that an INSERT says it added.
async fn count(session: &Session, sql: &str) -> Result<u64> {
    Ok(run(session, sql).await?[0][0].parse().unwrap())
}

fn versions(folder: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(folder.join("_delta_log")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut versions: Vec<u64> =
        names.filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
    versions.sort_unstable();
    versions
}

/// What one writer knows of its rows.
#[derive(Default)]
struct Account {
    acknowledged: Vec<u64>,
    unknown: Vec<u64>,
    retries: u64,
    took: Vec<Duration>,
}

/// Inserts a row for each of `numbers`, as a client does that believes what it is told: it tries
/// again after a failure, and after an unknown outcome only where the row has a number.
async fn write(session: Session, writer: usize, numbers: u64) -> Account {
    let numbered = writer.is_multiple_of(2);
    let mut account = Account::default();
    for n in 0..numbers {
        let once = match numbered {
            true => format!("WITH (txn_app = 'writer {writer}', txn_version = {n})"),
            false => String::new(),
        };
        let sql = format!("INSERT INTO t VALUES ({writer}, {n}) {once}");
        let began = Instant::now();
        loop {
            match count(&session, &sql).await.map_err(|error| (error.kind(), error)) {
                Ok(_) => account.acknowledged.push(n),
                Err((ErrorKind::OutcomeUnknown, _)) if !numbered => account.unknown.push(n),
                Err((
                    ErrorKind::OutcomeUnknown | ErrorKind::Conflict | ErrorKind::Unavailable,
                    _,
                )) => {
                    account.retries += 1;
                    continue;
                }
                Err((_, error)) => unreachable!("{}", error.report()),
            }
            break;
        }
        account.took.push(began.elapsed());
    }
    account
}

/// `BOATHOUSE_TEST_COMMITS=5000 cargo test --workspace commits_under_ambiguous -- --nocapture`
/// shows what came of so many, each 500 to a table.
#[tokio::test(flavor = "multi_thread")]
async fn commits_under_ambiguous_answers_are_neither_lost_nor_doubled() {
    let wanted: u64 = std::env::var("BOATHOUSE_TEST_COMMITS").map_or(200, |n| n.parse().unwrap());
    let (mut commits, mut wrong_answers) = (0, 0);
    for seed in 0..wanted.div_ceil(COMMITS_IN_A_TABLE) {
        let faults = Arc::new(Faults { writes: 200, reads: 1, ..Faults::new(seed) });
        let left = wanted - seed * COMMITS_IN_A_TABLE;
        commits += check_commits(&faults, left.min(COMMITS_IN_A_TABLE)).await;
        wrong_answers += faults.happened.load(Ordering::Relaxed);
    }
    println!("{commits} commits, {wrong_answers} wrong answers, nothing lost, nothing doubled");
}

/// Commits so many to a table of its own, and gives how many were acknowledged.
async fn check_commits(faults: &Arc<Faults>, wanted: u64) -> usize {
    let lake = Lake::local_under(Some(faults.layer())).await;
    run(&lake.engine.session(), "CREATE TABLE t (writer BIGINT, n BIGINT)").await.unwrap();
    let began = Instant::now();
    let writers = (0..WRITERS)
        .map(|writer| tokio::spawn(write(lake.engine.session(), writer, wanted / WRITERS as u64)));
    let accounts = futures::future::join_all(writers).await;
    let accounts: Vec<Account> = accounts.into_iter().map(|account| account.unwrap()).collect();
    let took = began.elapsed().as_secs_f64();
    faults.reconnect();
    let outcome = Outcome::of(&lake, &accounts).await;
    println!("{WRITERS} writers in {took:.0} s, {}: {outcome:?}", pace(&accounts));
    let Outcome { acknowledged, unknown, retries, found, missing, doubled, log, gaps, .. } =
        outcome;
    assert_eq!((missing, doubled, gaps), (0, 0, 0));
    assert!(acknowledged <= found && found <= acknowledged + unknown);
    assert!(retries < wanted, "clients hardly hear of it");
    assert_eq!(log, found + 1, "a commit for each row, and the table's own");
    assert_eq!(outcome.checkpoints, log / 100);
    acknowledged
}

/// What came of many commits.
#[derive(Debug)]
struct Outcome {
    acknowledged: usize,
    unknown: usize,
    /// By clients.
    retries: u64,
    /// Rows, but each once.
    found: usize,
    missing: usize,
    doubled: usize,
    /// Versions.
    log: usize,
    gaps: usize,
    checkpoints: usize,
}

impl Outcome {
    async fn of(lake: &Lake, accounts: &[Account]) -> Self {
        let sql = "SELECT writer, n, count(*) FROM t GROUP BY writer, n";
        let rows = run(&lake.engine.session(), sql).await.unwrap();
        let found: BTreeMap<(u64, u64), u64> = rows.iter().map(|row| parsed(row)).collect();
        let log = versions(&lake.delta_folder());
        let acknowledged: Vec<(u64, u64)> = (0..)
            .zip(accounts)
            .flat_map(|(writer, account)| account.acknowledged.iter().map(move |n| (writer, *n)))
            .collect();
        Self {
            acknowledged: acknowledged.len(),
            unknown: accounts.iter().map(|account| account.unknown.len()).sum(),
            retries: accounts.iter().map(|account| account.retries).sum(),
            found: found.len(),
            missing: acknowledged.iter().filter(|row| !found.contains_key(row)).count(),
            doubled: found.values().filter(|times| **times > 1).count(),
            log: log.len(),
            gaps: (0..).zip(&log).filter(|(wanted, version)| wanted != *version).count(),
            checkpoints: checkpoints(&lake.delta_folder()),
        }
    }
}

fn parsed(row: &[String]) -> ((u64, u64), u64) {
    let number = |index: usize| row[index].parse().unwrap();
    ((number(0), number(1)), number(2))
}

fn checkpoints(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder.join("_delta_log")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".checkpoint.parquet")).count()
}

/// How long a commit took at first, and at last.
fn pace(accounts: &[Account]) -> String {
    let mean = |part: &dyn Fn(&[Duration]) -> Vec<Duration>| {
        let times: Vec<Duration> =
            accounts.iter().flat_map(|account| part(&account.took)).collect();
        times.iter().sum::<Duration>().as_secs_f64() * 1e3 / times.len().max(1) as f64
    };
    let first = mean(&|took| took[..took.len() / 10].to_vec());
    let last = mean(&|took| took[took.len() - took.len() / 10..].to_vec());
    format!("the first tenth took {first:.0} ms each, the last {last:.0} ms")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_said_to_be_one_and_nothing_is_deleted() {
    let faults = Arc::new(Faults::new(1));
    let lake = Lake::local_under(Some(faults.layer())).await;
    let session = lake.engine.session();
    run(&session, "CREATE TABLE t (n BIGINT)").await.unwrap();
    let insert = "INSERT INTO t VALUES (1) WITH (txn_app = 'a', txn_version = 1)";
    let planned = session.query(insert).await.unwrap();
    let plain = session.query("INSERT INTO t VALUES (2)").await.unwrap();
    faults.cuts_off.store(true, Ordering::Relaxed);
    let error = planned.execute().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{}", error.report());
    assert!(error.to_string().contains("table \"default.t\": whether the commit of version 1"));
    assert!(error.hint().unwrap().contains("txn_version may be run again"));
    // What comes after it isn't sent at all: it couldn't read the log.
    let error = plain.execute().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.report());
    faults.reconnect();
    assert_eq!(run(&session, "SELECT n FROM t").await.unwrap(), [["1"]]);
    assert_eq!(count(&session, insert).await.unwrap(), 0, "it is there already");
    assert_eq!(run(&session, "SELECT count(*) FROM t").await.unwrap(), [["1"]]);
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_read_only() {
    let faults = Arc::new(Faults { overwrites: true, ..Faults::new(1) });
    let lake = Lake::local_under(Some(faults.layer())).await;
    let session = lake.engine.session();
    let copy = format!("{}/delta", lake.scratch);
    copy_folder(Path::new(&format!("{}/delta/plain", lake.data)), Path::new(&copy));
    let table = format!("CREATE EXTERNAL TABLE known STORED AS DELTA LOCATION '{copy}/'");
    run(&session, &table).await.unwrap();
    let before = run(&session, "SELECT count(*) FROM known").await.unwrap();
    for sql in ["CREATE TABLE t AS SELECT 1 AS x", "INSERT INTO known SELECT * FROM known"] {
        let error = run(&session, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", error.report());
        assert!(error.to_string().contains("ignores conditional writes"), "{error}");
    }
    assert_eq!(run(&session, "SELECT count(*) FROM known").await.unwrap(), before);
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        match entry.file_type().is_dir() {
            true => std::fs::create_dir_all(target).unwrap(),
            false => std::fs::copy(entry.path(), target).map(drop).unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_with_the_same_number_writes() {
    let lake = Lake::local().await;
    run(&lake.engine.session(), "CREATE TABLE t (n BIGINT)").await.unwrap();
    let insert = "INSERT INTO t VALUES (1) WITH (txn_app = 'a', txn_version = 1)";
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let session = lake.engine.session();
            tokio::spawn(async move { count(&session, insert).await.unwrap() })
        })
        .collect();
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }
    assert_eq!(written.iter().sum::<u64>(), 1, "{written:?}");
    assert_eq!(run(&lake.engine.session(), "SELECT n FROM t").await.unwrap(), [["1"]]);
}

/// Executes a statement that was planned before `meanwhile` was done.
async fn overtaken(session: &Session, sql: &str, meanwhile: impl Future) -> Result<()> {
    let planned = session.query(sql).await?;
    meanwhile.await;
    planned.execute().await.map(drop)
}

fn conflict(outcome: Result<()>) -> String {
    let error: Error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    assert_eq!(error.hint(), Some("Run the statement again."));
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_others_are_no_conflict_unless_they_were_read() {
    let lake = Lake::local().await;
    let session = lake.engine.session();
    run(&session, "CREATE TABLE t (n BIGINT)").await.unwrap();
    let other = async || run(&session, "INSERT INTO t VALUES (1)").await.unwrap();
    overtaken(&session, "INSERT INTO t VALUES (10)", other()).await.unwrap();
    let next = "INSERT INTO t SELECT coalesce(max(n), 0) + 1 FROM t";
    let text = conflict(overtaken(&session, next, other()).await);
    assert_eq!(
        text,
        "table \"default.t\": another commit (WRITE, version 3) changed rows that this \
         statement read"
    );
    run(&session, next).await.unwrap();
    let found = run(&session, "SELECT n FROM t ORDER BY n").await.unwrap();
    assert_eq!(found, [["1"], ["1"], ["10"], ["11"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_on_top_of_what_others_removed() {
    let lake = Lake::local().await;
    let session = lake.engine.session();
    run(&session, "CREATE TABLE t AS SELECT 1 AS n UNION ALL SELECT 2").await.unwrap();
    let table = by_others(&lake).await;
    let delete = async { table.delete().with_predicate("n = 1").await.unwrap() };
    overtaken(&session, "INSERT INTO t VALUES (3)", delete).await.unwrap();
    let found = run(&session, "SELECT n FROM t ORDER BY n").await.unwrap();
    assert_eq!(found, [["2"], ["3"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_is_a_conflict_and_the_catalog_follows_it() {
    let lake = Lake::local().await;
    let session = lake.engine.session();
    run(&session, "CREATE TABLE t (n BIGINT)").await.unwrap();
    let table = by_others(&lake).await;
    let column = StructField::nullable("note", DataType::STRING);
    let add = async { table.add_columns().with_fields([column]).await.unwrap() };
    let text = conflict(overtaken(&session, "INSERT INTO t VALUES (1)", add).await);
    assert_eq!(
        text,
        "table \"default.t\": another commit (ADD COLUMN, version 1) changed the table's columns \
         or properties"
    );
    run(&session, "INSERT INTO t VALUES (1, 'x')").await.unwrap();

    let columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 't' \
                   ORDER BY ordinal_position";
    assert_eq!(run(&session, columns).await.unwrap(), [["n"]]);
    let properties = [("delta.appendOnly".to_owned(), "true".to_owned())].into();
    let table = by_others(&lake).await;
    table.set_tbl_properties().with_properties(properties).await.unwrap();
    for _ in 0..2 {
        run(&session, "REFRESH TABLE t").await.unwrap();
    }
    assert_eq!(run(&session, columns).await.unwrap(), [["n"], ["note"]]);
    let name = boathouse_catalog::TableName::new("default", "t").unwrap();
    let record = lake.engine.catalog().table(&name).await.unwrap();
    assert_eq!(record.spec.parameters["delta.appendOnly"], "true");
    assert_eq!(record.version, 2, "the second time there was nothing to change");
}

/// The lake's table as another program has it.
async fn by_others(lake: &Lake) -> deltalake::DeltaTable {
    let url = Url::from_directory_path(lake.delta_folder()).unwrap();
    deltalake::open_table(url).await.unwrap()
}
