//! The signature of a canonical request.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::claim::{ALGORITHM, Claim, TERMINATOR};
use crate::aws::error::AwsError;

/// What `secret` signs `request` with, in the scope and at the time of `claim`.
pub(super) fn signature(secret: &str, claim: &Claim, request: &[u8]) -> Result<[u8; 32], AwsError> {
    let mut key = mac(format!("AWS4{secret}").as_bytes(), claim.date.as_bytes())?;
    for part in [&claim.region, &claim.service, TERMINATOR] {
        key = mac(&key, part.as_bytes())?;
    }
    let hash = hex::encode(Sha256::digest(request));
    let text = format!("{ALGORITHM}\n{}\n{}\n{hash}", claim.time, claim.scope());
    mac(&key, text.as_bytes())
}

fn mac(key: &[u8], text: &[u8]) -> Result<[u8; 32], AwsError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(AwsError::internal)?;
    mac.update(text);
    Ok(mac.finalize().into_bytes().into())
}
