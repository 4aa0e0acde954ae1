//! CREATE EXTERNAL TABLE: a table over files that are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::{
    Column, Error as CatalogError, Format, Partition, Table, TableName, TableSpec, TableType,
};
use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::CreateExternalTable;
use datafusion::sql::sqlparser::ast::{ColumnDef, Value};

use super::create_table::{
    already_exists, check_replaced, column_comments, column_schema, install,
};
use super::{Command, command};
use crate::hidden::Hidden;
use crate::parse::name_parts;
use crate::query::Plan;
use crate::rows::without_views;
use crate::scan::{self, Wanted};
use crate::session::Session;
use crate::stores::{folder_url, location_url};
use crate::types::type_string;
use crate::{Error, ErrorKind, Result};

struct CreateExternal {
    name: TableName,
    location: String,
    format: Format,
    columns: Hidden<Vec<ColumnDef>>,
    keys: Vec<String>,
    options: Vec<(String, String)>,
    if_not_exists: bool,
    or_replace: bool,
}

pub(super) fn plan(session: &Session, create: &CreateExternalTable) -> Result<Plan> {
    let name = session.table_name(&name_parts(&create.name))?;
    if create.unbounded {
        return Err(Error::unsupported("CREATE UNBOUNDED EXTERNAL TABLE"));
    }
    if create.temporary {
        return Err(Error::unsupported("temporary tables").with_hint("Leave out TEMPORARY."));
    }
    if !create.order_exprs.is_empty() {
        return Err(Error::unsupported("WITH ORDER on external tables")
            .with_hint("Leave it out; order the query instead."));
    }
    if !create.constraints.is_empty() {
        return Err(Error::unsupported("constraints on external tables"));
    }
    let [location] = create.locations.as_slice() else {
        return Err(Error::unsupported("several locations of one table")
            .with_hint("Put the files into one folder, or use a pattern such as 'folder/*.csv'."));
    };
    let options = create.options.iter().map(|(key, value)| (key.clone(), option_text(value)));
    Ok(command(CreateExternal {
        name,
        location: location.clone(),
        format: scan::by_name(&create.file_type)?,
        columns: Hidden::new(create.columns.clone()),
        keys: create.table_partition_cols.iter().map(|key| key.to_lowercase()).collect(),
        options: options.collect(),
        if_not_exists: create.if_not_exists,
        or_replace: create.or_replace,
    }))
}

fn option_text(value: &Value) -> String {
    match value {
        Value::SingleQuotedString(text)
        | Value::DoubleQuotedString(text)
        | Value::EscapedStringLiteral(text) => text.clone(),
        other => other.to_string(),
    }
}

