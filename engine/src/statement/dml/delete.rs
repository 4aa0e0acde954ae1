//! DELETE FROM, and TRUNCATE TABLE: the same without a condition.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, not};
use datafusion::sql::sqlparser::ast::{
    Delete, Expr as SqlExpr, FromTable, ObjectName, TableWithJoins, Truncate,
};
use deltalake::protocol::DeltaOperation;
use futures::TryStreamExt;

use super::changes;
use super::conflicts::{self, EVERYTHING};
use super::execution::{Execution, NewFiles};
use super::queries;
use super::selection::{Selection, is_selected};
use super::target::{Named, TargetTable, shorten_columns};
use crate::{Error, Result};

/// The statement without what it doesn't support, and its one table.
pub(super) fn table(delete: &Delete) -> Result<&TableWithJoins> {
    let unsupported = [
        (!delete.tables.is_empty(), "several tables in DELETE"),
        (delete.using.is_some(), "DELETE … USING"),
        (delete.returning.is_some() || delete.output.is_some(), "DELETE … RETURNING"),
        (!delete.order_by.is_empty() || delete.limit.is_some(), "DELETE … ORDER BY and LIMIT"),
    ];
    if let Some((_, what)) = unsupported.iter().find(|(present, _)| *present) {
        return Err(Error::unsupported(*what)
            .with_hint("Say which rows go with WHERE, which may have subqueries."));
    }
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    match tables.as_slice() {
        [table] => Ok(table),
        _ => Err(Error::unsupported("several tables in DELETE")
            .with_hint("Delete from one table at a time.")),
    }
}

/// The table of TRUNCATE.
pub(super) fn truncated(truncate: &Truncate) -> Result<&ObjectName> {
    let plain = truncate.partitions.is_none()
        && truncate.identity.is_none()
        && truncate.cascade.is_none()
        && truncate.on_cluster.is_none()
        && !truncate.if_exists;
    match truncate.table_names.as_slice() {
        [table] if plain && !table.only && !table.has_asterisk => Ok(&table.name),
        _ => Err(Error::unsupported("TRUNCATE with more than one table's name")
            .with_hint("Write TRUNCATE TABLE name, or DELETE FROM name WHERE ….")),
    }
}

/// The plan that gives the places of the rows that satisfy `filter`; all rows have none.
pub(super) async fn find(
    state: &SessionState,
    target: &TargetTable,
    named: &Named<'_>,
    filter: Option<&SqlExpr>,
) -> Result<Option<LogicalPlan>> {
    let Some(mut filter) = filter.cloned() else { return Ok(None) };
    shorten_columns(&mut filter, named);
    let places = queries::places(&target.alias);
    let query = queries::query(&target.from(), places, Some(filter))?;
    Ok(Some(queries::planned(state, query).await?))
}

/// Deletes the rows that `find` gives, or all.
pub(super) async fn run(
    run: &Execution<'_>,
    target: &TargetTable,
    find: Option<&LogicalPlan>,
) -> Result<u64> {
    let Some(find) = find else { return truncate(run, target).await };
    let condition = queries::condition(find);
    let predicate = match &condition {
        Some(condition) => conflicts::read_by(run.state, &target.files, condition).await,
        None => EVERYTHING.to_owned(),
    };
    let operation = DeltaOperation::Delete { predicate: Some(predicate) };
    if let Some(condition) = condition
        && let Some(whole) = target.whole_files(run.state, &condition)?
        && let Some(rows) = known_rows(target, &whole)
    {
        run.commit(&target.files, &whole, NewFiles::default(), operation).await?;
        return Ok(rows);
    }
    let doomed = Arc::new(Selection::of(run.rows(find).await?, run.memory()).await?);
    let files: Vec<u32> = doomed.files().collect();
    let (adds, _) = run.write(&target.files, &rest(target, &doomed)?).await?;
    let mut new = NewFiles::from(adds);
    let is_partly = files.iter().any(|file| is_partly(target, &doomed, *file));
    if is_partly && target.files.has_change_feed() {
        let deleted = run.rows(&deleted(target, &doomed)?).await?.map_err(Error::from);
        new.changes = changes::write(run, target, deleted).await?;
    }
    run.commit(&target.files, &files, new, operation).await?;
    Ok(doomed.rows())
}

fn is_partly(target: &TargetTable, doomed: &Selection, file: u32) -> bool {
    doomed.has_file(file) && target.files.rows(file) != Some(doomed.rows_of(file))
}

/// The rows that go, as change data has them.
fn deleted(target: &TargetTable, doomed: &Arc<Selection>) -> Result<LogicalPlan> {
    let rows = LogicalPlanBuilder::from(target.scan(|file| doomed.has_file(file))?)
        .filter(is_selected(doomed, &target.alias))?
        .project(target.columns())?
        .build()?;
    changes::labelled(rows, changes::DELETE)
}

/// The rows that stay, of the files that are only partly chosen.
fn rest(target: &TargetTable, doomed: &Arc<Selection>) -> Result<LogicalPlan> {
    let partly = |file| is_partly(target, doomed, file);
    let columns = target.columns();
    Ok(LogicalPlanBuilder::from(target.scan(partly)?)
        .filter(not(is_selected(doomed, &target.alias)))?
        .project(columns)?
        .build()?)
}

/// Deletes all rows without looking at them.
async fn truncate(run: &Execution<'_>, target: &TargetTable) -> Result<u64> {
    let all = target.all_files();
    let rows = match known_rows(target, &all) {
        Some(rows) => rows,
        None => count(run, target).await?,
    };
    let operation = DeltaOperation::Delete { predicate: Some(EVERYTHING.to_owned()) };
    run.commit(&target.files, &all, NewFiles::default(), operation).await?;
    Ok(rows)
}

/// The rows in files, where the log says it of each.
fn known_rows(target: &TargetTable, files: &[u32]) -> Option<u64> {
    files.iter().map(|file| target.files.rows(*file)).sum()
}

async fn count(run: &Execution<'_>, target: &TargetTable) -> Result<u64> {
    let plan = LogicalPlanBuilder::from(target.scan(|_| true)?)
        .aggregate(Vec::<Expr>::new(), vec![count_all()])?
        .build()?;
    let batches: Vec<RecordBatch> = run.rows(&plan).await?.try_collect().await?;
    let counted = batches.iter().flat_map(|batch| {
        batch.column(0).as_primitive_opt::<Int64Type>().into_iter().flatten().flatten()
    });
    Ok(counted.map(i64::cast_unsigned).sum())
}
