//! The mark of a write that is done once, however often it is asked for.

use std::fmt;

use deltalake::kernel::Transaction;

use crate::{Error, Result};

/// Longer names are refused: each snapshot of the table keeps them.
const APP_BYTES_MAX: usize = 512;

/// An application's own number for a write to a Delta table. A write whose number the table has
/// already, or has passed, does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppTransaction {
    app: String,
    version: i64,
}

impl AppTransaction {
    /// `app` is who writes, `version` counts up with each of its writes to a table.
    pub fn new(app: impl Into<String>, version: i64) -> Result<Self> {
        let app = app.into();
        if app.is_empty() || app.len() > APP_BYTES_MAX {
            return Err(Error::invalid(format!(
                "txn_app has {} bytes; it takes 1 to {APP_BYTES_MAX}",
                app.len()
            )));
        }
        if version < 0 {
            return Err(Error::invalid(format!("txn_version {version} is negative"))
                .with_hint("Count up from 0 with each write."));
        }
        Ok(Self { app, version })
    }

    /// Both as text, as clients send them.
    pub fn parse(app: &str, version: &str) -> Result<Self> {
        let number = version.parse().map_err(|_| {
            Error::invalid(format!("txn_version \"{version}\" is no whole number"))
                .with_hint("It takes 0 to 9223372036854775807.")
        })?;
        Self::new(app, number)
    }

    pub(super) fn app(&self) -> &str {
        &self.app
    }

    /// Whether a table whose last number of this application is `last` has it.
    pub(super) fn is_in(&self, last: Option<i64>) -> bool {
        last.is_some_and(|last| self.version <= last)
    }

    /// The action that says so in a commit.
    pub(crate) fn action(&self) -> Transaction {
        let now = chrono::Utc::now().timestamp_millis();
        Transaction::new_with_last_update(&self.app, self.version, Some(now))
    }
}

impl fmt::Display for AppTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "txn_app '{}', txn_version {}", self.app, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_passed_is_there() {
        let write = AppTransaction::new("loader", 7).unwrap();
        assert!(!write.is_in(None));
        assert!(!write.is_in(Some(6)));
        assert!(write.is_in(Some(7)) && write.is_in(Some(8)));
    }

    #[test]
    fn names_and_numbers_have_bounds() {
        assert!(AppTransaction::new("", 1).is_err());
        assert!(AppTransaction::new("a".repeat(513), 1).is_err());
        assert!(AppTransaction::new("a", -1).is_err());
        assert!(AppTransaction::parse("a", "9223372036854775808").is_err());
        AppTransaction::parse("a", "9223372036854775807").unwrap();
    }
}
