//! Identity columns: values that are allotted, each once.
//!
//! The last value is in the table's metadata. It is committed together with the rows, so that of
//! two writers who took the same values one has a conflict and takes others. A load that is too
//! large to be written again reserves blocks of values first, each with a commit of its own.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, PrimitiveArray, RecordBatch, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use deltalake::kernel::Action;
use deltalake::protocol::DeltaOperation;
use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::{IdentityColumn, Rules};
use crate::commit::{Append, commit_next, is_done};
use crate::definition::{ColumnRules, Definition};
use crate::engine::{Engine, Shared};
use crate::scan::DeltaSnapshot;
use crate::write::{Place, append_actions, append_operation, write_files};
use crate::{Error, ErrorKind, Result};

/// Rows that are kept, to be written again with other values if somebody else took these.
const KEPT_ROWS: usize = 65_536;
const KEPT_BYTES: usize = 32 << 20;
/// Values that a large load reserves at once, at most.
const BLOCK_ROWS_MAX: u64 = 1 << 20;
/// Attempts at a commit while others commit too.
const ATTEMPTS: u32 = 100;
const WAIT_MAX_MS: u64 = 200;

/// The values that are next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allotment {
    series: Vec<Series>,
}

#[derive(Clone, Debug)]
struct Series {
    step: i64,
    next: Option<i64>,
    /// The last value that was taken.
    last: Option<i64>,
}

impl Allotment {
    /// What comes after the last values that the table knows of.
    pub(crate) fn new(columns: &[IdentityColumn]) -> Self {
        let series = columns
            .iter()
            .map(|column| {
                let identity = &column.identity;
                let next = match identity.mark {
                    Some(mark) => mark.checked_add(identity.step),
                    None => Some(identity.start),
                };
                Series { step: identity.step, next, last: None }
            })
            .collect();
        Self { series }
    }

    /// Puts values where the identity columns have none.
    pub(super) fn fill(
        &mut self,
        identity: &[IdentityColumn],
        columns: &mut [ArrayRef],
    ) -> Result<()> {
        for (column, series) in identity.iter().zip(&mut self.series) {
            let given = &columns[column.index];
            if given.null_count() > 0 {
                let data_type = given.data_type().clone();
                let filled = series
                    .fill(cast(given, &DataType::Int64)?.as_primitive::<Int64Type>())
                    .ok_or_else(|| exhausted(&column.name))?;
                let filled = cast(&(Arc::new(filled) as ArrayRef), &data_type)?;
                if filled.null_count() > 0 {
                    return Err(exhausted(&column.name));
                }
                columns[column.index] = filled;
            }
        }
        Ok(())
    }

    /// The last values that were taken, by column; `None` if none was.
    pub(crate) fn marks(&self, identity: &[IdentityColumn]) -> Option<Vec<(String, i64)>> {
        let marks: Vec<(String, i64)> = identity
            .iter()
            .zip(&self.series)
            .filter_map(|(column, series)| Some((column.name.clone(), series.last?)))
            .collect();
        (!marks.is_empty()).then_some(marks)
    }
}

impl Series {
    fn take(&mut self) -> Option<i64> {
        let value = self.next?;
        self.next = value.checked_add(self.step);
        self.last = Some(value);
        Some(value)
    }

    fn fill(&mut self, given: &PrimitiveArray<Int64Type>) -> Option<Int64Array> {
        let values: Option<Vec<i64>> =
            given.iter().map(|value| value.or_else(|| self.take())).collect();
        Some(Int64Array::from(values?))
    }
}

fn exhausted(name: &str) -> Error {
    Error::new(
        ErrorKind::ResourcesExhausted,
        format!("identity column \"{name}\" has no values left"),
    )
}

/// The definition with the last values that were allotted, to be committed with the rows that
/// have them.
pub(crate) async fn marked(
    shared: &Shared,
    snapshot: &DeltaSnapshot,
    marks: &[(String, i64)],
) -> Result<Action> {
    let mut definition = Definition::of(shared, snapshot).await?;
    for (name, mark) in marks {
        let column = definition.column_mut(name)?;
        let mut rules = ColumnRules::of(column)?;
        if let Some(identity) = &mut rules.identity {
            identity.mark = Some(*mark);
        }
        rules.write(column);
    }
    definition.metadata()
}

