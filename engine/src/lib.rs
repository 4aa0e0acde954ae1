//! How a query runs: sessions take SQL text to plans, and plans to streams of Arrow batches.
//!
//! A door (REPL, Flight, HTTP) opens a [`Session`] of an [`Engine`], asks it for a [`Query`],
//! and sends the [`Rows`] of its execution on. It decides nothing about SQL.

mod analyzed;
mod clustering;
mod commit;
mod compact;
mod config;
mod definition;
mod engine;
mod error;
mod federated;
mod file_statistics;
mod file_writer;
mod functions;
mod hidden;
mod history;
mod ingest;
mod interrupt;
mod loads;
mod local_files;
mod names;
mod not_in;
mod parquet_file;
mod parse;
mod query;
mod resolve;
mod rows;
mod rules;
mod scan;
mod session;
mod settings;
mod statement;
mod stores;
mod system;
mod types;
mod work;
mod write;

pub use commit::AppTransaction;
pub use config::{EngineConfig, S3Config};
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use ingest::{Batches, IfExists, IfMissing, IngestTarget};
pub use query::{Parameter, Query, QueryKind, collect};
pub use rows::{Monitor, Progress, Rows};
pub use session::{Session, TableEntry, TableKind};
pub use settings::{CATALOG, Setting};
pub use stores::StoreLayer;
