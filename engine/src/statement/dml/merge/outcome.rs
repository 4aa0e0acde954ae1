//! What comes out of a MERGE's join: which rows are written, and how many were changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, UInt8Type};
use datafusion::execution::memory_pool::MemoryPool;

use super::super::selection::{Selection, places};
use super::SOURCE;
use super::clauses::{Act, Clause, Rows};
use crate::{Error, Result};

/// The number of the clause that takes a row, from 1; 0 where none does.
pub(super) const ACTION: &str = "__boathouse_action";

/// Goes through the join's rows.
pub(super) struct Outcome<'a> {
    clauses: &'a [Clause],
    target: &'a str,
    /// The files that are written anew.
    changed: &'a BTreeSet<u32>,
    /// Target rows that the source has.
    matched: Selection,
    /// Those that a clause changes.
    acted: Selection,
    /// Rows that were inserted, updated or deleted.
    pub(super) rows: u64,
    /// Whether a second match of a changed row is harmless: each deletes it.
    may_match_often: bool,
}

impl<'a> Outcome<'a> {
    pub(super) fn new(
        clauses: &'a [Clause],
        target: &'a str,
        changed: &'a BTreeSet<u32>,
        memory: &Arc<dyn MemoryPool>,
    ) -> Self {
        let mut of_matched = clauses.iter().filter(|clause| clause.rows == Rows::Matched);
        let may_match_often = of_matched
            .all(|clause| clause.condition.is_none() && matches!(clause.act, Act::Delete));
        let (matched, acted) = (Selection::new(memory), Selection::new(memory));
        Self { clauses, target, changed, matched, acted, rows: 0, may_match_often }
    }

    /// The rows of a batch that are written, with the target's columns.
    pub(super) fn written(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| Error::internal(format!("no column {name}")))
        };
        let actions = column(ACTION)?.as_primitive_opt::<UInt8Type>();
        let actions = actions.ok_or_else(|| Error::internal("an action has another type"))?;
        let in_source = column(SOURCE)?.clone();
        let mut kept = Vec::with_capacity(batch.num_rows());
        for (row, place) in places(batch)?.into_iter().enumerate() {
            let clause = usize::from(actions.value(row)).checked_sub(1);
            let act = clause.and_then(|clause| self.clauses.get(clause)).map(|clause| &clause.act);
            kept.push(self.keeps(place, in_source.is_valid(row), act)?);
        }
        self.matched.account()?;
        self.acted.account()?;
        let kept = filter_record_batch(batch, &BooleanArray::from(kept))?;
        columns(&kept)
    }

    fn keeps(
        &mut self,
        place: Option<(u32, u64)>,
        in_source: bool,
        act: Option<&Act>,
    ) -> Result<bool> {
        let Some(place) = place else {
            self.rows += u64::from(act.is_some());
            return Ok(act.is_some());
        };
        if in_source && !self.matched.add(place) {
            let changes = act.is_some() || self.acted.has(place);
            return match changes && !self.may_match_often {
                true => Err(self.matches_twice()),
                false => Ok(false),
            };
        }
        if in_source && act.is_some() {
            self.acted.add(place);
        }
        self.rows += u64::from(act.is_some());
        Ok(self.changed.contains(&place.0) && !matches!(act, Some(Act::Delete)))
    }

    fn matches_twice(&self) -> Error {
        Error::invalid(format!(
            "more than one row of the source matches a row of table \"{}\"",
            self.target
        ))
        .with_hint(
            "Make the source's keys unique, for example with SELECT DISTINCT, GROUP BY or \
             row_number() = 1.",
        )
    }
}

/// The batch without the columns that only say what is done with its rows.
fn columns(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let own = |name: &str| [ACTION, SOURCE, crate::scan::FILE, crate::scan::ROW].contains(&name);
    let wanted: Vec<usize> =
        (0..schema.fields().len()).filter(|column| !own(schema.field(*column).name())).collect();
    let projected: Arc<Schema> = Arc::new(schema.project(&wanted)?);
    let columns = wanted.iter().map(|column| batch.column(*column).clone()).collect();
    Ok(RecordBatch::try_new(projected, columns)?)
}
