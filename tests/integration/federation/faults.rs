//! What becomes of it when the remote catalog does not answer, or not as it should.

use std::time::{Duration, Instant};

use boathouse_catalog::{Catalog, Error, Federated, chain};
use boathouse_engine::{Engine, ErrorKind, S3Config};
use boathouse_http_server::HttpConfig;
use serde_json::json;

use super::fake::{Fake, Reply};
use super::{LONG, catalog, keys, name, settings, spec};
use crate::support::{Remote, collect, config};

fn answer(body: serde_json::Value) -> Reply {
    Reply::Answer(200, body.to_string())
}

fn refusal(status: u16, code: &str) -> Reply {
    Reply::Answer(status, json!({"__type": code, "message": "no"}).to_string())
}

fn table(comment: &str) -> serde_json::Value {
    json!({"Table": {"Name": "t", "VersionId": "7", "Description": comment, "CreateTime": 1.0}})
}

/// The address of nobody.
async fn nobody() -> std::net::SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn nobody_there_is_unavailable_soon_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let address = nobody().await;
    let path = folder.path().to_str().unwrap();
    let (url, lake) = (format!("glue:http://{address}"), format!("file://{path}/lake/"));
    let engine = Engine::open(config(&folder, url, lake, S3Config::default())).await.unwrap();
    let start = Instant::now();
    for sql in ["SELECT * FROM t", "SHOW TABLES", "CREATE DATABASE d"] {
        let session = engine.session();
        let error = match session.query(sql).await {
            Ok(query) => match query.execute().await {
                Ok(rows) => collect(rows).await.unwrap_err(),
                Err(error) => error,
            },
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{sql}: {error}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    engine.close().await;
}

#[tokio::test]
async fn what_is_fresh_outlives_the_remote_catalog_and_no_longer() {
    let remote = Remote::start(HttpConfig::default()).await;
    let there = remote.engine.catalog();
    there.create_table(&name("t"), spec(), Vec::new()).await.unwrap();
    let fresh_for = Duration::from_millis(1500);
    let here = catalog(remote.address, fresh_for).await;
    here.table(&name("t")).await.unwrap();
    drop(remote);
    assert!(here.table(&name("t")).await.is_ok());
    tokio::time::sleep(fresh_for).await;
    let error = here.table(&name("t")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn only_right_signatures_come_in() {
    let http = HttpConfig { require_signature: true, ..HttpConfig::default() };
    let remote = Remote::start(http).await;
    let key = remote.engine.catalog().create_access_key(None).await.unwrap();
    let signed = |credentials| Federated { credentials, ..settings(remote.address, LONG) };
    for credentials in [None, Some(keys(&key.id, "wrong")), Some(keys("NOBODYKNOWS", &key.secret))]
    {
        let here = Catalog::federate(&signed(credentials)).await.unwrap();
        let error = here.databases().await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
        assert!(!chain(&error).contains(&key.secret));
        assert_eq!(boathouse_engine::Error::from(error).kind(), ErrorKind::PermissionDenied);
        assert!(!format!("{here:?}").contains("wrong"));
    }
    let here = Catalog::federate(&signed(Some(keys(&key.id, &key.secret)))).await.unwrap();
    assert_eq!(here.databases().await.unwrap().len(), 1);
    here.create_table(&name("t"), spec(), Vec::new()).await.unwrap();
}

#[tokio::test]
async fn questions_are_asked_again_after_troubles_that_pass() {
    for trouble in [
        refusal(400, "ThrottlingException"),
        refusal(500, "InternalServiceException"),
        Reply::Answer(503, "busy".to_owned()),
        Reply::Nothing,
    ] {
        let fake = Fake::start(vec![trouble.clone(), trouble, answer(table("x"))]).await;
        let here = catalog(fake.address, LONG).await;
        let found = here.table(&name("t")).await.unwrap();
        assert_eq!(found.spec.comment.as_deref(), Some("x"));
        assert_eq!(found.version, 7);
        assert_eq!(fake.asked(), ["GetTable"; 3]);
    }
}

#[tokio::test]
async fn a_change_is_sent_once_and_what_is_there_tells_what_became_of_it() {
    let mut made = spec();
    made.comment = Some("mine".to_owned());
    // The server does it, and its answer is lost.
    let shown = boathouse_catalog::glue::table_shape(&boathouse_catalog::Table {
        id: String::new(),
        name: name("t"),
        version: 1,
        data_version: 1,
        spec: made.clone(),
        created_at_ms: 1,
        updated_at_ms: 1,
    });
    let fake = Fake::start(vec![Reply::Nothing, answer(json!({"Table": shown}))]).await;
    let here = catalog(fake.address, LONG).await;
    let table = here.create_table(&name("t"), made.clone(), Vec::new()).await.unwrap();
    assert_eq!(table.spec, made);
    assert_eq!(fake.asked(), ["CreateTable", "GetTable", "GetTable"]);

    // It does not.
    let fake = Fake::start(vec![Reply::Nothing, refusal(400, "EntityNotFoundException")]).await;
    let here = catalog(fake.address, LONG).await;
    let error = here.create_table(&name("t"), made, Vec::new()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert_eq!(fake.asked(), ["CreateTable", "GetTable"]);
}

#[tokio::test]
async fn refusals_are_told() {
    for (status, code, is) in [
        (400, "AccessDeniedException", ErrorKind::PermissionDenied),
        (400, "InvalidInputException", ErrorKind::InvalidArgument),
        (404, "", ErrorKind::Unavailable),
    ] {
        let fake = Fake::start(vec![refusal(status, code)]).await;
        let here = catalog(fake.address, LONG).await;
        let error = here.table(&name("t")).await.unwrap_err();
        let text = chain(&error);
        assert_eq!(boathouse_engine::Error::from(error).kind(), is, "{text}");
        assert_eq!(fake.asked().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_refused() {
    let fake = Fake::start(vec![Reply::Endless]).await;
    let here = catalog(fake.address, LONG).await;
    let error = here.table(&name("t")).await.unwrap_err();
    assert!(chain(&error).contains("more than"), "{}", chain(&error));
}

#[tokio::test]
async fn whoever_gives_up_is_not_waited_for() {
    let fake = Fake::start(vec![Reply::Silence]).await;
    let here = catalog(fake.address, LONG).await;
    let patience = Duration::from_millis(200);
    let wanted = name("t");
    for _ in 0..3 {
        assert!(tokio::time::timeout(patience, here.table(&wanted)).await.is_err());
    }
    assert_eq!(fake.asked().len(), 3, "the next one asks anew");
}

#[tokio::test]
async fn a_list_that_repeats_itself_ends() {
    let page = json!({"TableList": [], "NextToken": "again"});
    let fake = Fake::start(vec![answer(page)]).await;
    let here = catalog(fake.address, LONG).await;
    assert!(here.tables("default").await.unwrap().is_empty());
    assert_eq!(fake.asked().len(), 2, "a token that comes twice is the end");
}

#[tokio::test]
async fn what_glue_does_not_have_names_the_catalog() {
    let remote = Remote::start(HttpConfig::default()).await;
    let here = catalog(remote.address, LONG).await;
    let error = here.create_access_key(None).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("access keys are not kept in the federated catalog"), "{text}");
    assert!(text.contains(&remote.address.to_string()), "{text}");
    assert_eq!(boathouse_engine::Error::from(error).kind(), ErrorKind::Unsupported);
    assert!(here.access_keys().await.unwrap().is_empty());
}
