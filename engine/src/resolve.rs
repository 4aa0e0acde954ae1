//! Names to tables at fixed versions: each reference of a statement is looked up once, before
//! planning.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::{Format, Table, TableName, View};
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, SchemaProvider, Session as PlanSession, TableProvider,
};
use datafusion::common::{DataFusionError, TableReference};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::{MemTable, TableType as ProviderType, ViewTable};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Statement as Sql, TableObject};
use futures::StreamExt;
use futures::future::LocalBoxFuture;

use crate::names::did_you_mean;
use crate::parse::{AsOf, Parsed, name_parts, parse, split_name};
use crate::scan::{LakeTable, delta_at, format_of, location_of};
use crate::session::{Session, TableEntry, TableKind, no_such_catalog};
use crate::settings::CATALOG;
use crate::system::{INFORMATION_SCHEMA, SYSTEM, SystemTable, system_table};
use crate::types::arrow_type;
use crate::{Error, ErrorKind, Result};

/// How many files a message names; of more it names the table's location.
const FILES_NAMED: usize = 3;
/// Views within views.
const VIEW_DEPTH_MAX: usize = 32;

/// Looks up every table that `statement` names and gives `state` a catalog of just these.
pub(crate) async fn resolve(
    session: &Session,
    state: &mut SessionState,
    statement: &Statement,
) -> Result<Arc<Sources>> {
    let sources = Arc::new(Sources::default());
    let database = &state.config_options().catalog.default_schema;
    let target = insert_target(statement, database);
    let mut resolver =
        Resolver { session, sources: sources.clone(), target, found: HashMap::new() };
    resolver.resolve(state, statement, 0).await?;
    Ok(sources)
}

/// Database and name of the table that an INSERT puts rows into.
fn insert_target(statement: &Statement, database: &str) -> Option<(String, String)> {
    let Statement::Statement(sql) = statement else { return None };
    let Sql::Insert(insert) = sql.as_ref() else { return None };
    let TableObject::TableName(name) = &insert.table else { return None };
    let mut parts = name_parts(name);
    let table = parts.pop()?;
    let database = parts.pop().unwrap_or_else(|| database.to_owned());
    Some((database.to_lowercase(), table))
}

struct Resolver<'a> {
    session: &'a Session,
    sources: Arc<Sources>,
    /// By database and table, what rows are put into.
    target: Option<(String, String)>,
    /// By database and table, so that a table named twice is one version.
    found: HashMap<(String, String), Arc<dyn TableProvider>>,
}

