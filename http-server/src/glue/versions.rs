//! Versions of tables.

use boathouse_catalog::glue::table_shape as shape;
use boathouse_catalog::{Table, TableName, TableVersion};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Glue, input, nothing, page, table_name};
use crate::aws::AwsError;

const PAGE_LIMIT: usize = 100;
const BATCH_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByVersion {
    database_name: String,
    table_name: String,
    version_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Versions {
    database_name: String,
    table_name: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchDeleteVersion {
    database_name: String,
    table_name: String,
    version_ids: Vec<String>,
}

impl Glue {
    /// The version of this id, else the newest.
    pub(super) async fn table_version(&self, input: ByVersion) -> Answer {
        let name = table_name(&input.database_name, &input.table_name)?;
        let table = self.catalog.table(&name).await?;
        let wanted = input.version_id.as_deref().map(number).transpose()?;
        let versions = self.catalog.table_versions(&name).await?;
        let found = versions
            .iter()
            .find(|version| version.version == wanted.unwrap_or(table.version))
            .ok_or_else(missing)?;
        Ok(json!({"TableVersion": version_shape(&table, found)}))
    }

    /// Newest first.
    pub(super) async fn table_versions(&self, input: Versions) -> Answer {
        let name = table_name(&input.database_name, &input.table_name)?;
        let size = page::size(input.max_results, PAGE_LIMIT)?;
        let before: Option<u64> = page::place(input.next_token.as_deref())?;
        let table = self.catalog.table(&name).await?;
        let versions = self.catalog.table_versions(&name).await?;
        let is_left = |version: &&TableVersion| before.is_none_or(|end| version.version < end);
        let mut left = versions.iter().filter(is_left);
        let page: Vec<&TableVersion> = left.by_ref().take(size).collect();
        let next = match (left.next(), page.last()) {
            (Some(_), Some(last)) => Some(page::token(&last.version)?),
            _ => None,
        };
        let list: Vec<Value> = page.into_iter().map(|one| version_shape(&table, one)).collect();
        Ok(page::with_token(json!({"TableVersions": list}), next))
    }

    pub(super) async fn delete_table_version(&self, input: ByVersion) -> Answer {
        let name = table_name(&input.database_name, &input.table_name)?;
        let wanted = input.version_id.as_deref().ok_or_else(missing)?;
        self.forget_version(&name, wanted).await?;
        nothing()
    }

    pub(super) async fn batch_delete_table_version(&self, input: BatchDeleteVersion) -> Answer {
        input::at_most(&input.version_ids, BATCH_MAX, "versionIds")?;
        let name = table_name(&input.database_name, &input.table_name)?;
        self.catalog.table(&name).await?;
        let mut errors = Vec::new();
        for version in input.version_ids {
            if let Err(error) = self.forget_version(&name, &version).await {
                errors.push(json!({
                    "TableName": name.table(),
                    "VersionId": version,
                    "ErrorDetail": error.detail(),
                }));
            }
        }
        Ok(json!({"Errors": errors}))
    }

    async fn forget_version(&self, name: &TableName, version: &str) -> Result<(), AwsError> {
        match self.catalog.delete_table_version(name, number(version)?).await? {
            true => Ok(()),
            false => Err(missing()),
        }
    }
}

/// The number that an id is; what is none is the id of no version.
fn number(id: &str) -> Result<u64, AwsError> {
    id.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok()).ok_or_else(missing)
}

fn missing() -> AwsError {
    AwsError::not_found("Version not found.")
}

fn version_shape(table: &Table, version: &TableVersion) -> Value {
    let then = Table {
        version: version.version,
        spec: version.spec.clone(),
        updated_at_ms: version.updated_at_ms,
        ..table.clone()
    };
    json!({"Table": shape(&then), "VersionId": version.version.to_string()})
}
