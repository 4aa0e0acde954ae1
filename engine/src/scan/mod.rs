//! The scan: a table's files, pruned before any of them is read, as plain file scans.

mod candidates;
mod changes;
mod columns;
mod delta;
mod discover;
mod external;
mod files;
mod format;
mod given;
mod iceberg;
mod parallel;
mod projection;
mod relabel;
mod rewrite;
mod storage;
mod text;
mod travel;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::{Format, PartitionFilter, Table};
use datafusion::catalog::{Session as PlanSession, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, Result as DataFusionResult, Statistics};
use datafusion::datasource::TableType as ProviderType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use url::Url;

pub(crate) use candidates::delta_files;
pub(crate) use changes::Changes;
pub(crate) use delta::{DeltaSnapshot, DeltaTables, delta_partitions, delta_url};
pub(crate) use discover::{
    Found, Wanted, describe, discover, has_delta_log, is_visible, list_pattern, path_values,
};
pub(crate) use files::{ScanFile, partition_value, to_catalog};
pub(crate) use format::{by_extension, by_name, compression, options};
pub(crate) use given::GivenFiles;
pub(crate) use iceberg::IcebergTables;
pub(crate) use parallel::in_parallel;
pub(crate) use projection::{Projection, is_projected};
pub(crate) use relabel::relabel_batch;
pub(crate) use rewrite::{DeltaFiles, FILE, ROW};
pub(crate) use storage::{Reading, format_of, location_of, reading};
pub(crate) use travel::{delta_at, delta_table};

use crate::analyzed::Analyzed;
use crate::commit::{AppTransaction, Append};
use crate::engine::Engine;
use columns::Matching;
use files::Leaves;

use crate::resolve::{catalog_schema, check_types};
use crate::rules::Rules;
use crate::session::Session;
use crate::stores::{folder_url, location_url, store_root};
use crate::write::Target;
use crate::{Error, Result};

/// A table of the lake at one version, as a query reads it.
#[derive(Clone)]
pub(crate) struct LakeTable {
    pub(crate) name: String,
    engine: Engine,
    /// As a user sees it.
    schema: SchemaRef,
    /// As files have it: the columns in them, then the partition keys.
    layout: TableSchema,
    format: Format,
    reading: Reading,
    matching: Matching,
    /// Fields in structs whose statistics are known.
    leaves: Arc<Leaves>,
    root: Url,
    source: Source,
    /// Whether the statement reads it: set when a scan of it is planned.
    read: Arc<AtomicBool>,
    /// What rows that are written are to be, where that is known.
    rules: Option<Arc<Rules>>,
    /// What ANALYZE or others told the catalog of the columns.
    analyzed: Option<Arc<Analyzed>>,
}

#[derive(Clone)]
enum Source {
    /// Files of the catalog's partitions, looked up when the filter is known.
    Catalog(Box<CatalogFiles>),
    /// Files that are known already.
    Files { files: Arc<Vec<ScanFile>>, delta: Option<Arc<DeltaSnapshot>> },
}

/// Where the files of a catalog table are.
#[derive(Clone)]
pub(crate) struct CatalogFiles {
    table: Table,
    format: Format,
    location: Url,
    /// The partitions, where they aren't the catalog's.
    projection: Option<Arc<Projection>>,
}

/// How much of a table a scan reads; EXPLAIN shows it.
#[derive(Clone, Debug)]
pub(crate) struct ScanReport {
    pub(crate) partitions: (u64, u64),
    pub(crate) files: (u64, u64),
}

impl fmt::Display for ScanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((partitions, of_partitions), (files, of_files)) = (self.partitions, self.files);
        write!(f, "partitions={partitions}/{of_partitions} files={files}/{of_files}")
    }
}

impl LakeTable {
    /// A table of the catalog, at its newest version.
    pub(crate) async fn open(session: &Session, table: Table) -> Result<Self> {
        let shared = session.engine.shared();
        let (format, location) = storage::find(&shared.stores, &table).await?;
        let name = table.name.to_string();
        let analyzed = Analyzed::of(&shared.catalog, &table).await?;
        let opened = match format {
            Format::Delta => Self::open_delta(session, name.clone(), folder_url(location.clone()))
                .await
                .map_err(|error| error.about(format!("table \"{name}\" ({location})"))),
            Format::Iceberg => Self::open_iceberg(session, &table)
                .await
                .map_err(|error| error.about(format!("table \"{name}\" ({location})"))),
            _ => Self::open_files(session, table, format, location),
        };
        Ok(Self { analyzed: analyzed.map(Arc::new), ..opened? })
    }

