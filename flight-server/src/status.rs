//! Engine errors as gRPC statuses: the one place where they meet.

use boathouse_engine::{Error, ErrorKind};
use tonic::{Code, Status};

/// A status travels in an HTTP/2 header block, which clients limit to about 8 KiB.
const MAX_MESSAGE_BYTES: usize = 4000;

/// The status a client sees for `error`.
///
/// A user's mistake is never `INTERNAL`, and what is `INTERNAL` is a bug of ours.
pub(crate) fn status(error: Error) -> Status {
    let code = code(error.kind());
    let report = error.report();
    if code == Code::Internal {
        tracing::error!("internal error: {report}");
    }
    Status::new(code, shorten(report))
}

fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Syntax | ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::Conflict => Code::Aborted,
        // Not a code that clients try again by themselves.
        ErrorKind::OutcomeUnknown => Code::Unknown,
        ErrorKind::ResourcesExhausted => Code::ResourceExhausted,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::TimedOut => Code::DeadlineExceeded,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::BadData => Code::DataLoss,
        ErrorKind::Internal => Code::Internal,
    }
}

/// What the engine is told when a client's upload ends in `status`.
pub(crate) fn upload_error(status: &Status) -> Error {
    let kind = match status.code() {
        Code::ResourceExhausted => ErrorKind::ResourcesExhausted,
        Code::Cancelled => ErrorKind::Cancelled,
        Code::Unavailable => ErrorKind::Unavailable,
        _ => ErrorKind::InvalidArgument,
    };
    Error::new(kind, status.message())
}

fn shorten(mut text: String) -> String {
    if MAX_MESSAGE_BYTES < text.len() {
        text.truncate(text.floor_char_boundary(MAX_MESSAGE_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let text = shorten("ä".repeat(3000));
        assert!(text.len() <= MAX_MESSAGE_BYTES + '…'.len_utf8());
        assert!(text.ends_with("ä…"));
    }

    #[test]
    fn a_users_mistake_is_not_internal() {
        for kind in [ErrorKind::Syntax, ErrorKind::NotFound, ErrorKind::BadData] {
            assert_ne!(status(Error::new(kind, "no")).code(), Code::Internal);
        }
    }
}
