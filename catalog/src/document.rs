//! Documents: what the catalog keeps by name beside databases and tables.

use serde_json::Value;

/// What kind of thing a document describes, and with it what its parent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// A key that signs requests; no parent.
    AccessKey,
    /// Rules that recognise a format; no parent.
    Classifier,
    /// What is known of a column; the parent is the id of its table.
    ColumnStatistics,
    /// One run of a crawler, which is the parent.
    Crawl,
    /// What a crawler looks at and what it may do; no parent.
    Crawler,
    /// A user-defined function; the parent is its database.
    Function,
    /// One load of files into a table; no parent.
    Load,
    /// The rows that a load left out; no parent, and the load's name.
    LoadErrors,
    /// An index on partition keys; the parent is the id of its table.
    PartitionIndex,
    /// What is known of a column in one partition; the parent is the id of its table.
    PartitionStatistics,
    /// The tags of a resource, named by its ARN; no parent.
    Tags,
}

impl DocumentKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AccessKey => "access_key",
            Self::Classifier => "classifier",
            Self::ColumnStatistics => "column_statistics",
            Self::Crawl => "crawl",
            Self::Crawler => "crawler",
            Self::Function => "function",
            Self::Load => "load",
            Self::LoadErrors => "load_errors",
            Self::PartitionIndex => "partition_index",
            Self::PartitionStatistics => "partition_statistics",
            Self::Tags => "tags",
        }
    }
}

/// A document as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it is called, within its kind and parent.
    pub name: String,
    /// Counts its changes, from 1.
    pub version: u64,
    /// What it says.
    pub body: Value,
    /// When it last changed, in milliseconds since 1970 (UTC).
    pub updated_at_ms: i64,
}
