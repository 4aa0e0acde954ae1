//! What is done to Delta tables in the background, and with files that others left.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::door::{Answer, Door};
use crate::support::{Lake, values};

async fn ask(lake: &Lake, sql: &str) -> Vec<String> {
    match Door::engine(lake).session().await.run(sql).await.unwrap() {
        Answer::Rows(_, batches) => values(&batches).into_iter().map(|row| row.join(" ")).collect(),
        Answer::Count(count) => vec![count.to_string()],
    }
}

#[tokio::test]
async fn a_table_is_compacted_after_many_small_writes() {
    let lake = Lake::local().await;
    ask(
        &lake,
        "CREATE TABLE t (id BIGINT) TBLPROPERTIES ('delta.autoOptimize.autoCompact' = 'true', \
         'boathouse.autoCompact.minNumFiles' = '4')",
    )
    .await;
    for id in 0..6 {
        ask(&lake, &format!("INSERT INTO t VALUES ({id})")).await;
    }
    let started = Instant::now();
    loop {
        let history = ask(&lake, "DESCRIBE HISTORY t").await;
        if history.iter().any(|commit| commit.contains("OPTIMIZE")) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{history:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask(&lake, "SELECT count(*), sum(id) FROM t").await, ["6 15"]);
}

#[tokio::test]
async fn vacuum_finds_what_nobody_has_and_leaves_other_tables_alone() {
    let lake = Lake::local().await;
    let folder = format!("{}/outer", lake.scratch);
    ask(&lake, "CREATE TABLE source AS SELECT 1 AS id").await;
    copy_table(&lake, &folder).await;
    copy_table(&lake, &format!("{folder}/inner")).await;
    ask(&lake, &format!("CREATE EXTERNAL TABLE o STORED AS DELTA LOCATION '{folder}/'")).await;
    for orphan in ["left.parquet", "sub/left.parquet", "_hidden/left.parquet", "inner/left.parquet"]
    {
        let path = format!("{folder}/{orphan}");
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(path, "left").unwrap();
    }
    assert!(ask(&lake, "VACUUM o DRY RUN").await.is_empty(), "all are young");
    let mut session = Door::engine(&lake).session().await;
    let refused = session.run("VACUUM o RETAIN 0 HOURS").await.err().unwrap();
    assert!(refused.contains("vacuum_retention_check"), "{refused}");
    session.run("SET vacuum_retention_check = false").await.unwrap();
    let Answer::Rows(_, found) = session.run("VACUUM o RETAIN 0 HOURS DRY RUN").await.unwrap()
    else {
        unreachable!("rows")
    };
    let found: Vec<String> = values(&found).into_iter().map(|row| row.join(" ")).collect();
    assert_eq!(
        found,
        [format!("file://{folder}/left.parquet"), format!("file://{folder}/sub/left.parquet")]
    );
    session.run("VACUUM o RETAIN 0 HOURS").await.unwrap();
    assert!(!Path::new(&format!("{folder}/left.parquet")).exists());
    assert!(Path::new(&format!("{folder}/_hidden/left.parquet")).exists());
    assert!(Path::new(&format!("{folder}/inner/left.parquet")).exists());
    assert_eq!(ask(&lake, "SELECT * FROM o").await, ["1"]);
    let history = ask(&lake, "DESCRIBE HISTORY o").await;
    assert!(
        history[0].contains("VACUUM END") && history[1].contains("VACUUM START"),
        "{history:?}"
    );
}

/// The table `source` as if another tool had written it there.
async fn copy_table(lake: &Lake, to: &str) {
    let detail = ask(lake, "DESCRIBE DETAIL source").await;
    let location = detail[0].split(' ').find(|word| word.starts_with("file://")).unwrap();
    let from = location.trim_start_matches("file://").trim_end_matches('/');
    for entry in walkdir::WalkDir::new(from).into_iter().map(Result::unwrap) {
        let within = entry.path().strip_prefix(from).unwrap();
        let target = Path::new(to).join(within);
        match entry.file_type().is_dir() {
            true => std::fs::create_dir_all(target).unwrap(),
            false => std::fs::copy(entry.path(), target).map(|_| ()).unwrap(),
        }
    }
}
