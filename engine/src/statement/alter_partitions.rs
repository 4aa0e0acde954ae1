//! ALTER TABLE … ADD | DROP PARTITION: partitions of external tables, by hand.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use boathouse_catalog::{
    Error as CatalogError, Format, Partition, PartitionEdit, Table, TableType,
};

use super::{Command, command};
use crate::parse::{AlterPartitions, PartitionChange, PartitionSpec};
use crate::query::Plan;
use crate::resolve::not_found;
use crate::session::Session;
use crate::stores::{folder_url, location_url};
use crate::{Error, Result};

struct Alter {
    table: Table,
    change: PartitionChange,
    edits: Vec<PartitionEdit>,
}

pub(super) async fn plan(session: &Session, alter: &AlterPartitions) -> Result<Plan> {
    let name = session.table_name(&alter.table)?;
    let table = match session.catalog().table(&name).await {
        Ok(table) => table,
        Err(error) => return Err(not_found(session, &name, error.into()).await),
    };
    let is_external = table.spec.table_type == TableType::External
        && !matches!(table.spec.format, Some(Format::Delta | Format::Iceberg));
    if !is_external || table.spec.partition_keys.is_empty() {
        return Err(Error::invalid(format!(
            "the partitions of \"{name}\" can't be changed by hand"
        ))
        .with_hint("Partitions are added and dropped in partitioned external tables of files."));
    }
    let edit = |partition: &PartitionSpec| edit(&table, alter.change, partition);
    let edits = alter.partitions.iter().map(edit).collect::<Result<Vec<_>>>()?;
    Ok(command(Alter { table, change: alter.change, edits }))
}

fn edit(table: &Table, change: PartitionChange, wanted: &PartitionSpec) -> Result<PartitionEdit> {
    let values = values(table, wanted)?;
    match (change, &wanted.location) {
        (PartitionChange::Drop { .. }, None) => Ok(PartitionEdit::Remove(values)),
        (PartitionChange::Drop { .. }, Some(_)) => {
            Err(Error::invalid("a partition to drop is named by its values, not its location"))
        }
        (PartitionChange::Add { .. }, location) => {
            let location = match location {
                Some(location) => folder_url(location_url(location)?).to_string(),
                None => table.partition_location(&values),
            };
            Ok(PartitionEdit::Add(Partition { values, location, ..Partition::default() }))
        }
    }
}

/// The values in the order of the table's keys, each of which is given.
fn values(table: &Table, wanted: &PartitionSpec) -> Result<Vec<Option<String>>> {
    let keys = &table.spec.partition_keys;
    let is_key = |name: &&String| !keys.iter().any(|key| key.name.eq_ignore_ascii_case(name));
    if let Some(unknown) = wanted.values.keys().find(is_key) {
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        return Err(Error::invalid(format!(
            "\"{unknown}\" is no partition key of \"{}\"",
            table.name
        ))
        .with_word(unknown)
        .with_hint(format!("Its keys are {}.", names.join(", "))));
    }
    keys.iter()
        .map(|key| {
            let given = wanted.values.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key.name));
            given.map(|(_, value)| value.clone()).ok_or_else(|| {
                Error::invalid(format!(
                    "partition key \"{}\" of \"{}\" is not given",
                    key.name, table.name
                ))
                .with_hint("Give a value for each partition key.")
            })
        })
        .collect()
}

#[async_trait(?Send)]
impl Command for Alter {
    /// Partitions that are there already, or are not, are skipped only where that was said; else
    /// nothing is changed.
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let catalog = session.catalog();
        let named: Vec<_> = self.edits.iter().map(|edit| edit.values().to_vec()).collect();
        let there = catalog.partitions_of(&catalog.table(&self.table.name).await?, &named).await?;
        let (skips, adds) = match self.change {
            PartitionChange::Add { if_not_exists } => (if_not_exists, true),
            PartitionChange::Drop { if_exists } => (if_exists, false),
        };
        let is_there = |edit: &PartitionEdit| there.iter().any(|one| one.values == edit.values());
        if !skips && let Some(edit) = self.edits.iter().find(|edit| is_there(edit) == adds) {
            let fault = if adds { "is there already" } else { "is not there" };
            let (shown, hint) = (shown(edit.values()), if adds { "NOT EXISTS" } else { "EXISTS" });
            let text = format!("partition ({shown}) of \"{}\" {fault}", self.table.name);
            return Err(Error::invalid(text).with_hint(format!("Write IF {hint} to skip it.")));
        }
        for outcome in catalog.edit_partitions(&self.table.name, &self.edits).await? {
            match outcome {
                Ok(()) => {}
                Err(CatalogError::AlreadyExists { .. } | CatalogError::NotFound { .. })
                    if skips => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Vec::new())
    }
}

fn shown(values: &[Option<String>]) -> String {
    let texts: Vec<&str> = values.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
    texts.join(", ")
}
