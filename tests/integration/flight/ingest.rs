//! Bulk ingest.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::Int32Type;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use tonic::Code;

use super::{Client, Server, refusal, rows};

fn batch(from: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + 3));
    let views: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), None, Some("c")]));
    let words: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
    let words: ArrayRef = Arc::new(words);
    let columns = [("id", ids, true), ("view", views, true), ("word", words, true)];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

async fn load(
    client: &mut Client,
    missing: TableNotExistOption,
    exists: TableExistsOption,
) -> Result<i64, FlightError> {
    let command = CommandStatementIngest {
        table: "loaded".into(),
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: missing as i32,
            if_exists: exists as i32,
        }),
        ..CommandStatementIngest::default()
    };
    let batches = [Ok(batch(1)), Ok(batch(4))];
    client.execute_ingest(command, futures::stream::iter(batches)).await
}

#[tokio::test]
async fn create_append_replace_and_fail() {
    use {TableExistsOption as Exists, TableNotExistOption as Missing};
    let server = Server::start().await;
    let mut client = server.connect().await;
    let count = "SELECT count(*), count(view), max(word) FROM loaded";

    let missing = load(&mut client, Missing::Fail, Exists::Append).await;
    assert_eq!(refusal(missing).0, Code::NotFound);
    assert_eq!(load(&mut client, Missing::Create, Exists::Fail).await.unwrap(), 6);
    assert_eq!(rows(&mut client, count).await, [["6", "4", "y"]]);
    let exists = load(&mut client, Missing::Create, Exists::Fail).await;
    assert_eq!(refusal(exists).0, Code::AlreadyExists);
    assert_eq!(load(&mut client, Missing::Fail, Exists::Append).await.unwrap(), 6);
    assert_eq!(rows(&mut client, count).await, [["12", "8", "y"]]);
    assert_eq!(load(&mut client, Missing::Create, Exists::Replace).await.unwrap(), 6);
    assert_eq!(rows(&mut client, count).await, [["6", "4", "y"]]);
}

#[tokio::test]
async fn a_load_with_a_number_is_done_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut load = async |options: &[(&str, &str)], exists: TableExistsOption| {
        let options = options.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let command = CommandStatementIngest {
            table: "loaded".into(),
            table_definition_options: Some(TableDefinitionOptions {
                if_not_exist: TableNotExistOption::Create as i32,
                if_exists: exists as i32,
            }),
            options: options.collect(),
            ..CommandStatementIngest::default()
        };
        client.execute_ingest(command, futures::stream::iter([Ok(batch(1))])).await
    };
    let (append, replace) = (TableExistsOption::Append, TableExistsOption::Replace);
    let first = [("txn_app", "loader"), ("txn_version", "1")];
    let second = [("txn_app", "loader"), ("txn_version", "2")];
    for (options, exists, rows) in [
        (&first, append, 3), // It makes the table.
        (&first, append, 0),
        (&first, replace, 0),
        (&second, append, 3),
        (&second, append, 0),
    ] {
        assert_eq!(load(options, exists).await.unwrap(), rows, "{options:?} {exists:?}");
    }
    let half = load(&first[..1], append).await;
    assert_eq!(refusal(half).0, Code::InvalidArgument);
    let text = load(&[("txn_app", "loader"), ("txn_version", "x")], append).await;
    assert_eq!(refusal(text).0, Code::InvalidArgument);
    assert_eq!(rows(&mut client, "SELECT count(*) FROM loaded").await, [["6"]]);
}

#[tokio::test]
async fn damaged_data_is_refused_and_loads_nothing() {
    use arrow_flight::sql::ProstMessageExt;
    use arrow_flight::utils::batches_to_flight_data;
    use arrow_flight::{FlightData, FlightDescriptor};
    use prost::Message;

    let server = Server::start().await;
    let mut client = server.connect().await;
    rows(&mut client, "CREATE TABLE loaded (id BIGINT)").await;
    let command = CommandStatementIngest {
        table: "loaded".into(),
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Fail as i32,
            if_exists: TableExistsOption::Append as i32,
        }),
        ..CommandStatementIngest::default()
    };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let good = batch(1).project(&[0]).unwrap();
    let good = batches_to_flight_data(&good.schema(), vec![good]).unwrap();
    for place in (0..good[1].data_header.len()).step_by(3) {
        let mut damaged: Vec<FlightData> = good.clone();
        damaged[0].flight_descriptor = Some(descriptor.clone());
        let mut header = damaged[1].data_header.to_vec();
        header[place] ^= 0xff;
        damaged[1].data_header = header.into();
        damaged[1].data_body.truncate(10);
        let outcome = match client.do_put(futures::stream::iter(damaged)).await {
            Ok(mut results) => results.message().await.map_err(FlightError::from),
            Err(error) => Err(error),
        };
        assert_eq!(refusal(outcome).0, Code::InvalidArgument, "byte {place}");
    }
    assert_eq!(rows(&mut client, "SELECT count(*) FROM loaded").await, [["0"]]);
}
