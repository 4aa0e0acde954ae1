//! CREATE TABLE and CREATE TABLE AS SELECT: a Delta table in the lake.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::{
    Error as CatalogError, Format, Table, TableName, TableSpec, TableType, Update,
};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, ColumnOption, CommentDef, CreateTable, CreateTableOptions, Expr,
    HiveDistributionStyle, SqlOption, Statement as Sql,
    helpers::stmt_create_table::CreateTableBuilder,
};
use futures::{Stream, TryStreamExt};
use url::Url;
use uuid::Uuid;

use super::create_external_table::columns;
use super::{Action, Command, drop_table, rows};
use crate::parse::{fold, name_parts};
use crate::query::{Plan, QueryKind, RowsPlan, no_columns};
use crate::session::Session;
use crate::write::{
    Layout, NewTable, Target, check_key, create_delta, delta_schema, insert, write_files,
};
use crate::{Error, ErrorKind, Result};

/// The property that gives columns names of their own in files.
const COLUMN_MAPPING: &str = "delta.columnMapping.mode";

/// Everything about a new table but its rows.
pub(crate) struct TableDefinition {
    pub(crate) name: TableName,
    pub(crate) schema: SchemaRef,
    pub(crate) keys: Vec<String>,
    pub(crate) comment: Option<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) if_not_exists: bool,
    pub(crate) or_replace: bool,
}

struct Create {
    definition: TableDefinition,
    rows: Option<RowsPlan>,
}

pub(super) async fn plan(session: &Session, create: &CreateTable) -> Result<Plan> {
    check_clauses(create)?;
    let name = session.table_name(&name_parts(&create.name))?;
    let (schema, query) = match &create.query {
        Some(query) => {
            if !create.columns.is_empty() {
                return Err(Error::unsupported("a column list in CREATE TABLE … AS")
                    .with_hint("Name and cast the columns in the query."));
            }
            let query = Statement::Statement(Box::new(Sql::Query(query.clone())));
            let planned = rows::plan(session, &query, QueryKind::Rows, None).await?;
            match planned.action {
                Action::Rows(rows) => (planned.schema, Some(*rows)),
                _ => return Err(Error::invalid("CREATE TABLE … AS can't have parameters")),
            }
        }
        None => (column_schema(&session.query_state(), &create.columns).await?, None),
    };
    let schema = delta_schema(&schema)?;
    let schema = with_comments(&schema, &column_comments(&create.columns));
    if schema.fields().is_empty() {
        return Err(Error::invalid(format!("table \"{name}\" has no columns"))
            .with_hint("Write CREATE TABLE name (column type, …), or … AS SELECT."));
    }
    let keys = partition_keys(create, &schema)?;
    let kind = if query.is_some() { QueryKind::RowCount } else { QueryKind::Command };
    let output = if query.is_some() { count_schema() } else { no_columns() };
    let definition = TableDefinition {
        name,
        schema,
        keys,
        comment: create.comment.as_ref().map(comment_text),
        properties: properties(create)?,
        if_not_exists: create.if_not_exists,
        or_replace: create.or_replace,
    };
    Ok(Plan {
        kind,
        schema: output,
        parameters: Vec::new(),
        action: Action::Command(Arc::new(Create { definition, rows: query })),
    })
}

fn check_clauses(create: &CreateTable) -> Result<()> {
    let refused = [
        (create.temporary, "TEMPORARY tables"),
        (create.external, "CREATE EXTERNAL TABLE without STORED AS and LOCATION"),
        (create.location.is_some(), "LOCATION for a table in the lake"),
        (create.like.is_some(), "CREATE TABLE … LIKE"),
        (create.clone.is_some(), "CREATE TABLE … CLONE"),
        (!create.constraints.is_empty(), "table constraints"),
        (create.cluster_by.is_some() || create.clustered_by.is_some(), "CLUSTER BY"),
        (create.order_by.is_some(), "ORDER BY in CREATE TABLE"),
    ];
    match refused.iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(Error::unsupported(*clause)),
        None => Ok(()),
    }
}

/// The Arrow schema of a column list.
pub(super) async fn column_schema(
    state: &SessionState,
    columns: &[ColumnDef],
) -> Result<SchemaRef> {
    let mut plain = columns.to_vec();
    for column in &mut plain {
        for option in &column.options {
            match &option.option {
                ColumnOption::NotNull | ColumnOption::Null | ColumnOption::Comment(_) => {}
                other => {
                    return Err(Error::unsupported(format!(
                        "\"{other}\" at column \"{}\"",
                        column.name.value
                    ))
                    .with_hint("Columns take a type, NOT NULL and COMMENT 'text'."));
                }
            }
        }
        column.options.retain(|option| matches!(option.option, ColumnOption::NotNull));
        column.name.value = fold(&column.name);
        column.name.quote_style = Some('"');
    }
    let table = CreateTableBuilder::new(datafusion::sql::sqlparser::ast::ObjectName::from(vec![
        datafusion::sql::sqlparser::ast::Ident::new("t"),
    ]));
    let create = table.columns(plain).build();
    let statement = Statement::Statement(Box::new(create.into()));
    match state.statement_to_plan(statement).await? {
        LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(create)) => {
            Ok(Arc::new(create.input.schema().as_arrow().clone()))
        }
        other => Err(Error::internal(format!("a column list became {}", other.display()))),
    }
}

