//! What comes out of a MERGE's join: which rows are written, and how many were changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::UInt8Type;
use datafusion::execution::memory_pool::MemoryPool;

use super::super::changes;
use super::super::selection::{Selection, places};
use super::super::target::TargetTable;
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
    /// How many columns the target has.
    columns: usize,
}

impl<'a> Outcome<'a> {
    pub(super) fn new(
        clauses: &'a [Clause],
        target: &'a TargetTable,
        changed: &'a BTreeSet<u32>,
        memory: &Arc<dyn MemoryPool>,
    ) -> Self {
        let mut of_matched = clauses.iter().filter(|clause| clause.rows == Rows::Matched);
        let may_match_often = of_matched
            .all(|clause| clause.condition.is_none() && matches!(clause.act, Act::Delete));
        let (matched, acted) = (Selection::new(memory), Selection::new(memory));
        let (target, columns) = (target.name.as_str(), target.schema().fields().len());
        Self { clauses, target, changed, matched, acted, rows: 0, may_match_often, columns }
    }

    /// What is written of a batch's rows.
    pub(super) fn of(&mut self, batch: &RecordBatch) -> Result<Written> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| Error::internal(format!("no column {name}")))
        };
        let actions = column(ACTION)?.as_primitive_opt::<UInt8Type>();
        let actions = actions.ok_or_else(|| Error::internal("an action has another type"))?;
        let in_source = column(SOURCE)?;
        let mut fates = Vec::with_capacity(batch.num_rows());
        for (row, place) in places(batch)?.into_iter().enumerate() {
            let clause = usize::from(actions.value(row)).checked_sub(1);
            let act = clause.and_then(|clause| self.clauses.get(clause)).map(|clause| &clause.act);
            fates.push(self.fate(place, in_source.is_valid(row), act)?);
        }
        self.matched.account()?;
        self.acted.account()?;
        let changed = |fate: &&Fate| matches!(fate, Fate::Inserted | Fate::Updated | Fate::Deleted);
        self.rows += fates.iter().filter(changed).count() as u64;
        Ok(Written { batch: batch.clone(), fates, columns: self.columns })
    }

    fn fate(
        &mut self,
        place: Option<(u32, u64)>,
        in_source: bool,
        act: Option<&Act>,
    ) -> Result<Fate> {
        let Some(place) = place else {
            return Ok(if act.is_some() { Fate::Inserted } else { Fate::Dropped });
        };
        if in_source && !self.matched.add(place) {
            let changes = act.is_some() || self.acted.has(place);
            return match changes && !self.may_match_often {
                true => Err(self.matches_twice()),
                false => Ok(Fate::Dropped),
            };
        }
        if in_source && act.is_some() {
            self.acted.add(place);
        }
        Ok(match act {
            Some(Act::Delete) => Fate::Deleted,
            Some(_) => Fate::Updated,
            None if self.changed.contains(&place.0) => Fate::Kept,
            None => Fate::Dropped,
        })
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

/// What becomes of a row of the join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It's in no file that is written anew, or it's there already.
    Dropped,
    Kept,
    Inserted,
    Updated,
    Deleted,
}

/// A batch of the join with what becomes of its rows. Its first columns are the target's with
/// their new values; with change data those with their old values follow.
pub(super) struct Written {
    batch: RecordBatch,
    fates: Vec<Fate>,
    columns: usize,
}

impl Written {
    /// The rows for the table.
    pub(super) fn rows(&self) -> Result<RecordBatch> {
        self.filtered(0, |fate| matches!(fate, Fate::Kept | Fate::Inserted | Fate::Updated))
    }

    /// The rows for the change data.
    pub(super) fn changes(&self) -> Result<Vec<RecordBatch>> {
        let of = |offset, wanted: Fate, label| {
            changes::labelled_batch(&self.filtered(offset, |fate| fate == wanted)?, label)
        };
        let all = [
            of(0, Fate::Inserted, changes::INSERT)?,
            of(self.columns, Fate::Updated, changes::BEFORE)?,
            of(0, Fate::Updated, changes::AFTER)?,
            of(self.columns, Fate::Deleted, changes::DELETE)?,
        ];
        Ok(all.into_iter().filter(|batch| batch.num_rows() > 0).collect())
    }

    fn filtered(&self, offset: usize, wanted: impl Fn(Fate) -> bool) -> Result<RecordBatch> {
        let mask: BooleanArray = self.fates.iter().map(|fate| Some(wanted(*fate))).collect();
        let columns: Vec<usize> = (offset..offset + self.columns).collect();
        Ok(filter_record_batch(&self.batch.project(&columns)?, &mask)?)
    }
}
