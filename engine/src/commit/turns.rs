//! Turns: the appends of one process to one table go one after another, not against each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use url::Url;

/// Nobody waits longer: a commit is right without its turn, only slower.
const WAIT_MAX: Duration = Duration::from_secs(30);

type Lock = tokio::sync::Mutex<()>;

/// Who commits to which table now.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Weak<Lock>>>);

impl Turns {
    /// Waits for the table at `url`. Dropping the guard lets the next one in.
    pub(super) async fn take(&self, url: &Url) -> Option<OwnedMutexGuard<()>> {
        let lock = self.lock(url);
        tokio::time::timeout(WAIT_MAX, lock.lock_owned()).await.ok()
    }

    fn lock(&self, url: &Url) -> Arc<Lock> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(url.as_str()).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(Lock::default());
        locks.insert(url.to_string(), Arc::downgrade(&lock));
        lock
    }
}
