//! A Delta log whose entries are settled before anybody hears that they are, or aren't, there.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{
    CommitOrBytes, LogStore, LogStoreConfig, LogStoreRef, StorageConfig, commit_uri_from_version,
    default_logstore,
};
use deltalake::{DeltaResult, kernel::Version};
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::settle::{LIMITS, Settled, Unsettled, random_below, settle};
use super::{COMMIT_ID, Commits, checkpoint, probe};
use crate::engine::Shared;
use crate::scan::DeltaTables;
use crate::stores::store_path;
use crate::{Error, ErrorKind, Result};

/// Who lost a race waits up to this long, so that the same ones don't meet again.
const LOST_PAUSE: Duration = Duration::from_millis(40);

/// The Delta library's own log, but for the way in which an entry is written.
#[derive(Clone)]
pub(super) struct SettledLog {
    inner: LogStoreRef,
    root: Arc<dyn ObjectStore>,
    url: Url,
    probe_folder: Url,
    commits: Arc<Commits>,
    tables: Weak<DeltaTables>,
}

impl SettledLog {
    pub(super) fn new(shared: &Shared, root: Arc<dyn ObjectStore>, url: &Url) -> Result<Self> {
        let prefixed = Arc::new(PrefixStore::new(root.clone(), store_path(url)?));
        let inner = default_logstore(prefixed, root.clone(), url, &StorageConfig::default());
        Ok(Self {
            inner,
            root,
            url: url.clone(),
            probe_folder: probe::folder(&shared.lake, url),
            commits: shared.commits.clone(),
            tables: Arc::downgrade(&shared.delta_tables),
        })
    }

    async fn write(&self, version: Version, bytes: Bytes) -> Result<(), TransactionError> {
        let checked = self.commits.probes.check(self.root.as_ref(), &self.probe_folder).await;
        checked.map_err(carried)?;
        let (store, path) = (self.object_store(None), commit_uri_from_version(Some(version)));
        match settle(store.as_ref(), &path, &identified(bytes), LIMITS).await {
            Ok(Settled::Ours) => Ok(()),
            Ok(Settled::Theirs) => {
                tokio::time::sleep(random_below(LOST_PAUSE)).await;
                Err(TransactionError::VersionAlreadyExists(version))
            }
            Err(Unsettled::Refused(source)) => Err(TransactionError::ObjectStore { source }),
            Err(Unsettled::Unknown(cause)) => Err(carried(unknown(version, &cause))),
        }
    }
}

/// The entry with an id of its own, so that no other writer's has the same bytes.
fn identified(bytes: Bytes) -> Bytes {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let mut first: Value = serde_json::from_slice(&bytes[..end]).unwrap_or(Value::Null);
    let id = Value::String(Uuid::new_v4().to_string());
    let (line, rest) = match first.get_mut("commitInfo").and_then(Value::as_object_mut) {
        Some(info) if info.contains_key(COMMIT_ID) => return bytes,
        Some(info) => {
            info.insert(COMMIT_ID.to_owned(), id);
            (first, bytes.slice(end..))
        }
        None => (
            serde_json::json!({ "commitInfo": { COMMIT_ID: id } }),
            Bytes::from([b"\n".as_slice(), &bytes].concat()),
        ),
    };
    Bytes::from([line.to_string().as_bytes(), &rest].concat())
}

/// An error of ours through the Delta library; `conflict.rs` takes it out again.
fn carried(error: Error) -> TransactionError {
    TransactionError::LogStoreError { msg: error.to_string(), source: Box::new(error) }
}

fn unknown(version: Version, cause: &object_store::Error) -> Error {
    let cause = Error::from_store(cause);
    Error::new(
        ErrorKind::OutcomeUnknown,
        format!("whether the commit of version {version} is there is unknown: {cause}"),
    )
    .with_hint(
        "Look whether the change is there before running the statement again. An INSERT with a \
         txn_version may be run again at once: it is done once.",
    )
}

#[async_trait]
impl LogStore for SettledLog {
    fn name(&self) -> String {
        // By this name the library knows a log that takes an entry's bytes.
        self.inner.name()
    }

    async fn read_commit_entry(&self, version: Version) -> DeltaResult<Option<Bytes>> {
        self.inner.read_commit_entry(version).await
    }

    async fn write_commit_entry(
        &self,
        version: Version,
        entry: CommitOrBytes,
        _operation: Uuid,
    ) -> Result<(), TransactionError> {
        let CommitOrBytes::LogBytes(bytes) = entry else {
            return Err(carried(Error::internal("a commit came as a file")));
        };
        self.write(version, bytes).await?;
        checkpoint::make_if_due(&self.tables, &self.url, version).await;
        Ok(())
    }

    async fn abort_commit_entry(
        &self,
        version: Version,
        entry: CommitOrBytes,
        operation: Uuid,
    ) -> Result<(), TransactionError> {
        self.inner.abort_commit_entry(version, entry, operation).await
    }

    async fn get_latest_version(&self, start: Version) -> DeltaResult<Version> {
        self.inner.get_latest_version(start).await
    }

    fn object_store(&self, operation: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.inner.object_store(operation)
    }

    fn root_object_store(&self, operation: Option<Uuid>) -> Arc<dyn ObjectStore> {
        self.inner.root_object_store(operation)
    }

    fn config(&self) -> &LogStoreConfig {
        self.inner.config()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(entry: &Bytes) -> String {
        let line = entry.split(|byte| *byte == b'\n').next().unwrap();
        let line: Value = serde_json::from_slice(line).unwrap();
        line["commitInfo"][COMMIT_ID].as_str().unwrap().to_owned()
    }

    #[test]
    fn an_entry_without_an_id_gets_one() {
        for entry in [
            "{\"commitInfo\":{\"operation\":\"WRITE\"}}\n{\"add\":{}}",
            "{\"commitInfo\":{}}",
            "{\"add\":{}}\n{\"txn\":{}}",
        ] {
            let entry = Bytes::from(entry);
            let (one, two) = (identified(entry.clone()), identified(entry.clone()));
            assert_ne!(id(&one), id(&two));
            let tail = entry.split(|byte| *byte == b'\n').next_back().unwrap();
            assert!(one.ends_with(tail) || tail.starts_with(b"{\"commitInfo"), "{one:?}");
        }
    }

    #[test]
    fn an_id_that_is_there_stays() {
        let entry = Bytes::from("{\"commitInfo\":{\"txnId\":\"7\"}}\n{\"add\":{}}");
        assert_eq!(identified(entry.clone()), entry);
    }
}
