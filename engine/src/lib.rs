//! How a query runs: sessions take SQL text to plans, and plans to streams of Arrow batches.
//!
//! A door (REPL, Flight, HTTP) opens a [`Session`] of an [`Engine`], asks it for a [`Query`],
//! and sends the [`Rows`] of its execution on. It decides nothing about SQL.

mod commit;
mod config;
mod data_files;
mod engine;
mod error;
mod file_statistics;
mod functions;
mod hidden;
mod ingest;
mod interrupt;
mod loads;
mod names;
mod parquet_file;
mod parse;
mod query;
mod resolve;
mod rows;
mod scan;
mod session;
mod settings;
mod statement;
mod stores;
mod types;
mod write;

pub use config::{EngineConfig, S3Config};
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use ingest::{Batches, IfExists, IfMissing, IngestTarget};
pub use query::{Parameter, Query, QueryKind, collect};
pub use rows::{Monitor, Progress, Rows};
pub use session::{Session, TableEntry, TableKind};
pub use settings::{CATALOG, Setting};
