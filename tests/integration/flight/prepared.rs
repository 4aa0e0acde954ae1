//! Prepared statements and their values.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UnionArray};
use arrow::datatypes::{DataType, Field, UnionFields};
use boathouse_flight_server::ServerConfig;
use tonic::Code;

use super::{Client, Server, fetch, refusal, rows};
use crate::support::values;

/// One row of values for each item; names of columns are as clients send them.
fn parameters(columns: Vec<ArrayRef>) -> RecordBatch {
    let columns = columns.into_iter().enumerate();
    let columns = columns.map(|(i, column)| (i.to_string(), column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

async fn query(client: &mut Client, sql: &str, bound: RecordBatch) -> Vec<Vec<String>> {
    let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
    prepared.set_parameters(bound).unwrap();
    let info = prepared.execute().await.unwrap();
    values(&fetch(client, &info).await.unwrap())
}

#[tokio::test]
async fn values_are_typed_and_may_be_null() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let sql = "SELECT $1 + 1 AS a, $2 || '!' AS b, $3 IS NULL AS c";
    let bound = parameters(vec![
        Arc::new(Int64Array::from(vec![41])),
        Arc::new(StringArray::from(vec!["größe'; DROP TABLE t"])),
        Arc::new(Float64Array::from(vec![None::<f64>])),
    ]);
    let expected = [["42", "größe'; DROP TABLE t!", "true"]];
    assert_eq!(query(&mut client, sql, bound).await, expected);
}

#[tokio::test]
async fn each_row_of_values_runs_the_query_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let bound = parameters(vec![Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))]);
    let sql = "SELECT CAST($1 AS BIGINT) AS x";
    assert_eq!(query(&mut client, sql, bound).await, [["1"], ["NULL"], ["3"]]);
    let none = parameters(vec![Arc::new(Int64Array::from(Vec::<i64>::new()))]);
    assert!(query(&mut client, sql, none).await.is_empty());
}

#[tokio::test]
async fn unions_are_unwrapped() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let fields = UnionFields::from_fields([
        Field::new("int", DataType::Int64, true),
        Field::new("string", DataType::Utf8, true),
    ]);
    let children: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![7])), Arc::new(StringArray::from(vec!["x"]))];
    let wrap = |child: i8| -> ArrayRef {
        let (ids, offsets) = (vec![child].into(), Some(vec![0].into()));
        Arc::new(UnionArray::try_new(fields.clone(), ids, offsets, children.clone()).unwrap())
    };
    let bound = parameters(vec![wrap(0), wrap(1)]);
    let sql = "SELECT CAST($1 AS BIGINT) * 2 AS a, $2 || '!' AS b";
    assert_eq!(query(&mut client, sql, bound).await, [["14", "x!"]]);
}

#[tokio::test]
async fn an_update_runs_for_each_row_and_counts_them_all() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    rows(&mut client, "CREATE TABLE t (id BIGINT, name VARCHAR)").await;
    let sql = "INSERT INTO t VALUES ($1, $2)".to_owned();
    let mut insert = client.prepare(sql, None).await.unwrap();
    assert!(insert.dataset_schema().unwrap().fields().is_empty());
    assert_eq!(insert.parameter_schema().unwrap().fields().len(), 2);
    let bound = parameters(vec![
        Arc::new(Int64Array::from(vec![1, 2, 3])),
        Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])),
    ]);
    insert.set_parameters(bound).unwrap();
    assert_eq!(insert.execute_update().await.unwrap(), 3);
    let expected = [["1", "a"], ["2", "NULL"], ["3", "c"]];
    assert_eq!(rows(&mut client, "SELECT * FROM t ORDER BY id").await, expected);
}

#[tokio::test]
async fn to_prepare_executes_nothing_and_each_execution_sees_what_is_new() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    rows(&mut client, "CREATE TABLE t (id BIGINT)").await;
    let sql = "INSERT INTO t VALUES (1)".to_owned();
    let mut insert = client.prepare(sql, None).await.unwrap();
    let mut count = client.prepare("SELECT count(*) FROM t".into(), None).await.unwrap();
    for expected in ["0", "1", "2"] {
        let info = count.execute().await.unwrap();
        assert_eq!(values(&fetch(&mut client, &info).await.unwrap()), [[expected]]);
        let info = insert.execute().await.unwrap();
        assert_eq!(info.total_records, 1);
    }
}