impl Resolver<'_> {
    async fn resolve(
        &mut self,
        state: &mut SessionState,
        statement: &Statement,
        depth: usize,
    ) -> Result<()> {
        let database = state.config_options().catalog.default_schema.clone();
        let mut tables = QueryTables::default();
        for reference in state.resolve_table_references(statement)? {
            let is_function = matches!(&reference, TableReference::Bare { table }
                if state.table_functions().contains_key(table.as_ref()));
            let parts = reference.resolve(CATALOG, &database);
            if parts.catalog.as_ref() != CATALOG {
                return Err(no_such_catalog(&parts.catalog).with_word(parts.catalog.as_ref()));
            }
            if parts.schema.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
                tables.load_all(self.session).await?;
                continue;
            }
            if let Some(table) = system_table(self.session, &parts.schema, &parts.table).await? {
                let table = table.read(self.session).await?;
                tables.add(&parts.schema, &parts.table, table);
                continue;
            }
            match self.table(state, &parts.schema, &parts.table, depth).await {
                Ok(table) => tables.add(&parts.schema, &parts.table, table),
                Err(error) if is_function && error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        state.register_catalog_list(Arc::new(tables));
        Ok(())
    }

    async fn table(
        &mut self,
        state: &SessionState,
        database: &str,
        name: &str,
        depth: usize,
    ) -> Result<Arc<dyn TableProvider>> {
        let key = (database.to_lowercase(), name.to_owned());
        if let Some(table) = self.found.get(&key) {
            return Ok(table.clone());
        }
        let (plain, wanted) = split_name(name);
        let table = if wanted != AsOf::Newest {
            self.version(state, database, plain, &wanted).await?
        } else if is_path(name) {
            let table = LakeTable::from_path(self.session, name).await?;
            self.sources.add(name, name, None);
            Arc::new(table) as Arc<dyn TableProvider>
        } else {
            let full = TableName::new(database, name)?;
            let table = match self.session.catalog().table(&full).await {
                Ok(table) => table,
                Err(error) => return Err(not_found(self.session, &full, error.into()).await),
            };
            match &table.spec.view {
                Some(view) => {
                    self.sources.add_view(&full);
                    self.view(state, &table, view, depth).await?
                }
                None => {
                    let location = location_of(&table.spec).unwrap_or_default();
                    self.sources.add(&full.to_string(), &location, format_of(&table.spec));
                    let table = LakeTable::open(self.session, table).await?;
                    let is_target = self.target.as_ref() == Some(&key);
                    Arc::new(if is_target { table.as_target() } else { table })
                }
            }
        };
        self.found.insert(key, table.clone());
        Ok(table)
    }

    /// A Delta table at another version than the newest, or its changes.
    async fn version(
        &mut self,
        state: &SessionState,
        database: &str,
        plain: &str,
        wanted: &AsOf,
    ) -> Result<Arc<dyn TableProvider>> {
        if is_path(plain) {
            self.sources.add(plain, plain, Some(Format::Delta));
            return delta_at(self.session, state, plain, None, wanted).await;
        }
        let full = TableName::new(database, plain)?;
        let table = match self.session.catalog().table(&full).await {
            Ok(table) => table,
            Err(error) => return Err(not_found(self.session, &full, error.into()).await),
        };
        let location = location_of(&table.spec).unwrap_or_default();
        self.sources.add(&full.to_string(), &location, format_of(&table.spec));
        delta_at(self.session, state, &full.to_string(), Some(&table), wanted).await
    }

    /// A view's plan; a boxed future, since a view may name views.
    fn view<'b>(
        &'b mut self,
        state: &'b SessionState,
        table: &'b Table,
        view: &'b View,
        depth: usize,
    ) -> LocalBoxFuture<'b, Result<Arc<dyn TableProvider>>> {
        Box::pin(async move {
            if depth >= VIEW_DEPTH_MAX {
                return Err(Error::invalid(format!(
                    "view \"{}\" is nested more than {VIEW_DEPTH_MAX} views deep",
                    table.name
                ))
                .with_hint("Does it refer to itself? Replace one of the views."));
            }
            let Parsed::Sql(statement) = parse(&view.sql)? else {
                return Err(Error::bad_data(format!("view \"{}\" is no query", table.name)));
            };
            let mut state = state.clone();
            state.config_mut().options_mut().catalog.default_schema = view.database.clone();
            let about = |error: Error| error.about(format!("in view \"{}\"", table.name));
            self.resolve(&mut state, statement.get(), depth + 1).await.map_err(about)?;
            let plan = state
                .statement_to_plan(statement.get().clone())
                .await
                .map_err(|error| about(error.into()))?;
            Ok(Arc::new(ViewTable::new(plan, Some(view.sql.clone()))) as Arc<dyn TableProvider>)
        })
    }
}

/// `FROM 'folder/file.parquet'`: a file rather than a name.
fn is_path(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let ends = [".parquet", ".csv", ".json", ".ndjson", ".jsonl", ".gz", ".zst"];
    name.contains('/') || ends.iter().any(|end| lower.ends_with(end))
}

/// The error for a table that isn't there: says whether it's the database that is missing, and
/// which names are near.
pub(crate) async fn not_found(session: &Session, name: &TableName, error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    if let Err(error) = session.find_database(name.database()).await {
        return error.with_word(name.database());
    }
    let summaries = session.catalog().table_summaries(None).await.unwrap_or_default();
    let here: Vec<&str> = summaries
        .iter()
        .filter(|summary| summary.name.database() == name.database())
        .map(|summary| summary.name.table())
        .collect();
    let elsewhere: Vec<String> = summaries
        .iter()
        .filter(|summary| summary.name.table() == name.table())
        .map(|summary| summary.name.to_string())
        .collect();
    let error = Error::new(ErrorKind::NotFound, format!("table \"{name}\" does not exist"))
        .with_word(name.table());
    if !elsewhere.is_empty() {
        return error.with_hint(format!("There is {}.", elsewhere.join(" and ")));
    }
    match did_you_mean(name.table(), &here) {
        Some(hint) => error.with_hint(hint),
        None if here.is_empty() => {
            error.with_hint(format!("Database \"{}\" has no tables yet.", name.database()))
        }
        None => error.with_hint("SHOW TABLES lists them."),
    }
}

/// Whether the engine knows the types of all of a table's columns.
pub(crate) fn check_types(table: &Table) -> Result<()> {
    for column in table.spec.columns.iter().chain(&table.spec.partition_keys) {
        arrow_type(&column.data_type).map_err(|error| {
            error.about(format!("column \"{}\" of table \"{}\"", column.name, table.name))
        })?;
    }
    Ok(())
}

