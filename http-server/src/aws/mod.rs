//! What all AWS services have in common: the JSON door, signatures and errors.

mod door;
mod error;
mod signature;

pub(crate) use door::{Door, DoorConfig, Operations};
pub(crate) use error::{AwsError, Code};

/// The media type of requests and answers.
const JSON: &str = "application/x-amz-json-1.1";
/// The header that names the operation.
const TARGET: &str = "x-amz-target";
