//! Settings: `boathouse.toml` in this repository is their documentation and their defaults.

mod layers;
mod show;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boathouse_engine::{EngineConfig, S3Config};
use serde::Deserialize;
use url::Url;

pub(crate) use layers::{Flag, Settings};
pub(crate) use show::show;

use crate::failure::{Failure, Result};

/// Every setting, with its default and its comment.
pub(crate) const DEFAULTS: &str = include_str!("../../boathouse.toml");

/// The settings of one process. Each field is explained in `boathouse.toml`.
///
/// There is no `Default` and no optional field: the file says every value, so
/// what a person reads there is what the code runs with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) catalog: Catalog,
    pub(crate) lake: Lake,
    pub(crate) engine: Engine,
    pub(crate) s3: S3,
    pub(crate) flight: Flight,
    pub(crate) http: Http,
    pub(crate) repl: Repl,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalog {
    pub(crate) url: String,
    pub(crate) cache_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lake {
    pub(crate) url: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Engine {
    pub(crate) threads: usize,
    pub(crate) memory_limit_bytes: u64,
    pub(crate) spill_dir: PathBuf,
    pub(crate) spill_limit_bytes: u64,
    pub(crate) statement_timeout_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3 {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: String,
    pub(crate) allow_http: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flight {
    pub(crate) listen: SocketAddr,
    pub(crate) allow_remote: bool,
    pub(crate) max_connections: usize,
    pub(crate) max_sessions: usize,
    pub(crate) session_idle_seconds: u64,
    pub(crate) max_tickets: usize,
    pub(crate) ticket_lifetime_seconds: u64,
    pub(crate) max_prepared_statements: usize,
    pub(crate) max_request_bytes: usize,
    pub(crate) message_bytes: usize,
    pub(crate) shutdown_grace_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    pub(crate) allow_remote: bool,
    pub(crate) require_signature: bool,
    pub(crate) max_connections: usize,
    pub(crate) max_request_bytes: usize,
    pub(crate) request_timeout_seconds: u64,
    pub(crate) shutdown_grace_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repl {
    pub(crate) history_file: PathBuf,
    pub(crate) history_size: usize,
    pub(crate) max_rows: usize,
    pub(crate) pager: String,
}

impl Config {
    /// What the engine runs with. Creates the folders of this computer that it needs.
    pub(crate) fn engine(&self) -> Result<EngineConfig> {
        let data_dir = absolute(&self.data_dir)?;
        let catalog_url = match self.catalog.url.as_str() {
            "" => path_text(&data_dir.join("catalog.db"))?,
            url => url.to_owned(),
        };
        let lake_url = match self.lake.url.as_str() {
            "" => folder_url(&data_dir.join("lake"))?,
            url if url.contains("://") => format!("{}/", url.trim_end_matches('/')),
            folder => folder_url(&absolute(Path::new(folder))?)?,
        };
        let spill_dir = match &self.engine.spill_dir {
            unset if unset.as_os_str().is_empty() => data_dir.join("spill"),
            folder => absolute(folder)?,
        };
        for folder in [&data_dir, &spill_dir] {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::io(format_args!("create {folder:?}"), &error))?;
        }
        let timeout = Duration::from_secs(self.engine.statement_timeout_seconds);
        Ok(EngineConfig {
            catalog_url,
            catalog_cache: Duration::from_secs(self.catalog.cache_seconds),
            lake_url,
            threads: self.engine.threads,
            memory_limit_bytes: self.engine.memory_limit_bytes,
            spill_dir,
            spill_limit_bytes: self.engine.spill_limit_bytes,
            statement_timeout: (!timeout.is_zero()).then_some(timeout),
            s3: S3Config {
                endpoint: self.s3.endpoint.clone(),
                region: self.s3.region.clone(),
                access_key_id: self.s3.access_key_id.clone(),
                secret_access_key: self.s3.secret_access_key.clone(),
                session_token: self.s3.session_token.clone(),
                allow_http: self.s3.allow_http,
            },
        })
    }
}

/// `path` seen from the root, without asking the file system about it.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Failure::io(format_args!("find {path:?}"), &error))
}

/// `path` as text.
pub(crate) fn path_text(path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::Usage(format!("the path {path:?} is not valid UTF-8")))
}

fn folder_url(folder: &Path) -> Result<String> {
    Url::from_directory_path(folder)
        .map(String::from)
        .map_err(|()| Failure::Usage(format!("{folder:?} is not a folder's path")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Config {
        toml::from_str(DEFAULTS).unwrap()
    }

    #[test]
    fn every_setting_has_a_comment() {
        let lines: Vec<&str> = DEFAULTS.lines().collect();
        for pair in lines.windows(2) {
            let is_setting = pair[1].contains(" = ") && !pair[1].starts_with('#');
            assert!(!is_setting || pair[0].starts_with('#'), "no comment above: {}", pair[1]);
        }
    }

    #[test]
    fn catalog_lake_and_spill_are_under_the_data_folder_unless_set() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = defaults();
        config.data_dir = folder.path().to_owned();
        let engine = config.engine().unwrap();
        let base = folder.path().to_str().unwrap();
        assert_eq!(engine.catalog_url, format!("{base}/catalog.db"));
        assert_eq!(engine.lake_url, format!("file://{base}/lake/"));
        assert_eq!(engine.spill_dir, folder.path().join("spill"));

        config.catalog.url = "postgres://there/db".to_owned();
        config.lake.url = "s3://bucket/lake".to_owned();
        let engine = config.engine().unwrap();
        assert_eq!(engine.catalog_url, "postgres://there/db");
        assert_eq!(engine.lake_url, "s3://bucket/lake/");
    }

    #[test]
    fn zero_seconds_are_no_timeout() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = defaults();
        config.data_dir = folder.path().to_owned();
        assert_eq!(config.engine().unwrap().statement_timeout, None);
        config.engine.statement_timeout_seconds = 3;
        assert_eq!(config.engine().unwrap().statement_timeout, Some(Duration::from_secs(3)));
    }
}
