//! Each change of ALTER TABLE, as it's made to a definition.

use std::collections::BTreeMap;

use boathouse_catalog::Table;
use deltalake::kernel::StructField;

use super::existing_rows::Condition;
use crate::definition::{
    ColumnRules, Constraint, Definition, checked_properties, invariant_of, set_comment,
};
use crate::names::did_you_mean;
use crate::parse::{ColumnChange, ColumnDefinition, ColumnType, TableChange, TableConstraint};
use crate::rules::columns_in;
use crate::session::Session;
use crate::statement::declared::{DeclaredColumns, arrow_type_of, constraint};
use crate::statement::table_ddl::quoted;
use crate::write::{delta_columns, delta_schema};
use crate::{Error, ErrorKind, Result};

/// A definition while it's changed.
pub(super) struct Changed<'a> {
    session: &'a Session,
    table: &'a Table,
    pub(super) definition: Definition,
    /// What all rows that are there have to meet.
    pub(super) conditions: Vec<Condition>,
}

impl<'a> Changed<'a> {
    pub(super) fn new(session: &'a Session, table: &'a Table, definition: Definition) -> Self {
        Self { session, table, definition, conditions: Vec::new() }
    }

    pub(super) async fn apply(&mut self, change: &TableChange) -> Result<()> {
        match change {
            TableChange::AddColumns { if_not_exists, columns } => {
                self.add_columns(columns, *if_not_exists).await
            }
            TableChange::DropColumns { if_exists, names } => {
                names.iter().try_for_each(|name| self.drop_column(name, *if_exists))
            }
            TableChange::RenameColumn { from, to } => self.rename_column(from, to),
            TableChange::Column { name, change: ColumnChange::Type(data_type) } => {
                self.set_type(name, data_type).await
            }
            TableChange::Column { name, change } => self.change_column(name, change),
            TableChange::SetProperties(properties) => {
                self.definition.set_properties(checked_properties(properties.clone())?)
            }
            TableChange::UnsetProperties { if_exists, keys } => {
                keys.iter().try_for_each(|key| self.unset(key, *if_exists))
            }
            TableChange::AddConstraint(declared) => self.add_constraint(declared),
            TableChange::DropConstraint { if_exists, name } => {
                self.drop_constraint(name, *if_exists)
            }
            TableChange::ClusterBy(names) => self.definition.cluster_by(names),
            TableChange::Comment(comment) => {
                self.definition.comment = comment.clone();
                Ok(())
            }
            TableChange::RenameTo(_) | TableChange::Nothing => Ok(()),
        }
    }

