//! CREATE TABLE, … AS SELECT and … LIKE: a Delta table in the lake.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::{
    Change, Error as CatalogError, Format, Partition, Table, TableName, TableSpec, TableType,
    Update,
};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, ColumnOption, helpers::stmt_create_table::CreateTableBuilder,
};
use futures::{Stream, TryStreamExt};
use url::Url;
use uuid::Uuid;

use super::create_external_table::columns;
use super::declared::{DeclaredColumns, constraints};
use super::{Action, Command, drop_table, rows};
use crate::commit::{AppTransaction, Append};
use crate::definition::{Definition, checked_properties};
use crate::parse::{CreateTable, check_forms, fold};
use crate::query::{Plan, QueryKind, RowsPlan, no_columns};
use crate::rules::Rules;
use crate::scan::{format_of, in_parallel};
use crate::session::Session;
use crate::write::{
    FILE_BYTES, Place, Target, check_key, create_delta, delta_columns, delta_schema, insert,
    write_files,
};
use crate::{Error, ErrorKind, Result};

/// Everything about a new table but its rows.
pub(crate) struct TableDefinition {
    pub(crate) name: TableName,
    /// All columns, in order.
    pub(crate) schema: SchemaRef,
    pub(crate) definition: Definition,
    /// Of a bulk load that is done once.
    pub(crate) transaction: Option<AppTransaction>,
    pub(crate) if_not_exists: bool,
    pub(crate) or_replace: bool,
}

struct Create {
    definition: TableDefinition,
    rows: Option<RowsPlan>,
}

pub(super) async fn plan(session: &Session, create: &CreateTable) -> Result<Plan> {
    check_forms(create)?;
    let name = session.table_name(&create.name)?;
    let (schema, mut definition, rows) = match (&create.query, &create.like) {
        (Some(query), _) => {
            let (schema, rows) = query_rows(session, query).await?;
            let definition = Definition::new(delta_columns(&schema)?, Vec::new());
            (schema, definition, Some(rows))
        }
        (None, Some(like)) => {
            let (schema, definition) = like_table(session, like).await?;
            (schema, definition, None)
        }
        (None, None) => {
            let declared = DeclaredColumns::of(session, &create.columns).await?;
            (declared.schema, Definition::new(declared.columns, Vec::new()), None)
        }
    };
    if schema.fields().is_empty() {
        return Err(Error::invalid(format!("table \"{name}\" has no columns"))
            .with_hint("Write CREATE TABLE name (column type, …), or … AS SELECT."));
    }
    clauses(&mut definition, create, &schema, &name)?;
    let schema = with_nullability(&schema, &definition);
    super::declared::check(session, &definition, &schema)?;
    let (kind, output) = match rows {
        Some(_) => (QueryKind::RowCount, count_schema()),
        None => (QueryKind::Command, no_columns()),
    };
    let (if_not_exists, or_replace) = (create.if_not_exists, create.or_replace);
    let definition =
        TableDefinition { name, schema, definition, transaction: None, if_not_exists, or_replace };
    let action = Action::Command(Arc::new(Create { definition, rows }));
    Ok(Plan { kind, schema: output, parameters: Vec::new(), action })
}

/// The rows of `AS SELECT`, and their columns with types that Delta has.
async fn query_rows(session: &Session, query: &Statement) -> Result<(SchemaRef, RowsPlan)> {
    let planned = rows::plan(session, query, QueryKind::Rows, None).await?;
    match planned.action {
        Action::Rows(rows) => Ok((delta_schema(&planned.schema)?, *rows)),
        _ => Err(Error::invalid("CREATE TABLE … AS can't have parameters")),
    }
}

