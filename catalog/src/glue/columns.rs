//! Columns and storage descriptors, as tables and partitions have them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::only;
use crate::Column;

/// The member of details that keeps the parameters of columns, by their names.
const COLUMN_PARAMETERS: &str = "ColumnParameters";
/// The type of a column that is given without one.
const DEFAULT_TYPE: &str = "string";

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ColumnShape {
    pub(crate) name: String,
    #[serde(rename = "Type")]
    data_type: Option<String>,
    comment: Option<String>,
    parameters: Option<BTreeMap<String, String>>,
}

impl ColumnShape {
    fn column(&self) -> Column {
        let given = self.data_type.as_deref().filter(|text| !text.trim().is_empty());
        Column {
            name: self.name.clone(),
            data_type: given.unwrap_or(DEFAULT_TYPE).to_owned(),
            nullable: true,
            comment: self.comment.clone(),
        }
    }
}

/// What is left of a `StorageDescriptor` without its columns and location.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Storage {
    #[serde(skip_serializing)]
    pub(crate) columns: Option<Vec<ColumnShape>>,
    #[serde(skip_serializing)]
    pub(crate) location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_locations: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compressed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_of_buckets: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serde_info: Option<SerdeInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_columns: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort_columns: Option<Vec<SortColumn>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skewed_info: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_as_sub_directories: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_reference: Option<Value>,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct SerdeInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serialization_library: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameters: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SortColumn {
    column: String,
    sort_order: i64,
}

/// The columns that shapes describe.
pub(crate) fn columns(shapes: Option<&[ColumnShape]>) -> Vec<Column> {
    shapes.unwrap_or_default().iter().map(ColumnShape::column).collect()
}

/// Keeps the parameters of columns in `details`.
pub(crate) fn keep_parameters(shapes: &[ColumnShape], details: &mut Map<String, Value>) {
    for shape in shapes {
        if let Some(parameters) = &shape.parameters {
            let kept = details.entry(COLUMN_PARAMETERS).or_insert_with(|| json!({}));
            kept[&shape.name] = json!(parameters);
        }
    }
}

/// Columns as clients see them, with their parameters out of `details`.
pub(crate) fn shapes(columns: &[Column], details: &Map<String, Value>) -> Vec<Value> {
    let parameters = details.get(COLUMN_PARAMETERS);
    let shape = |column: &Column| {
        let mut shape = json!({"Name": column.name, "Type": column.data_type});
        if let Some(comment) = &column.comment {
            shape["Comment"] = json!(comment);
        }
        if let Some(kept) = parameters.and_then(|parameters| parameters.get(&column.name)) {
            shape["Parameters"] = kept.clone();
        }
        shape
    };
    columns.iter().map(shape).collect()
}

/// What this crate knows of a storage descriptor that a server shows; newer ones may say more.
pub(crate) fn known_storage(storage: Map<String, Value>) -> Map<String, Value> {
    const STORAGE: [&str; 14] = [
        "Columns",
        "Location",
        "AdditionalLocations",
        "InputFormat",
        "OutputFormat",
        "Compressed",
        "NumberOfBuckets",
        "SerdeInfo",
        "BucketColumns",
        "SortColumns",
        "Parameters",
        "SkewedInfo",
        "StoredAsSubDirectories",
        "SchemaReference",
    ];
    let mut known = only(&STORAGE, storage);
    if let Some(columns) = known.get_mut("Columns") {
        *columns = known_columns(columns.take());
    }
    if let Some(Value::Object(info)) = known.get_mut("SerdeInfo") {
        *info = only(&["Name", "SerializationLibrary", "Parameters"], std::mem::take(info));
    }
    known
}

/// What this crate knows of columns that a server shows.
pub(crate) fn known_columns(columns: Value) -> Value {
    let Value::Array(columns) = columns else { return columns };
    let known = columns.into_iter().map(|column| match column {
        Value::Object(column) => {
            Value::Object(only(&["Name", "Type", "Comment", "Parameters"], column))
        }
        other => other,
    });
    Value::Array(known.collect())
}
