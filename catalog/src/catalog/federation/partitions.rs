//! Changes of partitions.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use serde_json::{Value, json};

use super::Federation;
use super::calls::{Values, list, named};
use super::fault::Fault;
use super::tables::conflict;
use crate::catalog::{PartitionEdit, Update};
use crate::glue::{partition_input, partition_texts, partition_values};
use crate::partition::{check_values, show};
use crate::{Error, ObjectKind, Partition, Result, Table, TableName};

/// How many partitions one request may make, change or remove.
const MADE_AT_ONCE: usize = 100;
const REMOVED_AT_ONCE: usize = 25;

/// Changes of one kind.
enum Batch<'a> {
    Add(Vec<&'a Partition>),
    Replace(Vec<(&'a Values, &'a Partition)>),
    Remove(Vec<&'a Values>),
}

/// What became of changes, by the values that name their partitions: those that are not named
/// were made.
type Refused = HashMap<Values, Error>;

impl Federation {
    /// Makes the first partitions of a new table. The caller has its turn.
    pub(super) async fn add_first(&self, table: &Table, partitions: Vec<Partition>) -> Result<()> {
        if table.spec.partition_keys.is_empty() {
            // Its one partition is the table, and so are its files.
            return Ok(());
        }
        for some in partitions.chunks(MADE_AT_ONCE) {
            let refused = self.send(table, &Batch::Add(some.iter().collect())).await?;
            if let Some(error) = refused.into_values().next() {
                return Err(error);
            }
        }
        Ok(())
    }

    /// As [`crate::Catalog::edit_partitions`], in requests of many.
    pub(crate) async fn edit_partitions(
        &self,
        name: &TableName,
        edits: &[PartitionEdit],
    ) -> Result<Vec<Result<()>>> {
        let _turn = self.turns.table(name).await;
        let table = self.fetch_table(name).await?.ok_or_else(|| Error::no_table(name))?;
        let mut outcomes: Vec<Result<()>> = edits.iter().map(|edit| check(&table, edit)).collect();
        let mut start = 0;
        while start < edits.len() {
            let end = start + run_length(&edits[start..]);
            let (some, outcomes) = (&edits[start..end], &mut outcomes[start..end]);
            let mut refused = match self.send(&table, &batch(some, outcomes)).await {
                Ok(refused) => refused,
                Err(error) => {
                    self.memory().doubt_table(name);
                    return Err(error);
                }
            };
            for (edit, outcome) in some.iter().zip(outcomes) {
                if let Some(error) = refused.remove(edit.values()) {
                    *outcome = Err(error);
                }
            }
            start = end;
        }
        let touched = edits.iter().flat_map(touched).cloned().collect();
        self.copy_touched(&table, touched).await?;
        Ok(outcomes)
    }

    /// As [`crate::Catalog::commit_partitions`]. A remote catalog has no files of partitions, and
    /// no partition of a table without keys; and what others change of partitions at the same time
    /// it does not tell: only changes that were seen are a conflict.
    pub(crate) async fn commit_partitions(
        &self,
        table: &Table,
        put: Vec<Partition>,
        remove: Vec<Values>,
    ) -> Result<Update<Table>> {
        let name = &table.name;
        let _turn = self.turns.table(name).await;
        let found = self.fetch_table(name).await?.ok_or_else(|| Error::no_table(name))?;
        if let Some(conflict) = conflict(table, &found) {
            return Ok(conflict);
        }
        if found.data_version != table.data_version {
            let (expected, found) = (table.data_version, found.data_version);
            return Ok(Update::Conflict { expected, found });
        }
        if table.spec.partition_keys.is_empty() {
            return self.mirror.patch(&found, Vec::new(), &[]).await.map(Update::Done);
        }
        self.change(&found, &put, &remove).await?;
        let touched = put.into_iter().map(|partition| partition.values).chain(remove).collect();
        self.copy_touched(&found, touched).await.map(Update::Done)
    }

    async fn change(&self, table: &Table, put: &[Partition], remove: &[Values]) -> Result<()> {
        let changed = self.try_change(table, put, remove).await;
        if changed.is_err() {
            self.memory().doubt_table(&table.name);
        }
        changed
    }

    async fn try_change(&self, table: &Table, put: &[Partition], remove: &[Values]) -> Result<()> {
        let asked: Vec<Values> = put.iter().map(|partition| partition.values.clone()).collect();
        let there = self.calls.partitions_of(table, &asked).await?;
        let there: HashMap<&Values, &Partition> =
            there.iter().map(|partition| (&partition.values, partition)).collect();
        let is_there = |partition: &&Partition| there.contains_key(&partition.values);
        let (old, new): (Vec<&Partition>, Vec<&Partition>) = put.iter().partition(is_there);
        let is_other = |partition: &&Partition| {
            there.get(&partition.values).is_some_and(|there| differs(partition, there))
        };
        let old: Vec<_> = old.into_iter().filter(is_other).map(|new| (&new.values, new)).collect();
        let gone: Vec<&Values> = remove.iter().filter(|one| !asked.contains(one)).collect();
        for some in gone.chunks(REMOVED_AT_ONCE) {
            let refused = self.send(table, &Batch::Remove(some.to_vec())).await?;
            unless_missing(refused)?;
        }
        for some in new.chunks(MADE_AT_ONCE) {
            let refused = self.send(table, &Batch::Add(some.to_vec())).await?;
            first(refused)?;
        }
        for some in old.chunks(MADE_AT_ONCE) {
            let refused = self.send(table, &Batch::Replace(some.to_vec())).await?;
            first(refused)?;
        }
        Ok(())
    }

    /// Copies what partitions have become into the mirror, if it has those of the table; else only
    /// notes that they have changed.
    async fn copy_touched(&self, table: &Table, touched: HashSet<Values>) -> Result<Table> {
        let partitions = self.memory().table(&table.name).and_then(|known| known.partitions);
        let Some((at, count)) = partitions else {
            return self.mirror.patch(table, Vec::new(), &[]).await;
        };
        let touched: Vec<Values> = touched.into_iter().collect();
        let found = match self.calls.partitions_of(table, &touched).await {
            Ok(found) => found,
            Err(error) => {
                self.memory().doubt_table(&table.name);
                return Err(error);
            }
        };
        let count = count + found.len() as u64;
        let there: HashSet<Values> = found.iter().map(|one| one.values.clone()).collect();
        let gone: Vec<Values> =
            touched.into_iter().filter(|values| !there.contains(values)).collect();
        let table = self.mirror.patch(table, found, &gone).await?;
        let at = at.unwrap_or_else(Instant::now);
        self.memory().saw_partitions(&table.name, &table.id, at, count);
        Ok(table)
    }

    /// Sends changes; says which were refused. Where the answer is lost, what is there tells.
    async fn send(&self, table: &Table, batch: &Batch<'_>) -> Result<Refused> {
        let Some((operation, input)) = batch.request(table) else { return Ok(Refused::new()) };
        match self.calls.0.change(operation, &named(&table.name, input)).await {
            Ok(answer) => {
                let errors = list(answer, "Errors").into_iter();
                errors.map(|error| refusal(table, &Value::Object(error))).collect()
            }
            Err(Fault::NotFound(_)) if batch.names_one() => Ok(batch.all(Error::NotFound {
                kind: ObjectKind::Partition,
                name: batch.values().first().map(|values| show(values)).unwrap_or_default(),
            })),
            Err(Fault::NotFound(_)) => Err(Error::no_table(&table.name)),
            Err(Fault::AlreadyExists) => Ok(batch.all(Error::AlreadyExists {
                kind: ObjectKind::Partition,
                name: batch.values().first().map(|values| show(values)).unwrap_or_default(),
            })),
            Err(Fault::Ambiguous(error)) => self.settle(table, batch, error).await,
            Err(fault) => Err(self.calls.error(fault)),
        }
    }

    /// Whether changes whose answer was lost were made; else their error.
    async fn settle(&self, table: &Table, batch: &Batch<'_>, error: Error) -> Result<Refused> {
        let named: Vec<Values> = batch.values().into_iter().cloned().collect();
        let there = self.calls.partitions_of(table, &named).await?;
        let is_made = |wanted: &Partition| {
            there.iter().any(|one| one.values == wanted.values && !differs(wanted, one))
        };
        let all_made = match batch {
            Batch::Add(added) => added.iter().all(|one| is_made(one)),
            Batch::Replace(replaced) => replaced.iter().all(|(_, one)| is_made(one)),
            Batch::Remove(_) => there.is_empty(),
        };
        match all_made {
            true => Ok(Refused::new()),
            false => Err(error),
        }
    }
}

impl Batch<'_> {
    /// The operation and its input, unless there is nothing to do.
    fn request(&self, table: &Table) -> Option<(&'static str, Value)> {
        let of = json!({"TableName": table.name.table()});
        let with = |member: &str, value: Value| {
            let mut input = of.clone();
            input[member] = value;
            input
        };
        let (operation, input) = match self {
            Self::Add(added) => {
                let list = added.iter().map(|one| partition_input(table, one)).collect();
                ("BatchCreatePartition", with("PartitionInputList", list))
            }
            // Only alone a partition can get other values.
            Self::Replace(replaced) => match replaced.as_slice() {
                [(old, new)] if **old != new.values => {
                    let mut input = with("PartitionValueList", json!(partition_texts(old)));
                    input["PartitionInput"] = partition_input(table, new);
                    ("UpdatePartition", input)
                }
                replaced => {
                    let entry = |(old, new): &(&Values, &Partition)| {
                        json!({
                            "PartitionValueList": partition_texts(old),
                            "PartitionInput": partition_input(table, new),
                        })
                    };
                    let list = replaced.iter().map(entry).collect();
                    ("BatchUpdatePartition", with("Entries", list))
                }
            },
            Self::Remove(removed) => {
                let list = removed.iter().map(|one| json!({"Values": partition_texts(one)}));
                ("BatchDeletePartition", with("PartitionsToDelete", list.collect()))
            }
        };
        (!self.values().is_empty()).then_some((operation, input))
    }

    /// The values that name its partitions.
    fn values(&self) -> Vec<&Values> {
        match self {
            Self::Add(added) => added.iter().map(|one| &one.values).collect(),
            Self::Replace(replaced) => replaced.iter().map(|(old, _)| *old).collect(),
            Self::Remove(removed) => removed.clone(),
        }
    }

    fn names_one(&self) -> bool {
        matches!(self, Self::Replace(replaced) if replaced.len() == 1)
    }

    fn all(&self, error: Error) -> Refused {
        self.values().into_iter().map(|values| (values.clone(), error.clone())).collect()
    }
}

