//! Access keys: what AWS clients sign their requests with.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalog::now_ms;
use crate::{Catalog, DocumentKind, Error, Result};

/// An access key. The secret is kept as it is, since verifying a signature needs it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// What a client names in its requests.
    pub id: String,
    /// What it signs them with; it never travels.
    pub secret: String,
    /// Who or what it is for.
    #[serde(default)]
    pub comment: Option<String>,
    /// When it was made, in milliseconds since 1970 (UTC).
    pub created_at_ms: i64,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Makes an access key with a random id and secret.
    pub async fn create_access_key(&self, comment: Option<String>) -> Result<AccessKey> {
        let random = || Uuid::new_v4().simple().to_string();
        let key = AccessKey {
            id: format!("BHAK{}", random()[..16].to_ascii_uppercase()),
            secret: format!("{}{}", random(), &random()[..8]),
            comment,
            created_at_ms: now_ms(),
        };
        let body = serde_json::to_value(&key).map_err(unreadable)?;
        self.create_document(DocumentKind::AccessKey, "", &key.id, &body).await?;
        Ok(key)
    }

    /// The access key of this id, if there is one.
    pub async fn access_key(&self, id: &str) -> Result<Option<AccessKey>> {
        let stored = self.document(DocumentKind::AccessKey, "", id).await?;
        stored.map(|stored| serde_json::from_value(stored.body).map_err(unreadable)).transpose()
    }

    /// All access keys, sorted by id.
    pub async fn access_keys(&self) -> Result<Vec<AccessKey>> {
        let stored = self.documents(DocumentKind::AccessKey, "").await?;
        stored
            .into_iter()
            .map(|stored| serde_json::from_value(stored.body).map_err(unreadable))
            .collect()
    }

    /// Forgets an access key; says whether it was there.
    pub async fn revoke_access_key(&self, id: &str) -> Result<bool> {
        self.delete_document(DocumentKind::AccessKey, "", id).await
    }
}

fn unreadable(fault: serde_json::Error) -> Error {
    Error::Invalid(format!("an access key in the catalog cannot be read: {fault}"))
}