    async fn add_columns(
        &mut self,
        columns: &[ColumnDefinition],
        if_not_exists: bool,
    ) -> Result<()> {
        for column in columns {
            if self.definition.position(&column.name).is_ok() {
                if if_not_exists {
                    continue;
                }
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!("column \"{}\" already exists", column.name),
                )
                .with_hint("Choose another name, or write ADD COLUMN IF NOT EXISTS."));
            }
            check_addition(column)?;
            let declared = DeclaredColumns::of(self.session, std::slice::from_ref(column)).await?;
            for column in declared.columns {
                self.definition.add_column(column)?;
            }
        }
        Ok(())
    }

    fn drop_column(&mut self, name: &str, if_exists: bool) -> Result<()> {
        let position = match self.definition.position(name) {
            Err(error) if if_exists && error.kind() == ErrorKind::NotFound => return Ok(()),
            position => position?,
        };
        let name = self.definition.columns[position].name.clone();
        self.check_unused(&name, "dropped")?;
        if self.definition.clustering.contains(&name) {
            return Err(Error::invalid(format!("the table is clustered by column \"{name}\""))
                .with_hint("Change the clustering first: ALTER TABLE … CLUSTER BY NONE."));
        }
        if self.definition.columns.len() <= self.definition.keys.len() + 1 {
            return Err(Error::invalid(format!("column \"{name}\" is the last one"))
                .with_hint("Drop the table instead: DROP TABLE."));
        }
        self.definition.map_columns()?;
        self.definition.columns.remove(position);
        Ok(())
    }

    fn rename_column(&mut self, from: &str, to: &str) -> Result<()> {
        let position = self.definition.position(from)?;
        let from = self.definition.columns[position].name.clone();
        if self.definition.position(to).is_ok_and(|taken| taken != position) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("column \"{to}\" already exists"),
            )
            .with_hint("Choose another name."));
        }
        self.check_unused(&from, "renamed")?;
        self.definition.map_columns()?;
        to.clone_into(&mut self.definition.columns[position].name);
        let clustering = self.definition.clustering.iter_mut();
        clustering.filter(|name| **name == from).for_each(|name| to.clone_into(name));
        Ok(())
    }

    /// Whether a column is part of a key, a constraint or a generated column.
    fn check_unused(&self, name: &str, done: &str) -> Result<()> {
        if self.definition.keys.iter().any(|key| key == name) {
            return Err(Error::unsupported(format!(
                "partition key \"{name}\" can't be {done}: it is in the files' names"
            ))
            .with_hint("Make a new table: CREATE TABLE … PARTITIONED BY … AS SELECT …."));
        }
        let uses = |sql: &str| columns_in(sql).iter().any(|used| used.eq_ignore_ascii_case(name));
        for check in self.definition.checks().filter(|check| uses(&check.sql)) {
            return Err(used_by(name, done, &format!("constraint \"{}\"", check.name)));
        }
        for key in self.definition.informational() {
            let words = key.sql.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            if words.into_iter().any(|word| word == name) || key.sql.contains(&quoted(name)) {
                return Err(used_by(name, done, &format!("constraint \"{}\"", key.name)));
            }
        }
        for column in &self.definition.columns {
            let generated = ColumnRules::of(column)?.generated;
            let invariant = invariant_of(column).filter(|_| column.name != name);
            if generated.or(invariant).is_some_and(|sql| uses(&sql)) {
                return Err(used_by(name, done, &format!("column \"{}\"", column.name)));
            }
        }
        Ok(())
    }

    async fn set_type(&mut self, name: &str, data_type: &ColumnType) -> Result<()> {
        use arrow::datatypes::{Field, Schema};
        let wanted = arrow_type_of(self.session, data_type).await?;
        let schema = delta_schema(&Schema::new(vec![Field::new(name, wanted, true)]))?;
        let wanted = delta_columns(&schema)?.into_iter().next();
        let Some(wanted) = wanted else { return Err(Error::internal("a type without a column")) };
        let rules = ColumnRules::of(self.definition.column(name)?)?;
        if rules.identity.is_some() || rules.generated.is_some() {
            return Err(Error::unsupported(format!(
                "another type for column \"{name}\", whose values are made by the table"
            )));
        }
        self.definition.widen(name, wanted.data_type)
    }

    fn change_column(&mut self, name: &str, change: &ColumnChange) -> Result<()> {
        let column = self.definition.column_mut(name)?;
        match change {
            ColumnChange::SetNotNull if column.nullable => {
                column.nullable = false;
                self.conditions.push(Condition::not_null(&column.name));
            }
            ColumnChange::SetNotNull => {}
            ColumnChange::DropNotNull => column.nullable = true,
            ColumnChange::SetDefault(sql) => set_default(column, Some(sql.clone()))?,
            ColumnChange::DropDefault => set_default(column, None)?,
            ColumnChange::Comment(comment) => set_comment(column, comment.as_deref()),
            ColumnChange::Type(_) => return Err(Error::internal("types are changed elsewhere")),
        }
        if matches!(change, ColumnChange::DropNotNull) {
            self.check_no_primary_key(name)?;
        }
        Ok(())
    }

    fn check_no_primary_key(&self, name: &str) -> Result<()> {
        let name = &self.definition.column(name)?.name;
        let mut keys = self.definition.informational();
        let of_key = keys.find(|key| {
            key.sql.starts_with("PRIMARY KEY")
                && key.sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|w| w == name)
        });
        match of_key {
            Some(key) => Err(Error::invalid(format!(
                "column \"{name}\" is in the primary key \"{}\", which has no NULL",
                key.name
            ))
            .with_hint("Drop that constraint first.")),
            None => Ok(()),
        }
    }

    fn unset(&mut self, key: &str, if_exists: bool) -> Result<()> {
        let lower = key.to_ascii_lowercase();
        if ["delta.columnmapping.", "delta.constraints.", "boathouse.constraints."]
            .iter()
            .any(|kept| lower.starts_with(kept))
        {
            return Err(Error::invalid(format!("property \"{key}\" can't be unset"))
                .with_hint("Constraints go with ALTER TABLE … DROP CONSTRAINT."));
        }
        let properties: &mut BTreeMap<String, String> = &mut self.definition.properties;
        let found = properties.keys().find(|known| known.eq_ignore_ascii_case(key)).cloned();
        match found {
            Some(found) => {
                properties.remove(&found);
                Ok(())
            }
            None if if_exists => Ok(()),
            None => {
                let names: Vec<&String> = properties.keys().collect();
                let hint = did_you_mean(key, &names)
                    .unwrap_or_else(|| "Write UNSET TBLPROPERTIES IF EXISTS to skip it.".into());
                Err(Error::new(ErrorKind::NotFound, format!("there is no property \"{key}\""))
                    .with_hint(hint))
            }
        }
    }

    fn add_constraint(&mut self, declared: &TableConstraint) -> Result<()> {
        let table = self.table.name.table();
        let constraint = constraint(&self.definition, declared, table, None)?;
        if let Constraint::Check(check) = &constraint {
            self.conditions.push(Condition::check(check));
        }
        for name in declared.primary_key() {
            self.change_column(name, &ColumnChange::SetNotNull)?;
        }
        self.definition.add_constraint(&constraint)
    }

    fn drop_constraint(&mut self, name: &str, if_exists: bool) -> Result<()> {
        if self.definition.drop_constraint(name) || if_exists {
            return Ok(());
        }
        let checks = self.definition.checks().map(|check| check.name);
        let names: Vec<String> =
            checks.chain(self.definition.informational().map(|key| key.name)).collect();
        let error = Error::new(ErrorKind::NotFound, format!("there is no constraint \"{name}\""))
            .with_word(name);
        match did_you_mean(name, &names) {
            Some(hint) => Err(error.with_hint(hint)),
            None => Err(error.with_hint("SHOW CREATE TABLE lists them.")),
        }
    }
}

