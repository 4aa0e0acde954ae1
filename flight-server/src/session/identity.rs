//! How a request says which session it belongs to.

use tonic::Status;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// The cookie's name, as the Flight specification suggests it.
const COOKIE: &str = "arrow_flight_session_id";

/// The bearer token of a request. Some clients send the header twice.
pub(crate) fn bearer(metadata: &MetadataMap) -> Option<&str> {
    metadata.get_all("authorization").iter().find_map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    })
}

/// The session cookie of a request.
pub(crate) fn cookie(metadata: &MetadataMap) -> Option<&str> {
    metadata.get_all("cookie").iter().find_map(|value| {
        value.to_str().ok()?.split(';').find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE).then(|| value.trim_matches('"'))
        })
    })
}

/// Whether the client keeps cookies at all.
pub(crate) fn keeps_cookies(metadata: &MetadataMap) -> bool {
    metadata.contains_key("cookie")
}

/// The answer's header that makes a client send `token` as its cookie.
pub(crate) fn set_cookie(token: &str) -> Result<MetadataValue<Ascii>, Status> {
    header(format!("{COOKIE}={token}; Path=/; HttpOnly"))
}

/// The answer's header that makes a client forget its cookie.
pub(crate) fn forget_cookie() -> Result<MetadataValue<Ascii>, Status> {
    header(format!("{COOKIE}=; Path=/; Max-Age=0"))
}

/// The handshake's answer: the client sends it back with each call.
pub(crate) fn authorization(token: &str) -> Result<MetadataValue<Ascii>, Status> {
    header(format!("Bearer {token}"))
}

fn header(text: String) -> Result<MetadataValue<Ascii>, Status> {
    text.parse().map_err(|_| Status::internal("a session's token is not a header value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_may_come_twice_and_beside_others() {
        let mut metadata = MetadataMap::new();
        metadata.append("authorization", "Basic dTpw".parse().unwrap());
        metadata.append("authorization", "bearer abc".parse().unwrap());
        metadata.append("authorization", "Bearer abc".parse().unwrap());
        assert_eq!(bearer(&metadata), Some("abc"));
    }

    #[test]
    fn the_session_cookie_is_found_among_others() {
        let mut metadata = MetadataMap::new();
        metadata.append("cookie", "a=b; arrow_flight_session_id=xyz; c=d".parse().unwrap());
        assert_eq!(cookie(&metadata), Some("xyz"));
        assert!(keeps_cookies(&metadata));
    }
}
