//! A table as Glue shapes it, and as the catalog keeps it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::columns::{
    ColumnShape, Storage, columns, keep_parameters, known_columns, known_storage, shapes,
};
use super::{CATALOG_ID, milliseconds, only, own, seconds};
use crate::{Error, Format, Result, Table, TableName, TableSpec, TableType, View};

/// What Presto and Athena put around the text of a view.
const PRESTO_VIEW: (&str, &str) = ("/* Presto View: ", " */");
/// The members of an input.
const INPUT: [&str; 14] = [
    "Name",
    "Description",
    "Owner",
    "LastAccessTime",
    "LastAnalyzedTime",
    "Retention",
    "StorageDescriptor",
    "PartitionKeys",
    "ViewOriginalText",
    "ViewExpandedText",
    "TableType",
    "Parameters",
    "TargetTable",
    "ViewDefinition",
];

/// What a client says to make or change a table.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TableInput {
    /// Its name.
    pub name: String,
    description: Option<String>,
    storage_descriptor: Option<Storage>,
    partition_keys: Option<Vec<ColumnShape>>,
    table_type: Option<String>,
    parameters: Option<BTreeMap<String, String>>,
    owner: Option<String>,
    last_access_time: Option<f64>,
    last_analyzed_time: Option<f64>,
    retention: Option<u64>,
    view_original_text: Option<String>,
    view_expanded_text: Option<String>,
    target_table: Option<Map<String, Value>>,
    federated_table: Option<Map<String, Value>>,
    view_definition: Option<Map<String, Value>>,
}

impl TableInput {
    /// The definition that the catalog keeps; `database` is where a view looks names up.
    ///
    /// What [`table_shape`] shows of a table that was made by SQL comes back as it was.
    pub fn into_spec(self, database: &str) -> Result<TableSpec> {
        let spec = self.foreign_spec(database)?;
        Ok(own::restored(&spec).unwrap_or(spec))
    }

    /// The definition of a table that somebody else made.
    fn foreign_spec(self, database: &str) -> Result<TableSpec> {
        let mut details = self.details();
        let view = match self.table_type.as_deref() {
            Some("VIRTUAL_VIEW") => self.view(database),
            _ => None,
        };
        let mut storage = self.storage_descriptor.unwrap_or_default();
        let parameters = self.parameters.unwrap_or_default();
        let format = match &view {
            Some(_) => None,
            None => format(&parameters, &storage),
        };
        let keys = self.partition_keys.unwrap_or_default();
        let column_shapes = storage.columns.take().unwrap_or_default();
        let location = storage.location.take().filter(|location| !location.is_empty());
        let is_place = view.is_none() && location.as_deref().is_some_and(|l| l.contains("://"));

        keep_parameters(&column_shapes, &mut details);
        keep_parameters(&keys, &mut details);
        let mut kept = object(&storage)?;
        if let Some(location) = location.as_ref().filter(|_| !is_place) {
            kept.insert("Location".into(), json!(location));
        }
        details.insert("StorageDescriptor".into(), Value::Object(kept));
        Ok(TableSpec {
            table_type: if view.is_some() { TableType::View } else { TableType::External },
            format: format.filter(|_| is_place),
            location: location.filter(|_| is_place),
            columns: columns(Some(&column_shapes)),
            partition_keys: if view.is_some() { Vec::new() } else { columns(Some(&keys)) },
            comment: self.description,
            parameters,
            view,
            details,
        })
    }

    /// What the catalog only keeps.
    fn details(&self) -> Map<String, Value> {
        let mut details = Map::from_iter(
            [
                ("Owner", json!(self.owner)),
                ("LastAccessTime", json!(self.last_access_time)),
                ("LastAnalyzedTime", json!(self.last_analyzed_time)),
                ("Retention", json!(self.retention)),
                ("ViewOriginalText", json!(self.view_original_text)),
                ("ViewExpandedText", json!(self.view_expanded_text)),
                ("TargetTable", json!(self.target_table)),
                ("FederatedTable", json!(self.federated_table)),
                ("ViewDefinition", json!(self.view_definition)),
            ]
            .map(|(member, value)| (member.to_owned(), value)),
        );
        details.retain(|_, value| !value.is_null());
        // Null too: it says that none was given.
        details.insert("TableType".into(), json!(self.table_type));
        details
    }

    fn view(&self, database: &str) -> Option<View> {
        let text = [&self.view_expanded_text, &self.view_original_text];
        let text = text.into_iter().flatten().find(|text| !text.trim().is_empty())?;
        Some(View { sql: view_sql(text), database: database.to_owned() })
    }
}

/// The query in a view's text; Presto's is JSON in base64.
fn view_sql(text: &str) -> String {
    let encoded = text.trim().strip_prefix(PRESTO_VIEW.0);
    let encoded = encoded.and_then(|text| text.strip_suffix(PRESTO_VIEW.1));
    let json = encoded.and_then(|encoded| STANDARD.decode(encoded.trim()).ok());
    let view: Option<Value> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let sql = view.as_ref().and_then(|view| view["originalSql"].as_str());
    sql.unwrap_or(text).to_owned()
}

