//! AWS Signature Version 4, verified: the form that signs in the header `Authorization`.
//!
//! ```text
//! head -> Claim (what it says) -> access key -> Signed (what must hold) -> body -> verified, or refused
//! ```
//!
//! A signature covers the method, the path, the query, the host, every `x-amz-*` header and the
//! body. It is good for 15 minutes before and after the time that it names, and for any region.
//!
//! Within that time the same request may come again and is served again. Times have whole
//! seconds, so a client that asks the same thing twice in one second signs it twice alike, and
//! nothing tells the second from a copy. What keeps copies away is the network or TLS before it;
//! what limits them is the 15 minutes.
//!
//! Where signatures are not required, a key that nobody made is let through unverified: AWS
//! clients always sign, with made-up keys if need be. A key that is known must be right everywhere.

mod canonical;
mod claim;
mod keys;
mod signing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::http::request::Parts;
use boathouse_catalog::Catalog;
use chrono::{DateTime, Duration, Utc};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::{AwsError, Code};
use claim::{Claim, PAYLOAD_HASH};
use keys::Keys;

/// How far the clocks of a client and the server may differ.
const SKEW: Duration = Duration::minutes(15);

/// Decides who may come in, by the access keys of a catalog.
pub(crate) struct Verifier {
    keys: Keys,
    services: &'static [&'static str],
    required: bool,
}

/// What a request's head says about who sent it.
pub(crate) enum Admission {
    /// Nothing that can be verified, where nothing has to be.
    Unverified,
    /// That it was signed with an access key.
    Signed(Signed),
}

/// A signature of which everything holds that the head decides.
pub(crate) struct Signed {
    claim: Claim,
    secret: Arc<str>,
}

impl Verifier {
    /// A verifier of signatures for one of `services`. If they are `required`, a request must be
    /// signed with a key that is known.
    pub(crate) fn new(catalog: Catalog, services: &'static [&'static str], required: bool) -> Self {
        Self { keys: Keys::new(catalog), services, required }
    }

    /// What `head` says, at the time `now`; an error if that is already enough to refuse it.
    pub(crate) async fn admit(
        &self,
        head: &Parts,
        now: DateTime<Utc>,
    ) -> Result<Admission, AwsError> {
        let claim = match Claim::read(head)? {
            Some(claim) => claim,
            None if self.required => return Err(unsigned()),
            None => return Ok(Admission::Unverified),
        };
        match self.keys.secret(&claim.key_id).await? {
            Some(secret) => {
                check(&claim, head, self.services, now)?;
                Ok(Admission::Signed(Signed { claim, secret }))
            }
            None if self.required => Err(unknown_key(&claim.key_id)),
            None => Ok(Admission::Unverified),
        }
    }
}

impl Signed {
    /// Whether `head` and `body` are what was signed, with the secret of the access key.
    pub(crate) fn verify(&self, head: &Parts, body: &[u8]) -> Result<(), AwsError> {
        let payload_hash = hex::encode(Sha256::digest(body));
        let stated = head.headers.get(PAYLOAD_HASH);
        if stated.is_some_and(|stated| stated.as_bytes() != payload_hash.as_bytes()) {
            return Err(invalid("the header x-amz-content-sha256 is not the SHA-256 of the body"));
        }
        let request = canonical::request(head, &self.claim.signed_headers, &payload_hash);
        let expected = signing::signature(&self.secret, &self.claim, &request)?;
        if bool::from(expected.ct_eq(&self.claim.signature)) {
            return Ok(());
        }
        Err(invalid(
            "the signature does not match the request: check the secret access key, \
             and that nothing changes the request on its way",
        ))
    }
}

/// Whether a claim is for this server, and for now.
fn check(
    claim: &Claim,
    head: &Parts,
    services: &[&str],
    now: DateTime<Utc>,
) -> Result<(), AwsError> {
    if !services.contains(&claim.service.as_str()) {
        let services = services.join("' or '");
        return Err(invalid(format!(
            "Credential should be scoped to correct service: '{services}'."
        )));
    }
    claim.check_coverage(head)?;
    let signed_at = claim.signed_at()?;
    let show = |time: DateTime<Utc>| time.format(claim::TIME_FORMAT);
    let (earliest, latest) = (now - SKEW, now + SKEW);
    if signed_at < earliest {
        return Err(expired(format!(
            "Signature expired: {} is now earlier than {} ({} - 15 min.)",
            claim.time,
            show(earliest),
            show(now)
        )));
    }
    if latest < signed_at {
        return Err(expired(format!(
            "Signature not yet current: {} is still later than {} ({} + 15 min.)",
            claim.time,
            show(latest),
            show(now)
        )));
    }
    Ok(())
}

fn unsigned() -> AwsError {
    AwsError::new(
        Code::MissingAuthenticationToken,
        "the request is not signed; this server wants AWS Signature Version 4, \
         with an access key of this lake",
    )
}

fn unknown_key(id: &str) -> AwsError {
    AwsError::new(Code::UnrecognizedClient, format!("there is no access key \"{id}\""))
}

fn invalid(fault: impl Into<String>) -> AwsError {
    AwsError::new(Code::InvalidSignature, fault)
}

fn expired(fault: String) -> AwsError {
    AwsError::new(Code::RequestExpired, fault)
}