#[tokio::test]
async fn a_query_announces_its_schema() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    rows(&mut client, "CREATE TABLE t (a BIGINT, b VARCHAR)").await;
    let sql = "SELECT a, b FROM t WHERE a = $1".to_owned();
    let prepared = client.prepare(sql, None).await.unwrap();
    let names: Vec<&str> =
        prepared.dataset_schema().unwrap().fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let parameter = prepared.parameter_schema().unwrap().field(0).clone();
    assert_eq!(parameter.data_type(), &DataType::Int64);
}

#[tokio::test]
async fn missing_and_superfluous_values_are_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut prepared = client.prepare("SELECT $1 + 1".into(), None).await.unwrap();
    let (code, message) = refusal(prepared.execute().await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.contains("1 parameter"), "{message}");
    let two: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![2]))];
    prepared.set_parameters(parameters(two)).unwrap();
    assert_eq!(refusal(prepared.execute().await).0, Code::InvalidArgument);
}

#[tokio::test]
async fn a_failed_row_says_which_and_what_became_of_the_others() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    rows(&mut client, "CREATE TABLE t (id BIGINT)").await;
    let sql = "INSERT INTO t SELECT 10 / CAST($1 AS BIGINT)".to_owned();
    let mut insert = client.prepare(sql, None).await.unwrap();
    insert.set_parameters(parameters(vec![Arc::new(Int64Array::from(vec![1, 0]))])).unwrap();
    let (code, message) = refusal(insert.execute_update().await);
    assert_eq!(code, Code::InvalidArgument, "{message}");
    assert!(message.contains("parameter row 2"), "{message}");
    assert_eq!(rows(&mut client, "SELECT id FROM t").await, [["10"]]);
}

#[tokio::test]
async fn a_closed_statement_is_unknown() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let prepared = client.prepare("SELECT 1".into(), None).await.unwrap();
    let mut copy = client.prepare("SELECT 1".into(), None).await.unwrap();
    prepared.close().await.unwrap();
    copy.execute().await.unwrap();
    copy.close().await.unwrap();
    let mut other = server.connect().await;
    let mut prepared = other.prepare("SELECT 1".into(), None).await.unwrap();
    super::act(&mut other, "CloseSession", Vec::new()).await.unwrap();
    assert_eq!(refusal(prepared.execute().await).0, Code::NotFound);
}

#[tokio::test]
async fn a_session_holds_only_so_many() {
    let config = ServerConfig { max_prepared_statements: 3, ..ServerConfig::default() };
    let server = Server::start_with(config).await;
    let mut client = server.connect().await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(client.prepare("SELECT 1".into(), None).await.unwrap());
    }
    let (code, message) = refusal(client.prepare("SELECT 1".into(), None).await);
    assert_eq!(code, Code::ResourceExhausted);
    assert!(message.contains("3 prepared statements"), "{message}");
    kept.pop().unwrap().close().await.unwrap();
    client.prepare("SELECT 1".into(), None).await.unwrap();
}

#[tokio::test]
async fn executions_of_closed_statements_take_no_place() {
    let server = Server::start_with(ServerConfig { max_tickets: 3, ..ServerConfig::default() });
    let server = server.await;
    let mut client = server.connect().await;
    for _ in 0..10 {
        let mut prepared = client.prepare("SELECT 1".into(), None).await.unwrap();
        let info = prepared.execute().await.unwrap();
        prepared.close().await.unwrap();
        fetch(&mut client, &info).await.unwrap();
        let mut prepared = client.prepare("SELECT 1".into(), None).await.unwrap();
        prepared.execute().await.unwrap();
        prepared.close().await.unwrap();
    }
    for _ in 0..3 {
        client.execute("SELECT 1".into(), None).await.unwrap();
    }
    let (code, message) = refusal(client.execute("SELECT 1".into(), None).await);
    assert_eq!(code, Code::ResourceExhausted);
    assert!(message.contains("3 tickets"), "{message}");
}
