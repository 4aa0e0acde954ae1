//! Conflicts: what another commit did to a statement's table, in words.

use deltalake::kernel::transaction::{CommitConflictError, TransactionError};

use crate::{Error, ErrorKind};

/// Another commit came first and did `what`.
pub(super) fn conflict(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Conflict, what.to_string()).with_hint("Run the statement again.")
}

impl From<TransactionError> for Error {
    fn from(error: TransactionError) -> Self {
        use TransactionError as E;
        match error {
            E::VersionAlreadyExists(version) => {
                conflict(format!("another commit took version {version} meanwhile"))
            }
            E::MaxCommitAttempts(_) => conflict("other commits came first again and again"),
            E::CommitConflict(conflict) => conflict.into(),
            E::ObjectStore { source } => source.into(),
            E::LogStoreError { msg, source } => match source.downcast::<Error>() {
                Ok(own) => *own,
                Err(_) => Error::new(ErrorKind::Unavailable, msg),
            },
            E::DeltaTableAppendOnly => Error::invalid("the table takes new rows only")
                .with_hint("SET TBLPROPERTIES ('delta.appendOnly' = 'false') allows more."),
            E::UnsupportedTableFeatures(features) => Error::unsupported(format!(
                "writing to a table that uses the Delta features {features:?}"
            )),
            E::TableFeaturesRequired(feature) => Error::unsupported(format!(
                "writing to a table that doesn't name the Delta feature {feature:?}"
            )),
            E::SerializeLogJson { json_err } => {
                Error::internal(format!("a commit can't be written as JSON: {json_err}"))
            }
        }
    }
}

impl From<CommitConflictError> for Error {
    fn from(error: CommitConflictError) -> Self {
        use CommitConflictError as E;
        match error {
            E::ConcurrentAppend => conflict("another commit added rows that this statement missed"),
            E::ConcurrentDeleteRead => {
                conflict("another commit changed or removed rows that this statement read")
            }
            E::ConcurrentDeleteDelete => {
                conflict("another commit changed or removed the same rows")
            }
            E::MetadataChanged => {
                conflict("another commit changed the table's columns or properties")
            }
            E::ConcurrentTransaction => conflict("another commit has the same txn_app"),
            E::ProtocolChanged(how) => {
                conflict(format!("another commit changed the table's protocol: {how}"))
            }
            E::UnsupportedWriterVersion(version) => Error::unsupported(format!(
                "writing to a table whose Delta writer version is {version}"
            )),
            E::UnsupportedReaderVersion(version) => Error::unsupported(format!(
                "reading a table whose Delta reader version is {version}"
            )),
            E::CorruptedState { source } => {
                Error::bad_data(format!("the Delta log can't be read: {source}"))
            }
            E::NoMetadata => Error::bad_data("the Delta log has no metadata"),
            E::Predicate { source } => conflict(format!(
                "another commit came first, and whether it touched the same rows is unclear: \
                 {source}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use deltalake::DeltaTableError;

    use super::*;

    #[test]
    fn our_own_error_comes_back_through_the_library() {
        let own = Error::new(ErrorKind::OutcomeUnknown, "unknown").with_hint("Look.");
        let carried =
            TransactionError::LogStoreError { msg: own.to_string(), source: Box::new(own) };
        let error = Error::from(DeltaTableError::from(carried));
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert_eq!(error.hint(), Some("Look."));
    }

    #[test]
    fn a_conflict_says_to_run_it_again() {
        for error in [
            TransactionError::VersionAlreadyExists(7),
            TransactionError::MaxCommitAttempts(100),
            TransactionError::CommitConflict(CommitConflictError::ConcurrentAppend),
            TransactionError::CommitConflict(CommitConflictError::ConcurrentDeleteRead),
            TransactionError::CommitConflict(CommitConflictError::ConcurrentDeleteDelete),
            TransactionError::CommitConflict(CommitConflictError::MetadataChanged),
            TransactionError::CommitConflict(CommitConflictError::ConcurrentTransaction),
            TransactionError::CommitConflict(CommitConflictError::ProtocolChanged("x".into())),
        ] {
            let error = Error::from(DeltaTableError::from(error));
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            assert_eq!(error.hint(), Some("Run the statement again."));
            assert!(!error.to_string().contains("Help:"), "{error}");
        }
    }

    #[test]
    fn what_isnt_a_conflict_doesnt_say_so() {
        let denied =
            object_store::Error::PermissionDenied { path: "p".into(), source: "no".into() };
        for (error, kind) in [
            (TransactionError::DeltaTableAppendOnly, ErrorKind::InvalidArgument),
            (TransactionError::UnsupportedTableFeatures(vec![]), ErrorKind::Unsupported),
            (TransactionError::ObjectStore { source: denied }, ErrorKind::PermissionDenied),
        ] {
            assert_eq!(Error::from(DeltaTableError::from(error)).kind(), kind);
        }
    }
}
