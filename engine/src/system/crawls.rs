//! `system.crawls` and `system.crawl_changes`: what crawlers did, and why.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use boathouse_catalog::crawler::{self, Counts, Crawl};
use boathouse_catalog::{Catalog, TableName};

use crate::Result;

const UTC: &str = "UTC";

/// A number of [`Counts`], by the name of its column.
type Count = (&'static str, fn(&Counts) -> u64);

const COUNTS: [Count; 12] = [
    ("objects", |counts| counts.objects),
    ("folders", |counts| counts.folders),
    ("listings", |counts| counts.listings),
    ("files_sampled", |counts| counts.files_sampled),
    ("bytes_sampled", |counts| counts.bytes_sampled),
    ("messages", |counts| counts.messages),
    ("tables_found", |counts| counts.tables_found),
    ("tables_created", |counts| counts.created),
    ("tables_updated", |counts| counts.updated),
    ("tables_deleted", |counts| counts.deleted),
    ("partitions_added", |counts| counts.partitions_added),
    ("partitions_removed", |counts| counts.partitions_removed),
];

/// One row a crawl.
pub(super) fn crawls_schema() -> SchemaRef {
    let mut fields = vec![
        text("crawl_id", false),
        text("crawler", false),
        text("state", false),
        time("started_at", false),
        time("ended_at", true),
        number("duration_ms", true),
    ];
    fields.extend(COUNTS.iter().map(|(name, _)| number(name, false)));
    fields.push(text("error", true));
    Arc::new(Schema::new(fields))
}

/// One row a change, a column that drifted, or a note.
pub(super) fn changes_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("crawl_id", false),
        text("crawler", false),
        time("started_at", false),
        text("kind", false),
        text("database_name", true),
        text("table_name", true),
        text("column_name", true),
        text("location", true),
        text("action", true),
        text("catalog_type", true),
        text("found_type", true),
        text("reason", false),
    ]))
}

pub(super) async fn crawls(catalog: &Catalog) -> Result<RecordBatch> {
    let crawls = crawler::crawls(catalog, None).await?;
    let texts = |of: fn(&Crawl) -> Option<&str>| -> ArrayRef {
        Arc::new(crawls.iter().map(of).collect::<StringArray>())
    };
    let numbers = |of: &dyn Fn(&Crawl) -> Option<i64>| -> ArrayRef {
        Arc::new(crawls.iter().map(of).collect::<Int64Array>())
    };
    let mut columns = vec![
        texts(|crawl| Some(&crawl.id)),
        texts(|crawl| Some(&crawl.crawler)),
        texts(|crawl| Some(crawl.state.as_str())),
        times(crawls.iter().map(|crawl| Some(crawl.started_at_ms))),
        times(crawls.iter().map(|crawl| crawl.ended_at_ms)),
        numbers(&|crawl| Some(crawl.ended_at_ms? - crawl.started_at_ms)),
    ];
    for (_, count) in COUNTS {
        columns.push(numbers(&|crawl| i64::try_from(count(&crawl.counts)).ok().or(Some(i64::MAX))));
    }
    columns.push(texts(|crawl| crawl.error.as_deref()));
    Ok(RecordBatch::try_new(crawls_schema(), columns)?)
}

pub(super) async fn changes(catalog: &Catalog) -> Result<RecordBatch> {
    let crawls = crawler::crawls(catalog, None).await?;
    let rows: Vec<Row<'_>> = crawls.iter().flat_map(rows).collect();
    let texts = |of: fn(&Row<'_>) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let columns = vec![
        texts(|row| Some(row.crawl.id.clone())),
        texts(|row| Some(row.crawl.crawler.clone())),
        times(rows.iter().map(|row| Some(row.crawl.started_at_ms))),
        texts(|row| Some(row.kind.to_owned())),
        texts(|row| row.table.map(|table| table.database().to_owned())),
        texts(|row| row.table.map(|table| table.table().to_owned())),
        texts(|row| given(row.column)),
        texts(|row| given(row.location)),
        texts(|row| given(row.action)),
        texts(|row| given(row.kept)),
        texts(|row| given(row.found)),
        texts(|row| Some(row.reason.to_owned())),
    ];
    Ok(RecordBatch::try_new(changes_schema(), columns)?)
}

struct Row<'a> {
    crawl: &'a Crawl,
    kind: &'static str,
    table: Option<&'a TableName>,
    column: &'a str,
    location: &'a str,
    action: &'a str,
    kept: &'a str,
    found: &'a str,
    reason: &'a str,
}

/// What a crawl changed, then what it found to be otherwise, then what it had to say.
fn rows(crawl: &Crawl) -> impl Iterator<Item = Row<'_>> {
    let blank = |kind, reason| Row {
        crawl,
        kind,
        table: None,
        column: "",
        location: "",
        action: "",
        kept: "",
        found: "",
        reason,
    };
    let changes = crawl.changes.first.iter().map(move |change| Row {
        table: Some(&change.table),
        action: change.action.as_str(),
        ..blank("table", &change.reason)
    });
    let drift = crawl.drift.first.iter().map(move |drift| Row {
        table: Some(&drift.table),
        column: &drift.column,
        location: &drift.location,
        action: drift.outcome.as_str(),
        kept: &drift.kept,
        found: &drift.found,
        ..blank("column", &drift.reason)
    });
    let notes = crawl
        .notes
        .first
        .iter()
        .map(move |note| Row { location: &note.location, ..blank("note", &note.text) });
    changes.chain(drift).chain(notes)
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMillisecondArray>().with_timezone(UTC))
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn number(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Int64, nullable)
}

fn time(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())), nullable)
}
