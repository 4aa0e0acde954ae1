//! Casts to types that have other names, and casts of text to a length.

use datafusion::sql::sqlparser::ast::{CharacterLength, DataType, Expr, Value};

use super::build::{call, cast, number, take};
use crate::{Error, Result};

pub(super) fn rewrite(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::TypedString(typed) => {
            if let Some(Target::Text(_)) = target(&typed.data_type)? {
                typed.data_type = DataType::Varchar(None);
            }
            if let (DataType::Timestamp(_, _), Value::SingleQuotedString(text)) =
                (&typed.data_type, &mut typed.value.value)
            {
                add_seconds(text);
            }
            Ok(())
        }
        Expr::Cast { expr: value, data_type, format: None, array: false, .. } => {
            if let (DataType::Timestamp(_, _), Expr::Value(literal)) = (&*data_type, value.as_mut())
                && let Value::SingleQuotedString(text) = &mut literal.value
            {
                add_seconds(text);
            }
            match target(data_type)? {
                None => {}
                Some(Target::Text(None)) => *data_type = DataType::Varchar(None),
                // A cast to a length cuts off what is longer.
                Some(Target::Text(Some(length))) => {
                    let text = cast(take(value), DataType::Varchar(None));
                    *expr = call("left", vec![text, number(length)]);
                }
                Some(Target::Json) => {
                    let text = cast(take(value), DataType::Varchar(None));
                    *expr = call("json_parse", vec![text]);
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

enum Target {
    /// Text, of a greatest length in characters.
    Text(Option<u64>),
    Json,
}

fn target(data_type: &DataType) -> Result<Option<Target>> {
    Ok(match data_type {
        DataType::Varchar(length)
        | DataType::Nvarchar(length)
        | DataType::CharVarying(length)
        | DataType::CharacterVarying(length) => Some(Target::Text(limit(length.as_ref()))),
        DataType::Char(length) | DataType::Character(length) => {
            Some(Target::Text(limit(length.as_ref()).or(Some(1))))
        }
        DataType::JSON | DataType::JSONB => Some(Target::Json),
        DataType::Custom(name, _) => match name.to_string().to_ascii_lowercase().as_str() {
            "bpchar" => Some(Target::Text(None)),
            "super" => {
                return Err(Error::unsupported("the type SUPER").with_hint(
                    "JSON is kept as text here: json_extract_path_text() and -> go into it.",
                ));
            }
            _ => None,
        },
        _ => None,
    })
}

/// DataFusion wants the seconds of a timestamp, PostgreSQL doesn't.
fn add_seconds(text: &mut String) {
    let Some((date, time)) = text.trim_end().split_once([' ', 'T']) else { return };
    let clock = time.split_once(':').is_some_and(|(hours, minutes)| {
        let two = |digits: &str| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        two(hours) && two(minutes)
    });
    if clock {
        *text = format!("{date} {time}:00");
    }
}

fn limit(length: Option<&CharacterLength>) -> Option<u64> {
    match length {
        Some(CharacterLength::IntegerLength { length, .. }) => Some(*length),
        Some(CharacterLength::Max) | None => None,
    }
}
