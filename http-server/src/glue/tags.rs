//! Tags of resources, which are named by their ARNs.
//!
//! Only what follows the account in an ARN counts, as in `table/web/hits`: a server has one catalog.

use std::collections::BTreeMap;

use boathouse_catalog::DocumentKind;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Glue, input, nothing, table_name};
use crate::aws::AwsError;

const TAGS_MAX: usize = 50;
const KEY_MAX: usize = 128;
const VALUE_MAX: usize = 256;
/// How often a change is tried while others change the same tags.
const TRIES: usize = 20;

type Tags = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagResource {
    resource_arn: String,
    tags_to_add: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagResource {
    resource_arn: String,
    tags_to_remove: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByArn {
    resource_arn: String,
}

impl Glue {
    pub(super) async fn tag_resource(&self, input: TagResource) -> Answer {
        check(&input.tags_to_add)?;
        self.change_tags(&input.resource_arn, |tags| tags.extend(input.tags_to_add.clone())).await
    }

    pub(super) async fn untag_resource(&self, input: UntagResource) -> Answer {
        input::at_most(&input.tags_to_remove, TAGS_MAX, "tagsToRemove")?;
        let gone = |key: &String| input.tags_to_remove.contains(key);
        self.change_tags(&input.resource_arn, |tags| tags.retain(|key, _| !gone(key))).await
    }

    pub(super) async fn tags(&self, input: ByArn) -> Answer {
        let resource = self.tagged(&input.resource_arn).await?;
        let stored = self.catalog.document(DocumentKind::Tags, "", &resource).await?;
        Ok(json!({"Tags": stored.map_or_else(|| json!({}), |stored| stored.body)}))
    }

    /// The tags of a resource that is new.
    pub(super) async fn put_tags(&self, resource: &str, tags: Tags) -> Result<(), AwsError> {
        if tags.is_empty() {
            return Ok(());
        }
        let tags = [(resource.to_owned(), json!(tags))];
        Ok(self.catalog.put_documents(DocumentKind::Tags, "", &tags).await?)
    }

    pub(super) async fn delete_tags(&self, resource: &str) -> Result<(), AwsError> {
        self.catalog.delete_document(DocumentKind::Tags, "", resource).await?;
        Ok(())
    }

    async fn change_tags(&self, arn: &str, change: impl Fn(&mut Tags)) -> Answer {
        let resource = self.tagged(arn).await?;
        for _ in 0..TRIES {
            let stored = self.catalog.document(DocumentKind::Tags, "", &resource).await?;
            let body = stored.as_ref().map(|stored| stored.body.clone());
            let mut tags: Tags =
                body.and_then(|body| serde_json::from_value(body).ok()).unwrap_or_default();
            change(&mut tags);
            check(&tags)?;
            let (catalog, kind, body) = (&self.catalog, DocumentKind::Tags, json!(tags));
            let done = match stored {
                Some(stored) => {
                    catalog.replace_document(kind, "", &resource, stored.version, &body).await?
                }
                None => catalog.create_document(kind, "", &resource, &body).await?,
            };
            if done {
                return nothing();
            }
        }
        Err(AwsError::concurrent_modification("The tags of the resource are being changed."))
    }

    /// The resource that an ARN names, which is there.
    async fn tagged(&self, arn: &str) -> Result<String, AwsError> {
        let resource = resource(arn)?;
        let parts: Vec<&str> = resource.split('/').collect();
        match parts.as_slice() {
            ["database", name] => drop(self.catalog.database(name).await?),
            ["table", database, name] => {
                drop(self.catalog.table(&table_name(database, name)?).await?);
            }
            ["crawler", name] => {
                let stored = self.catalog.document(DocumentKind::Crawler, "", name).await?;
                stored.ok_or_else(|| AwsError::not_found(format!("Crawler {name} not found.")))?;
            }
            _ => {}
        }
        Ok(resource)
    }
}

/// What follows the account in an ARN of Glue.
fn resource(arn: &str) -> Result<String, AwsError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "glue", _, _, resource] if !resource.is_empty() => {
            Ok(match resource.split_once('/') {
                Some((kind @ ("database" | "table"), name)) => {
                    format!("{kind}/{}", name.to_lowercase())
                }
                _ => (*resource).to_owned(),
            })
        }
        _ => Err(AwsError::invalid_input(format!("\"{arn}\" is no ARN of a Glue resource."))),
    }
}

/// Refuses too many tags, and texts of the wrong length.
pub(super) fn check(tags: &Tags) -> Result<(), AwsError> {
    if TAGS_MAX < tags.len() {
        return Err(AwsError::invalid_input(format!(
            "A resource has at most {TAGS_MAX} tags, not {}.",
            tags.len()
        )));
    }
    for (key, value) in tags {
        input::text(key, KEY_MAX, "tags.key")?;
        if VALUE_MAX < value.chars().count() {
            return Err(AwsError::invalid_input(format!(
                "The value of tag \"{key}\" is longer than {VALUE_MAX} characters."
            )));
        }
    }
    Ok(())
}
