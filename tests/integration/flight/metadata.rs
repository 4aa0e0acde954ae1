//! Metadata commands: what drivers ask when they connect and show what there is.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};
use arrow_flight::{Empty, FlightInfo, IpcMessage};
use futures::TryStreamExt;

use super::{Client, Server, fetch, rows};
use crate::support::values;

async fn server() -> Server {
    let server = Server::start().await;
    let mut client = server.connect().await;
    rows(&mut client, "CREATE DATABASE web").await;
    rows(&mut client, "CREATE TABLE web.hits (id BIGINT NOT NULL, price DECIMAL(10, 2))").await;
    rows(&mut client, "CREATE TABLE web.hats (name VARCHAR)").await;
    rows(&mut client, "CREATE VIEW web.big AS SELECT id FROM web.hits").await;
    server
}

/// The rows, which have the schema that was announced.
async fn answer(client: &mut Client, info: FlightInfo) -> RecordBatch {
    let announced = info.clone().try_decode_schema().unwrap();
    let batches = fetch(client, &info).await.unwrap();
    for batch in &batches {
        assert_eq!(batch.schema().as_ref(), &announced);
    }
    arrow::compute::concat_batches(&announced.into(), &batches).unwrap()
}

/// Names, types and a `?` where NULL is allowed.
fn columns(schema: &Schema) -> Vec<String> {
    let fields = schema.fields().iter();
    let optional = |nullable: bool| if nullable { "?" } else { "" };
    fields.map(|f| format!("{}:{}{}", f.name(), f.data_type(), optional(f.is_nullable()))).collect()
}

async fn tables(client: &mut Client, get: CommandGetTables) -> Vec<String> {
    let info = client.get_tables(get).await.unwrap();
    let batch = answer(client, info).await;
    values(&[batch]).into_iter().map(|row| row[1..4].join(".")).collect()
}

fn in_web(table: Option<&str>) -> CommandGetTables {
    CommandGetTables {
        db_schema_filter_pattern: Some("web".into()),
        table_name_filter_pattern: table.map(str::to_owned),
        ..CommandGetTables::default()
    }
}

#[tokio::test]
async fn catalogs_and_databases() {
    let server = server().await;
    let mut client = server.connect().await;
    let info = client.get_catalogs().await.unwrap();
    let batch = answer(&mut client, info).await;
    assert_eq!(columns(&batch.schema()), ["catalog_name:Utf8"]);
    assert_eq!(values(&[batch]), [["boathouse"]]);

    for (catalog, pattern, expected) in [
        (None, Some("w%"), vec![["boathouse", "web"]]),
        (Some("boathouse"), Some("web"), vec![["boathouse", "web"]]),
        (Some(""), None, vec![]),
        (Some("bo%"), None, vec![]),
        (None, Some(""), vec![]),
    ] {
        let get = CommandGetDbSchemas {
            catalog: catalog.map(str::to_owned),
            db_schema_filter_pattern: pattern.map(str::to_owned),
        };
        let info = client.get_db_schemas(get).await.unwrap();
        let batch = answer(&mut client, info).await;
        assert_eq!(columns(&batch.schema()), ["catalog_name:Utf8?", "db_schema_name:Utf8"]);
        assert_eq!(values(&[batch]), expected, "{catalog:?} {pattern:?}");
    }
}

#[tokio::test]
async fn tables_with_filters() {
    let server = server().await;
    let mut client = server.connect().await;
    let all = ["web.big.VIEW", "web.hats.TABLE", "web.hits.TABLE"];
    assert_eq!(tables(&mut client, in_web(None)).await, all);
    assert_eq!(tables(&mut client, in_web(Some("h_ts"))).await, all[1..]);
    assert_eq!(tables(&mut client, in_web(Some(r"h\_ts"))).await, [""; 0]);
    assert_eq!(tables(&mut client, in_web(Some("SELECT * FROM web.hits"))).await, [""; 0]);
    let views = CommandGetTables { table_types: vec!["VIEW".into()], ..in_web(None) };
    assert_eq!(tables(&mut client, views).await, all[..1]);
    let nowhere = CommandGetTables { catalog: Some(String::new()), ..in_web(None) };
    assert_eq!(tables(&mut client, nowhere).await, [""; 0]);
    let system = CommandGetTables {
        table_types: vec!["SYSTEM TABLE".into()],
        table_name_filter_pattern: Some("tables".into()),
        ..CommandGetTables::default()
    };
    let expected = ["information_schema.tables.SYSTEM TABLE"];
    assert_eq!(tables(&mut client, system).await, expected);
}

