//! Compaction: the rows of a Delta table's small files in fewer and larger ones.

mod auto;
mod order;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::execute_stream;
use deltalake::kernel::{Action, Add};
use deltalake::protocol::DeltaOperation;
use futures::StreamExt;

pub(crate) use auto::{AutoCompaction, after_write};

use crate::commit::commit;
use crate::interrupt::{Interrupt, interruptible};
use crate::rules::Rules;
use crate::scan::{DeltaSnapshot, LakeTable, ScanFile, delta_files};
use crate::session::Session;
use crate::write::{Place, write_files};
use crate::{Error, Result};

/// Files are made about this large where the table says nothing else.
const TARGET_BYTES: u64 = 128 << 20;
const TARGET_SIZE: &str = "delta.targetFileSize";

/// What is wanted of a compaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// Of which partitions; SQL over the partition keys.
    pub(crate) predicate: Option<String>,
    /// Columns whose neighbours shall lie together: all files are written anew then.
    pub(crate) order: Vec<String>,
}

/// What a compaction did.
#[derive(Debug, Default)]
pub(crate) struct Compacted {
    pub(crate) version: u64,
    pub(crate) partitions: u64,
    pub(crate) considered: u64,
    pub(crate) removed: (u64, u64),
    pub(crate) added: (u64, u64),
}

/// Writes small files of a table anew, as one version. Rows and their values stay the same.
pub(crate) async fn compact(
    session: &Session,
    name: &str,
    delta: Arc<DeltaSnapshot>,
    wish: &Wish,
) -> Result<Compacted> {
    let table = LakeTable::of_snapshot(session, name.to_owned(), delta.clone()).await?;
    let state = session.query_state();
    let target = target_bytes(&delta)?;
    let candidates = delta_files(&state, &table, wish.predicate.as_deref())?;
    let considered = candidates.len() as u64;
    let groups = match wish.order.is_empty() {
        true => small_groups(candidates, target),
        false => by_partition(candidates),
    };
    session.work.expect(groups.iter().flatten().map(rows_of).sum());
    let mut done = Compacted { version: delta.version, considered, ..Compacted::default() };
    let (mut removed, mut adds) = (Vec::new(), Vec::new());
    let mut partitions = std::collections::HashSet::new();
    for group in groups {
        partitions.insert(group.first().map(|candidate| candidate.partition_values.clone()));
        let rewrite = Rewrite { session, state: &state, table: &table, delta: &delta };
        adds.extend(rewrite.group(&group, wish, target, &mut done).await?);
        removed.extend(group);
    }
    done.partitions = partitions.len() as u64;
    if !removed.is_empty() {
        let removals = delta.removals(&removed, false).await?.into_iter().map(Action::Remove);
        let actions = removals.chain(adds.into_iter().map(Action::Add)).collect();
        let target_size = i64::try_from(target).unwrap_or(i64::MAX);
        let operation = DeltaOperation::Optimize { predicate: wish.predicate.clone(), target_size };
        done.version = commit(session.engine.shared(), &delta, actions, operation).await?;
    }
    Ok(done)
}

fn rows_of(candidate: &ScanFile) -> u64 {
    let rows = candidate.statistics.as_ref().and_then(|known| known.num_rows.get_value());
    rows.map_or(0, |rows| *rows as u64)
}

/// How many files smaller than the target a table has, which compaction might join.
pub(crate) async fn small_files(delta: &DeltaSnapshot) -> Result<usize> {
    let target = target_bytes(delta)?;
    let files = delta.files(delta.layout()?.file_schema()).await?;
    Ok(files.all.iter().filter(|file| is_small(file.meta.size, target)).count())
}

/// A file of more than three quarters of the target is good enough.
fn is_small(bytes: u64, target: u64) -> bool {
    bytes < target / 4 * 3
}

/// The size that files shall have.
fn target_bytes(delta: &DeltaSnapshot) -> Result<u64> {
    let Some(text) = delta.metadata().configuration().get(TARGET_SIZE) else {
        return Ok(TARGET_BYTES);
    };
    bytes_of(text).ok_or_else(|| {
        Error::invalid(format!("the table property {TARGET_SIZE} = '{text}' is no size"))
            .with_hint("Write a number of bytes, or 64mb.")
    })
}

