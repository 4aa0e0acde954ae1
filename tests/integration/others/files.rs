//! Folders that are listed when they are read, and Parquet files that differ from their table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field};
use boathouse_catalog::Format;
use serde_json::json;

use super::{Other, ask, write, write_parquet};
use crate::support::Lake;

fn ints(name: &str, values: &[i32]) -> (Field, ArrayRef) {
    let array = Arc::new(Int32Array::from(values.to_vec()));
    (Field::new(name, DataType::Int32, true), array)
}

fn longs(name: &str, values: &[i64]) -> (Field, ArrayRef) {
    let array = Arc::new(Int64Array::from(values.to_vec()));
    (Field::new(name, DataType::Int64, true), array)
}

fn texts(name: &str, values: &[&str]) -> (Field, ArrayRef) {
    let array = Arc::new(StringArray::from(values.to_vec()));
    (Field::new(name, DataType::Utf8, true), array)
}

#[tokio::test]
async fn files_are_found_when_they_are_read() {
    let lake = Lake::local().await;
    let place = format!("{}/t", lake.scratch);
    write_parquet(&format!("{place}/000000_0"), vec![ints("a", &[1, 2])]);
    write_parquet(&format!("{place}/_temporary/x.parquet"), vec![ints("a", &[100])]);
    write_parquet(&format!("{place}/.hidden.parquet"), vec![ints("a", &[100])]);
    for empty in ["_SUCCESS", "t_$folder$", "empty.parquet"] {
        write(&format!("{place}/{empty}"), "");
    }
    // Without a slash, as Glue's locations often are.
    let location = format!("file://{place}");
    let table = || Other::new(Some(Format::Parquet), &location, &["a int"], &[]);
    table().partition(&[], &location).register(&lake, "listed").await;
    table().register(&lake, "without_partition").await;
    for name in ["listed", "without_partition"] {
        let sum = ask(&lake, &format!("SELECT sum(a), count(*) FROM {name}")).await;
        assert_eq!(sum.unwrap(), ["3 2"], "{name}");
    }
    write_parquet(&format!("{place}/later.parquet"), vec![ints("a", &[3])]);
    assert_eq!(ask(&lake, "SELECT sum(a) FROM listed").await.unwrap(), ["6"]);
}

#[tokio::test]
async fn partitions_are_where_the_catalog_says() {
    let lake = Lake::local().await;
    let place = &lake.scratch;
    write_parquet(&format!("{place}/old/f.parquet"), vec![ints("a", &[1])]);
    write_parquet(&format!("{place}/t/d=a%2Fb/f.parquet"), vec![ints("a", &[2])]);
    Other::new(Some(Format::Parquet), &format!("file://{place}/t"), &["a int"], &["d string"])
        .partition(&["elsewhere"], &format!("file://{place}/old"))
        .partition(&["a/b"], &format!("file://{place}/t/d=a%2Fb/"))
        .partition(&["gone"], &format!("file://{place}/t/d=gone"))
        .register(&lake, "t")
        .await;
    let rows = ask(&lake, "SELECT a, d FROM t ORDER BY a").await.unwrap();
    assert_eq!(rows, ["1 elsewhere", "2 a/b"]);
    assert_eq!(ask(&lake, "SELECT count(*) FROM t WHERE d = 'gone'").await.unwrap(), ["0"]);
    let plan = ask(&lake, "EXPLAIN SELECT a FROM t WHERE d LIKE 'else%'").await.unwrap();
    assert!(plan.iter().any(|line| line.contains("partitions=1/3 files=1/1")), "{plan:?}");
}

