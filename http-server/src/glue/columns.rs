//! Columns and storage descriptors, as tables and partitions have them.

use std::collections::BTreeMap;

use boathouse_catalog::Column;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The member of details that keeps the parameters of columns, by their names.
const COLUMN_PARAMETERS: &str = "ColumnParameters";
/// The type of a column that is given without one.
const DEFAULT_TYPE: &str = "string";

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ColumnShape {
    pub(super) name: String,
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
pub(super) struct Storage {
    #[serde(skip_serializing)]
    pub(super) columns: Option<Vec<ColumnShape>>,
    #[serde(skip_serializing)]
    pub(super) location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_locations: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compressed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_of_buckets: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serde_info: Option<SerdeInfo>,
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
pub(super) struct SerdeInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serialization_library: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameters: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SortColumn {
    column: String,
    sort_order: i64,
}

/// The columns that shapes describe.
pub(super) fn columns(shapes: Option<&[ColumnShape]>) -> Vec<Column> {
    shapes.unwrap_or_default().iter().map(ColumnShape::column).collect()
}

/// Keeps the parameters of columns in `details`.
pub(super) fn keep_parameters(shapes: &[ColumnShape], details: &mut Map<String, Value>) {
    for shape in shapes {
        if let Some(parameters) = &shape.parameters {
            let kept = details.entry(COLUMN_PARAMETERS).or_insert_with(|| json!({}));
            kept[&shape.name] = json!(parameters);
        }
    }
}

/// Columns as clients see them, with their parameters out of `details`.
pub(super) fn shapes(columns: &[Column], details: &Map<String, Value>) -> Vec<Value> {
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
