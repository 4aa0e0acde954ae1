//! A running query's batches.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use futures::{FutureExt, Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::engine::panic_text;
use crate::interrupt::Interrupt;
use crate::work::Work;
use crate::{Error, ErrorKind, Result};

/// Batches that wait for a slow reader.
const QUEUED_BATCHES: usize = 2;

/// The batches of a running query. At most a few wait for the reader; dropping it ends the
/// query.
pub struct Rows {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch>>,
    task: Option<JoinHandle<()>>,
    /// Raises the interrupt when the time is up, should the query's own thread not give way.
    timer: Option<JoinHandle<()>>,
    monitor: Monitor,
}

/// Watches or cancels a running query from elsewhere. Cheap to clone.
#[derive(Clone)]
pub struct Monitor {
    cancelled: watch::Sender<bool>,
    interrupt: Interrupt,
    started: Instant,
    plan: Option<Arc<dyn ExecutionPlan>>,
    work: Arc<Work>,
}

/// How far a query has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Rows that came out of the scans so far.
    pub rows_scanned: u64,
    /// How many there are to scan, where statistics tell.
    pub rows_total: Option<u64>,
    /// Since it was started.
    pub elapsed: Duration,
}

impl Monitor {
    pub(crate) fn new(plan: Option<Arc<dyn ExecutionPlan>>, interrupt: Interrupt) -> Self {
        Self {
            cancelled: watch::Sender::new(false),
            interrupt,
            started: Instant::now(),
            plan,
            work: Arc::default(),
        }
    }

    /// Of a statement that is not one plan.
    pub(crate) fn of_work(work: Arc<Work>) -> Self {
        Self { work, ..Self::new(None, Interrupt::default()) }
    }

    /// Ends the query now. Its [`Rows`] yield one error of kind [`ErrorKind::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
        self.interrupt.raise();
    }

    /// How far the query has come.
    pub fn progress(&self) -> Progress {
        let mut progress = Progress { elapsed: self.started.elapsed(), ..Progress::default() };
        (progress.rows_scanned, progress.rows_total) = self.work.rows();
        if let Some(plan) = self.plan.clone().or_else(|| self.work.plan()) {
            let mut total = Some(0);
            progress.rows_scanned = 0;
            add_scans(plan.as_ref(), &mut progress.rows_scanned, &mut total);
            progress.rows_total = total;
        }
        progress
    }

    /// What is being done, in words; empty where nothing was said.
    pub fn activity(&self) -> String {
        self.work.text()
    }

    /// Resolves when the query is cancelled; an error that says so.
    pub(crate) async fn cancelled(&self) -> Error {
        let mut receiver = self.cancelled.subscribe();
        if receiver.wait_for(|cancelled| *cancelled).await.is_err() {
            // The sender is in `self`, so it can't be gone; never resolve if it were.
            futures::future::pending::<()>().await;
        }
        Error::new(ErrorKind::Cancelled, "the query was cancelled")
    }
}

fn add_scans(plan: &dyn ExecutionPlan, scanned: &mut u64, total: &mut Option<u64>) {
    let children = plan.children();
    if children.is_empty() {
        let rows = plan.metrics().and_then(|metrics| metrics.output_rows());
        *scanned += rows.unwrap_or(0) as u64;
        let known = StatisticsContext::new()
            .compute(plan, &StatisticsArgs::new())
            .ok()
            .and_then(|statistics| statistics.num_rows.get_value().copied());
        *total = total.zip(known).map(|(total, rows)| total + rows as u64);
    }
    for child in children {
        add_scans(child.as_ref(), scanned, total);
    }
}

impl Rows {
    /// Rows that exist already.
    pub(crate) fn ready(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let (sender, receiver) = mpsc::channel(batches.len().max(1));
        for batch in batches {
            // The channel has room for all of them.
            let _ = sender.try_send(Ok(batch));
        }
        Self {
            schema,
            batches: receiver,
            task: None,
            timer: None,
            monitor: Monitor::new(None, Interrupt::default()),
        }
    }

