//! Random expressions and partitions against a naive reading, and random garbage.

use std::ops::Bound;

use boathouse_catalog::KeyTest;

use super::tree::{Datum, KEYS, Tree};
use super::*;

const EXPRESSIONS: usize = 6000;
const PARTITIONS: usize = 12;
const GARBAGE: usize = 20_000;

/// Xorshift: the same numbers on every run.
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// True once in `times`.
    pub(super) fn chance(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// The word in some case.
    pub(super) fn cased(&mut self, word: &str) -> String {
        match self.below(3) {
            0 => word.to_lowercase(),
            1 => word.to_uppercase(),
            _ => word.to_owned(),
        }
    }
}

fn tree_keys() -> Vec<Column> {
    KEYS.map(|(name, data_type)| column(name, data_type)).into()
}

fn partition(random: &mut Random) -> Vec<Option<Datum>> {
    (0..KEYS.len()).map(|key| (!random.chance(5)).then(|| Datum::stored(random, key))).collect()
}

fn store(random: &mut Random, data: &[Option<Datum>]) -> Vec<Option<String>> {
    let data = data.iter().enumerate();
    data.map(|(key, datum)| datum.as_ref().map(|datum| datum.store(random, key))).collect()
}

#[test]
fn random_expressions_match_what_they_say_and_pass_their_filter() {
    let mut random = Random(0x5eed_1234_5678_9abc);
    let keys = tree_keys();
    let (mut matching, mut kept_out) = (0, 0);
    for _ in 0..EXPRESSIONS {
        let depth = random.below(5) as u32;
        let tree = Tree::random(&mut random, depth);
        let text = tree.write(&mut random);
        let expression = match Expression::parse(Some(&text), &keys) {
            Ok(expression) => expression,
            Err(_) if LENGTH_MAX < text.chars().count() => continue,
            Err(error) => panic!("{text}: {error}"),
        };
        let filter = expression.filter();
        for _ in 0..PARTITIONS {
            let data = partition(&mut random);
            let values = store(&mut random, &data);
            let expected = tree.truth(&data) == Some(true);
            assert_eq!(expression.matches(&values), Ok(expected), "{text}\n{values:?}");
            let passes = passes(&filter, &values, &keys);
            assert!(passes || !expected, "{text}\n{values:?}\n{filter:?}");
            matching += usize::from(expected);
            kept_out += usize::from(!passes);
        }
    }
    // The test tests something.
    let all = EXPRESSIONS * PARTITIONS;
    assert!(all / 5 < matching && all / 5 < kept_out, "{matching} and {kept_out} of {all}");
}

#[test]
fn garbage_is_no_panic() {
    const FRAGMENTS: [&str; 40] = [
        "region",
        "hour",
        "day",
        "price",
        "date",
        "timestamp",
        "unknown",
        "and",
        "or",
        "not",
        "in",
        "between",
        "like",
        "is",
        "null",
        "true",
        "(",
        ")",
        ",",
        "=",
        "<",
        ">",
        "!",
        "'",
        "\"",
        "`",
        "\\",
        "%",
        "_",
        "-",
        "+",
        ".",
        "7",
        "1.5",
        "1e9",
        "'a'",
        "'2024-01-01'",
        "\u{0}",
        "é",
        "\u{1f980}",
    ];
    let mut random = Random(0xbad5_eed5_bad5_eed5);
    let keys = tree_keys();
    for _ in 0..GARBAGE {
        let mut text = String::new();
        for _ in 0..random.below(24) {
            match random.below(8) {
                0 => text.extend(char::from_u32(random.below(0x11_0000) as u32)),
                1 => text.push(char::from(random.below(128) as u8)),
                _ => text.push_str(random.pick(&FRAGMENTS)),
            }
            if !random.chance(3) {
                text.push(' ');
            }
        }
        let data = partition(&mut random);
        let values = store(&mut random, &data);
        if let Ok(expression) = Expression::parse(Some(&text), &keys) {
            let passes = passes(&expression.filter(), &values, &keys);
            assert!(passes || expression.matches(&values) != Ok(true), "{text}");
        }
    }
}

#[test]
fn damaged_expressions_are_no_panic() {
    let mut random = Random(0x0dd5_eed0_0dd5_eed0);
    let keys = tree_keys();
    for _ in 0..GARBAGE {
        let mut text: Vec<char> = Tree::random(&mut random, 2).write(&mut random).chars().collect();
        let place = random.below(text.len());
        match random.below(3) {
            0 => drop(text.remove(place)),
            1 => text.insert(place, random.pick(&['\'', '(', ')', '-', '\\', 'x', ' '])),
            _ => text.truncate(place),
        }
        let text: String = text.into_iter().collect();
        let data = partition(&mut random);
        let values = store(&mut random, &data);
        if let Ok(expression) = Expression::parse(Some(&text), &keys) {
            let passes = passes(&expression.filter(), &values, &keys);
            assert!(passes || expression.matches(&values) != Ok(true), "{text}");
        }
    }
}

/// Whether the catalog would read this partition: what its sort keys do, done by hand.
fn passes(filter: &PartitionFilter, values: &[Option<String>], keys: &[Column]) -> bool {
    filter.constraints.iter().all(|constraint| {
        let data_type = keys[constraint.key].data_type.as_str();
        let value = values[constraint.key].as_deref();
        match (&constraint.test, value) {
            (KeyTest::IsNull, value) => value.is_none(),
            (_, None) => false,
            (KeyTest::IsNotNull, Some(_)) => true,
            (KeyTest::In(texts), Some(value)) => {
                let texts: Option<Vec<Sort>> =
                    texts.iter().map(|text| Sort::of(text, data_type)).collect();
                let value = Sort::of(value, data_type).unwrap();
                texts.is_none_or(|texts| texts.contains(&value))
            }
            (KeyTest::Range { .. }, Some(_)) if data_type.starts_with("decimal") => true,
            (KeyTest::Range { low, high }, Some(value)) => {
                let value = Sort::of(value, data_type).unwrap();
                let bound = |bound: &Bound<String>, included: fn(&Sort, &Sort) -> bool| match bound
                {
                    Bound::Unbounded => true,
                    Bound::Included(text) | Bound::Excluded(text) => Sort::of(text, data_type)
                        .is_none_or(|bound_at| match bound {
                            Bound::Excluded(_) if bound_at == value => false,
                            _ => included(&bound_at, &value),
                        }),
                };
                bound(low, |low, value| low <= value) && bound(high, |high, value| value <= high)
            }
        }
    })
}

#[derive(PartialEq, PartialOrd)]
enum Sort {
    Integer(i64),
    Text(String),
}

impl Sort {
    fn of(text: &str, data_type: &str) -> Option<Self> {
        match data_type {
            "int" => text.parse().ok().map(Self::Integer),
            _ => Some(Self::Text(text.to_owned())),
        }
    }
}
