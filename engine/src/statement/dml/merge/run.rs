//! One run of a MERGE: a join finds the files that have rows to change, another makes the new
//! rows of these and those that the source adds.

use std::cell::Cell;
use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Field, UInt32Type};
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::functions_aggregate::bool_and_or::bool_or;
use datafusion::logical_expr::{
    Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, lit, not, when,
};
use deltalake::kernel::Add;
use deltalake::protocol::{DeltaOperation, MergePredicate};
use futures::{TryStreamExt, stream};
use tokio::sync::mpsc;

use super::super::changes;
use super::super::execution::{Execution, NewFiles};
use super::super::queries;
use super::super::target::TargetTable;
use super::clauses::{Act, Clause, Rows};
use super::outcome::{ACTION, Outcome};
use super::{Merge, SOURCE};
use super::{bounds, joins};
use crate::scan::{FILE, ROW};
use crate::{Error, ErrorKind, Result};

/// Batches of change data that wait for their writer.
const CHANGES_QUEUED: usize = 2;

/// Target files that have rows which matter.
#[derive(Default)]
struct Files {
    /// Those with a row that the source has.
    matched: BTreeSet<u32>,
    /// Those with a row that is changed.
    changed: BTreeSet<u32>,
}

/// The parts of a planned MERGE.
struct Parts<'a> {
    merge: &'a Merge,
    target: &'a TargetTable,
    exprs: Vec<Expr>,
    join: &'a Join,
    /// Joins sort both sides, however small these seem.
    sorts: bool,
    /// Whether a join was done with a hash table.
    hashed: Cell<bool>,
}

pub(in super::super) async fn run(
    run: &Execution<'_>,
    target: &TargetTable,
    merge: &Merge,
) -> Result<u64> {
    let (exprs, rows) = queries::taken_apart(&merge.joined)?;
    let LogicalPlan::Join(join) = rows else {
        return Err(Error::internal("a MERGE was planned without a join"));
    };
    let mut parts = Parts { merge, target, exprs, join, sorts: false, hashed: Cell::new(false) };
    let mut done = parts.rewrite(run).await;
    if let Err(error) = &done
        && error.kind() == ErrorKind::ResourcesExhausted
        && parts.hashed.get()
    {
        // A side was larger than it seemed; sorting spills.
        tracing::debug!(%error, "the join of a MERGE is done again by sorting");
        parts.sorts = true;
        done = parts.rewrite(run).await;
    }
    let (new, rows, changed) = done?;
    let changed: Vec<u32> = changed.into_iter().collect();
    run.commit(&target.files, &changed, new, parts.operation()).await?;
    Ok(rows)
}

