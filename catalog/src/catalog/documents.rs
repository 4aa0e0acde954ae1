//! Documents of the catalog.

use serde_json::Value;

use super::{Catalog, now_ms};
use crate::Result;
use crate::document::{Document, DocumentKind};
use crate::store::{Failure, Row, Transaction, values};
use crate::table::check_text;

impl Catalog {
    /// The document of this name, if there is one.
    pub async fn document(
        &self,
        kind: DocumentKind,
        parent: &str,
        name: &str,
    ) -> Result<Option<Document>> {
        check_name(parent, name)?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let sql = "SELECT name, version, body, updated_at_ms FROM documents
                       WHERE kind = $1 AND parent = $2 AND name = $3";
            let row = reader.row(sql, values![kind.as_str(), parent, name]).await?;
            row.as_ref().map(read).transpose()
        };
        self.store.run(&format!("read {} \"{name}\"", kind.as_str()), work).await
    }

    /// The documents of a kind and parent, sorted by name.
    pub async fn documents(&self, kind: DocumentKind, parent: &str) -> Result<Vec<Document>> {
        check_name(parent, "")?;
        let work = || async {
            let mut reader = self.store.read().await?;
            let sql = "SELECT name, version, body, updated_at_ms FROM documents
                       WHERE kind = $1 AND parent = $2 ORDER BY name";
            let rows = reader.rows(sql, values![kind.as_str(), parent]).await?;
            rows.iter().map(read).collect()
        };
        self.store.run(&format!("list documents of kind {}", kind.as_str()), work).await
    }

    /// The parents of the documents of a kind, sorted.
    pub async fn document_parents(&self, kind: DocumentKind) -> Result<Vec<String>> {
        let work = || async {
            let mut reader = self.store.read().await?;
            let sql = "SELECT DISTINCT parent FROM documents WHERE kind = $1 ORDER BY parent";
            let rows = reader.rows(sql, values![kind.as_str()]).await?;
            rows.iter().map(|row| Ok(row.text(0)?)).collect()
        };
        self.store.run(&format!("list parents of kind {}", kind.as_str()), work).await
    }

    /// Makes a document; says whether the name was free.
    pub async fn create_document(
        &self,
        kind: DocumentKind,
        parent: &str,
        name: &str,
        body: &Value,
    ) -> Result<bool> {
        let body = checked_body(parent, name, body)?;
        let work = || async {
            let mut writer = self.store.write().await?;
            let sql = "INSERT INTO documents (kind, parent, name, version, body, updated_at_ms)
                       VALUES ($1, $2, $3, 1, $4, $5) ON CONFLICT (kind, parent, name) DO NOTHING";
            let row = values![kind.as_str(), parent, name, body.as_str(), now_ms()];
            let inserted = writer.execute(sql, row).await?;
            writer.commit().await?;
            Ok(inserted == 1)
        };
        self.store.run(&format!("create {} \"{name}\"", kind.as_str()), work).await
    }

    /// Makes documents of one kind and parent, or replaces them, all or nothing.
    pub async fn put_documents(
        &self,
        kind: DocumentKind,
        parent: &str,
        documents: &[(String, Value)],
    ) -> Result<()> {
        let bodies = documents
            .iter()
            .map(|(name, body)| Ok((name.as_str(), checked_body(parent, name, body)?)))
            .collect::<Result<Vec<_>>>()?;
        let work = || async {
            let mut writer = self.store.write().await?;
            for (name, body) in &bodies {
                let sql = "INSERT INTO documents (kind, parent, name, version, body, updated_at_ms)
                           VALUES ($1, $2, $3, 1, $4, $5)
                           ON CONFLICT (kind, parent, name) DO UPDATE
                           SET version = documents.version + 1, body = $4, updated_at_ms = $5";
                let row = values![kind.as_str(), parent, *name, body.as_str(), now_ms()];
                writer.execute(sql, row).await?;
            }
            writer.commit().await
        };
        self.store.run(&format!("write documents of kind {}", kind.as_str()), work).await
    }

    /// Replaces a document that is still at `version`; says whether it was.
    pub async fn replace_document(
        &self,
        kind: DocumentKind,
        parent: &str,
        name: &str,
        version: u64,
        body: &Value,
    ) -> Result<bool> {
        let body = checked_body(parent, name, body)?;
        let work = || async {
            let mut writer = self.store.write().await?;
            let sql = "UPDATE documents SET version = version + 1, body = $5, updated_at_ms = $6
                       WHERE kind = $1 AND parent = $2 AND name = $3 AND version = $4";
            let row = values![kind.as_str(), parent, name, version, body.as_str(), now_ms()];
            let updated = writer.execute(sql, row).await?;
            writer.commit().await?;
            Ok(updated == 1)
        };
        self.store.run(&format!("change {} \"{name}\"", kind.as_str()), work).await
    }

    /// Deletes every document of every kind.
    pub async fn delete_all_documents(&self) -> Result<()> {
        let work = || async {
            let mut writer = self.store.write().await?;
            writer.execute("DELETE FROM documents", values![]).await?;
            writer.commit().await
        };
        self.store.run("delete all documents", work).await
    }

    /// Deletes a document; says whether it was there.
    pub async fn delete_document(
        &self,
        kind: DocumentKind,
        parent: &str,
        name: &str,
    ) -> Result<bool> {
        check_name(parent, name)?;
        let work = || async {
            let mut writer = self.store.write().await?;
            let sql = "DELETE FROM documents WHERE kind = $1 AND parent = $2 AND name = $3";
            let deleted = writer.execute(sql, values![kind.as_str(), parent, name]).await?;
            writer.commit().await?;
            Ok(deleted == 1)
        };
        self.store.run(&format!("delete {} \"{name}\"", kind.as_str()), work).await
    }
}

/// Deletes what belongs to a table or a database that goes.
pub(super) async fn delete_documents_of(
    writer: &mut Transaction,
    kinds: &[DocumentKind],
    parent: &str,
) -> Result<(), Failure> {
    for kind in kinds {
        let sql = "DELETE FROM documents WHERE kind = $1 AND parent = $2";
        writer.execute(sql, values![kind.as_str(), parent]).await?;
    }
    Ok(())
}

fn checked_body(parent: &str, name: &str, body: &Value) -> Result<String> {
    check_name(parent, name)?;
    // JSON writes U+0000 as an escape, so the text itself can be stored.
    Ok(body.to_string())
}

fn check_name(parent: &str, name: &str) -> Result<()> {
    check_text(parent)?;
    check_text(name)
}

fn read(row: &Row) -> Result<Document, Failure> {
    Ok(Document {
        name: row.text(0)?,
        version: row.count(1)?,
        body: serde_json::from_str(&row.text(2)?)?,
        updated_at_ms: row.int(3)?,
    })
}
