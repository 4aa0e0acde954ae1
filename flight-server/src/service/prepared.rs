//! Statements that are prepared once and executed with values.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    DoPutPreparedStatementResult,
};
use arrow_flight::{FlightDescriptor, FlightInfo, IpcMessage};
use boathouse_engine::{Query, QueryKind};
use bytes::Bytes;
use tonic::Status;

use super::parameters::{Parameters, check_count, values};
use super::runs::{Runs, at_row, execute_update};
use super::statement::{row_count, submit};
use super::{DoGet, Service, ipc_schema, no_transaction};
use crate::plain::plain_schema;
use crate::session::Session;
use crate::status::status;
use crate::upload::Upload;

/// A statement that waits for its values.
pub(crate) struct Prepared {
    query: Query,
    bound: Mutex<Option<Arc<Parameters>>>,
}

impl Prepared {
    fn bound(&self) -> Option<Arc<Parameters>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_bound(&self, parameters: Parameters) {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        *bound = Some(Arc::new(parameters));
    }

    /// The statement, planned against the newest versions and with the values that are bound.
    async fn runs(&self) -> Result<Runs, Status> {
        match self.query.parameters().len() {
            0 => Runs::new(self.query.replan().await.map_err(status)?, self.bound()).await,
            // Each binding plans anew.
            _ => Runs::new(self.query.clone(), self.bound()).await,
        }
    }
}

/// Plans a statement and keeps it. Nothing is executed.
pub(super) async fn create(
    session: &Session,
    request: ActionCreatePreparedStatementRequest,
) -> Result<ActionCreatePreparedStatementResult, Status> {
    no_transaction(request.transaction_id.as_ref())?;
    let plan = async { session.engine.query(&request.query).await.map_err(status) };
    let query = session.unless_ended(plan).await?;
    let IpcMessage(dataset_schema) = ipc_schema(&dataset_schema(&query))?;
    let IpcMessage(parameter_schema) = ipc_schema(&parameter_schema(&query))?;
    let prepared = Prepared { query, bound: Mutex::default() };
    let prepared_statement_handle = session.prepared.insert(prepared, false, Instant::now())?;
    Ok(ActionCreatePreparedStatementResult {
        prepared_statement_handle,
        dataset_schema,
        parameter_schema,
    })
}

/// The schema of a prepared statement's rows.
pub(super) fn schema(session: &Session, handle: &[u8]) -> Result<SchemaRef, Status> {
    let prepared = session.prepared.get(handle, Instant::now())?;
    Ok(plain_schema(&prepared.query.schema()))
}

/// Keeps values for the next executions.
pub(super) async fn bind(
    session: &Session,
    handle: Bytes,
    upload: Upload,
) -> Result<DoPutPreparedStatementResult, Status> {
    let prepared = session.prepared.get(&handle, Instant::now())?;
    let parameters = Parameters::read(upload, &prepared.query).await?;
    prepared.set_bound(parameters);
    Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) })
}

/// A ticket for the rows of an execution; what returns no rows is executed now.
pub(super) async fn info(
    session: &Session,
    handle: Bytes,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let prepared = session.prepared.get(&handle, Instant::now())?;
    let runs = session.unless_ended(prepared.runs()).await?;
    submit(session, runs, Some(handle), descriptor).await
}

/// Forgets the statement. Its tickets may still be fetched, until their place is needed.
pub(super) fn close(session: &Session, handle: &Bytes) {
    session.prepared.remove(handle);
    session.tickets.spend(|statement| statement.is_of(handle));
}

/// Executes a query without a ticket.
pub(super) async fn get(service: &Service, session: &Arc<Session>, handle: &[u8]) -> DoGet {
    let prepared = session.prepared.get(handle, Instant::now())?;
    if prepared.query.kind() != QueryKind::Rows {
        return Err(Status::invalid_argument(
            "a statement that returns no rows cannot be fetched by its prepared handle\n\
             Hint: Execute it as an update, or fetch the ticket that GetFlightInfo returns.",
        ));
    }
    let runs = session.unless_ended(prepared.runs()).await?;
    Ok(service.send(session, runs.schema(), runs.batches(), std::future::pending()))
}

/// Executes a statement for what it changes, once for each row of values.
pub(super) async fn update(
    session: &Session,
    handle: &[u8],
    upload: Upload,
) -> Result<i64, Status> {
    let prepared = session.prepared.get(handle, Instant::now())?;
    session.unless_ended(update_rows(&prepared, upload)).await
}

async fn update_rows(prepared: &Prepared, mut upload: Upload) -> Result<i64, Status> {
    let columns = upload.schema().map_or(0, |schema| schema.fields().len());
    if columns == 0 {
        return update_once(prepared).await;
    }
    check_count(columns, &prepared.query)?;
    let (mut total, mut done) = (0, 0);
    while let Some(batch) = upload.next().await.transpose()? {
        let batch = values(&batch, &prepared.query)?;
        for row in 0..batch.num_rows() {
            let run = async {
                let query = prepared.query.bind(&batch, row).await.map_err(status)?;
                execute_update(&query).await
            };
            total += match run.await {
                Ok(changed) => changed.unwrap_or(0),
                Err(error) if done == 0 => return Err(error),
                Err(error) => return Err(at_row(&error, done)),
            };
            done += 1;
        }
    }
    Ok(row_count(Some(total), prepared.query.kind()))
}

/// Without values in the call, those count that were bound before, if any.
async fn update_once(prepared: &Prepared) -> Result<i64, Status> {
    let runs = prepared.runs().await?;
    let outcome = runs.finish().await?;
    Ok(row_count(outcome.changed, runs.kind()))
}

/// No columns tell a driver that the statement is an update.
fn dataset_schema(query: &Query) -> Schema {
    match query.kind() {
        QueryKind::Rows => plain_schema(&query.schema()).as_ref().clone(),
        QueryKind::RowCount | QueryKind::Command => Schema::empty(),
    }
}

/// A parameter of unknown type is announced as text, which drivers can send for anything.
fn parameter_schema(query: &Query) -> Schema {
    let fields = query.parameters().iter().map(|parameter| {
        let data_type = match &parameter.data_type {
            DataType::Null => DataType::Utf8,
            known => known.clone(),
        };
        Field::new(&parameter.name, data_type, true)
    });
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    plain_schema(&schema).as_ref().clone()
}
