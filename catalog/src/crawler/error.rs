//! What can go wrong while crawling.

use std::sync::Arc;

/// The result of a crawler's call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed call of a crawler: one variant for each thing a caller may do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A run of this crawler goes on somewhere: wait for it, or stop it.
    #[error("crawler \"{0}\" is already running")]
    AlreadyRunning(String),

    /// What the crawler was told makes no sense: tell the user. The text says what is wrong.
    #[error("{0}")]
    Invalid(String),

    /// A location cannot be opened or listed: check it and its credentials, or retry.
    #[error("could not read \"{location}\"")]
    Unreachable {
        /// The location.
        location: String,
        /// Why it cannot.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },

    /// The catalog refused or failed.
    #[error(transparent)]
    Catalog(#[from] crate::Error),
}

impl Error {
    /// What the user might do about it, as a full sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::AlreadyRunning(_) => Some("Wait until that run ends, or stop it."),
            Self::Invalid(_) => None,
            Self::Unreachable { .. } => Some("Check the location, and who may read it."),
            Self::Catalog(error) => error.hint(),
        }
    }

    pub(super) fn unreachable(
        location: impl ToString,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Unreachable { location: location.to_string(), source: Arc::new(source) }
    }
}
