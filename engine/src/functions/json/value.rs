//! One JSON text, looked at without copying what isn't asked for.

use std::borrow::Cow;
use std::fmt;

use datafusion::error::Result;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::Error;

/// The outermost level of a JSON text; what is below is still text.
pub(super) enum Shape<'a> {
    Object(Vec<(Cow<'a, str>, &'a str)>),
    Array(Vec<&'a str>),
    Scalar,
}

/// One step of a path.
pub(super) enum Step<'a> {
    /// Into an object.
    Key(&'a str),
    /// Into an array; negative from its end.
    Index(i64),
    /// Into an object as a key, into an array as an index.
    Either(&'a str),
}

/// The outermost level of `text`, all of which is checked.
pub(super) fn shape(text: &str) -> Result<Shape<'_>> {
    let mut source = serde_json::Deserializer::from_str(text);
    let shape = source.deserialize_any(Outermost).and_then(|shape| source.end().map(|()| shape));
    shape.map_err(|error| {
        Error::invalid(format!("\"{}\" is no JSON: {error}", shown(text)))
            .with_hint("is_valid_json(text) tells which texts are.")
            .into()
    })
}

/// As much of a text as fits into a message.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// The text at the end of a path, if there is one.
pub(super) fn follow<'a>(text: &'a str, path: &[Step]) -> Result<Option<&'a str>> {
    let mut at = text;
    for step in path {
        let next = match (shape(at)?, step) {
            (Shape::Object(members), Step::Key(key) | Step::Either(key)) => {
                // Of several members of one name the last counts.
                members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
            }
            (Shape::Array(elements), Step::Index(index)) => element(&elements, *index),
            (Shape::Array(elements), Step::Either(text)) => {
                text.parse().ok().and_then(|index| element(&elements, index))
            }
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    if path.is_empty() {
        shape(at)?;
    }
    Ok(Some(at.trim()))
}

fn element<'a>(elements: &[&'a str], index: i64) -> Option<&'a str> {
    let index = match index < 0 {
        true => i64::try_from(elements.len()).ok()?.checked_add(index)?,
        false => index,
    };
    elements.get(usize::try_from(index).ok()?).copied()
}

/// A value as text: a string without its quotes, nothing for null, anything else as written.
pub(super) fn plain(json: &str) -> Result<Option<String>> {
    match json.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => serde_json::from_str::<String>(json)
            .map(Some)
            .map_err(|error| Error::invalid(format!("{json} is no string: {error}")).into()),
        _ => Ok(Some(json.to_owned())),
    }
}

/// What PostgreSQL's `json_typeof` says.
pub(super) fn kind(text: &str) -> Result<&'static str> {
    Ok(match shape(text)? {
        Shape::Object(_) => "object",
        Shape::Array(_) => "array",
        Shape::Scalar => match text.trim_start().as_bytes().first() {
            Some(b'"') => "string",
            Some(b't' | b'f') => "boolean",
            Some(b'n') => "null",
            _ => "number",
        },
    })
}

/// The elements of a path as PostgreSQL writes arrays of text: `{a,"b c",0}`.
pub(super) fn path_elements(path: &str) -> Result<Vec<String>> {
    let wrong = || {
        Error::invalid(format!("\"{path}\" is no path into JSON"))
            .with_hint("A path is written as in '{key,0}'.")
    };
    let inner = path.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.ok_or_else(wrong)?;
    let (mut elements, mut current, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => current.push(chars.next().ok_or_else(wrong)?),
            ',' if !quoted => elements.push(std::mem::take(&mut current)),
            c if c.is_whitespace() && !quoted && current.is_empty() => {}
            c => current.push(c),
        }
    }
    if quoted {
        return Err(wrong().into());
    }
    if !inner.trim().is_empty() {
        elements.push(current);
    }
    Ok(elements)
}

struct Outermost;

impl<'de> Visitor<'de> for Outermost {
    type Value = Shape<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            members.push((key, map.next_value::<&'de RawValue>()?.get()));
        }
        Ok(Shape::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            elements.push(element.get());
        }
        Ok(Shape::Array(elements))
    }

    fn visit_unit<E>(self) -> Result<Shape<'de>, E> {
        Ok(Shape::Scalar)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape<'de>, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape<'de>, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape<'de>, E> {
        Ok(Shape::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape<'de>, E> {
        Ok(Shape::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape<'de>, E> {
        Ok(Shape::Scalar)
    }
}

/// A member's name; it is copied only where it has escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
