//! Statements as text: what is executed when, and what comes back.

use std::time::{Duration, Instant};

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, Any, ProstMessageExt};
use arrow_flight::{
    CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor,
    FlightEndpoint, RenewFlightEndpointRequest, Ticket,
};
use bytes::Bytes;
use futures::TryStreamExt;
use prost::Message;
use tonic::Code;

use super::{Client, ENDLESS, Server, act, call, fetch, refusal, rows, ticket};

fn descriptor(sql: &str) -> FlightDescriptor {
    let command =
        arrow_flight::sql::CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

#[tokio::test]
async fn what_changes_something_runs_once_without_a_fetch() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.execute("CREATE TABLE t (id BIGINT)".into(), None).await.unwrap();
    let info = client.execute("INSERT INTO t VALUES (1), (2)".into(), None).await.unwrap();
    assert_eq!(info.total_records, 2);
    for _ in 0..2 {
        let kept = fetch(&mut client, &info).await.unwrap();
        assert_eq!(crate::support::values(&kept), [["2"]]);
    }
    assert_eq!(rows(&mut client, "SELECT count(*) FROM t").await, [["2"]]);
}

#[tokio::test]
async fn an_update_counts_its_rows() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let create = client.execute_update("CREATE TABLE t (id BIGINT)".into(), None).await.unwrap();
    assert_eq!(create, 0);
    let insert = client.execute_update("INSERT INTO t VALUES (1), (2), (3)".into(), None).await;
    assert_eq!(insert.unwrap(), 3);
    assert_eq!(rows(&mut client, "SELECT sum(id) FROM t").await, [["6"]]);
}

#[tokio::test]
async fn the_announced_schema_is_the_streams() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    rows(&mut client, "CREATE TABLE t AS SELECT 1 AS a, 'x' AS b, CAST(NULL AS INT) AS c").await;
    for sql in [
        "SELECT 1 AS a, 'text' AS b, X'00' AS c, NULL AS d",
        "SELECT a, b, count(*) AS n FROM t GROUP BY a, b",
        "SELECT arrow_cast('x', 'Dictionary(Int32, Utf8)') AS d, arrow_cast('x', 'Utf8View') AS v",
        "SELECT [1, 2] AS l, arrow_cast([1, 2], 'LargeList(Int64)') AS ll, struct(1 AS a) AS s",
        "SELECT a FROM t WHERE false",
        "SHOW TABLES",
        "EXPLAIN SELECT * FROM t",
        "INSERT INTO t VALUES (2, 'y', NULL)",
        "CREATE TABLE u (x INT)",
    ] {
        let info = client.execute(sql.to_owned(), None).await.unwrap();
        let announced = info.clone().try_decode_schema().unwrap();
        let mut stream = client.do_get(ticket(&info)).await.unwrap();
        while let Some(batch) = stream.try_next().await.unwrap() {
            assert_eq!(batch.schema().as_ref(), &announced, "{sql}");
        }
        assert_eq!(stream.schema().unwrap().as_ref(), &announced, "{sql}");
    }
}

#[tokio::test]
async fn asking_for_a_schema_executes_nothing() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let create = descriptor("CREATE TABLE t AS SELECT 1 AS a");
    client.inner_mut().get_schema(create).await.unwrap();
    let (code, _) = refusal(client.execute("SELECT * FROM t".into(), None).await);
    assert_eq!(code, Code::NotFound);
}

#[tokio::test]
async fn a_poll_is_answered_at_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let poll = client.inner_mut().poll_flight_info(descriptor("SELECT 1")).await.unwrap();
    let poll = poll.into_inner();
    assert!(poll.flight_descriptor.is_none());
    let batches = fetch(&mut client, &poll.info.unwrap()).await.unwrap();
    assert_eq!(batches[0].num_rows(), 1);
}

#[tokio::test]
async fn no_message_is_larger_than_clients_accept() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let sql = "SELECT repeat('x', CAST(value % 5000 AS INT)) AS s FROM generate_series(1, 20000)";
    let info = client.execute(sql.into(), None).await.unwrap();
    let mut stream = client.inner_mut().do_get(ticket(&info)).await.unwrap().into_inner();
    let (mut largest, mut total) = (0, 0);
    while let Some(message) = stream.message().await.unwrap() {
        largest = largest.max(message.encoded_len());
        total += message.data_body.len();
    }
    assert!(40_000_000 < total, "{total}");
    assert!(largest < 2 << 20, "{largest}");
}

#[tokio::test]
async fn a_single_wide_row_is_sent_whole() {
    let server = Server::start().await;
    let channel = server.endpoint().connect().await.unwrap();
    let inner = FlightServiceClient::new(channel).max_decoding_message_size(64 << 20);
    let mut client = Client::new_from_inner(inner);
    let sql = "SELECT value, repeat('x', 5000000) AS s FROM generate_series(1, 3)";
    let info = client.execute(sql.into(), None).await.unwrap();
    let batches = fetch(&mut client, &info).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 3);
}

