//! Databases.

use std::collections::BTreeMap;

use boathouse_catalog::glue::{DatabaseInput, database_shape as shape};
use boathouse_catalog::{Error, ObjectKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Glue, nothing, page, tags};
use crate::aws::AwsError;

const PAGE_LIMIT: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateDatabase {
    database_input: DatabaseInput,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByName {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Databases {
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateDatabase {
    name: String,
    database_input: DatabaseInput,
}

impl Glue {
    pub(super) async fn create_database(&self, input: CreateDatabase) -> Answer {
        let tags = input.tags.unwrap_or_default();
        tags::check(&tags)?;
        if !tags.is_empty() {
            self.must_be_own("Tags")?;
        }
        let database = input.database_input.into_database()?;
        let database = self.catalog.create_database(database).await?;
        self.put_tags(&format!("database/{}", database.name), tags).await?;
        nothing()
    }

    pub(super) async fn database(&self, input: ByName) -> Answer {
        let database = self.catalog.database(&input.name).await?;
        Ok(json!({"Database": shape(&database)}))
    }

    pub(super) async fn databases(&self, input: Databases) -> Answer {
        let all = self.catalog.databases().await?;
        let token = input.next_token.as_deref();
        let (page, next) =
            page::by_name(all, |database| &database.name, input.max_results, PAGE_LIMIT, token)?;
        let list: Vec<Value> = page.iter().map(shape).collect();
        Ok(page::with_token(json!({"DatabaseList": list}), next))
    }

    pub(super) async fn update_database(&self, input: UpdateDatabase) -> Answer {
        let database = input.database_input.into_database()?;
        let stored = self.catalog.database(&input.name).await?;
        if database.name.to_lowercase() != stored.name {
            return Err(AwsError::invalid_input("A database cannot be renamed."));
        }
        self.catalog.update_database(database).await?;
        nothing()
    }

    /// Its tables go too, as in AWS.
    pub(super) async fn delete_database(&self, input: ByName) -> Answer {
        let stored = self.catalog.database(&input.name).await?;
        match self.catalog.drop_database(&stored.name, true).await {
            // Somebody else was faster, and it's gone either way.
            Err(Error::NotFound { kind: ObjectKind::Database, .. }) => {}
            outcome => drop(outcome?),
        }
        self.delete_tags(&format!("database/{}", stored.name)).await?;
        nothing()
    }
}
