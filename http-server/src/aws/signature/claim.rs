//! What a request says about its signature.

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use chrono::{DateTime, NaiveDateTime, Utc};
use percent_encoding::percent_decode_str;

use super::invalid;
use crate::aws::error::{AwsError, Code};

/// How times are written in signatures, always in UTC.
pub(super) const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";
/// The header with the time.
pub(super) const TIME: &str = "x-amz-date";
/// The header with the body's hash.
pub(super) const PAYLOAD_HASH: &str = "x-amz-content-sha256";
/// The only way to sign that is verified.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What a scope ends in.
pub(super) const TERMINATOR: &str = "aws4_request";

/// Names that a query has if the signature is in it.
const PRESIGNED: [&str; 3] = ["x-amz-algorithm", "x-amz-credential", "x-amz-signature"];
/// Headers that one signature covers at most: as many as a request can have.
const MAX_SIGNED_HEADERS: usize = 100;

/// A signature and what it is said to be of; nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The id of the access key.
    pub(super) key_id: String,
    /// The day, region and service that the signature is for.
    pub(super) date: String,
    pub(super) region: String,
    pub(super) service: String,
    /// When it was signed, as it is written.
    pub(super) time: String,
    /// Names in lower case, sorted, none twice.
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: [u8; 32],
}

impl Claim {
    /// The claim of a request, if it makes one.
    pub(super) fn read(head: &Parts) -> Result<Option<Self>, AwsError> {
        if is_presigned(head.uri.query().unwrap_or_default()) {
            return Err(incomplete(
                "presigned requests are not supported; sign in the header Authorization",
            ));
        }
        let mut values = head.headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(incomplete("the header Authorization is there more than once"));
        }
        let text = value.to_str().map_err(|_| incomplete("the header Authorization is no text"))?;
        Self::parse(text, time(&head.headers)?).map(Some)
    }

    fn parse(text: &str, time: String) -> Result<Self, AwsError> {
        let parameters = text.strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' '));
        let parameters = parameters.ok_or_else(|| {
            incomplete(format!("the header Authorization does not start with {ALGORITHM}"))
        })?;
        let [credential, signed_headers, signature] = values(parameters)?;
        let [key_id, date, region, service] = scope(credential)?;
        Ok(Self {
            key_id: key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            time,
            signed_headers: names(signed_headers)?,
            signature: digest(signature)?,
        })
    }

    /// That it covers what decides what the request does.
    pub(super) fn check_coverage(&self, head: &Parts) -> Result<(), AwsError> {
        let covers = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        let names = head.headers.keys().map(HeaderName::as_str);
        let needed = names.filter(|name| name.starts_with("x-amz-")).chain(["host"]);
        for name in needed {
            if !covers(name) {
                return Err(invalid(format!("the header {name} is not signed")));
            }
        }
        Ok(())
    }

    /// When it was signed; the scope must be of the same day.
    pub(super) fn signed_at(&self) -> Result<DateTime<Utc>, AwsError> {
        let is_plain = self.time.len() == 16 && self.time.starts_with(|c: char| c.is_ascii_digit());
        let time = NaiveDateTime::parse_from_str(&self.time, TIME_FORMAT).ok();
        let time = time.filter(|_| is_plain).ok_or_else(|| {
            incomplete(format!("the header {TIME} is no time, as in 20150830T123600Z"))
        })?;
        if !self.time.starts_with(&self.date) || self.date.len() != 8 {
            return Err(invalid(format!("the scope's date is not that of the header {TIME}")));
        }
        Ok(time.and_utc())
    }

    /// What the key that signs is derived for.
    pub(super) fn scope(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }
}

fn is_presigned(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        let name = percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
        PRESIGNED.contains(&name.as_str())
    })
}

fn time(headers: &HeaderMap) -> Result<String, AwsError> {
    let mut values = headers.get_all(TIME).iter();
    let only = match (values.next(), values.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    };
    let only = only.ok_or_else(|| incomplete(format!("the header {TIME} must be there once")))?;
    Ok(only.to_owned())
}

/// The values of `Credential`, `SignedHeaders` and `Signature`.
fn values(parameters: &str) -> Result<[&str; 3], AwsError> {
    let mut found = [None; 3];
    for parameter in parameters.split(',') {
        let (name, value) = parameter.trim().split_once('=').unwrap_or_default();
        let slot = match name {
            "Credential" => &mut found[0],
            "SignedHeaders" => &mut found[1],
            "Signature" => &mut found[2],
            _ => return Err(incomplete("the header Authorization has an unknown parameter")),
        };
        if slot.replace(value).is_some() {
            return Err(incomplete(format!("the header Authorization has {name} twice")));
        }
    }
    match found {
        [Some(credential), Some(headers), Some(signature)] => Ok([credential, headers, signature]),
        _ => Err(incomplete(
            "the header Authorization must have Credential, SignedHeaders and Signature",
        )),
    }
}

/// The access key's id, the date, the region and the service.
fn scope(credential: &str) -> Result<[&str; 4], AwsError> {
    let parts: Vec<&str> = credential.split('/').collect();
    match parts[..] {
        [key_id, date, region, service, TERMINATOR] => Ok([key_id, date, region, service]),
        _ => Err(incomplete(format!(
            "the Credential is not of the form KEY/DATE/REGION/SERVICE/{TERMINATOR}"
        ))),
    }
}

fn names(list: &str) -> Result<Vec<String>, AwsError> {
    let names: Vec<String> =
        list.split(';').take(MAX_SIGNED_HEADERS + 1).map(str::to_owned).collect();
    let is_lower_case = !names.iter().any(|name| name.contains(|c: char| c.is_ascii_uppercase()));
    let is_sorted = names.windows(2).all(|pair| pair[0] < pair[1]);
    if is_lower_case && is_sorted && names.len() <= MAX_SIGNED_HEADERS {
        return Ok(names);
    }
    Err(incomplete(format!(
        "SignedHeaders must be sorted names in lower case, at most {MAX_SIGNED_HEADERS}"
    )))
}

fn digest(text: &str) -> Result<[u8; 32], AwsError> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest)
        .map_err(|_| incomplete("the Signature is not 64 hexadecimal digits"))?;
    Ok(digest)
}

fn incomplete(fault: impl Into<String>) -> AwsError {
    AwsError::new(Code::IncompleteSignature, fault)
}