#[tokio::test]
async fn columns_are_the_tables_not_the_files() {
    let lake = Lake::local().await;
    let place = format!("{}/t", lake.scratch);
    let new = vec![longs("userid", &[10]), texts("City", &["Bern"]), longs("n", &[1 << 40])];
    write_parquet(&format!("{place}/new.parquet"), new);
    let old = vec![texts("extra", &["?"]), ints("N", &[7]), ints("UserId", &[5])];
    write_parquet(&format!("{place}/old.parquet"), old);
    let location = format!("file://{place}");
    Other::new(
        Some(Format::Parquet),
        &location,
        &["userid bigint", "n double", "city string", "absent int"],
        &[],
    )
    .partition(&[], &location)
    .register(&lake, "t")
    .await;
    let rows = ask(&lake, "SELECT * FROM t ORDER BY userid").await.unwrap();
    assert_eq!(rows, ["5 7.0 NULL NULL", "10 1099511627776.0 Bern NULL"]);
    for (filter, count) in [
        ("userid = 5", "1"),
        ("userid > 5", "1"),
        ("n < 8", "1"),
        ("city IS NULL", "1"),
        ("city = 'Bern'", "1"),
        ("absent IS NOT NULL", "0"),
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE {filter}");
        assert_eq!(ask(&lake, &sql).await.unwrap(), [count], "{filter}");
    }
    // Looking at the files doesn't add a column that is there in another case.
    ask(&lake, "REFRESH TABLE t").await.unwrap();
    let names =
        ask(&lake, "SELECT column_name FROM information_schema.columns WHERE table_name = 't'");
    assert_eq!(names.await.unwrap(), ["userid", "n", "city", "absent", "extra"]);
}

#[tokio::test]
async fn rows_go_only_where_they_are_found_again() {
    let lake = Lake::local().await;
    let parquet = Some(Format::Parquet);
    let serde = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe";
    let location = format!("file://{}/t", lake.scratch);
    write_parquet(&format!("{}/t/f.parquet", lake.scratch), vec![ints("a", &[1])]);
    let one = Other::new(parquet, &location, &["a int"], &[]).serde(serde, json!({}));
    one.partition(&[], &location).register(&lake, "one").await;
    ask(&lake, "INSERT INTO one VALUES (2)").await.unwrap();
    assert_eq!(ask(&lake, "SELECT sum(a) FROM one").await.unwrap(), ["3"]);
    let keyed = Other::new(parquet, &location, &["a int"], &["k int"]).serde(serde, json!({}));
    keyed.partition(&["1"], &location).register(&lake, "keyed").await;
    let error = ask(&lake, "INSERT INTO keyed VALUES (2, 1)").await.unwrap_err();
    assert!(error.contains("whose files are not listed in the catalog"), "{error}");
}

#[tokio::test]
async fn delta_is_known_by_any_of_its_signs() {
    let lake = Lake::local().await;
    let location = format!("file://{}/delta/plain", lake.data);
    let expected = ask(&lake, &format!("SELECT count(*) FROM '{location}'")).await.unwrap();
    let hive = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";
    let at = |location: &str, format| Other::new(format, location, &["col array<string>"], &[]);
    at(&location, None).register(&lake, "by_log").await;
    let athena = at(&location, Some(Format::Parquet)).parameter("table_type", "DELTA");
    athena.register(&lake, "by_type").await;
    at(&format!("{location}-__PLACEHOLDER__"), None)
        .parameter("spark.sql.sources.provider", "delta")
        .serde(hive, json!({"path": location}))
        .register(&lake, "by_provider")
        .await;
    for name in ["by_log", "by_type", "by_provider"] {
        let count = ask(&lake, &format!("SELECT count(*) FROM {name}")).await;
        assert_eq!(count.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let lake = Lake::local().await;
    let location = format!("file://{}/t/", lake.scratch);
    let serde = "org.apache.hadoop.hive.ql.io.orc.OrcSerde";
    let orc = Other::new(Some(Format::Orc), &location, &["a int"], &[]).serde(serde, json!({}));
    orc.register(&lake, "orc").await;
    let odd = Other::new(None, &location, &["a uniontype<int>"], &[]);
    odd.serde("com.example.OddSerDe", json!({})).register(&lake, "odd").await;
    Other::new(Some(Format::Avro), &location, &["a int"], &[]).register(&lake, "avro").await;
    for (name, part) in [
        ("orc", "not supported: reading table \"default.orc\", which is of format ORC (SerDe org."),
        ("odd", "which is of an unknown format (SerDe com.example.OddSerDe)"),
        ("avro", "which is of format AVRO"),
    ] {
        let error = ask(&lake, &format!("SELECT * FROM {name}")).await.unwrap_err();
        assert!(error.contains(part), "{error}");
        assert!(error.contains("Hint: Tables of Parquet"), "{error}");
    }
    // They are listed all the same.
    let listed =
        ask(&lake, "SELECT count(*) FROM information_schema.columns WHERE column_name = 'a'");
    assert_eq!(listed.await.unwrap(), ["3"]);
}
