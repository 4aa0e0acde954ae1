//! What each path answers.

use std::collections::HashSet;

use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::*;

#[tokio::test]
async fn an_operation_is_called_with_its_input() {
    let server = Running::start(any_port()).await;
    let answer = server.call("AWSGlue.Echo", r#"{"a": [1, "ü"]}"#).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "a": [1, "ü"] })));
    assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.1"));
    let answer = server.call("AWSGlue.Echo", "").await;
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    let answer = server.call("AWSGlue.Fail", "{}").await;
    assert_eq!((answer.status, answer.error()), (400, "EntityNotFoundException".to_owned()));
    assert_eq!(answer.json()["Message"], "Table x not found.");
    server.stop().await;
}

#[tokio::test]
async fn a_target_that_names_no_operation_is_unknown() {
    let server = Running::start(any_port()).await;
    for target in ["AWSGlue.Nothing", "AWSGlue.", "AWSGlue", "Echo", "Kinesis_20131202.Echo", ""] {
        let answer = server.call(target, "{}").await;
        let error = "UnknownOperationException".to_owned();
        assert_eq!((answer.status, answer.error()), (400, error), "{target}");
    }
    let answer = server.connect().await.call_with("", "{}").await;
    assert_eq!(answer.error(), "UnknownOperationException");
    server.stop().await;
}

#[tokio::test]
async fn input_that_is_no_object_is_malformed() {
    let server = Running::start(any_port()).await;
    let deep = "[".repeat(100_000);
    for body in ["{", "[]", "1", "null", "\"x\"", "{} {}", "\u{feff}{}", " ", &deep] {
        let answer = server.call("AWSGlue.Echo", body).await;
        assert_eq!((answer.status, answer.error()), (400, "SerializationException".to_owned()));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_connection_goes_on() {
    let server = Running::start(any_port()).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        let answer = client.call("AWSGlue.Panic", "{}").await;
        assert_eq!((answer.status, answer.error()), (500, "InternalServiceException".to_owned()));
        assert!(!answer.body.contains("as asked"), "{}", answer.body);
    }
    assert_eq!(client.call("AWSGlue.Echo", "{}").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let server = Running::start(HttpConfig { test_reset: true, ..any_port() }).await;
    let mut client = server.connect().await;
    let mut ids = HashSet::new();
    for (method, path) in [
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("POST", "/moto-api/reset"),
        ("POST", "/"),
        ("GET", "/"),
        ("GET", "/nowhere"),
    ] {
        let answer = client.ask(method, path).await;
        let id = answer.header("x-amzn-requestid").unwrap();
        ids.insert(uuid::Uuid::parse_str(id).unwrap());
    }
    assert_eq!(ids.len(), 7);
    server.stop().await;
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_as_json() {
    let server = Running::start(any_port()).await;
    let mut client = server.connect().await;
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("POST", "/nowhere", 404),
        ("POST", "/moto-api/reset", 404),
        ("POST", "//", 404),
        ("GET", "/", 405),
        ("OPTIONS", "/", 405),
        ("DELETE", "/", 405),
        ("POST", "/livez", 405),
        ("PUT", "/metrics", 405),
    ] {
        let answer = client.ask(method, path).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["message"].is_string(), "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn health_is_told() {
    let server = Running::start(any_port()).await;
    let mut client = server.connect().await;
    for path in ["/livez", "/readyz"] {
        let answer = client.ask("GET", path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"), "{path}");
    }
    server.catalog.clone().close().await;
    let answer = client.ask("GET", "/readyz").await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.starts_with("could not "), "{}", answer.body);
    assert_eq!(client.ask("GET", "/livez").await.status, 200);
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn what_happens_is_counted() {
    let server = Running::start(HttpConfig { require_signature: false, ..any_port() }).await;
    let mut client = server.connect().await;
    client.call("AWSGlue.Echo", "{}").await;
    client.call("AWSGlue.Panic", "{}").await;
    client.call("AWSGlue.MadeUp", "{}").await;
    client.call_with("authorization: Basic YTpi\r\n", "{}").await;
    let answer = client.ask("GET", "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        r#"boathouse_http_requests_total{operation="Echo",code="OK"} 1"#,
        r#"boathouse_http_requests_total{operation="Panic",code="InternalServiceException"} 1"#,
        r#"boathouse_http_requests_total{operation="unknown",code="UnknownOperationException"} 1"#,
        r#"boathouse_http_rejected_signatures_total{code="IncompleteSignatureException"} 1"#,
        r#"boathouse_http_request_duration_seconds_count{operation="Echo"} 1"#,
        "boathouse_http_requests_in_flight 0",
        "boathouse_http_connections 1",
        "# EOF",
    ] {
        assert!(answer.body.lines().any(|found| found == line), "no {line} in {}", answer.body);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_test_may_reset_where_it_is_allowed() {
    let server = Running::start(HttpConfig { test_reset: true, ..any_port() }).await;
    let mut client = server.connect().await;
    let answer = client.ask("POST", "/moto-api/reset").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "status": "ok" })));
    assert_eq!(client.ask("GET", "/moto-api/reset").await.status, 405);
    server.stop().await;
}

#[tokio::test]
async fn a_web_page_can_do_nothing() {
    let server = Running::start(HttpConfig { test_reset: true, ..any_port() }).await;
    let mut client = server.connect().await;
    let page = "origin: http://example.com\r\n";
    let answer = client.call_with(&format!("{page}x-amz-target: AWSGlue.Echo\r\n"), "{}").await;
    assert_eq!((answer.status, answer.error()), (400, "AccessDeniedException".to_owned()));
    let head = "POST /moto-api/reset HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n";
    client.send(&format!("{head}{page}\r\n")).await;
    assert_eq!(client.answer().await.error(), "AccessDeniedException");
    server.stop().await;
}

#[tokio::test]
async fn a_large_request_is_taken_up_to_the_limit() {
    let limit = 1 << 20;
    let server = Running::start(HttpConfig { max_request_bytes: limit, ..any_port() }).await;
    let body = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
    let fits = body(limit);
    let answer = server.call("AWSGlue.Echo", &fits).await;
    assert!(answer.status == 200 && answer.body == fits);
    for too_large in [limit + 1, 2 * limit] {
        let answer = server.call("AWSGlue.Echo", &body(too_large)).await;
        let error = "RequestEntityTooLargeException".to_owned();
        assert_eq!((answer.status, answer.error()), (413, error));
    }
    let mut client = server.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.send(&format!("{:x}\r\n{}\r\n0\r\n\r\n", limit + 1, body(limit + 1))).await;
    assert_eq!(client.answer().await.error(), "RequestEntityTooLargeException");
    server.stop().await;
}

#[tokio::test]
async fn many_large_requests_at_a_time_take_turns() {
    let server = Running::start(any_port()).await;
    let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(400 << 10));
    let calls = (0..40).map(|_| server.call("AWSGlue.Echo", &body));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.status, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn signatures_are_verified_at_the_door() {
    let server = Running::start(HttpConfig { require_signature: true, ..any_port() }).await;
    let key = server.catalog.create_access_key(None).await.unwrap();
    let mut client = server.connect().await;
    let signed = |id: &str, secret: &str| sign(id, secret, "{}");
    let answer = client.call_with(&signed(&key.id, &key.secret), "{}").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    for (headers, body, error) in [
        (signed(&key.id, &key.secret), "[]", "InvalidSignatureException"),
        (signed(&key.id, "wrong"), "{}", "InvalidSignatureException"),
        (signed("AKIDNOBODY", "x"), "{}", "UnrecognizedClientException"),
        ("x-amz-target: AWSGlue.Echo\r\n".to_owned(), "{}", "MissingAuthenticationTokenException"),
        (
            "authorization: AWS4-HMAC-SHA256 x\r\nx-amz-date: x\r\n".to_owned(),
            "{}",
            "IncompleteSignatureException",
        ),
    ] {
        let answer = client.call_with(&headers, body).await;
        assert_eq!((answer.status, answer.error()), (400, error.to_owned()));
    }
    let page = format!("origin: http://x\r\n{}", signed(&key.id, &key.secret));
    assert_eq!(client.call_with(&page, "{}").await.status, 200, "a page that can sign");
    let metrics = client.ask("GET", "/metrics").await.body;
    let line = r#"rejected_signatures_total{code="InvalidSignatureException"} 2"#;
    assert!(metrics.contains(line), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn on_loopback_made_up_keys_get_in_and_known_ones_must_be_right() {
    let server = Running::start(any_port()).await;
    let key = server.catalog.create_access_key(None).await.unwrap();
    let mut client = server.connect().await;
    assert_eq!(client.call_with(&sign("testing", "testing", "{}"), "{}").await.status, 200);
    assert_eq!(client.call_with(&sign(&key.id, &key.secret, "{}"), "{}").await.status, 200);
    let answer = client.call_with(&sign(&key.id, "wrong", "{}"), "{}").await;
    assert_eq!(answer.error(), "InvalidSignatureException");
    server.stop().await;
}

#[tokio::test]
async fn a_large_request_that_is_refused_gets_its_answer() {
    let server = Running::start(HttpConfig { require_signature: true, ..any_port() }).await;
    let answer = server.call("AWSGlue.Echo", &" ".repeat(8 << 20)).await;
    assert_eq!(answer.error(), "MissingAuthenticationTokenException");
    server.stop().await;
}

/// The headers of a signed call of `Echo`, made from scratch.
fn sign(id: &str, secret: &str, body: &str) -> String {
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let time = Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
    let hash = hex::encode(Sha256::digest(body));
    let names = "host;x-amz-date;x-amz-target";
    let request = format!(
        "POST\n/\n\nhost:x\nx-amz-date:{time}\nx-amz-target:AWSGlue.Echo\n\n{names}\n{hash}"
    );
    let scope = format!("{}/us-east-1/glue/aws4_request", &time[..8]);
    let hash = hex::encode(Sha256::digest(request));
    let parts = [&time[..8], "us-east-1", "glue", "aws4_request"];
    let key = parts.iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    let signature = hex::encode(mac(&key, &format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}")));
    format!(
        "x-amz-date: {time}\r\nx-amz-target: AWSGlue.Echo\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}\r\n"
    )
}
