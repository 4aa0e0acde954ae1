//! INSERT OVERWRITE: new rows in the place of all, or of the partitions that are named.

use std::collections::BTreeMap;

use datafusion::common::ScalarValue;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr as SqlExpr, Ident, Insert, ObjectName, Statement as Sql, TableObject,
};
use deltalake::kernel::Add;
use deltalake::protocol::{DeltaOperation, SaveMode};

use super::assign::assigned;
use super::conflicts::{self, EVERYTHING};
use super::execution::Execution;
use super::queries;
use super::target::TargetTable;
use crate::scan::partition_value;
use crate::{Error, Result};

/// A planned INSERT OVERWRITE.
pub(super) struct Overwrite {
    /// The new rows, as the table has them.
    rows: LogicalPlan,
    /// Partition keys with a value: their positions, and a plan whose expressions are the values.
    fixed: Option<(Vec<usize>, LogicalPlan)>,
    /// Partition keys without one, by position: what the new rows have there is replaced.
    open: Vec<usize>,
}

impl Overwrite {
    pub(super) fn plans(&mut self) -> Vec<&mut LogicalPlan> {
        let fixed = self.fixed.iter_mut().map(|(_, values)| values);
        [&mut self.rows].into_iter().chain(fixed).collect()
    }

    fn fixed_values(&self) -> Result<Vec<(usize, Expr)>> {
        let Some((keys, values)) = &self.fixed else { return Ok(Vec::new()) };
        let (values, _) = queries::taken_apart(values)?;
        Ok(keys.iter().copied().zip(values).collect())
    }
}

/// The table that is overwritten.
pub(super) fn table(insert: &Insert) -> Result<&ObjectName> {
    match &insert.table {
        TableObject::TableName(name) => Ok(name),
        other => Err(Error::invalid(format!("INSERT OVERWRITE takes a table's name, not {other}"))),
    }
}

pub(super) async fn plan(
    state: &SessionState,
    target: &TargetTable,
    insert: &Insert,
) -> Result<Overwrite> {
    let keys = partition(target, insert.partitioned.as_deref().unwrap_or_default())?;
    let (mut fixed, mut open) = (Vec::new(), Vec::new());
    for (key, value) in keys {
        match value {
            Some(value) => fixed.push((key, value)),
            None => open.push(key),
        }
    }
    let rows = rows(state, target, insert, &fixed).await?;
    let fixed = match fixed.is_empty() {
        true => None,
        false => Some(values(state, target, fixed).await?),
    };
    Ok(Overwrite { rows, fixed, open })
}

/// The keys of `PARTITION (key = value, key, …)`.
fn partition(target: &TargetTable, exprs: &[SqlExpr]) -> Result<BTreeMap<usize, Option<SqlExpr>>> {
    let mut keys = BTreeMap::new();
    for expr in exprs {
        let (name, value) = match expr {
            SqlExpr::Identifier(name) => (name, None),
            SqlExpr::BinaryOp { left, op: BinaryOperator::Eq, right } => match left.as_ref() {
                SqlExpr::Identifier(name) => (name, Some(right.as_ref().clone())),
                _ => return Err(not_a_key(expr)),
            },
            _ => return Err(not_a_key(expr)),
        };
        let key = target.column(name)?;
        let column = target.schema().field(key).name().clone();
        if !target.files.delta.partition_columns.contains(&column) {
            return Err(Error::invalid(format!(
                "\"{column}\" is no partition key of \"{}\"",
                target.name
            ))
            .with_word(&name.value)
            .with_hint(partitioned_by(target)));
        }
        if keys.insert(key, value).is_some() {
            return Err(Error::invalid(format!("partition key \"{column}\" is named twice")));
        }
    }
    Ok(keys)
}

fn not_a_key(expr: &SqlExpr) -> Error {
    Error::invalid(format!("PARTITION takes key = value or key, not {expr}"))
}

fn partitioned_by(target: &TargetTable) -> String {
    match target.files.delta.partition_columns.as_slice() {
        [] => "The table has no partitions.".to_owned(),
        keys => format!("Its partition keys are {}.", keys.join(", ")),
    }
}

/// The plan of the new rows; keys with a value take no column of the query.
async fn rows(
    state: &SessionState,
    target: &TargetTable,
    insert: &Insert,
    fixed: &[(usize, SqlExpr)],
) -> Result<LogicalPlan> {
    let mut plain = insert.clone();
    plain.overwrite = false;
    plain.partitioned = None;
    let schema = target.schema();
    let is_fixed = |column: usize| fixed.iter().any(|(key, _)| *key == column);
    if !fixed.is_empty() && plain.columns.is_empty() {
        let rest = schema.fields().iter().enumerate().filter(|(column, _)| !is_fixed(*column));
        let name = |name: &String| ObjectName::from(Ident::with_quote('"', name));
        plain.columns = rest.map(|(_, field)| name(field.name())).collect();
    }
    for name in &plain.columns {
        if let Some(ident) = name.0.last().and_then(|part| part.as_ident())
            && is_fixed(target.column(ident)?)
        {
            let text = format!("column \"{}\" has its value in PARTITION", ident.value);
            return Err(Error::invalid(text).with_word(&ident.value));
        }
    }
    let statement = Statement::Statement(Box::new(Sql::Insert(plain)));
    match state.statement_to_plan(statement).await? {
        LogicalPlan::Dml(dml) => Ok(dml.input.as_ref().clone()),
        _ => Err(Error::internal("an INSERT was planned as something else")),
    }
}

