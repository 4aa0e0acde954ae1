//! The schema in the header of an Avro file.

use serde_json::Value;

use super::schema::{Shape, column};
use super::types::{HiveType, UNKNOWN};
use crate::Format;

const ENTRIES_MAX: u64 = 1000;
const DEPTH_MAX: usize = 32;

/// The shape of a file that starts with these bytes, if that is Avro.
pub(super) fn recognise(head: &[u8]) -> Option<Shape> {
    let mut rest = head.strip_prefix(b"Obj\x01")?;
    let mut shape = Shape::new(Format::Avro, Vec::new());
    match schema(&mut rest).as_ref().and_then(columns) {
        Some(found) => shape = Shape::new(Format::Avro, found),
        None => shape.remark = Some("the Avro header could not be read".into()),
    }
    Some(shape)
}

/// The schema among the entries of the header.
fn schema(rest: &mut &[u8]) -> Option<Value> {
    loop {
        let count = long(rest)?;
        if count == 0 {
            return None;
        }
        if count < 0 {
            // A negative count is followed by the size of the block.
            long(rest)?;
        }
        let count = count.unsigned_abs();
        if count > ENTRIES_MAX {
            return None;
        }
        for _ in 0..count {
            let key = bytes(rest)?;
            let value = bytes(rest)?;
            if key == b"avro.schema" {
                return serde_json::from_slice(value).ok();
            }
        }
    }
}

fn long(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(long(rest)?).ok()?;
    let (found, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(found)
}

fn columns(schema: &Value) -> Option<Vec<crate::Column>> {
    let fields = schema.get("fields")?.as_array()?;
    let columns = fields.iter().map(|field| {
        let kind = type_of(field.get("type")?, 0)?;
        let mut column = column(field.get("name")?.as_str()?, kind);
        column.comment = field.get("doc").and_then(Value::as_str).map(str::to_owned);
        Some(column)
    });
    // A field whose type has no name here is left out.
    Some(columns.flatten().collect())
}

fn type_of(schema: &Value, depth: usize) -> Option<HiveType> {
    if depth > DEPTH_MAX {
        return None;
    }
    match schema {
        Value::String(name) => primitive(name),
        Value::Array(choices) => {
            let mut known = choices.iter().filter(|choice| choice.as_str() != Some("null"));
            let only = known.next();
            match (only, known.next()) {
                (Some(only), None) => type_of(only, depth + 1),
                (None, _) => Some(HiveType::plain(UNKNOWN)),
                _ => None,
            }
        }
        Value::Object(_) => complex(schema, depth),
        _ => None,
    }
}

fn complex(schema: &Value, depth: usize) -> Option<HiveType> {
    if let Some(logical) = schema.get("logicalType").and_then(Value::as_str)
        && let Some(kind) = logical_type(logical, schema)
    {
        return Some(kind);
    }
    match schema.get("type")? {
        Value::String(name) => match name.as_str() {
            "record" => {
                let fields = schema.get("fields")?.as_array()?.iter().map(|field| {
                    let name = field.get("name")?.as_str()?.to_owned();
                    Some((name, type_of(field.get("type")?, depth + 1)?))
                });
                Some(HiveType::Struct(fields.collect::<Option<_>>()?))
            }
            "array" => Some(HiveType::Array(Box::new(type_of(schema.get("items")?, depth + 1)?))),
            "map" => {
                let value = type_of(schema.get("values")?, depth + 1)?;
                Some(HiveType::Map(Box::new(HiveType::plain("string")), Box::new(value)))
            }
            "enum" => Some(HiveType::plain("string")),
            "fixed" => Some(HiveType::plain(format!("binary({})", schema.get("size")?.as_u64()?))),
            other => primitive(other),
        },
        nested => type_of(nested, depth + 1),
    }
}

fn primitive(name: &str) -> Option<HiveType> {
    Some(HiveType::plain(match name {
        "null" => UNKNOWN,
        "boolean" => "boolean",
        "int" => "int",
        "long" => "bigint",
        "float" => "float",
        "double" => "double",
        "bytes" => "binary",
        "string" => "string",
        _ => return None,
    }))
}

fn logical_type(name: &str, schema: &Value) -> Option<HiveType> {
    Some(HiveType::plain(match name {
        "date" => "date".to_owned(),
        "timestamp-millis" => "timestamp(3) with time zone".to_owned(),
        "timestamp-micros" => "timestamp with time zone".to_owned(),
        "local-timestamp-millis" => "timestamp(3)".to_owned(),
        "local-timestamp-micros" => "timestamp".to_owned(),
        "time-millis" => "time(3)".to_owned(),
        "time-micros" => "time(6)".to_owned(),
        "uuid" => "string".to_owned(),
        "decimal" => {
            let scale = schema.get("scale").and_then(Value::as_u64).unwrap_or(0);
            format!("decimal({},{scale})", schema.get("precision")?.as_u64()?)
        }
        _ => return None,
    }))
}