/// How the data of a table is kept, as far as its parameters, its SerDe and its input format tell.
fn format(parameters: &BTreeMap<String, String>, storage: &Storage) -> Option<Format> {
    let parameter = |key: &str| parameters.get(key).map(|value| value.to_ascii_lowercase());
    for key in ["table_type", "spark.sql.sources.provider", "classification"] {
        if let Some(format) = parameter(key).and_then(|value| value.parse().ok()) {
            return Some(format);
        }
    }
    let library = storage.serde_info.as_ref().and_then(|info| info.serialization_library.as_ref());
    let classes = [library, storage.input_format.as_ref()];
    classes.into_iter().flatten().find_map(|class| {
        let class = class.to_ascii_lowercase();
        let by_word = [
            ("parquet", Format::Parquet),
            ("orc", Format::Orc),
            ("avro", Format::Avro),
            ("json", Format::Json),
            ("opencsv", Format::Csv),
            ("lazysimple", Format::Csv),
        ];
        by_word.into_iter().find(|(word, _)| class.contains(word)).map(|(_, format)| format)
    })
}

/// A table as clients see it.
pub fn table_shape(table: &Table) -> Value {
    let mut shape = spec_shape(&table.spec);
    let members = [
        ("Name", json!(table.name.table())),
        ("DatabaseName", json!(table.name.database())),
        ("CatalogId", json!(CATALOG_ID)),
        ("CreateTime", seconds(table.created_at_ms)),
        ("UpdateTime", seconds(table.updated_at_ms)),
        ("IsRegisteredWithLakeFormation", json!(false)),
        ("VersionId", json!(table.version.to_string())),
    ];
    shape.extend(members.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(shape)
}

/// What a definition says of a table, as clients see it.
fn spec_shape(spec: &TableSpec) -> Map<String, Value> {
    let mut shape = spec.details.clone();
    shape.remove("ColumnParameters");
    let is_foreign = shape.contains_key("StorageDescriptor");
    let mut storage = match shape.remove("StorageDescriptor") {
        Some(Value::Object(storage)) => storage,
        _ => own::storage(spec),
    };
    storage.insert("Columns".into(), json!(shapes(&spec.columns, &spec.details)));
    if let Some(location) = &spec.location {
        storage.insert("Location".into(), json!(location));
    }
    for member in ["Compressed", "StoredAsSubDirectories"] {
        storage.entry(member).or_insert(json!(false));
    }
    storage.entry("NumberOfBuckets").or_insert(json!(0));
    let table_type = match shape.remove("TableType") {
        Some(table_type) => table_type,
        None => json!(spec.table_type.as_str()),
    };
    let parameters = match is_foreign {
        true => spec.parameters.clone(),
        false => own::parameters(spec),
    };
    let members = [
        ("Description", json!(spec.comment)),
        ("StorageDescriptor", Value::Object(storage)),
        ("PartitionKeys", json!(shapes(&spec.partition_keys, &spec.details))),
        ("TableType", table_type),
        ("Parameters", json!(parameters)),
    ];
    shape.extend(members.map(|(name, value)| (name.to_owned(), value)));
    shape.entry("Retention").or_insert(json!(0));
    if let Some(view) = spec.view.as_ref().filter(|_| !is_foreign) {
        shape.insert("ViewOriginalText".into(), json!(view.sql));
        shape.insert("ViewExpandedText".into(), json!(view.sql));
    }
    shape.retain(|_, value| !value.is_null());
    shape
}

/// The definition of a table that is shown as `spec` is, to those who know nothing of its mark.
pub(super) fn as_foreign(spec: &TableSpec) -> Option<TableSpec> {
    let mut shape = only(&INPUT, spec_shape(spec));
    shape.insert("Name".into(), json!("any"));
    let input: TableInput = serde_json::from_value(Value::Object(shape)).ok()?;
    let database = spec.view.as_ref().map_or("", |view| view.database.as_str());
    input.foreign_spec(database).ok()
}

/// What to send to have a server make or change a table of this definition.
pub(crate) fn table_input(name: &TableName, spec: &TableSpec) -> Value {
    let mut shape = only(&INPUT, spec_shape(spec));
    shape.insert("Name".into(), json!(name.table()));
    Value::Object(shape)
}

/// A table that a server shows.
pub(crate) struct ShownTable {
    pub(crate) name: TableName,
    pub(crate) spec: TableSpec,
    /// Which of its versions it is, where the server counts them.
    pub(crate) version_id: Option<String>,
    pub(crate) created_at_ms: i64,
    pub(crate) updated_at_ms: i64,
}

/// The table of database `database` that a server shows.
pub(crate) fn read_table(database: &str, shape: Map<String, Value>) -> Result<ShownTable> {
    let version_id = shape.get("VersionId").and_then(Value::as_str).map(str::to_owned);
    let created_at_ms = milliseconds(shape.get("CreateTime"));
    let updated_at_ms = milliseconds(shape.get("UpdateTime")).max(created_at_ms);
    let mut input = only(&INPUT, shape);
    if let Some(Value::Object(storage)) = input.get_mut("StorageDescriptor") {
        *storage = known_storage(std::mem::take(storage));
    }
    if let Some(keys) = input.get_mut("PartitionKeys") {
        *keys = known_columns(keys.take());
    }
    let shown = input.get("Name").cloned().unwrap_or_default();
    let input: TableInput = serde_json::from_value(Value::Object(input)).map_err(|fault| {
        Error::Invalid(format!("table {shown} of \"{database}\" cannot be read: {fault}"))
    })?;
    let name = TableName::new(database, &input.name)?;
    let spec = input.into_spec(name.database())?;
    Ok(ShownTable { name, spec, version_id, created_at_ms, updated_at_ms })
}

/// A value as a JSON object.
pub(super) fn object(value: &impl Serialize) -> Result<Map<String, Value>> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Ok(Map::new()),
        Err(fault) => Err(Error::Invalid(fault.to_string())),
    }
}
