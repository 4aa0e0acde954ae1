//! Constraints of a Delta table: those that are checked, and those that only inform.

use super::Definition;
use crate::{Error, ErrorKind, Result};

/// How Delta names a CHECK constraint among the table's properties.
const CHECK: &str = "delta.constraints.";
/// How Boathouse names one that isn't checked.
const INFORMATIONAL: &str = "boathouse.constraints.";

/// A condition on each row, as SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) sql: String,
}

/// A key that is kept and shown, and not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Informational {
    pub(crate) name: String,
    /// `PRIMARY KEY (a)` and its like.
    pub(crate) sql: String,
}

/// A constraint of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Constraint {
    Check(Check),
    Informational(Informational),
}

impl Constraint {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Check(check) => &check.name,
            Self::Informational(key) => &key.name,
        }
    }
}

/// The CHECK constraints among a table's properties, by name.
pub(crate) fn checks_of<'a>(
    properties: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Vec<Check> {
    let check = |(key, sql): (&String, &String)| {
        let name = key.strip_prefix(CHECK)?.to_owned();
        Some(Check { name, sql: sql.clone() })
    };
    let mut checks: Vec<Check> = properties.into_iter().filter_map(check).collect();
    checks.sort_by(|a, b| a.name.cmp(&b.name));
    checks
}

impl Definition {
    /// The CHECK constraints.
    pub(crate) fn checks(&self) -> impl Iterator<Item = Check> {
        checks_of(&self.properties).into_iter()
    }

    /// The constraints that aren't checked.
    pub(crate) fn informational(&self) -> impl Iterator<Item = Informational> {
        self.properties.iter().filter_map(|(key, sql)| {
            let name = key.strip_prefix(INFORMATIONAL)?.to_owned();
            Some(Informational { name, sql: sql.clone() })
        })
    }

    /// The properties that are no constraints.
    pub(crate) fn plain_properties(&self) -> impl Iterator<Item = (&String, &String)> {
        self.properties
            .iter()
            .filter(|(key, _)| !key.starts_with(CHECK) && !key.starts_with(INFORMATIONAL))
    }

    /// Adds a constraint whose name is not taken.
    pub(crate) fn add_constraint(&mut self, constraint: &Constraint) -> Result<()> {
        let name = constraint.name();
        if self.constraint_keys(name).next().is_some() {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("constraint \"{name}\" already exists"),
            )
            .with_hint("Drop it first, or choose another name."));
        }
        match constraint {
            Constraint::Check(check) => {
                self.properties.insert(format!("{CHECK}{name}"), check.sql.clone())
            }
            Constraint::Informational(key) => {
                self.check_one_primary_key(key)?;
                self.properties.insert(format!("{INFORMATIONAL}{name}"), key.sql.clone())
            }
        };
        Ok(())
    }

    fn check_one_primary_key(&self, new: &Informational) -> Result<()> {
        let is_primary = |key: &Informational| key.sql.starts_with("PRIMARY KEY");
        match self.informational().find(is_primary).filter(|_| is_primary(new)) {
            Some(key) => Err(Error::invalid(format!(
                "the table has the primary key \"{}\" already",
                key.name
            ))
            .with_hint("Drop it first, or declare UNIQUE (…).")),
            None => Ok(()),
        }
    }

    /// Drops a constraint, and says whether it was there.
    pub(crate) fn drop_constraint(&mut self, name: &str) -> bool {
        let keys: Vec<String> = self.constraint_keys(name).cloned().collect();
        for key in &keys {
            self.properties.remove(key);
        }
        !keys.is_empty()
    }

    fn constraint_keys(&self, name: &str) -> impl Iterator<Item = &String> {
        self.properties.keys().filter(move |key| {
            let known = key.strip_prefix(CHECK).or_else(|| key.strip_prefix(INFORMATIONAL));
            known.is_some_and(|known| known.eq_ignore_ascii_case(name))
        })
    }

    /// A name for a constraint that was given none.
    pub(crate) fn free_constraint_name(&self, base: &str) -> String {
        let numbered = (1..).map(|number| match number {
            1 => base.to_owned(),
            number => format!("{base}_{number}"),
        });
        let mut free = numbered.filter(|name| self.constraint_keys(name).next().is_none());
        free.next().unwrap_or_else(|| base.to_owned())
    }
}
