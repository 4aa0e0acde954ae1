//! Names of databases and tables.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

const MAX_CHARS: usize = 255;

/// The full name of a table: `database.table`.
///
/// Both parts are lower case: [`TableName::new`] folds and checks them once, so code that holds a
/// `TableName` never does either again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct TableName {
    database: String,
    table: String,
}

impl TableName {
    /// Folds both parts to lower case and checks them: 1 to 255 letters, digits, `_`, `-` and
    /// spaces of any script, without a space at either end.
    pub fn new(database: &str, table: &str) -> Result<Self> {
        Ok(Self { database: fold(database)?, table: fold(table)? })
    }

    /// The database part.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The table part.
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

#[derive(Deserialize)]
struct Parts {
    database: String,
    table: String,
}

impl TryFrom<Parts> for TableName {
    type Error = Error;

    fn try_from(parts: Parts) -> Result<Self> {
        Self::new(&parts.database, &parts.table)
    }
}

/// `name` in lower case, if it can name a database or a table.
pub(crate) fn fold(name: &str) -> Result<String> {
    let folded = name.to_lowercase();
    let length = folded.chars().count();
    let is_valid = (1..=MAX_CHARS).contains(&length)
        && folded.trim().len() == folded.len()
        && folded.chars().all(is_allowed);
    if is_valid { Ok(folded) } else { Err(Error::InvalidName(name.to_owned())) }
}

/// No separator of paths, names or SQL is allowed, so a name can be a folder's name too.
fn is_allowed(c: char) -> bool {
    match c {
        '_' | '-' | ' ' => true,
        _ if c.is_ascii() => c.is_ascii_alphanumeric(),
        _ => !c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_to_lower_case() {
        let name = TableName::new("Web", "HITS ÄÖ-1").unwrap();
        assert_eq!(name.to_string(), "web.hits äö-1");
    }

    #[test]
    fn what_cannot_be_a_folder_is_no_name() {
        let long = "x".repeat(256);
        for bad in ["", " ", " a", "a ", "a.b", "a/b", "a\\b", "a\nb", "a\"b", "..", "a\0", &long] {
            let error = TableName::new("web", bad).unwrap_err();
            assert!(matches!(error, Error::InvalidName(name) if name == bad), "{bad:?}");
        }
        assert!(TableName::new("web", &"x".repeat(255)).is_ok());
    }

    #[test]
    fn a_deserialized_name_is_checked_too() {
        let name: TableName = serde_json::from_str(r#"{"database":"A","table":"b"}"#).unwrap();
        assert_eq!(name, TableName::new("a", "b").unwrap());
        assert!(serde_json::from_str::<TableName>(r#"{"database":"a","table":"b/c"}"#).is_err());
    }
}
