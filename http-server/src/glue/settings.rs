//! What clients ask of an account's catalog as a whole.

use serde_json::{Value, json};

use super::{Answer, CATALOG_ID};

/// The one catalog there is.
pub(super) fn catalogs(operation: &str) -> Answer {
    let catalog = json!({
        "CatalogId": CATALOG_ID,
        "Name": CATALOG_ID,
        "ResourceArn": format!("arn:aws:glue:us-east-1:{CATALOG_ID}:catalog"),
        "CreateTableDefaultPermissions": [],
        "CreateDatabaseDefaultPermissions": [],
    });
    Ok(match operation {
        "GetCatalog" => json!({"Catalog": catalog}),
        _ => json!({"CatalogList": [catalog]}),
    })
}

/// Nothing is encrypted by the catalog.
pub(super) fn encryption() -> Value {
    json!({"DataCatalogEncryptionSettings": {
        "EncryptionAtRest": {"CatalogEncryptionMode": "DISABLED"},
        "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": false},
    }})
}
