//! One run of a MERGE: a join finds the files that have rows to change, another makes the new
//! rows of these and those that the source adds.

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
use futures::TryStreamExt;

use super::super::execution::Execution;
use super::super::queries;
use super::super::target::TargetTable;
use super::clauses::{Act, Clause, Rows};
use super::joins;
use super::outcome::{ACTION, Outcome};
use super::{Merge, SOURCE};
use crate::scan::{FILE, ROW};
use crate::{Error, Result};

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
    let parts = Parts { merge, target, exprs, join };
    let (adds, rows, changed) = match parts.only_inserts() {
        true => {
            let (adds, rows) = parts.insert(run).await?;
            (adds, rows, BTreeSet::new())
        }
        false => parts.merge(run).await?,
    };
    let changed: Vec<u32> = changed.into_iter().collect();
    run.commit(&target.files, &changed, adds, parts.operation()).await?;
    Ok(rows)
}

impl Parts<'_> {
    fn has(&self, rows: Rows) -> bool {
        self.merge.clauses.iter().any(|clause| clause.rows == rows)
    }

    fn only_inserts(&self) -> bool {
        !self.has(Rows::Matched) && !self.has(Rows::OnlyInTarget)
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

    /// The join of the wanted files with the source.
    fn joined(&self, kind: JoinType, wanted: impl Fn(u32) -> bool) -> Result<LogicalPlanBuilder> {
        let target = LogicalPlanBuilder::from(self.target.scan(wanted)?);
        let source = self.join.right.as_ref().clone();
        Ok(target.join_on(source, kind, self.join.filter.clone())?)
    }

    async fn rows(
        &self,
        run: &Execution<'_>,
        plan: &LogicalPlan,
        wanted: impl Fn(u32) -> bool,
    ) -> Result<SendableRecordBatchStream> {
        let files = self.target.all_files().into_iter().filter(|file| wanted(*file));
        let rows: Option<u64> = files.map(|file| self.target.files.rows(file)).sum();
        let schema = self.target.schema();
        let state = joins::state_for(run, (rows, &schema), &self.join.right).await?;
        run.rows_with(&state, plan).await
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
        let kind = if self.has(Rows::OnlyInTarget) { JoinType::Left } else { JoinType::Inner };
        let file = self.target.column_expr(FILE);
        let marks = vec![
            bool_or(self.is_in_source()).alias("matched"),
            bool_or(self.action()?.gt(lit(0_u8))).alias("changed"),
        ];
        let plan = self.joined(kind, |_| true)?.aggregate(vec![file], marks)?.build()?;
        let mut found = self.rows(run, &plan, |_| true).await?;
        let mut files = Files::default();
        while let Some(batch) = found.try_next().await? {
            files.add(&batch)?;
        }
        Ok(files)
    }

    /// The new files, the number of changed rows, and the files that these replace.
    async fn merge(&self, run: &Execution<'_>) -> Result<(Vec<Add>, u64, BTreeSet<u32>)> {
        let files = self.files(run).await?;
        let inserts = self.has(Rows::OnlyInSource);
        let kind = if inserts { JoinType::Full } else { JoinType::Left };
        let wanted =
            |file: u32| files.changed.contains(&file) || inserts && files.matched.contains(&file);
        if !inserts && files.changed.is_empty() {
            return Ok((Vec::new(), 0, BTreeSet::new()));
        }
        let plan = self.changed_rows(self.joined(kind, wanted)?)?;
        let name = &self.target.name;
        let mut outcome = Outcome::new(&self.merge.clauses, name, &files.changed, run.memory());
        let rows = self.rows(run, &plan, wanted).await?.map_err(Error::from);
        let rows = rows.and_then(|batch| std::future::ready(outcome.written(&batch)));
        let (adds, _) = run.write_rows(&self.target.files, rows).await?;
        let rows = outcome.rows;
        Ok((adds, rows, files.changed))
    }

    /// The rows of the join with what they become.
    fn changed_rows(&self, joined: LogicalPlanBuilder) -> Result<LogicalPlan> {
        let all = joined.schema().columns().into_iter().map(Expr::Column);
        let with_action: Vec<Expr> = all.chain([self.action()?.alias(ACTION)]).collect();
        let mut columns = self.columns(|field| Ok(self.target.column_expr(field.name())))?;
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
        let joined = self.joined(JoinType::RightAnti, |_| true)?;
        let action = self.first_clause(|_| lit(true))?.alias(ACTION);
        let all = joined.schema().columns().into_iter().map(Expr::Column);
        let with_action: Vec<Expr> = all.chain([action]).collect();
        let columns = self.columns(|field| Ok(lit(ScalarValue::try_from(field.data_type())?)))?;
        let plan =
            joined.project(with_action)?.filter(not(is_action(0)))?.project(columns)?.build()?;
        let rows = self.rows(run, &plan, |_| true).await?.map_err(Error::from);
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