pub(super) fn column_comments(columns: &[ColumnDef]) -> BTreeMap<String, String> {
    let mut comments = BTreeMap::new();
    for column in columns {
        for option in &column.options {
            if let ColumnOption::Comment(text) = &option.option {
                comments.insert(fold(&column.name), text.clone());
            }
        }
    }
    comments
}

fn with_comments(schema: &Schema, comments: &BTreeMap<String, String>) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let mut field = field.as_ref().clone();
            if let Some(text) = comments.get(field.name()) {
                let metadata = [("comment".to_owned(), text.clone())];
                field.set_metadata(metadata.into_iter().collect());
            }
            field
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn comment_text(comment: &CommentDef) -> String {
    match comment {
        CommentDef::WithEq(text) | CommentDef::WithoutEq(text) => text.clone(),
    }
}

/// `PARTITIONED BY (a, b)` as Spark writes it, or `PARTITION BY`.
fn partition_keys(create: &CreateTable, schema: &Schema) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    if let HiveDistributionStyle::PARTITIONED { columns } = &create.hive_distribution {
        keys.extend(columns.iter().map(|column| fold(&column.name)));
    }
    if let Some(expr) = &create.partition_by {
        collect_names(expr, &mut keys)?;
    }
    for key in &keys {
        let field = schema.field_with_name(key).map_err(|_| {
            Error::new(ErrorKind::NotFound, format!("partition key \"{key}\" is no column"))
                .with_hint("Name columns of the table in PARTITIONED BY.")
        })?;
        check_key(field)?;
    }
    if !keys.is_empty() && keys.len() == schema.fields().len() {
        return Err(Error::invalid("all columns are partition keys")
            .with_hint("Leave at least one column out of PARTITIONED BY."));
    }
    Ok(keys)
}

fn collect_names(expr: &Expr, names: &mut Vec<String>) -> Result<()> {
    match expr {
        Expr::Identifier(ident) => names.push(fold(ident)),
        Expr::Nested(inner) => collect_names(inner, names)?,
        Expr::Tuple(exprs) => {
            for expr in exprs {
                collect_names(expr, names)?;
            }
        }
        other => {
            return Err(Error::unsupported(format!("partitioning by the expression {other}"))
                .with_hint("Partition by columns; make one with the expression."));
        }
    }
    Ok(())
}

fn properties(create: &CreateTable) -> Result<BTreeMap<String, String>> {
    let options = match &create.table_options {
        CreateTableOptions::None => return Ok(BTreeMap::new()),
        CreateTableOptions::TableProperties(options)
        | CreateTableOptions::With(options)
        | CreateTableOptions::Options(options)
        | CreateTableOptions::Plain(options) => options,
    };
    let mut properties = BTreeMap::new();
    for option in options {
        match option {
            SqlOption::KeyValue { key, value } => {
                let text = match value {
                    Expr::Value(value) => value.value.clone().into_string(),
                    _ => None,
                };
                properties.insert(key.value.clone(), text.unwrap_or_else(|| value.to_string()));
            }
            other => return Err(Error::unsupported(format!("table option \"{other}\""))),
        }
    }
    Ok(properties)
}

pub(super) fn already_exists(name: &TableName) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("table \"{name}\" already exists"))
        .with_hint("Use CREATE OR REPLACE, IF NOT EXISTS, or another name.")
}

/// Takes the table that CREATE OR REPLACE replaces out of the catalog, with its data.
pub(super) async fn drop_for_replacing(session: &Session, existing: &Table) -> Result<()> {
    if existing.spec.table_type == TableType::View {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("\"{}\" is a view", existing.name),
        )
        .with_hint("Drop the view first, or choose another name."));
    }
    match session.catalog().drop_table_if_unchanged(existing).await? {
        Update::Done(()) => {
            drop_table::remove_data(session, existing).await;
            Ok(())
        }
        Update::Conflict { .. } => Err(Error::new(
            ErrorKind::Conflict,
            format!("table \"{}\" was changed by others", existing.name),
        )
        .with_hint("Run the statement again.")),
    }
}

/// `count`, as INSERT gives it.
pub(crate) fn count_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("count", DataType::UInt64, false)]))
}

