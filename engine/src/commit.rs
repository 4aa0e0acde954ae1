//! The commit: the one way in which a Delta table's log gets a new version.

use std::sync::Arc;

use deltalake::kernel::Action;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::protocol::DeltaOperation;
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::Result;
use crate::engine::Shared;
use crate::scan::DeltaSnapshot;
use crate::stores::store_path;

/// The log of the table at `url`, over the engine's own stores. Every reader and every writer of
/// a Delta table goes through it, the Delta library's own operations too.
pub(crate) fn log_store(shared: &Shared, url: &Url) -> Result<LogStoreRef> {
    log_store_on(shared.stores.store(url)?, url)
}

/// The log of the table at `url` in the store `root`.
pub(crate) fn log_store_on(root: Arc<dyn ObjectStore>, url: &Url) -> Result<LogStoreRef> {
    let prefixed = Arc::new(PrefixStore::new(root.clone(), store_path(url)?));
    Ok(default_logstore(prefixed, root, url, &StorageConfig::default()))
}

/// Commits `actions` on top of `snapshot`, and gives the new version. A commit of somebody else
/// in between is no failure where it didn't touch what `operation` read.
pub(crate) async fn commit(
    shared: &Shared,
    snapshot: &DeltaSnapshot,
    actions: Vec<Action>,
    operation: DeltaOperation,
) -> Result<u64> {
    let state: &dyn TableReference = snapshot.table().await?.snapshot()?.snapshot();
    let committed = CommitBuilder::from(properties())
        .with_actions(actions)
        .build(Some(state), log_store(shared, &snapshot.url)?, operation)
        .await?;
    Ok(committed.version())
}

/// What every commit says of itself; for operations of the Delta library, which build their
/// commits themselves.
pub(crate) fn properties() -> CommitProperties {
    CommitProperties::default()
}
