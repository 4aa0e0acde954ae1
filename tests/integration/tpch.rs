//! TPC-H: Boathouse's answers to all queries are those of DuckDB on the same files.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use boathouse_datasets::tpch;

use crate::support::{Lake, collect, repository, values};

const SCALE: f64 = 0.1;
const QUERIES: std::ops::RangeInclusive<u32> = 1..=22;

#[tokio::test]
async fn tpch_answers_are_those_of_duckdb() {
    let Some(python) = std::env::var_os("BOATHOUSE_TEST_PYTHON") else {
        eprintln!("skipped: no Python with DuckDB; `tests/services/up` has one");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    tpch::write_parquet(folder.path(), SCALE).unwrap();
    let expected = duckdb(Path::new(&python), folder.path());
    assert_eq!(expected.len(), QUERIES.count());

    let lake = Lake::local().await;
    let session = lake.engine.session();
    for table in tpch::TABLES {
        let place = folder.path().join(table);
        let place = place.display();
        let sql = format!("CREATE EXTERNAL TABLE {table} STORED AS PARQUET LOCATION '{place}/'");
        session.query(&sql).await.unwrap().execute().await.unwrap();
    }
    let mut differences = Vec::new();
    for (number, expected) in QUERIES.zip(expected) {
        let query = session.query(tpch::query(number).unwrap()).await.unwrap();
        let batches = collect(query.execute().await.unwrap()).await.unwrap();
        if let Some(difference) = difference(&expected, &batches) {
            differences.push(format!("query {number}: {difference}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

type Row = Vec<Option<String>>;

/// DuckDB's answers to all queries on the tables in `folder`.
fn duckdb(python: &Path, folder: &Path) -> Vec<Vec<Row>> {
    let mut child = Command::new(python)
        .arg(repository("tests/oracle/duckdb_query.py"))
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for number in QUERIES {
        let query = serde_json::to_string(tpch::query(number).unwrap()).unwrap();
        writeln!(input, "{query}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "DuckDB failed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What differs first, in row order, which each query of TPC-H fixes.
fn difference(expected: &[Row], batches: &[RecordBatch]) -> Option<String> {
    let actual = values(batches);
    if expected.len() != actual.len() {
        return Some(format!("{} rows, DuckDB has {}", actual.len(), expected.len()));
    }
    let schema = batches.first()?.schema();
    for (row, (expected, actual)) in expected.iter().zip(&actual).enumerate() {
        for (field, (expected, actual)) in schema.fields().iter().zip(expected.iter().zip(actual)) {
            let expected = expected.as_deref().unwrap_or("NULL");
            if !same(field.data_type(), expected, actual) {
                let name = field.name();
                return Some(format!("row {row}, {name}: {actual}, DuckDB has {expected}"));
            }
        }
    }
    None
}

/// Text and integers must be equal, decimals too where DuckDB has a decimal; an average is a
/// float there, so it is equal as far as its decimals go.
fn same(data_type: &DataType, expected: &str, actual: &str) -> bool {
    let float = |text: &str| text.parse::<f64>().ok();
    match (data_type, float(expected), float(actual)) {
        (DataType::Decimal128(_, scale), Some(e), Some(a)) => {
            e.to_string() == a.to_string() || (e - a).abs() <= 10_f64.powi(-i32::from(*scale))
        }
        (data_type, Some(e), Some(a)) if data_type.is_floating() => (e - a).abs() <= 1e-6 * e.abs(),
        _ => expected == actual,
    }
}