    /// A table of plain files.
    fn open_files(session: &Session, table: Table, format: Format, location: Url) -> Result<Self> {
        check_types(&table)?;
        let columns = columns_schema(&table)?;
        let keys = key_fields(&table)?;
        let layout = layout(&columns, keys, format);
        let reading = reading(&table.name.to_string(), &table.spec, format)?;
        let projection = Projection::of(&table)?.map(Arc::new);
        Ok(Self {
            name: table.name.to_string(),
            engine: session.engine.clone(),
            schema: layout.table_schema().clone(),
            layout,
            format,
            reading,
            matching: Matching::Name,
            leaves: Arc::default(),
            root: store_root(&location)?,
            source: Source::Catalog(Box::new(CatalogFiles { table, format, location, projection })),
            read: Arc::default(),
            rules: None,
            analyzed: None,
        })
    }

    /// The Delta table at `url`.
    pub(crate) async fn open_delta(session: &Session, name: String, url: Url) -> Result<Self> {
        let shared = session.engine.shared();
        let delta = shared.delta_tables.newest(shared, &url).await?;
        Self::of_snapshot(session, name, delta).await
    }

    /// A Delta table at the version of `delta`.
    pub(crate) async fn of_snapshot(
        session: &Session,
        name: String,
        delta: Arc<DeltaSnapshot>,
    ) -> Result<Self> {
        let layout = delta.layout()?;
        // A rule that isn't understood matters to those alone who write.
        let rules = delta.rules(session.engine.shared()).ok();
        let files = delta.files(layout.file_schema()).await?;
        let matching = match &delta.mapping {
            Some(mapping) => Matching::Mapped(mapping.clone()),
            None => Matching::Name,
        };
        Ok(Self {
            name,
            engine: session.engine.clone(),
            schema: in_order_of(layout.table_schema(), &delta.schema)?,
            layout,
            format: Format::Delta,
            reading: Reading::default(),
            matching,
            leaves: files.leaves.clone(),
            root: store_root(&delta.url)?,
            source: Source::Files { files: files.all.clone(), delta: Some(delta) },
            read: Arc::default(),
            rules,
            analyzed: None,
        })
    }

    /// An Iceberg table as its metadata is that the catalog points to.
    async fn open_iceberg(session: &Session, table: &Table) -> Result<Self> {
        let shared = session.engine.shared();
        let location = iceberg::metadata_location(&table.spec)?;
        let found = shared.iceberg_tables.table(&shared.stores, location).await?;
        Ok(Self {
            name: table.name.to_string(),
            engine: session.engine.clone(),
            schema: found.schema.clone(),
            layout: found.layout.clone(),
            format: Format::Iceberg,
            reading: Reading::default(),
            matching: Matching::Id(found.ids.clone()),
            leaves: Arc::default(),
            root: found.root.clone(),
            source: Source::Files { files: found.files.clone(), delta: None },
            read: Arc::default(),
            rules: None,
            analyzed: None,
        })
    }

    /// A file or folder that the catalog doesn't know: `FROM 'path'`.
    pub(crate) async fn from_path(session: &Session, path: &str) -> Result<Self> {
        let shared = session.engine.shared();
        let format = match by_extension(path) {
            Some(format) => Some(format),
            None => discover::format_at(&shared.stores, path).await?,
        };
        let Some(format) = format else {
            return Err(Error::unsupported(format!("\"{path}\": a file without a known ending"))
                .with_hint("Use CREATE EXTERNAL TABLE … STORED AS … LOCATION."));
        };
        if format == Format::Delta {
            let url = folder_url(location_url(path)?);
            return Self::open_delta(session, path.to_owned(), url).await;
        }
        let state = session.query_state();
        let parameters = BTreeMap::new();
        let wanted =
            Wanted { location: path, format, parameters: &parameters, columns: None, keys: None };
        let found = discover(&shared.stores, &state, wanted)
            .await
            .map_err(|error| error.with_word(path))?;
        let layout = layout(&found.columns, found.keys, format);
        let files = external::scan_files(found.partitions, &layout)?;
        Ok(Self {
            name: path.to_owned(),
            engine: session.engine.clone(),
            schema: layout.table_schema().clone(),
            layout,
            format,
            reading: Reading { options: parameters, null: None },
            matching: Matching::Name,
            leaves: Arc::default(),
            root: store_root(&found.location)?,
            source: Source::Files { files: Arc::new(files), delta: None },
            read: Arc::default(),
            rules: None,
            analyzed: None,
        })
    }

