//! Partition indexes. Every key is indexed already, so an index is active as soon as it's made; it
//! is kept because clients list what they made.

use boathouse_catalog::{DocumentKind, TableSpec};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Glue, input, nothing};
use crate::aws::AwsError;

const INDEXES_MAX: usize = 3;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct IndexInput {
    keys: Vec<String>,
    index_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateIndex {
    database_name: String,
    table_name: String,
    partition_index: IndexInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Indexes {
    database_name: String,
    table_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteIndex {
    database_name: String,
    table_name: String,
    index_name: String,
}

impl Glue {
    pub(super) async fn create_partition_index(&self, input: CreateIndex) -> Answer {
        let table = self.table_of(&input.database_name, &input.table_name).await?;
        let kind = DocumentKind::PartitionIndex;
        let stored = self.catalog.documents(kind, &table.id).await?;
        if INDEXES_MAX <= stored.len() {
            return Err(AwsError::limit_exceeded(format!(
                "Table {} has {INDEXES_MAX} partition indexes, which is the limit.",
                table.name.table()
            )));
        }
        for (name, body) in checked_indexes(vec![input.partition_index], &table.spec)? {
            if stored.iter().any(|index| index.body["Keys"] == body["Keys"])
                || !self.catalog.create_document(kind, &table.id, &name, &body).await?
            {
                return Err(AwsError::already_exists("Partition index already exists."));
            }
        }
        nothing()
    }

    pub(super) async fn partition_indexes(&self, input: Indexes) -> Answer {
        let table = self.table_of(&input.database_name, &input.table_name).await?;
        let stored = self.catalog.documents(DocumentKind::PartitionIndex, &table.id).await?;
        let list: Vec<Value> = stored.into_iter().map(|index| index.body).collect();
        Ok(json!({"PartitionIndexDescriptorList": list}))
    }

    pub(super) async fn delete_partition_index(&self, input: DeleteIndex) -> Answer {
        let table = self.table_of(&input.database_name, &input.table_name).await?;
        let name = input.index_name.to_lowercase();
        match self.catalog.delete_document(DocumentKind::PartitionIndex, &table.id, &name).await? {
            true => nothing(),
            false => Err(AwsError::not_found(format!("Partition index {name} not found."))),
        }
    }
}

/// Indexes of the keys of `spec`, by their names, as they are listed.
pub(super) fn checked_indexes(
    indexes: Vec<IndexInput>,
    spec: &TableSpec,
) -> Result<Vec<(String, Value)>, AwsError> {
    if INDEXES_MAX < indexes.len() {
        return Err(AwsError::limit_exceeded(format!(
            "A table has at most {INDEXES_MAX} partition indexes."
        )));
    }
    indexes.into_iter().map(|index| checked(index, spec)).collect()
}

fn checked(index: IndexInput, spec: &TableSpec) -> Result<(String, Value), AwsError> {
    let name = index.index_name.to_lowercase();
    input::text(&name, 255, "partitionIndex.indexName")?;
    if index.keys.is_empty() {
        return Err(AwsError::invalid_input("A partition index needs a key."));
    }
    let mut keys: Vec<Value> = Vec::new();
    for key in &index.keys {
        let known = spec.partition_keys.iter().find(|known| known.name.eq_ignore_ascii_case(key));
        let known = known.ok_or_else(|| {
            AwsError::invalid_input(format!("\"{key}\" is no partition key of the table."))
        })?;
        let key = json!({"Name": known.name, "Type": known.data_type});
        if keys.contains(&key) {
            return Err(AwsError::invalid_input(format!("Key \"{}\" is given twice.", known.name)));
        }
        keys.push(key);
    }
    let body = json!({"IndexName": name, "Keys": keys, "IndexStatus": "ACTIVE"});
    Ok((name, body))
}
