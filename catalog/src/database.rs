//! Databases: named groups of tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::table::check_text;

/// The database that every catalog has from the start and that cannot be dropped.
pub const DEFAULT_DATABASE: &str = "default";

/// A database: a named group of tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Its name, in lower case once it is stored.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub comment: Option<String>,
    /// Where new tables of it go, as a URL; `None` leaves that to the engine.
    #[serde(default)]
    pub location: Option<String>,
    /// Whatever its users want to keep with it.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// When it was made, in milliseconds since 1970 (UTC).
    #[serde(default)]
    pub created_at_ms: i64,
}

impl Database {
    pub(crate) fn check(&self) -> Result<()> {
        let texts = [&self.comment, &self.location];
        texts.into_iter().flatten().try_for_each(|text| check_text(text))
    }
}