    /// The table as rows are put into it: NULL stands for values that the table makes itself, so
    /// that what must not be NULL is known when the rows are written.
    pub(crate) fn into_target(mut self) -> Self {
        let fields = self.schema.fields().iter();
        let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
        self.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        self
    }

    /// What rows that are written are to be, where that is known.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.rules.as_deref()
    }

    /// Where rows for this table go.
    pub(crate) async fn write_target(&self) -> Result<Target> {
        match &self.source {
            Source::Catalog(source) => {
                source.check_insert(&self.engine).await?;
                source.write_target()
            }
            Source::Files { delta: Some(delta), .. } => Target::delta(delta.clone()),
            Source::Files { .. } if self.format == Format::Iceberg => {
                Err(Error::unsupported(format!("INSERT INTO the Iceberg table \"{}\"", self.name))
                    .with_hint("Write to it with a tool that has Iceberg, such as PyIceberg."))
            }
            Source::Files { delta: None, .. } => {
                Err(Error::unsupported(format!("INSERT INTO the file \"{}\"", self.name))
                    .with_hint("Make a table: CREATE TABLE … AS SELECT * FROM 'file'."))
            }
        }
    }

    /// The files in the partitions that the filters leave, with how many there are in all.
    async fn files(
        &self,
        state: &dyn PlanSession,
        partition_filters: &[Expr],
    ) -> Result<(Vec<ScanFile>, ScanReport)> {
        let files = match &self.source {
            Source::Catalog(source) => {
                let shared = self.engine.shared();
                let files = external::files(shared, state, source, &self.layout, partition_filters);
                return files.await;
            }
            Source::Files { files, .. } => files,
        };
        let keys = rewrite::own_keys(&self.layout);
        let partitions = |files: &[ScanFile]| match keys {
            0 => 1,
            keys => distinct_partitions(files, keys),
        };
        let (of_partitions, of_files) = (partitions(files), files.len() as u64);
        let files = files::in_partitions(
            state,
            files.as_ref().clone(),
            |file| &file.partition_values,
            &partition_schema(&self.layout),
            partition_filters,
        )?;
        let report = ScanReport {
            partitions: (partitions(&files), of_partitions),
            files: (files.len() as u64, of_files),
        };
        Ok((files, report))
    }

    fn is_partition_filter(&self, filter: &Expr) -> bool {
        let keys: Vec<&str> =
            self.layout.table_partition_cols().iter().map(|key| key.name().as_str()).collect();
        !keys.is_empty()
            && datafusion::datasource::listing::helpers::expr_applicable_for_cols(&keys, filter)
    }

    /// The columns of `projection` (or all) as positions in the files' layout.
    fn projection(&self, projection: Option<&Vec<usize>>) -> Result<Vec<usize>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        projection
            .unwrap_or(&all)
            .iter()
            .map(|index| {
                Ok(self.layout.table_schema().index_of(self.schema.field(*index).name())?)
            })
            .collect()
    }

    async fn plan_scan(
        &self,
        state: &dyn PlanSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (partition_filters, data_filters): (Vec<Expr>, Vec<Expr>) =
            filters.iter().cloned().partition(|filter| self.is_partition_filter(filter));
        let (files, mut report) = self.files(state, &partition_filters).await?;
        let columns = self.layout.file_schema();
        let only_columns: Vec<Expr> = data_filters
            .iter()
            .filter(|filter| {
                filter.column_refs().iter().all(|column| columns.index_of(&column.name).is_ok())
            })
            .cloned()
            .collect();
        let files = files.into_iter().filter(has_rows).collect();
        let mut files = files::by_statistics(state, files, columns, &self.leaves, &only_columns)?;
        if let (Some(limit), true) = (limit, data_filters.is_empty()) {
            files = enough_for(files, limit);
        }
        report.files.0 = files.len() as u64;
        let projection = self.projection(projection)?;
        if files.is_empty() {
            let schema = Arc::new(self.layout.table_schema().project(&projection)?);
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let read = match &self.reading.null {
            Some(_) => text::as_text(&self.layout),
            None => self.layout.clone(),
        };
        let mut scans = Vec::new();
        for (compression, files) in by_compression(files, self.format) {
            let options = state.default_table_options();
            let reader = format::reader(self.format, &self.reading.options, compression, options)?;
            let (groups, statistics) = self.groups(state, files, &report).await?;
            let source = reader.file_source(read.clone());
            let url = ObjectStoreUrl::parse(self.root.as_str())?;
            let config = FileScanConfigBuilder::new(url, source)
                .with_file_groups(groups)
                .with_statistics(statistics)
                .with_projection_indices(Some(projection.clone()))?
                .with_limit(limit)
                .with_expr_adapter(Some(Arc::new(self.matching.clone())))
                .build();
            scans.push(reader.create_physical_plan(state, config).await?);
        }
        let scan = match scans.len() {
            1 => scans.swap_remove(0),
            _ => UnionExec::try_new(scans)?,
        };
        match &self.reading.null {
            Some(null) => {
                let wanted = self.layout.table_schema().project(&projection)?;
                text::typed(state, scan, &wanted, null)
            }
            None => Ok(scan),
        }
    }

    async fn groups(
        &self,
        state: &dyn PlanSession,
        files: Vec<ScanFile>,
        report: &ScanReport,
    ) -> Result<(Vec<FileGroup>, Statistics)> {
        let store = self.engine.shared().stores.store(&self.root)?;
        let selections = delta::selections(&store, &files).await?;
        let unknown = Arc::new(Statistics::new_unknown(self.layout.file_schema()));
        let mut files: Vec<PartitionedFile> = files
            .into_iter()
            .zip(selections)
            .map(|(file, selection)| {
                let scanned = self.partitioned(file, &unknown);
                match selection {
                    Some(selection) => scanned.with_extension(selection),
                    None => scanned,
                }
            })
            .collect();
        // One has it for all: extensions of many files are slow to copy.
        if let Some(first) = files.first_mut() {
            first.extensions.insert(Arc::new(report.clone()));
        }
        let groups = FileGroup::new(files)
            .split_files(state.config().target_partitions())
            .into_iter()
            .map(|group| {
                let files = group.files().iter();
                let merged = self.merged(files.filter_map(|file| file.statistics.as_deref()))?;
                Ok(group.with_statistics(Arc::new(merged)))
            })
            .collect::<Result<Vec<FileGroup>>>()?;
        let mut statistics = self.merged(groups.iter().filter_map(|g| g.file_statistics(None)))?;
        if let Some(analyzed) = &self.analyzed {
            analyzed.complete(&mut statistics, self.layout.table_schema());
        }
        Ok((groups, statistics))
    }

    /// A file of a scan, with statistics of its columns and its partition's values.
    fn partitioned(&self, file: ScanFile, unknown: &Arc<Statistics>) -> PartitionedFile {
        let statistics = file.statistics.unwrap_or_else(|| unknown.clone());
        let has_keys =
            statistics.column_statistics.len() == self.layout.table_schema().fields().len();
        let statistics = match has_keys {
            true => statistics,
            false => Arc::new(files::with_keys(&statistics, &file.partition_values)),
        };
        let scanned = PartitionedFile::new_from_meta(file.meta)
            .with_partition_values(file.partition_values.to_vec());
        PartitionedFile { statistics: Some(statistics), ..scanned }
    }

    fn merged<'a>(&self, parts: impl Iterator<Item = &'a Statistics>) -> Result<Statistics> {
        Ok(Statistics::try_merge_iter(parts, self.layout.table_schema())?)
    }
}