#[tokio::test]
async fn tables_have_their_schema_when_it_is_asked_for() {
    let server = server().await;
    let mut client = server.connect().await;
    let four = ["catalog_name:Utf8?", "db_schema_name:Utf8?", "table_name:Utf8", "table_type:Utf8"];
    let info = client.get_tables(in_web(None)).await.unwrap();
    assert_eq!(columns(&answer(&mut client, info).await.schema()), four);

    let get = CommandGetTables { include_schema: true, ..in_web(Some("hits")) };
    let info = client.get_tables(get).await.unwrap();
    let batch = answer(&mut client, info).await;
    assert_eq!(columns(&batch.schema())[..4], four);
    assert_eq!(columns(&batch.schema())[4], "table_schema:Binary");
    let bytes = batch.column(4).as_binary::<i32>().value(0).to_vec();
    let schema = Schema::try_from(IpcMessage(bytes.into())).unwrap();
    assert_eq!(schema.field(0).data_type(), &DataType::Int64);
    let metadata = schema.field(1).metadata();
    assert_eq!(metadata["ARROW:FLIGHT:SQL:TYPE_NAME"], "DECIMAL");
    assert_eq!(metadata["ARROW:FLIGHT:SQL:PRECISION"], "10");
}

#[tokio::test]
async fn keys_are_empty_with_the_right_columns() {
    let server = server().await;
    let mut client = server.connect().await;
    let table = || "hits".to_owned();
    let get = CommandGetPrimaryKeys { table: table(), ..Default::default() };
    let info = client.get_primary_keys(get).await.unwrap();
    let batch = answer(&mut client, info).await;
    let expected = [
        "catalog_name:Utf8?",
        "db_schema_name:Utf8?",
        "table_name:Utf8",
        "column_name:Utf8",
        "key_name:Utf8?",
        "key_sequence:Int32",
    ];
    assert_eq!(
        (columns(&batch.schema()), batch.num_rows()),
        (expected.map(Into::into).to_vec(), 0)
    );

    let exported = CommandGetExportedKeys { table: table(), ..Default::default() };
    let imported = CommandGetImportedKeys { table: table(), ..Default::default() };
    let cross = CommandGetCrossReference {
        pk_table: table(),
        fk_table: table(),
        ..CommandGetCrossReference::default()
    };
    for info in [
        client.get_exported_keys(exported).await.unwrap(),
        client.get_imported_keys(imported).await.unwrap(),
        client.get_cross_reference(cross).await.unwrap(),
    ] {
        let batch = answer(&mut client, info).await;
        assert_eq!((batch.num_columns(), batch.num_rows()), (13, 0));
        assert_eq!(columns(&batch.schema())[11], "update_rule:UInt8");
    }
}

#[tokio::test]
async fn types_and_the_server_itself() {
    let server = server().await;
    let mut client = server.connect().await;
    let info = client.get_table_types().await.unwrap();
    let batch = answer(&mut client, info).await;
    assert_eq!(values(&[batch]), [["SYSTEM TABLE"], ["TABLE"], ["VIEW"]]);

    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
    let batch = answer(&mut client, info).await;
    assert_eq!(batch.num_columns(), 19);
    assert!(10 < batch.num_rows());

    let asked = vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerTransaction];
    let info = client.get_sql_info(asked).await.unwrap();
    let batch = answer(&mut client, info).await;
    let expected = [["0", "{string_value=Boathouse}"], ["8", "{int32_bitmask=0}"]];
    assert_eq!(values(&[batch]), expected);
    let info = client.get_sql_info(Vec::new()).await.unwrap();
    assert!(90 < answer(&mut client, info).await.num_rows());
}

#[tokio::test]
async fn actions_are_listed() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let actions = client.inner_mut().list_actions(Empty {}).await.unwrap().into_inner();
    let actions: Vec<String> = actions.map_ok(|action| action.r#type).try_collect().await.unwrap();
    for name in ["CreatePreparedStatement", "CancelFlightInfo", "SetSessionOptions"] {
        assert!(actions.iter().any(|action| action == name), "{name}");
    }
}
