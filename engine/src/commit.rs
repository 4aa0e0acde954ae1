//! The commit: the one way in which a Delta table's log gets a new version.

use std::sync::Arc;

use delta_kernel::table_properties::TableProperties;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::kernel::{Action, EagerSnapshot, Metadata, Protocol};
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::protocol::DeltaOperation;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::Result;
use crate::definition::without_own_features;
use crate::engine::Shared;
use crate::scan::DeltaSnapshot;
use crate::stores::store_path;

/// The log of the table at `url`, over the engine's own stores. Every reader and every writer of
/// a Delta table goes through it, the Delta library's own operations too.
pub(crate) fn log_store(shared: &Shared, url: &Url) -> Result<LogStoreRef> {
    let root = shared.stores.store(url)?;
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
    commit_with(shared, snapshot, actions, operation, properties()).await
}

/// Commits `actions` as the very next version: a commit of somebody else in between is a conflict,
/// whatever it did.
pub(crate) async fn commit_next(
    shared: &Shared,
    snapshot: &DeltaSnapshot,
    actions: Vec<Action>,
    operation: DeltaOperation,
) -> Result<u64> {
    let properties = properties().with_max_retries(0);
    commit_with(shared, snapshot, actions, operation, properties).await
}

async fn commit_with(
    shared: &Shared,
    snapshot: &DeltaSnapshot,
    actions: Vec<Action>,
    operation: DeltaOperation,
    properties: CommitProperties,
) -> Result<u64> {
    let state = Checked::new(snapshot.table.snapshot()?.snapshot())?;
    let committed = CommitBuilder::from(properties)
        .with_actions(actions)
        .build(Some(&state), log_store(shared, &snapshot.url)?, operation)
        .await?;
    Ok(committed.version())
}

/// Commits the first version of a new table.
pub(crate) async fn commit_first(
    shared: &Shared,
    url: &Url,
    actions: Vec<Action>,
    operation: DeltaOperation,
) -> Result<()> {
    CommitBuilder::from(properties())
        .with_actions(actions)
        .with_max_retries(0)
        .build(None, log_store(shared, url)?, operation)
        .await?;
    Ok(())
}

/// A table as the Delta library sees it when it checks whether it may commit: without the
/// features that the library doesn't have and Boathouse does.
struct Checked<'a> {
    state: &'a EagerSnapshot,
    protocol: Protocol,
}

impl<'a> Checked<'a> {
    fn new(state: &'a EagerSnapshot) -> Result<Self> {
        Ok(Self { state, protocol: without_own_features(state.protocol())? })
    }
}

impl TableReference for Checked<'_> {
    fn config(&self) -> &TableProperties {
        self.state.table_properties()
    }

    fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    fn metadata(&self) -> &Metadata {
        self.state.metadata()
    }

    fn eager_snapshot(&self) -> &EagerSnapshot {
        self.state
    }
}

/// What every commit says of itself; for operations of the Delta library, which build their
/// commits themselves.
pub(crate) fn properties() -> CommitProperties {
    CommitProperties::default()
}
