//! Statements that were planned before others committed.

use boathouse_engine::Session;

use crate::support::{Lake, collect, values};

async fn run(session: &Session, sql: &str) -> Vec<String> {
    let query = session.query(sql).await.unwrap();
    let rows = values(&collect(query.execute().await.unwrap()).await.unwrap());
    rows.into_iter().map(|row| row.join(" ")).collect()
}

/// Plans `statement`, runs `other`, then executes the first: its count, and the rows after.
async fn between(setup: &[&str], statement: &str, other: &str) -> (String, Vec<String>) {
    let lake = Lake::local().await;
    let session = lake.engine.session();
    for sql in setup {
        run(&session, sql).await;
    }
    let query = session.query(statement).await.unwrap();
    run(&session, other).await;
    let count = values(&collect(query.execute().await.unwrap()).await.unwrap());
    (count[0][0].clone(), run(&session, "SELECT * FROM t ORDER BY id, n").await)
}

const TABLE: [&str; 2] =
    ["CREATE TABLE t (id INT, n INT)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)"];

#[tokio::test]
async fn two_changes_of_one_file_both_count() {
    let (count, rows) =
        between(&TABLE, "UPDATE t SET n = n + 10 WHERE id < 3", "UPDATE t SET n = n + 100").await;
    assert_eq!((count.as_str(), rows.join(", ").as_str()), ("2", "1 111, 2 112, 3 103"));
    let (count, rows) =
        between(&TABLE, "DELETE FROM t WHERE n > 1", "UPDATE t SET n = 0 WHERE id = 2").await;
    assert_eq!((count.as_str(), rows.join(", ").as_str()), ("1", "1 1, 2 0"));
    let (count, rows) = between(&TABLE, "DELETE FROM t WHERE id = 1", "DELETE FROM t").await;
    assert_eq!((count.as_str(), rows.len()), ("0", 0));
    let (count, rows) = between(&TABLE, "TRUNCATE TABLE t", "DELETE FROM t WHERE id = 1").await;
    assert_eq!((count.as_str(), rows.len()), ("2", 0));
}

#[tokio::test]
async fn two_merges_insert_a_key_once() {
    let merge = "MERGE INTO t USING (SELECT 7 AS id, 70 AS n) AS s ON t.id = s.id \
                 WHEN MATCHED THEN UPDATE SET n = t.n + 1 WHEN NOT MATCHED THEN INSERT *";
    let (count, rows) = between(&TABLE, merge, merge).await;
    assert_eq!((count.as_str(), rows.last().unwrap().as_str()), ("1", "7 71"));
    let insert = "MERGE INTO t USING (SELECT 7 AS id, 70 AS n) AS s ON t.id = s.id \
                  WHEN NOT MATCHED THEN INSERT *";
    let (count, rows) = between(&TABLE, insert, insert).await;
    assert_eq!((count.as_str(), rows.len()), ("0", 4));
}

#[tokio::test]
async fn an_overwrite_leaves_no_row_of_another_one() {
    let overwrite = "INSERT OVERWRITE t VALUES (9, 9)";
    let (count, rows) = between(&TABLE, overwrite, "INSERT OVERWRITE t VALUES (8, 8)").await;
    assert_eq!((count.as_str(), rows.join(", ").as_str()), ("1", "9 9"));
    let empty = ["CREATE TABLE t (id INT, n INT)"];
    let (count, rows) = between(&empty, overwrite, "INSERT OVERWRITE t VALUES (8, 8)").await;
    assert_eq!((count.as_str(), rows.join(", ").as_str()), ("1", "9 9"));
}

#[tokio::test]
async fn changes_of_other_partitions_are_no_conflict() {
    let table = [
        "CREATE TABLE t (id INT, n INT) PARTITIONED BY (n)",
        "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
    ];
    let (count, rows) =
        between(&table, "UPDATE t SET id = 10 WHERE n = 1", "DELETE FROM t WHERE n = 2").await;
    assert_eq!((count.as_str(), rows.join(", ").as_str()), ("1", "3 3, 10 1"));
}

#[tokio::test]
async fn a_changed_schema_is_seen() {
    let lake = Lake::local().await;
    let session = lake.engine.session();
    for sql in TABLE {
        run(&session, sql).await;
    }
    let query = session.query("UPDATE t SET n = 0 WHERE id = 1").await.unwrap();
    run(&session, "CREATE OR REPLACE TABLE t AS SELECT 'one' AS id, 5 AS n").await;
    // The old files are gone from the name; what was planned may fail, but changes no other table.
    let _ = query.execute().await;
    assert_eq!(run(&session, "SELECT * FROM t").await, ["one 5"]);
}

#[tokio::test]
async fn many_writers_at_once_lose_nothing() {
    let lake = Lake::local().await;
    let session = lake.engine.session();
    run(&session, "CREATE TABLE t AS SELECT value AS id, 0 AS n FROM generate_series(1, 4)").await;
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let session = lake.engine.session();
            tokio::spawn(async move {
                let mut done = 0;
                for _ in 0..5 {
                    let query = session.query("UPDATE t SET n = n + 1").await.unwrap();
                    done += u32::from(query.execute().await.is_ok());
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for writer in writers {
        done += writer.await.unwrap();
    }
    let expected = format!("4 {}", done * 4);
    assert_eq!(run(&session, "SELECT count(*), sum(n) FROM t").await, [expected]);
    assert!(done >= 10, "only {done} of 20 got through");
}
