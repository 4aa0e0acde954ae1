//! What goes wrong between two catalogs, and what it means to the one that asks.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use serde_json::Value;

use crate::Error;

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// A call that failed, as those who make it care.
#[derive(Debug)]
pub(super) enum Fault {
    /// What was named is not there.
    NotFound(String),
    /// What was to be made is there.
    AlreadyExists,
    /// Somebody else was faster.
    Conflict,
    /// It may have been done or not: only reading tells. The error is for the case that it was not.
    Ambiguous(Error),
    /// It was not done.
    Failed(Error),
}

impl Fault {
    /// The error where none of the cases has a meaning of its own.
    pub(super) fn into_error(self, catalog: &str) -> Error {
        let said = |what: &str| Error::Invalid(format!("catalog \"{catalog}\" refused: {what}"));
        match self {
            Self::NotFound(message) => said(&message),
            Self::AlreadyExists => said("it exists already"),
            Self::Conflict => said("somebody else is changing the same"),
            Self::Ambiguous(error) | Self::Failed(error) => error,
        }
    }
}

/// An attempt that failed.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// There was no connection, so nothing was asked.
    NotSent(Source),
    /// There was no whole answer.
    Interrupted(Source),
    /// The answer is longer than this.
    TooLong(usize),
    /// Nothing to sign with.
    NoCredentials(String),
    /// The answer says that it was not done, by its code and a text.
    Refused { status: StatusCode, code: String, message: String },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(source) | Self::Interrupted(source) => write!(f, "{source}"),
            Self::TooLong(limit) => write!(f, "the answer has more than {limit} bytes"),
            Self::NoCredentials(reason) => f.write_str(reason),
            Self::Refused { status, code, .. } if code.is_empty() => {
                write!(f, "the answer {status} is not one of AWS Glue's API")
            }
            Self::Refused { code, message, .. } => write!(f, "{code}: {message}"),
        }
    }
}

impl std::error::Error for Trouble {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotSent(source) | Self::Interrupted(source) => source.source(),
            _ => None,
        }
    }
}

