//! Arrow Flight SQL over the engine: how BI tools and programs reach the lake.
//!
//! A client finds its session (by token, cookie or connection), names a statement, gets a ticket
//! for its rows, and fetches them as Arrow record batches. This crate translates between the
//! protocol and [`boathouse_engine`]; it decides nothing about SQL.
//!
//! ```text
//! connection -> framing -> door -> service -> engine
//!   (bytes)    (HTTP/2)  (session)  (SQL)
//! ```

mod connection;
mod door;
mod framing;
mod pattern;
mod plain;
mod server;
mod service;
mod session;
mod sql_info;
mod status;
mod stream;
mod types;
mod upload;

pub use server::{FlightServer, ServerConfig, ServerError};
