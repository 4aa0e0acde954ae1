//! CSV and JSON files, read as the table's SerDe reads them.

use boathouse_catalog::Format;
use serde_json::json;

use super::{Other, ask, write};
use crate::support::Lake;

const LAZY: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";
const OPEN_CSV: &str = "org.apache.hadoop.hive.serde2.OpenCSVSerde";

#[tokio::test]
async fn hives_own_text_has_control_characters_and_a_text_for_null() {
    let lake = Lake::local().await;
    write(
        &format!("{}/t/000000_0", lake.scratch),
        "1\u{1}one\u{1}2024-01-02\u{1}true\n\\N\u{1}\"\\N\u{1}\\N\u{1}\\N\n3\u{1}\\N\n",
    );
    let location = format!("file://{}/t", lake.scratch);
    let columns = ["i int", "s string", "d date", "b boolean"];
    Other::new(Some(Format::Csv), &location, &columns, &[])
        .serde(LAZY, json!({"serialization.format": "1"}))
        .partition(&[], &location)
        .register(&lake, "t")
        .await;
    let rows = ask(&lake, "SELECT * FROM t ORDER BY i NULLS LAST").await.unwrap();
    assert_eq!(rows, ["1 one 2024-01-02 true", "3 NULL NULL NULL", "NULL \"\\N NULL NULL"]);
    assert_eq!(ask(&lake, "SELECT s FROM t WHERE i = 3").await.unwrap(), ["NULL"]);
    assert_eq!(ask(&lake, "SELECT count(*) FROM t").await.unwrap(), ["3"]);
    assert_eq!(ask(&lake, "SELECT i FROM t WHERE d = DATE '2024-01-02'").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn delimiter_header_and_null_are_the_tables() {
    let lake = Lake::local().await;
    write(&format!("{}/t/k=7/data.txt", lake.scratch), "n|name\n1|NA\nNA|x\n");
    let location = format!("file://{}/t", lake.scratch);
    Other::new(Some(Format::Csv), &location, &["n bigint", "name string"], &["k int"])
        .serde(LAZY, json!({"field.delim": "|", "serialization.null.format": "NA"}))
        .parameter("skip.header.line.count", "1")
        .partition(&["7"], &format!("{location}/k=7"))
        .register(&lake, "t")
        .await;
    let rows = ask(&lake, "SELECT k, name, n FROM t ORDER BY n NULLS FIRST").await.unwrap();
    assert_eq!(rows, ["7 x NULL", "7 NULL 1"]);
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_that_names_it() {
    let lake = Lake::local().await;
    write(&format!("{}/t/data.csv", lake.scratch), "1,x\n");
    let location = format!("file://{}/t", lake.scratch);
    Other::new(Some(Format::Csv), &location, &["a int", "b int"], &[])
        .serde(LAZY, json!({"field.delim": ","}))
        .partition(&[], &location)
        .register(&lake, "t")
        .await;
    assert_eq!(ask(&lake, "SELECT a FROM t").await.unwrap(), ["1"]);
    let error = ask(&lake, "SELECT b FROM t").await.unwrap_err();
    assert!(error.contains("Cannot cast string 'x' to value of Int32"), "{error}");
}

#[tokio::test]
async fn open_csv_is_quoted_and_escaped() {
    let lake = Lake::local().await;
    let text = "\"id\";\"text\"\n\"1\";\"a;b\"\n\"2\";\"say \\\"hi\\\"\"\n";
    write(&format!("{}/t/data.csv", lake.scratch), text);
    let location = format!("file://{}/t", lake.scratch);
    Other::new(Some(Format::Csv), &location, &["id string", "text string"], &[])
        .serde(OPEN_CSV, json!({"separatorChar": ";"}))
        .parameter("skip.header.line.count", "1")
        .partition(&[], &location)
        .register(&lake, "t")
        .await;
    let rows = ask(&lake, "SELECT * FROM t ORDER BY id").await.unwrap();
    assert_eq!(rows, ["1 a;b", "2 say \"hi\""]);
}

#[tokio::test]
async fn json_is_one_object_a_line() {
    let lake = Lake::local().await;
    write(&format!("{}/t/part-0", lake.scratch), "{\"a\": 1, \"x\": [1]}\n{\"b\": \"y\"}\n");
    let location = format!("file://{}/t", lake.scratch);
    Other::new(Some(Format::Json), &location, &["a int", "b string"], &[])
        .serde("org.openx.data.jsonserde.JsonSerDe", json!({"paths": "a,b"}))
        .partition(&[], &location)
        .register(&lake, "t")
        .await;
    let rows = ask(&lake, "SELECT a, b FROM t ORDER BY a NULLS LAST").await.unwrap();
    assert_eq!(rows, ["1 NULL", "NULL y"]);
}
