//! What can go wrong in the catalog.

use std::fmt;
use std::sync::Arc;

/// The result of a catalog call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed catalog call: one variant for each thing a caller may do about it.
///
/// A message names the object and the fact, in lower case and without a period. It leaves out its
/// source, which [`chain`] adds where an error is shown. URLs in messages carry no password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The name is well formed but names nothing: tell the user.
    #[error("{kind} \"{name}\" does not exist")]
    NotFound {
        /// What was looked for.
        kind: ObjectKind,
        /// The name that was looked for.
        name: String,
    },

    /// The name is taken: tell the user.
    #[error("{kind} \"{name}\" already exists")]
    AlreadyExists {
        /// What was to be made.
        kind: ObjectKind,
        /// The name that is taken.
        name: String,
    },

    /// The database still has tables: tell the user.
    #[error("database \"{database}\" is not empty: it has {tables} table{}", plural(*tables))]
    NotEmpty {
        /// The database that was to be dropped.
        database: String,
        /// How many tables it has.
        tables: u64,
    },

    /// The name cannot name anything: tell the user.
    #[error("\"{0}\" is not a valid name")]
    InvalidName(String),

    /// What was asked makes no sense: tell the user. The text says what is wrong.
    #[error("{0}")]
    Invalid(String),

    /// The store was written by a newer Boathouse, which this one must not touch.
    #[error("catalog \"{url}\" has schema version {found}, this Boathouse knows up to {supported}")]
    NewerStore {
        /// The schema version of the store.
        found: i64,
        /// The newest schema version that this build knows.
        supported: i64,
        /// The store.
        url: String,
    },

    /// The store is damaged, or is no SQLite database at all: only a person can help.
    #[error("catalog \"{url}\" is damaged or is no catalog")]
    Corrupt {
        /// The store.
        url: String,
        /// What was found.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },

    /// The server that keeps the catalog does not let this one in, or do this: give it the right
    /// credentials.
    #[error("catalog \"{url}\" refused access: {reason}")]
    Denied {
        /// The catalog.
        url: String,
        /// What the server says.
        reason: String,
    },

    /// A catalog that another server keeps cannot do it: do it there.
    #[error("{what} in the federated catalog \"{url}\"")]
    NotFederated {
        /// What cannot be had, as a sentence.
        what: String,
        /// The catalog.
        url: String,
    },

    /// The store failed or cannot be reached: retry later.
    #[error("could not {attempt}")]
    Unavailable {
        /// What was being tried, as in `read table "web.hits"`.
        attempt: String,
        /// Why it failed.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// What the user might do about it, as a full sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { kind, .. } | Self::AlreadyExists { kind, .. } => kind.hint(),
            Self::NotEmpty { .. } => Some("Drop its tables first, or drop it with CASCADE."),
            Self::InvalidName(_) => Some(
                "Use 1 to 255 letters, digits, underscores, hyphens and spaces, \
                 without a space at either end.",
            ),
            Self::Invalid(_) => None,
            Self::NewerStore { .. } => Some("Run the Boathouse release that wrote it, or a newer."),
            Self::Corrupt { .. } => Some("Restore the catalog from a backup, or name another."),
            Self::Denied { .. } => Some(
                "Set s3.access_key_id and s3.secret_access_key (or the AWS variables) to a key \
                 that the catalog knows and that may do this.",
            ),
            Self::NotFederated { .. } => {
                Some("Do it where that catalog is kept, or with a catalog of your own.")
            }
            Self::Unavailable { .. } => {
                Some("Try again; if it lasts, check that the catalog's store can be reached.")
            }
        }
    }

    pub(crate) fn no_database(name: &str) -> Self {
        Self::NotFound { kind: ObjectKind::Database, name: name.to_owned() }
    }

    pub(crate) fn no_table(name: impl fmt::Display) -> Self {
        Self::NotFound { kind: ObjectKind::Table, name: name.to_string() }
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// What kind of thing an [`Error`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A database.
    Database,
    /// A table or a view.
    Table,
    /// A partition of a table.
    Partition,
    /// A version of a table.
    Version,
}

impl ObjectKind {
    fn hint(self) -> Option<&'static str> {
        match self {
            Self::Database => Some("Run SHOW DATABASES to list the databases there are."),
            Self::Table => Some("Run SHOW TABLES to list the tables there are."),
            Self::Partition => Some("Run SHOW PARTITIONS to list the partitions there are."),
            Self::Version => Some("Run the statement again, on the table as it is now."),
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "database",
            Self::Table => "table",
            Self::Partition => "partition",
            Self::Version => "version",
        })
    }
}

/// An error and its sources on one line, outermost first.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
