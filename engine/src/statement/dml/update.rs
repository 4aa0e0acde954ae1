//! UPDATE … SET.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, when};
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Expr as SqlExpr, Ident, Update, Value,
};
use deltalake::protocol::DeltaOperation;
use futures::TryStreamExt;

use super::assign::assigned;
use super::changes;
use super::conflicts::{self, EVERYTHING};
use super::execution::{Execution, NewFiles};
use super::queries;
use super::selection::{Selection, is_selected};
use super::target::{Named, TargetTable, shorten_columns};
use crate::{Error, Result};

/// The columns that are set, and the plan whose expressions are their values.
pub(super) struct Assignments {
    pub(super) columns: Vec<usize>,
    pub(super) values: LogicalPlan,
}

/// Refuses what the statement doesn't support.
pub(super) fn check(update: &Update) -> Result<()> {
    let unsupported = [
        (update.from.is_some(), "UPDATE … FROM"),
        (update.returning.is_some() || update.output.is_some(), "UPDATE … RETURNING"),
        (!update.order_by.is_empty() || update.limit.is_some(), "UPDATE … ORDER BY and LIMIT"),
        (update.or.is_some(), "UPDATE OR"),
    ];
    match unsupported.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(Error::unsupported(*what)
            .with_hint("Use MERGE INTO … USING … WHEN MATCHED THEN UPDATE SET ….")),
        None => Ok(()),
    }
}

pub(super) async fn plan(
    state: &SessionState,
    target: &TargetTable,
    named: &Named<'_>,
    update: &Update,
) -> Result<Assignments> {
    let set = assignments(target, &update.assignments)?;
    let columns: Vec<usize> = set.keys().copied().collect();
    let values = set.into_values().map(|mut value| {
        shorten_columns(&mut value, named);
        value
    });
    let query = queries::query(&target.from(), queries::numbered(values), None)?;
    let values = cast(target, &columns, queries::planned(state, query).await?)?;
    Ok(Assignments { columns, values })
}

/// The plan with each expression cast to its column.
fn cast(target: &TargetTable, columns: &[usize], values: LogicalPlan) -> Result<LogicalPlan> {
    let (exprs, rows) = queries::taken_apart(&values)?;
    let schema = target.schema();
    let exprs = columns.iter().zip(exprs).map(|(column, expr)| {
        let field = schema.field(*column);
        assigned(expr, field).alias(field.name())
    });
    let exprs: Vec<Expr> = exprs.collect();
    Ok(LogicalPlanBuilder::from(rows.clone()).project(exprs)?.build()?)
}

/// Sets the columns in the rows that `find` gives, or in all.
pub(super) async fn run(
    run: &Execution<'_>,
    target: &TargetTable,
    find: Option<&LogicalPlan>,
    set: &Assignments,
) -> Result<u64> {
    let chosen = match find {
        Some(find) => Some(Arc::new(Selection::of(run.rows(find).await?, run.memory()).await?)),
        None => None,
    };
    let update = Updated { target, set, chosen: chosen.as_ref() };
    let (adds, written) = run.write(&target.files, &update.files()?).await?;
    let mut new = NewFiles::from(adds);
    if written > 0 && target.files.has_change_feed() {
        let rows = run.rows(&update.changes()?).await?.map_err(Error::from);
        new.changes = changes::write(run, target, rows).await?;
    }
    let read = match find.and_then(queries::condition) {
        Some(condition) => conflicts::read_by(run.state, &target.files, &condition).await,
        None => EVERYTHING.to_owned(),
    };
    let (files, rows) = match &chosen {
        Some(chosen) => (chosen.files().collect(), chosen.rows()),
        None => (target.all_files(), written),
    };
    let operation = DeltaOperation::Update { predicate: Some(read) };
    run.commit(&target.files, &files, new, operation).await?;
    Ok(rows)
}

/// The rows of one run; none chosen means all.
struct Updated<'a> {
    target: &'a TargetTable,
    set: &'a Assignments,
    chosen: Option<&'a Arc<Selection>>,
}

