//! Statements that are sent as text, and the tickets for their rows.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::{
    Any, Command, CommandStatementQuery, CommandStatementUpdate, ProstMessageExt,
    TicketStatementQuery,
};
use arrow_flight::{CancelStatus, FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use boathouse_engine::{Query, QueryKind};
use bytes::Bytes;
use prost::Message;
use tokio::sync::watch;
use tonic::Status;

use super::runs::{Runs, execute_update, no_values};
use super::{DoGet, Service, flight_info, no_transaction};
use crate::plain::plain_schema;
use crate::session::Session;
use crate::status::status;

/// What a ticket stands for.
pub(crate) struct Statement {
    schema: SchemaRef,
    work: Work,
    /// The prepared statement it is an execution of.
    prepared: Option<Bytes>,
    cancelled: watch::Sender<bool>,
}

impl Statement {
    /// Whether it is an execution of that prepared statement.
    pub(super) fn is_of(&self, prepared: &Bytes) -> bool {
        self.prepared.as_ref() == Some(prepared)
    }
}

enum Work {
    /// Executed when it is fetched, at the versions it was planned with.
    Fetch(Runs),
    /// Done already; this is its answer.
    Kept(Vec<RecordBatch>),
}

/// Plans a statement. One that changes something is executed here, because a client that
/// expects no rows never fetches any.
pub(super) async fn info(
    session: &Session,
    command: CommandStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let query = plan(session, &command.query, command.transaction_id.as_ref()).await?;
    submit(session, Runs::new(query, None).await?, None, descriptor).await
}

/// The schema of a statement's rows. Nothing is executed.
pub(super) async fn schema(
    session: &Session,
    command: CommandStatementQuery,
) -> Result<SchemaRef, Status> {
    let query = plan(session, &command.query, command.transaction_id.as_ref()).await?;
    Ok(plain_schema(&query.schema()))
}

/// Executes a statement for what it changes, and counts the rows; -1 says that it counts none.
pub(super) async fn update(
    session: &Session,
    command: CommandStatementUpdate,
) -> Result<i64, Status> {
    let query = plan(session, &command.query, command.transaction_id.as_ref()).await?;
    match query.parameters().len() {
        0 => Ok(row_count(session.unless_ended(execute_update(&query)).await?, query.kind())),
        n => Err(no_values(n)),
    }
}

async fn plan(session: &Session, sql: &str, transaction: Option<&Bytes>) -> Result<Query, Status> {
    no_transaction(transaction)?;
    session.unless_ended(async { session.engine.query(sql).await.map_err(status) }).await
}

/// A ticket for what is planned; what returns no rows is executed now, once.
pub(super) async fn submit(
    session: &Session,
    runs: Runs,
    prepared: Option<Bytes>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let schema = runs.schema();
    let (work, total) = match runs.kind() {
        QueryKind::Rows => (Work::Fetch(runs), -1),
        kind => {
            let outcome = session.unless_ended(runs.finish()).await?;
            (Work::Kept(outcome.batches), row_count(outcome.changed, kind))
        }
    };
    let spent = matches!(work, Work::Kept(_));
    let cancelled = watch::Sender::new(false);
    let statement = Statement { schema: Arc::clone(&schema), work, prepared, cancelled };
    let statement_handle = session.tickets.insert(statement, spent, Instant::now())?;
    let ticket = TicketStatementQuery { statement_handle };
    let ticket = Ticket { ticket: ticket.as_any().encode_to_vec().into() };
    let mut info = flight_info(&schema, ticket, descriptor)?;
    info.total_records = total;
    info.endpoint.iter_mut().for_each(|endpoint| set_expiration(session, endpoint));
    Ok(info)
}

/// Streams the rows of a ticket.
pub(super) fn get(service: &Service, session: &Arc<Session>, handle: &[u8]) -> DoGet {
    let statement = session.tickets.get(handle, Instant::now())?;
    if *statement.cancelled.borrow() {
        return Err(cancelled());
    }
    session.tickets.spend(|other| std::ptr::eq(other, &*statement));
    let batches = match &statement.work {
        Work::Fetch(runs) => runs.batches(),
        Work::Kept(batches) => crate::stream::ready(batches.clone()),
    };
    let schema = Arc::clone(&statement.schema);
    Ok(service.send(session, schema, batches, until_cancelled(statement)))
}

async fn until_cancelled(statement: Arc<Statement>) -> Status {
    // The sender lives as long as `statement`, so this ends only with a cancellation.
    let _ = statement.cancelled.subscribe().wait_for(|cancelled| *cancelled).await;
    cancelled()
}

/// Stops what runs for any of `endpoints`, in whatever connection.
pub(super) fn cancel(
    session: &Session,
    endpoints: &[FlightEndpoint],
) -> Result<CancelStatus, Status> {
    let mut outcome = CancelStatus::NotCancellable;
    for endpoint in endpoints {
        let Some(handle) = handle(endpoint)? else { continue };
        let statement = session.tickets.get(&handle, Instant::now())?;
        if let Work::Fetch(_) = statement.work {
            statement.cancelled.send_replace(true);
            outcome = CancelStatus::Cancelled;
        }
    }
    Ok(outcome)
}

/// Lets the ticket of `endpoint` live on.
pub(super) fn renew(
    session: &Session,
    mut endpoint: FlightEndpoint,
) -> Result<FlightEndpoint, Status> {
    if let Some(handle) = handle(&endpoint)? {
        session.tickets.get(&handle, Instant::now())?;
        set_expiration(session, &mut endpoint);
    }
    Ok(endpoint)
}

/// The handle of a statement's ticket; `None` for a metadata command, which never expires.
fn handle(endpoint: &FlightEndpoint) -> Result<Option<Bytes>, Status> {
    let malformed = || Status::invalid_argument("the ticket is not one of this server's");
    let ticket = endpoint.ticket.as_ref().ok_or_else(malformed)?;
    let any = Any::decode(&*ticket.ticket).map_err(|_| malformed())?;
    match Command::try_from(any).map_err(|_| malformed())? {
        Command::TicketStatementQuery(ticket) => Ok(Some(ticket.statement_handle)),
        Command::Unknown(_) => Err(malformed()),
        _ => Ok(None),
    }
}

fn set_expiration(session: &Session, endpoint: &mut FlightEndpoint) {
    let expires = SystemTime::now() + session.tickets.lifetime();
    let since = expires.duration_since(UNIX_EPOCH).unwrap_or_default();
    let stamp = endpoint.expiration_time.get_or_insert_with(Default::default);
    stamp.seconds = since.as_secs() as i64;
    stamp.nanos = since.subsec_nanos() as i32;
}

pub(super) fn row_count(changed: Option<u64>, kind: QueryKind) -> i64 {
    match (changed, kind) {
        (Some(changed), _) => i64::try_from(changed).unwrap_or(i64::MAX),
        (None, QueryKind::Command) => 0,
        (None, _) => -1,
    }
}

fn cancelled() -> Status {
    Status::cancelled("the query was cancelled")
}
