//! The schemas that Delta and Iceberg tables keep beside their files.

use serde_json::Value;

use super::schema::{Shape, column};
use super::types::HiveType;
use crate::{Column, Format};

const DEPTH_MAX: usize = 32;

/// What the log or the metadata of a table says of it.
pub(super) struct LakeTable {
    pub(super) shape: Shape,
    /// The columns that are its partition keys.
    pub(super) keys: Vec<Column>,
}

/// The table after a commit of a Delta log, if that has its metadata.
pub(super) fn delta_metadata(commit: &str) -> Option<LakeTable> {
    let action = commit
        .lines()
        .filter(|line| line.contains("\"metaData\""))
        .find_map(|line| serde_json::from_str::<Value>(line).ok()?.get("metaData").cloned())?;
    let schema: Value = serde_json::from_str(action.get("schemaString")?.as_str()?).ok()?;
    let keys: Vec<&str> = action
        .get("partitionColumns")
        .and_then(Value::as_array)
        .map(|keys| keys.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let columns: Vec<Column> =
        schema.get("fields")?.as_array()?.iter().filter_map(delta_column).collect();
    let (keyed, plain): (Vec<Column>, Vec<Column>) =
        columns.into_iter().partition(|column| keys.contains(&column.name.as_str()));
    let mut keyed = keyed;
    keyed.sort_by_key(|column| keys.iter().position(|key| *key == column.name));
    Some(LakeTable { shape: Shape::new(Format::Delta, plain), keys: keyed })
}

fn delta_column(field: &Value) -> Option<Column> {
    let kind = delta_type(field.get("type")?, 0)?;
    let mut column = column(field.get("name")?.as_str()?, kind);
    column.nullable = field.get("nullable").and_then(Value::as_bool).unwrap_or(true);
    let comment = field.get("metadata").and_then(|metadata| metadata.get("comment"));
    column.comment = comment.and_then(Value::as_str).map(str::to_owned);
    Some(column)
}

fn delta_type(kind: &Value, depth: usize) -> Option<HiveType> {
    if depth > DEPTH_MAX {
        return None;
    }
    let Some(name) = kind.as_str() else {
        return match kind.get("type")?.as_str()? {
            "array" => {
                Some(HiveType::Array(Box::new(delta_type(kind.get("elementType")?, depth + 1)?)))
            }
            "map" => Some(HiveType::Map(
                Box::new(delta_type(kind.get("keyType")?, depth + 1)?),
                Box::new(delta_type(kind.get("valueType")?, depth + 1)?),
            )),
            "struct" => {
                let fields = kind.get("fields")?.as_array()?.iter().map(|field| {
                    let name = field.get("name")?.as_str()?.to_owned();
                    Some((name, delta_type(field.get("type")?, depth + 1)?))
                });
                Some(HiveType::Struct(fields.collect::<Option<_>>()?))
            }
            _ => None,
        };
    };
    let name = match name {
        "byte" => "tinyint",
        "short" => "smallint",
        "integer" => "int",
        "long" => "bigint",
        "timestamp" => "timestamp with time zone",
        "timestamp_ntz" => "timestamp",
        other => other,
    };
    Some(HiveType::plain(name))
}

/// The table that an Iceberg metadata file describes.
pub(super) fn iceberg_metadata(text: &[u8]) -> Option<LakeTable> {
    let metadata: Value = serde_json::from_slice(text).ok()?;
    metadata.get("format-version")?.as_u64()?;
    let current = metadata.get("current-schema-id").and_then(Value::as_i64);
    let schemas = metadata.get("schemas").and_then(Value::as_array);
    let schema = schemas
        .and_then(|schemas| {
            schemas.iter().find(|schema| {
                current.is_some() && schema.get("schema-id").and_then(Value::as_i64) == current
            })
        })
        .or_else(|| metadata.get("schema"))?;
    let fields = schema.get("fields")?.as_array()?;
    let columns = fields.iter().filter_map(iceberg_column).collect();
    Some(LakeTable { shape: Shape::new(Format::Iceberg, columns), keys: Vec::new() })
}

fn iceberg_column(field: &Value) -> Option<Column> {
    let kind = iceberg_type(field.get("type")?, 0)?;
    let mut column = column(field.get("name")?.as_str()?, kind);
    column.nullable = !field.get("required").and_then(Value::as_bool).unwrap_or(false);
    column.comment = field.get("doc").and_then(Value::as_str).map(str::to_owned);
    Some(column)
}

fn iceberg_type(kind: &Value, depth: usize) -> Option<HiveType> {
    if depth > DEPTH_MAX {
        return None;
    }
    let Some(name) = kind.as_str() else {
        return match kind.get("type")?.as_str()? {
            "list" => {
                Some(HiveType::Array(Box::new(iceberg_type(kind.get("element")?, depth + 1)?)))
            }
            "map" => Some(HiveType::Map(
                Box::new(iceberg_type(kind.get("key")?, depth + 1)?),
                Box::new(iceberg_type(kind.get("value")?, depth + 1)?),
            )),
            "struct" => {
                let fields = kind.get("fields")?.as_array()?.iter().map(|field| {
                    let name = field.get("name")?.as_str()?.to_owned();
                    Some((name, iceberg_type(field.get("type")?, depth + 1)?))
                });
                Some(HiveType::Struct(fields.collect::<Option<_>>()?))
            }
            _ => None,
        };
    };
    let name = match name {
        "long" => "bigint".to_owned(),
        "time" => "time(6)".to_owned(),
        "timestamptz" => "timestamp with time zone".to_owned(),
        "timestamp_ns" => "timestamp(9)".to_owned(),
        "timestamptz_ns" => "timestamp(9) with time zone".to_owned(),
        "uuid" => "string".to_owned(),
        fixed if fixed.starts_with("fixed[") => {
            format!("binary({})", fixed[6..].trim_end_matches(']'))
        }
        other => other.replace(' ', ""),
    };
    Some(HiveType::plain(name))
}
