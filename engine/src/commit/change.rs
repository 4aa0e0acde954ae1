//! Commits of changes that read what they change: the Delta library's conflict check is theirs.

use delta_kernel::table_properties::TableProperties;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::kernel::{Action, EagerSnapshot, Metadata, Protocol, Transaction};
use deltalake::protocol::DeltaOperation;
use url::Url;

use super::{log_store, properties};
use crate::Result;
use crate::definition::without_own_features;
use crate::engine::Shared;
use crate::scan::DeltaSnapshot;

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

/// Commits with transactions of an application: a commit in between that has one of the same is a
/// conflict.
pub(crate) async fn commit_once(
    shared: &Shared,
    snapshot: &DeltaSnapshot,
    actions: Vec<Action>,
    operation: DeltaOperation,
    transactions: Vec<Transaction>,
) -> Result<u64> {
    let properties = properties().with_application_transactions(transactions);
    commit_with(shared, snapshot, actions, operation, properties).await
}

async fn commit_with(
    shared: &Shared,
    snapshot: &DeltaSnapshot,
    actions: Vec<Action>,
    operation: DeltaOperation,
    properties: CommitProperties,
) -> Result<u64> {
    let state = Checked::new(snapshot.table().await?.snapshot()?.snapshot())?;
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
pub(super) struct Checked<'a> {
    state: &'a EagerSnapshot,
    protocol: Protocol,
}

impl<'a> Checked<'a> {
    pub(super) fn new(state: &'a EagerSnapshot) -> Result<Self> {
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
