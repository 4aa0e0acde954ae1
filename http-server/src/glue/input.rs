//! Inputs of operations: from JSON to a type, and the checks that many share.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::aws::AwsError;

/// The input of an operation. Members that the type doesn't know are ignored, as AWS does.
///
/// A member that is missing is a `ValidationException`, one of the wrong type a
/// `SerializationException`, and one that the type says it refuses an `InvalidInputException`.
pub(super) fn read<T: DeserializeOwned>(input: Value) -> Result<T, AwsError> {
    serde_json::from_value(input).map_err(|fault| {
        let text = fault.to_string();
        if let Some(member) = text.strip_prefix("missing field ") {
            return AwsError::validation(format!(
                "1 validation error detected: Value null at {member} failed to satisfy constraint: \
                 Member must not be null"
            ));
        }
        match text.starts_with("unknown field") || text.starts_with("unknown variant") {
            true => AwsError::invalid_input(text),
            false => AwsError::serialization(text),
        }
    })
}

/// Refuses a list of more than `limit` members.
pub(super) fn at_most<T>(list: &[T], limit: usize, member: &str) -> Result<(), AwsError> {
    if list.len() <= limit {
        return Ok(());
    }
    Err(AwsError::validation(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: \
         Member must have length less than or equal to {limit}"
    )))
}

/// Refuses a text that has not `1..=limit` characters.
pub(super) fn text(value: &str, limit: usize, member: &str) -> Result<(), AwsError> {
    let length = value.chars().count();
    if (1..=limit).contains(&length) {
        return Ok(());
    }
    Err(AwsError::validation(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: \
         Member must have length between 1 and {limit}"
    )))
}
