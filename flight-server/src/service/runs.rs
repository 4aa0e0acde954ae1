//! A planned statement and the parameter rows it runs with.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use boathouse_engine::{Query, QueryKind};
use futures::{StreamExt, TryStreamExt, stream};
use tonic::Status;

use super::parameters::Parameters;
use crate::plain::plain_schema;
use crate::status::status;
use crate::stream::Batches;

/// A statement, planned and with its parameters: one run for each row of them.
#[derive(Clone)]
pub(super) enum Runs {
    /// It has no parameters, or one row of them that is bound already.
    Once(Query),
    /// It has parameters, and no row of them came.
    Never(Query),
    /// One run after the other.
    ForEach {
        /// Unbound.
        query: Query,
        /// Bound to the first row; what the schema is known from.
        first: Query,
        /// All rows.
        rows: Arc<Parameters>,
    },
}

/// What is left of statements that change something.
pub(super) struct Outcome {
    /// The rows that changed, if the statement counts them.
    pub(super) changed: Option<u64>,
    /// What a client gets that fetches nevertheless.
    pub(super) batches: Vec<RecordBatch>,
}

impl Runs {
    /// Binds the first row, so that a mismatch shows here.
    pub(super) async fn new(query: Query, rows: Option<Arc<Parameters>>) -> Result<Self, Status> {
        let Some(rows) = rows.filter(|rows| !rows.is_absent()) else {
            return match query.parameters().len() {
                0 => Ok(Self::Once(query)),
                n => Err(no_values(n)),
            };
        };
        rows.check_count(&query)?;
        match rows.rows() {
            0 => Ok(Self::Never(query)),
            1 => Ok(Self::Once(bind(&query, &rows, 0).await?)),
            _ => Ok(Self::ForEach { first: bind(&query, &rows, 0).await?, query, rows }),
        }
    }

    /// What kind of answer comes back.
    pub(super) fn kind(&self) -> QueryKind {
        self.query().kind()
    }

    /// The schema of all batches, as they are sent.
    pub(super) fn schema(&self) -> SchemaRef {
        let schema = plain_schema(&self.query().schema());
        match self {
            Self::Once(_) | Self::Never(_) => schema,
            Self::ForEach { .. } => nullable(&schema),
        }
    }

    /// The rows of all runs.
    pub(super) fn batches(&self) -> Batches {
        match self.clone() {
            Self::Never(_) => stream::empty().boxed(),
            Self::Once(query) => stream::once(execute(query)).try_flatten().boxed(),
            Self::ForEach { query, rows, .. } => {
                let count = rows.rows();
                let run = move |n| {
                    let (query, rows) = (query.clone(), Arc::clone(&rows));
                    async move { execute(bind(&query, &rows, n).await?).await }
                };
                stream::iter(0..count).then(run).try_flatten().boxed()
            }
        }
    }

    /// Runs statements that return no rows, to their end.
    pub(super) async fn finish(&self) -> Result<Outcome, Status> {
        match self {
            Self::Never(query) => outcome(query, 0),
            Self::Once(query) => {
                let batches: Vec<_> = execute(query.clone()).await?.try_collect().await?;
                Ok(Outcome { changed: changed(query, &batches), batches })
            }
            Self::ForEach { query, rows, .. } => {
                let mut total = 0;
                for n in 0..rows.rows() {
                    let run = async { execute_update(&bind(query, rows, n).await?).await };
                    total += run.await.map_err(|error| at_row(&error, n))?.unwrap_or(0);
                }
                outcome(query, total)
            }
        }
    }

    fn query(&self) -> &Query {
        match self {
            Self::Once(query) | Self::Never(query) | Self::ForEach { first: query, .. } => query,
        }
    }
}

/// Plans against the newest versions of the tables, with row `n` of the parameters.
async fn bind(query: &Query, rows: &Parameters, n: usize) -> Result<Query, Status> {
    let (batch, row) = rows.row(n).ok_or_else(|| no_values(n))?;
    query.bind(batch, row).await.map_err(status)
}

async fn execute(query: Query) -> Result<Batches, Status> {
    let rows = query.execute().await.map_err(status)?;
    Ok(rows.map_err(status).boxed())
}

/// Runs one statement to its end. The rows that changed come back, if it counts them.
pub(super) async fn execute_update(query: &Query) -> Result<Option<u64>, Status> {
    let mut batches = execute(query.clone()).await?;
    let mut count = None;
    while let Some(batch) = batches.try_next().await? {
        count = count.or(changed(query, &[batch]));
    }
    Ok(count)
}

/// Says at which of several runs an error happened, and what became of the others.
pub(super) fn at_row(error: &Status, n: usize) -> Status {
    let message = error.message();
    Status::new(
        error.code(),
        format!(
            "{message}\nThis happened with parameter row {}; the {n} rows before it are done.",
            n + 1
        ),
    )
}

pub(super) fn no_values(parameters: usize) -> Status {
    Status::invalid_argument(format!(
        "the statement has {parameters} parameters, but no values came with it\n\
         Hint: Prepare the statement, and bind a value for each parameter."
    ))
}

fn changed(query: &Query, batches: &[RecordBatch]) -> Option<u64> {
    if query.kind() != QueryKind::RowCount {
        return None;
    }
    let column = batches.iter().find(|batch| 0 < batch.num_rows())?.columns().first()?;
    let count = cast(column, &DataType::Int64).ok()?;
    u64::try_from(count.as_primitive::<Int64Type>().value(0)).ok()
}

/// The answer of several runs, in the shape of a single one's.
fn outcome(query: &Query, total: u64) -> Result<Outcome, Status> {
    if query.kind() != QueryKind::RowCount {
        return Ok(Outcome { changed: None, batches: Vec::new() });
    }
    let schema = query.schema();
    let count = Int64Array::from_iter_values([total as i64]);
    let columns = schema.fields().iter().map(|field| cast(&count, field.data_type()));
    let batch = columns
        .collect::<Result<Vec<_>, _>>()
        .and_then(|columns| RecordBatch::try_new(Arc::clone(&schema), columns))
        .map_err(|error| Status::internal(format!("could not build a row count: {error}")))?;
    Ok(Outcome { changed: Some(total), batches: vec![batch] })
}

/// Runs with different values may differ in what they know about nulls.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields = fields.map(|field| Arc::new(field.as_ref().clone().with_nullable(true)));
    let fields: Vec<_> = fields.collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}