/// The definition of another table, for one without rows.
async fn like_table(session: &Session, name: &[String]) -> Result<(SchemaRef, Definition)> {
    let table = super::existing_table(session, name).await?;
    if format_of(&table.spec) == Some(Format::Delta) {
        let snapshot = super::alter_table::snapshot(session, &table).await?;
        let definition = Definition::of(session.engine.shared(), &snapshot).await?;
        return Ok((snapshot.schema.clone(), definition.blank()?));
    }
    if table.spec.table_type == TableType::View {
        return Err(Error::unsupported(format!("LIKE of the view \"{}\"", table.name))
            .with_hint("Use CREATE TABLE … AS SELECT * FROM the view WHERE false."));
    }
    let schema = delta_schema(crate::resolve::catalog_schema(&table)?.as_ref())?;
    let keys = table.spec.partition_keys.iter().map(|key| key.name.clone()).collect();
    let mut definition = Definition::new(delta_columns(&schema)?, keys);
    definition.comment = table.spec.comment.clone();
    Ok((schema, definition))
}

/// What comes after the columns, and the constraints.
fn clauses(
    definition: &mut Definition,
    create: &CreateTable,
    schema: &Schema,
    name: &TableName,
) -> Result<()> {
    if !create.keys.is_empty() {
        definition.keys = partition_keys(&create.keys, schema)?;
    }
    if create.comment.is_some() {
        definition.comment = create.comment.clone();
    }
    definition.name = Some(name.table().to_owned());
    let properties = checked_properties(create.properties.clone())?;
    definition.set_properties(properties)?;
    for constraint in constraints(definition, create, name.table())? {
        definition.add_constraint(&constraint)?;
    }
    for constraint in &create.constraints {
        for name in constraint.primary_key() {
            definition.column_mut(name)?.nullable = false;
        }
    }
    let at_columns = create.columns.iter().filter(|column| column.clustered);
    let at_columns: Vec<String> = at_columns.map(|column| column.name.clone()).collect();
    match (create.clustering.is_empty(), at_columns.is_empty()) {
        (false, _) => definition.cluster_by(&create.clustering),
        (true, false) => definition.cluster_by(&at_columns),
        (true, true) => Ok(()),
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

/// The columns of a primary key take no NULL.
fn with_nullability(schema: &Schema, definition: &Definition) -> SchemaRef {
    let pairs = schema.fields().iter().zip(&definition.columns);
    let fields: Vec<Field> = pairs
        .map(|(field, column)| field.as_ref().clone().with_nullable(column.nullable))
        .collect();
    Arc::new(Schema::new(fields))
}

/// The columns that `PARTITIONED BY` names.
fn partition_keys(names: &[String], schema: &Schema) -> Result<Vec<String>> {
    for key in names {
        let field = schema.field_with_name(key).map_err(|_| {
            Error::new(ErrorKind::NotFound, format!("partition key \"{key}\" is no column"))
                .with_hint("Name columns of the table in PARTITIONED BY.")
        })?;
        check_key(field)?;
    }
    if names.len() == schema.fields().len() {
        return Err(Error::invalid("all columns are partition keys")
            .with_hint("Leave at least one column out of PARTITIONED BY."));
    }
    Ok(names.to_vec())
}

pub(super) fn already_exists(name: &TableName) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("table \"{name}\" already exists"))
        .with_hint("Use CREATE OR REPLACE, IF NOT EXISTS, or another name.")
}

/// Makes the catalog's record of a new table, in the place of `replaced` in the same moment.
pub(super) async fn install(
    session: &Session,
    name: &TableName,
    spec: TableSpec,
    partitions: Vec<Partition>,
    replaced: Option<Table>,
) -> Result<()> {
    let catalog = session.catalog();
    let Some(replaced) = replaced else {
        catalog.create_table(name, spec, partitions).await?;
        return Ok(());
    };
    check_replaced(&replaced)?;
    let create = Change::Create { name: name.clone(), spec: Box::new(spec), partitions };
    let changes = [Change::Drop { table: Box::new(replaced.clone()) }, create];
    match catalog.apply(&changes).await? {
        Update::Done(()) => {
            drop_table::remove_data(session, &replaced).await;
            Ok(())
        }
        Update::Conflict { .. } => {
            Err(Error::new(ErrorKind::Conflict, format!("table \"{name}\" was changed by others"))
                .with_hint("Run the statement again."))
        }
    }
}

