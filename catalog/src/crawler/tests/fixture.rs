//! A lake in a folder, and a catalog beside it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use parquet::arrow::ArrowWriter;
use url::Url;

use crate::crawler::{CrawlPlan, CrawlerSpec, Result, Stores, Target, plan};
use crate::{Catalog, Partition, PartitionFilter, Table, TableName, TableSpec, Update};

pub(super) const CRAWLER: &str = "nightly";

/// A lake with its catalog.
pub(super) struct Lake {
    folder: tempfile::TempDir,
    pub(super) catalog: Catalog,
    pub(super) stores: Local,
}

/// The file system, which counts what it is asked for.
pub(super) struct Local(pub(super) Arc<Counting>);

#[derive(Debug)]
pub(super) struct Counting {
    inner: LocalFileSystem,
    pub(super) lists: AtomicUsize,
    pub(super) gets: AtomicUsize,
}

impl Stores for Local {
    fn open(&self, url: &Url) -> Result<(Arc<dyn ObjectStore>, Path)> {
        Ok((self.0.clone(), Path::from_url_path(url.path()).unwrap()))
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl Lake {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let catalog = Catalog::open(path.to_str().unwrap()).await.unwrap();
        let counting = Counting {
            inner: LocalFileSystem::new(),
            lists: AtomicUsize::new(0),
            gets: AtomicUsize::new(0),
        };
        Self { folder, catalog, stores: Local(Arc::new(counting)) }
    }

    pub(super) fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("lake").join(path)
    }

    pub(super) fn url(&self, path: &str) -> String {
        let url = Url::from_file_path(self.path(path)).unwrap().to_string();
        if path.ends_with('/') && !url.ends_with('/') { format!("{url}/") } else { url }
    }

    pub(super) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }

    /// A Parquet file with columns of these types and one row of NULLs.
    pub(super) fn parquet(&self, path: &str, columns: &[(&str, DataType)]) {
        self.write(path, parquet(columns));
    }

    /// A crawler of the folder `raw`.
    pub(super) fn spec(&self) -> CrawlerSpec {
        self.spec_of("raw/")
    }

    pub(super) fn spec_of(&self, path: &str) -> CrawlerSpec {
        CrawlerSpec {
            targets: vec![Target { location: self.url(path), exclusions: vec![] }],
            database: "default".into(),
            ..CrawlerSpec::default()
        }
    }

    pub(super) async fn plan(&self, spec: &CrawlerSpec) -> CrawlPlan {
        plan(&self.catalog, &self.stores, CRAWLER, spec, &|_| {}).await.unwrap()
    }

    /// Plans and applies; then nothing may be left to do.
    pub(super) async fn crawl(&self, spec: &CrawlerSpec) -> CrawlPlan {
        let plan = self.plan(spec).await;
        assert_eq!(plan.apply(&self.catalog).await.unwrap(), Update::Done(()));
        let again = self.plan(spec).await;
        assert!(again.is_empty(), "not at rest: {}", again.describe());
        plan
    }

    pub(super) async fn table(&self, name: &str) -> Table {
        self.catalog.table(&TableName::new("default", name).unwrap()).await.unwrap()
    }

    /// All tables as `name(column:type …)[key:type …]`.
    pub(super) async fn tables(&self) -> Vec<String> {
        let tables = self.catalog.tables("default").await.unwrap();
        tables.iter().map(|table| shown(table.name.table(), &table.spec)).collect()
    }

    pub(super) async fn partitions(&self, name: &str) -> Vec<Partition> {
        let table = self.table(name).await;
        self.catalog.partitions(&table, &PartitionFilter::default()).await.unwrap()
    }

    /// The values of all partitions, those of one separated by `/`.
    pub(super) async fn values(&self, name: &str) -> Vec<String> {
        let values = |partition: &Partition| {
            let values: Vec<&str> =
                partition.values.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect();
            values.join("/")
        };
        self.partitions(name).await.iter().map(values).collect()
    }

    /// What a person does to a table.
    pub(super) async fn edit(&self, name: &str, edit: impl FnOnce(&mut TableSpec)) {
        let table = self.table(name).await;
        let mut spec = table.spec.clone();
        edit(&mut spec);
        let _ = self.catalog.update_table(&table, spec).await.unwrap().done();
    }
}

fn shown(name: &str, spec: &TableSpec) -> String {
    let columns = |columns: &[crate::Column]| {
        let columns = columns.iter().map(|c| format!("{}:{}", c.name, c.data_type));
        columns.collect::<Vec<_>>().join(" ")
    };
    let keys = match spec.partition_keys.is_empty() {
        true => String::new(),
        false => format!("[{}]", columns(&spec.partition_keys)),
    };
    format!("{name}({}){keys}", columns(&spec.columns))
}

pub(super) fn parquet(columns: &[(&str, DataType)]) -> Vec<u8> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect();
    let arrays: Vec<ArrayRef> = columns.iter().map(|(_, kind)| new_null_array(kind, 1)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Whether some note has this text.
pub(super) fn is_noted(plan: &CrawlPlan, text: &str) -> bool {
    plan.notes.iter().any(|note| note.text.contains(text))
}

/// The drift as `column kept found outcome`.
pub(super) fn drift(plan: &CrawlPlan) -> Vec<String> {
    let shown = plan.drift.iter().map(|drift| {
        format!("{} {} {} {}", drift.column, drift.kept, drift.found, drift.outcome.as_str())
    });
    shown.collect()
}
