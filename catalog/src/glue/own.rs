//! How tables that SQL made look to others, and how they come back as they were.
//!
//! A parameter of the table, its mark, keeps what Glue has no place for. The mark is believed only
//! if the rest of the table is what such a table is shown as: once somebody else has changed how
//! its files are kept, it is theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::table::as_foreign;
use crate::{Column, Format, TableSpec, TableType, View};

/// The parameter with the mark.
const MARK: &str = "boathouse.table";

/// What Glue has no place for.
#[derive(Deserialize, Serialize)]
struct Mark {
    table_type: TableType,
    format: Option<Format>,
    /// The columns and keys that may not be NULL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    required: Vec<String>,
    /// Where a view looks names up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// The parameters that are only for others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    said: Vec<String>,
}

/// What other engines need to read the files of a table that was made by SQL.
pub(super) fn storage(spec: &TableSpec) -> Map<String, Value> {
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
    let mut parameters = json!({"serialization.format": "1"});
    if spec.format == Some(Format::Csv) {
        let delimiter = delimiter(spec);
        parameters = json!({"serialization.format": delimiter, "field.delim": delimiter});
    }
    let info = json!({"SerializationLibrary": serde, "Parameters": parameters});
    [("InputFormat", json!(input)), ("OutputFormat", json!(output)), ("SerdeInfo", info)]
        .map(|(member, value)| (member.to_owned(), value))
        .into_iter()
        .collect()
}

fn text_formats(serde: &str) -> (String, String, String) {
    (
        "org.apache.hadoop.mapred.TextInputFormat".to_owned(),
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat".to_owned(),
        serde.to_owned(),
    )
}

/// What is between the values of a CSV file; options have it as a character or as its code.
fn delimiter(spec: &TableSpec) -> String {
    let given = spec.parameters.get("format.delimiter").map_or(",", String::as_str);
    match given.parse::<u8>() {
        Ok(code) if given.len() > 1 => char::from(code).to_string(),
        _ => given.to_owned(),
    }
}

/// The parameters of a table that was made by SQL, with those by which others know its format, and
/// its mark.
pub(super) fn parameters(spec: &TableSpec) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    let mut say = |key: &str, value: &str| {
        if !spec.parameters.contains_key(key) {
            said.insert(key.to_owned(), value.to_owned());
        }
    };
    match spec.format {
        Some(Format::Delta) => {
            say("table_type", "DELTA");
            say("spark.sql.sources.provider", "delta");
        }
        Some(format) => say("classification", format.as_str()),
        None => {}
    }
    if spec.parameters.get("format.has_header").is_some_and(|header| header == "true") {
        say("skip.header.line.count", "1");
    }
    let mark = Mark {
        table_type: spec.table_type,
        format: spec.format,
        required: columns(spec).filter(|column| !column.nullable).map(name).collect(),
        database: spec.view.as_ref().map(|view| view.database.clone()),
        said: said.keys().cloned().collect(),
    };
    said.insert(MARK.to_owned(), json!(mark).to_string());
    said.extend(spec.parameters.clone());
    said
}

fn columns(spec: &TableSpec) -> impl Iterator<Item = &Column> {
    spec.columns.iter().chain(&spec.partition_keys)
}

fn name(column: &Column) -> String {
    column.name.clone()
}

/// The table that SQL made, if `spec` is what it is shown as.
pub(super) fn restored(spec: &TableSpec) -> Option<TableSpec> {
    let mark: Mark = serde_json::from_str(spec.parameters.get(MARK)?).ok()?;
    let own = mark.restore(spec);
    let shown = as_foreign(&own)?;
    let is_same = shown.format == spec.format
        && shown.location == spec.location
        && shown.parameters == spec.parameters
        && says_same(&json!(shown.details), &spec.details);
    is_same.then_some(own)
}

impl Mark {
    fn restore(self, spec: &TableSpec) -> TableSpec {
        let as_it_was = |column: &Column| Column {
            nullable: !self.required.contains(&column.name),
            ..column.clone()
        };
        let view = spec.view.as_ref().map(|view| View {
            sql: view.sql.clone(),
            database: self.database.clone().unwrap_or_else(|| view.database.clone()),
        });
        let mut parameters = spec.parameters.clone();
        parameters.retain(|key, _| key != MARK && !self.said.contains(key));
        TableSpec {
            table_type: self.table_type,
            format: self.format,
            location: spec.location.clone(),
            columns: spec.columns.iter().map(as_it_was).collect(),
            partition_keys: spec.partition_keys.iter().map(as_it_was).collect(),
            comment: spec.comment.clone(),
            parameters,
            view,
            details: Map::new(),
        }
    }
}

/// Whether two objects say the same: members that say nothing may be left out.
pub(super) fn says_same(one: &Value, other: &Map<String, Value>) -> bool {
    says(one.clone()) == says(Value::Object(other.clone()))
}

/// `value` without the members that say nothing.
fn says(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, says(value)));
            Value::Object(members.filter(|(_, value)| !is_nothing(value)).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(says).collect()),
        value => value,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}
