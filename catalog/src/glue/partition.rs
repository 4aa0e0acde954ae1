//! A partition as Glue shapes it, and as the catalog keeps it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::columns::{Storage, columns, keep_parameters, known_storage, shapes};
use super::own::says_same;
use super::table::{object, table_shape};
use super::{CATALOG_ID, only};
use crate::catalog::now_ms;
use crate::{Column, Error, Partition, Result, Table};

/// How Hive, and Glue with it, writes NULL as a value of a partition key.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// The member of details that keeps the columns that a client gave the partition.
const COLUMNS: &str = "Columns";
/// The members of an input.
const INPUT: [&str; 5] =
    ["Values", "LastAccessTime", "LastAnalyzedTime", "StorageDescriptor", "Parameters"];

/// What a client says to make or change a partition.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PartitionInput {
    /// The values, one a key of the table.
    pub values: Option<Vec<String>>,
    last_access_time: Option<f64>,
    last_analyzed_time: Option<f64>,
    storage_descriptor: Option<Storage>,
    parameters: Option<BTreeMap<String, String>>,
}

impl PartitionInput {
    /// The partition that the catalog keeps. Without a location of its own it's where Hive would
    /// put it.
    pub fn into_partition(self, table: &Table) -> Result<Partition> {
        let values = self.values.unwrap_or_default();
        check_count(table, &values)?;
        let mut storage = self.storage_descriptor.unwrap_or_default();
        let column_shapes = storage.columns.take().unwrap_or_default();
        let location = storage.location.take().filter(|location| location.contains("://"));
        let mut details = Map::new();
        for (member, time) in [
            ("LastAccessTime", self.last_access_time),
            ("LastAnalyzedTime", self.last_analyzed_time),
        ] {
            if let Some(time) = time {
                details.insert(member.into(), json!(time));
            }
        }
        keep_parameters(&column_shapes, &mut details);
        details.insert("StorageDescriptor".into(), Value::Object(object(&storage)?));
        details.insert(COLUMNS.into(), json!(columns(Some(&column_shapes))));
        details.insert("CreationTime".into(), json!(now_seconds()));
        let values: Vec<Option<String>> = values.into_iter().map(from_text).collect();
        Ok(Partition {
            location: location.unwrap_or_else(|| table.partition_location(&values)),
            values,
            parameters: self.parameters.unwrap_or_default(),
            files: None,
            details,
        })
    }
}

/// The values of a partition, one a key of the table.
pub fn partition_values(table: &Table, texts: Vec<String>) -> Result<Vec<Option<String>>> {
    check_count(table, &texts)?;
    Ok(texts.into_iter().map(from_text).collect())
}

/// Values as clients see them.
pub fn partition_texts(values: &[Option<String>]) -> Vec<&str> {
    values.iter().map(|value| value.as_deref().unwrap_or(NULL)).collect()
}

/// A partition as clients see it, with its columns or without.
pub fn partition_shape(table: &Table, partition: &Partition, with_columns: bool) -> Value {
    let mut shape = partition.details.clone();
    shape.remove("ColumnParameters");
    let own = shape.remove(COLUMNS);
    let mut storage = match shape.remove("StorageDescriptor") {
        Some(Value::Object(storage)) => storage,
        _ => table_storage(table),
    };
    storage.insert("Location".into(), json!(partition.location));
    if with_columns {
        let own = own.and_then(|own| serde_json::from_value(own).ok());
        let columns: Vec<Column> = own.unwrap_or_else(|| table.spec.columns.clone());
        storage.insert("Columns".into(), json!(shapes(&columns, &partition.details)));
    } else {
        storage.remove("Columns");
    }
    let members = [
        ("Values", json!(partition_texts(&partition.values))),
        ("DatabaseName", json!(table.name.database())),
        ("TableName", json!(table.name.table())),
        ("CatalogId", json!(CATALOG_ID)),
        ("Parameters", json!(partition.parameters)),
        ("StorageDescriptor", Value::Object(storage)),
    ];
    shape.extend(members.map(|(name, value)| (name.to_owned(), value)));
    shape.entry("CreationTime").or_insert(json!(table.created_at_ms as f64 / 1000.0));
    Value::Object(shape)
}

/// What to send to have a server make or replace this partition.
pub(crate) fn partition_input(table: &Table, partition: &Partition) -> Value {
    match partition_shape(table, partition, true) {
        Value::Object(shape) => Value::Object(only(&INPUT, shape)),
        shape => shape,
    }
}

/// The partition that a server shows.
///
/// A storage descriptor that says what the table's does is left out: [`partition_shape`] takes
/// the table's then. There are many partitions, and mostly it does. So are columns, which some
/// answers have and others of the same partition have not.
pub(crate) fn read_partition(table: &Table, shape: Map<String, Value>) -> Result<Partition> {
    let created = shape.get("CreationTime").cloned();
    let mut input = only(&INPUT, shape);
    if let Some(Value::Object(storage)) = input.get_mut("StorageDescriptor") {
        *storage = known_storage(std::mem::take(storage));
    }
    let input: PartitionInput = serde_json::from_value(Value::Object(input)).map_err(|fault| {
        Error::Invalid(format!("a partition of \"{}\" cannot be read: {fault}", table.name))
    })?;
    let mut partition = input.into_partition(table)?;
    let details = &mut partition.details;
    details.remove("CreationTime");
    details.extend(created.map(|created| ("CreationTime".to_owned(), created)));
    let mut own = table_storage(table);
    own.retain(|member, _| member != "Columns" && member != "Location");
    if details.get("StorageDescriptor").is_some_and(|storage| says_same(storage, &own)) {
        details.remove("StorageDescriptor");
    }
    details.remove(COLUMNS);
    details.remove("ColumnParameters");
    Ok(partition)
}

fn table_storage(table: &Table) -> Map<String, Value> {
    match table_shape(table).get_mut("StorageDescriptor").map(Value::take) {
        Some(Value::Object(storage)) => storage,
        _ => Map::new(),
    }
}

fn from_text(text: String) -> Option<String> {
    (text != NULL).then_some(text)
}

fn check_count(table: &Table, values: &[String]) -> Result<()> {
    if values.len() == table.spec.partition_keys.len() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "The number of partition keys do not match the number of partition values: table {} has \
         {} keys, {} values were given.",
        table.name.table(),
        table.spec.partition_keys.len(),
        values.len()
    )))
}

fn now_seconds() -> f64 {
    now_ms() as f64 / 1000.0
}
