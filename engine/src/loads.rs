//! What COPY did: a record of each load in the catalog, and the tables that show them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use boathouse_catalog::{Catalog, Document, DocumentKind, TableName};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::statement::{Reject, Rejects};
use crate::{Error, Result};

/// Loads that are remembered, and of those how many with the rows that they left out.
const LOADS_MAX: usize = 1000;
const LOADS_WITH_ERRORS_MAX: usize = 100;

/// What a load did.
pub(crate) struct Loaded {
    pub(crate) rows: u64,
    pub(crate) files: u64,
    /// Files that were loaded before.
    pub(crate) files_skipped: u64,
    pub(crate) bytes: u64,
    /// The files were only checked.
    pub(crate) check_only: bool,
}

/// The record of a load, as the catalog keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LoadRecord {
    /// Ids sort by the time of the start.
    id: String,
    table: String,
    source: String,
    started_at_ms: i64,
    duration_ms: Option<i64>,
    status: Status,
    rows: u64,
    files: u64,
    files_skipped: u64,
    bytes: u64,
    rejected: u64,
    /// Whether the rows that were left out are kept.
    has_errors: bool,
    error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Running,
    Completed,
    /// NOLOAD: nothing was to be loaded.
    Checked,
    Failed,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Checked => "checked",
            Self::Failed => "failed",
        }
    }
}

impl LoadRecord {
    /// Records that a load begins. One whose process dies stays `running`.
    pub(crate) async fn start(
        catalog: &Catalog,
        table: &TableName,
        source: &str,
    ) -> Result<LoadRecord> {
        let started_at_ms = Utc::now().timestamp_millis();
        let unique = Uuid::new_v4().simple().to_string();
        let record = Self {
            id: format!("{started_at_ms:015}-{}", &unique[..8]),
            table: table.to_string(),
            source: source.to_owned(),
            started_at_ms,
            duration_ms: None,
            status: Status::Running,
            rows: 0,
            files: 0,
            files_skipped: 0,
            bytes: 0,
            rejected: 0,
            has_errors: false,
            error: None,
        };
        record.put(catalog).await?;
        Ok(record)
    }

    /// Records how it ended. What was committed is committed: a record that can't be written is
    /// no failure of the load.
    pub(crate) async fn end(
        mut self,
        catalog: &Catalog,
        outcome: &Result<Loaded>,
        rejects: &Rejects,
    ) {
        self.duration_ms = Some(Utc::now().timestamp_millis() - self.started_at_ms);
        self.rejected = rejects.count();
        match outcome {
            Ok(loaded) => {
                let done = if loaded.check_only { Status::Checked } else { Status::Completed };
                self.status = done;
                (self.rows, self.files) = (loaded.rows, loaded.files);
                (self.files_skipped, self.bytes) = (loaded.files_skipped, loaded.bytes);
            }
            Err(error) => {
                self.status = Status::Failed;
                self.error = Some(error.to_string());
            }
        }
        if let Err(failure) = self.put_with_errors(catalog, rejects.take()).await {
            tracing::warn!(%failure, load = self.id, "the record of a load can't be written");
        }
    }

    async fn put_with_errors(&mut self, catalog: &Catalog, errors: Vec<Reject>) -> Result<()> {
        if !errors.is_empty() {
            self.has_errors = true;
            let body = json(&errors)?;
            let documents = [(self.id.clone(), body)];
            catalog.put_documents(DocumentKind::LoadErrors, "", &documents).await?;
        }
        self.put(catalog).await?;
        forget_old(catalog).await
    }

    async fn put(&self, catalog: &Catalog) -> Result<()> {
        let documents = [(self.id.clone(), json(self)?)];
        Ok(catalog.put_documents(DocumentKind::Load, "", &documents).await?)
    }
}

fn json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::internal(error.to_string()))
}

/// The records of all loads that are remembered, newest first.
async fn records(catalog: &Catalog) -> Result<Vec<LoadRecord>> {
    let documents = catalog.documents(DocumentKind::Load, "").await?;
    let record = |document: Document| serde_json::from_value(document.body).ok();
    Ok(documents.into_iter().rev().filter_map(record).collect())
}