/// Writes rows into a table with identity columns, and commits them.
pub(crate) async fn insert_with_identity(
    engine: &Engine,
    snapshot: &Arc<DeltaSnapshot>,
    how: &Append,
    data: impl Stream<Item = Result<RecordBatch>>,
) -> Result<u64> {
    let mut data = Box::pin(data);
    let mut head = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    while rows < KEPT_ROWS && bytes < KEPT_BYTES {
        let Some(batch) = data.next().await.transpose()? else {
            return insert_small(engine.shared(), snapshot, how, &head).await;
        };
        rows += batch.num_rows();
        bytes += batch.get_array_memory_size();
        head.push(batch);
    }
    let all = stream::iter(head.into_iter().map(Ok)).chain(data);
    insert_large(engine.shared(), snapshot, how, all).await
}

/// Rows, values and marks in one commit.
async fn insert_small(
    shared: &Shared,
    snapshot: &Arc<DeltaSnapshot>,
    how: &Append,
    batches: &[RecordBatch],
) -> Result<u64> {
    if how.transaction.is_none() && batches.iter().all(|batch| batch.num_rows() == 0) {
        return Ok(0);
    }
    let mut snapshot = snapshot.clone();
    for attempt in 0..ATTEMPTS {
        let rules = snapshot.rules(shared)?;
        let data = stream::iter(batches.iter().cloned().map(Ok));
        let place = Place::of(shared, &snapshot).await?;
        let written = write_files(shared, &place, &rules, data).await?;
        let rows = written.rows;
        let mut actions = written.actions(shared, &snapshot).await?;
        actions.extend(how.transaction().map(Action::Txn));
        match commit_next(shared, &snapshot, actions, append_operation(&snapshot)).await {
            Ok(_) => return Ok(rows),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                snapshot = newest_alike(shared, &snapshot, attempt).await?;
                if is_done(shared, &snapshot, how).await? {
                    return Ok(0);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(too_many(&snapshot))
}

/// The newest version, if rows for `snapshot` are rows for it too.
async fn newest_alike(
    shared: &Shared,
    snapshot: &DeltaSnapshot,
    attempt: u32,
) -> Result<Arc<DeltaSnapshot>> {
    // The less two writers keep step, the sooner both are done.
    let step = u64::from(attempt % 8 + 1) * (u64::from(std::process::id()) % 5 + 3);
    let noise = uuid::Uuid::new_v4().as_u128() as u64 % (step * 2);
    tokio::time::sleep(Duration::from_millis((step + noise).min(WAIT_MAX_MS))).await;
    let newest = shared.delta_tables.newest(shared, &snapshot.url).await?;
    let before = Definition::of(shared, snapshot).await?;
    let now = Definition::of(shared, &newest).await?;
    if before.without_marks() == now.without_marks() {
        return Ok(newest);
    }
    Err(Error::new(ErrorKind::Conflict, "the table's definition was changed meanwhile")
        .with_hint("Run the statement again."))
}

fn too_many(snapshot: &DeltaSnapshot) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("others kept writing to {} in {ATTEMPTS} attempts", snapshot.url),
    )
    .with_hint("Run the statement again.")
}

/// Blocks of values first, then all rows in one commit.
async fn insert_large(
    shared: &Shared,
    snapshot: &Arc<DeltaSnapshot>,
    how: &Append,
    data: impl Stream<Item = Result<RecordBatch>>,
) -> Result<u64> {
    let rules = snapshot.rules(shared)?;
    let mut block = Block { snapshot: snapshot.clone(), left: 0, allotment: Allotment::default() };
    let filled = stream::try_unfold((Box::pin(data), &mut block), |(mut data, block)| async {
        let Some(batch) = data.try_next().await? else { return Ok::<_, Error>(None) };
        let batch = block.fill(shared, &batch).await?;
        Ok(Some((batch, (data, block))))
    });
    let place = Place::of(shared, snapshot).await?;
    let written = write_files(shared, &place, &rules, filled).await?;
    let mut newest = shared.delta_tables.newest(shared, &snapshot.url).await?;
    for attempt in 0..ATTEMPTS {
        if is_done(shared, &newest, how).await? {
            return Ok(0);
        }
        let mut actions = append_actions(written.adds.clone());
        actions.extend(how.transaction().map(Action::Txn));
        match commit_next(shared, &newest, actions, append_operation(&newest)).await {
            Ok(_) => return Ok(written.rows),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                newest = newest_alike(shared, snapshot, attempt).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(too_many(snapshot))
}

/// Values that are reserved for a load.
struct Block {
    snapshot: Arc<DeltaSnapshot>,
    left: u64,
    allotment: Allotment,
}

impl Block {
    async fn fill(&mut self, shared: &Shared, batch: &RecordBatch) -> Result<RecordBatch> {
        let wanted = batch.num_rows() as u64;
        if self.left < wanted {
            self.reserve(shared, wanted).await?;
        }
        self.left -= wanted;
        let rules = self.snapshot.rules(shared)?;
        with_values(&rules, batch, &mut self.allotment)
    }

    /// Takes a block of values for each identity column; what was left of the last is given up.
    async fn reserve(&mut self, shared: &Shared, wanted: u64) -> Result<()> {
        let size = wanted.max(BLOCK_ROWS_MAX);
        for attempt in 0..ATTEMPTS {
            let rules = self.snapshot.rules(shared)?;
            let allotment = Allotment::new(&rules.identity);
            let marks = ends(&rules.identity, &allotment, size)?;
            let action = marked(shared, &self.snapshot, &marks).await?;
            let operation =
                DeltaOperation::SetTableProperties { properties: std::collections::HashMap::new() };
            match commit_next(shared, &self.snapshot, vec![action], operation).await {
                Ok(_) => {
                    (self.left, self.allotment) = (size, allotment);
                    let url = &self.snapshot.url;
                    self.snapshot = shared.delta_tables.newest(shared, url).await?;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    self.snapshot = newest_alike(shared, &self.snapshot, attempt).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(too_many(&self.snapshot))
    }
}

/// The last value of each column's block.
fn ends(
    identity: &[IdentityColumn],
    allotment: &Allotment,
    size: u64,
) -> Result<Vec<(String, i64)>> {
    let pairs = identity.iter().zip(&allotment.series);
    pairs
        .map(|(column, series)| {
            let steps = i64::try_from(size - 1).ok().and_then(|n| n.checked_mul(series.step));
            let end = series.next.zip(steps).and_then(|(next, steps)| next.checked_add(steps));
            Ok((column.name.clone(), end.ok_or_else(|| exhausted(&column.name))?))
        })
        .collect()
}

/// The rows with values in their identity columns.
fn with_values(
    rules: &Rules,
    batch: &RecordBatch,
    allotment: &mut Allotment,
) -> Result<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    for column in &rules.identity {
        let Some(given) = columns.get(column.index) else { continue };
        if given.data_type() == &DataType::Null {
            columns[column.index] = new_null_array(&DataType::Int64, batch.num_rows());
        }
    }
    if columns.len() == rules.schema.fields().len() {
        allotment.fill(&rules.identity, &mut columns)?;
    }
    let fields: Vec<arrow::datatypes::Field> = batch
        .schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| {
            let field = field.as_ref().clone();
            field.with_data_type(column.data_type().clone()).with_nullable(true)
        })
        .collect();
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    Ok(RecordBatch::try_new(schema, columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Identity;

    fn column(mark: Option<i64>) -> IdentityColumn {
        let identity = Identity { start: 10, step: 5, allow_explicit: true, mark };
        IdentityColumn { index: 0, name: "id".into(), identity }
    }

    #[test]
    fn values_go_on_after_the_mark_and_leave_given_ones() {
        for (mark, expected) in [(None, [10, 7, 15]), (Some(100), [105, 7, 110])] {
            let identity = [column(mark)];
            let mut allotment = Allotment::new(&identity);
            let given: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(7), None]));
            let mut columns = vec![given];
            allotment.fill(&identity, &mut columns).unwrap();
            assert_eq!(columns[0].as_primitive::<Int64Type>().values(), &expected);
            assert_eq!(allotment.marks(&identity), Some(vec![("id".into(), expected[2])]));
        }
    }

    #[test]
    fn values_come_to_an_end() {
        let identity = [column(Some(i64::MAX - 5))];
        let mut allotment = Allotment::new(&identity);
        let mut columns: Vec<ArrayRef> = vec![new_null_array(&DataType::Int64, 2)];
        assert!(allotment.fill(&identity, &mut columns).is_err());
    }
}
