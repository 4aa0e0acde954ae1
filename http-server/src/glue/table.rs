//! A table as Glue shapes it, and as the catalog keeps it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boathouse_catalog::{Format, Table, TableSpec, TableType, View};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::columns::{ColumnShape, Storage, columns, keep_parameters, shapes};
use super::{CATALOG_ID, seconds};
use crate::aws::AwsError;

/// What Presto and Athena put around the text of a view.
const PRESTO_VIEW: (&str, &str) = ("/* Presto View: ", " */");

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TableInput {
    pub(super) name: String,
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
    pub(super) fn into_spec(self, database: &str) -> Result<TableSpec, AwsError> {
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

/// A table as clients see it; `version` is the one that `spec` is.
pub(super) fn shape(table: &Table) -> Value {
    let spec = &table.spec;
    let mut shape = spec.details.clone();
    shape.remove("ColumnParameters");
    let is_foreign = shape.contains_key("StorageDescriptor");
    let mut storage = match shape.remove("StorageDescriptor") {
        Some(Value::Object(storage)) => storage,
        _ => storage_of(spec),
    };
    storage.insert("Columns".into(), json!(shapes(&spec.columns, &spec.details)));
    if let Some(location) = &spec.location {
        storage.insert("Location".into(), json!(location));
    }
    for (member, default) in [
        ("Compressed", json!(false)),
        ("NumberOfBuckets", json!(0)),
        ("StoredAsSubDirectories", json!(false)),
    ] {
        storage.entry(member).or_insert(default);
    }
    let table_type = match shape.remove("TableType") {
        Some(table_type) => table_type,
        None => json!(spec.table_type.as_str()),
    };
    let members = [
        ("Name", json!(table.name.table())),
        ("DatabaseName", json!(table.name.database())),
        ("CatalogId", json!(CATALOG_ID)),
        ("Description", json!(spec.comment)),
        ("CreateTime", seconds(table.created_at_ms)),
        ("UpdateTime", seconds(table.updated_at_ms)),
        ("StorageDescriptor", Value::Object(storage)),
        ("PartitionKeys", json!(shapes(&spec.partition_keys, &spec.details))),
        ("TableType", table_type),
        (
            "Parameters",
            json!(if is_foreign { spec.parameters.clone() } else { parameters_of(spec) }),
        ),
        ("IsRegisteredWithLakeFormation", json!(false)),
        ("VersionId", json!(table.version.to_string())),
    ];
    shape.extend(members.map(|(name, value)| (name.to_owned(), value)));
    shape.entry("Retention").or_insert(json!(0));
    if let Some(view) = spec.view.as_ref().filter(|_| !is_foreign) {
        shape.insert("ViewOriginalText".into(), json!(view.sql));
        shape.insert("ViewExpandedText".into(), json!(view.sql));
    }
    shape.retain(|_, value| !value.is_null());
    Value::Object(shape)
}

/// What other engines need to read the files of a table that was made by SQL.
fn storage_of(spec: &TableSpec) -> Map<String, Value> {
    const HADOOP: &str = "org.apache.hadoop";
    let parquet = format!("{HADOOP}.hive.ql.io.parquet");
    let (input, output, serde) = match spec.format {
        Some(Format::Parquet | Format::Delta) => (
            format!("{parquet}.MapredParquetInputFormat"),
            format!("{parquet}.MapredParquetOutputFormat"),
            format!("{parquet}.serde.ParquetHiveSerDe"),
        ),
        Some(Format::Csv) => text_formats("org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"),
        Some(Format::Json) => text_formats("org.openx.data.jsonserde.JsonSerDe"),
        Some(Format::Orc) => (
            format!("{HADOOP}.hive.ql.io.orc.OrcInputFormat"),
            format!("{HADOOP}.hive.ql.io.orc.OrcOutputFormat"),
            format!("{HADOOP}.hive.ql.io.orc.OrcSerde"),
        ),
        Some(Format::Avro | Format::Iceberg) | None => return Map::new(),
    };
    let storage = json!({
        "InputFormat": input,
        "OutputFormat": output,
        "SerdeInfo": {
            "SerializationLibrary": serde,
            "Parameters": {"serialization.format": "1"},
        },
    });
    match storage {
        Value::Object(storage) => storage,
        _ => Map::new(),
    }
}

fn text_formats(serde: &str) -> (String, String, String) {
    (
        "org.apache.hadoop.mapred.TextInputFormat".to_owned(),
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat".to_owned(),
        serde.to_owned(),
    )
}

/// The parameters of a table that was made by SQL, with those by which others know its format.
fn parameters_of(spec: &TableSpec) -> BTreeMap<String, String> {
    let mut parameters = spec.parameters.clone();
    let mut say = |key: &str, value: &str| {
        parameters.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    };
    match spec.format {
        Some(Format::Delta) => {
            say("table_type", "DELTA");
            say("spark.sql.sources.provider", "delta");
        }
        Some(format) => say("classification", format.as_str()),
        None => {}
    }
    parameters
}

/// A value as a JSON object.
pub(super) fn object(value: &impl Serialize) -> Result<Map<String, Value>, AwsError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Ok(Map::new()),
        Err(fault) => Err(AwsError::internal(fault.to_string())),
    }
}
