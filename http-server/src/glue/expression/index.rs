//! What the catalog's index can tell of a condition.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

use boathouse_catalog::{KeyConstraint, KeyTest, PartitionFilter};

use super::NULL_PARTITION;
use super::condition::{Condition, Test, Values};
use super::value::{KeyType, Value};

/// A filter that everything passes which `condition` holds for.
pub(super) fn filter(condition: &Condition) -> PartitionFilter {
    let constraints = match domains(condition) {
        Some(domains) => domains.into_iter().filter_map(constraint).collect(),
        // Only a test of a key can fail, so there is a first one.
        None => vec![KeyConstraint { key: 0, test: KeyTest::In(Vec::new()) }],
    };
    PartitionFilter { constraints }
}

/// Values that a key may have where a condition holds.
#[derive(Clone, Debug)]
struct Domain {
    key_type: KeyType,
    /// Whether NULL is one of them.
    null: bool,
    values: Extent,
}

#[derive(Clone, Debug)]
enum Extent {
    In(Vec<Value>),
    Range(Bound<Value>, Bound<Value>),
}

/// What is known of the keys where a condition holds, by their positions.
type Domains = BTreeMap<usize, Domain>;

/// The domains of the keys; `None` if the condition never holds.
fn domains(condition: &Condition) -> Option<Domains> {
    match condition {
        Condition::All(parts) => parts.iter().try_fold(Domains::new(), |all, part| {
            let more = domains(part)?;
            intersection(all, more)
        }),
        Condition::Any(parts) => parts.iter().filter_map(domains).reduce(union),
        Condition::Test(test) => match Domain::of(test) {
            Some(domain) if domain.is_empty() => None,
            Some(domain) => Some(Domains::from([(test.key.position, domain)])),
            None => Some(Domains::new()),
        },
    }
}

fn intersection(mut all: Domains, more: Domains) -> Option<Domains> {
    for (key, domain) in more {
        let both = match all.remove(&key) {
            Some(known) => known.and(domain),
            None => domain,
        };
        if both.is_empty() {
            return None;
        }
        all.insert(key, both);
    }
    Some(all)
}

/// Only what both sides know is known.
fn union(left: Domains, mut right: Domains) -> Domains {
    left.into_iter()
        .filter_map(|(key, domain)| Some((key, domain.or(right.remove(&key)?))))
        .collect()
}

fn constraint((key, domain): (usize, Domain)) -> Option<KeyConstraint> {
    // No constraint lets through NULL and some values.
    if domain.null {
        return None;
    }
    let test = match domain.values {
        Extent::In(values) => KeyTest::In(values.iter().filter_map(text).collect()),
        Extent::Range(low, high) => match (bound(low), bound(high)) {
            // It would only keep NULL out, and isn't worth a walk along the index.
            (Bound::Unbounded, Bound::Unbounded) => return None,
            (low, high) => KeyTest::Range { low, high },
        },
    };
    Some(KeyConstraint { key, test })
}

/// A value as the index has it; `None` if it can have no such value.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Date(date) => Some(date.to_string()),
        Value::Number(number) => number.integer().map(|integer| integer.to_string()),
        Value::Timestamp(_) | Value::Boolean(_) => None,
    }
}

/// A bound as the index has it. A fraction is cut off, and then a value too many may pass.
fn bound(bound: Bound<Value>) -> Bound<String> {
    let (value, exact) = match &bound {
        Bound::Included(value) | Bound::Excluded(value) => (value, text(value)),
        Bound::Unbounded => return Bound::Unbounded,
    };
    match (exact, value) {
        (Some(text), _) => bound.map(|_| text),
        (None, Value::Number(number)) => {
            number.truncated().map_or(Bound::Unbounded, |near| Bound::Included(near.to_string()))
        }
        (None, _) => Bound::Unbounded,
    }
}

impl Domain {
    /// The values that pass a test; `None` if the index can't tell.
    fn of(test: &Test) -> Option<Self> {
        let key_type = test.key.key_type;
        if !matches!(key_type, KeyType::Text | KeyType::Integer | KeyType::Date) {
            return None;
        }
        let null =
            key_type == KeyType::Text && test.passes(&Value::Text(NULL_PARTITION.to_owned()));
        let values = match (&test.values, test.negated) {
            (Values::In(values), false) => Extent::In(values.clone()),
            (Values::Range(low, high), false) => Extent::Range(low.clone(), high.clone()),
            (Values::Range(low, high), true) => outside(low, high),
            (Values::Like(pattern), false) => {
                let (low, high) = pattern.bounds();
                Extent::Range(low.map(Value::Text), high.map(Value::Text))
            }
            (Values::In(_) | Values::Like(_), true) => {
                Extent::Range(Bound::Unbounded, Bound::Unbounded)
            }
        };
        Some(Self { key_type, null, values })
    }