/// A table replaces tables only.
pub(super) fn check_replaced(existing: &Table) -> Result<()> {
    if existing.spec.table_type != TableType::View {
        return Ok(());
    }
    Err(Error::new(ErrorKind::AlreadyExists, format!("\"{}\" is a view", existing.name))
        .with_hint("Drop the view first, or choose another name."))
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
                let config = rows.context.session_config().options();
                let physical = in_parallel(rows.physical.clone(), config)?;
                let stream = execute_stream(physical, rows.context.clone())?;
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
    let TableDefinition { name, schema, .. } = definition;
    session
        .find_database(name.database())
        .await
        .map_err(|error| error.with_word(name.database()))?;
    let replaced = match session.catalog().table(name).await {
        Ok(_) if definition.if_not_exists => return Ok(0),
        Ok(table) if definition.or_replace => Some(table),
        Ok(_) => return Err(already_exists(name)),
        Err(CatalogError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(replaced) = &replaced {
        check_replaced(replaced)?;
    }
    let shared = session.engine.shared();
    let location = new_location(&shared.lake, name)?;
    let about = |error: Error| error.about(format!("table \"{name}\""));
    shared.commits.check_store(shared, &location).await.map_err(about)?;
    let mut new = definition.definition.clone();
    let made = create_with_rows(session, &mut new, &location, definition, rows);
    let count = made.await.map_err(about)?;
    let spec = spec(schema, &new, &location)?;
    match install(session, name, spec, Vec::new(), replaced).await {
        Ok(()) => Ok(count),
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::Conflict) => {
            // Somebody else made a table of this name meanwhile: ours was never visible.
            drop_table::remove_location(session, &location).await;
            Err(match error.kind() {
                ErrorKind::AlreadyExists => already_exists(name),
                _ => error,
            })
        }
        // The catalog may have the table and only not have said so: its files stay.
        Err(error) => Err(error),
    }
}

/// Makes the table's log. Its first rows come with its first version; where files have names of
/// their own for columns, these are known only then, and the rows come with the second.
async fn create_with_rows(
    session: &Session,
    new: &mut Definition,
    location: &Url,
    table: &TableDefinition,
    rows: impl Stream<Item = Result<RecordBatch>>,
) -> Result<u64> {
    let shared = session.engine.shared();
    let transaction = table.transaction.as_ref();
    if new.is_mapped() {
        create_delta(shared, location, new, Vec::new(), None).await?;
        let snapshot = shared.delta_tables.newest(shared, location).await?;
        let how = Append { transaction: table.transaction.clone(), ..Append::default() };
        return insert(&session.engine, &Target::delta(snapshot)?, &how, rows).await;
    }
    let place = Place {
        location: location.clone(),
        keys: new.keys.clone(),
        clustering: new.clustering.clone(),
        physical: None,
        file_bytes: FILE_BYTES,
    };
    let rules = Rules::of_schema(table.schema.clone());
    let written = write_files(shared, &place, &rules, rows).await?;
    create_delta(shared, location, new, written.adds, transaction).await?;
    Ok(written.rows)
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

fn spec(schema: &Schema, definition: &Definition, location: &Url) -> Result<TableSpec> {
    let is_key = |field: &Field| definition.keys.iter().any(|key| key == field.name());
    let others = schema.fields().iter().filter(|field| !is_key(field)).cloned();
    let keys = definition
        .keys
        .iter()
        .map(|key| Ok(schema.field_with_name(key)?.clone()))
        .collect::<Result<Vec<Field>>>()?;
    Ok(TableSpec {
        table_type: TableType::Managed,
        format: Some(Format::Delta),
        location: Some(location.to_string()),
        columns: columns(&Schema::new(others.collect::<Vec<_>>()), &BTreeMap::new())?,
        partition_keys: columns(&Schema::new(keys), &BTreeMap::new())?,
        comment: definition.comment.clone(),
        parameters: definition.properties.clone(),
        view: None,
        details: Default::default(),
    })
}
