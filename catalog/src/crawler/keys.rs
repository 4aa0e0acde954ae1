//! Partition keys: what the names of folders say, and the types of their values.

use super::csv::is_date;
use super::schema::column;
use crate::Column;

/// Hive's name for the partition of NULL.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// What kind of folder a level of a path is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Level {
    /// `key=value`
    Key(String),
    /// A number or a date.
    Value,
    /// Anything else.
    Name,
}

/// The level of a folder of this name, and its value.
pub(super) fn level(name: &str) -> (Level, Option<String>) {
    if let Some((key, value)) = name.split_once('=')
        && !key.is_empty()
    {
        return (Level::Key(percent_decode(key).to_lowercase()), decoded(value));
    }
    let level = if looks_like_value(name) { Level::Value } else { Level::Name };
    (level, Some(name.to_owned()).filter(|name| name != HIVE_NULL))
}

/// Whether a name is a number or a date, as in `2024`, `01` or `2024-01-31T05`.
fn looks_like_value(name: &str) -> bool {
    let ends = name.starts_with(|c: char| c.is_ascii_digit())
        && name.ends_with(|c: char| c.is_ascii_digit() || c == 'Z');
    ends && name.len() <= 32 && name.bytes().all(|b| b.is_ascii_digit() || b"-_.:TZ+".contains(&b))
}

/// A value as Hive writes it into a path.
fn decoded(text: &str) -> Option<String> {
    // Twice where a writer encodes the value and the store encodes the path.
    (text != HIVE_NULL).then(|| percent_decode(&percent_decode(text)))
}

fn percent_decode(text: &str) -> String {
    let raw = text.as_bytes();
    let mut bytes = Vec::with_capacity(raw.len());
    let mut index = 0;
    while index < raw.len() {
        let hex = (raw[index] == b'%').then(|| text.get(index + 1..index + 3)).flatten();
        let hex = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                index += 3;
            }
            None => {
                bytes.push(raw[index]);
                index += 1;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// The keys of these levels, with types that hold all of `values`.
pub(super) fn keys<'a>(
    levels: &[Level],
    values: impl Iterator<Item = &'a [Option<String>]> + Clone,
) -> Vec<Column> {
    let mut unnamed = 0;
    let keys = levels.iter().enumerate().map(|(index, level)| {
        let name = match level {
            Level::Key(key) => key.clone(),
            Level::Value | Level::Name => {
                unnamed += 1;
                format!("partition_{}", unnamed - 1)
            }
        };
        let values = values.clone().filter_map(|row| row.get(index)?.as_deref());
        column(name, type_of(values))
    });
    keys.collect()
}

/// Whole numbers, dates, or else strings. A number must be written as numbers are: `007` is none.
fn type_of<'a>(values: impl Iterator<Item = &'a str> + Clone) -> &'static str {
    if values.clone().next().is_none() {
        "string"
    } else if values.clone().all(|value| fits("int", value)) {
        "int"
    } else if values.clone().all(|value| fits("bigint", value)) {
        "bigint"
    } else if values.clone().all(is_date) {
        "date"
    } else {
        "string"
    }
}

/// Whether `value` can be a value of a key of this type.
pub(super) fn fits(data_type: &str, value: &str) -> bool {
    let is_between = |low: i64, high: i64| {
        value.parse::<i64>().is_ok_and(|n| n.to_string() == value && (low..=high).contains(&n))
    };
    match data_type.trim().to_ascii_lowercase().as_str() {
        "tinyint" => is_between(i8::MIN.into(), i8::MAX.into()),
        "smallint" => is_between(i16::MIN.into(), i16::MAX.into()),
        "int" | "integer" => is_between(i32::MIN.into(), i32::MAX.into()),
        "bigint" | "long" => is_between(i64::MIN, i64::MAX),
        "date" => is_date(value),
        "boolean" => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_told_by_their_names() {
        let key = |name: &str| Level::Key(name.into());
        let some = |value: &str| Some(value.to_owned());
        for (name, expected, value) in [
            ("Year=2024", key("year"), some("2024")),
            ("k=a%2Fb%20c", key("k"), some("a/b c")),
            ("k=50%25%2B", key("k"), some("50%+")),
            ("k=100%", key("k"), some("100%")),
            ("k=", key("k"), some("")),
            ("k=a=b", key("k"), some("a=b")),
            ("k=__HIVE_DEFAULT_PARTITION__", key("k"), None),
            ("2024", Level::Value, some("2024")),
            ("2024-01-31T05", Level::Value, some("2024-01-31T05")),
            ("users", Level::Name, some("users")),
            ("v1", Level::Name, some("v1")),
            ("=x", Level::Name, some("=x")),
        ] {
            assert_eq!(level(name), (expected, value), "{name}");
        }
    }

    #[test]
    fn keys_have_the_narrowest_type_that_loses_nothing() {
        for (values, expected) in [
            (vec!["1", "-2"], "int"),
            (vec!["1", "3000000000"], "bigint"),
            (vec!["1", "007"], "string"),
            (vec!["99999999999999999999"], "string"),
            (vec!["2024-01-31"], "date"),
            (vec!["2024-02-30"], "string"),
            (vec!["2024-01-31", "7"], "string"),
            (vec![], "string"),
            (vec!["+1"], "string"),
        ] {
            assert_eq!(type_of(values.iter().copied()), expected, "{values:?}");
        }
    }
}