#[async_trait(?Send)]
impl Command for Create {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let Some(rows) = &self.rows else {
            create_table(session, &self.definition, futures::stream::empty()).await?;
            return Ok(Vec::new());
        };
        let count =
            if self.definition.if_not_exists && exists(session, &self.definition.name).await? {
                0
            } else {
                let stream = execute_stream(rows.physical.clone(), rows.context.clone())?;
                let stream = rows.sources.name_in_errors(stream).map_err(Error::from);
                create_table(session, &self.definition, stream).await?
            };
        let batch =
            RecordBatch::try_new(count_schema(), vec![Arc::new(UInt64Array::from(vec![count]))])?;
        Ok(vec![batch])
    }
}

async fn exists(session: &Session, name: &TableName) -> Result<bool> {
    match session.catalog().table(name).await {
        Ok(_) => Ok(true),
        Err(CatalogError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes a table with its first rows: data files, then the log's first version, then the
/// catalog's record. Before the last of these nothing is visible.
pub(crate) async fn create_table(
    session: &Session,
    definition: &TableDefinition,
    rows: impl Stream<Item = Result<RecordBatch>>,
) -> Result<u64> {
    let TableDefinition { name, schema, keys, .. } = definition;
    let catalog = session.catalog();
    session
        .find_database(name.database())
        .await
        .map_err(|error| error.with_word(name.database()))?;
    let replaced = match catalog.table(name).await {
        Ok(_) if definition.if_not_exists => return Ok(0),
        Ok(table) if definition.or_replace => Some(table),
        Ok(_) => return Err(already_exists(name)),
        Err(CatalogError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let shared = session.engine.shared();
    let location = new_location(&shared.lake, name)?;
    let about = |error: Error| error.about(format!("table \"{name}\""));
    let new = NewTable {
        name: name.table(),
        location: &location,
        schema,
        keys: keys.clone(),
        comment: definition.comment.clone(),
        properties: definition.properties.clone(),
    };
    let count = create_with_rows(session, new, rows).await.map_err(about)?;
    let spec = spec(definition, &location)?;
    if let Some(replaced) = replaced {
        drop_for_replacing(session, &replaced).await?;
    }
    match catalog.create_table(name, spec.clone(), Vec::new()).await {
        Ok(_) => Ok(count),
        Err(error) => {
            // Somebody else made a table of this name meanwhile: ours was never visible.
            drop_table::remove_location(session, &location).await;
            Err(match error {
                CatalogError::AlreadyExists { .. } => already_exists(name),
                error => error.into(),
            })
        }
    }
}

/// A Delta table's first rows come with its first version. Where its log gives columns other names
/// in files, these are known only then, and the rows come with the second.
async fn create_with_rows(
    session: &Session,
    new: NewTable<'_>,
    rows: impl Stream<Item = Result<RecordBatch>>,
) -> Result<u64> {
    let shared = session.engine.shared();
    let location = new.location.clone();
    let mode = new.properties.get(COLUMN_MAPPING).map_or("none", String::as_str);
    if !["none", "name", "id"].contains(&mode) {
        return Err(Error::invalid(format!("property {COLUMN_MAPPING} is \"{mode}\""))
            .with_hint("It can be none, name or id."));
    }
    if mode == "none" {
        let layout = Layout::plain(location, new.schema.clone(), new.keys.clone());
        let (adds, count) = write_files(shared, layout, rows).await?;
        create_delta(shared, new, adds).await?;
        return Ok(count);
    }
    create_delta(shared, new, Vec::new()).await?;
    let snapshot = shared.delta_tables.newest(shared, &location).await?;
    insert(&session.engine, &Target::delta(snapshot)?, rows).await
}

/// A folder of its own for each table that is made, so that dropping one and making another of
/// the same name never meet in one place.
fn new_location(lake: &Url, name: &TableName) -> Result<Url> {
    let id = Uuid::new_v4().simple().to_string();
    let path =
        format!("curated/{}/{}-{}/", encoded(name.database()), encoded(name.table()), &id[..12]);
    lake.join(&path).map_err(|error| Error::internal(format!("location of \"{name}\": {error}")))
}

/// Names may hold characters that paths shouldn't.
fn encoded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

fn spec(definition: &TableDefinition, location: &Url) -> Result<TableSpec> {
    let is_key = |field: &Field| definition.keys.iter().any(|key| key == field.name());
    let fields = definition.schema.fields();
    let pick = |keys: bool| {
        Schema::new(
            fields.iter().filter(|field| is_key(field) == keys).cloned().collect::<Vec<_>>(),
        )
    };
    let keys = definition
        .keys
        .iter()
        .map(|key| Ok(definition.schema.field_with_name(key)?.clone()))
        .collect::<Result<Vec<Field>>>()?;
    Ok(TableSpec {
        table_type: TableType::Managed,
        format: Some(Format::Delta),
        location: Some(location.to_string()),
        columns: columns(&pick(false), &BTreeMap::new())?,
        partition_keys: columns(&Schema::new(keys), &BTreeMap::new())?,
        comment: definition.comment.clone(),
        parameters: definition.properties.clone(),
        view: None,
        details: Default::default(),
    })
}
