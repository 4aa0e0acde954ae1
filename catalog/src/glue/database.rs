//! A database as Glue shapes it, and as the catalog keeps it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{CATALOG_ID, milliseconds, only, seconds};
use crate::{Database, Error, Result};

const INPUT: [&str; 4] = ["Name", "Description", "LocationUri", "Parameters"];

/// What a client says to make or change a database.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DatabaseInput {
    name: String,
    description: Option<String>,
    location_uri: Option<String>,
    parameters: Option<BTreeMap<String, String>>,
    /// Accepted for Lake Formation's sake; there are no such permissions here.
    #[serde(rename = "CreateTableDefaultPermissions")]
    _permissions: Option<Value>,
    target_database: Option<Value>,
    federated_database: Option<Value>,
}

impl DatabaseInput {
    /// The database that the catalog keeps.
    pub fn into_database(self) -> Result<Database> {
        if self.target_database.is_some() || self.federated_database.is_some() {
            return Err(Error::Invalid(
                "Resource links and federated databases are not supported.".to_owned(),
            ));
        }
        Ok(Database {
            name: self.name,
            comment: self.description,
            location: self.location_uri.filter(|location| !location.is_empty()),
            parameters: self.parameters.unwrap_or_default(),
            created_at_ms: 0,
        })
    }
}

/// A database as clients see it.
pub fn database_shape(database: &Database) -> Value {
    let mut shape = json!({
        "Name": database.name,
        "CreateTime": seconds(database.created_at_ms),
        "CreateTableDefaultPermissions": [],
        "CatalogId": CATALOG_ID,
    });
    if let Some(comment) = &database.comment {
        shape["Description"] = json!(comment);
    }
    if let Some(location) = &database.location {
        shape["LocationUri"] = json!(location);
    }
    if !database.parameters.is_empty() {
        shape["Parameters"] = json!(database.parameters);
    }
    shape
}

/// What to send to have a server make or change this database.
pub(crate) fn database_input(database: &Database) -> Value {
    match database_shape(database) {
        Value::Object(shape) => Value::Object(only(&INPUT, shape)),
        shape => shape,
    }
}

/// The database that a server shows.
pub(crate) fn read_database(shape: Map<String, Value>) -> Result<Database> {
    let created_at_ms = milliseconds(shape.get("CreateTime"));
    let input: DatabaseInput = serde_json::from_value(Value::Object(only(&INPUT, shape)))
        .map_err(|fault| Error::Invalid(format!("a database that cannot be read: {fault}")))?;
    Ok(Database { created_at_ms, ..input.into_database()? })
}
