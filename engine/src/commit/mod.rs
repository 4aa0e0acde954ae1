//! The commit: the one way in which a Delta table's log gets a new version.
//!
//! `log_store` settles what a store answers about one entry (`settle`); `append` adds rows on top
//! of whatever others committed; statements of the Delta library commit through the same log.

mod append;
mod change;
mod checkpoint;
mod conflict;
mod log_store;
mod numbers;
mod probe;
mod settle;
mod transaction;
mod turns;

use std::sync::Arc;

use deltalake::kernel::transaction::CommitProperties;
use deltalake::logstore::LogStoreRef;
use object_store::ObjectStore;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::Result;
use crate::engine::Shared;
use log_store::SettledLog;

pub(crate) use append::{Append, append, is_done};
pub(crate) use change::{commit, commit_first, commit_next, commit_once};
pub use transaction::AppTransaction;

/// The name of a commit's own id in `commitInfo`, as Spark writes it too.
const COMMIT_ID: &str = "txnId";

/// What the commits of an engine share.
#[derive(Default)]
pub(crate) struct Commits {
    numbers: numbers::Numbers,
    probes: probe::Probes,
    turns: turns::Turns,
}

impl Commits {
    /// Refuses the store of `url` where it ignores conditional writes; asked once a store.
    pub(crate) async fn check_store(&self, shared: &Shared, url: &Url) -> Result<()> {
        let folder = probe::folder(&shared.lake, url);
        self.probes.check(shared.stores.store(url)?.as_ref(), &folder).await
    }
}

/// The log of the table at `url`, over the engine's own stores. Every reader and every writer of
/// a Delta table goes through it, the Delta library's own operations too.
pub(crate) fn log_store(shared: &Shared, url: &Url) -> Result<LogStoreRef> {
    log_store_on(shared, shared.stores.store(url)?, url)
}

/// The log of the table at `url` in the store `root`.
pub(crate) fn log_store_on(
    shared: &Shared,
    root: Arc<dyn ObjectStore>,
    url: &Url,
) -> Result<LogStoreRef> {
    Ok(Arc::new(SettledLog::new(shared, root, url)?))
}

/// What every commit says of itself; for operations of the Delta library, which build their
/// commits themselves. The log makes checkpoints, and removes what is expired, by itself.
pub(crate) fn properties() -> CommitProperties {
    CommitProperties::default()
        .with_metadata([(COMMIT_ID.to_owned(), Value::String(Uuid::new_v4().to_string()))])
        .with_max_retries(OVERTAKEN_MAX)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
}

/// How often one commit may find that somebody else took its version.
const OVERTAKEN_MAX: usize = 100;
