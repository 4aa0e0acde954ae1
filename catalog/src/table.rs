//! Tables: what a caller says about one, and what is stored.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Result, TableName};

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, as it was given.
    pub name: String,
    /// The Hive type string, as in `bigint`, `decimal(10,2)` or `array<struct<a:int>>`. The catalog
    /// keeps it as text.
    pub data_type: String,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// What it means.
    #[serde(default)]
    pub comment: Option<String>,
}

/// What a table is, in Glue's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TableType {
    /// Its files belong to somebody else: dropping the table leaves them.
    #[serde(rename = "EXTERNAL_TABLE")]
    External,
    /// Its files belong to it.
    #[serde(rename = "MANAGED_TABLE")]
    Managed,
    /// It is a query with a name.
    #[serde(rename = "VIRTUAL_VIEW")]
    View,
}

impl TableType {
    /// Glue's word for it, as in `EXTERNAL_TABLE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL_TABLE",
            Self::Managed => "MANAGED_TABLE",
            Self::View => "VIRTUAL_VIEW",
        }
    }
}

impl fmt::Display for TableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TableType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::External, Self::Managed, Self::View]
            .into_iter()
            .find(|table_type| table_type.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "\"{text}\" is no table type: \
                     EXTERNAL_TABLE, MANAGED_TABLE and VIRTUAL_VIEW are"
                ))
            })
    }
}

/// How the data of a table is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Parquet files.
    Parquet,
    /// CSV files.
    Csv,
    /// Files with one JSON object a line.
    Json,
    /// A Delta table.
    Delta,
    /// An Iceberg table.
    Iceberg,
    /// Avro files.
    Avro,
    /// ORC files.
    Orc,
}

impl Format {
    /// Its name in lower case, as in `parquet`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Delta => "delta",
            Self::Iceberg => "iceberg",
            Self::Avro => "avro",
            Self::Orc => "orc",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        const ALL: [Format; 7] = [
            Format::Parquet,
            Format::Csv,
            Format::Json,
            Format::Delta,
            Format::Iceberg,
            Format::Avro,
            Format::Orc,
        ];
        ALL.into_iter().find(|format| format.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            Error::Invalid(format!(
                "\"{text}\" is no table format: {} are",
                ALL.map(Format::as_str).join(", ")
            ))
        })
    }
}

/// The query behind a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The query.
    pub sql: String,
    /// The database in which its bare table names are looked up.
    pub database: String,
}

/// What a caller says to make or change a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSpec {
    /// What it is.
    pub table_type: TableType,
    /// How its data is kept; `None` for a view, and for a table whose format is not known.
    #[serde(default)]
    pub format: Option<Format>,
    /// Where its data is, an absolute URL such as `s3://lake/hits/`; `None` for a view, and for a
    /// table of unknown format.
    #[serde(default)]
    pub location: Option<String>,
    /// Its columns without the partition keys.
    pub columns: Vec<Column>,
    /// The columns whose values are those of the partition, in order.
    #[serde(default)]
    pub partition_keys: Vec<Column>,
    /// What it is for.
    #[serde(default)]
    pub comment: Option<String>,
    /// Whatever its users want to keep with it, as sent; keys are case-sensitive.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The query, for a view.
    #[serde(default)]
    pub view: Option<View>,
    /// What Glue's `TableInput` says beyond all this, in its names and shapes: `Owner`,
    /// `Retention`, and of the `StorageDescriptor` the formats, the SerDe, the sorting and so on.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

impl TableSpec {
    /// Whether it describes something that can be: a view with a query and nothing else, or a table
    /// with a place if it has a format; and no two columns of one name.
    pub(crate) fn check(&self, name: &TableName) -> Result<()> {
        self.check_type().map_err(|fault| {
            Error::Invalid(format!("\"{name}\" cannot be a {}: {fault}", self.table_type))
        })?;
        if let Some(location) = &self.location {
            check_location(location)?;
        }
        if let Some(comment) = &self.comment {
            check_text(comment)?;
        }
        self.check_columns(name)
    }

