//! Appends: new files on top of the newest version, whatever others committed since.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitData, PROTOCOL, TransactionError};
use deltalake::kernel::{Action, Add, Transaction, Version};
use deltalake::logstore::{CommitOrBytes, LogStore, get_actions};
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde_json::Value;
use uuid::Uuid;

use super::change::Checked;
use super::conflict::conflict;
use super::{AppTransaction, COMMIT_ID, OVERTAKEN_MAX, log_store};
use crate::engine::Shared;
use crate::scan::DeltaSnapshot;
use crate::{Error, Result};

/// What an append is besides its rows.
#[derive(Clone, Default)]
pub(crate) struct Append {
    /// Done once, if it has a number.
    pub(crate) transaction: Option<AppTransaction>,
    /// Whether its rows were made from the table's own: then no others may come in between.
    pub(crate) read: Arc<AtomicBool>,
}

impl Append {
    /// What the commit says of the number.
    pub(crate) fn transaction(&self) -> Option<Transaction> {
        self.transaction.as_ref().map(AppTransaction::action)
    }
}

/// Adds files to the table of `snapshot`, with which they were written. Others' rows in between
/// are no conflict; another schema is. `false` if the table has this transaction already.
pub(crate) async fn append(
    shared: &Shared,
    snapshot: &DeltaSnapshot,
    adds: Vec<Add>,
    how: &Append,
) -> Result<bool> {
    let _turn = shared.commits.turns.take(&snapshot.url).await;
    let log = log_store(shared, &snapshot.url)?;
    let commit = Commit::new(snapshot, adds, how)?;
    for _ in 0..OVERTAKEN_MAX {
        let newest = shared.delta_tables.newest(shared, &snapshot.url).await?;
        if is_done(shared, &newest, how).await? {
            return Ok(false);
        }
        commit.check(log.as_ref(), snapshot, &newest, how).await?;
        match commit.write(log.as_ref(), &newest).await {
            Ok(()) => return Ok(true),
            Err(TransactionError::VersionAlreadyExists(_)) => {}
            Err(error) => return Err(DeltaTableError::from(error).into()),
        }
    }
    Err(conflict(format!("other commits came first {OVERTAKEN_MAX} times")))
}

/// Whether the table had the append's transaction at this version.
pub(crate) async fn is_done(
    shared: &Shared,
    snapshot: &DeltaSnapshot,
    how: &Append,
) -> Result<bool> {
    let Some(transaction) = &how.transaction else { return Ok(false) };
    let log = log_store(shared, &snapshot.url)?;
    let numbers = &shared.commits.numbers;
    Ok(transaction.is_in(numbers.last(log.as_ref(), snapshot, transaction.app()).await?))
}

/// One commit, the same at each version that it's tried at.
struct Commit {
    data: CommitData,
    bytes: Bytes,
}

impl Commit {
    fn new(snapshot: &DeltaSnapshot, adds: Vec<Add>, how: &Append) -> Result<Self> {
        let keys = snapshot.partition_columns.clone();
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: (!keys.is_empty()).then_some(keys),
            predicate: None,
        };
        let actions = adds.into_iter().map(Action::Add).collect();
        let blind = !how.read.load(Ordering::Acquire);
        let about = [
            (COMMIT_ID.to_owned(), Value::String(Uuid::new_v4().to_string())),
            ("isBlindAppend".to_owned(), Value::Bool(blind)),
            ("readVersion".to_owned(), Value::from(snapshot.version)),
        ];
        let transactions = how.transaction().into_iter().collect();
        let data = CommitData::new(actions, operation, about.into(), transactions);
        let bytes = data.get_bytes().map_err(DeltaTableError::from)?;
        Ok(Self { data, bytes })
    }

    /// That what others committed between `planned` and `newest` leaves the append as it was
    /// meant.
    async fn check(
        &self,
        log: &dyn LogStore,
        planned: &DeltaSnapshot,
        newest: &DeltaSnapshot,
        how: &Append,
    ) -> Result<()> {
        let between = between(planned, newest);
        if !is_same_table(planned, newest)? {
            let is_definition =
                |action: &Action| matches!(action, Action::Metadata(_) | Action::Protocol(_));
            let by = first_with(log, between, is_definition).await?;
            let by = by.map_or_else(|| "another commit".to_owned(), |by| by.to_string());
            return Err(conflict(format!("{by} changed the table's columns or properties")));
        }
        if how.read.load(Ordering::Acquire)
            && let Some(by) = first_with(log, between, changes_data).await?
        {
            return Err(conflict(format!("{by} changed rows that this statement read")));
        }
        Ok(())
    }

    async fn write(&self, log: &dyn LogStore, on: &DeltaSnapshot) -> Result<(), TransactionError> {
        let table = on.table().await.map_err(carried)?;
        let state = table.snapshot().map_err(unreadable)?;
        let table = Checked::new(state.snapshot()).map_err(carried)?;
        PROTOCOL.can_commit(&table, &self.data.actions, &self.data.operation)?;
        let entry = CommitOrBytes::LogBytes(self.bytes.clone());
        log.write_commit_entry(state.version() + 1, entry, Uuid::new_v4()).await
    }
}

fn unreadable(error: DeltaTableError) -> TransactionError {
    carried(error.into())
}

fn carried(error: Error) -> TransactionError {
    TransactionError::LogStoreError { msg: error.to_string(), source: Box::new(error) }
}

/// The versions after `planned` up to `newest`.
fn between(planned: &DeltaSnapshot, newest: &DeltaSnapshot) -> (Version, Version) {
    (planned.version + 1, newest.version)
}

/// Whether files written for one may be added to the other.
fn is_same_table(planned: &DeltaSnapshot, newest: &DeltaSnapshot) -> Result<bool> {
    let (before, after) = (planned.metadata(), newest.metadata());
    let rules = |(key, _): &(&String, &String)| key.starts_with("delta.");
    let count = |configuration: &std::collections::HashMap<String, String>| {
        configuration.iter().filter(rules).count()
    };
    let (old, new) = (before.configuration(), after.configuration());
    Ok(before.id() == after.id()
        && planned.columns() == newest.columns()
        && before.partition_columns() == after.partition_columns()
        && planned.protocol() == newest.protocol()
        && count(old) == count(new)
        && old.iter().filter(rules).all(|(key, value)| new.get(key) == Some(value)))
}

fn changes_data(action: &Action) -> bool {
    match action {
        Action::Add(add) => add.data_change,
        Action::Remove(remove) => remove.data_change,
        _ => false,
    }
}

/// A commit of somebody else.
struct Other {
    version: Version,
    operation: Option<String>,
}

impl std::fmt::Display for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.operation {
            Some(operation) => write!(f, "another commit ({operation}, version {})", self.version),
            None => write!(f, "another commit (version {})", self.version),
        }
    }
}

/// The first commit of these versions that has such an action; one that can't be read has.
async fn first_with(
    log: &dyn LogStore,
    (from, to): (Version, Version),
    wanted: impl Fn(&Action) -> bool,
) -> Result<Option<Other>> {
    for version in from..=to {
        let Some(bytes) = log.read_commit_entry(version).await? else {
            return Ok(Some(Other { version, operation: None }));
        };
        let actions = get_actions(version, &bytes)?;
        if actions.iter().any(&wanted) {
            let operation = actions.into_iter().find_map(|action| match action {
                Action::CommitInfo(info) => info.operation,
                _ => None,
            });
            return Ok(Some(Other { version, operation }));
        }
    }
    Ok(None)
}