/// The keys, and a plan that has their values.
async fn values(
    state: &SessionState,
    target: &TargetTable,
    fixed: Vec<(usize, SqlExpr)>,
) -> Result<(Vec<usize>, LogicalPlan)> {
    let (keys, values): (Vec<usize>, Vec<SqlExpr>) = fixed.into_iter().unzip();
    let query = queries::query("(VALUES (1)) AS one", queries::numbered(values), None)?;
    let plan = queries::planned(state, query).await?;
    let (values, one) = queries::taken_apart(&plan)?;
    if values.iter().any(|value| value.any_column_refs()) {
        return Err(Error::invalid("the value of a partition key is a constant"));
    }
    let schema = target.schema();
    let typed = keys.iter().zip(values).enumerate().map(|(number, (key, value))| {
        assigned(value, schema.field(*key)).alias(format!("__boathouse_{number}"))
    });
    let typed: Vec<Expr> = typed.collect();
    let plan = LogicalPlanBuilder::from(one.clone()).project(typed)?.build()?;
    Ok((keys, plan))
}

/// Writes the new rows, and takes out what they replace.
pub(super) async fn run(
    run: &Execution<'_>,
    target: &TargetTable,
    overwrite: &Overwrite,
) -> Result<u64> {
    let fixed = overwrite.fixed_values()?;
    let (adds, rows) = run.write(&target.files, &with_keys(target, overwrite, &fixed)?).await?;
    let (removed, read) = replaced(run, target, overwrite, &fixed, &adds).await?;
    let keys = target.files.delta.partition_columns.clone();
    let operation = DeltaOperation::Write {
        mode: SaveMode::Overwrite,
        partition_by: (!keys.is_empty()).then_some(keys),
        predicate: Some(read),
    };
    run.commit(&target.files, &removed, adds.into(), operation).await?;
    Ok(rows)
}

/// The new rows with the values of the fixed keys.
fn with_keys(
    target: &TargetTable,
    overwrite: &Overwrite,
    fixed: &[(usize, Expr)],
) -> Result<LogicalPlan> {
    let schema = target.schema();
    let columns = overwrite.rows.schema().columns();
    let columns = columns.into_iter().enumerate().map(|(position, column)| {
        match fixed.iter().find(|(key, _)| *key == position) {
            Some((_, value)) => value.clone().alias(schema.field(position).name()),
            None => Expr::Column(column),
        }
    });
    let columns: Vec<Expr> = columns.collect();
    Ok(LogicalPlanBuilder::from(overwrite.rows.clone()).project(columns)?.build()?)
}

/// The files that go, and what that says about the rows that the statement is about.
async fn replaced(
    run: &Execution<'_>,
    target: &TargetTable,
    overwrite: &Overwrite,
    fixed: &[(usize, Expr)],
    adds: &[Add],
) -> Result<(Vec<u32>, String)> {
    if !overwrite.open.is_empty() {
        let keys: Vec<usize> =
            fixed.iter().map(|(key, _)| *key).chain(overwrite.open.iter().copied()).collect();
        return Ok((like(target, &keys, adds)?, EVERYTHING.to_owned()));
    }
    let schema = target.schema();
    let conditions = fixed.iter().map(|(key, value)| {
        let column = col(datafusion::common::Column::from_name(schema.field(*key).name()));
        is_same(column, value)
    });
    let Some(condition) = conjunction(conditions) else {
        return Ok((target.all_files(), EVERYTHING.to_owned()));
    };
    let files = target.whole_files(run.state, &condition)?;
    let files =
        files.ok_or_else(|| Error::invalid("the value of a partition key is a constant"))?;
    Ok((files, conflicts::read_by(run.state, &target.files, &condition).await))
}

/// Whether a key has the value; NULL is the same as NULL.
fn is_same(column: Expr, value: &Expr) -> Expr {
    use datafusion::logical_expr::{BinaryExpr, Operator};
    Expr::BinaryExpr(BinaryExpr {
        left: Box::new(column),
        op: Operator::IsNotDistinctFrom,
        right: Box::new(value.clone()),
    })
}

/// The files with the same values of `keys` as one of the new files.
fn like(target: &TargetTable, keys: &[usize], adds: &[Add]) -> Result<Vec<u32>> {
    let schema = target.schema();
    let delta = &target.files.delta;
    let mut wanted: Vec<Vec<(usize, ScalarValue)>> = Vec::new();
    for add in adds {
        let mut values = Vec::new();
        for key in keys {
            let field = schema.field(*key);
            let text = add.partition_values.get(field.name()).cloned().flatten();
            let text = text.filter(|text| !text.is_empty());
            let value =
                partition_value(text.as_deref(), field.name(), field.data_type(), &add.path)?;
            let place = delta.partition_columns.iter().position(|name| name == field.name());
            values.push((place.unwrap_or_default(), value));
        }
        if !wanted.contains(&values) {
            wanted.push(values);
        }
    }
    let is_like = |file: &crate::scan::ScanFile| {
        wanted.iter().any(|values| {
            values.iter().all(|(place, value)| file.partition_values.get(*place) == Some(value))
        })
    };
    let files = (0..).zip(target.files.files.iter());
    Ok(files.filter(|(_, file)| is_like(file)).map(|(number, _)| number).collect())
}
