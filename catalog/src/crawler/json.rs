//! JSON by its content: an object a line, or one array of objects.

use std::fmt;

use serde::de::{self, Deserialize, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

use super::csv::time_of;
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
    let is_empty = records.is_empty();
    for (name, kind) in records.into_iter().flat_map(|record| record.0) {
        add(&mut fields, name, kind);
    }
    if is_empty || fields.is_empty() {
        return None;
    }
    let columns = fields.into_iter().map(|(name, kind)| column(name, kind)).collect();
    let mut shape = Shape::new(Format::Json, columns);
    shape.is_json_array = is_array;
    Some(shape)
}

/// Objects one after the other, up to one that is cut or is none.
fn in_lines(text: &str) -> Vec<Record> {
    let values = Deserializer::from_str(text).into_iter::<Record>();
    values.map_while(Result::ok).take(RECORDS_MAX).collect()
}

/// The objects of an array, up to one that is cut.
fn in_array(text: &str) -> Vec<Record> {
    let mut rest = &text[1..];
    let mut records = Vec::new();
    while records.len() < RECORDS_MAX {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        let mut values = Deserializer::from_str(rest).into_iter::<Record>();
        let Some(Ok(record)) = values.next() else { break };
        rest = &rest[values.byte_offset()..];
        records.push(record);
    }
    records
}

fn add(fields: &mut Vec<(String, HiveType)>, name: String, kind: HiveType) {
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => {
            if let Some(wide) = known.wider(&kind, WIDENING) {
                *known = wide;
            }
        }
        None => fields.push((name, kind)),
    }
}

/// The fields of an object, in its order.
struct Record(Vec<(String, HiveType)>);

/// The type of a value.
struct Kind(HiveType);

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Kind::deserialize(deserializer)?.0 {
            HiveType::Struct(fields) => Ok(Self(fields)),
            other => Err(de::Error::custom(format_args!("{other} is no object"))),
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind(HiveType::plain(UNKNOWN)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Kind, E> {
        Ok(Kind(HiveType::plain("boolean")))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
        Ok(Kind(HiveType::plain("bigint")))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        let name = if i64::try_from(number).is_ok() { "bigint" } else { "double" };
        Ok(Kind(HiveType::plain(name)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind(HiveType::plain("double")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind(HiveType::plain(time_of(text).unwrap_or("string"))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut known = HiveType::plain(UNKNOWN);
        while let Some(Kind(kind)) = items.next_element()? {
            known = known.wider(&kind, WIDENING).unwrap_or(known);
        }
        Ok(Kind(HiveType::Array(Box::new(known))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut record: A) -> Result<Kind, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, Kind(kind))) = record.next_entry()? {
            add(&mut fields, name, kind);
        }
        Ok(Kind(HiveType::Struct(fields)))
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
            ("{\"z\":1,\"a\":{\"y\":1,\"b\":\"\"}}", "z:bigint a:struct<y:bigint,b:string>"),
            ("{\"a\":\"2024-01-31T10:00:00.5Z\",\"b\":\"2024-01-31\"}", "a:timestamp b:date"),
            ("{\"a\":\"2024-01-31\"}\n{\"a\":\"soon\"}", "a:string"),
        ] {
            assert_eq!(columns(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "[1,2]", "\"a\"", "{}", "hello", "[]", "{\"a"] {
            assert_eq!(columns(text), None, "{text}");
        }
    }
}