fn used_by(name: &str, done: &str, user: &str) -> Error {
    Error::invalid(format!("column \"{name}\" can't be {done}: {user} uses it"))
        .with_hint("Drop that first.")
}

/// Rows that are there have no value of a new column.
fn check_addition(column: &ColumnDefinition) -> Result<()> {
    if column.not_null {
        return Err(not_null_new(&column.name));
    }
    let made = match (&column.generated, &column.identity) {
        (Some(_), _) => Some("GENERATED"),
        (_, Some(_)) => Some("IDENTITY"),
        _ => None,
    };
    if let Some(made) = made {
        return Err(Error::unsupported(format!(
            "adding the {made} column \"{}\": rows that are there have no value of it",
            column.name
        ))
        .with_hint("Make a new table with the column, and INSERT INTO it … SELECT …."));
    }
    if !column.constraints.is_empty() {
        return Err(Error::unsupported(format!(
            "a constraint at the new column \"{}\"",
            column.name
        ))
        .with_hint("Add it afterwards: ALTER TABLE … ADD CONSTRAINT."));
    }
    Ok(())
}

fn not_null_new(name: &str) -> Error {
    Error::unsupported(format!(
        "adding column \"{name}\" with NOT NULL: rows that are there have no value of it"
    ))
    .with_hint("Add it without, UPDATE the rows, and then ALTER COLUMN … SET NOT NULL.")
}

fn set_default(column: &mut StructField, default: Option<String>) -> Result<()> {
    let mut rules = ColumnRules::of(column)?;
    if rules.generated.is_some() || rules.identity.is_some() {
        return Err(Error::invalid(format!(
            "column \"{}\" has values that the table makes, and so no DEFAULT",
            column.name
        )));
    }
    rules.default = default;
    rules.write(column);
    Ok(())
}
