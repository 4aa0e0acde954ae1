//! A column's rules in its Delta metadata: default, generation expression, identity, comment.

use deltalake::kernel::{ColumnMetadataKey as Key, MetadataValue, StructField};
use serde_json::Value;

use super::text_of;
use crate::{Error, Result};

const COMMENT: &str = "comment";

/// Where a column's values come from when a statement gives none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnRules {
    /// SQL of the value that new rows get.
    pub(crate) default: Option<String>,
    /// SQL of the value that every row has.
    pub(crate) generated: Option<String>,
    pub(crate) identity: Option<Identity>,
}

/// Values that are allotted, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) start: i64,
    pub(crate) step: i64,
    /// Whether a statement may give a value of its own: BY DEFAULT instead of ALWAYS.
    pub(crate) allow_explicit: bool,
    /// The last value that was allotted.
    pub(crate) mark: Option<i64>,
}

impl ColumnRules {
    pub(crate) fn of(column: &StructField) -> Result<Self> {
        Ok(Self {
            default: text_of(column, Key::CurrentDefault.as_ref()),
            generated: text_of(column, Key::GenerationExpression.as_ref()),
            identity: Identity::of(column)?,
        })
    }

    /// Makes these the rules of `column`.
    pub(crate) fn write(&self, column: &mut StructField) {
        set(column, Key::CurrentDefault.as_ref(), self.default.clone().map(MetadataValue::String));
        let generated = self.generated.clone().map(MetadataValue::String);
        set(column, Key::GenerationExpression.as_ref(), generated);
        let identity = self.identity.as_ref();
        let number = |value: i64| MetadataValue::Number(value);
        set(column, Key::IdentityStart.as_ref(), identity.map(|i| number(i.start)));
        set(column, Key::IdentityStep.as_ref(), identity.map(|i| number(i.step)));
        set(
            column,
            Key::IdentityAllowExplicitInsert.as_ref(),
            identity.map(|i| MetadataValue::Boolean(i.allow_explicit)),
        );
        let mark = identity.and_then(|identity| identity.mark).map(number);
        set(column, Key::IdentityHighWaterMark.as_ref(), mark);
    }
}

impl Identity {
    fn of(column: &StructField) -> Result<Option<Self>> {
        let number = |key: Key| match column.metadata.get(key.as_ref()) {
            None => Ok(None),
            Some(MetadataValue::Number(value)) => Ok(Some(*value)),
            Some(other) => {
                let text = other.to_string();
                text.parse().map(Some).map_err(|_| {
                    Error::bad_data(format!(
                        "\"{}\" of column \"{}\" is \"{text}\", which is no number",
                        key.as_ref(),
                        column.name
                    ))
                })
            }
        };
        let Some(step) = number(Key::IdentityStep)? else { return Ok(None) };
        let explicit = text_of(column, Key::IdentityAllowExplicitInsert.as_ref());
        Ok(Some(Self {
            start: number(Key::IdentityStart)?.unwrap_or(1),
            step,
            allow_explicit: explicit.is_some_and(|text| text == "true"),
            mark: number(Key::IdentityHighWaterMark)?,
        }))
    }
}

/// What the column means.
pub(crate) fn comment_of(column: &StructField) -> Option<String> {
    text_of(column, COMMENT)
}

/// Says what the column means, or no longer.
pub(crate) fn set_comment(column: &mut StructField, comment: Option<&str>) {
    set(column, COMMENT, comment.map(|text| MetadataValue::String(text.to_owned())));
}

/// The SQL of a condition that old writers keep with the column.
pub(crate) fn invariant_of(column: &StructField) -> Option<String> {
    let text = text_of(column, Key::Invariants.as_ref())?;
    let value: Value = serde_json::from_str(&text).ok()?;
    Some(value.get("expression")?.get("expression")?.as_str()?.to_owned())
}

fn set(column: &mut StructField, key: &str, value: Option<MetadataValue>) {
    match value {
        Some(value) => column.metadata.insert(key.to_owned(), value),
        None => column.metadata.remove(key),
    };
}
