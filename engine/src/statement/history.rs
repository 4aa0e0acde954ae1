//! DESCRIBE HISTORY and DESCRIBE DETAIL: what a Delta table's log says.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::Table;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value};

use super::maintenance::{batch_of, find_table, moment, schema_of};
use super::{Command, listing};
use crate::history::History;
use crate::query::Plan;
use crate::scan::{DeltaSnapshot, ScanFile, delta_table};
use crate::session::Session;
use crate::{Error, Result};

/// Commits that are read at once.
const READ_AT_ONCE: usize = 16;

struct DescribeHistory {
    table: Table,
    limit: Option<u64>,
    schema: SchemaRef,
}

struct DescribeDetail {
    table: Table,
    schema: SchemaRef,
}

/// One commit: its version, its time, and what it says of itself.
struct Commit {
    version: u64,
    time_ms: i64,
    info: Map<String, Value>,
}

pub(super) async fn plan(session: &Session, name: &[String], limit: Option<u64>) -> Result<Plan> {
    let table = find_table(session, name).await?;
    delta_table(session, &table, "the history").await?;
    let schema = schema_of(&[
        ("version", DataType::Int64),
        ("timestamp", moment()),
        ("user_id", DataType::Utf8),
        ("user_name", DataType::Utf8),
        ("operation", DataType::Utf8),
        ("operation_parameters", DataType::Utf8),
        ("read_version", DataType::Int64),
        ("isolation_level", DataType::Utf8),
        ("is_blind_append", DataType::Boolean),
        ("operation_metrics", DataType::Utf8),
        ("user_metadata", DataType::Utf8),
        ("engine_info", DataType::Utf8),
    ]);
    Ok(listing(schema.clone(), DescribeHistory { table, limit, schema }))
}

pub(super) async fn plan_detail(session: &Session, name: &[String]) -> Result<Plan> {
    let table = find_table(session, name).await?;
    delta_table(session, &table, "details").await?;
    let texts = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    let schema = schema_of(&[
        ("format", DataType::Utf8),
        ("id", DataType::Utf8),
        ("name", DataType::Utf8),
        ("description", DataType::Utf8),
        ("location", DataType::Utf8),
        ("created_at", moment()),
        ("last_modified", moment()),
        ("version", DataType::Int64),
        ("partition_columns", texts.clone()),
        ("num_files", DataType::Int64),
        ("size_in_bytes", DataType::Int64),
        ("properties", DataType::Utf8),
        ("min_reader_version", DataType::Int64),
        ("min_writer_version", DataType::Int64),
        ("table_features", texts),
    ]);
    Ok(listing(schema.clone(), DescribeDetail { table, schema }))
}

#[async_trait(?Send)]
impl Command for DescribeHistory {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let newest = delta_table(session, &self.table, "the history").await?;
        let history = History::of(session.engine.shared(), &newest).await?;
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok());
        let versions: Vec<u64> = history.versions().take(limit.unwrap_or(usize::MAX)).collect();
        let history = &history;
        let commits: Vec<Commit> = stream::iter(versions)
            .map(|version| async move {
                let info = history.commit_info(version).await?;
                Ok::<_, Error>(Commit { version, time_ms: history.time(version).await?, info })
            })
            .buffered(READ_AT_ONCE)
            .try_collect()
            .await?;
        batch_of(&self.schema, columns(&commits))
    }
}

fn columns(commits: &[Commit]) -> Vec<ArrayRef> {
    let text = |key: &str| -> ArrayRef {
        let texts = commits.iter().map(|commit| commit.info.get(key)?.as_str().map(str::to_owned));
        Arc::new(texts.collect::<StringArray>())
    };
    let json = |key: &str| -> ArrayRef {
        let texts = commits.iter().map(|commit| commit.info.get(key).map(sorted));
        Arc::new(texts.collect::<StringArray>())
    };
    let versions = commits.iter().map(|commit| i64::try_from(commit.version).ok());
    let times = commits.iter().map(|commit| Some(commit.time_ms));
    let times = times.collect::<TimestampMillisecondArray>().with_timezone("UTC");
    let read = commits.iter().map(|commit| commit.info.get("readVersion")?.as_i64());
    let blind = commits.iter().map(|commit| commit.info.get("isBlindAppend")?.as_bool());
    vec![
        Arc::new(versions.collect::<Int64Array>()),
        Arc::new(times),
        text("userId"),
        text("userName"),
        text("operation"),
        json("operationParameters"),
        Arc::new(read.collect::<Int64Array>()),
        text("isolationLevel"),
        Arc::new(blind.collect::<BooleanArray>()),
        json("operationMetrics"),
        text("userMetadata"),
        text("engineInfo"),
    ]
}

/// JSON whose outermost keys are in order.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            serde_json::to_string(&members).unwrap_or_default()
        }
        other => other.to_string(),
    }
}

#[async_trait(?Send)]
impl Command for DescribeDetail {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let newest = delta_table(session, &self.table, "details").await?;
        let history = History::of(session.engine.shared(), &newest).await?;
        let modified = history.time(newest.version).await.ok();
        let files = newest.files(newest.layout()?.file_schema()).await?;
        batch_of(&self.schema, detail(&self.table, &newest, &files.all, modified)?)
    }
}

fn detail(
    table: &Table,
    newest: &DeltaSnapshot,
    files: &[ScanFile],
    modified: Option<i64>,
) -> Result<Vec<ArrayRef>> {
    let (metadata, protocol) = (newest.metadata(), newest.protocol());
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let bytes: u64 = files.iter().map(|file| file.meta.size).sum();
    let (files, bytes) = (whole(files.len() as u64), whole(bytes));
    let properties: BTreeMap<_, _> = metadata.configuration().iter().collect();
    let properties = serde_json::to_string(&properties).unwrap_or_default();
    let name = table.name.to_string();
    Ok(vec![
        text(Some("delta")),
        text(Some(metadata.id())),
        text(Some(&name)),
        text(metadata.description()),
        text(Some(newest.url.as_str())),
        time(metadata.created_time()),
        time(modified),
        number(i64::try_from(newest.version).ok()),
        texts(&newest.partition_columns),
        number(Some(files)),
        number(Some(bytes)),
        text(Some(&properties)),
        number(Some(i64::from(protocol.min_reader_version()))),
        number(Some(i64::from(protocol.min_writer_version()))),
        texts(&features(protocol)),
    ])
}

fn features(protocol: &deltalake::kernel::Protocol) -> Vec<String> {
    let reader = protocol.reader_features().into_iter().flatten();
    let writer = protocol.writer_features().into_iter().flatten();
    let mut names: Vec<String> = reader.chain(writer).map(|feature| feature.to_string()).collect();
    names.sort();
    names.dedup();
    names
}

fn text(value: Option<&str>) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

fn number(value: Option<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

fn time(value: Option<i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(vec![value]).with_timezone("UTC"))
}

fn texts(values: &[String]) -> ArrayRef {
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value(values.iter().map(Some));
    Arc::new(list.finish())
}