    fn is_empty(&self) -> bool {
        let nothing = match &self.values {
            Extent::In(values) => values
                .iter()
                .all(|value| self.key_type == KeyType::Integer && text(value).is_none()),
            Extent::Range(low, high) => {
                matches!((value(low), value(high)), (Some(low), Some(high)) if high < low)
            }
        };
        nothing && !self.null
    }

    fn and(self, other: Self) -> Self {
        let values = match (self.values, other.values) {
            (Extent::In(values), extent) | (extent, Extent::In(values)) => {
                Extent::In(values.into_iter().filter(|value| extent.contains(value)).collect())
            }
            (Extent::Range(low, high), Extent::Range(other_low, other_high)) => {
                Extent::Range(narrower_low(low, other_low), narrower_high(high, other_high))
            }
        };
        Self { key_type: self.key_type, null: self.null && other.null, values }
    }

    /// All of both, and what lies between if one of them is a range.
    fn or(self, other: Self) -> Self {
        let values = match (self.values, other.values) {
            (Extent::In(mut values), Extent::In(more)) => {
                values.extend(more);
                values.sort_unstable();
                values.dedup();
                Extent::In(values)
            }
            (left, right) => {
                let ((low, high), (other_low, other_high)) = (left.hull(), right.hull());
                Extent::Range(wider_low(low, other_low), wider_high(high, other_high))
            }
        };
        Self { key_type: self.key_type, null: self.null || other.null, values }
    }
}

impl Extent {
    fn contains(&self, value: &Value) -> bool {
        match self {
            Self::In(values) => values.contains(value),
            Self::Range(low, high) => (low.as_ref(), high.as_ref()).contains(value),
        }
    }

    /// The least range around it.
    fn hull(self) -> (Bound<Value>, Bound<Value>) {
        match self {
            Self::Range(low, high) => (low, high),
            Self::In(values) => match (values.iter().min(), values.iter().max()) {
                (Some(low), Some(high)) => {
                    (Bound::Included(low.clone()), Bound::Included(high.clone()))
                }
                _ => (Bound::Unbounded, Bound::Unbounded),
            },
        }
    }
}

/// The least range around what isn't between two bounds.
fn outside(low: &Bound<Value>, high: &Bound<Value>) -> Extent {
    let beyond = |bound: &Bound<Value>| match bound.clone() {
        Bound::Included(value) => Bound::Excluded(value),
        Bound::Excluded(value) => Bound::Included(value),
        Bound::Unbounded => Bound::Unbounded,
    };
    match (low, high) {
        (Bound::Unbounded, high) => Extent::Range(beyond(high), Bound::Unbounded),
        (low, Bound::Unbounded) => Extent::Range(Bound::Unbounded, beyond(low)),
        _ => Extent::Range(Bound::Unbounded, Bound::Unbounded),
    }
}

fn value(bound: &Bound<Value>) -> Option<&Value> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

/// Low bounds in their order: what is unbounded lets through most.
fn low_rank(bound: &Bound<Value>) -> (Option<&Value>, bool) {
    (value(bound), matches!(bound, Bound::Excluded(_)))
}

/// High bounds in their order: what is unbounded lets through most.
fn high_rank(bound: &Bound<Value>) -> (bool, Option<&Value>, bool) {
    let is_included = matches!(bound, Bound::Included(_));
    (matches!(bound, Bound::Unbounded), value(bound), is_included)
}

fn narrower_low(a: Bound<Value>, b: Bound<Value>) -> Bound<Value> {
    if low_rank(&a) < low_rank(&b) { b } else { a }
}

fn wider_low(a: Bound<Value>, b: Bound<Value>) -> Bound<Value> {
    if low_rank(&a) < low_rank(&b) { a } else { b }
}

fn narrower_high(a: Bound<Value>, b: Bound<Value>) -> Bound<Value> {
    if high_rank(&a) < high_rank(&b) { a } else { b }
}

fn wider_high(a: Bound<Value>, b: Bound<Value>) -> Bound<Value> {
    if high_rank(&a) < high_rank(&b) { b } else { a }
}
