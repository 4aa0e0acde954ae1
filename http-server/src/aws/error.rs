//! Errors as AWS clients know them: an exception's name, a status and a text.

use std::fmt;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use boathouse_catalog::{Error, ObjectKind, chain};
use serde_json::json;

use super::JSON;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// Which exception an AWS client raises.
#[allow(dead_code, reason = "the set is AWS's, and services use of it what they need")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    AccessDenied,
    AlreadyExists,
    ConcurrentModification,
    ConcurrentRuns,
    CrawlerNotRunning,
    CrawlerRunning,
    CrawlerStopping,
    EntityNotFound,
    IdempotentParameterMismatch,
    IncompleteSignature,
    InternalService,
    InvalidInput,
    InvalidSignature,
    InvalidState,
    MissingAuthenticationToken,
    NoSchedule,
    OperationTimeout,
    RequestEntityTooLarge,
    RequestExpired,
    ResourceNotReady,
    ResourceNumberLimitExceeded,
    SchedulerNotRunning,
    SchedulerRunning,
    SchedulerTransitioning,
    Serialization,
    ServiceUnavailable,
    UnknownOperation,
    UnrecognizedClient,
    Validation,
    VersionMismatch,
}

impl Code {
    /// The exception's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::AlreadyExists => "AlreadyExistsException",
            Self::ConcurrentModification => "ConcurrentModificationException",
            Self::ConcurrentRuns => "ConcurrentRunsExceededException",
            Self::CrawlerNotRunning => "CrawlerNotRunningException",
            Self::CrawlerRunning => "CrawlerRunningException",
            Self::CrawlerStopping => "CrawlerStoppingException",
            Self::EntityNotFound => "EntityNotFoundException",
            Self::IdempotentParameterMismatch => "IdempotentParameterMismatchException",
            Self::IncompleteSignature => "IncompleteSignatureException",
            Self::InternalService => "InternalServiceException",
            Self::InvalidInput => "InvalidInputException",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::InvalidState => "InvalidStateException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::NoSchedule => "NoScheduleException",
            Self::OperationTimeout => "OperationTimeoutException",
            Self::RequestEntityTooLarge => "RequestEntityTooLargeException",
            Self::RequestExpired => "RequestExpired",
            Self::ResourceNotReady => "ResourceNotReadyException",
            Self::ResourceNumberLimitExceeded => "ResourceNumberLimitExceededException",
            Self::SchedulerNotRunning => "SchedulerNotRunningException",
            Self::SchedulerRunning => "SchedulerRunningException",
            Self::SchedulerTransitioning => "SchedulerTransitioningException",
            Self::Serialization => "SerializationException",
            Self::ServiceUnavailable => "ServiceUnavailableException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::Validation => "ValidationException",
            Self::VersionMismatch => "VersionMismatchException",
        }
    }

    /// The status of the answer. Services with a JSON protocol say 400 for refused signatures too.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::InternalService => StatusCode::INTERNAL_SERVER_ERROR,
            Self::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An operation that failed. Clients show the message to their users as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct AwsError {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl AwsError {
    /// An error with this code and text.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The input makes no sense.
    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidInput, message)
    }

    /// The name is well formed but names nothing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::EntityNotFound, message)
    }

    /// The name is taken.
    pub(crate) fn already_exists(message: impl Into<String>) -> Self {
        Self::new(Code::AlreadyExists, message)
    }

    /// The input lacks a member, or one is out of its bounds.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::Validation, message)
    }

    /// The input is not of the operation's shape.
    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::new(Code::Serialization, message)
    }

    /// What is stored cannot be used in this way.
    pub(crate) fn invalid_state(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidState, message)
    }

    /// There may not be more of it.
    pub(crate) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new(Code::ResourceNumberLimitExceeded, message)
    }

    /// Somebody else changed it first.
    pub(crate) fn version_mismatch(message: impl Into<String>) -> Self {
        Self::new(Code::VersionMismatch, message)
    }

    /// The error of one member of a batch, as Glue lists it.
    pub(crate) fn detail(&self) -> serde_json::Value {
        json!({"ErrorCode": self.code.name(), "ErrorMessage": self.message})
    }

    /// Another client was faster.
    pub(crate) fn concurrent_modification(message: impl Into<String>) -> Self {
        Self::new(Code::ConcurrentModification, message)
    }

    /// There is no such operation.
    pub(crate) fn unknown_operation(message: impl Into<String>) -> Self {
        Self::new(Code::UnknownOperation, message)
    }

    /// A fault of ours or of the store: the log has it, the client learns only that it happened.
    pub(crate) fn internal(fault: impl fmt::Display) -> Self {
        tracing::error!("a request failed: {fault}");
        Self::new(Code::InternalService, "the server failed; its log says why")
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { kind, name } => Self::not_found(missing(kind, &name)),
            Error::AlreadyExists { kind, .. } => {
                Self::already_exists(format!("{} already exists.", noun(kind)))
            }
            Error::NotEmpty { .. } | Error::Invalid(_) | Error::InvalidName(_) => {
                Self::invalid_input(error.to_string())
            }
            Error::NotFederated { .. } => Self::invalid_input(error.to_string()),
            Error::Denied { .. } => {
                tracing::warn!("the catalog refused: {}", chain(&error));
                Self::new(Code::AccessDenied, error.to_string())
            }
            Error::Unavailable { .. } => {
                tracing::warn!("the catalog is unavailable: {}", chain(&error));
                Self::new(Code::ServiceUnavailable, format!("{error}; try again"))
            }
            Error::Corrupt { .. } | Error::NewerStore { .. } => Self::internal(chain(&error)),
        }
    }
}

