//! A statement that is no longer wanted leaves the table as it was.

use std::time::{Duration, Instant};

use boathouse_engine::{ErrorKind, Session};

use crate::support::{Lake, collect, values};

/// Its subquery joins far more rows than anybody waits for.
const ENDLESS: &str = "DELETE FROM t WHERE id IN (SELECT a.value FROM generate_series(1, 1000000) AS a, \
     generate_series(1, 1000000) AS b WHERE a.value * b.value < 0)";

async fn run(session: &Session, sql: &str) -> Vec<Vec<String>> {
    let query = session.query(sql).await.unwrap();
    values(&collect(query.execute().await.unwrap()).await.unwrap())
}

async fn table() -> (Lake, Session) {
    let lake = Lake::local().await;
    let session = lake.engine.session();
    run(&session, "CREATE TABLE t AS SELECT value AS id FROM generate_series(1, 1000)").await;
    (lake, session)
}

#[tokio::test]
async fn dropping_it_ends_it() {
    let (_lake, session) = table().await;
    let query = session.query(ENDLESS).await.unwrap();
    let started = Instant::now();
    let ended = tokio::time::timeout(Duration::from_millis(300), query.execute()).await;
    assert!(ended.is_err(), "it took {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(run(&session, "SELECT count(*) FROM t").await, [["1000"]]);
}

#[tokio::test]
async fn the_timeout_ends_it() {
    let (_lake, session) = table().await;
    session.set("statement_timeout_seconds", "1").unwrap();
    let started = Instant::now();
    let result = session.query(ENDLESS).await.unwrap().execute().await;
    assert_eq!(result.err().unwrap().kind(), ErrorKind::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(run(&session, "SELECT count(*) FROM t").await, [["1000"]]);
}
