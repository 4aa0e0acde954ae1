//! Several changes of several tables, all or nothing.

use super::commit::{change_partitions, prepare};
use super::databases::require;
use super::rows::NewPartition;
use super::tables::{delete_unchanged, insert_table, new_table};
use super::updates::{Archive, replace_spec};
use super::{Catalog, Update};
use crate::partition::check_values;
use crate::store::{Failure, Transaction};
use crate::{Partition, Result, Table, TableName, TableSpec};

/// One change of one table, to be applied with others.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Makes a table with its first partitions.
    Create {
        /// Its name.
        name: TableName,
        /// Its definition.
        spec: Box<TableSpec>,
        /// Its partitions.
        partitions: Vec<Partition>,
    },
    /// Changes the definition, the partitions or both of a table that is as it was read.
    Update {
        /// The table as it was read.
        table: Box<Table>,
        /// Its new definition, if that changes.
        spec: Option<Box<TableSpec>>,
        /// Partitions that are added, or replace those of the same values.
        put: Vec<Partition>,
        /// The values of partitions that go.
        remove: Vec<Vec<Option<String>>>,
    },
    /// Drops a table whose definition is as it was read.
    Drop {
        /// The table as it was read.
        table: Box<Table>,
    },
}

/// A change that is checked and ready to be written.
enum Ready<'a> {
    Create(Box<Table>, Vec<NewPartition>),
    Update {
        table: &'a Table,
        spec: Option<&'a TableSpec>,
        put: Vec<NewPartition>,
        remove: &'a [Vec<Option<String>>],
    },
    Drop(&'a Table),
}

impl Catalog {
    /// Makes all of the changes in one transaction, or none of them: a conflict of one is a
    /// conflict of all. No two may be of the same table.
    pub async fn apply(&self, changes: &[Change]) -> Result<Update<()>> {
        self.must_be_own("several tables cannot be changed at once")?;
        let work = || async {
            let mut writer = self.store.write().await?;
            for change in changes {
                let ready = Ready::new(change)?;
                if let Update::Conflict { expected, found } = ready.write(&mut writer).await? {
                    return Ok(Update::Conflict { expected, found });
                }
            }
            writer.commit().await?;
            Ok(Update::Done(()))
        };
        self.store.run("apply changes of tables", work).await
    }
}

impl<'a> Ready<'a> {
    fn new(change: &'a Change) -> Result<Self> {
        match change {
            Change::Create { name, spec, partitions } => {
                let table = new_table(name, TableSpec::clone(spec))?;
                let partitions = prepare(&table, partitions.clone())?;
                Ok(Self::Create(Box::new(table), partitions))
            }
            Change::Update { table, spec, put, remove } => {
                if let Some(spec) = spec {
                    spec.check(&table.name)?;
                }
                for values in remove {
                    check_values(values, table)?;
                }
                let put = prepare(table, put.clone())?;
                Ok(Self::Update { table, spec: spec.as_deref(), put, remove })
            }
            Change::Drop { table } => Ok(Self::Drop(table)),
        }
    }

    async fn write(&self, writer: &mut Transaction) -> Result<Update<()>, Failure> {
        match self {
            Self::Create(table, partitions) => {
                require(writer, table.name.database()).await?;
                insert_table(writer, table, partitions).await?;
                Ok(Update::Done(()))
            }
            Self::Update { table, spec, put, remove } => {
                let mut table = Table::clone(table);
                if !put.is_empty() || !remove.is_empty() {
                    match change_partitions(writer, &table, put, remove).await? {
                        Update::Done(changed) => table = changed,
                        Update::Conflict { expected, found } => {
                            return Ok(Update::Conflict { expected, found });
                        }
                    }
                }
                let Some(spec) = spec else { return Ok(Update::Done(())) };
                let updated = replace_spec(writer, &table, spec, Archive::Keep).await?;
                Ok(updated.map(|_| ()))
            }
            Self::Drop(table) => delete_unchanged(writer, table).await,
        }
    }
}