impl Trouble {
    /// What an answer other than success says.
    pub(super) fn refused(
        status: StatusCode,
        named: Option<&HeaderValue>,
        answer: Option<&Value>,
    ) -> Self {
        let text = |member: &str| answer.and_then(|answer| answer.get(member)?.as_str());
        let named = named.and_then(|named| named.to_str().ok());
        let code = text("__type").or_else(|| text("code")).or(named).unwrap_or_default();
        let code = code.rsplit_once('#').map_or(code, |(_, code)| code);
        let code = code.split_once(':').map_or(code, |(code, _)| code);
        let message = text("message").or_else(|| text("Message")).unwrap_or_default();
        Self::Refused { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// Whether the same request may succeed in a moment, and may be sent again.
    pub(super) fn may_pass(&self, is_question: bool) -> bool {
        match self {
            Self::NotSent(_) => true,
            Self::Interrupted(_) => is_question,
            Self::TooLong(_) | Self::NoCredentials(_) => false,
            Self::Refused { status, code, .. } => {
                is_throttling(*status, code) || (is_question && status.is_server_error())
            }
        }
    }

    /// What it means that `operation` of the catalog named `catalog` ended so.
    pub(super) fn into_fault(
        self,
        operation: &str,
        catalog: &Arc<str>,
        is_question: bool,
    ) -> Fault {
        let unavailable = |trouble: Self| Error::Unavailable {
            attempt: format!("call {operation} of catalog \"{catalog}\""),
            source: Arc::new(trouble),
        };
        let denied =
            |reason: String| Fault::Failed(Error::Denied { url: catalog.to_string(), reason });
        match &self {
            Self::Refused { status, code, message } => match code.as_str() {
                "EntityNotFoundException" => Fault::NotFound(message.clone()),
                "AlreadyExistsException" => Fault::AlreadyExists,
                "ConcurrentModificationException" | "VersionMismatchException" => Fault::Conflict,
                _ if is_denial(*status, code) => denied(self.to_string()),
                _ if is_throttling(*status, code) => Fault::Failed(unavailable(self)),
                _ if status.is_server_error() && !is_question => {
                    Fault::Ambiguous(unavailable(self))
                }
                "" => Fault::Failed(unavailable(self)),
                _ if status.is_server_error() => Fault::Failed(unavailable(self)),
                _ => Fault::Failed(Error::Invalid(format!(
                    "catalog \"{catalog}\" refused {operation}: {message} ({code})"
                ))),
            },
            Self::NoCredentials(reason) => denied(format!("no credentials: {reason}")),
            Self::Interrupted(_) | Self::TooLong(_) if !is_question => {
                Fault::Ambiguous(unavailable(self))
            }
            _ => Fault::Failed(unavailable(self)),
        }
    }
}

/// Whether the server has too much to do, and so has not done this.
fn is_throttling(status: StatusCode, code: &str) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || ["Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown"]
            .iter()
            .any(|word| code.contains(word))
}

/// Whether the server does not let this client in, or do this.
fn is_denial(status: StatusCode, code: &str) -> bool {
    const CODES: [&str; 9] = [
        "AccessDenied",
        "ExpiredToken",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignature",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
    ];
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        || CODES.contains(&code.strip_suffix("Exception").unwrap_or(code))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(status: u16, answer: &Value) -> Trouble {
        Trouble::refused(StatusCode::from_u16(status).unwrap(), None, Some(answer))
    }

    fn fault(trouble: Trouble, is_question: bool) -> Fault {
        trouble.into_fault("GetTable", &"glue:https://there".into(), is_question)
    }

    #[test]
    fn codes_are_read_wherever_they_are() {
        let answer =
            json!({"__type": "com.amazonaws.glue#EntityNotFoundException", "Message": "m"});
        assert!(matches!(fault(refused(400, &answer), true), Fault::NotFound(text) if text == "m"));
        let header = HeaderValue::from_static("AlreadyExistsException:http://x/");
        let trouble = Trouble::refused(StatusCode::BAD_REQUEST, Some(&header), None);
        assert!(matches!(fault(trouble, false), Fault::AlreadyExists));
    }

    #[test]
    fn denials_are_the_callers_business() {
        for (status, code) in [
            (400, "InvalidSignatureException"),
            (400, "UnrecognizedClientException"),
            (400, "AccessDeniedException"),
            (400, "ExpiredTokenException"),
            (403, "SomethingNew"),
        ] {
            let fault = fault(refused(status, &json!({"__type": code})), true);
            assert!(matches!(fault, Fault::Failed(Error::Denied { .. })), "{code}: {fault:?}");
        }
    }

    #[test]
    fn a_change_is_sent_again_only_if_it_was_not_done() {
        let throttled = refused(400, &json!({"__type": "ThrottlingException"}));
        let failed = refused(500, &json!({"__type": "InternalServiceException"}));
        let cut: Source = Arc::new(std::io::Error::other("cut"));
        assert!(throttled.may_pass(false) && throttled.may_pass(true));
        assert!(!failed.may_pass(false) && failed.may_pass(true));
        assert!(Trouble::NotSent(cut.clone()).may_pass(false));
        assert!(!Trouble::Interrupted(cut.clone()).may_pass(false));
        assert!(matches!(fault(failed, false), Fault::Ambiguous(_)));
        assert!(matches!(fault(Trouble::Interrupted(cut.clone()), false), Fault::Ambiguous(_)));
        let fault = fault(Trouble::NotSent(cut), false);
        let Fault::Failed(error) = fault else { panic!("{fault:?}") };
        assert!(matches!(error, Error::Unavailable { .. }));
        assert!(error.to_string().contains("glue:https://there"), "{error}");
    }

    #[test]
    fn what_is_no_glue_says_so() {
        let trouble = Trouble::refused(StatusCode::NOT_FOUND, None, None);
        let Fault::Failed(error) = fault(trouble, true) else { panic!("a fault") };
        let text = crate::chain(&error);
        assert!(text.contains("404") && text.contains("not one of AWS Glue's API"), "{text}");
    }
}
