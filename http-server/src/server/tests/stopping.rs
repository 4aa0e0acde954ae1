//! What ends requests, connections and the server.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::*;
use crate::metrics::Metrics;
use crate::server::connections::{Connections, Patience};

const SHORT: Duration = Duration::from_millis(200);

/// A server of `routes` that is soon out of patience, until the test ends.
async fn impatient(routes: axum::Router, patience: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Patience { head: patience, stalled: patience };
    let mut connections = Connections::new(routes, Arc::new(Metrics::new()), 10, patience);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                accepted = listener.accept() => connections.welcome(accepted).await,
                () = connections.reap() => {}
            }
        }
    });
    address
}

async fn metrics(client: &mut Client) -> String {
    client.ask("GET", "/metrics").await.body
}

/// Waits for a line of the metrics, or a part of one.
async fn until(client: &mut Client, line: &str) {
    let since = Instant::now();
    while !metrics(client).await.contains(line) {
        assert!(since.elapsed() < LONG, "no {line}");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_ends() {
    let server = Running::start(HttpConfig { request_timeout: SHORT, ..any_port() }).await;
    let mut client = server.connect().await;
    let answer = client.call("AWSGlue.Hang", "{}").await;
    assert_eq!((answer.status, answer.error()), (400, "OperationTimeoutException".to_owned()));
    let counted = r#"requests_total{operation="Hang",code="OperationTimeoutException"} 1"#;
    assert!(metrics(&mut client).await.contains(counted));
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").await;
    assert_eq!(client.answer().await.error(), "OperationTimeoutException");
    server.stop().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once() {
    let server = Running::start(HttpConfig { max_connections: 2, ..any_port() }).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    assert_eq!(first.ask("GET", "/livez").await.status, 200);
    assert_eq!(second.ask("GET", "/livez").await.status, 200);
    assert!(server.connect().await.is_closed().await);
    assert!(metrics(&mut first).await.contains("refused_connections_total 1\n"));
    drop(second);
    until(&mut first, "http_connections 1\n").await;
    assert_eq!(server.connect().await.ask("GET", "/livez").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let server = Running::start(any_port()).await;
    let mut leaving = server.connect().await;
    leaving.send("POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AWSGlue.Hang\r\n\r\n").await;
    let mut client = server.connect().await;
    until(&mut client, "requests_in_flight 1\n").await;
    drop(leaving);
    until(&mut client, "requests_in_flight 0\n").await;
    server.stop().await;
}

#[tokio::test]
async fn a_slow_head_ends_the_connection() {
    let address = impatient(axum::Router::new(), SHORT).await;
    let since = Instant::now();
    let mut silent = Client::connect(address).await;
    let mut slow = Client::connect(address).await;
    slow.send("POST / HTTP/1.1\r\n").await;
    let mut idle = Client::connect(address).await;
    idle.ask("GET", "/").await;
    for client in [&mut silent, &mut idle] {
        assert!(client.is_closed().await);
    }
    while since.elapsed() < LONG && slow.stream.try_read(&mut [0; 1]).is_err() {
        slow.send("x: y\r\n").await;
        sleep(SHORT / 10).await;
    }
    assert!(since.elapsed() < LONG);
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_the_connection() {
    let large = axum::Router::new().route("/", axum::routing::get(async || "x".repeat(64 << 20)));
    let address = impatient(large, SHORT).await;
    let mut client = Client::connect(address).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    sleep(5 * SHORT).await;
    let mut taken = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let reading = client.stream.read(&mut buffer);
        match timeout(LONG, reading).await.unwrap() {
            Ok(0) | Err(_) => break,
            Ok(length) => taken += length,
        }
    }
    assert!(taken < 64 << 20, "all {taken} bytes came");
}

#[tokio::test]
async fn a_client_that_takes_its_time_gets_it_all() {
    let large = axum::Router::new().route("/", axum::routing::get(async || "x".repeat(32 << 20)));
    const PATIENCE: Duration = Duration::from_secs(1);
    let address = impatient(large, PATIENCE).await;
    let mut client = Client::connect(address).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut taken = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match client.stream.read(&mut buffer).await.unwrap() {
            0 => break,
            length => taken += length,
        }
        sleep(PATIENCE / 10).await;
    }
    assert!(32 << 20 < taken, "only {taken} bytes came");
}

#[tokio::test]
async fn requests_may_finish_when_the_server_stops() {
    let server = Running::start(any_port()).await;
    let address = server.address;
    let (mut busy, mut idle, mut new) =
        (server.connect().await, server.connect().await, server.connect().await);
    assert_eq!(idle.ask("GET", "/livez").await.status, 200);
    busy.send("POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AWSGlue.Wait\r\n\r\n").await;
    until(&mut idle, "requests_in_flight 1\n").await;
    let since = Instant::now();
    let stopping = tokio::spawn(server.stop());
    assert_eq!(busy.answer().await.status, 200);
    assert!(busy.is_closed().await && idle.is_closed().await && new.is_closed().await);
    stopping.await.unwrap();
    assert!(since.elapsed() < LONG / 2, "it waited for idle connections");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn requests_that_do_not_finish_are_dropped() {
    let server = Running::start(HttpConfig { shutdown_grace: SHORT, ..any_port() }).await;
    let mut busy = server.connect().await;
    let mut other = server.connect().await;
    busy.send("POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AWSGlue.Hang\r\n\r\n").await;
    until(&mut other, "requests_in_flight 1\n").await;
    let since = Instant::now();
    server.stop().await;
    assert!(since.elapsed() >= SHORT && since.elapsed() < LONG / 2, "{:?}", since.elapsed());
    assert!(busy.is_closed().await);
}

#[tokio::test]
async fn what_is_not_http_ends_the_connection() {
    let server = Running::start(any_port()).await;
    for bytes in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut client = server.connect().await;
        client.send(bytes).await;
        let mut answer = String::new();
        let reading = client.stream.read_to_string(&mut answer);
        timeout(LONG, reading).await.unwrap().unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(server.connect().await.ask("GET", "/livez").await.status, 200);
    server.stop().await;
}
