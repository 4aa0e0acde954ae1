//! The secrets of access keys, kept for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boathouse_catalog::{Catalog, Error};

use crate::aws::error::AwsError;

/// How long a key that was revoked may still be good, or one that was made still unknown.
const FRESH: Duration = Duration::from_secs(5);
/// Keys that are kept at a time, known and unknown.
const KEPT: usize = 1024;
/// Characters of an id, as AWS has it.
const MAX_ID: usize = 128;

/// The access keys of a catalog.
pub(super) struct Keys {
    catalog: Catalog,
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    secret: Option<Arc<str>>,
    read_at: Instant,
}

impl Keys {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self { catalog, kept: Mutex::default() }
    }

    /// The secret of an access key, if there is such a key.
    pub(super) async fn secret(&self, id: &str) -> Result<Option<Arc<str>>, AwsError> {
        if !may_be_id(id) {
            return Ok(None);
        }
        let read_at = Instant::now();
        if let Some(kept) = self.kept().get(id).filter(|kept| kept.is_fresh(read_at)) {
            return Ok(kept.secret.clone());
        }
        let key = self.catalog.access_key(id).await.map_err(fault)?;
        let secret: Option<Arc<str>> = key.map(|key| key.secret.into());
        self.keep(id, Kept { secret: secret.clone(), read_at });
        Ok(secret)
    }

    fn keep(&self, id: &str, key: Kept) {
        let mut kept = self.kept();
        if KEPT <= kept.len() {
            kept.retain(|_, old| old.is_fresh(key.read_at));
        }
        if KEPT <= kept.len() {
            kept.clear();
        }
        kept.insert(id.to_owned(), key);
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        // Each change is whole, so a panic elsewhere leaves nothing half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read_at) < FRESH
    }
}

fn may_be_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// A key that cannot be read is not the client's mistake.
fn fault(error: Error) -> AwsError {
    match error {
        Error::Unavailable { .. } => error.into(),
        error => AwsError::internal(boathouse_catalog::chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn keys() -> (tempfile::TempDir, Catalog, Keys) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let catalog = Catalog::open(path.to_str().unwrap()).await.unwrap();
        let keys = Keys::new(catalog.clone());
        (folder, catalog, keys)
    }

    #[tokio::test]
    async fn a_key_is_read_once_in_a_while() {
        let (_folder, catalog, keys) = keys().await;
        let key = catalog.create_access_key(None).await.unwrap();
        let secret = keys.secret(&key.id).await.unwrap();
        assert_eq!(secret.as_deref(), Some(key.secret.as_str()));
        catalog.revoke_access_key(&key.id).await.unwrap();
        assert_eq!(keys.secret(&key.id).await.unwrap(), secret);
        keys.kept().get_mut(&key.id).unwrap().read_at -= FRESH;
        assert_eq!(keys.secret(&key.id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let (_folder, _catalog, keys) = keys().await;
        for number in 0..3 * KEPT {
            let key = Kept { secret: None, read_at: Instant::now() };
            keys.keep(&format!("KEY{number}"), key);
        }
        assert!(keys.kept().len() <= KEPT);
    }

    #[tokio::test]
    async fn what_cannot_be_an_id_is_no_key() {
        let (_folder, _catalog, keys) = keys().await;
        for id in ["", "a b", "ключ", "a\"b", &"A".repeat(129)] {
            assert_eq!(keys.secret(id).await.unwrap(), None);
        }
        assert!(keys.kept().is_empty());
    }
}
