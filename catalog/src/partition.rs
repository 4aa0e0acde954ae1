//! Partitions: where the data of a table is, and how to ask for some of them.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::sort_key::KeyKind;
use crate::table::{check_location, check_text};
use crate::{Error, Result, Table};

/// How long the values of one partition may be together, as JSON.
///
/// They are index keys, and PostgreSQL's may not be much longer.
pub const MAX_VALUES_BYTES: usize = 2000;

/// One partition of a table, identified by its values within the table.
///
/// An unpartitioned table has one with no values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// One value a partition key, in their order; `None` is NULL.
    pub values: Vec<Option<String>>,
    /// Where its files are, an absolute URL.
    pub location: String,
    /// Whatever its users want to keep with it.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Its files; `None` if they are not known, so that the location must be listed.
    #[serde(default)]
    pub files: Option<Vec<DataFile>>,
    /// What Glue's `PartitionInput` says beyond all this, in its names and shapes; it has no say in
    /// how the partition is read.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

/// One file of a partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its absolute URL.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// What the object store calls its content; changes when the content does.
    #[serde(default)]
    pub etag: Option<String>,
    /// When it was last written, in milliseconds since 1970 (UTC).
    pub modified_at_ms: i64,
    /// What is known of its content.
    #[serde(default)]
    pub statistics: Option<FileStatistics>,
}

/// What is known of the content of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileStatistics {
    /// How many rows it has.
    pub rows: u64,
    /// What is known of its columns, by their names.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnStatistics>,
}

/// What is known of one column in a file. The catalog keeps the texts as they are given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// A value that no value is less than.
    #[serde(default)]
    pub min: Option<String>,
    /// A value that no value is greater than.
    #[serde(default)]
    pub max: Option<String>,
    /// Whether `min` and `max` are values of the column, not just bounds.
    #[serde(default)]
    pub exact: bool,
    /// How many values are NULL.
    #[serde(default)]
    pub null_count: Option<u64>,
}

/// A conjunction over partition keys. The default lets everything through.
///
/// It may let more partitions through than the query wants, never fewer. Values are compared by the
/// key's type: integers numerically, dates and strings as text. For other types a range only tells
/// NULL from the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionFilter {
    /// What must hold, all of it.
    pub constraints: Vec<KeyConstraint>,
}

/// What must hold for one partition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConstraint {
    /// The position of the key in [`crate::TableSpec::partition_keys`].
    pub key: usize,
    /// What must hold for its value.
    pub test: KeyTest,
}

/// A test of a partition value. NULL passes [`KeyTest::IsNull`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyTest {
    /// It is one of these; none if there are none.
    In(Vec<String>),
    /// It lies between these.
    Range {
        /// The lower bound.
        low: Bound<String>,
        /// The upper bound.
        high: Bound<String>,
    },
    /// It is NULL.
    IsNull,
    /// It is not NULL.
    IsNotNull,
}

impl Partition {
    /// Whether it can be a partition of `table`.
    pub(crate) fn check(&self, table: &Table) -> Result<()> {
        check_location(&self.location)?;
        check_values(&self.values, table)
    }

    /// Its values, for a message.
    pub(crate) fn describe(&self) -> String {
        show(&self.values)
    }
}

/// Whether `values` can identify a partition of `table`.
pub(crate) fn check_values(values: &[Option<String>], table: &Table) -> Result<()> {
    let keys = &table.spec.partition_keys;
    let invalid = |fault: String| {
        Err(Error::Invalid(format!("partition {} of \"{}\" {fault}", show(values), table.name)))
    };
    if values.len() != keys.len() {
        return invalid(format!(
            "has {} values, the table has {} partition keys",
            values.len(),
            keys.len()
        ));
    }
    for (value, key) in values.iter().zip(keys) {
        let Some(value) = value else { continue };
        check_text(value)?;
        if !KeyKind::of(&key.data_type).accepts(value) {
            return invalid(format!("has \"{value}\" for the {} \"{}\"", key.data_type, key.name));
        }
    }
    let length = identity(values).len();
    if MAX_VALUES_BYTES < length {
        return Err(Error::Invalid(format!(
            "a partition of \"{}\" has values of {length} bytes, the limit is {MAX_VALUES_BYTES}",
            table.name
        )));
    }
    Ok(())
}

/// The values as a text that is equal for equal values only.
pub(crate) fn identity(values: &[Option<String>]) -> String {
    serde_json::json!(values).to_string()
}

/// The values, for a message.
pub(crate) fn show(values: &[Option<String>]) -> String {
    let shown: Vec<&str> = values.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
    format!("({})", shown.join(", "))
}

/// How much a table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionTotals {
    /// Its partitions.
    pub partitions: u64,
    /// The files that its partitions list; those of unlisted partitions aren't known.
    pub files: u64,
}

impl PartitionTotals {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { partitions: self.partitions + other.partitions, files: self.files + other.files }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self { partitions: self.partitions - other.partitions, files: self.files - other.files }
    }
}