/// The columns of a table as the catalog has them, partition keys last. A type that the engine
/// doesn't know, in a table of other tools, is listed as a string; such a table isn't read.
pub(crate) fn catalog_schema(table: &Table) -> Result<SchemaRef> {
    let columns = table.spec.columns.iter().chain(&table.spec.partition_keys);
    let fields = columns
        .map(|column| {
            let data_type = arrow_type(&column.data_type).unwrap_or(DataType::Utf8);
            let mut field = Field::new(&column.name, data_type, column.nullable);
            if let Some(comment) = &column.comment {
                field.set_metadata(HashMap::from([("comment".to_owned(), comment.clone())]));
            }
            Ok(field)
        })
        .collect::<Result<Vec<Field>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// The tables of `information_schema` and `system`, for metadata calls.
pub(crate) async fn own_tables(with_schema: bool) -> Result<Vec<TableEntry>> {
    let provider = InformationSchemaProvider::new(Arc::new(QueryTables::default()));
    let mut entries = Vec::new();
    for name in provider.table_names() {
        let schema = match with_schema {
            true => provider.table(&name).await?.map(|table| table.schema()),
            false => None,
        };
        entries.push(TableEntry {
            database: INFORMATION_SCHEMA.into(),
            name,
            kind: TableKind::SystemTable,
            comment: None,
            schema,
        });
    }
    entries.extend(SystemTable::ALL.map(|table| TableEntry {
        database: SYSTEM.into(),
        name: table.name().into(),
        kind: TableKind::SystemTable,
        comment: None,
        schema: with_schema.then(|| table.schema()),
    }));
    Ok(entries)
}

/// A query's tables as DataFusion looks them up: what was resolved, and for queries of
/// `information_schema` all that the catalog has.
#[derive(Clone, Debug, Default)]
struct QueryTables {
    databases: BTreeMap<String, BTreeMap<String, Arc<dyn TableProvider>>>,
}

impl QueryTables {
    fn add(&mut self, database: &str, name: &str, table: Arc<dyn TableProvider>) {
        let tables = self.databases.entry(database.to_owned()).or_default();
        tables.insert(name.to_owned(), table);
    }

    async fn load_all(&mut self, session: &Session) -> Result<()> {
        for database in session.databases().await? {
            self.databases.entry(database).or_default();
        }
        for table in session.catalog().all_tables().await? {
            let listed = ListedTable { schema: catalog_schema(&table)?, table };
            let database = listed.table.name.database().to_owned();
            let tables = self.databases.entry(database).or_default();
            let name = listed.table.name.table().to_owned();
            tables.entry(name).or_insert_with(|| Arc::new(listed));
        }
        let tables = self.databases.entry(SYSTEM.to_owned()).or_default();
        for table in SystemTable::ALL {
            if let Entry::Vacant(free) = tables.entry(table.name().to_owned()) {
                free.insert(table.listed()?);
            }
        }
        Ok(())
    }
}

impl CatalogProviderList for QueryTables {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as Arc<dyn CatalogProvider>)
    }
}

impl CatalogProvider for QueryTables {
    fn schema_names(&self) -> Vec<String> {
        self.databases.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == INFORMATION_SCHEMA {
            return Some(Arc::new(InformationSchema(self.clone())));
        }
        let tables = self.databases.get(name)?.clone();
        Some(Arc::new(DatabaseTables(tables)))
    }
}

#[derive(Debug)]
struct DatabaseTables(BTreeMap<String, Arc<dyn TableProvider>>);

#[async_trait]
impl SchemaProvider for DatabaseTables {
    fn table_names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(self.0.get(name).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// DataFusion's `information_schema`, but for `views`, where it lists all tables.
#[derive(Debug)]
struct InformationSchema(QueryTables);

impl InformationSchema {
    fn provider(&self) -> InformationSchemaProvider {
        InformationSchemaProvider::new(Arc::new(self.0.clone()))
    }

    fn views(&self) -> Result<Arc<dyn TableProvider>> {
        let mut rows = Vec::new();
        for (database, tables) in &self.0.databases {
            for (name, table) in tables {
                if let (ProviderType::View, Some(sql)) =
                    (table.table_type(), table.get_table_definition())
                {
                    rows.push([CATALOG, database.as_str(), name.as_str(), sql]);
                }
            }
        }
        let names = ["table_catalog", "table_schema", "table_name", "definition"];
        let fields: Vec<Field> = names
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, *name == "definition"))
            .collect();
        let columns = (0..names.len())
            .map(|column| {
                let values = rows.iter().map(|row| Some(row[column]));
                Arc::new(values.collect::<StringArray>()) as ArrayRef
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(schema.clone(), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        self.provider().table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if name == "views" {
            return Ok(Some(self.views()?));
        }
        self.provider().table(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.provider().table_exist(name)
    }
}

/// A table that `information_schema` lists and the query doesn't read.
struct ListedTable {
    table: Table,
    schema: SchemaRef,
}

impl fmt::Debug for ListedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListedTable({})", self.table.name)
    }
}

#[async_trait]
impl TableProvider for ListedTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> ProviderType {
        match TableKind::from(self.table.spec.table_type) {
            TableKind::View => ProviderType::View,
            TableKind::Table | TableKind::SystemTable => ProviderType::Base,
        }
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.table.spec.view.as_ref().map(|view| view.sql.as_str())
    }

    async fn scan(
        &self,
        _state: &dyn PlanSession,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Err(Error::internal(format!("table \"{}\" was listed, not resolved", self.table.name))
            .into())
    }
}

/// What a query reads, so that an error about a file can name its table.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    tables: Vec<Source>,
    views: Vec<TableName>,
    /// The files that the plan reads, by their format's name.
    files: Vec<(String, Vec<String>)>,
}

