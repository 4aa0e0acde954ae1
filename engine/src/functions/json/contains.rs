//! Whether one JSON value is in another, by the rules of PostgreSQL's `jsonb`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringViewArray};
use datafusion::error::Result;
use serde_json::Value;

use super::value::shown;
use crate::Error;

pub(super) fn contains(whole: &StringViewArray, part: &StringViewArray) -> Result<ArrayRef> {
    let found = whole.iter().zip(part).map(|pair| match pair {
        (Some(whole), Some(part)) => {
            let (whole, part) = (value(whole)?, value(part)?);
            Ok(Some(holds(&whole, &part) || holds_scalar(&whole, &part)))
        }
        _ => Ok(None),
    });
    Ok(Arc::new(found.collect::<Result<BooleanArray>>()?))
}

pub(super) fn exists(whole: &StringViewArray, key: &StringViewArray) -> Result<ArrayRef> {
    let found = whole.iter().zip(key).map(|pair| match pair {
        (Some(whole), Some(key)) => Ok(Some(match value(whole)? {
            Value::Object(members) => members.contains_key(key),
            Value::Array(elements) => elements.iter().any(|element| element == key),
            Value::String(text) => text == key,
            _ => false,
        })),
        _ => Ok(None),
    });
    Ok(Arc::new(found.collect::<Result<BooleanArray>>()?))
}

fn value(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("\"{}\" is no JSON: {error}", shown(text))).into())
}

fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| holds(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| holds(whole, part)))
        }
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (whole, part) => whole == part,
    }
}

/// An array holds a scalar that is one of its elements, on the outermost level only.
fn holds_scalar(whole: &Value, part: &Value) -> bool {
    let scalar = !matches!(part, Value::Array(_) | Value::Object(_));
    match whole {
        Value::Array(elements) => scalar && elements.iter().any(|element| holds(element, part)),
        _ => false,
    }
}
