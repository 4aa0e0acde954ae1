//! How long a query's plan takes when the catalog is large.

use std::hint::black_box;

use boathouse_catalog::{
    Catalog, Column, DataFile, FileStatistics, Format, Partition, TableName, TableSpec, TableType,
};
use boathouse_engine::Engine;
use criterion::Criterion;
use tokio::runtime::Runtime;

const TABLES: usize = 10_000;
const PARTITIONS: usize = 100_000;

/// Point queries on a catalog of many tables, and on a table of many partitions.
pub(crate) fn measure() {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = crate::config(folder.path(), 0);
    let engine = runtime.block_on(async {
        fill(&config.catalog_url).await;
        Engine::open(config).await.unwrap()
    });
    let session = engine.session();

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("plan a point query");
    for (name, sql) in [
        ("one of 10,000 tables", "SELECT v FROM t5000 WHERE v = 42"),
        ("one of 100,000 partitions", "SELECT v FROM many WHERE k = 50000 AND v = 42"),
    ] {
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(async || black_box(session.query(sql).await.unwrap()));
        });
    }
    group.finish();
    criterion.final_summary();
    runtime.block_on(engine.close());
}

/// Tables whose files don't exist: a plan reads none.
async fn fill(url: &str) {
    let catalog = Catalog::open(url).await.unwrap();
    for number in 0..TABLES {
        let location = format!("file:///lake/t{number}/");
        let partition = partition(Vec::new(), &location);
        let name = TableName::new("default", &format!("t{number}")).unwrap();
        catalog.create_table(&name, spec(&location, &[]), vec![partition]).await.unwrap();
    }
    let location = "file:///lake/many/";
    let partitions =
        (0..PARTITIONS).map(|k| partition(vec![Some(k.to_string())], &format!("{location}k={k}/")));
    let name = TableName::new("default", "many").unwrap();
    catalog.create_table(&name, spec(location, &["k"]), partitions.collect()).await.unwrap();
    catalog.close().await;
}

fn spec(location: &str, keys: &[&str]) -> TableSpec {
    let column = |name: &str| Column {
        name: name.to_owned(),
        data_type: "bigint".to_owned(),
        nullable: true,
        comment: None,
    };
    TableSpec {
        table_type: TableType::External,
        format: Some(Format::Parquet),
        location: Some(location.to_owned()),
        columns: vec![column("v")],
        partition_keys: keys.iter().copied().map(column).collect(),
        comment: None,
        parameters: Default::default(),
        view: None,
        details: Default::default(),
    }
}

fn partition(values: Vec<Option<String>>, location: &str) -> Partition {
    let file = DataFile {
        path: format!("{location}rows.parquet"),
        size_bytes: 1 << 20,
        etag: None,
        modified_at_ms: 0,
        statistics: Some(FileStatistics { rows: 10_000, columns: Default::default() }),
    };
    Partition {
        values,
        location: location.to_owned(),
        parameters: Default::default(),
        files: Some(vec![file]),
        details: Default::default(),
    }
}
