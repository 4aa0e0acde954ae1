//! What an expression asks of a partition.

use std::ops::{Bound, RangeBounds};

use super::lexer::Comparison;
use super::pattern::Pattern;
use super::value::{Key, Value};
use super::{ExpressionError, NULL_PARTITION};

/// Tests, and how they are combined.
///
/// Negations are moved into the tests. So nothing turns what is unknown into a match, and unknown
/// is the same as false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// All of these hold.
    All(Vec<Condition>),
    /// One of these holds.
    Any(Vec<Condition>),
    Test(Test),
}

/// A test of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) key: Key,
    /// Whether the value must be outside of `values`, not inside.
    pub(super) negated: bool,
    pub(super) values: Values,
}

/// A set of values of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Values {
    In(Vec<Value>),
    Range(Bound<Value>, Bound<Value>),
    Like(Pattern),
}

impl Condition {
    pub(super) const ALWAYS: Self = Self::All(Vec::new());
    pub(super) const NEVER: Self = Self::Any(Vec::new());

    /// What holds where this is false, and is unknown where this is.
    pub(super) fn negated(self) -> Self {
        let negate = |parts: Vec<Self>| parts.into_iter().map(Self::negated).collect();
        match self {
            Self::All(parts) => Self::Any(negate(parts)),
            Self::Any(parts) => Self::All(negate(parts)),
            Self::Test(test) => Self::Test(Test { negated: !test.negated, ..test }),
        }
    }

    /// Whether it holds for the partition with these values. The order of its parts has no say in
    /// whether a value that is not of its key's type is an error.
    pub(super) fn matches(&self, values: &[Option<String>]) -> Result<bool, ExpressionError> {
        match self {
            Self::All(parts) => decide(parts, values, false),
            Self::Any(parts) => decide(parts, values, true),
            Self::Test(test) => test.matches(values),
        }
    }
}

/// `decisive` if one of the parts says so, else the first error, else its opposite.
fn decide(
    parts: &[Condition],
    values: &[Option<String>],
    decisive: bool,
) -> Result<bool, ExpressionError> {
    let mut outcome = Ok(!decisive);
    for part in parts {
        match part.matches(values) {
            Ok(answer) if answer == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome
}

impl Test {
    fn matches(&self, values: &[Option<String>]) -> Result<bool, ExpressionError> {
        let value = self.key.value(values)?;
        Ok(value.is_some_and(|value| self.passes(&value)))
    }

    /// Whether a value passes. The text that stands for NULL is in no range and outside of none.
    pub(super) fn passes(&self, value: &Value) -> bool {
        let is_null = || matches!(value, Value::Text(text) if text == NULL_PARTITION);
        if matches!(self.values, Values::Range(..)) && is_null() {
            return false;
        }
        self.values.contains(value) != self.negated
    }
}

impl Values {
    /// Those for which `comparison` with `value` holds, and whether it is those outside instead.
    pub(super) fn compared(comparison: Comparison, value: Value) -> (Self, bool) {
        match comparison {
            Comparison::Equal => (Self::In(vec![value]), false),
            Comparison::NotEqual => (Self::In(vec![value]), true),
            Comparison::Less => (Self::Range(Bound::Unbounded, Bound::Excluded(value)), false),
            Comparison::LessOrEqual => {
                (Self::Range(Bound::Unbounded, Bound::Included(value)), false)
            }
            Comparison::Greater => (Self::Range(Bound::Excluded(value), Bound::Unbounded), false),
            Comparison::GreaterOrEqual => {
                (Self::Range(Bound::Included(value), Bound::Unbounded), false)
            }
        }
    }

    fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::In(values), _) => values.contains(value),
            (Self::Range(low, high), _) => (low.as_ref(), high.as_ref()).contains(value),
            (Self::Like(pattern), Value::Text(text)) => pattern.matches(text),
            (Self::Like(_), _) => false,
        }
    }
}
