//! The catalog that the settings name, which another server may keep.

use std::sync::Arc;

use boathouse_catalog::{Catalog, Federated};
use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use object_store::client::SpawnedReqwestConnector;
use tokio::runtime::Handle;

use crate::config::{EngineConfig, S3Config};
use crate::stores::{region, with_identity};
use crate::{Error, Result};

/// AWS's own endpoint, in short.
const AWS: [&str; 2] = ["glue:", "glue:aws"];

/// Opens the catalog; requests to another server run on `io`.
pub(crate) async fn open_catalog(config: &EngineConfig, io: &Handle) -> Result<Catalog> {
    if !Catalog::is_federated_url(&config.catalog_url) {
        return Ok(Catalog::open(&config.catalog_url).await?);
    }
    let url = place(&config.catalog_url, std::env::var("AWS_ENDPOINT_URL_GLUE").ok());
    let federated = Federated {
        credentials: credentials(&config.s3, &url)?,
        url,
        region: region(&config.s3),
        allow_http: config.s3.allow_http,
        connector: Arc::new(SpawnedReqwestConnector::new(io.clone())),
        fresh_for: config.catalog_cache,
        tables_max: None,
    };
    Ok(Catalog::federate(&federated).await?)
}

/// Refuses a location with a pattern: a catalog that another server keeps cannot say which files
/// match it.
pub(crate) fn check_location(location: &str) -> Result<()> {
    if !location.contains(['*', '?', '[']) {
        return Ok(());
    }
    Err(Error::unsupported(format!("the pattern \"{location}\" with a federated catalog"))
        .with_hint("Put the files into a folder of their own, and name that."))
}

/// Where AWS's own endpoint is meant, another may be set for it.
fn place(url: &str, endpoint: Option<String>) -> String {
    match endpoint.filter(|endpoint| !endpoint.is_empty()) {
        Some(endpoint) if AWS.contains(&url) => format!("glue:{endpoint}"),
        _ => url.to_owned(),
    }
}

/// What requests are signed with: the keys of the settings, those of the environment, or those of
/// the role that AWS gives this machine. Without keys nothing is signed for a server without TLS,
/// which may be another Boathouse that wants no signatures.
fn credentials(s3: &S3Config, url: &str) -> Result<Option<AwsCredentialProvider>> {
    let has_key = !s3.access_key_id.is_empty()
        || std::env::var("AWS_ACCESS_KEY_ID").is_ok_and(|id| !id.is_empty());
    if !has_key && url.starts_with("glue:http:") {
        return Ok(None);
    }
    // Only what signs is taken of it, so the bucket is any.
    let builder = AmazonS3Builder::from_env().with_bucket_name("any");
    let store = with_identity(builder, s3).build()?;
    Ok(Some(store.credentials().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_no_locations() {
        assert!(check_location("s3://lake/t/").is_ok());
        assert!(check_location("s3://lake/t/*.csv").is_err());
    }

    #[test]
    fn the_usual_variable_moves_aws_only() {
        let there = || Some("http://127.0.0.1:5000".to_owned());
        assert_eq!(place("glue:aws", there()), "glue:http://127.0.0.1:5000");
        assert_eq!(place("glue:", Some(String::new())), "glue:");
        assert_eq!(place("glue:https://x", there()), "glue:https://x");
    }
}