impl Parts<'_> {
    fn has(&self, rows: Rows) -> bool {
        self.merge.clauses.iter().any(|clause| clause.rows == rows)
    }

    fn only_inserts(&self) -> bool {
        !self.has(Rows::Matched) && !self.has(Rows::OnlyInTarget)
    }

    /// The new files, the number of changed rows, and the files that these replace.
    async fn rewrite(&self, run: &Execution<'_>) -> Result<(NewFiles, u64, BTreeSet<u32>)> {
        if self.only_inserts() {
            let (adds, rows) = self.insert(run).await?;
            return Ok((adds.into(), rows, BTreeSet::new()));
        }
        self.merge(run).await
    }

    fn operation(&self) -> DeltaOperation {
        let of = |rows: Rows| -> Vec<MergePredicate> {
            let clauses = self.merge.clauses.iter().filter(|clause| clause.rows == rows);
            clauses.map(Clause::described).collect()
        };
        DeltaOperation::Merge {
            predicate: None,
            merge_predicate: Some(self.merge.on.clone()),
            matched_predicates: of(Rows::Matched),
            not_matched_predicates: of(Rows::OnlyInSource),
            not_matched_by_source_predicates: of(Rows::OnlyInTarget),
        }
    }

    /// The join of the wanted files with the source; of the target only rows that satisfy
    /// `filter`.
    fn joined(
        &self,
        kind: JoinType,
        wanted: impl Fn(u32) -> bool,
        filter: Option<Expr>,
    ) -> Result<LogicalPlanBuilder> {
        let mut target = LogicalPlanBuilder::from(self.target.scan(wanted)?);
        if let Some(filter) = filter {
            target = target.filter(filter)?;
        }
        let source = self.join.right.as_ref().clone();
        Ok(target.join_on(source, kind, self.join.filter.clone())?)
    }

    /// Whether a join with these files sorts both sides.
    async fn sorts(&self, run: &Execution<'_>, wanted: impl Fn(u32) -> bool) -> Result<bool> {
        if self.sorts || !run.state.config_options().optimizer.prefer_hash_join {
            return Ok(true);
        }
        let files = self.target.all_files().into_iter().filter(|file| wanted(*file));
        let rows: Option<u64> = files.map(|file| self.target.files.rows(file)).sum();
        let schema = self.target.schema();
        let target = (rows, schema.as_ref());
        joins::are_both_large(run, target, &self.join.right).await
    }

    async fn rows(
        &self,
        run: &Execution<'_>,
        plan: &LogicalPlan,
        sorts: bool,
    ) -> Result<SendableRecordBatchStream> {
        if sorts {
            return run.rows_with(&joins::sorting(run), plan).await;
        }
        self.hashed.set(true);
        run.rows(plan).await
    }

    /// What limits the target's rows that can have a partner, where a join doesn't find it out
    /// by itself: a hash table's keys limit the scan of the other side, sorting doesn't.
    async fn bounds(&self, run: &Execution<'_>, sorts: bool) -> Result<Option<Expr>> {
        match sorts && joins::is_stable(&self.join.right)? {
            true => bounds::of_keys(run, &self.target.alias, self.join).await,
            false => Ok(None),
        }
    }

    fn is_in_source(&self) -> Expr {
        self.source_column().is_not_null()
    }

    fn source_column(&self) -> Expr {
        let source = TableReference::bare(self.merge.source.as_str());
        Expr::Column(Column::new(Some(source), SOURCE))
    }

    /// The number of the clause that takes a row of the join.
    fn action(&self) -> Result<Expr> {
        let in_target = self.target.column_expr(FILE).is_not_null();
        self.first_clause(|clause| match clause.rows {
            Rows::Matched => in_target.clone().and(self.is_in_source()),
            Rows::OnlyInTarget => self.source_column().is_null(),
            Rows::OnlyInSource => in_target.clone().is_false(),
        })
    }

    /// The number of the first clause whose rows these are and whose condition holds; else 0.
    fn first_clause(&self, has_row: impl Fn(&Clause) -> Expr) -> Result<Expr> {
        let choice = |(number, clause): (u8, &Clause)| {
            let condition = clause.condition.and_then(|number| self.exprs.get(number)).cloned();
            (condition.into_iter().fold(has_row(clause), Expr::and), lit(number))
        };
        first_of((1..).zip(&self.merge.clauses).map(choice), lit(0_u8))
    }

    /// Finds the files that matter, if the source is the same when it's read again; else all do.
    async fn files(&self, run: &Execution<'_>) -> Result<Files> {
        let all = || self.target.all_files().into_iter().collect::<BTreeSet<u32>>();
        if !joins::is_stable(&self.merge.joined)? {
            return Ok(Files { matched: all(), changed: all() });
        }
        let sorts = self.sorts(run, |_| true).await?;
        let (kind, bounds) = match self.has(Rows::OnlyInTarget) {
            true => (JoinType::Left, None),
            false => (JoinType::Inner, self.bounds(run, sorts).await?),
        };
        let file = self.target.column_expr(FILE);
        let marks = vec![
            bool_or(self.is_in_source()).alias("matched"),
            bool_or(self.action()?.gt(lit(0_u8))).alias("changed"),
        ];
        let plan = self.joined(kind, |_| true, bounds)?.aggregate(vec![file], marks)?.build()?;
        let mut found = self.rows(run, &plan, sorts).await?;
        let mut files = Files::default();
        while let Some(batch) = found.try_next().await? {
            files.add(&batch)?;
        }
        Ok(files)
    }

    async fn merge(&self, run: &Execution<'_>) -> Result<(NewFiles, u64, BTreeSet<u32>)> {
        let files = self.files(run).await?;
        let inserts = self.has(Rows::OnlyInSource);
        let kind = if inserts { JoinType::Full } else { JoinType::Left };
        let wanted =
            |file: u32| files.changed.contains(&file) || inserts && files.matched.contains(&file);
        if !inserts && files.changed.is_empty() {
            return Ok((NewFiles::default(), 0, BTreeSet::new()));
        }
        let plan = self.changed_rows(self.joined(kind, wanted, None)?)?;
        let mut outcome =
            Outcome::new(&self.merge.clauses, self.target, &files.changed, run.memory());
        let sorts = self.sorts(run, wanted).await?;
        let rows = self.rows(run, &plan, sorts).await?;
        let new = self.write(run, rows, &mut outcome).await?;
        let rows = outcome.rows;
        Ok((new, rows, files.changed))
    }

    /// Writes the join's rows; change data beside them where the table has it.
    async fn write(
        &self,
        run: &Execution<'_>,
        rows: SendableRecordBatchStream,
        outcome: &mut Outcome<'_>,
    ) -> Result<NewFiles> {
        let rows = rows.map_err(Error::from);
        if !self.target.files.has_change_feed() {
            let rows = rows.and_then(|batch| {
                let written = outcome.of(&batch);
                std::future::ready(written.and_then(|written| written.rows()))
            });
            return Ok(run.write_rows(&self.target.files, rows).await?.0.into());
        }
        let (sender, receiver) = mpsc::channel(CHANGES_QUEUED);
        let rows = rows.and_then(move |batch| {
            let written = outcome.of(&batch);
            let sender = sender.clone();
            async move {
                let written = written?;
                for changes in written.changes()? {
                    // Where nobody takes them, their own writer says why.
                    let _ = sender.send(Ok(changes)).await;
                }
                written.rows()
            }
        });
        let changes = stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|changes| (changes, receiver))
        });
        let (written, changes) = futures::try_join!(
            run.write_rows(&self.target.files, rows),
            changes::write(run, self.target, changes),
        )?;
        Ok(NewFiles { adds: written.0, changes })
    }

    /// The rows of the join with what they become.
    fn changed_rows(&self, joined: LogicalPlanBuilder) -> Result<LogicalPlan> {
        let all = joined.schema().columns().into_iter().map(Expr::Column);
        let with_action: Vec<Expr> = all.chain([self.action()?.alias(ACTION)]).collect();
        let mut columns = self.columns(|field| Ok(self.target.column_expr(field.name())))?;
        if self.target.files.has_change_feed() {
            let old = self.target.columns().into_iter().enumerate();
            columns.extend(old.map(|(number, old)| old.alias(format!("__boathouse_old_{number}"))));
        }
        columns.extend([
            self.target.column_expr(FILE),
            self.target.column_expr(ROW),
            self.source_column(),
            Expr::Column(Column::from_name(ACTION)),
        ]);
        Ok(joined.project(with_action)?.project(columns)?.build()?)
    }

    /// The value of each of the target's columns, by the row's action.
    fn columns(&self, old: impl Fn(&Field) -> Result<Expr>) -> Result<Vec<Expr>> {
        let schema = self.target.schema();
        let fields = schema.fields().iter().enumerate();
        fields
            .map(|(position, field)| {
                let values = self.values_of(position).into_iter();
                let values = values.map(|(number, value)| (is_action(number), value));
                Ok(first_of(values, old(field)?)?.alias(field.name()))
            })
            .collect()
    }

    /// The values that clauses give a column, with the clauses' numbers.
    fn values_of(&self, position: usize) -> Vec<(u8, Expr)> {
        let clauses = (1_u8..).zip(&self.merge.clauses);
        let value = |(number, clause): (u8, &Clause)| {
            let (Act::Update(set) | Act::Insert(set)) = &clause.act else { return None };
            let (_, expr) = set.iter().find(|(column, _)| *column == position)?;
            Some((number, self.exprs.get(*expr)?.clone()))
        };
        clauses.filter_map(value).collect()
    }

    /// Inserts what only the source has; no row of the target is changed.
    async fn insert(&self, run: &Execution<'_>) -> Result<(Vec<Add>, u64)> {
        let sorts = self.sorts(run, |_| true).await?;
        let bounds = self.bounds(run, sorts).await?;
        let joined = self.joined(JoinType::RightAnti, |_| true, bounds)?;
        let action = self.first_clause(|_| lit(true))?.alias(ACTION);
        let all = joined.schema().columns().into_iter().map(Expr::Column);
        let with_action: Vec<Expr> = all.chain([action]).collect();
        let columns = self.columns(|field| Ok(lit(ScalarValue::try_from(field.data_type())?)))?;
        let plan =
            joined.project(with_action)?.filter(not(is_action(0)))?.project(columns)?.build()?;
        let rows = self.rows(run, &plan, sorts).await?.map_err(Error::from);
        run.write_rows(&self.target.files, rows).await
    }
}

fn is_action(number: u8) -> Expr {
    Expr::Column(Column::from_name(ACTION)).eq(lit(number))
}

/// The value of the first condition that holds.
fn first_of(choices: impl IntoIterator<Item = (Expr, Expr)>, otherwise: Expr) -> Result<Expr> {
    let mut choices = choices.into_iter();
    let Some((condition, value)) = choices.next() else { return Ok(otherwise) };
    let mut chosen = when(condition, value);
    for (condition, value) in choices {
        chosen = chosen.when(condition, value);
    }
    Ok(chosen.otherwise(otherwise)?)
}

impl Files {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let wrong = || Error::internal("the files of a MERGE have another type");
        let files = batch.column(0).as_primitive_opt::<UInt32Type>().ok_or_else(wrong)?;
        let matched = batch.column(1).as_boolean_opt().ok_or_else(wrong)?;
        let changed = batch.column(2).as_boolean_opt().ok_or_else(wrong)?;
        for ((file, matched), changed) in files.iter().zip(matched).zip(changed) {
            let Some(file) = file else { continue };
            if matched == Some(true) {
                self.matched.insert(file);
            }
            if changed == Some(true) {
                self.changed.insert(file);
            }
        }
        Ok(())
    }
}
