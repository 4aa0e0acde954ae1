//! What there is: catalogs, databases, tables, keys, types and the server itself.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::metadata::{
    GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder, SqlInfoData, XdbcTypeInfoData,
};
use arrow_flight::sql::{Command, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables};
use arrow_flight::{FlightDescriptor, FlightInfo, Ticket};
use boathouse_engine::{CATALOG, TableEntry, TableKind};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{Answer, flight_error, flight_info};
use crate::pattern::matches;
use crate::plain::plain_schema;
use crate::session::Session;
use crate::sql_info::{Limits, sql_info};
use crate::status::status;
use crate::types::{described, xdbc_types};

/// What answers metadata commands beside the catalog.
pub(crate) struct Metadata {
    sql_info: SqlInfoData,
    xdbc_types: XdbcTypeInfoData,
}

impl Metadata {
    /// Builds what never changes.
    pub(crate) fn new(limits: &Limits) -> Result<Self, arrow_flight::error::FlightError> {
        Ok(Self { sql_info: sql_info(limits)?, xdbc_types: xdbc_types()? })
    }

    /// The command itself is its ticket: it is answered when it is fetched.
    pub(super) fn info(
        &self,
        command: Command,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let schema = self.schema(&command)?;
        let ticket = Ticket { ticket: command.into_any().encode_to_vec().into() };
        flight_info(&schema, ticket, request.into_inner()).map(Response::new)
    }

    /// The schema of the command's answer.
    pub(super) fn schema(&self, command: &Command) -> Result<SchemaRef, Status> {
        Ok(match command {
            Command::CommandGetCatalogs(_) => GetCatalogsBuilder::new().schema(),
            Command::CommandGetDbSchemas(_) => schemas_builder().schema(),
            Command::CommandGetTables(get) => tables_builder(get.include_schema).schema(),
            Command::CommandGetTableTypes(get) => get.into_builder().schema(),
            Command::CommandGetSqlInfo(_) => self.sql_info.schema(),
            Command::CommandGetXdbcTypeInfo(_) => self.xdbc_types.schema(),
            Command::CommandGetPrimaryKeys(_) => Arc::clone(&PRIMARY_KEYS),
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => Arc::clone(&FOREIGN_KEYS),
            other => return Err(unknown(other)),
        })
    }

    /// The command's answer.
    pub(super) async fn rows(
        &self,
        session: &Session,
        command: Command,
    ) -> Result<RecordBatch, Status> {
        match command {
            Command::CommandGetCatalogs(_) => catalogs(),
            Command::CommandGetDbSchemas(get) => schemas(session, get).await,
            Command::CommandGetTables(get) => tables(session, get).await,
            Command::CommandGetTableTypes(_) => table_types(),
            Command::CommandGetSqlInfo(get) => {
                self.sql_info.record_batch(get.info).map_err(flight_error)
            }
            Command::CommandGetXdbcTypeInfo(get) => {
                self.xdbc_types.record_batch(get.data_type).map_err(flight_error)
            }
            // A lake has no keys.
            command => Ok(RecordBatch::new_empty(self.schema(&command)?)),
        }
    }
}

fn catalogs() -> Result<RecordBatch, Status> {
    let mut builder = GetCatalogsBuilder::new();
    builder.append(CATALOG);
    builder.build().map_err(flight_error)
}

async fn schemas(session: &Session, get: CommandGetDbSchemas) -> Result<RecordBatch, Status> {
    let mut builder = schemas_builder();
    if in_catalog(get.catalog.as_deref()) {
        let databases = session.engine.databases().await.map_err(status)?;
        let pattern = get.db_schema_filter_pattern.as_deref();
        for database in databases.iter().filter(|name| like(pattern, name)) {
            builder.append(CATALOG, database);
        }
    }
    builder.build().map_err(flight_error)
}

async fn tables(session: &Session, get: CommandGetTables) -> Result<RecordBatch, Status> {
    let mut builder = tables_builder(get.include_schema);
    if in_catalog(get.catalog.as_deref()) {
        let tables = session.engine.tables(get.include_schema).await.map_err(status)?;
        for table in tables.iter().filter(|table| wanted(&get, table)) {
            let schema = described_schema(table);
            let kind = table.kind.as_str();
            let (database, name) = (&table.database, &table.name);
            builder.append(CATALOG, database, name, kind, &schema).map_err(flight_error)?;
        }
    }
    builder.build().map_err(flight_error)
}

fn wanted(get: &CommandGetTables, table: &TableEntry) -> bool {
    let kind = table.kind.as_str();
    like(get.db_schema_filter_pattern.as_deref(), &table.database)
        && like(get.table_name_filter_pattern.as_deref(), &table.name)
        && (get.table_types.is_empty() || get.table_types.iter().any(|wanted| wanted == kind))
}

fn described_schema(table: &TableEntry) -> Schema {
    let schema = table.schema.as_ref().map(plain_schema);
    schema.map_or_else(Schema::empty, |schema| {
        described(&schema, CATALOG, &table.database, &table.name)
    })
}

fn table_types() -> Result<RecordBatch, Status> {
    let mut builder = CommandGetTableTypes {}.into_builder();
    for kind in [TableKind::Table, TableKind::View, TableKind::SystemTable] {
        builder.append(kind.as_str());
    }
    builder.build().map_err(flight_error)
}

/// An empty name asks for what is in no catalog, and there is no such thing.
fn in_catalog(filter: Option<&str>) -> bool {
    filter.is_none_or(|name| name == CATALOG)
}

fn like(pattern: Option<&str>, name: &str) -> bool {
    pattern.is_none_or(|pattern| matches(pattern, name))
}

fn schemas_builder() -> GetDbSchemasBuilder {
    GetDbSchemasBuilder::new(None::<String>, None::<String>)
}

fn tables_builder(include_schema: bool) -> GetTablesBuilder {
    let (none, all) = (None::<String>, Vec::<String>::new());
    GetTablesBuilder::new(none.clone(), none.clone(), none, all, include_schema)
}

fn unknown(command: &Command) -> Status {
    Status::unimplemented(format!("{} is not supported", command.type_url()))
}

static PRIMARY_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
});

static FOREIGN_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
});
