//! A lake to run statements on: in this process, or served by another one.

mod remote;

use std::pin::Pin;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef, UInt64Type};
use boathouse_engine::{Monitor, Progress, Query, QueryKind, Session};
use futures::{Stream, StreamExt, TryStreamExt};

pub(crate) use remote::Remote;

use crate::failure::{Failure, Result};

/// How long a server may take to confirm that it has cancelled a query.
const CANCEL_WAIT: Duration = Duration::from_secs(2);

/// A lake to run statements on. Clones share the current database.
#[derive(Clone)]
pub(crate) enum Connection {
    /// The engine of this process.
    Embedded(Session),
    /// The server of another.
    Remote(Remote),
}

/// A statement that may be executed.
pub(crate) enum Prepared {
    /// Planned by the engine of this process.
    Embedded(Query),
    /// To be sent to a server.
    Remote(Remote, String),
}

/// What came of a statement.
pub(crate) enum Answer {
    /// Rows, as they are computed.
    Rows(Rows),
    /// So many rows were changed.
    Count(u64),
    /// It is done.
    Done,
}

/// A running query. Dropping it cancels the work.
pub(crate) struct Rows {
    schema: SchemaRef,
    batches: Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>,
    watch: Watch,
}

/// A handle of a running query.
#[derive(Clone)]
pub(crate) enum Watch {
    /// In this process.
    Embedded(Monitor),
    /// On a server.
    Remote(Remote, remote::RunningQuery),
}

impl Connection {
    /// Plans `sql`, one statement. Nothing happens yet.
    pub(crate) async fn prepare(&self, sql: &str) -> Result<Prepared> {
        Ok(match self {
            Self::Embedded(session) => Prepared::Embedded(session.query(sql).await?),
            Self::Remote(remote) => Prepared::Remote(remote.clone(), sql.to_owned()),
        })
    }

    /// Runs `sql` and collects its rows: for small results.
    pub(crate) async fn fetch(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        match self.prepare(sql).await?.execute().await? {
            Answer::Rows(rows) => rows.batches.try_collect().await,
            Answer::Count(_) | Answer::Done => Ok(Vec::new()),
        }
    }

    /// The database that bare table names belong to.
    pub(crate) fn database(&self) -> String {
        match self {
            Self::Embedded(session) => session.database(),
            Self::Remote(remote) => remote.database(),
        }
    }

    /// Says goodbye to a server.
    pub(crate) async fn close(self) {
        if let Self::Remote(remote) = self {
            remote.close().await;
        }
    }
}

impl Prepared {
    /// What will come of it.
    pub(crate) fn kind(&self) -> QueryKind {
        match self {
            Self::Embedded(query) => query.kind(),
            Self::Remote(_, sql) => remote::kind(sql),
        }
    }

    /// For progress before there are rows.
    pub(crate) fn watch(&self) -> Option<Watch> {
        match self {
            Self::Embedded(query) => Some(Watch::Embedded(query.monitor())),
            Self::Remote(..) => None,
        }
    }

    /// Executes it. What it changes is changed when this returns.
    pub(crate) async fn execute(self) -> Result<Answer> {
        let kind = self.kind();
        match self {
            Self::Embedded(query) => {
                let mut rows = query.execute().await?;
                let watch = Watch::Embedded(rows.monitor());
                match kind {
                    QueryKind::Rows => Ok(Answer::Rows(Rows {
                        schema: rows.schema(),
                        batches: Box::pin(rows.map_err(Failure::from)),
                        watch,
                    })),
                    QueryKind::RowCount => {
                        let mut count = 0;
                        while let Some(batch) = rows.next().await {
                            count += row_count(&batch?)?;
                        }
                        Ok(Answer::Count(count))
                    }
                    QueryKind::Command => {
                        while let Some(batch) = rows.next().await {
                            batch?;
                        }
                        Ok(Answer::Done)
                    }
                }
            }
            Self::Remote(remote, sql) => match kind {
                QueryKind::Rows => remote.query(&sql).await,
                QueryKind::RowCount => remote.update(&sql).await.map(Answer::Count),
                QueryKind::Command => remote.update(&sql).await.map(|_| Answer::Done),
            },
        }
    }
}

impl Rows {
    /// What the batches look like.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// For progress, and to cancel.
    pub(crate) fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// The next batch.
    pub(crate) async fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.batches.next().await
    }
}

impl Watch {
    /// How far the query is, where that is known.
    pub(crate) fn progress(&self) -> Option<Progress> {
        match self {
            Self::Embedded(monitor) => Some(monitor.progress()),
            Self::Remote(..) => None,
        }
    }

    /// What it says of how far it is; empty if nothing.
    pub(crate) fn activity(&self) -> String {
        match self {
            Self::Embedded(monitor) => monitor.activity(),
            Self::Remote(..) => String::new(),
        }
    }

    /// Ends the query.
    pub(crate) async fn cancel(&self) {
        match self {
            Self::Embedded(monitor) => monitor.cancel(),
            Self::Remote(remote, query) => {
                // Its stream is dropped in any case, which ends it too.
                let _ = tokio::time::timeout(CANCEL_WAIT, remote.cancel(query)).await;
            }
        }
    }
}

/// The number in a batch that holds the count of changed rows.
fn row_count(batch: &RecordBatch) -> Result<u64> {
    let Some(column) = batch.columns().first() else { return Ok(0) };
    let column = cast(column, &DataType::UInt64)
        .map_err(|error| Failure::Failed(format!("could not read the row count: {error}")))?;
    let counts = column.as_primitive::<UInt64Type>();
    Ok(counts.iter().flatten().sum())
}
