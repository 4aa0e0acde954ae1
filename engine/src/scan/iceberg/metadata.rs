//! The metadata file of an Iceberg table: its schemas, partition specs and snapshots.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Fields, TimeUnit};
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Result};

/// The newest version of the format that is read.
const VERSION_MAX: u32 = 3;
/// A metadata file may be this large, once it's decompressed.
const BYTES_MAX: u64 = 256 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Metadata {
    format_version: u32,
    /// Of version 1, which need not have the list of all.
    schema: Option<Schema>,
    #[serde(default)]
    schemas: Vec<Schema>,
    current_schema_id: Option<i32>,
    partition_spec: Option<Vec<PartitionField>>,
    #[serde(default)]
    partition_specs: Vec<PartitionSpec>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    current_snapshot_id: Option<i64>,
    #[serde(default)]
    snapshots: Vec<Snapshot>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Schema {
    schema_id: Option<i32>,
    pub(super) fields: Vec<Field>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Field {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) required: bool,
    #[serde(rename = "type")]
    pub(super) field_type: Type,
    #[serde(default)]
    doc: Option<String>,
    #[serde(default)]
    initial_default: Option<Value>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub(super) enum Type {
    Primitive(String),
    Nested(Box<Nested>),
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Nested {
    Struct {
        fields: Vec<Field>,
    },
    #[serde(rename_all = "kebab-case")]
    List {
        element_id: i32,
        element: Type,
        element_required: bool,
    },
    #[serde(rename_all = "kebab-case")]
    Map {
        key_id: i32,
        key: Type,
        value_id: i32,
        value: Type,
        value_required: bool,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PartitionSpec {
    spec_id: i32,
    pub(super) fields: Vec<PartitionField>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PartitionField {
    #[serde(default)]
    pub(super) source_id: i32,
    pub(super) transform: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Snapshot {
    snapshot_id: i64,
    pub(super) manifest_list: Option<String>,
    /// Of version 1, in place of a list.
    #[serde(default)]
    pub(super) manifests: Vec<String>,
}

/// What `schema.name-mapping.default` says of files without field ids.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MappedField {
    field_id: Option<i32>,
    #[serde(default)]
    names: Vec<String>,
}

impl Metadata {
    /// The metadata in a file, which may be compressed.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let bad = |error: &dyn std::fmt::Display| {
            Error::bad_data(format!("the Iceberg metadata is not readable: {error}"))
        };
        let metadata: Self = if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut text = Vec::new();
            let mut plain = GzDecoder::new(bytes).take(BYTES_MAX);
            plain.read_to_end(&mut text).map_err(|error| bad(&error))?;
            serde_json::from_slice(&text).map_err(|error| bad(&error))?
        } else {
            serde_json::from_slice(bytes).map_err(|error| bad(&error))?
        };
        if metadata.format_version > VERSION_MAX {
            return Err(Error::unsupported(format!(
                "Iceberg tables of format version {}",
                metadata.format_version
            ))
            .with_hint(format!("Versions to {VERSION_MAX} can be read.")));
        }
        Ok(metadata)
    }

    pub(super) fn schema(&self) -> Result<&Schema> {
        let current = self.schemas.iter().find(|schema| schema.schema_id == self.current_schema_id);
        current
            .or(self.schema.as_ref())
            .ok_or_else(|| Error::bad_data("the Iceberg metadata has no current schema"))
    }

    /// The partition fields of a spec.
    pub(super) fn spec(&self, id: i32) -> Option<&[PartitionField]> {
        let spec = self.partition_specs.iter().find(|spec| spec.spec_id == id);
        let first = || self.partition_spec.as_deref().filter(|_| id == 0);
        spec.map(|spec| spec.fields.as_slice()).or_else(first)
    }

    /// The current snapshot; a new table has none.
    pub(super) fn snapshot(&self) -> Result<Option<&Snapshot>> {
        let Some(id) = self.current_snapshot_id.filter(|id| *id >= 0) else { return Ok(None) };
        let found = self.snapshots.iter().find(|snapshot| snapshot.snapshot_id == id);
        found.map(Some).ok_or_else(|| {
            Error::bad_data(format!("the Iceberg metadata has no snapshot {id}, its current one"))
        })
    }

    /// The field ids of columns in files that have none.
    pub(super) fn names_in_files(&self) -> Result<HashMap<String, i32>> {
        let Some(text) = self.properties.get("schema.name-mapping.default") else {
            let fields = self.schema()?.fields.iter();
            return Ok(fields.map(|field| (field.name.clone(), field.id)).collect());
        };
        let mapped: Vec<MappedField> = serde_json::from_str(text)
            .map_err(|error| Error::bad_data(format!("schema.name-mapping.default: {error}")))?;
        let mut ids = HashMap::new();
        for field in mapped {
            let Some(id) = field.field_id else { continue };
            ids.extend(field.names.into_iter().map(|name| (name, id)));
        }
        Ok(ids)
    }

    /// Refuses what the table's files can't be read by: fields within columns are found by their
    /// names, so none may have had another.
    pub(super) fn check_columns(&self) -> Result<()> {
        for column in &self.schema()?.fields {
            if let Some(name) = with_default(column) {
                return Err(Error::unsupported(format!(
                    "the Iceberg feature of default values, which column \"{name}\" has"
                )));
            }
            let olds = self.schemas.iter().flat_map(|schema| &schema.fields);
            let changed = olds
                .filter(|old| old.id == column.id)
                .any(|old| !same_names(&column.field_type, &old.field_type));
            if changed {
                return Err(Error::unsupported(format!(
                    "Iceberg column \"{}\", of which fields were renamed or replaced",
                    column.name
                ))
                .with_hint("Rewrite the table's files, or leave the nested fields as they are."));
            }
        }
        Ok(())
    }
}

fn with_default(field: &Field) -> Option<&str> {
    if field.initial_default.as_ref().is_some_and(|value| !value.is_null()) {
        return Some(&field.name);
    }
    match &field.field_type {
        Type::Nested(nested) => match nested.as_ref() {
            Nested::Struct { fields } => fields.iter().find_map(with_default),
            _ => None,
        },
        Type::Primitive(_) => None,
    }
}

/// Whether all fields that two versions of a type share have one name, and all names one field.
/// What is in a map is found by its place, so it may not differ at all.
fn same_names(new: &Type, old: &Type) -> bool {
    let (Type::Nested(new), Type::Nested(old)) = (new, old) else {
        return matches!((new, old), (Type::Primitive(_), Type::Primitive(_)));
    };
    match (new.as_ref(), old.as_ref()) {
        (Nested::Struct { fields: new }, Nested::Struct { fields: old }) => new.iter().all(|new| {
            old.iter().all(|old| match (new.id == old.id, new.name == old.name) {
                (true, true) => same_names(&new.field_type, &old.field_type),
                (same_id, same_name) => same_id == same_name,
            })
        }),
        (
            Nested::List { element_id: new_id, element: new, .. },
            Nested::List { element_id: old_id, element: old, .. },
        ) => new_id == old_id && same_names(new, old),
        (
            Nested::Map { key_id, key, value_id, value, .. },
            Nested::Map { key_id: k, key: old_key, value_id: v, value: old_value, .. },
        ) => {
            let plain = |new: &Type, old: &Type| match (new, old) {
                (Type::Primitive(_), Type::Primitive(_)) => true,
                (new, old) => new == old,
            };
            key_id == k && value_id == v && plain(key, old_key) && plain(value, old_value)
        }
        _ => false,
    }
}

impl Field {
    /// The column as a table has it.
    pub(super) fn arrow(&self) -> Result<ArrowField> {
        let data_type = arrow_type(&self.field_type)
            .map_err(|error| error.about(format!("column \"{}\"", self.name)))?;
        let doc = self.doc.clone().map(|doc| ("comment".to_owned(), doc));
        let field = ArrowField::new(&self.name, data_type, !self.required);
        Ok(field.with_metadata(doc.into_iter().collect()))
    }
}

fn arrow_type(field_type: &Type) -> Result<DataType> {
    match field_type {
        Type::Primitive(name) => primitive(name),
        Type::Nested(nested) => match nested.as_ref() {
            Nested::Struct { fields } => {
                let fields = fields.iter().map(plain).collect::<Result<Vec<ArrowField>>>()?;
                Ok(DataType::Struct(fields.into()))
            }
            Nested::List { element, element_required, .. } => {
                let item = ArrowField::new("element", arrow_type(element)?, !element_required);
                Ok(DataType::List(Arc::new(item)))
            }
            Nested::Map { key, value, value_required, .. } => {
                let entries = Fields::from(vec![
                    ArrowField::new("key", arrow_type(key)?, false),
                    ArrowField::new("value", arrow_type(value)?, !value_required),
                ]);
                let entries = ArrowField::new("key_value", DataType::Struct(entries), false);
                Ok(DataType::Map(Arc::new(entries), false))
            }
        },
    }
}

fn plain(field: &Field) -> Result<ArrowField> {
    Ok(ArrowField::new(&field.name, arrow_type(&field.field_type)?, !field.required))
}

fn primitive(name: &str) -> Result<DataType> {
    let utc = || Some(Arc::from("UTC"));
    Ok(match name {
        "boolean" => DataType::Boolean,
        "int" => DataType::Int32,
        "long" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, utc()),
        "timestamp_ns" => DataType::Timestamp(TimeUnit::Nanosecond, None),
        "timestamptz_ns" => DataType::Timestamp(TimeUnit::Nanosecond, utc()),
        "string" => DataType::Utf8,
        "uuid" => DataType::FixedSizeBinary(16),
        "binary" => DataType::Binary,
        other => {
            return sized(other)
                .ok_or_else(|| Error::unsupported(format!("the Iceberg type {other}")));
        }
    })
}

/// `fixed[16]` and `decimal(10, 2)`.
fn sized(name: &str) -> Option<DataType> {
    if let Some(length) = name.strip_prefix("fixed[").and_then(|rest| rest.strip_suffix(']')) {
        let length: i32 = length.trim().parse().ok()?;
        return (length >= 0).then_some(DataType::FixedSizeBinary(length));
    }
    let inner = name.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    (1..=38).contains(&precision).then_some(DataType::Decimal128(precision, scale))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(schemas: Value) -> Metadata {
        let last = schemas.as_array().unwrap().len() - 1;
        let text = json!({
            "format-version": 2, "location": "s3://lake/t", "schemas": schemas,
            "current-schema-id": last, "current-snapshot-id": -1,
        });
        Metadata::parse(text.to_string().as_bytes()).unwrap()
    }

    fn schema(id: i32, field_type: Value) -> Value {
        let field = json!({"id": 1, "name": "c", "required": false, "type": field_type});
        json!({"type": "struct", "schema-id": id, "fields": [field]})
    }

    fn structure(fields: &[(i32, &str)]) -> Value {
        let fields: Vec<Value> = fields
            .iter()
            .map(|(id, name)| json!({"id": id, "name": name, "required": false, "type": "int"}))
            .collect();
        json!({"type": "struct", "fields": fields})
    }

    #[test]
    fn types_are_arrows() {
        let list = json!({
            "type": "list", "element-id": 2, "element-required": true, "element": "decimal(10, 2)"
        });
        let metadata = metadata(json!([schema(0, list)]));
        let field = metadata.schema().unwrap().fields[0].arrow().unwrap();
        let item = ArrowField::new("element", DataType::Decimal128(10, 2), false);
        assert_eq!(field.data_type(), &DataType::List(Arc::new(item)));
        assert!(metadata.snapshot().unwrap().is_none());
        assert!(primitive("fixed[4]").is_ok());
        for unknown in ["variant", "fixed[-1]", "decimal(99,0)", "decimal", ""] {
            assert!(primitive(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn nested_fields_may_come_and_go_but_not_change_their_names() {
        let check = |old: &[(i32, &str)], new: &[(i32, &str)]| {
            let schemas = json!([schema(0, structure(old)), schema(1, structure(new))]);
            metadata(schemas).check_columns().is_ok()
        };
        assert!(check(&[(2, "a")], &[(3, "b"), (2, "a")]));
        assert!(check(&[(2, "a"), (3, "b")], &[(2, "a")]));
        assert!(!check(&[(2, "a")], &[(2, "b")]));
        assert!(!check(&[(2, "a")], &[(3, "a")]));
    }

    #[test]
    fn structs_in_maps_may_not_change() {
        let map = |fields: &[(i32, &str)]| {
            json!({
                "type": "map", "key-id": 8, "key": "string",
                "value-id": 9, "value-required": false, "value": structure(fields)
            })
        };
        let schemas = json!([schema(0, map(&[(2, "a")])), schema(1, map(&[(2, "a"), (3, "b")]))]);
        assert!(metadata(schemas).check_columns().is_err());
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in ["", "{}", "[]", "{\"format-version\": 9}", "\u{1f}\u{8b}"] {
            assert!(Metadata::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Metadata::parse(&[0x1f, 0x8b, 1, 2, 3]).is_err());
    }
}
