//! Actions that concern a query or the session.

use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
    RenewFlightEndpointRequest,
};
use prost::Message;
use tonic::Status;

use super::options::{
    CloseSessionResult, GetSessionOptionsResult, SetSessionOptionsRequest, session_options,
    set_session_options,
};
use super::statement::{cancel, renew};
use crate::session::{Session, Sessions};

/// Every action there is, with what it does.
const ACTIONS: [(&str, &str); 8] = [
    ("CreatePreparedStatement", "Plans a statement and keeps it for executions with values."),
    ("ClosePreparedStatement", "Forgets a prepared statement."),
    ("CancelQuery", "Stops a query; the older form of CancelFlightInfo."),
    ("CancelFlightInfo", "Stops a query by its FlightInfo."),
    ("RenewFlightEndpoint", "Lets an endpoint's ticket live on."),
    (SET_OPTIONS, "Sets the session's catalog, schema and settings."),
    ("GetSessionOptions", "Returns the session's catalog, schema and settings."),
    ("CloseSession", "Ends the session and all that runs in it."),
];

/// The action after which a client must be able to come back to its session.
pub(crate) const SET_OPTIONS: &str = "SetSessionOptions";

/// The list of all actions.
pub(crate) fn list() -> impl Iterator<Item = ActionType> {
    ACTIONS.iter().map(|(name, description)| ActionType {
        r#type: (*name).to_owned(),
        description: (*description).to_owned(),
    })
}

/// Does an action that has no hook of its own.
pub(super) async fn act(
    sessions: &Sessions,
    session: &Session,
    action: &Action,
) -> Result<arrow_flight::Result, Status> {
    let body = match action.r#type.as_str() {
        "CancelFlightInfo" => {
            let request: CancelFlightInfoRequest = decode(action)?;
            let status = cancel(session, &request.info.unwrap_or_default().endpoint)? as i32;
            CancelFlightInfoResult { status }.encode_to_vec()
        }
        "RenewFlightEndpoint" => {
            let request: RenewFlightEndpointRequest = decode(action)?;
            renew(session, request.endpoint.unwrap_or_default())?.encode_to_vec()
        }
        SET_OPTIONS => {
            let request: SetSessionOptionsRequest = decode(action)?;
            set_session_options(session, request).await.encode_to_vec()
        }
        "GetSessionOptions" => {
            GetSessionOptionsResult { session_options: session_options(session) }.encode_to_vec()
        }
        "CloseSession" => {
            sessions.close(session);
            CloseSessionResult::closed().encode_to_vec()
        }
        other => {
            return Err(Status::unimplemented(format!(
                "there is no action \"{other}\"\nHint: ListActions lists those there are."
            )));
        }
    };
    Ok(arrow_flight::Result { body: body.into() })
}

/// Stops a query; `info` is the `FlightInfo` it was announced with.
pub(super) fn cancel_query(session: &Session, info: &[u8]) -> Result<CancelStatus, Status> {
    let info = FlightInfo::decode(info)
        .map_err(|_| Status::invalid_argument("the query to cancel is not a FlightInfo"))?;
    cancel(session, &info.endpoint)
}

fn decode<T: Message + Default>(action: &Action) -> Result<T, Status> {
    T::decode(&*action.body).map_err(|error| {
        Status::invalid_argument(format!("the body of {} is malformed: {error}", action.r#type))
    })
}