/// The texts that AWS clients know, some of which look for them.
fn missing(kind: ObjectKind, name: &str) -> String {
    match kind {
        ObjectKind::Database => format!("Database {name} not found."),
        ObjectKind::Table => format!("Table {} not found.", without_database(name)),
        ObjectKind::Partition | ObjectKind::Version => format!("{} not found.", noun(kind)),
    }
}

/// Names have no dots, so the only one is between the names of the database and the table.
fn without_database(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, table)| table)
}

fn noun(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Database => "Database",
        ObjectKind::Table => "Table",
        ObjectKind::Partition => "Partition",
        ObjectKind::Version => "Version",
    }
}

impl IntoResponse for AwsError {
    /// The text is there twice, since clients differ in which of the two they read.
    fn into_response(self) -> Response {
        let name = self.code.name();
        let body = json!({ "__type": name, "message": self.message, "Message": self.message });
        let headers = [(CONTENT_TYPE, JSON), (ERROR_TYPE, name)];
        (self.code.status(), headers, body.to_string()).into_response()
    }
}

impl From<boathouse_catalog::crawler::Error> for AwsError {
    fn from(error: boathouse_catalog::crawler::Error) -> Self {
        use boathouse_catalog::crawler::Error as Crawling;
        match error {
            Crawling::Catalog(error) => error.into(),
            Crawling::AlreadyRunning(_) => Self::new(Code::CrawlerRunning, error.to_string()),
            Crawling::Invalid(_) | Crawling::Unreachable { .. } => {
                Self::invalid_input(chain(&error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn answer(error: Error) -> (Code, String) {
        let AwsError { code, message } = error.into();
        (code, message)
    }

    #[test]
    fn what_is_missing_is_said_in_the_words_that_clients_know() {
        let missing = |kind, name: &str| answer(Error::NotFound { kind, name: name.to_owned() });
        let not_found = |text: &str| (Code::EntityNotFound, text.to_owned());
        assert_eq!(missing(ObjectKind::Table, "web.hits"), not_found("Table hits not found."));
        assert_eq!(missing(ObjectKind::Database, "web"), not_found("Database web not found."));
        assert_eq!(missing(ObjectKind::Partition, "[a]"), not_found("Partition not found."));
        assert_eq!(missing(ObjectKind::Version, "7 of x"), not_found("Version not found."));
    }

    #[test]
    fn what_is_taken_is_said_in_the_words_that_clients_know() {
        let taken = Error::AlreadyExists { kind: ObjectKind::Table, name: "web.hits".to_owned() };
        assert_eq!(answer(taken), (Code::AlreadyExists, "Table already exists.".to_owned()));
    }

    #[test]
    fn a_users_mistake_is_an_invalid_input() {
        for error in [
            Error::Invalid("no".to_owned()),
            Error::InvalidName("a.b".to_owned()),
            Error::NotEmpty { database: "web".to_owned(), tables: 2 },
        ] {
            let text = error.to_string();
            assert_eq!(answer(error), (Code::InvalidInput, text));
        }
    }

    #[test]
    fn faults_of_the_store_keep_their_details_to_the_log() {
        let source = || Arc::new(std::io::Error::other("secret detail"));
        let url = "catalog.db".to_owned();
        let (code, text) = answer(Error::Corrupt { url, source: source() });
        assert_eq!((code, code.status().as_u16()), (Code::InternalService, 500));
        assert!(!text.contains("secret") && !text.contains("catalog.db"), "{text}");
        let attempt = "read table \"web.hits\"".to_owned();
        let (code, text) = answer(Error::Unavailable { attempt, source: source() });
        assert_eq!((code, code.status().as_u16()), (Code::ServiceUnavailable, 503));
        assert_eq!(text, "could not read table \"web.hits\"; try again");
    }

    #[tokio::test]
    async fn an_answer_names_the_exception_wherever_a_client_may_look() {
        let response = AwsError::not_found("Table x not found.").into_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[ERROR_TYPE], "EntityNotFoundException");
        assert_eq!(response.headers()[CONTENT_TYPE], JSON);
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let text = "Table x not found.";
        let name = "EntityNotFoundException";
        assert_eq!(body, json!({ "__type": name, "message": text, "Message": text }));
    }
}