#[derive(Clone, Debug)]
struct Source {
    name: String,
    location: String,
    format: Option<Format>,
}

impl Sources {
    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, name: &str, location: &str, format: Option<Format>) {
        let source = Source { name: name.into(), location: location.into(), format };
        self.lock().tables.push(source);
    }

    fn add_view(&self, name: &TableName) {
        self.lock().views.push(name.clone());
    }

    /// Whether the query reads this view, itself or through others.
    pub(crate) fn has_view(&self, name: &TableName) -> bool {
        self.lock().views.contains(name)
    }

    /// Notes the files that `plan` reads.
    pub(crate) fn add_files(&self, plan: &Arc<dyn ExecutionPlan>) {
        let scan = plan
            .downcast_ref::<DataSourceExec>()
            .and_then(|source| source.data_source().downcast_ref::<FileScanConfig>());
        if let Some(scan) = scan {
            let files = scan.file_groups.iter().flat_map(|group| group.files());
            let paths = files.map(|file| file.object_meta.location.to_string());
            let kind = scan.file_source().file_type().to_owned();
            self.lock().files.push((kind, paths.take(FILES_NAMED + 1).collect()));
        }
        for child in plan.children() {
            self.add_files(child);
        }
    }

    /// The files that a message of this text can be about, where they are few.
    fn suspects(&self, text: &str) -> Vec<String> {
        let kinds = [("bad CSV", "csv"), ("bad JSON", "json"), ("bad Parquet", "parquet")];
        let Some((_, kind)) = kinds.iter().find(|(sign, _)| text.starts_with(sign)) else {
            return Vec::new();
        };
        let found = self.lock();
        let mut files: Vec<String> = found
            .files
            .iter()
            .filter(|(known, _)| known == kind)
            .flat_map(|(_, files)| files.iter().map(|file| format!("/{file}")))
            .collect();
        files.dedup();
        if files.len() > FILES_NAMED { Vec::new() } else { files }
    }

    /// The stream with table and location in front of each error about a file.
    pub(crate) fn name_in_errors(
        self: &Arc<Self>,
        stream: SendableRecordBatchStream,
    ) -> SendableRecordBatchStream {
        let sources = self.clone();
        let schema = stream.schema();
        let named = stream.map(move |batch| {
            batch.map_err(|error| DataFusionError::from(sources.name(Error::from(error))))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, named))
    }

    /// The error with the tables that it can be about.
    pub(crate) fn name(&self, error: Error) -> Error {
        let about_files = matches!(
            error.kind(),
            ErrorKind::BadData
                | ErrorKind::NotFound
                | ErrorKind::PermissionDenied
                | ErrorKind::Unavailable
        );
        let sources = self.lock().tables.clone();
        let text = error.to_string();
        let files = self.suspects(&text);
        let suspects: Vec<&Source> =
            sources.iter().filter(|source| source.may_be_in(&text)).collect();
        if !about_files || suspects.is_empty() {
            return error;
        }
        let named: Vec<String> = match (suspects.as_slice(), files.is_empty()) {
            ([source], false) if source.name != source.location => {
                vec![format!("table \"{}\" ({})", source.name, files.join(", "))]
            }
            _ => suspects.iter().map(|source| source.describe()).collect(),
        };
        let external = suspects
            .iter()
            .all(|source| !matches!(source.format, Some(Format::Delta | Format::Iceberg)));
        let hinted = error.hint().is_some();
        let error = error.about(named.join(", "));
        if external && !hinted {
            return error.with_hint(
                "Check the file. If files were replaced or removed since the table was made, \
                 run REFRESH TABLE.",
            );
        }
        error
    }
}

impl Source {
    fn may_be_in(&self, text: &str) -> bool {
        match self.format {
            Some(Format::Csv) => !text.starts_with("bad Parquet") && !text.starts_with("bad JSON"),
            Some(Format::Json) => !text.starts_with("bad Parquet") && !text.starts_with("bad CSV"),
            Some(_) => !text.starts_with("bad CSV") && !text.starts_with("bad JSON"),
            None => true,
        }
    }

    fn describe(&self) -> String {
        if self.name == self.location {
            format!("\"{}\"", self.location)
        } else {
            format!("table \"{}\" ({})", self.name, self.location)
        }
    }
}
