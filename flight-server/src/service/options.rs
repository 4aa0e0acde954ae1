//! Session options, and the protocol's messages about them, which arrow-flight lacks.

use std::collections::HashMap;

use boathouse_engine::{CATALOG, ErrorKind};

use crate::session::Session;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SetSessionOptionsRequest {
    #[prost(map = "string, message", tag = "1")]
    session_options: HashMap<String, SessionOptionValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, OptionError>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(super) session_options: HashMap<String, SessionOptionValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SessionOptionValue {
    #[prost(oneof = "OptionValue", tags = "1, 2, 3, 4, 5")]
    option_value: Option<OptionValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum OptionValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sfixed64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Float(f64),
    #[prost(message, tag = "5")]
    List(TextList),
}

#[derive(Clone, PartialEq, prost::Message)]
struct TextList {
    #[prost(string, repeated, tag = "1")]
    values: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OptionError {
    #[prost(enumeration = "Problem", tag = "1")]
    value: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum Problem {
    Unspecified = 0,
    InvalidName = 1,
    InvalidValue = 2,
    Other = 3,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CloseSessionResult {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl CloseSessionResult {
    pub(super) fn closed() -> Self {
        Self { status: 1 }
    }
}

/// Sets each option. Those that cannot be set come back with the reason.
pub(super) async fn set_session_options(
    session: &Session,
    request: SetSessionOptionsRequest,
) -> SetSessionOptionsResult {
    let mut errors = HashMap::new();
    for (name, value) in request.session_options {
        if let Err(problem) = set(session, &name, value).await {
            errors.insert(name, OptionError { value: problem as i32 });
        }
    }
    SetSessionOptionsResult { errors }
}

/// The catalog, the schema and each setting of the engine.
pub(super) fn session_options(session: &Session) -> HashMap<String, SessionOptionValue> {
    let settings = session.engine.settings().into_iter();
    let settings = settings.map(|setting| (setting.name, setting.value));
    let place = [
        ("catalog".to_owned(), CATALOG.to_owned()),
        ("schema".to_owned(), session.engine.database()),
    ];
    settings.chain(place).map(|(name, value)| (name, text(value))).collect()
}

async fn set(session: &Session, name: &str, value: SessionOptionValue) -> Result<(), Problem> {
    let value = value.option_value.ok_or(Problem::InvalidValue)?;
    let value = match value {
        OptionValue::Text(text) => text,
        OptionValue::Bool(value) => value.to_string(),
        OptionValue::Integer(value) => value.to_string(),
        OptionValue::Float(value) => value.to_string(),
        OptionValue::List(_) => return Err(Problem::InvalidValue),
    };
    match name {
        "catalog" if value == CATALOG => Ok(()),
        "catalog" => Err(Problem::InvalidValue),
        "schema" => session.engine.use_database(&value).await.map_err(|e| problem(e.kind())),
        name => session.engine.set(name, &value).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Problem::InvalidName,
            kind => problem(kind),
        }),
    }
}

fn problem(kind: ErrorKind) -> Problem {
    match kind {
        ErrorKind::NotFound
        | ErrorKind::InvalidArgument
        | ErrorKind::Syntax
        | ErrorKind::Unsupported => Problem::InvalidValue,
        _ => Problem::Other,
    }
}

fn text(value: String) -> SessionOptionValue {
    SessionOptionValue { option_value: Some(OptionValue::Text(value)) }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn an_option_is_what_other_clients_write() {
        // { key: "schema", value: { string_value: "web" } } and an int64 as sfixed64
        let bytes = b"\x0a\x0f\x0a\x06schema\x12\x05\x0a\x03web";
        let request = SetSessionOptionsRequest::decode(&bytes[..]).unwrap();
        assert_eq!(request.session_options["schema"], text("web".into()));
        let integer = SessionOptionValue { option_value: Some(OptionValue::Integer(1)) };
        assert_eq!(integer.encode_to_vec(), b"\x19\x01\0\0\0\0\0\0\0");
    }
}
