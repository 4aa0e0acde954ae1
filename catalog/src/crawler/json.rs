//! JSON by its content: an object a line, or one array of objects.

use serde_json::{Deserializer, Map, Value};

use super::schema::{Shape, column};
use super::types::{HiveType, UNKNOWN, Widening};
use crate::Format;

const RECORDS_MAX: usize = 10_000;
const WIDENING: Widening = Widening { to_strings: true, dates: false };

/// The shape of a text if it is JSON objects. The text may end anywhere.
pub(super) fn recognise(text: &str) -> Option<Shape> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_array = text.starts_with('[');
    let records = if is_array { in_array(text) } else { in_lines(text) };
    let mut fields: Vec<(String, HiveType)> = Vec::new();
    for record in &records {
        add(&mut fields, record);
    }
    if records.is_empty() || fields.is_empty() {
        return None;
    }
    let columns = fields.into_iter().map(|(name, kind)| column(name, kind)).collect();
    let mut shape = Shape::new(Format::Json, columns);
    shape.is_json_array = is_array;
    Some(shape)
}

/// Objects one after the other, up to one that is cut or is none.
fn in_lines(text: &str) -> Vec<Map<String, Value>> {
    let values = Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    values.map_while(Result::ok).take(RECORDS_MAX).collect()
}

/// The objects of an array, up to one that is cut.
fn in_array(text: &str) -> Vec<Map<String, Value>> {
    let mut rest = &text[1..];
    let mut records = Vec::new();
    while records.len() < RECORDS_MAX {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        let mut values = Deserializer::from_str(rest).into_iter::<Map<String, Value>>();
        let Some(Ok(record)) = values.next() else { break };
        rest = &rest[values.byte_offset()..];
        records.push(record);
    }
    records
}

fn add(fields: &mut Vec<(String, HiveType)>, record: &Map<String, Value>) {
    for (name, value) in record {
        let kind = type_of(value);
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => {
                if let Some(wide) = known.wider(&kind, WIDENING) {
                    *known = wide;
                }
            }
            None => fields.push((name.clone(), kind)),
        }
    }
}

fn type_of(value: &Value) -> HiveType {
    match value {
        Value::Null => HiveType::plain(UNKNOWN),
        Value::Bool(_) => HiveType::plain("boolean"),
        Value::Number(number) if number.is_i64() => HiveType::plain("bigint"),
        Value::Number(_) => HiveType::plain("double"),
        Value::String(_) => HiveType::plain("string"),
        Value::Array(items) => {
            let kinds = items.iter().map(type_of);
            let item = kinds.fold(HiveType::plain(UNKNOWN), |known, kind| {
                known.wider(&kind, WIDENING).unwrap_or(known)
            });
            HiveType::Array(Box::new(item))
        }
        Value::Object(record) => {
            let mut fields = Vec::new();
            add(&mut fields, record);
            HiveType::Struct(fields)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str) -> Option<String> {
        let shape = recognise(text)?;
        let columns = shape.columns.iter().map(|c| format!("{}:{}", c.name, c.data_type));
        Some(columns.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn lines_and_arrays_are_read_up_to_where_they_are_cut() {
        for (text, expected) in [
            ("{\"a\":1,\"b\":\"x\"}\n{\"a\":2.5}\n{\"a\":", "a:double b:string"),
            ("[{\"a\":true}, {\"b\":[1,2]}, {\"c\"", "a:boolean b:array<bigint>"),
            ("{\"a\":{\"x\":1}}\n{\"a\":{\"y\":null}}", "a:struct<x:bigint,y:void>"),
            ("{\n \"a\": 1\n}\n", "a:bigint"),
        ] {
            assert_eq!(columns(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "[1,2]", "\"a\"", "{}", "hello", "[]", "{\"a"] {
            assert_eq!(columns(text), None, "{text}");
        }
    }
}