#[async_trait(?Send)]
impl Command for CreateExternal {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let catalog = session.catalog();
        session
            .find_database(self.name.database())
            .await
            .map_err(|error| error.with_word(self.name.database()))?;
        let existing = match catalog.table(&self.name).await {
            Ok(table) => Some(table),
            Err(CatalogError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if existing.is_some() && self.if_not_exists {
            return Ok(Vec::new());
        }
        if let Some(existing) = &existing {
            if !self.or_replace {
                return Err(already_exists(&self.name));
            }
            check_replaced(existing)?;
        }
        let (spec, partitions) = self
            .spec(session)
            .await
            .map_err(|error| error.about(format!("table \"{}\"", self.name)))?;
        match install(session, &self.name, spec, partitions, existing).await {
            Ok(()) => Ok(Vec::new()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.if_not_exists => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}

impl CreateExternal {
    async fn spec(&self, session: &Session) -> Result<(TableSpec, Vec<Partition>)> {
        if self.format == Format::Delta {
            return Ok((self.delta_spec(session).await?, Vec::new()));
        }
        let state = session.query_state();
        let parameters =
            scan::options(self.format, self.options.clone(), state.default_table_options())?;
        if scan::is_projected(&parameters) {
            return self.projected_spec(&state, parameters).await;
        }
        let given = match self.columns.get().is_empty() {
            true => None,
            false => {
                let schema = column_schema(&state, self.columns.get()).await?;
                Some(without_views(&schema))
            }
        };
        let wanted = Wanted {
            location: &self.location,
            format: self.format,
            parameters: &parameters,
            columns: given.as_ref().map(|given| without(given, &self.keys)),
            keys: self.given_keys(given.as_ref()),
        };
        let found = scan::discover(&session.engine.shared().stores, &state, wanted).await?;
        let comments = column_comments(self.columns.get());
        let spec = TableSpec {
            table_type: TableType::External,
            format: Some(self.format),
            location: Some(found.location.to_string()),
            columns: columns(&found.columns, &comments)?,
            partition_keys: columns(&Schema::new(found.keys), &comments)?,
            comment: None,
            parameters,
            view: None,
            details: Default::default(),
        };
        Ok((spec, found.partitions))
    }

    /// A table whose partitions follow from its parameters: nothing is listed.
    async fn projected_spec(
        &self,
        state: &SessionState,
        parameters: BTreeMap<String, String>,
    ) -> Result<(TableSpec, Vec<Partition>)> {
        if self.columns.get().is_empty() || self.keys.is_empty() {
            return Err(Error::invalid("a table with projection.enabled needs columns and keys")
                .with_hint("Give a column list and PARTITIONED BY."));
        }
        let schema = column_schema(state, self.columns.get()).await?;
        let schema = without_views(&schema);
        let comments = column_comments(self.columns.get());
        let keys: Vec<Field> = self
            .keys
            .iter()
            .map(|key| match schema.field_with_name(key) {
                Ok(field) => field.clone(),
                Err(_) => Field::new(key, DataType::Utf8, true),
            })
            .collect();
        let spec = TableSpec {
            table_type: TableType::External,
            format: Some(self.format),
            location: Some(folder_url(location_url(&self.location)?).to_string()),
            columns: columns(&without(&schema, &self.keys), &comments)?,
            partition_keys: columns(&Schema::new(keys), &comments)?,
            comment: None,
            parameters,
            view: None,
            details: Default::default(),
        };
        scan::Projection::parse(&self.name.to_string(), &spec)?;
        Ok((spec, Vec::new()))
    }

    /// The keys of PARTITIONED BY, with their types where the column list has them.
    fn given_keys(&self, columns: Option<&SchemaRef>) -> Option<Vec<(String, Option<DataType>)>> {
        if self.keys.is_empty() {
            return None;
        }
        let data_type = |key: &String| {
            let field = columns?.field_with_name(key).ok()?;
            Some(field.data_type().clone())
        };
        Some(self.keys.iter().map(|key| (key.clone(), data_type(key))).collect())
    }

    async fn delta_spec(&self, session: &Session) -> Result<TableSpec> {
        if !self.columns.get().is_empty() || !self.keys.is_empty() {
            return Err(Error::invalid("a Delta table has its columns and partitions in its log")
                .with_hint("Leave out the column list and PARTITIONED BY."));
        }
        let url = folder_url(location_url(&self.location)?);
        let shared = session.engine.shared();
        let delta =
            shared.delta_tables.newest(shared, &url).await.map_err(|error| match error.kind() {
                ErrorKind::NotFound => {
                    Error::new(ErrorKind::NotFound, format!("there is no Delta table at {url}"))
                        .with_hint("The location must hold a folder _delta_log.")
                }
                _ => error.about(&url),
            })?;
        let (columns, partition_keys) = delta_columns(&delta)?;
        Ok(TableSpec {
            table_type: TableType::External,
            format: Some(Format::Delta),
            location: Some(url.to_string()),
            columns,
            partition_keys,
            comment: None,
            parameters: BTreeMap::new(),
            view: None,
            details: Default::default(),
        })
    }
}

/// The columns and the partition keys of a Delta table, as the catalog keeps them.
pub(super) fn delta_columns(delta: &scan::DeltaSnapshot) -> Result<(Vec<Column>, Vec<Column>)> {
    let is_key = |name: &str| delta.partition_columns.iter().any(|key| key == name);
    let pick = |keys: bool| {
        let fields = delta.schema.fields().iter().filter(|f| is_key(f.name()) == keys);
        Schema::new(fields.cloned().collect::<Vec<_>>())
    };
    Ok((columns(&pick(false), &BTreeMap::new())?, columns(&pick(true), &BTreeMap::new())?))
}

fn without(schema: &SchemaRef, keys: &[String]) -> SchemaRef {
    let fields = schema.fields().iter().filter(|field| !keys.contains(field.name()));
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// Arrow fields as the catalog keeps columns.
pub(super) fn columns(schema: &Schema, comments: &BTreeMap<String, String>) -> Result<Vec<Column>> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let comment = comments.get(field.name()).or_else(|| field.metadata().get("comment"));
            Ok(Column {
                name: field.name().clone(),
                data_type: type_string(field.data_type())
                    .map_err(|error| error.about(format!("column \"{}\"", field.name())))?,
                nullable: field.is_nullable(),
                comment: comment.cloned(),
            })
        })
        .collect()
}

/// The same files looked at again: REFRESH TABLE.
pub(super) async fn rediscover(
    session: &Session,
    table: &Table,
) -> Result<(TableSpec, Vec<Partition>)> {
    let state = session.query_state();
    let schema = crate::resolve::catalog_schema(table)?;
    let keys: Vec<(String, Option<DataType>)> = schema.fields()[table.spec.columns.len()..]
        .iter()
        .map(|field| (field.name().clone(), Some(field.data_type().clone())))
        .collect();
    let format = scan::format_of(&table.spec).unwrap_or(Format::Parquet);
    let reading = scan::reading(&table.name.to_string(), &table.spec, format)?;
    // A text without a header has no names: the catalog's columns stay as they are.
    let fixed = !table.spec.details.is_empty() && format == Format::Csv;
    let columns_given = Arc::new(Schema::new(schema.fields()[..table.spec.columns.len()].to_vec()));
    let location = scan::location_of(&table.spec).unwrap_or_default();
    let wanted = Wanted {
        location: &location,
        format,
        parameters: &reading.options,
        columns: fixed.then_some(columns_given),
        keys: (!keys.is_empty()).then_some(keys),
    };
    let found = scan::discover(&session.engine.shared().stores, &state, wanted).await?;
    // Columns keep their types and places; new ones come after them.
    let mut spec = table.spec.clone();
    for column in columns(&found.columns, &BTreeMap::new())? {
        if !spec.columns.iter().any(|known| known.name.eq_ignore_ascii_case(&column.name)) {
            spec.columns.push(Column { nullable: true, ..column });
        }
    }
    Ok((spec, found.partitions))
}
