//! The expressions by which Glue's `GetPartitions` chooses partitions.
//!
//! ```text
//! text -> lexer -> parser (types from the keys) -> condition -> matches
//!                                                     `------> index: PartitionFilter
//! ```
//!
//! The grammar is that of SQL's WHERE over one key and literals at a time: `= == <> != < <= > >=`
//! with the literal on either side, `[NOT] IN`, `[NOT] BETWEEN`, `[NOT] LIKE`, `IS [NOT] NULL`,
//! `NOT`, `AND`, `OR` and parentheses, also around keys and literals. Keys are found in any case,
//! bare or in backticks. Double quotes are those of strings. In a string a quote is doubled or
//! follows a backslash, a backslash is doubled, and before anything else it is itself.

mod condition;
mod index;
mod lexer;
mod number;
mod parser;
mod pattern;
#[cfg(test)]
mod tests;
mod value;

use std::fmt::Display;

use boathouse_catalog::{Column, PartitionFilter};

use self::condition::Condition;

/// Longer expressions are refused, as Glue does.
const LENGTH_MAX: usize = 2048;
/// What Glue calls the partition of NULL.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// A parsed and type-checked partition expression.
///
/// Strings compare by their bytes, numbers exactly, dates and timestamps in time. NULL is what it
/// is in Glue:
/// - For keys of strings, the partition of NULL has the value `__HIVE_DEFAULT_PARTITION__` and is
///   compared as that text: `k = '__HIVE_DEFAULT_PARTITION__'` finds it, and so does `k <> 'a'`.
///   But it lies in no range, so that `k >= '2024'` doesn't find it and can use the index.
/// - For other keys, that literal is refused. The partition of NULL passes no test and no negation
///   of one: both are unknown, and what is unknown doesn't match.
/// - `IS NULL` is false and `IS NOT NULL` is true, for every partition.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    condition: Condition,
}

/// Why an expression has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpressionError {
    /// The expression is at fault: Glue's `InvalidInputException`.
    #[error("{0}")]
    Invalid(String),
    /// A stored value is not of its key's type: Glue's `InvalidStateException`.
    #[error("{0}")]
    State(String),
}

impl Expression {
    /// Reads an expression over the partition keys of a table. No text, and blank text, lets every
    /// partition through.
    pub(crate) fn parse(text: Option<&str>, keys: &[Column]) -> Result<Self, ExpressionError> {
        let text = text.unwrap_or_default();
        let length = text.chars().count();
        if LENGTH_MAX < length {
            return Err(invalid(format!("it has {length} characters, the limit is {LENGTH_MAX}")));
        }
        if text.trim().is_empty() {
            return Ok(Self { condition: Condition::ALWAYS });
        }
        Ok(Self { condition: parser::parse(text, keys)? })
    }

    /// What the catalog's index can tell of it: every partition that matches passes.
    ///
    /// There is at most one constraint a key, on keys of strings, integers and dates. Keys of
    /// strings have none where the partition of NULL matches too, which no constraint could say.
    pub(crate) fn filter(&self) -> PartitionFilter {
        index::filter(&self.condition)
    }

    /// Whether the partition with these values matches; `None` is the partition of NULL.
    ///
    /// A stored value that is not of its key's type is an error if the answer depends on it.
    pub(crate) fn matches(&self, values: &[Option<String>]) -> Result<bool, ExpressionError> {
        self.condition.matches(values)
    }
}

fn invalid(detail: impl Display) -> ExpressionError {
    ExpressionError::Invalid(format!("Invalid partition expression! {detail}"))
}
