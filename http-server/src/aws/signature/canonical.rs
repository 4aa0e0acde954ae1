//! The canonical request: the one text of a request that both sides sign.

use axum::http::HeaderMap;
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The canonical form of a request, of which `signed_headers` and the body's hash are signed.
pub(super) fn request(head: &Parts, signed_headers: &[String], payload_hash: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let mut line = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        text.push(b'\n');
    };
    line(head.method.as_str().as_bytes());
    line(path(head.uri.path()).as_bytes());
    line(query(head.uri.query().unwrap_or_default()).as_bytes());
    for name in signed_headers {
        line(&header(&head.headers, name));
    }
    line(b"");
    line(signed_headers.join(";").as_bytes());
    text.extend_from_slice(payload_hash.as_bytes());
    text
}

/// A path as it was sent is encoded once; it is signed encoded twice.
fn path(sent: &str) -> String {
    percent_encode(sent.as_bytes(), RESERVED_IN_PATH).to_string()
}

/// Encoded all in one way, sorted by name, then by value.
fn query(sent: &str) -> String {
    let pairs = sent.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (recode(name), recode(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn recode(text: &str) -> String {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    percent_encode(&bytes, RESERVED).to_string()
}

/// A header with all its values, runs of spaces in them made one.
fn header(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let values = headers.get_all(name).iter();
    let values: Vec<Vec<u8>> = values.map(|value| squeeze(value.as_bytes())).collect();
    [name.as_bytes(), b":", &values.join(&b","[..])].concat()
}

fn squeeze(value: &[u8]) -> Vec<u8> {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}
