//! Pages of lists, and the opaque tokens between them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::aws::AwsError;

/// How many members a page has: what was asked for, within `1..=limit`; else the limit.
pub(super) fn size(max_results: Option<i64>, limit: usize) -> Result<usize, AwsError> {
    let Some(wanted) = max_results else { return Ok(limit) };
    usize::try_from(wanted).ok().filter(|wanted| (1..=limit).contains(wanted)).ok_or_else(|| {
        AwsError::validation(format!(
            "1 validation error detected: Value '{wanted}' at 'maxResults' failed to satisfy \
             constraint: Member must have value between 1 and {limit}"
        ))
    })
}

/// A place in a list as a token; clients send it back as it is.
pub(super) fn token(place: &impl Serialize) -> Result<String, AwsError> {
    let json = serde_json::to_vec(place).map_err(|fault| AwsError::internal(fault.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// The place in a list that a token says. An empty token is none.
pub(super) fn place<T: DeserializeOwned>(token: Option<&str>) -> Result<Option<T>, AwsError> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let json = URL_SAFE_NO_PAD.decode(token).ok();
    let place = json.and_then(|json| serde_json::from_slice(&json).ok());
    place.map(Some).ok_or_else(|| AwsError::invalid_input("Invalid NextToken."))
}

/// One page of `all`, which is sorted by the name that `name` gives, and the token of the next.
pub(super) fn by_name<T>(
    all: Vec<T>,
    name: impl Fn(&T) -> &str,
    max_results: Option<i64>,
    limit: usize,
    next_token: Option<&str>,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let size = size(max_results, limit)?;
    let after: Option<String> = place(next_token)?;
    let is_left = |one: &T| after.as_deref().is_none_or(|after| after < name(one));
    let mut left = all.into_iter().filter(is_left);
    let page: Vec<T> = left.by_ref().take(size).collect();
    let next = match (left.next(), page.last()) {
        (Some(_), Some(last)) => Some(token(&name(last))?),
        _ => None,
    };
    Ok((page, next))
}

/// `answer` with the token of the next page, if there is one.
pub(super) fn with_token(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["NextToken"] = Value::String(next);
    }
    answer
}
