//! Where every call comes in: finds its session and refuses what is malformed.

use std::sync::Arc;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Any, Command};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, PollInfo, SchemaResult, Ticket,
};
use futures::StreamExt;
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::connection::ConnectionInfo;
use crate::service::{SET_OPTIONS, Service, list_actions};
use crate::session::{Busy, Session, Sessions, identity};

/// The Flight service: the SQL service behind a check of who calls.
pub(crate) struct Door {
    service: Service,
    sessions: Arc<Sessions>,
}

/// One call, from when its session was found until it is answered.
struct Visit {
    busy: Busy,
    cookie: Option<String>,
}

impl Door {
    /// A door in front of `service`.
    pub(crate) fn new(service: Service) -> Self {
        Self { sessions: Arc::clone(&service.sessions), service }
    }

    /// Finds the session of a request and puts it into the request's extensions.
    fn enter<T>(&self, request: &mut Request<T>) -> Result<Visit, Status> {
        self.sessions.check_open()?;
        let (session, cookie) = self.session(request)?;
        request.extensions_mut().insert(Arc::clone(&session));
        Ok(Visit { busy: session.enter(), cookie })
    }

    /// By token, by cookie, or by connection; with the cookie that the client should have.
    fn session<T>(&self, request: &Request<T>) -> Result<(Arc<Session>, Option<String>), Status> {
        if let Some(token) = identity::bearer(request.metadata()) {
            return Ok((self.sessions.named(token)?, None));
        }
        if let Some(token) = identity::cookie(request.metadata()) {
            return match self.sessions.named(token) {
                Ok(session) => Ok((session, None)),
                Err(status) => Err(without_cookie(status)),
            };
        }
        let connection = request.extensions().get::<ConnectionInfo>();
        let connection = connection.ok_or_else(|| Status::internal("a call has no connection"))?;
        let session = self.sessions.of_connection(connection.id)?;
        let keeps_cookies = identity::keeps_cookies(request.metadata());
        let cookie = keeps_cookies.then(|| session.token().to_owned());
        Ok((session, cookie))
    }
}

impl Visit {
    fn leave<T>(self, answer: Result<Response<T>, Status>) -> Result<Response<T>, Status> {
        let mut response = answer.map_err(blame)?;
        if let Some(token) = self.cookie {
            response.metadata_mut().append("set-cookie", identity::set_cookie(&token)?);
        }
        Ok(response)
    }

    fn session(&self) -> &Arc<Session> {
        self.busy.session()
    }
}

/// A client with a cookie that no session has may start anew.
fn without_cookie(mut status: Status) -> Status {
    if let Ok(forget) = identity::forget_cookie() {
        status.metadata_mut().append("set-cookie", forget);
    }
    status
}

/// arrow-flight calls a command it cannot decode an internal error; it is the client's.
fn blame(status: Status) -> Status {
    let malformed = status.message().contains("Unable to decode Any value");
    match status.code() {
        Code::Internal if malformed => Status::invalid_argument(status.message()),
        _ => status,
    }
}

fn command(bytes: &[u8]) -> Result<Command, Status> {
    let malformed = |error: &dyn std::fmt::Display| {
        Status::invalid_argument(format!(
            "this is not a Flight SQL command: {error}\n\
             Hint: Use a Flight SQL client, or send a command in a protobuf Any."
        ))
    };
    if bytes.is_empty() {
        return Err(malformed(&"it is empty"));
    }
    let any = Any::decode(bytes).map_err(|error| malformed(&error))?;
    match Command::try_from(any).map_err(|error| malformed(&error))? {
        Command::Unknown(any) => {
            Err(Status::unimplemented(format!("the command \"{}\" is not supported", any.type_url)))
        }
        command => Ok(command),
    }
}

fn supported(command: Command) -> Result<Command, Status> {
    match command {
        Command::CommandStatementSubstraitPlan(_) => Err(Status::unimplemented(
            "Substrait plans are not supported\nHint: Send the statement as SQL.",
        )),
        command => Ok(command),
    }
}

#[tonic::async_trait]
impl FlightService for Door {
    type HandshakeStream = <Service as FlightService>::HandshakeStream;
    type ListFlightsStream = <Service as FlightService>::ListFlightsStream;
    type DoGetStream = <Service as FlightService>::DoGetStream;
    type DoPutStream = <Service as FlightService>::DoPutStream;
    type DoActionStream = <Service as FlightService>::DoActionStream;
    type ListActionsStream = <Service as FlightService>::ListActionsStream;
    type DoExchangeStream = <Service as FlightService>::DoExchangeStream;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.sessions.check_open()?;
        self.service.handshake(request).await
    }

    async fn list_flights(
        &self,
        _request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented(
            "ListFlights is not supported\nHint: Use Flight SQL's GetTables to see what there is.",
        ))
    }

    async fn get_flight_info(
        &self,
        mut request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let visit = self.enter(&mut request)?;
        supported(command(&request.get_ref().cmd)?)?;
        visit.leave(self.service.get_flight_info(request).await)
    }

    /// A query is announced at once and runs while it is fetched, so one poll is enough.
    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let response = self.get_flight_info(request).await?;
        Ok(response.map(|info| PollInfo {
            expiration_time: info.endpoint.first().and_then(|endpoint| endpoint.expiration_time),
            info: Some(info),
            flight_descriptor: None,
            progress: Some(1.0),
        }))
    }

    async fn get_schema(
        &self,
        mut request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let visit = self.enter(&mut request)?;
        let command = supported(command(&request.get_ref().cmd)?)?;
        let schema = self.service.schema(visit.session(), command).await;
        visit.leave(schema.map(Response::new))
    }

    async fn do_get(
        &self,
        mut request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let visit = self.enter(&mut request)?;
        command(&request.get_ref().ticket)?;
        visit.leave(self.service.do_get(request).await)
    }

    async fn do_put(
        &self,
        mut request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let visit = self.enter(&mut request)?;
        visit.leave(self.service.do_put(request).await)
    }

    async fn do_action(
        &self,
        mut request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let mut visit = self.enter(&mut request)?;
        if request.get_ref().r#type == SET_OPTIONS && !is_named(request.metadata()) {
            visit.cookie = Some(visit.session().token().to_owned());
        }
        visit.leave(self.service.do_action(request).await)
    }

    async fn list_actions(
        &self,
        mut request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let visit = self.enter(&mut request)?;
        let actions: Vec<Result<ActionType, Status>> = list_actions().map(Ok).collect();
        visit.leave(Ok(Response::new(futures::stream::iter(actions).boxed())))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("DoExchange is not supported"))
    }
}

fn is_named(metadata: &MetadataMap) -> bool {
    identity::bearer(metadata).or_else(|| identity::cookie(metadata)).is_some()
}