    fn check_type(&self) -> Result<(), &'static str> {
        if self.table_type == TableType::View {
            match (&self.view, self.format, &self.location) {
                (None, _, _) => Err("it has no query"),
                (_, Some(_), _) => Err("it has a format"),
                (_, _, Some(_)) => Err("it has a location"),
                _ if !self.partition_keys.is_empty() => Err("it has partition keys"),
                _ => Ok(()),
            }
        } else {
            match (&self.view, self.format, &self.location) {
                (Some(_), _, _) => Err("it has a query"),
                (_, Some(_), None) => Err("it has no location"),
                _ => Ok(()),
            }
        }
    }

    fn check_columns(&self, name: &TableName) -> Result<()> {
        let mut seen = HashSet::new();
        for column in self.columns.iter().chain(&self.partition_keys) {
            if column.name.is_empty() || column.name.chars().any(char::is_control) {
                return Err(Error::InvalidName(column.name.clone()));
            }
            if column.data_type.trim().is_empty() {
                return Err(Error::Invalid(format!(
                    "column \"{}\" of \"{name}\" has no type",
                    column.name
                )));
            }
            if !seen.insert(column.name.to_lowercase()) {
                return Err(Error::Invalid(format!(
                    "\"{name}\" has two columns named \"{}\"",
                    column.name
                )));
            }
        }
        Ok(())
    }
}

/// A stored table, as it was when it was read.
///
/// It is what a change is based on, and what a query sees from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// A UUID that no other table ever has, not even one of the same name.
    pub id: String,
    /// Its name.
    pub name: TableName,
    /// Counts the changes of its definition and its name, from 1.
    pub version: u64,
    /// Counts the changes of its partitions, from 1.
    pub data_version: u64,
    /// Its definition.
    pub spec: TableSpec,
    /// When it was made, in milliseconds since 1970 (UTC).
    pub created_at_ms: i64,
    /// When its definition or its partitions last changed, in milliseconds since 1970 (UTC).
    pub updated_at_ms: i64,
}

impl Table {
    /// Where Hive would put the partition of these values: `LOCATION/key=value/…/`.
    pub fn partition_location(&self, values: &[Option<String>]) -> String {
        let base = self.spec.location.as_deref().unwrap_or("file:///");
        let folders = self.spec.partition_keys.iter().zip(values).map(|(key, value)| match value {
            Some(value) => format!("{}={}/", key.name, utf8_percent_encode(value, IN_FOLDER)),
            None => format!("{}={HIVE_NULL}/", key.name),
        });
        format!("{}/{}", base.trim_end_matches('/'), folders.collect::<String>())
    }
}

/// How Hive names NULL in a folder's name.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// What Hive escapes in a folder's name, and what a URL needs escaped.
const IN_FOLDER: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'\'')
    .add(b'*')
    .add(b'/')
    .add(b':')
    .add(b'=')
    .add(b'?')
    .add(b'\\')
    .add(b'{')
    .add(b'[')
    .add(b']')
    .add(b'^');

/// What a list of tables shows of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSummary {
    /// Its name.
    pub name: TableName,
    /// What it is.
    pub table_type: TableType,
    /// What it is for.
    pub comment: Option<String>,
}

/// One version of a table's definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableVersion {
    /// Its number, from 1.
    pub version: u64,
    /// The definition.
    pub spec: TableSpec,
    /// When it became the table's definition, in milliseconds since 1970 (UTC).
    pub updated_at_ms: i64,
}

/// PostgreSQL cannot keep U+0000 in a text, so no store does.
pub(crate) fn check_text(text: &str) -> Result<()> {
    if text.contains('\0') {
        let shown = text.replace('\0', "\u{fffd}");
        return Err(Error::Invalid(format!("\"{shown}\" contains the character U+0000")));
    }
    Ok(())
}

pub(crate) fn check_location(location: &str) -> Result<()> {
    check_text(location)?;
    if !location.contains("://") {
        return Err(Error::Invalid(format!(
            "location \"{location}\" is not an absolute URL such as s3://bucket/path/"
        )));
    }
    Ok(())
}