#[tokio::test]
async fn a_cancel_from_another_connection_stops_a_query() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.handshake("ann", "secret").await.unwrap();
    let info = client.execute(ENDLESS.into(), None).await.unwrap();
    let mut other = server.connect().await;
    other.set_token(client.token().unwrap().clone());
    let fetched = info.clone();
    let running = tokio::spawn(async move { fetch(&mut client, &fetched).await });
    tokio::time::sleep(Duration::from_millis(300)).await;

    let began = Instant::now();
    let request = CancelFlightInfoRequest { info: Some(info) };
    let result: CancelFlightInfoResult =
        call(&mut other, "CancelFlightInfo", &request).await.unwrap();
    assert_eq!(result.status, CancelStatus::Cancelled as i32);
    assert_eq!(refusal(running.await.unwrap()).0, Code::Cancelled);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_older_cancel_works_before_a_fetch() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let info = client.execute(ENDLESS.into(), None).await.unwrap();
    let request = ActionCancelQueryRequest { info: info.encode_to_vec().into() };
    let body = act(&mut client, "CancelQuery", request.as_any().encode_to_vec()).await.unwrap();
    let result: ActionCancelQueryResult =
        Any::decode(body.as_slice()).unwrap().unpack().unwrap().unwrap();
    assert_eq!(result.result, CancelStatus::Cancelled as i32);
    assert_eq!(refusal(fetch(&mut client, &info).await).0, Code::Cancelled);
}

#[tokio::test]
async fn a_ticket_can_be_renewed_and_expires() {
    let server = Server::start_with(boathouse_flight_server::ServerConfig {
        ticket_lifetime: Duration::from_millis(400),
        ..Default::default()
    });
    let server = server.await;
    let mut client = server.connect().await;
    let info = client.execute("SELECT 1".into(), None).await.unwrap();
    let mut endpoint = info.endpoint[0].clone();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let request = RenewFlightEndpointRequest { endpoint: Some(endpoint.clone()) };
        let renewed: FlightEndpoint =
            call(&mut client, "RenewFlightEndpoint", &request).await.unwrap();
        let later =
            |e: &FlightEndpoint| e.expiration_time.as_ref().map(|time| (time.seconds, time.nanos));
        assert!(later(&endpoint) < later(&renewed));
        endpoint = renewed;
    }
    fetch(&mut client, &info).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (code, message) = refusal(fetch(&mut client, &info).await);
    assert_eq!(code, Code::NotFound);
    assert!(message.contains("Send the statement again"), "{message}");
}

#[tokio::test]
async fn a_ticket_belongs_to_its_session() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let info = client.execute("SELECT 1".into(), None).await.unwrap();
    let mut other = server.connect().await;
    assert_eq!(refusal(fetch(&mut other, &info).await).0, Code::NotFound);
}

#[tokio::test]
async fn what_is_no_command_is_the_clients_mistake() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let any = |type_url: &str, value: &'static [u8]| {
        let any = Any { type_url: type_url.to_owned(), value: Bytes::from_static(value) };
        Bytes::from(any.encode_to_vec())
    };
    let query = "type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery";
    for bytes in [Bytes::from_static(b"SELECT 1"), any(query, b"\xff\xff"), any("other", b"")] {
        let inner = client.inner_mut();
        let info = inner.get_flight_info(FlightDescriptor::new_cmd(bytes.clone())).await;
        let fetched = inner.do_get(Ticket { ticket: bytes }).await;
        for status in [info.unwrap_err(), fetched.map(|_| ()).unwrap_err()] {
            let expected = [Code::InvalidArgument, Code::Unimplemented];
            assert!(expected.contains(&status.code()), "{status}");
        }
    }
    let action = act(&mut client, "CancelQuery", b"\xff\xff".to_vec()).await;
    assert_eq!(refusal(action).0, Code::InvalidArgument);
    let unknown = act(&mut client, "Dance", Vec::new()).await;
    assert_eq!(refusal(unknown).0, Code::Unimplemented);
}

#[tokio::test]
async fn an_error_shows_the_place_and_what_to_do() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    rows(&mut client, "CREATE TABLE hits (id BIGINT)").await;
    let (code, message) = refusal(client.execute("SELECT * FROM hit".into(), None).await);
    assert_eq!(code, Code::NotFound);
    assert!(message.contains("hits") && message.contains('^'), "{message}");
    let (code, _) = refusal(client.execute("SELEC 1".into(), None).await);
    assert_eq!(code, Code::InvalidArgument);
}