/// `1048576`, `64mb`, `1 GB`
fn bytes_of(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let shift = match text.get(digits.len()..)?.trim() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

/// Groups of at least two small files of one partition that make a large one.
fn small_groups(candidates: Vec<ScanFile>, target: u64) -> Vec<Vec<ScanFile>> {
    let small = candidates.into_iter().filter(|candidate| is_small(candidate.meta.size, target));
    let mut groups = Vec::new();
    for files in by_partition(small.collect()) {
        let (mut group, mut bytes) = (Vec::new(), 0_u64);
        for candidate in files {
            let size = candidate.meta.size;
            if bytes.saturating_add(size) > target {
                groups.push(std::mem::take(&mut group));
                bytes = 0;
            }
            bytes += size;
            group.push(candidate);
        }
        groups.push(group);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn by_partition(candidates: Vec<ScanFile>) -> Vec<Vec<ScanFile>> {
    let key = |candidate: &ScanFile| -> Vec<Option<String>> {
        let text = |value: &ScalarValue| (!value.is_null()).then(|| value.to_string());
        candidate.partition_values.iter().map(text).collect()
    };
    let mut partitions: BTreeMap<_, Vec<ScanFile>> = BTreeMap::new();
    for candidate in candidates {
        partitions.entry(key(&candidate)).or_default().push(candidate);
    }
    partitions.into_values().collect()
}

struct Rewrite<'a> {
    session: &'a Session,
    state: &'a SessionState,
    table: &'a LakeTable,
    delta: &'a DeltaSnapshot,
}

impl Rewrite<'_> {
    /// Reads a group of files and writes their rows, a batch at a time.
    async fn group(
        &self,
        group: &[ScanFile],
        wish: &Wish,
        target: u64,
        done: &mut Compacted,
    ) -> Result<Vec<Add>> {
        let table = Arc::new(self.table.with_files(group.to_vec()));
        let rows = match wish.order.is_empty() {
            true => self.rows(table).await?,
            false => self.ordered_rows(table, &wish.order).await?,
        };
        let work = &self.session.work;
        let rows = rows.map(|batch| batch.inspect(|b| work.add(b.num_rows())).map_err(Error::from));
        let place = self.place(wish, target).await?;
        let rules = Rules::of_schema(self.delta.schema.clone());
        let written = write_files(self.session.engine.shared(), &place, &rules, rows).await?;
        done.removed.0 += group.len() as u64;
        done.removed.1 += group.iter().map(|file| file.meta.size).sum::<u64>();
        let mut adds = written.adds;
        for add in &mut adds {
            add.data_change = false;
            done.added.0 += 1;
            done.added.1 += u64::try_from(add.size).unwrap_or(0);
        }
        Ok(adds)
    }

    /// Where the files go. A group's rows are meant for one file, which may come out somewhat
    /// larger; rows that come in an order keep it.
    async fn place(&self, wish: &Wish, target: u64) -> Result<Place> {
        let place = Place::of(self.session.engine.shared(), self.delta).await?;
        Ok(match wish.order.is_empty() {
            true => Place { file_bytes: target.saturating_mul(2), ..place },
            false => Place { file_bytes: target, clustering: Vec::new(), ..place },
        })
    }

    async fn rows(&self, table: Arc<LakeTable>) -> Result<SendableRecordBatchStream> {
        let plan = table.scan(self.state, None, &[], None).await?;
        let plan = interruptible(plan, &Interrupt::default())?;
        Ok(execute_stream(plan, self.state.task_ctx())?)
    }

    async fn ordered_rows(
        &self,
        table: Arc<LakeTable>,
        columns: &[String],
    ) -> Result<SendableRecordBatchStream> {
        let order = order::expressions(self.state, table.clone(), columns).await?;
        let scan = LogicalPlanBuilder::scan(order::TABLE, provider_as_source(table), None)?;
        let sorted = scan.sort(order.into_iter().map(|expr| expr.sort(true, true)))?.build()?;
        let plan = self.state.create_physical_plan(&sorted).await?;
        Ok(execute_stream(plan, self.state.task_ctx())?)
    }
}

/// A predicate over partition keys, with the keys' columns.
pub(crate) fn key_predicate(
    state: &SessionState,
    text: &str,
    keys: &arrow::datatypes::Schema,
) -> Result<datafusion::logical_expr::Expr> {
    let names: Vec<&str> = keys.fields().iter().map(|field| field.name().as_str()).collect();
    let schema = DFSchema::try_from(keys.clone())?;
    state.create_logical_expr(text, &schema).map_err(|error| {
        let error = Error::from(error).about(format!("the predicate \"{text}\""));
        match names.is_empty() {
            true => error.with_hint("The table has no partition keys: leave out WHERE."),
            false => {
                error.with_hint(format!("It may name partition keys only: {}.", names.join(", ")))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::bytes_of;

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        assert_eq!(bytes_of("1048576"), Some(1 << 20));
        assert_eq!(bytes_of("64mb"), Some(64 << 20));
        assert_eq!(bytes_of("1 GB"), Some(1 << 30));
        for wrong in ["", "0", "mb", "1.5mb", "-1", "1tb", "99999999999999999999"] {
            assert_eq!(bytes_of(wrong), None, "{wrong}");
        }
    }
}