impl CatalogFiles {
    fn write_target(&self) -> Result<Target> {
        if self.projection.is_some() {
            return Err(Error::unsupported(format!(
                "INSERT INTO table \"{}\", whose partitions are projected",
                self.table.name
            ))
            .with_hint("Write the files with the tool that owns them: a query finds them."));
        }
        let location = match self.table.spec.details.is_empty() {
            true => self.location.clone(),
            false => folder_url(self.location.clone()),
        };
        let mut table = self.table.clone();
        table.spec.location = Some(location.to_string());
        Target::external(&table, self.format)
    }

    /// Refuses rows for partitions whose folders are not where this engine would put files.
    async fn check_insert(&self, engine: &Engine) -> Result<()> {
        if self.table.spec.details.is_empty() {
            return Ok(());
        }
        let catalog = &engine.shared().catalog;
        let partitions = catalog.partitions(&self.table, &PartitionFilter::default()).await?;
        let is_keyed = !self.table.spec.partition_keys.is_empty();
        let is_listed = partitions.iter().all(|partition| partition.files.is_some());
        if if is_keyed { is_listed } else { !partitions.is_empty() } {
            return Ok(());
        }
        Err(Error::unsupported(format!(
            "INSERT INTO table \"{}\", whose files are not listed in the catalog",
            self.table.name
        ))
        .with_hint("Write the files with the tool that owns them, or run REFRESH TABLE first."))
    }
}

pub(crate) fn partition_schema(layout: &TableSchema) -> SchemaRef {
    Arc::new(Schema::new(layout.table_partition_cols().clone()))
}

/// The schema of a catalog table's files: its columns without the partition keys.
fn columns_schema(table: &Table) -> Result<Schema> {
    let all = catalog_schema(table)?;
    Ok(Schema::new(all.fields()[..table.spec.columns.len()].to_vec()))
}

