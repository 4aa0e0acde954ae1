//! Changes of single partitions of a table as it is, whatever was committed since it was read.

use std::collections::HashSet;

use futures::FutureExt;

use super::Catalog;
use super::commit::{change_partitions, prepare};
use super::rows::{StoredTable, select_tables};
use crate::catalog::Update;
use crate::partition::{Partition, check_values, identity, show};
use crate::store::{Failure, Transaction, values};
use crate::{Error, ObjectKind, Result, Table, TableName};

/// One change of one partition.
#[derive(Clone, Debug, PartialEq)]
pub enum PartitionEdit {
    /// Adds a partition that is not there.
    Add(Partition),
    /// Replaces the partition of these values, which is there.
    Replace(Vec<Option<String>>, Partition),
    /// Removes the partition of these values, which is there.
    Remove(Vec<Option<String>>),
}

impl Catalog {
    /// Makes those of the changes that can be made, in their order and in one transaction, on the
    /// table as it is. Says of each what became of it: a partition that is to be added may be
    /// there ([`Error::AlreadyExists`]), another may not ([`Error::NotFound`]), and one may not fit
    /// the table ([`Error::Invalid`]).
    ///
    /// Changes of several callers at once queue: none is lost and none conflicts.
    pub async fn edit_partitions(
        &self,
        name: &TableName,
        edits: &[PartitionEdit],
    ) -> Result<Vec<Result<()>>> {
        if let Some(federation) = &self.federation {
            return federation.edit_partitions(name, edits).boxed().await;
        }
        let work = || async {
            let mut writer = self.store.write().await?;
            let table = lock(&mut writer, name).await?;
            let mut session = Session::new(&table, existing(&mut writer, &table, edits).await?);
            let outcomes: Vec<Result<()>> = edits.iter().map(|edit| session.edit(edit)).collect();
            if let Some((put, remove)) = session.finish() {
                let put = prepare(&table, put)?;
                match change_partitions(&mut writer, &table, &put, &remove).await? {
                    Update::Done(_) => writer.commit().await?,
                    Update::Conflict { .. } => return Err(sqlx::Error::RowNotFound.into()),
                }
            }
            Ok(outcomes)
        };
        self.store.run(&format!("change the partitions of table \"{name}\""), work).await
    }
}

/// The table, which nobody else changes until the transaction ends.
async fn lock(writer: &mut Transaction, name: &TableName) -> Result<Table, Failure> {
    let sql = select_tables!("WHERE t.database = $1 AND t.name = $2");
    let sql = sqlx::AssertSqlSafe(format!("{sql}{}", writer.for_update()));
    let row = writer.row(sql, values![name.database(), name.table()]).await?;
    Ok(StoredTable::read(&row.ok_or_else(|| Error::no_table(name))?)?.table)
}

/// The identities of those partitions that `edits` name and that are there.
async fn existing(
    writer: &mut Transaction,
    table: &Table,
    edits: &[PartitionEdit],
) -> Result<HashSet<String>, Failure> {
    let named: Vec<String> = edits.iter().flat_map(PartitionEdit::identities).collect();
    let sql = format!(
        "SELECT p.partition_values FROM partitions p JOIN tables t ON t.table_no = p.table_no
         WHERE t.id = $1 AND p.removed_at IS NULL AND {}",
        writer.is_in("p.partition_values", 2, named.len())
    );
    let values = values![table.id.as_str(), serde_json::to_string(&named)?];
    let rows = writer.rows(sqlx::AssertSqlSafe(sql), values).await?;
    rows.iter().map(|row| Ok(row.text(0)?)).collect()
}

impl PartitionEdit {
    /// The values by which it names its partition.
    pub fn values(&self) -> &[Option<String>] {
        match self {
            Self::Add(partition) => &partition.values,
            Self::Replace(values, _) | Self::Remove(values) => values,
        }
    }

    fn identities(&self) -> Vec<String> {
        match self {
            Self::Add(partition) => vec![identity(&partition.values)],
            Self::Replace(old, new) => vec![identity(old), identity(&new.values)],
            Self::Remove(old) => vec![identity(old)],
        }
    }
}

/// The values that name a partition.
type PartitionValues = Vec<Option<String>>;

/// The partitions as they are while the edits are gone through.
struct Session<'a> {
    table: &'a Table,
    there: HashSet<String>,
    put: Vec<Partition>,
    remove: Vec<PartitionValues>,
}

impl<'a> Session<'a> {
    fn new(table: &'a Table, there: HashSet<String>) -> Self {
        Self { table, there, put: Vec::new(), remove: Vec::new() }
    }

    fn edit(&mut self, edit: &PartitionEdit) -> Result<()> {
        match edit {
            PartitionEdit::Add(partition) => {
                partition.check(self.table)?;
                self.must_be_free(&partition.values)?;
                self.add(partition);
            }
            PartitionEdit::Replace(old, new) => {
                new.check(self.table)?;
                self.must_be_there(old)?;
                if *old != new.values {
                    self.must_be_free(&new.values)?;
                }
                self.remove(old);
                self.add(new);
            }
            PartitionEdit::Remove(old) => {
                self.must_be_there(old)?;
                self.remove(old);
            }
        }
        Ok(())
    }

    fn must_be_free(&self, values: &[Option<String>]) -> Result<()> {
        if self.there.contains(&identity(values)) {
            let (kind, name) = (ObjectKind::Partition, show(values));
            return Err(Error::AlreadyExists { kind, name });
        }
        Ok(())
    }

    fn must_be_there(&self, values: &[Option<String>]) -> Result<()> {
        check_values(values, self.table)?;
        if self.there.contains(&identity(values)) {
            return Ok(());
        }
        Err(Error::NotFound { kind: ObjectKind::Partition, name: show(values) })
    }

    fn add(&mut self, partition: &Partition) {
        self.there.insert(identity(&partition.values));
        self.put.push(partition.clone());
    }

    fn remove(&mut self, values: &[Option<String>]) {
        self.there.remove(&identity(values));
        self.put.retain(|put| put.values != values);
        self.remove.push(values.to_vec());
    }

    /// What is to be put and removed, if anything.
    fn finish(self) -> Option<(Vec<Partition>, Vec<PartitionValues>)> {
        (!self.put.is_empty() || !self.remove.is_empty()).then_some((self.put, self.remove))
    }
}
