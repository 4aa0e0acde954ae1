//! Partition values and literals, read as the type of their key.

use boathouse_catalog::Column;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::number::Number;
use super::{ExpressionError, NULL_PARTITION, invalid};

/// How the values of a key compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyType {
    Text,
    Integer,
    Decimal,
    Real,
    Date,
    Timestamp,
    Boolean,
}

/// A partition key of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Which of the table's keys it is.
    pub(super) position: usize,
    pub(super) key_type: KeyType,
    name: String,
    data_type: String,
}

/// A literal as it is written; what it means depends on the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    Number(String),
    Date(String),
    Timestamp(String),
    Boolean(bool),
}

/// A value of a key. Values are only compared with those of the same key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Text(String),
    Number(Number),
    Date(NaiveDate),
    Timestamp(NaiveDateTime),
    Boolean(bool),
}

impl KeyType {
    /// The type of a Hive type; `None` if partitions can't be chosen by it.
    fn of(data_type: &str) -> Option<Self> {
        let name = data_type.trim().to_ascii_lowercase();
        let (base, has_arguments) = match name.split_once('(') {
            Some((base, _)) => (base.trim_end(), true),
            None => (name.as_str(), false),
        };
        match base {
            "char" | "varchar" => Some(Self::Text),
            "decimal" => Some(Self::Decimal),
            _ if has_arguments => None,
            "string" => Some(Self::Text),
            "tinyint" | "smallint" | "int" | "integer" | "bigint" | "long" => Some(Self::Integer),
            "float" | "double" => Some(Self::Real),
            "date" => Some(Self::Date),
            "timestamp" => Some(Self::Timestamp),
            "boolean" => Some(Self::Boolean),
            _ => None,
        }
    }

    /// Its family, as Glue says in messages.
    fn family(self) -> &'static str {
        match self {
            Self::Text => "String",
            Self::Integer => "Integral",
            Self::Decimal => "Decimal",
            Self::Real => "Double",
            Self::Date => "Date",
            Self::Timestamp => "Timestamp",
            Self::Boolean => "Boolean",
        }
    }

    fn stored(self, text: &str) -> Option<Value> {
        match self {
            Self::Text => Some(Value::Text(text.to_owned())),
            Self::Integer => {
                text.parse::<i64>().ok().and_then(|_| Number::decimal(text)).map(Value::Number)
            }
            Self::Decimal => Number::decimal(text).map(Value::Number),
            Self::Real => Number::real(text).map(Value::Number),
            Self::Date => date(text).map(Value::Date),
            Self::Timestamp => timestamp(text).map(Value::Timestamp),
            Self::Boolean => boolean(text).map(Value::Boolean),
        }
    }

    fn literal(self, literal: &Literal) -> Option<Value> {
        match (self, literal) {
            (Self::Boolean, Literal::Boolean(value)) => Some(Value::Boolean(*value)),
            (Self::Text, Literal::Text(text) | Literal::Number(text)) => self.stored(text),
            (Self::Text | Self::Date | Self::Timestamp, Literal::Date(text)) => {
                date(text).and_then(|_| self.stored(text))
            }
            (Self::Text | Self::Timestamp, Literal::Timestamp(text)) => {
                timestamp(text).and_then(|_| self.stored(text))
            }
            (Self::Integer, Literal::Text(text) | Literal::Number(text)) => {
                Number::decimal(text).map(Value::Number)
            }
            (Self::Decimal | Self::Real, Literal::Number(text)) => self.stored(text),
            (_, Literal::Text(text)) => self.stored(text),
            _ => None,
        }
    }
}

