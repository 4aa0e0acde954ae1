//! A catalog that another server keeps: what is asked of it and when, and what becomes of faults.

mod fake;
mod faults;
mod freshness;
mod others;

use std::sync::Arc;
use std::time::Duration;

use boathouse_catalog::{
    Catalog, Column, Federated, Format, Partition, Table, TableName, TableSpec, TableType,
};
use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use object_store::client::ReqwestConnector;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// A catalog that asks the server at `address`.
fn settings(address: impl std::fmt::Display, fresh_for: Duration) -> Federated {
    Federated {
        url: format!("glue:http://{address}"),
        region: "eu-central-1".to_owned(),
        allow_http: false,
        credentials: None,
        connector: Arc::new(ReqwestConnector::default()),
        fresh_for,
        tables_max: None,
    }
}

async fn catalog(address: impl std::fmt::Display, fresh_for: Duration) -> Catalog {
    Catalog::federate(&settings(address, fresh_for)).await.unwrap()
}

fn keys(id: &str, secret: &str) -> AwsCredentialProvider {
    let store = AmazonS3Builder::new()
        .with_bucket_name("any")
        .with_access_key_id(id)
        .with_secret_access_key(secret);
    store.build().unwrap().credentials().clone()
}

fn name(table: &str) -> TableName {
    TableName::new("default", table).unwrap()
}

fn column(name: &str, data_type: &str) -> Column {
    Column { name: name.into(), data_type: data_type.into(), nullable: true, comment: None }
}

/// A table of Parquet files, partitioned by a number.
fn spec() -> TableSpec {
    TableSpec {
        table_type: TableType::External,
        format: Some(Format::Parquet),
        location: Some("s3://lake/t/".to_owned()),
        columns: vec![column("a", "int")],
        partition_keys: vec![column("k", "int")],
        comment: None,
        parameters: Default::default(),
        view: None,
        details: Default::default(),
    }
}

fn partition(table: &Table, key: u32) -> Partition {
    let values = vec![Some(key.to_string())];
    let location = table.partition_location(&values);
    Partition { values, location, ..Partition::default() }
}

/// How many requests `catalog` makes for `work`.
async fn requests<T>(catalog: &Catalog, work: impl Future<Output = T>) -> (T, u64) {
    let before = catalog.remote_requests().unwrap();
    let done = work.await;
    (done, catalog.remote_requests().unwrap() - before)
}