/// Whether an edit fits the table.
fn check(table: &Table, edit: &PartitionEdit) -> Result<()> {
    match edit {
        PartitionEdit::Add(new) => new.check(table),
        PartitionEdit::Replace(old, new) => {
            new.check(table)?;
            check_values(old, table)
        }
        PartitionEdit::Remove(old) => check_values(old, table),
    }
}

/// How many of the first edits can be sent together.
fn run_length(edits: &[PartitionEdit]) -> usize {
    let kind = |edit: &PartitionEdit| match edit {
        PartitionEdit::Add(_) => (0, MADE_AT_ONCE),
        PartitionEdit::Replace(old, new) if *old == new.values => (1, MADE_AT_ONCE),
        PartitionEdit::Replace(..) => (2, 1),
        PartitionEdit::Remove(_) => (3, REMOVED_AT_ONCE),
    };
    let Some(first) = edits.first().map(kind) else { return 0 };
    let mut seen = HashSet::new();
    let mut length = 0;
    for edit in edits.iter().take(first.1) {
        if kind(edit) != first || !seen.insert(edit.values()) {
            break;
        }
        length += 1;
    }
    length
}

/// Those of the edits that have not failed yet, which are of one kind.
fn batch<'a>(edits: &'a [PartitionEdit], outcomes: &[Result<()>]) -> Batch<'a> {
    let left = edits.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok());
    let left: Vec<&PartitionEdit> = left.map(|(edit, _)| edit).collect();
    let (mut added, mut replaced, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for edit in left {
        match edit {
            PartitionEdit::Add(new) => added.push(new),
            PartitionEdit::Replace(old, new) => replaced.push((old, new)),
            PartitionEdit::Remove(old) => removed.push(old),
        }
    }
    if !added.is_empty() {
        Batch::Add(added)
    } else if !replaced.is_empty() {
        Batch::Replace(replaced)
    } else {
        Batch::Remove(removed)
    }
}