async fn forget_old(catalog: &Catalog) -> Result<()> {
    let mut with_errors = 0;
    for (age, record) in records(catalog).await?.into_iter().enumerate() {
        with_errors += usize::from(record.has_errors);
        let is_old = age >= LOADS_MAX;
        if record.has_errors && (is_old || with_errors > LOADS_WITH_ERRORS_MAX) {
            catalog.delete_document(DocumentKind::LoadErrors, "", &record.id).await?;
        }
        if is_old {
            catalog.delete_document(DocumentKind::Load, "", &record.id).await?;
        }
    }
    Ok(())
}

fn time_column(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false)
}

pub(crate) fn history_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let count = |name: &str| Field::new(name, DataType::Int64, true);
    Arc::new(Schema::new(vec![
        text("load_id"),
        text("table_name"),
        text("source"),
        text("status"),
        time_column("started_at"),
        count("duration_ms"),
        count("files_loaded"),
        count("files_skipped"),
        count("rows_loaded"),
        count("rows_rejected"),
        count("bytes_loaded"),
        text("error_message"),
    ]))
}

pub(crate) async fn history(catalog: &Catalog) -> Result<RecordBatch> {
    let records = records(catalog).await?;
    let text = |of: &dyn Fn(&LoadRecord) -> Option<String>| {
        Arc::new(records.iter().map(of).collect::<StringArray>()) as ArrayRef
    };
    let count = |of: &dyn Fn(&LoadRecord) -> Option<i64>| {
        Arc::new(records.iter().map(of).collect::<Int64Array>()) as ArrayRef
    };
    let whole = |number: u64| Some(i64::try_from(number).unwrap_or(i64::MAX));
    let columns = vec![
        text(&|record| Some(record.id.clone())),
        text(&|record| Some(record.table.clone())),
        text(&|record| Some(record.source.clone())),
        text(&|record| Some(record.status.as_str().to_owned())),
        times(records.iter().map(|record| record.started_at_ms)),
        count(&|record| record.duration_ms),
        count(&|record| whole(record.files)),
        count(&|record| whole(record.files_skipped)),
        count(&|record| whole(record.rows)),
        count(&|record| whole(record.rejected)),
        count(&|record| whole(record.bytes)),
        text(&|record| record.error.clone()),
    ];
    Ok(RecordBatch::try_new(history_schema(), columns)?)
}

fn times(milliseconds: impl Iterator<Item = i64>) -> ArrayRef {
    let micros: TimestampMicrosecondArray = milliseconds.map(|ms| Some(ms * 1000)).collect();
    Arc::new(micros.with_timezone("UTC"))
}

pub(crate) fn errors_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("load_id"),
        text("table_name"),
        time_column("started_at"),
        text("file_name"),
        Field::new("line_number", DataType::Int64, true),
        text("column_name"),
        text("value"),
        text("raw_line"),
        text("reason"),
    ]))
}

pub(crate) async fn errors(catalog: &Catalog) -> Result<RecordBatch> {
    let mut rows: Vec<(LoadRecord, Reject)> = Vec::new();
    for record in records(catalog).await?.into_iter().filter(|record| record.has_errors) {
        let found = catalog.document(DocumentKind::LoadErrors, "", &record.id).await?;
        let rejects: Vec<Reject> =
            found.and_then(|found| serde_json::from_value(found.body).ok()).unwrap_or_default();
        rows.extend(rejects.into_iter().map(|reject| (record.clone(), reject)));
    }
    let text = |of: &dyn Fn(&(LoadRecord, Reject)) -> Option<String>| {
        Arc::new(rows.iter().map(of).collect::<StringArray>()) as ArrayRef
    };
    let lines = rows.iter().map(|(_, reject)| i64::try_from(reject.line).ok());
    let columns = vec![
        text(&|(record, _)| Some(record.id.clone())),
        text(&|(record, _)| Some(record.table.clone())),
        times(rows.iter().map(|(record, _)| record.started_at_ms)),
        text(&|(_, reject)| Some(reject.file.clone())),
        Arc::new(lines.collect::<Int64Array>()),
        text(&|(_, reject)| reject.column.clone()),
        text(&|(_, reject)| reject.value.clone()),
        text(&|(_, reject)| Some(reject.raw.clone())),
        text(&|(_, reject)| Some(reject.reason.clone())),
    ];
    Ok(RecordBatch::try_new(errors_schema(), columns)?)
}