fn key_fields(table: &Table) -> Result<Vec<FieldRef>> {
    let all = catalog_schema(table)?;
    Ok(all.fields()[table.spec.columns.len()..].to_vec())
}

/// Parquet's strings are read as views, which is what joins and grouping are fast on.
fn layout(columns: &Schema, keys: Vec<FieldRef>, format: Format) -> TableSchema {
    let columns = match format {
        Format::Csv | Format::Json => columns.clone(),
        _ => with_views(columns),
    };
    TableSchema::builder(Arc::new(columns)).with_table_partition_cols(keys).build()
}

fn with_views(schema: &Schema) -> Schema {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let data_type = match field.data_type() {
                DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
                DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
                other => other.clone(),
            };
            field.as_ref().clone().with_data_type(data_type)
        })
        .collect();
    Schema::new(fields)
}

/// The fields of `layout` in the order of `wanted`.
fn in_order_of(layout: &Schema, wanted: &Schema) -> Result<SchemaRef> {
    let fields = wanted
        .fields()
        .iter()
        .map(|field| Ok(layout.field_with_name(field.name())?.clone()))
        .collect::<Result<Vec<Field>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// How many partitions the files are of. Files of one mostly share its values.
fn distinct_partitions(files: &[ScanFile], keys: usize) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let firsts = files.iter().filter(|file| seen.insert(file.partition_values.as_ptr()));
    let values: std::collections::HashSet<_> =
        firsts.map(|file| file.partition_values.get(..keys)).collect();
    values.len() as u64
}

/// Whether there may be rows in the file that aren't deleted.
fn has_rows(file: &ScanFile) -> bool {
    file.statistics.as_ref().is_none_or(|statistics| statistics.num_rows != Precision::Exact(0))
}

/// The first files that hold at least `limit` rows for certain.
fn enough_for(files: Vec<ScanFile>, limit: usize) -> Vec<ScanFile> {
    let mut rows = 0;
    let mut kept = Vec::new();
    for file in files {
        if rows >= limit {
            break;
        }
        let known = file.statistics.as_ref().and_then(|s| s.num_rows.get_value().copied());
        rows += known.unwrap_or(0);
        kept.push(file);
    }
    kept
}

/// A scan reads files of one compression.
fn by_compression(
    files: Vec<ScanFile>,
    format: Format,
) -> Vec<(
    datafusion::datasource::file_format::file_compression_type::FileCompressionType,
    Vec<ScanFile>,
)> {
    use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
    let mut groups: Vec<(FileCompressionType, Vec<ScanFile>)> = Vec::new();
    for file in files {
        let compression = match format {
            Format::Csv | Format::Json => format::compression(file.meta.location.as_ref()),
            _ => FileCompressionType::UNCOMPRESSED,
        };
        match groups.iter_mut().find(|(known, _)| *known == compression) {
            Some((_, group)) => group.push(file),
            None => groups.push((compression, vec![file])),
        }
    }
    groups
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeTable({})", self.name)
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> ProviderType {
        ProviderType::Base
    }

    async fn scan(
        &self,
        state: &dyn PlanSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.read.store(true, Ordering::Release);
        self.plan_scan(state, projection, filters, limit).await.map_err(DataFusionError::from)
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let support = filters.iter().map(|filter| match self.is_partition_filter(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        });
        Ok(support.collect())
    }

    fn get_column_default(&self, column: &str) -> Option<&Expr> {
        self.rules.as_ref()?.default_of(column)
    }

    async fn insert_into(
        &self,
        state: &dyn PlanSession,
        input: Arc<dyn ExecutionPlan>,
        op: InsertOp,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if op != InsertOp::Append {
            return Err(Error::unsupported("REPLACE INTO")
                .with_hint("Use INSERT OVERWRITE, or MERGE INTO … WHEN MATCHED THEN UPDATE.")
                .into());
        }
        let target = self.write_target().await?;
        let transaction = state.config().get_extension::<AppTransaction>();
        let how = Append {
            transaction: transaction.map(|transaction| transaction.as_ref().clone()),
            read: self.read.clone(),
        };
        target.check(&how, &self.name)?;
        let input = in_parallel(input, state.config_options())?;
        Ok(crate::write::insert_plan(self.engine.clone(), &self.name, target, how, input))
    }
}

/// The report that a scan's files carry.
pub(crate) fn report_of(file: &PartitionedFile) -> Option<&ScanReport> {
    file.extension::<Arc<ScanReport>>().map(AsRef::as_ref)
}