/// The values of the partitions that an edit changes.
fn touched(edit: &PartitionEdit) -> Vec<&Values> {
    match edit {
        PartitionEdit::Add(new) => vec![&new.values],
        PartitionEdit::Replace(old, new) => vec![old, &new.values],
        PartitionEdit::Remove(old) => vec![old],
    }
}

/// Whether a partition that is to be put says something else than the one that is there, apart
/// from its files.
fn differs(wanted: &Partition, there: &Partition) -> bool {
    wanted.location != there.location || wanted.parameters != there.parameters || {
        let mut details = wanted.details.clone();
        details.remove("CreationTime");
        details.iter().any(|(member, value)| there.details.get(member) != Some(value))
    }
}

/// The partition that was refused in a batch, and why.
fn refusal(table: &Table, error: &Value) -> Result<(Values, Error)> {
    let texts = error.get("PartitionValues").or_else(|| error.get("PartitionValueList"));
    let texts = texts.cloned().and_then(|texts| serde_json::from_value(texts).ok());
    let values = partition_values(table, texts.unwrap_or_default())?;
    let name = show(&values);
    let kind = ObjectKind::Partition;
    let detail = |member: &str| error["ErrorDetail"][member].as_str().unwrap_or_default();
    let error = match detail("ErrorCode") {
        "AlreadyExistsException" => Error::AlreadyExists { kind, name },
        "EntityNotFoundException" => Error::NotFound { kind, name },
        code => Error::Invalid(format!(
            "partition {name} of \"{}\" was refused: {} ({code})",
            table.name,
            detail("ErrorMessage")
        )),
    };
    Ok((values, error))
}

fn first(refused: Refused) -> Result<()> {
    refused.into_values().next().map_or(Ok(()), Err)
}

fn unless_missing(mut refused: Refused) -> Result<()> {
    refused.retain(|_, error| !matches!(error, Error::NotFound { .. }));
    first(refused)
}
