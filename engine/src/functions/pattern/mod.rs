//! PostgreSQL's patterns of `to_char`, `to_date` and `to_timestamp`.

pub(super) mod moment;
pub(super) mod number;
mod read;
mod write;
