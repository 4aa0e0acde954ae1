//! ALTER TABLE and COMMENT ON: all changes of a statement as one commit, or one change of the
//! catalog's record.

mod changes;
mod existing_rows;
mod record;

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use boathouse_catalog::{Format, Table, TableName, TableType, Update};
use deltalake::protocol::DeltaOperation;

use super::{Command, command, declared};
use crate::commit::commit_next;
use crate::definition::{Definition, follow};
use crate::hidden::Hidden;
use crate::parse::{AlterTable, TableChange};
use crate::query::Plan;
use crate::scan::{DeltaSnapshot, delta_url, format_of};
use crate::session::Session;
use crate::{Error, ErrorKind, Result};
use changes::Changed;

/// Attempts at a commit while others commit too.
const ATTEMPTS: usize = 20;

struct Alter {
    table: Table,
    alter: Hidden<AlterTable>,
}

struct Nothing;

pub(super) async fn plan(session: &Session, alter: &Hidden<AlterTable>) -> Result<Plan> {
    let table = match super::existing_table(session, &alter.get().table).await {
        Ok(table) => table,
        Err(error) if alter.get().if_exists && error.kind() == ErrorKind::NotFound => {
            return Ok(command(Nothing));
        }
        Err(error) => return Err(error),
    };
    let changes = &alter.get().changes;
    let renames = changes.iter().any(|change| matches!(change, TableChange::RenameTo(_)));
    if renames && changes.len() > 1 {
        return Err(Error::unsupported("RENAME TO with other changes")
            .with_hint("Rename the table in a statement of its own."));
    }
    Ok(command(Alter { table, alter: alter.clone() }))
}

#[async_trait(?Send)]
impl Command for Nothing {
    async fn run(&self, _: &Session) -> Result<Vec<RecordBatch>> {
        Ok(Vec::new())
    }
}

#[async_trait(?Send)]
impl Command for Alter {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let changes = &self.alter.get().changes;
        let name = &self.table.name;
        if let [TableChange::RenameTo(to)] = changes.as_slice() {
            rename(session, &self.table, to).await?;
            return Ok(Vec::new());
        }
        let is_delta =
            self.table.spec.table_type != TableType::View && is_delta(session, &self.table).await?;
        let altered = match is_delta {
            true => alter_delta(session, &self.table, changes).await,
            false => record::alter(session, &self.table, changes).await,
        };
        altered.map_err(|error| error.about(format!("table \"{name}\"")))?;
        Ok(Vec::new())
    }
}

async fn is_delta(session: &Session, table: &Table) -> Result<bool> {
    match format_of(&table.spec) {
        Some(format) => Ok(format == Format::Delta),
        None => Ok(snapshot(session, table).await.is_ok()),
    }
}

/// The newest version of a Delta table of the catalog.
pub(super) async fn snapshot(session: &Session, table: &Table) -> Result<Arc<DeltaSnapshot>> {
    let shared = session.engine.shared();
    let url = delta_url(&table.spec)?;
    shared
        .delta_tables
        .newest(shared, &url)
        .await
        .map_err(|error| error.about(format!("table \"{}\" ({url})", table.name)))
}

async fn rename(session: &Session, table: &Table, to: &[String]) -> Result<()> {
    let to = match to {
        [name] => TableName::new(table.name.database(), name)?,
        parts => session.table_name(parts)?,
    };
    session.find_database(to.database()).await.map_err(|e| e.with_word(to.database()))?;
    match session.catalog().rename_table(table, &to).await? {
        Update::Done(_) => Ok(()),
        Update::Conflict { .. } => Err(changed_by_others(&table.name)),
    }
}

fn changed_by_others(name: &TableName) -> Error {
    Error::new(ErrorKind::Conflict, format!("table \"{name}\" was changed by others"))
        .with_hint("Run the statement again.")
}

/// Changes the definition in the table's log, then the catalog's record.
async fn alter_delta(session: &Session, table: &Table, changes: &[TableChange]) -> Result<()> {
    let shared = session.engine.shared();
    for _ in 0..ATTEMPTS {
        let snapshot = snapshot(session, table).await?;
        let before = Definition::of(shared, &snapshot).await?;
        let mut changed = Changed::new(session, table, before.clone());
        for change in changes {
            changed.apply(change).await?;
        }
        let Changed { mut definition, conditions, .. } = changed;
        if definition == before {
            return Ok(());
        }
        declared::check(session, &definition, &declared::arrow_schema(&definition)?)?;
        for condition in &conditions {
            existing_rows::check(session, table, condition).await?;
        }
        let actions = definition.actions()?;
        match commit_next(shared, &snapshot, actions, operation(changes, &definition)).await {
            Ok(_) => {
                let newest = shared.delta_tables.newest(shared, &snapshot.url).await?;
                return follow(shared, table, &newest, Some(&before)).await;
            }
            // What was checked may no longer be so: once more from the start.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    Err(changed_by_others(&table.name))
}

/// What the log calls the change.
fn operation(changes: &[TableChange], definition: &Definition) -> DeltaOperation {
    match changes {
        [TableChange::AddColumns { columns, .. }] => {
            let is_new = |name: &String| columns.iter().any(|column| column.name == *name);
            let fields = definition.columns.iter().filter(|column| is_new(&column.name));
            DeltaOperation::AddColumn { fields: fields.cloned().collect() }
        }
        [TableChange::SetProperties(properties)] => {
            let properties = properties.clone().into_iter().collect();
            DeltaOperation::SetTableProperties { properties }
        }
        [TableChange::DropConstraint { name, .. }] => {
            DeltaOperation::DropConstraint { name: name.clone() }
        }
        [TableChange::AddConstraint(_)] => {
            DeltaOperation::AddConstraint { constraints: Vec::new() }
        }
        _ => DeltaOperation::UpdateFieldMetadata { fields: definition.columns.clone() },
    }
}