    /// Drives `stream` on `queries` until it ends, is cancelled, or `deadline` is over.
    pub(crate) fn spawn(
        queries: &Handle,
        mut stream: SendableRecordBatchStream,
        edge: Edge,
        monitor: Monitor,
        timeout: Option<Duration>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUED_BATCHES);
        let schema = edge.schema.clone();
        let watch = monitor.clone();
        let task = queries.spawn(async move {
            let deadline = async {
                match timeout {
                    Some(timeout) => tokio::time::sleep(timeout).await,
                    None => futures::future::pending().await,
                }
            };
            let pump = async {
                while let Some(batch) = stream.next().await {
                    let batch = batch.map_err(Error::from).and_then(|batch| edge.apply(batch));
                    let late = timeout.filter(|timeout| *timeout <= watch.started.elapsed());
                    let batch = batch.map_err(|error| match (error.kind(), late) {
                        (ErrorKind::Cancelled, Some(timeout)) => timed_out(timeout),
                        _ => error,
                    });
                    let failed = batch.is_err();
                    if sender.send(batch).await.is_err() || failed {
                        return;
                    }
                }
            };
            let end = tokio::select! {
                biased;
                error = watch.cancelled() => Some(error),
                () = deadline => Some(timed_out(timeout.unwrap_or_default())),
                () = pump => None,
            };
            drop(stream);
            if let Some(error) = end {
                let _ = sender.send(Err(error)).await;
            }
        });
        let timer = timeout.map(|timeout| {
            let interrupt = monitor.interrupt.clone();
            tokio::spawn(async move {
                tokio::time::sleep(timeout).await;
                interrupt.raise();
            })
        });
        Self { schema, batches: receiver, task: Some(task), timer, monitor }
    }

    /// The schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// A handle for another task that wants to show progress or to cancel.
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }
}

pub(crate) fn timed_out(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!("the statement ran longer than {} s", timeout.as_secs_f64()),
    )
    .with_hint("Raise it with SET statement_timeout_seconds = n; 0 turns it off.")
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.monitor.interrupt.raise();
        for task in self.task.iter().chain(&self.timer) {
            task.abort();
        }
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.batches.poll_recv(cx) {
            Poll::Ready(None) => match self.task.take() {
                // The sender is gone: the task is at its end, or it panicked.
                Some(mut task) => match task.poll_unpin(cx) {
                    Poll::Ready(Err(error)) if error.is_panic() => {
                        Poll::Ready(Some(Err(Error::internal(panic_text(error)))))
                    }
                    Poll::Ready(_) => Poll::Ready(None),
                    Poll::Pending => {
                        self.task = Some(task);
                        Poll::Pending
                    }
                },
                None => Poll::Ready(None),
            },
            other => other,
        }
    }
}

/// What leaves the engine: batches whose schema is exactly the advertised one, without view
/// types where the session doesn't want them.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) schema: SchemaRef,
}

impl Edge {
    /// The edge for a plan's schema.
    pub(crate) fn new(plan: &SchemaRef, view_types: bool) -> Self {
        let schema = if view_types { plan.clone() } else { without_views(plan) };
        Self { schema }
    }

    pub(crate) fn apply(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if batch.schema_ref() == &self.schema {
            return Ok(batch);
        }
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| {
                if column.data_type() == field.data_type() {
                    Ok(column.clone())
                } else {
                    cast(column, field.data_type())
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        let options =
            arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// `schema` with plain strings and binaries in place of views, at any depth.
pub(crate) fn without_views(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| plain_field(field)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn plain_field(field: &Field) -> Field {
    field.clone().with_data_type(plain_type(field.data_type()))
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) => DataType::List(Arc::new(plain_field(item))),
        DataType::LargeList(item) => DataType::LargeList(Arc::new(plain_field(item))),
        DataType::FixedSizeList(item, size) => {
            DataType::FixedSizeList(Arc::new(plain_field(item)), *size)
        }
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| plain_field(field)).collect())
        }
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(plain_field(entries)), *sorted),
        DataType::Dictionary(key, value) => {
            DataType::Dictionary(key.clone(), Box::new(plain_type(value)))
        }
        other => other.clone(),
    }
}
