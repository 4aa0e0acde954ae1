//! Opening a store: new, old, newer, damaged, absent.

use std::time::{Duration, Instant};

use super::fixture::{name, partition, spec};
use crate::store::values as parameters;
use crate::{Catalog, Error, chain};

pub(super) async fn what_was_written_is_there_again(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let put = vec![partition(&["1"])];
    let table = catalog.create_table(&name("hits"), spec(&[("n", "int")]), put).await.unwrap();
    catalog.close().await;
    let catalog = Catalog::open(&url).await.unwrap();
    assert_eq!(catalog.all_tables().await.unwrap(), std::slice::from_ref(&table));
    assert_eq!(catalog.partition_totals(&table).await.unwrap().partitions, 1);
}

pub(super) async fn many_open_a_new_store_at_once(url: String) {
    let openers: Vec<_> = (0..8)
        .map(|opener| {
            let url = url.clone();
            tokio::spawn(async move {
                let catalog = Catalog::open(&url).await.unwrap();
                let table = name(&format!("t{opener}"));
                catalog.create_table(&table, spec(&[]), vec![]).await.unwrap();
            })
        })
        .collect();
    for opener in openers {
        opener.await.unwrap();
    }
    let catalog = Catalog::open(&url).await.unwrap();
    assert_eq!(catalog.all_tables().await.unwrap().len(), 8);
    assert_eq!(catalog.databases().await.unwrap().len(), 1);
}

pub(super) async fn a_newer_store_is_refused(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let mut writer = catalog.store.write().await.unwrap();
    writer.execute("UPDATE boathouse_schema SET version = 99", parameters![]).await.unwrap();
    writer.commit().await.unwrap();
    let error = Catalog::open(&url).await.unwrap_err();
    assert!(matches!(error, Error::NewerStore { found: 99, supported: 2, .. }), "{error}");
}

#[tokio::test]
async fn a_sqlite_store_can_be_named_in_several_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/catalog.db").to_str().unwrap().to_owned();
    let made = Catalog::open(&path).await.unwrap();
    let table = made.create_table(&name("hits"), spec(&[]), vec![]).await.unwrap();
    for url in [format!("sqlite:{path}"), format!("sqlite://{path}")] {
        let catalog = Catalog::open(&url).await.unwrap();
        assert_eq!(catalog.table(&table.name).await.unwrap(), table);
    }
}

#[tokio::test]
async fn what_cannot_be_a_store_is_the_users_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    for url in ["", "sqlite:", ":memory:", "mysql://host/db", "postgres://host:port/db", folder] {
        let error = Catalog::open(url).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    std::fs::write(&path, "This is a letter, not a database. ".repeat(100)).unwrap();
    let error = Catalog::open(path.to_str().unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    assert!(chain(&error).contains("file is not a database"), "{}", chain(&error));
}

#[tokio::test]
async fn a_damaged_file_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let url = path.to_str().unwrap();
    let catalog = Catalog::open(url).await.unwrap();
    catalog.create_table(&name("hits"), spec(&[]), vec![]).await.unwrap();
    catalog.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let error = Catalog::open(url).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("music.db");
    let url = path.to_str().unwrap();
    let mut other = other_process(url).await;
    sqlx::raw_sql("CREATE TABLE songs (title TEXT)").execute(&mut other).await.unwrap();
    let error = Catalog::open(url).await.unwrap_err();
    assert!(error.to_string().contains("is no catalog"), "{error}");
}

/// A connection as another process would have it.
async fn other_process(path: &str) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    sqlx::ConnectOptions::connect(&options).await.unwrap()
}

#[tokio::test]
async fn another_process_that_writes_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let url = path.to_str().unwrap();
    Catalog::open(url).await.unwrap().close().await;
    let mut other = other_process(url).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();

    let catalog = Catalog::open(url).await.unwrap();
    assert_eq!(catalog.databases().await.unwrap().len(), 1);
    let writer = tokio::spawn(async move {
        catalog.create_table(&name("hits"), spec(&[]), vec![]).await.unwrap();
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!writer.is_finished());
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    writer.await.unwrap();
}

#[tokio::test]
async fn an_absent_postgres_is_unavailable_soon() {
    // A port that was free a moment ago, and one that accepts but never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap().port();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for port in [free, silent] {
        let start = Instant::now();
        let url = format!("postgres://ann:s3cret@127.0.0.1:{port}/lake?sslmode=disable");
        let error = Catalog::open(&url).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(8));
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        let text = chain(&error);
        let connect = format!("could not connect to catalog \"postgres://ann:***@127.0.0.1:{port}");
        assert!(text.starts_with(&connect), "{text}");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn a_postgres_database_that_is_not_there_is_the_users_mistake() {
    super::fixture::on_postgres(|url| async move {
        let mut url = url::Url::parse(&url).unwrap();
        url.set_path("no_such_database");
        let error = Catalog::open(url.as_str()).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert!(error.to_string().contains("\"no_such_database\" does not exist"), "{error}");
    })
    .await;
}
