//! HTTP over the catalog: the doors for AWS clients, health checks and metrics.
//!
//! ```text
//! connection -> server -> aws (target, signature, errors) -> glue (one file a resource) -> catalog
//! ```

mod aws;
mod crawls;
mod glue;
mod metrics;
mod server;

pub use server::{HttpConfig, HttpError, HttpServer};
