//! Sessions: by connection, by token and by cookie; their options and their end.

use std::collections::HashMap;
use std::time::Duration;

use arrow_flight::Action;
use boathouse_flight_server::ServerConfig;
use prost::Message;
use tonic::{Code, Request};

use super::{Client, ENDLESS, Server, act, call, fetch, refusal, rows};

/// The protocol's messages about sessions, as other clients have them.
#[derive(Clone, PartialEq, prost::Message)]
struct SetRequest {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SetResult {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, Problem>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GetResult {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Value {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Problem {
    #[prost(int32, tag = "1")]
    value: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

fn options(options: &[(&str, &str)]) -> SetRequest {
    let options = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value { text: (*value).to_owned() }));
    SetRequest { options: options.collect() }
}

async fn database(client: &mut Client) -> String {
    let result: GetResult = call(client, "GetSessionOptions", &Nothing {}).await.unwrap();
    result.options["schema"].text.clone()
}

async fn server_with_web() -> Server {
    let server = Server::start().await;
    rows(&mut server.connect().await, "CREATE DATABASE web").await;
    server
}

#[tokio::test]
async fn use_and_set_last_as_long_as_the_connection() {
    let server = server_with_web().await;
    let (mut one, mut other) = (server.connect().await, server.connect().await);
    rows(&mut one, "USE web").await;
    rows(&mut one, "SET datafusion.execution.batch_size = 17").await;
    assert_eq!(database(&mut one).await, "web");
    let size = "SHOW datafusion.execution.batch_size";
    assert!(rows(&mut one, size).await[0].contains(&"17".to_owned()));
    assert_eq!(database(&mut other).await, "default");
    assert!(!rows(&mut other, size).await[0].contains(&"17".to_owned()));
}

#[tokio::test]
async fn a_token_names_its_session_on_each_connection() {
    let server = server_with_web().await;
    let mut one = server.connect().await;
    one.handshake("ann", "anything").await.unwrap();
    rows(&mut one, "USE web").await;
    let mut other = server.connect().await;
    other.set_token(one.token().unwrap().clone());
    drop(one);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(database(&mut other).await, "web");
    other.clear_token();
    assert_eq!(database(&mut other).await, "default");
}

#[tokio::test]
async fn an_unknown_token_is_told_to_connect_again() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.set_token("made-up".into());
    let (code, message) = refusal(client.execute("SELECT 1".into(), None).await);
    assert_eq!(code, Code::Unauthenticated);
    assert!(message.contains("Connect again"), "{message}");
}

#[tokio::test]
async fn an_idle_session_expires() {
    let server = Server::start_with(ServerConfig {
        session_idle_timeout: Duration::from_millis(300),
        ..ServerConfig::default()
    })
    .await;
    let mut client = server.connect().await;
    client.handshake("ann", "anything").await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        rows(&mut client, "SELECT 1").await;
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    let (code, _) = refusal(client.execute("SELECT 1".into(), None).await);
    assert_eq!(code, Code::Unauthenticated);
}

#[tokio::test]
async fn options_are_set_and_refused() {
    let server = server_with_web().await;
    let mut client = server.connect().await;
    let request = options(&[
        ("catalog", "boathouse"),
        ("schema", "web"),
        ("datafusion.execution.batch_size", "17"),
    ]);
    let result: SetResult = call(&mut client, "SetSessionOptions", &request).await.unwrap();
    assert_eq!(result.errors, HashMap::new());
    let result: GetResult = call(&mut client, "GetSessionOptions", &Nothing {}).await.unwrap();
    for (name, value) in request.options {
        assert_eq!(result.options[&name], value, "{name}");
    }
    let request = options(&[
        ("catalog", "other"),
        ("schema", "nowhere"),
        ("no.such.setting", "1"),
        ("datafusion.execution.batch_size", "many"),
    ]);
    let result: SetResult = call(&mut client, "SetSessionOptions", &request).await.unwrap();
    let problem = |name: &str| result.errors[name].value;
    assert_eq!((problem("catalog"), problem("schema")), (2, 2), "invalid values");
    assert_eq!(problem("no.such.setting"), 1, "an invalid name");
    assert_eq!(problem("datafusion.execution.batch_size"), 2, "an invalid value");
}

#[tokio::test]
async fn a_cookie_leads_back_to_the_session() {
    let server = server_with_web().await;
    let mut one = server.connect().await;
    let body = options(&[("schema", "web")]).encode_to_vec();
    let action = Action { r#type: "SetSessionOptions".into(), body: body.into() };
    let response = one.inner_mut().do_action(Request::new(action)).await.unwrap();
    let cookie = response.metadata().get("set-cookie").unwrap().to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("arrow_flight_session_id="), "{cookie}");

    let mut other = server.connect().await;
    other.set_header("cookie", cookie.clone());
    assert_eq!(database(&mut other).await, "web");
    drop(one);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(database(&mut other).await, "web");

    act(&mut other, "CloseSession", Vec::new()).await.unwrap();
    let (code, _) = refusal(other.execute("SELECT 1".into(), None).await);
    assert_eq!(code, Code::Unauthenticated);
}

#[tokio::test]
async fn a_closed_session_stops_what_runs() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.handshake("ann", "anything").await.unwrap();
    let mut other = server.connect().await;
    other.set_token(client.token().unwrap().clone());
    let running = tokio::spawn(async move {
        let info = client.execute(ENDLESS.into(), None).await.unwrap();
        fetch(&mut client, &info).await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    act(&mut other, "CloseSession", Vec::new()).await.unwrap();
    let outcome = tokio::time::timeout(Duration::from_secs(1), running).await.unwrap();
    assert_eq!(refusal(outcome.unwrap()).0, Code::Cancelled);
    let (code, _) = refusal(other.execute("SELECT 1".into(), None).await);
    assert_eq!(code, Code::Unauthenticated);
}

#[tokio::test]
async fn a_connection_may_close_its_session_and_go_on() {
    let server = server_with_web().await;
    let mut client = server.connect().await;
    rows(&mut client, "USE web").await;
    act(&mut client, "CloseSession", Vec::new()).await.unwrap();
    assert_eq!(database(&mut client).await, "default");
}

#[tokio::test]
async fn one_session_too_many_ends_the_one_that_is_idle_longest() {
    let server =
        Server::start_with(ServerConfig { max_sessions: 2, ..ServerConfig::default() }).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.handshake("ann", "anything").await.unwrap();
        rows(&mut client, "SELECT 1").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        clients.push(client);
    }
    let (code, _) = refusal(clients[0].execute("SELECT 1".into(), None).await);
    assert_eq!(code, Code::Unauthenticated);
    for client in &mut clients[1..] {
        rows(client, "SELECT 1").await;
    }
}

#[tokio::test]
async fn no_session_ends_for_another_while_a_query_runs() {
    let server =
        Server::start_with(ServerConfig { max_sessions: 1, ..ServerConfig::default() }).await;
    let mut client = server.connect().await;
    let info = client.execute(ENDLESS.into(), None).await.unwrap();
    let running = client.do_get(super::ticket(&info)).await.unwrap();
    let mut other = server.connect().await;
    let (code, message) = refusal(other.execute("SELECT 1".into(), None).await);
    assert_eq!(code, Code::ResourceExhausted);
    assert!(message.contains("1 sessions"), "{message}");
    drop(running);
}
