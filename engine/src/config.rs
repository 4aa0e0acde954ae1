//! What an engine runs with.

use std::path::PathBuf;
use std::time::Duration;

/// An engine's settings: plain data, which the binary fills from its configuration.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where the catalog is kept: `postgres://…`, the path of a SQLite file, or `glue:…` where
    /// another server keeps it.
    pub catalog_url: String,
    /// How long what such a server said counts before it is asked again.
    pub catalog_cache: Duration,
    /// Where managed tables live: `file:///…/`, `s3://bucket/prefix/`, or the path of a folder.
    pub lake_url: String,
    /// Worker threads for queries; 0 means one for each core.
    pub threads: usize,
    /// Bytes that all running queries together may hold; 0 means half of the machine's memory.
    pub memory_limit_bytes: u64,
    /// Where queries spill to.
    pub spill_dir: PathBuf,
    /// Bytes that all running queries together may spill.
    pub spill_limit_bytes: u64,
    /// How long one statement may run; `None` is as long as it likes.
    pub statement_timeout: Option<Duration>,
    /// How object storage is reached.
    pub s3: S3Config,
}

/// How S3 is reached. An empty string means that the usual AWS environment variable counts:
/// `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
/// `AWS_SESSION_TOKEN`.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "boathouse.toml documents each field")]
pub struct S3Config {
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
    pub allow_http: bool,
}
