//! Probes: whether a store honours conditional writes, without which commits overwrite each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::sync::OnceCell;
use url::Url;
use uuid::Uuid;

use super::settle::put_new;
use crate::stores::{store_path, store_root};
use crate::{Error, ErrorKind, Result};

/// What is known of each store, by its root.
#[derive(Default)]
pub(super) struct Probes(Mutex<HashMap<String, Arc<OnceCell<bool>>>>);

impl Probes {
    /// Refuses a store that ignores conditional writes. Each is asked once, before the first
    /// write, with a key of its own in `folder`.
    pub(super) async fn check(&self, store: &dyn ObjectStore, folder: &Url) -> Result<()> {
        let root = store_root(folder)?.to_string();
        let known = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(root.clone()).or_default().clone()
        };
        let folder = store_path(folder)?;
        match *known.get_or_try_init(|| is_conditional(store, &folder)).await? {
            true => Ok(()),
            false => Err(refusal(&root)),
        }
    }
}

/// Where a key may be put before a write to `url`.
pub(super) fn folder(lake: &Url, url: &Url) -> Url {
    match url.as_str().starts_with(lake.as_str()) {
        true => lake.clone(),
        false => url.clone(),
    }
}

async fn is_conditional(store: &dyn ObjectStore, folder: &Path) -> Result<bool> {
    let key = folder.clone().join(format!("_probe-{}", Uuid::new_v4().simple()));
    let answer = second_is_refused(store, &key).await;
    if let Err(error) = store.delete(&key).await {
        tracing::warn!(%key, %error, "the key of a probe stays behind");
    }
    answer
}

async fn second_is_refused(store: &dyn ObjectStore, key: &Path) -> Result<bool> {
    let bytes = Bytes::from_static(b"whether this store honours conditional writes");
    match put_new(store, key, &bytes).await {
        // The key is nobody else's: a retry of our own first request was told so.
        Ok(()) | Err(object_store::Error::AlreadyExists { .. }) => {}
        Err(object_store::Error::NotImplemented { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    match put_new(store, key, &bytes).await {
        Ok(()) => Ok(false),
        Err(
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. },
        ) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn refusal(root: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the store {root} ignores conditional writes, so commits could get lost there"),
    )
    .with_hint(
        "Tables in it can be read. To write, use a store that honours If-None-Match, as S3 does.",
    )
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::super::settle::tests::{Answer, Scripted};
    use super::*;

    #[tokio::test]
    async fn a_store_is_asked_once_and_left_clean() {
        let (store, probes) = (InMemory::new(), Probes::default());
        let folder = Url::parse("s3://bucket/lake/").unwrap();
        probes.check(&store, &folder).await.unwrap();
        assert!(store.list_with_delimiter(None).await.unwrap().objects.is_empty());
        let other = Url::parse("s3://bucket/elsewhere/").unwrap();
        probes.check(&Scripted::new(&[], Answer::Overwrites), &other).await.unwrap();
    }

    #[tokio::test]
    async fn a_store_that_overwrites_is_refused() {
        let store = Scripted::new(&[], Answer::Overwrites);
        let folder = Url::parse("s3://bucket/lake/").unwrap();
        let error = Probes::default().check(&store, &folder).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("s3://bucket/ ignores conditional writes"), "{error}");
    }
}
