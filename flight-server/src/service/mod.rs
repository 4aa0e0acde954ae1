//! The Flight SQL commands: each function here forwards to the module of its topic.

mod actions;
mod ingest;
mod metadata;
mod options;
mod parameters;
mod prepared;
mod runs;
mod statement;

use std::pin::Pin;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::{DoPutError, FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Command,
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
    CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes,
    CommandGetTables, CommandGetXdbcTypeInfo, CommandPreparedStatementQuery,
    CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementQuery,
    CommandStatementUpdate, DoPutPreparedStatementResult, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, IpcMessage, SchemaAsIpc, SchemaResult, Ticket,
};
use futures::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

pub(crate) use actions::{SET_OPTIONS, list as list_actions};
pub(crate) use metadata::Metadata;
pub(crate) use prepared::Prepared;
pub(crate) use statement::Statement;

use crate::session::{Session, Sessions, identity};
use crate::stream::{Batches, Handover, Messages};
use crate::upload::Upload;

type Answer<T> = Result<Response<T>, Status>;
type DoGet = Answer<<Service as FlightService>::DoGetStream>;
type Uploaded = Request<PeekableFlightDataStream>;

/// Everything that answers a command.
pub(crate) struct Service {
    /// Who is there.
    pub(crate) sessions: Arc<Sessions>,
    /// What the server tells about itself and the types it knows.
    pub(crate) metadata: Metadata,
    /// Bytes of one message of a result.
    pub(crate) message_bytes: usize,
}

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Answer<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>> {
        let session = self.sessions.open()?;
        let payload = session.token().to_owned().into();
        let answer = HandshakeResponse { protocol_version: 0, payload };
        let stream = futures::stream::iter([Ok(answer)]).boxed();
        let mut response = Response::new(stream as _);
        let authorization = identity::authorization(session.token())?;
        response.metadata_mut().insert("authorization", authorization);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let session = session_of(&request)?;
        answer(statement::info(&session, query, request.into_inner()).await)
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let session = session_of(&request)?;
        let handle = query.prepared_statement_handle;
        answer(prepared::info(&session, handle, request.into_inner()).await)
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> DoGet {
        statement::get(self, &session_of(&request)?, &ticket.statement_handle)
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> DoGet {
        prepared::get(self, &session_of(&request)?, &query.prepared_statement_handle).await
    }

    async fn do_put_statement_update(
        &self,
        update: CommandStatementUpdate,
        request: Uploaded,
    ) -> Result<i64, Status> {
        statement::update(&*session_of(&request)?, update).await
    }

    async fn do_put_statement_ingest(
        &self,
        command: CommandStatementIngest,
        request: Uploaded,
    ) -> Result<i64, Status> {
        let session = session_of(&request)?;
        ingest::ingest(&session, command, Upload::open(request.into_inner()).await?).await
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Uploaded,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let session = session_of(&request)?;
        let upload = Upload::open(request.into_inner()).await?;
        prepared::bind(&session, query.prepared_statement_handle, upload).await
    }

    async fn do_put_prepared_statement_update(
        &self,
        update: CommandPreparedStatementUpdate,
        request: Uploaded,
    ) -> Result<i64, Status> {
        let session = session_of(&request)?;
        let upload = Upload::open(request.into_inner()).await?;
        prepared::update(&session, &update.prepared_statement_handle, upload).await
    }

    async fn do_put_error_callback(
        &self,
        _request: Uploaded,
        error: DoPutError,
    ) -> Answer<<Self as FlightService>::DoPutStream> {
        Err(Status::invalid_argument(format!("the upload has no command: {error}")))
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        prepared::create(&*session_of(&request)?, query).await
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        prepared::close(&*session_of(&request)?, &query.prepared_statement_handle);
        Ok(())
    }

    async fn do_action_cancel_query(
        &self,
        query: ActionCancelQueryRequest,
        request: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        let result = actions::cancel_query(&*session_of(&request)?, &query.info)?;
        Ok(ActionCancelQueryResult { result: result as i32 })
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Answer<<Self as FlightService>::DoActionStream> {
        let session = session_of(&request)?;
        let result = actions::act(&self.sessions, &session, request.get_ref()).await?;
        Ok(Response::new(futures::stream::iter([Ok(result)]).boxed()))
    }

    async fn list_custom_actions(&self) -> Option<Vec<Result<ActionType, Status>>> {
        None // the door lists them all
    }

    async fn get_flight_info_catalogs(
        &self,
        command: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        self.metadata.info(Command::CommandGetCatalogs(command), request)
    }

    async fn get_flight_info_schemas(
        &self,
        command: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        self.metadata.info(Command::CommandGetDbSchemas(command), request)
    }

    async fn get_flight_info_tables(
        &self,
        command: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        self.metadata.info(Command::CommandGetTables(command), request)
    }

    async fn get_flight_info_table_types(
        &self,
        command: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        self.metadata.info(Command::CommandGetTableTypes(command), request)
    }

    async fn get_flight_info_sql_info(
        &self,
        command: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        self.metadata.info(Command::CommandGetSqlInfo(command), request)
    }

    async fn get_flight_info_primary_keys(
        &self,
        command: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        self.metadata.info(Command::CommandGetPrimaryKeys(command), request)
    }

    async fn get_flight_info_exported_keys(
        &self,
        command: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        self.metadata.info(Command::CommandGetExportedKeys(command), request)
    }

    async fn get_flight_info_imported_keys(
        &self,
        command: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        self.metadata.info(Command::CommandGetImportedKeys(command), request)
    }

    async fn get_flight_info_cross_reference(
        &self,
        command: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        self.metadata.info(Command::CommandGetCrossReference(command), request)
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        command: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        self.metadata.info(Command::CommandGetXdbcTypeInfo(command), request)
    }

    async fn do_get_catalogs(
        &self,
        command: CommandGetCatalogs,
        request: Request<Ticket>,
    ) -> DoGet {
        self.get_metadata(Command::CommandGetCatalogs(command), request).await
    }

    async fn do_get_schemas(
        &self,
        command: CommandGetDbSchemas,
        request: Request<Ticket>,
    ) -> DoGet {
        self.get_metadata(Command::CommandGetDbSchemas(command), request).await
    }

    async fn do_get_tables(&self, command: CommandGetTables, request: Request<Ticket>) -> DoGet {
        self.get_metadata(Command::CommandGetTables(command), request).await
    }

    async fn do_get_table_types(
        &self,
        command: CommandGetTableTypes,
        request: Request<Ticket>,
    ) -> DoGet {
        self.get_metadata(Command::CommandGetTableTypes(command), request).await
    }

    async fn do_get_sql_info(&self, command: CommandGetSqlInfo, request: Request<Ticket>) -> DoGet {
        self.get_metadata(Command::CommandGetSqlInfo(command), request).await
    }

    async fn do_get_primary_keys(
        &self,
        command: CommandGetPrimaryKeys,
        request: Request<Ticket>,
    ) -> DoGet {
        self.get_metadata(Command::CommandGetPrimaryKeys(command), request).await
    }

    async fn do_get_exported_keys(
        &self,
        command: CommandGetExportedKeys,
        request: Request<Ticket>,
    ) -> DoGet {
        self.get_metadata(Command::CommandGetExportedKeys(command), request).await
    }

    async fn do_get_imported_keys(
        &self,
        command: CommandGetImportedKeys,
        request: Request<Ticket>,
    ) -> DoGet {
        self.get_metadata(Command::CommandGetImportedKeys(command), request).await
    }

    async fn do_get_cross_reference(
        &self,
        command: CommandGetCrossReference,
        request: Request<Ticket>,
    ) -> DoGet {
        self.get_metadata(Command::CommandGetCrossReference(command), request).await
    }

    async fn do_get_xdbc_type_info(
        &self,
        command: CommandGetXdbcTypeInfo,
        request: Request<Ticket>,
    ) -> DoGet {
        self.get_metadata(Command::CommandGetXdbcTypeInfo(command), request).await
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}

impl Service {
    /// The schema that `GetFlightInfo` would announce for `command`. Nothing is executed.
    pub(crate) async fn schema(
        &self,
        session: &Session,
        command: Command,
    ) -> Result<SchemaResult, Status> {
        let schema = match command {
            Command::CommandStatementQuery(query) => statement::schema(session, query).await?,
            Command::CommandPreparedStatementQuery(query) => {
                prepared::schema(session, &query.prepared_statement_handle)?
            }
            command => self.metadata.schema(&command)?,
        };
        let IpcMessage(schema) = ipc_schema(&schema)?;
        Ok(SchemaResult { schema })
    }

    async fn get_metadata(&self, command: Command, request: Request<Ticket>) -> DoGet {
        let session = session_of(&request)?;
        let batch = session.unless_ended(self.metadata.rows(&session, command)).await?;
        let schema = batch.schema();
        Ok(self.send(&session, schema, crate::stream::ready(vec![batch]), std::future::pending()))
    }

    /// The answer that streams `batches`, until `cancelled` resolves.
    fn send(
        &self,
        session: &Arc<Session>,
        schema: SchemaRef,
        batches: Batches,
        cancelled: impl Future<Output = Status> + Send + 'static,
    ) -> Response<<Self as FlightService>::DoGetStream> {
        let busy = session.enter();
        let stopped = async move {
            tokio::select! {
                status = busy.session().ended() => status,
                status = cancelled => status,
            }
        };
        let messages = Messages::start(batches, schema, self.message_bytes, stopped);
        let mut response = Response::new(crate::stream::nothing().boxed());
        response.extensions_mut().insert(Handover::new(messages));
        response
    }
}

/// The session that the door found for a request.
fn session_of<T>(request: &Request<T>) -> Result<Arc<Session>, Status> {
    let session = request.extensions().get::<Arc<Session>>();
    session.cloned().ok_or_else(|| Status::internal("a request came past the door"))
}

fn answer<T>(outcome: Result<T, Status>) -> Answer<T> {
    outcome.map(Response::new)
}

/// A `FlightInfo` with one endpoint on this server.
fn flight_info(
    schema: &Schema,
    ticket: Ticket,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let IpcMessage(schema) = ipc_schema(schema)?;
    Ok(FlightInfo {
        schema,
        flight_descriptor: Some(descriptor),
        endpoint: vec![FlightEndpoint::new().with_ticket(ticket)],
        total_records: -1,
        total_bytes: -1,
        ordered: true,
        app_metadata: Default::default(),
    })
}

fn ipc_schema(schema: &Schema) -> Result<IpcMessage, Status> {
    let options = IpcWriteOptions::default();
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &options));
    message.map_err(|error| Status::internal(format!("could not encode a schema: {error}")))
}

fn flight_error(error: FlightError) -> Status {
    Status::internal(format!("could not build an answer: {error}"))
}

/// Transactions are not supported, so no id can be one that the server gave out.
fn no_transaction(id: Option<&bytes::Bytes>) -> Result<(), Status> {
    match id {
        Some(id) if !id.is_empty() => Err(Status::unimplemented(
            "transactions are not supported\n\
             Hint: Each statement commits by itself; switch the client to autocommit.",
        )),
        _ => Ok(()),
    }
}
