//! Partition values as texts whose order is that of the values.

use std::ops::Bound;

use crate::KeyTest;

/// The sort key of NULL: less than that of any value.
const NULL: &str = "n";
/// What the sort key of a value starts with.
const VALUE: &str = "v";

/// How the values of a partition key compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// As numbers.
    Integer,
    /// As texts, by their bytes.
    Text,
    /// Only for equality, by their bytes.
    Opaque,
}

impl KeyKind {
    /// The kind of a Hive type.
    pub(crate) fn of(data_type: &str) -> Self {
        match data_type.trim().to_ascii_lowercase().as_str() {
            "tinyint" | "smallint" | "int" | "integer" | "bigint" | "long" => Self::Integer,
            "string" | "date" => Self::Text,
            varchar if varchar.starts_with("varchar(") => Self::Text,
            _ => Self::Opaque,
        }
    }

    /// Whether `value` is of this kind.
    pub(crate) fn accepts(self, value: &str) -> bool {
        self != Self::Integer || value.parse::<i64>().is_ok()
    }

    /// The sort key of a value; `None` if it isn't of this kind.
    pub(crate) fn encode(self, value: Option<&str>) -> Option<String> {
        let Some(value) = value else { return Some(NULL.to_owned()) };
        match self {
            Self::Integer => value.parse().ok().map(encode_integer),
            Self::Text | Self::Opaque => Some(format!("{VALUE}{value}")),
        }
    }
}

/// Shifted to be positive and padded with zeros: -1 is less than 0 as a text too.
fn encode_integer(value: i64) -> String {
    format!("{VALUE}{:020}", value.cast_unsigned() ^ (1 << 63))
}

/// The sort keys that pass a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SortKeys {
    /// These.
    In(Vec<String>),
    /// Those between.
    Range(Bound<String>, Bound<String>),
}

impl SortKeys {
    /// The sort keys of the values of this kind that may pass `test`.
    pub(crate) fn passing(test: &KeyTest, kind: KeyKind) -> Self {
        match test {
            KeyTest::IsNull => Self::In(vec![NULL.to_owned()]),
            KeyTest::IsNotNull => Self::not_null(),
            KeyTest::In(values) => {
                let keys: Option<Vec<String>> =
                    values.iter().map(|value| kind.encode(Some(value))).collect();
                match keys {
                    // No stored value has U+0000, and PostgreSQL refuses to look for one.
                    Some(mut keys) => {
                        keys.retain(|key| !key.contains('\0'));
                        keys.sort_unstable();
                        keys.dedup();
                        Self::In(keys)
                    }
                    None => Self::not_null(),
                }
            }
            KeyTest::Range { .. } if kind == KeyKind::Opaque => Self::not_null(),
            KeyTest::Range { low, high } => {
                let low = match encode_bound(low, kind) {
                    Bound::Unbounded => Bound::Included(VALUE.to_owned()),
                    bound => bound,
                };
                Self::Range(low, encode_bound(high, kind))
            }
        }
    }

    fn not_null() -> Self {
        Self::Range(Bound::Included(VALUE.to_owned()), Bound::Unbounded)
    }
}

/// The bound's sort key. What is no value of the kind bounds nothing.
fn encode_bound(bound: &Bound<String>, kind: KeyKind) -> Bound<String> {
    let encode = |value: &String| kind.encode(Some(value)).filter(|key| !key.contains('\0'));
    match bound {
        Bound::Included(value) => encode(value).map_or(Bound::Unbounded, Bound::Included),
        Bound::Excluded(value) => encode(value).map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded => Bound::Unbounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_sort_as_numbers() {
        let values = [i64::MIN, -10, -9, -1, 0, 1, 9, 10, 99, 100, i64::MAX];
        let keys: Vec<String> = values.into_iter().map(encode_integer).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert!(keys.iter().all(|key| NULL < key.as_str() && VALUE <= key.as_str()));
    }

    #[test]
    fn a_number_has_one_sort_key_however_it_is_written() {
        let integer = KeyKind::of("BIGINT");
        assert_eq!(integer.encode(Some("007")), integer.encode(Some("7")));
        assert_eq!(integer.encode(Some("seven")), None);
    }

    #[test]
    fn what_is_no_number_constrains_nothing_but_null() {
        let test = KeyTest::In(vec!["1".into(), "1.0".into()]);
        assert_eq!(SortKeys::passing(&test, KeyKind::Integer), SortKeys::not_null());
        let low = Bound::Excluded("abc".into());
        let test = KeyTest::Range { low, high: Bound::Unbounded };
        assert_eq!(SortKeys::passing(&test, KeyKind::Integer), SortKeys::not_null());
    }

    #[test]
    fn a_range_over_opaque_values_constrains_nothing_but_null() {
        let test = KeyTest::Range { low: Bound::Included("1".into()), high: Bound::Unbounded };
        let kind = KeyKind::of("decimal(10,2)");
        assert_eq!(SortKeys::passing(&test, kind), SortKeys::not_null());
    }
}
