//! Answers queries from standard input, so that a driver can time us beside others.
//!
//! In: a query as a JSON string on each line. Out, for each: `{"seconds": …, "rows": [[…]]}`,
//! where a value is text or null and the time is from the query's text to its last row.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use boathouse_engine::{Engine, Session};
use futures::TryStreamExt;

/// Each folder in `folder` is a table of Parquet files.
#[tokio::main]
pub(crate) async fn answer(folder: &Path, threads: usize) {
    let lake = tempfile::tempdir().unwrap();
    let engine = Engine::open(crate::config(lake.path(), threads)).await.unwrap();
    let session = engine.session();
    for entry in folder.read_dir().unwrap() {
        let place = entry.unwrap().path();
        let table = place.file_name().unwrap().to_str().unwrap();
        let place = place.display();
        run(
            &session,
            &format!("CREATE EXTERNAL TABLE {table} STORED AS PARQUET LOCATION '{place}/'"),
        )
        .await;
    }
    for line in std::io::stdin().lock().lines() {
        let sql: String = serde_json::from_str(&line.unwrap()).unwrap();
        let began = Instant::now();
        let batches = run(&session, &sql).await;
        let seconds = began.elapsed().as_secs_f64();
        let answer = serde_json::json!({ "seconds": seconds, "rows": rows(&batches) });
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}").unwrap();
        out.flush().unwrap();
    }
}

async fn run(session: &Session, sql: &str) -> Vec<RecordBatch> {
    let rows = session.query(sql).await.unwrap().execute().await.unwrap();
    rows.try_collect().await.unwrap()
}

fn rows(batches: &[RecordBatch]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    for batch in batches {
        let options = FormatOptions::default();
        let formatters: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| (column, ArrayFormatter::try_new(column, &options).unwrap()))
            .collect();
        for row in 0..batch.num_rows() {
            let values = formatters.iter().map(|(column, formatter)| {
                column.is_valid(row).then(|| formatter.value(row).to_string())
            });
            rows.push(values.collect());
        }
    }
    rows
}
