//! Where the server listens, and how it stops.

use std::time::{Duration, Instant};

use boathouse_flight_server::{FlightServer, ServerConfig, ServerError};
use tonic::Code;

use super::{ENDLESS, Server, fetch, refusal, rows};
use crate::support::Lake;

#[tokio::test]
async fn other_machines_are_kept_out_unless_it_is_allowed() {
    let lake = Lake::local().await;
    let config = ServerConfig { listen: ([0, 0, 0, 0], 0).into(), ..ServerConfig::default() };
    let refused = FlightServer::bind(lake.engine.clone(), config.clone()).await;
    let error = refused.err().unwrap();
    assert!(matches!(error, ServerError::NotLoopback(_)));
    assert!(error.to_string().contains("allow_remote = true"), "{error}");
    let config = ServerConfig { allow_remote: true, ..config };
    FlightServer::bind(lake.engine.clone(), config).await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let server = Server::start().await;
    let lake = Lake::local().await;
    let config = ServerConfig { listen: server.address, ..ServerConfig::default() };
    let error = FlightServer::bind(lake.engine.clone(), config).await.err().unwrap();
    let text = error.to_string();
    assert!(text.contains(&server.address.to_string()) && text.contains("in use"), "{text}");
}

#[tokio::test]
async fn a_running_query_may_finish_when_the_server_stops() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let sql = "SELECT count(*) FROM generate_series(1, 30000000) WHERE value % 3 = 0";
    let info = client.execute(sql.into(), None).await.unwrap();
    let running = tokio::spawn(async move {
        let batches = fetch(&mut client, &info).await.unwrap();
        crate::support::values(&batches)
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let endpoint = server.endpoint();
    server.stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(endpoint.connect().await.is_err(), "a new client was let in");
    assert_eq!(running.await.unwrap(), [["10000000"]]);
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_cancelled() {
    let config =
        ServerConfig { shutdown_grace: Duration::from_millis(300), ..ServerConfig::default() };
    let server = Server::start_with(config).await;
    let mut client = server.connect().await;
    let info = client.execute(ENDLESS.into(), None).await.unwrap();
    let running = tokio::spawn(async move { fetch(&mut client, &info).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    server.stop.send(()).unwrap();
    assert_eq!(refusal(running.await.unwrap()).0, Code::Unavailable);
    server.serving.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    rows(&mut client, "SELECT 1").await;
    let began = Instant::now();
    server.stop.send(()).unwrap();
    server.serving.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let (code, _) = refusal(client.execute("SELECT 1".into(), None).await);
    assert!([Code::Unavailable, Code::Unknown].contains(&code), "{code}");
}
