//! The data catalog: which databases, tables and partitions there are, and where their data is.
//!
//! A [`Catalog`] is opened on a SQLite file or on a PostgreSQL database and behaves alike on both.
//! Or another server keeps it, and is asked through AWS Glue's API ([`Catalog::federate`]). It
//! knows no SQL engine, and of protocols that one only: types are Hive type strings, locations are
//! URLs.
//!
//! - Every change is one transaction, so a killed process leaves the old state or the new one.
//! - Every change of a table is a compare-and-set: it takes the [`Table`] it is based on, and says
//!   [`Update::Conflict`] if that is no longer the stored one. A conflict is an outcome, not an
//!   error: read the table again and decide anew.
//! - A table has an id that is never used again, a `version` for its definition and a
//!   `data_version` for its partitions. [`Catalog::partitions`] answers as of the `data_version`
//!   of the table it is given, whatever was committed since.

mod access_key;
mod catalog;
pub mod crawler;
mod database;
mod document;
mod error;
pub mod glue;
mod name;
mod partition;
mod sort_key;
mod store;
mod table;
#[cfg(test)]
mod tests;

pub use access_key::AccessKey;
pub use catalog::{
    Archive, Catalog, Change, Federated, PageRequest, PartitionCursor, PartitionEdit,
    PartitionPage, Update,
};
pub use database::{DEFAULT_DATABASE, Database};
pub use document::{Document, DocumentKind};
pub use error::{Error, ObjectKind, Result, chain};
pub use name::TableName;
pub use partition::{
    ColumnStatistics, DataFile, FileStatistics, KeyConstraint, KeyTest, MAX_VALUES_BYTES,
    Partition, PartitionFilter, PartitionTotals,
};
pub use table::{Column, Format, Table, TableSpec, TableSummary, TableType, TableVersion, View};
