//! COPY when it's interrupted, when two run at once, and when there's much to load.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use boathouse_catalog::{Catalog, DocumentKind};
use boathouse_engine::Engine;

use crate::support::{Lake, collect, values};

async fn run(engine: &Engine, sql: &str) -> Vec<Vec<String>> {
    let query = engine.session().query(sql).await.unwrap();
    values(&collect(query.execute().await.unwrap()).await.unwrap())
}

async fn count(engine: &Engine, sql: &str) -> u64 {
    run(engine, sql).await[0][0].parse().unwrap()
}

/// A lake with an empty table, and a folder of CSV files with `rows` rows each.
async fn lake_with(files: usize, rows: usize) -> (Lake, String) {
    let lake = Lake::local().await;
    let folder = format!("{}/csv", lake.scratch);
    std::fs::create_dir(&folder).unwrap();
    for file in 0..files {
        let mut text = String::new();
        for row in 0..rows {
            writeln!(text, "{},\"name {row}\"", file * rows + row).unwrap();
        }
        std::fs::write(format!("{folder}/{file:04}.csv"), text).unwrap();
    }
    run(&lake.engine, "CREATE TABLE t (id BIGINT, name VARCHAR)").await;
    let copy = format!("COPY t FROM '{folder}/' CSV");
    (lake, copy)
}

/// A process that dies after its commit leaves no record of the load: the log knows all the same.
#[tokio::test]
async fn what_was_committed_is_known_without_a_record_of_it() {
    let (lake, copy) = lake_with(3, 10).await;
    assert_eq!(count(&lake.engine, &copy).await, 30);
    let catalog = Catalog::open(&lake.catalog_url).await.unwrap();
    for load in catalog.documents(DocumentKind::Load, "").await.unwrap() {
        catalog.delete_document(DocumentKind::Load, "", &load.name).await.unwrap();
    }
    assert_eq!(count(&lake.engine, &copy).await, 0);
    assert_eq!(count(&lake.engine, "SELECT count(*) FROM t").await, 30);
    let log = commits(Path::new(&lake.scratch).parent().unwrap());
    let identities: HashSet<&str> =
        log.lines().filter(|line| line.contains("\"appId\":\"copy:")).collect();
    assert_eq!(identities.len(), 3, "{log}");
}

/// All that the logs under a folder say.
fn commits(folder: &Path) -> String {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
    let commits = files.filter(|path| {
        path.parent().is_some_and(|folder| folder.ends_with("_delta_log"))
            && path.extension().is_some_and(|extension| extension == "json")
    });
    commits.map(|path| std::fs::read_to_string(path).unwrap() + "\n").collect()
}

/// Many that load the same files at once load each file once.
#[tokio::test]
async fn each_file_is_loaded_once_however_many_load_it() {
    let (lake, copy) = lake_with(4, 500).await;
    let loads = (0..6).map(|_| {
        let (engine, copy) = (lake.engine.clone(), copy.clone());
        tokio::spawn(async move { count(&engine, &copy).await })
    });
    let mut loaded = 0;
    for load in loads.collect::<Vec<_>>() {
        loaded += load.await.unwrap();
    }
    assert_eq!(loaded, 2000);
    let seen = run(&lake.engine, "SELECT count(*), count(DISTINCT id) FROM t").await;
    assert_eq!(seen, [["2000", "2000"]]);
}

/// Identities are found in checkpoints too, and among many.
#[tokio::test]
async fn files_are_known_after_checkpoints() {
    let (lake, copy) = lake_with(3, 2).await;
    assert_eq!(count(&lake.engine, &copy).await, 6);
    for id in 0..110 {
        run(&lake.engine, &format!("INSERT INTO t VALUES ({id}, 'x')")).await;
    }
    let root = Path::new(&lake.scratch).parent().unwrap();
    let has_checkpoint = walkdir::WalkDir::new(root)
        .into_iter()
        .any(|entry| entry.unwrap().path().to_string_lossy().contains(".checkpoint."));
    assert!(has_checkpoint, "no checkpoint was written");
    assert_eq!(count(&lake.engine, &copy).await, 0);
    assert_eq!(count(&lake.engine, "SELECT count(*) FROM t").await, 116);
}

/// A file of several chunks, with a bad row in the last: nothing is lost, nothing read twice.
#[tokio::test]
async fn large_files_are_read_in_chunks() {
    let (lake, copy) = lake_with(1, 200_000).await;
    let file = format!("{}/csv/0000.csv", lake.scratch);
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("x,\"bad\"\n300000,\"of two\nlines\"\n");
    std::fs::write(&file, text).unwrap();
    let copy = format!("{copy} MAXERROR 1");
    assert_eq!(count(&lake.engine, &copy).await, 200_001);
    let seen = run(&lake.engine, "SELECT count(DISTINCT id), sum(id) FROM t").await;
    let sum = 199_999_u64 * 200_000 / 2 + 300_000;
    assert_eq!(seen, [["200001".to_owned(), sum.to_string()]]);
    let errors = run(&lake.engine, "SELECT line_number, value FROM sys_load_errors").await;
    assert_eq!(errors, [["200001", "x"]]);
}
