//! Object stores by URL, made when a location is first used.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datafusion::common::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::SpawnedReqwestConnector;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use tokio::runtime::Handle;
use url::Url;

use crate::config::S3Config;
use crate::local_files::LocalFiles;
use crate::{Error, Result};

/// How long a request to S3 may wait for a connection, and how long retries go on: an endpoint
/// that doesn't answer is an error after about this time, not a hang.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What lies over each store of an engine, such as one that makes requests fail in tests.
pub type StoreLayer = Arc<dyn Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync>;

/// Every object store of an engine, one for each bucket and one for local files.
pub(crate) struct Stores {
    s3: S3Config,
    layer: Option<StoreLayer>,
    /// Requests run here, so that they go on while queries keep their own threads busy.
    io: Handle,
    local: Arc<dyn ObjectStore>,
    buckets: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("buckets", &self.buckets).finish_non_exhaustive()
    }
}

impl Stores {
    pub(crate) fn new(s3: S3Config, io: Handle, layer: Option<StoreLayer>) -> Self {
        let local: Arc<dyn ObjectStore> = Arc::new(LocalFiles::default());
        let local = layer.as_ref().map_or_else(|| local.clone(), |layer| layer(local.clone()));
        Self { s3, layer, io, local, buckets: Mutex::new(HashMap::new()) }
    }

    /// The store that holds `url`, rooted at the bucket or the file system's root.
    pub(crate) fn store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match url.scheme() {
            "file" => Ok(self.local.clone()),
            "s3" | "s3a" => {
                let bucket = url.host_str().ok_or_else(|| {
                    Error::invalid(format!("\"{url}\" names no bucket"))
                        .with_hint("Write s3://BUCKET/PREFIX/.")
                })?;
                self.bucket(bucket)
            }
            scheme => Err(Error::unsupported(format!("\"{url}\": locations of kind \"{scheme}\""))
                .with_hint("Use a path, file:///… or s3://BUCKET/….")),
        }
    }

    fn bucket(&self, name: &str) -> Result<Arc<dyn ObjectStore>> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = buckets.get(name) {
            return Ok(store.clone());
        }
        let store: Arc<dyn ObjectStore> = Arc::new(self.connect(name)?);
        let store = self.layer.as_ref().map_or_else(|| store.clone(), |layer| layer(store.clone()));
        buckets.insert(name.to_owned(), store.clone());
        Ok(store)
    }

    fn connect(&self, bucket: &str) -> Result<AmazonS3> {
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_http_connector(SpawnedReqwestConnector::new(self.io.clone()))
            .with_client_options(
                ClientOptions::new()
                    .with_connect_timeout(CONNECT_TIMEOUT)
                    .with_timeout(REQUEST_TIMEOUT)
                    .with_allow_http(self.s3.allow_http),
            )
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 5,
                retry_timeout: RETRY_TIMEOUT,
            });
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let given = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        let endpoint = given(&self.s3.endpoint)
            .or_else(|| env("AWS_ENDPOINT_URL_S3"))
            .or_else(|| env("AWS_ENDPOINT_URL"));
        if let Some(endpoint) = endpoint {
            if endpoint.starts_with("http://") && !self.s3.allow_http {
                return Err(Error::invalid(format!(
                    "the S3 endpoint {endpoint} is plain HTTP, which is off"
                ))
                .with_hint("Set s3.allow_http = true to allow it."));
            }
            builder = builder.with_endpoint(endpoint);
        }
        let region = given(&self.s3.region)
            .or_else(|| env("AWS_REGION"))
            .or_else(|| env("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| "us-east-1".into());
        builder = builder.with_region(region);
        if let Some(id) = given(&self.s3.access_key_id) {
            builder = builder.with_access_key_id(id);
        }
        if let Some(secret) = given(&self.s3.secret_access_key) {
            builder = builder.with_secret_access_key(secret);
        }
        if let Some(token) = given(&self.s3.session_token) {
            builder = builder.with_token(token);
        }
        Ok(builder.build()?)
    }
}

impl boathouse_catalog::crawler::Stores for Stores {
    fn open(
        &self,
        url: &Url,
    ) -> boathouse_catalog::crawler::Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
        let opened = || Ok((self.store(url)?, store_path(url)?));
        opened()
            .map_err(|error: Error| boathouse_catalog::crawler::Error::Invalid(error.to_string()))
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(
        &self,
        _url: &Url,
        _store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        // Stores follow from the settings alone; libraries that register their own get ours.
        None
    }

    fn get_store(&self, url: &Url) -> datafusion::common::Result<Arc<dyn ObjectStore>> {
        self.store(url).map_err(DataFusionError::from)
    }
}

/// A location as a person writes it (a URL, or a path relative to the working folder) as an
/// absolute URL. A trailing slash is kept.
pub(crate) fn location_url(location: &str) -> Result<Url> {
    let has_scheme = location.split_once("://").is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    });
    if has_scheme {
        let location = location.replacen("s3a://", "s3://", 1);
        return Url::parse(&location)
            .map_err(|error| Error::invalid(format!("\"{location}\" is no location: {error}")));
    }
    if location.is_empty() {
        return Err(Error::invalid("the location is empty"));
    }
    let path = std::path::absolute(Path::new(location))?;
    let url = if location.ends_with('/') || path.is_dir() {
        Url::from_directory_path(&path)
    } else {
        Url::from_file_path(&path)
    };
    url.map_err(|()| Error::invalid(format!("\"{location}\" is no location")))
}

/// The URL with the slash at its end that a folder's has.
pub(crate) fn folder_url(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// The path of `url` within its store.
pub(crate) fn store_path(url: &Url) -> Result<object_store::path::Path> {
    object_store::path::Path::from_url_path(url.path())
        .map_err(|error| Error::invalid(format!("\"{url}\" is no location: {error}")))
}

/// The URL of the store that holds `url`: its scheme and bucket.
pub(crate) fn store_root(url: &Url) -> Result<Url> {
    let root = format!("{}://{}/", url.scheme(), url.host_str().unwrap_or_default());
    Url::parse(&root).map_err(|error| Error::invalid(format!("\"{url}\": {error}")))
}

/// The URL of a path within the store of `root`.
pub(crate) fn object_url(root: &Url, path: &object_store::path::Path) -> String {
    // A path's text is percent-encoded where object_store needs it to be, so it isn't a URL's
    // path yet: parse it as segments.
    let mut url = root.clone();
    url.set_path("");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear();
        for part in path.parts() {
            segments.push(part.as_ref());
        }
    }
    url.to_string()
}