impl Updated<'_> {
    /// All rows of the files that have chosen ones, with new values in these.
    fn files(&self) -> Result<LogicalPlan> {
        let columns = self.columns(|new, old| match self.chosen {
            Some(chosen) => Ok(when(is_selected(chosen, &self.target.alias), new).otherwise(old)?),
            None => Ok(new),
        })?;
        Ok(self.scan()?.project(columns)?.build()?)
    }

    /// The chosen rows as they were and as they are.
    fn changes(&self) -> Result<LogicalPlan> {
        let rows = || match self.chosen {
            Some(chosen) => {
                Ok::<_, Error>(self.scan()?.filter(is_selected(chosen, &self.target.alias))?)
            }
            None => self.scan(),
        };
        let before = rows()?.project(self.target.columns())?.build()?;
        let after = rows()?.project(self.columns(|new, _| Ok(new))?)?.build()?;
        let after = changes::labelled(after, changes::AFTER)?;
        let before = LogicalPlanBuilder::from(changes::labelled(before, changes::BEFORE)?);
        Ok(before.union(after)?.build()?)
    }

    fn scan(&self) -> Result<LogicalPlanBuilder> {
        let wanted = |file| self.chosen.is_none_or(|chosen| chosen.has_file(file));
        Ok(LogicalPlanBuilder::from(self.target.scan(wanted)?))
    }

    /// The target's columns, where they are set as `value` makes them of their new and old value.
    fn columns(&self, value: impl Fn(Expr, Expr) -> Result<Expr>) -> Result<Vec<Expr>> {
        let (values, _) = queries::taken_apart(&self.set.values)?;
        let schema = self.target.schema();
        let mut columns = self.target.columns();
        for (position, new) in self.set.columns.iter().zip(values) {
            if let Some(column) = columns.get_mut(*position) {
                let name = schema.field(*position).name();
                *column = value(new, column.clone())?.alias(name);
            }
        }
        Ok(columns)
    }
}

/// The values by the columns' positions.
pub(super) fn assignments(
    target: &TargetTable,
    set: &[Assignment],
) -> Result<BTreeMap<usize, SqlExpr>> {
    let mut columns = BTreeMap::new();
    for assignment in set {
        let name = column_name(target, &assignment.target)?;
        let position = target.column(name)?;
        let value = value_or_default(target, position, &assignment.value)?;
        if columns.insert(position, value).is_some() {
            let text = format!("column \"{}\" is set twice", name.value);
            return Err(Error::invalid(text).with_word(&name.value));
        }
    }
    for position in target.generated()? {
        columns.entry(position).or_insert_with(null);
    }
    Ok(columns)
}

/// NULL, which stands for no value in a column that is computed.
pub(super) fn null() -> SqlExpr {
    SqlExpr::Value(Value::Null.into())
}

/// The value, or what the column gets where it is `DEFAULT`.
pub(super) fn value_or_default(
    target: &TargetTable,
    position: usize,
    value: &SqlExpr,
) -> Result<SqlExpr> {
    match value {
        SqlExpr::Identifier(name)
            if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default") =>
        {
            target.default_of(position)
        }
        value => Ok(value.clone()),
    }
}

/// The column's name; the table's name or alias may stand before it.
fn column_name<'a>(target: &TargetTable, of: &'a AssignmentTarget) -> Result<&'a Ident> {
    let AssignmentTarget::ColumnName(name) = of else {
        return Err(Error::unsupported("setting several columns at once")
            .with_hint("Set each: SET a = …, b = …."));
    };
    let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
    match parts.as_slice() {
        [column] => Ok(column),
        [.., table, column] if crate::parse::fold(table) == target.alias => Ok(column),
        _ => Err(Error::unsupported(format!("setting a part of a column: {name}"))
            .with_hint("Set the whole column: SET s = named_struct('field', value, …).")),
    }
}
