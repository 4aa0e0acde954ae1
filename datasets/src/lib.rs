//! Sample data: real files, and generators that give the same rows for the same seed.
//!
//! - [`nycflights13`]: real flights, small enough to be compiled into the program
//! - [`amp`]: a live-audio app's users, shows and events, of any size
//! - [`tpch`]: the TPC-H tables and queries
//!
//! Nothing here reads the clock or asks the system for randomness.

pub mod amp;
mod error;
pub mod files;
pub mod nycflights13;
pub mod tpch;

pub use error::{Error, Result};
