//! Tables that somebody else made, read through the remote catalog.

use std::time::Duration;

use boathouse_engine::{Engine, S3Config};
use boathouse_http_server::HttpConfig;

use crate::door::{Answer, Door};
use crate::support::{Lake, Remote, config, values};

async fn rows(door: &Door, sql: &str) -> Vec<String> {
    match door.session().await.run(sql).await.unwrap() {
        Answer::Rows(_, batches) => values(&batches).into_iter().map(|row| row.join(" ")).collect(),
        Answer::Count(count) => vec![count.to_string()],
    }
}

/// An engine whose catalog is that of `remote`.
async fn node(remote: &Remote, cache: Duration) -> (tempfile::TempDir, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (url, lake) = (format!("glue:http://{}", remote.address), format!("file://{path}/lake/"));
    let mut config = config(&folder, url, lake, S3Config::default());
    config.catalog_cache = cache;
    let engine = Engine::open(config).await.unwrap();
    (folder, engine)
}

#[tokio::test]
async fn what_one_makes_the_other_reads_and_changes() {
    let remote = Remote::start(HttpConfig::default()).await;
    let there = Door::Engine(remote.engine.clone());
    let (_folder, engine) = node(&remote, Duration::ZERO).await;
    let here = Door::Engine(engine.clone());

    rows(&there, "CREATE TABLE made (a INT NOT NULL, b TEXT)").await;
    rows(&there, "INSERT INTO made VALUES (1, 'x')").await;
    rows(&here, "INSERT INTO made VALUES (2, NULL)").await;
    for door in [&there, &here] {
        assert_eq!(rows(door, "SELECT * FROM made ORDER BY a").await, ["1 x", "2 NULL"]);
        assert_eq!(
            rows(
                door,
                "SELECT is_nullable FROM information_schema.columns \
                        WHERE table_name = 'made' ORDER BY ordinal_position"
            )
            .await,
            ["NO", "YES"]
        );
    }
    rows(&here, "CREATE DATABASE web").await;
    rows(&here, "CREATE VIEW web.seen AS SELECT a FROM \"default\".made WHERE b IS NULL").await;
    assert_eq!(rows(&there, "SELECT * FROM web.seen").await, ["2"]);
    rows(&there, "DROP TABLE made").await;
    assert!(here.session().await.run("SELECT * FROM made").await.is_err());
    engine.close().await;
}

#[tokio::test]
async fn a_second_query_asks_nothing() {
    let lake = Lake::federated().await;
    let door = Door::engine(&lake);
    rows(&door, "CREATE TABLE t AS SELECT 1 AS a").await;
    assert_eq!(rows(&door, "SELECT * FROM t").await, ["1"]);
    let before = lake.engine.catalog().remote_requests().unwrap();
    assert_eq!(rows(&door, "SELECT * FROM t").await, ["1"]);
    assert_eq!(lake.engine.catalog().remote_requests().unwrap(), before);
}

#[tokio::test]
async fn files_that_come_are_read_though_nobody_lists_them() {
    let lake = Lake::federated().await;
    let door = Door::engine(&lake);
    let write = |path: &str, text: &str| {
        let path = format!("{}/{path}", lake.scratch);
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("t/k=1/a.csv", "a\n1\n");
    let sql = format!(
        "CREATE EXTERNAL TABLE t STORED AS CSV PARTITIONED BY (k) LOCATION '{}/t/' \
         OPTIONS ('format.has_header' 'true')",
        lake.scratch
    );
    rows(&door, &sql).await;
    assert_eq!(rows(&door, "SELECT a, k FROM t").await, ["1 1"]);
    write("t/k=1/b.csv", "a\n2\n");
    assert_eq!(rows(&door, "SELECT sum(a) FROM t").await, ["3"]);
    write("t/k=2/c.csv", "a\n3\n");
    assert_eq!(rows(&door, "SELECT sum(a) FROM t").await, ["3"], "a partition nobody named");
    rows(&door, "REFRESH TABLE t").await;
    assert_eq!(rows(&door, "SELECT sum(a) FROM t").await, ["6"]);
    assert_eq!(rows(&door, "SELECT sum(a) FROM t WHERE k = 2").await, ["3"]);
}

#[tokio::test]
async fn the_command_takes_the_url() {
    let remote = Remote::start(HttpConfig::default()).await;
    let there = Door::Engine(remote.engine.clone());
    rows(&there, "CREATE TABLE made AS SELECT 1 AS a").await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_boathouse"));
    command
        .current_dir(&folder)
        .args(["sql", "--catalog", &format!("glue:http://{}", remote.address)])
        .args(["--format", "csv", "-c", "SELECT a + 1 AS b FROM made"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b\n2\n", "{errors}");
}
