//! The last number of each application in each table, so that a write needn't replay the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use deltalake::kernel::{Action, Version};
use deltalake::logstore::{LogStore, get_actions};

use crate::Result;
use crate::scan::DeltaSnapshot;

/// Numbers that are kept.
const KEPT_MAX: usize = 4096;
/// Commits that are read one by one; more are the library's to replay.
const STEPS_MAX: Version = 32;

/// What is known, by table and application.
#[derive(Default)]
pub(super) struct Numbers(Mutex<HashMap<(String, String), Known>>);

#[derive(Clone, Copy)]
struct Known {
    at: Version,
    last: Option<i64>,
}

impl Numbers {
    /// The last number of `app` in the table at this version.
    pub(super) async fn last(
        &self,
        log: &dyn LogStore,
        snapshot: &DeltaSnapshot,
        app: &str,
    ) -> Result<Option<i64>> {
        // A table that was made anew in the same place has another id.
        let key = (format!("{} {}", snapshot.url, snapshot.metadata().id()), app.to_owned());
        let version = snapshot.version;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        let last = match known {
            Some(known) if known.at <= version && version - known.at <= STEPS_MAX => {
                advanced(log, known, version, app).await?
            }
            _ => None,
        };
        let last = match last {
            Some(last) => last,
            None => snapshot.table().await?.snapshot()?.transaction_version(log, app).await?,
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT_MAX {
            known.clear();
        }
        known.insert(key, Known { at: version, last });
        Ok(last)
    }
}

/// What is known with what the commits up to `version` say; `None` if one of them is gone.
async fn advanced(
    log: &dyn LogStore,
    known: Known,
    version: Version,
    app: &str,
) -> Result<Option<Option<i64>>> {
    let mut last = known.last;
    for version in known.at + 1..=version {
        let Some(bytes) = log.read_commit_entry(version).await? else { return Ok(None) };
        for action in get_actions(version, &bytes)? {
            if let Action::Txn(txn) = action
                && txn.app_id == app
            {
                last = Some(txn.version);
            }
        }
    }
    Ok(Some(last))
}