impl Key {
    /// The key of this name, in any case.
    pub(super) fn find(name: &str, keys: &[Column]) -> Result<Self, ExpressionError> {
        let folded = name.to_lowercase();
        let position = keys
            .iter()
            .position(|key| key.name.to_lowercase() == folded)
            .ok_or_else(|| invalid(format_args!("there is no partition key \"{name}\"")))?;
        let Column { name, data_type, .. } = &keys[position];
        let key_type = KeyType::of(data_type).ok_or_else(|| {
            let fault = "which partitions are not chosen by";
            invalid(format_args!("partition key \"{name}\" has the type {data_type}, {fault}"))
        })?;
        Ok(Self { position, key_type, name: name.clone(), data_type: data_type.clone() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What a literal is as a value of the key.
    pub(super) fn literal(&self, literal: &Literal) -> Result<Value, ExpressionError> {
        self.key_type.literal(literal).ok_or_else(|| {
            invalid(format_args!(
                "{} is no value of partition key \"{}\", which is {}",
                literal.shown(),
                self.name,
                self.data_type
            ))
        })
    }

    /// The pattern that a literal is.
    pub(super) fn pattern<'a>(&self, literal: &'a Literal) -> Result<&'a str, ExpressionError> {
        match literal {
            _ if self.key_type != KeyType::Text => Err(ExpressionError::Invalid(format!(
                "{} data type doesn't support operation 'LIKE'",
                self.key_type.family()
            ))),
            Literal::Text(pattern) => Ok(pattern),
            _ => Err(invalid(format_args!("{} is no pattern for LIKE", literal.shown()))),
        }
    }

    /// The value that a partition has; `None` is unknown.
    pub(super) fn value(
        &self,
        values: &[Option<String>],
    ) -> Result<Option<Value>, ExpressionError> {
        let stored = values.get(self.position).ok_or_else(|| {
            let name = &self.name;
            ExpressionError::State(format!("a partition has no value for its key \"{name}\""))
        })?;
        let text = match stored {
            Some(text) => text,
            None if self.key_type == KeyType::Text => NULL_PARTITION,
            None => return Ok(None),
        };
        self.key_type.stored(text).map(Some).ok_or_else(|| {
            ExpressionError::State(format!(
                "a partition has \"{text}\" for its key \"{}\", which is {}",
                self.name, self.data_type
            ))
        })
    }
}

impl Literal {
    /// As it is shown in messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("the string \"{text}\""),
            Self::Number(text) => text.clone(),
            Self::Date(text) => format!("the date \"{text}\""),
            Self::Timestamp(text) => format!("the timestamp \"{text}\""),
            Self::Boolean(value) => value.to_string(),
        }
    }
}

/// Reads `2024-01-31` and nothing like it: the index compares dates as texts.
fn date(text: &str) -> Option<NaiveDate> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (text.len() == "2024-01-31".len() && date.to_string() == text).then_some(date)
}

/// Reads a date, or a date and a time of up to nine digits after the second.
fn timestamp(text: &str) -> Option<NaiveDateTime> {
    let (day, rest) = text.split_at_checked("2024-01-31".len())?;
    let time = match rest {
        "" => NaiveTime::MIN,
        _ => time(rest.strip_prefix([' ', 'T'])?)?,
    };
    Some(date(day)?.and_time(time))
}

fn time(text: &str) -> Option<NaiveTime> {
    let (clock, fraction) = text.split_at_checked("23:59:59".len())?;
    let time = NaiveTime::parse_from_str(clock, "%H:%M:%S").ok()?;
    let is_leap_second = time.nanosecond() != 0;
    if is_leap_second || time.to_string() != clock {
        return None;
    }
    if fraction.is_empty() {
        return Some(time);
    }
    let digits = fraction.strip_prefix('.')?;
    let is_fraction = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let nanoseconds = format!("{digits:0<9}").parse().ok().filter(|_| is_fraction)?;
    time.with_nanosecond(nanoseconds)
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_canonical() {
        assert!(date("2024-02-29").is_some());
        for text in ["2023-02-29", "2024-1-05", "+2024-01-01", " 2024-01-01", "20240101", "é", ""]
        {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps_are_canonical_but_for_their_end() {
        let noon = timestamp("2024-01-31 12:00:00");
        assert!(noon.is_some());
        for text in
            ["2024-01-31T12:00:00", "2024-01-31 12:00:00.0", "2024-01-31 12:00:00.000000000"]
        {
            assert_eq!(timestamp(text), noon);
        }
        assert!(noon < timestamp("2024-01-31 12:00:00.000000001"));
        assert_eq!(timestamp("2024-01-31"), timestamp("2024-01-31 00:00:00"));
        for text in [
            "2024-01-31 ",
            "2024-01-31 12:00",
            "2024-01-31 1:00:00",
            "2024-01-31 23:59:60",
            "2024-01-31 24:00:00",
            "2024-01-31 12:00:00.",
            "2024-01-31 12:00:00.+1",
            "2024-01-31 12:00:00.0000000001",
            "2024-01-31 12:00:00Z",
            "2024-01-3é 12:00:00",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn types_are_found_in_any_case_and_with_arguments() {
        for (data_type, expected) in [
            ("STRING", Some(KeyType::Text)),
            ("varchar(10)", Some(KeyType::Text)),
            ("char (3)", Some(KeyType::Text)),
            (" Int ", Some(KeyType::Integer)),
            ("decimal(10,2)", Some(KeyType::Decimal)),
            ("double", Some(KeyType::Real)),
            ("int(3)", None),
            ("array<int>", None),
            ("binary", None),
        ] {
            assert_eq!(KeyType::of(data_type), expected, "{data_type}");
        }
    }
}
