//! What several topics share: lakes to run against, and result values as text.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use boathouse_engine::{Engine, EngineConfig, Rows, S3Config, StoreLayer};
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStoreExt, path::Path as ObjectPath};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use url::Url;
use uuid::Uuid;

/// An empty lake of its own, and where the files are that tests read.
pub(crate) struct Lake {
    pub(crate) engine: Engine,
    /// Where its catalog is.
    pub(crate) catalog_url: String,
    /// The repository's `datasets/`.
    pub(crate) datasets: String,
    /// The small files in `tests/slt/data/`.
    pub(crate) data: String,
    /// An empty place to write to.
    pub(crate) scratch: String,
    folder: TempDir,
}

impl Lake {
    /// A lake in a folder, its catalog in SQLite.
    pub(crate) async fn local() -> Self {
        Self::local_under(None).await
    }

    /// As [`Lake::local`], with `layer` over its stores.
    pub(crate) async fn local_under(layer: Option<StoreLayer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let scratch = format!("{path}/scratch");
        std::fs::create_dir(&scratch).unwrap();
        let catalog_url = format!("{path}/catalog.db");
        let config = config(
            &folder,
            catalog_url.clone(),
            format!("file://{path}/lake/"),
            S3Config::default(),
        );
        Self {
            engine: Engine::open_with(config, layer).await.unwrap(),
            catalog_url,
            datasets: repository("datasets").to_str().unwrap().to_owned(),
            data: repository("tests/slt/data").to_str().unwrap().to_owned(),
            scratch,
            folder,
        }
    }

    /// A lake on S3, its catalog in PostgreSQL.
    pub(crate) async fn shared(services: &Services) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = services.files().await;
        let own = format!("s3://{}/{}", services.bucket, unique());
        let catalog = services.new_database().await;
        let catalog_url = catalog.clone();
        let config = config(&folder, catalog, format!("{own}/lake/"), services.s3.clone());
        Self {
            engine: Engine::open(config).await.unwrap(),
            catalog_url,
            datasets: format!("{files}/datasets"),
            data: format!("{files}/data"),
            scratch: format!("{own}/scratch"),
            folder,
        }
    }

    /// The folder of the lake's one Delta table.
    pub(crate) fn delta_folder(&self) -> PathBuf {
        let logs = walkdir::WalkDir::new(self.folder.path()).into_iter().map(Result::unwrap);
        let logs: Vec<_> = logs.filter(|entry| entry.file_name() == "_delta_log").collect();
        let [log] = logs.as_slice() else { unreachable!("one table is expected: {logs:?}") };
        log.path().parent().unwrap().to_owned()
    }

    /// `text` with the places that differ from run to run replaced by their names.
    pub(crate) fn without_places(&self, text: &str) -> String {
        let places =
            [(&self.datasets, "<datasets>"), (&self.data, "<data>"), (&self.scratch, "<scratch>")];
        places.into_iter().fold(text.to_owned(), |text, (place, name)| {
            // As a URL, as a path, and as object stores write it in a plan.
            let key = place.strip_prefix("s3://").and_then(|s3| s3.split_once('/'));
            let key = key.map_or(place.trim_start_matches('/'), |(_bucket, key)| key);
            text.replace(&format!("file://{place}"), name).replace(place, name).replace(key, name)
        })
    }
}

fn config(folder: &TempDir, catalog_url: String, lake_url: String, s3: S3Config) -> EngineConfig {
    EngineConfig {
        catalog_url,
        lake_url,
        threads: 2,
        memory_limit_bytes: 512 << 20,
        spill_dir: folder.path().join("spill"),
        spill_limit_bytes: 1 << 30,
        statement_timeout: None,
        s3,
    }
}

/// The S3 and the PostgreSQL that `tests/services/up` runs.
pub(crate) struct Services {
    s3: S3Config,
    bucket: String,
    postgres: Url,
    uploaded: OnceCell<String>,
}

impl Services {
    /// Where the environment names none, says so and gives `None`.
    pub(crate) fn from_env() -> Option<Self> {
        let variable = |name: &str| std::env::var(format!("BOATHOUSE_TEST_{name}")).ok();
        let Some(endpoint) = variable("S3_ENDPOINT") else {
            eprintln!("skipped: no S3 and no PostgreSQL; `tests/services/up` starts them");
            return None;
        };
        Some(Self {
            s3: S3Config {
                endpoint,
                region: "us-east-1".to_owned(),
                access_key_id: variable("S3_ACCESS_KEY").unwrap(),
                secret_access_key: variable("S3_SECRET_KEY").unwrap(),
                session_token: String::new(),
                allow_http: true,
            },
            bucket: variable("S3_BUCKET").unwrap(),
            postgres: variable("POSTGRES_URL").unwrap().parse().unwrap(),
            uploaded: OnceCell::new(),
        })
    }

    /// Where on S3 the files lie that tests read; the first call uploads them.
    async fn files(&self) -> &str {
        let upload = async || {
            let prefix = unique();
            let store = self.store();
            for (local, name) in
                [("datasets/nycflights13", "datasets/nycflights13"), ("tests/slt/data", "data")]
            {
                upload(&store, &repository(local), &format!("{prefix}/{name}")).await;
            }
            format!("s3://{}/{prefix}", self.bucket)
        };
        self.uploaded.get_or_init(upload).await
    }

    fn store(&self) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(&self.s3.endpoint)
            .with_region(&self.s3.region)
            .with_access_key_id(&self.s3.access_key_id)
            .with_secret_access_key(&self.s3.secret_access_key)
            .with_bucket_name(&self.bucket)
            .with_allow_http(true)
            .build()
            .unwrap()
    }

    /// The URL of a new PostgreSQL database.
    async fn new_database(&self) -> String {
        let name = unique();
        let mut connection = PgConnection::connect(self.postgres.as_str()).await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
        let mut url = self.postgres.clone();
        url.set_path(&name);
        url.into()
    }
}

async fn upload(store: &AmazonS3, folder: &Path, prefix: &str) {
    for entry in walkdir::WalkDir::new(folder) {
        let path = entry.unwrap().into_path();
        if path.is_file() {
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            let bytes = std::fs::read(&path).unwrap();
            // Parsed, because `from` would encode the `=` of partition folders.
            let key = ObjectPath::parse(format!("{prefix}/{name}")).unwrap();
            store.put(&key, bytes.into()).await.unwrap();
        }
    }
}

fn unique() -> String {
    format!("test_{}", Uuid::new_v4().simple())
}

/// A path in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// All batches of `rows`.
pub(crate) async fn collect(rows: Rows) -> boathouse_engine::Result<Vec<RecordBatch>> {
    rows.try_collect().await
}

/// Every value as text, by row.
pub(crate) fn values(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    rows
}
