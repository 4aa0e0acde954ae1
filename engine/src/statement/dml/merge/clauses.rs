//! The WHEN clauses of a MERGE.

use datafusion::common::TableReference;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{
    AssignmentTarget, Expr as SqlExpr, MergeAction, MergeClause, MergeClauseKind, MergeInsertExpr,
    MergeInsertKind, MergeUpdateExpr,
};
use deltalake::protocol::MergePredicate;

use super::super::queries;
use super::super::target::TargetTable;
use super::super::update::{assignments, value_or_default};
use crate::names::did_you_mean;
use crate::{Error, ErrorKind, Result};

const CLAUSES_MAX: usize = 100;

/// Which rows a clause is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Matched,
    OnlyInSource,
    OnlyInTarget,
}

/// What a clause does with a row.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Delete,
    /// Columns, each with the number of its value's expression.
    Update(Vec<(usize, usize)>),
    Insert(Vec<(usize, usize)>),
}

/// One WHEN clause; expressions by their number.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    pub(super) rows: Rows,
    pub(super) condition: Option<usize>,
    pub(super) act: Act,
    /// The condition's text, for the log.
    text: Option<String>,
}

impl Clause {
    /// As the log tells of it.
    pub(super) fn described(&self) -> MergePredicate {
        let action_type = match &self.act {
            Act::Delete => "delete",
            Act::Update(_) => "update",
            Act::Insert(_) => "insert",
        };
        MergePredicate { action_type: action_type.to_owned(), predicate: self.text.clone() }
    }
}

/// All clauses of a statement, and the expressions in them.
pub(super) struct Clauses {
    pub(super) clauses: Vec<Clause>,
    pub(super) exprs: Vec<SqlExpr>,
    /// For each expression the column that it's the value of; `None` for conditions.
    pub(super) columns: Vec<Option<usize>>,
}

/// What `*` stands for.
struct Star<'a> {
    source: &'a str,
    columns: &'a [String],
}

impl Clauses {
    pub(super) fn of(
        target: &TargetTable,
        source: &str,
        columns: &[String],
        clauses: &[MergeClause],
    ) -> Result<Self> {
        if clauses.is_empty() {
            return Err(Error::invalid("a MERGE needs at least one WHEN clause"));
        }
        if clauses.len() > CLAUSES_MAX {
            return Err(Error::invalid(format!(
                "the MERGE has {} WHEN clauses; the limit is {CLAUSES_MAX}",
                clauses.len()
            )));
        }
        let mut all = Self { clauses: Vec::new(), exprs: Vec::new(), columns: Vec::new() };
        let star = Star { source, columns };
        for clause in clauses {
            all.add(target, &star, clause)?;
        }
        Ok(all)
    }

    fn add(&mut self, target: &TargetTable, star: &Star<'_>, clause: &MergeClause) -> Result<()> {
        let rows = match clause.clause_kind {
            MergeClauseKind::Matched => Rows::Matched,
            MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => Rows::OnlyInSource,
            MergeClauseKind::NotMatchedBySource => Rows::OnlyInTarget,
        };
        let taken = |known: &Clause| known.rows == rows && known.condition.is_none();
        if self.clauses.iter().any(taken) {
            return Err(Error::invalid(format!(
                "WHEN {} comes after one without a condition, which takes all rows",
                clause.clause_kind
            )));
        }
        let condition =
            clause.predicate.as_ref().map(|condition| self.put(condition.clone(), None));
        let act = match &clause.action {
            MergeAction::Delete { .. } => Act::Delete,
            MergeAction::Update(update) => Act::Update(self.update(target, star, rows, update)?),
            MergeAction::Insert(insert) => Act::Insert(self.insert(target, star, insert)?),
        };
        let text = clause.predicate.as_ref().map(ToString::to_string);
        self.clauses.push(Clause { rows, condition, act, text });
        Ok(())
    }

    /// Keeps an expression, and gives its number.
    fn put(&mut self, expr: SqlExpr, column: Option<usize>) -> usize {
        self.exprs.push(expr);
        self.columns.push(column);
        self.exprs.len() - 1
    }

    fn update(
        &mut self,
        target: &TargetTable,
        star: &Star<'_>,
        rows: Rows,
        update: &MergeUpdateExpr,
    ) -> Result<Vec<(usize, usize)>> {
        if update.update_predicate.is_some() || update.delete_predicate.is_some() {
            return Err(Error::unsupported("WHERE in a clause of MERGE")
                .with_hint("Write the condition before THEN: WHEN MATCHED AND condition THEN …."));
        }
        if is_star(update) {
            if rows == Rows::OnlyInTarget {
                return Err(Error::invalid("there is no source row for UPDATE SET *"));
            }
            return self.star(target, star, "UPDATE SET *");
        }
        let set = assignments(target, &update.assignments)?;
        let set = set.into_iter().map(|(column, value)| (column, self.put(value, Some(column))));
        Ok(set.collect())
    }

    /// The source's columns of the target's names.
    fn star(
        &mut self,
        target: &TargetTable,
        star: &Star<'_>,
        what: &str,
    ) -> Result<Vec<(usize, usize)>> {
        let schema = target.schema();
        let fields = schema.fields().iter().enumerate();
        fields
            .map(|(column, field)| {
                if !star.columns.contains(field.name()) {
                    let text = format!(
                        "the source has no column \"{}\", which {what} needs",
                        field.name()
                    );
                    let hint = did_you_mean(field.name(), star.columns)
                        .unwrap_or_else(|| "Say which columns: SET a = s.a, ….".to_owned());
                    return Err(Error::new(ErrorKind::NotFound, text).with_hint(hint));
                }
                let value = queries::column(star.source, field.name());
                Ok((column, self.put(value, Some(column))))
            })
            .collect()
    }

    fn insert(
        &mut self,
        target: &TargetTable,
        star: &Star<'_>,
        insert: &MergeInsertExpr,
    ) -> Result<Vec<(usize, usize)>> {
        if insert.insert_predicate.is_some() {
            return Err(Error::unsupported("WHERE in a clause of MERGE").with_hint(
                "Write the condition before THEN: WHEN NOT MATCHED AND condition THEN ….",
            ));
        }
        let values = match &insert.kind {
            MergeInsertKind::Row if insert.columns.is_empty() => {
                return self.star(target, star, "INSERT *");
            }
            MergeInsertKind::Row => return Err(Error::unsupported("INSERT (…) ROW")),
            MergeInsertKind::Values(values) => match values.rows.as_slice() {
                [row] => &row.content,
                _ => return Err(Error::invalid("INSERT in a MERGE takes one row of VALUES")),
            },
        };
        let columns = inserted_columns(target, insert)?;
        if columns.len() != values.len() {
            return Err(Error::invalid(format!(
                "INSERT names {} columns and has {} values",
                columns.len(),
                values.len()
            )));
        }
        let all = (0..target.schema().fields().len()).map(|column| {
            let given = columns.iter().position(|known| *known == column);
            let value = match given.and_then(|given| values.get(given)) {
                Some(value) => value_or_default(target, column, value)?,
                None => target.default_of(column)?,
            };
            Ok((column, self.put(value, Some(column))))
        });
        all.collect()
    }

    /// Refuses expressions over a row that the clause doesn't have.
    pub(super) fn check_sides(
        &self,
        target: &TargetTable,
        source: &str,
        exprs: &[Expr],
    ) -> Result<()> {
        for clause in &self.clauses {
            let (side, missing, other) = match clause.rows {
                Rows::Matched => continue,
                Rows::OnlyInSource => (&target.alias[..], "NOT MATCHED", "target"),
                Rows::OnlyInTarget => (source, "NOT MATCHED BY SOURCE", "source"),
            };
            let side = TableReference::bare(side);
            let values = match &clause.act {
                Act::Delete => &[][..],
                Act::Update(values) | Act::Insert(values) => values,
            };
            let numbers = clause.condition.into_iter().chain(values.iter().map(|(_, expr)| *expr));
            for expr in numbers.filter_map(|number| exprs.get(number)) {
                let wrong = expr
                    .column_refs()
                    .into_iter()
                    .find(|column| column.relation.as_ref() == Some(&side));
                if let Some(column) = wrong {
                    let text =
                        format!("WHEN {missing} has no {other} row, so there is no {column}");
                    return Err(Error::invalid(text).with_word(&column.name));
                }
            }
        }
        Ok(())
    }
}

fn inserted_columns(target: &TargetTable, insert: &MergeInsertExpr) -> Result<Vec<usize>> {
    if insert.columns.is_empty() {
        return Ok((0..target.schema().fields().len()).collect());
    }
    let mut columns = Vec::new();
    for name in &insert.columns {
        let last = name.0.last().and_then(|part| part.as_ident());
        let Some(ident) = last else {
            return Err(Error::invalid(format!("\"{name}\" is no column")));
        };
        let column = target.column(ident)?;
        if columns.contains(&column) {
            let text = format!("column \"{}\" is named twice", ident.value);
            return Err(Error::invalid(text).with_word(&ident.value));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// `SET *`, as the parser writes it.
fn is_star(update: &MergeUpdateExpr) -> bool {
    match update.assignments.as_slice() {
        [only] => match &only.target {
            AssignmentTarget::ColumnName(name) => name.to_string() == "\"*\"",
            AssignmentTarget::Tuple(_) => false,
        },
        _ => false,
    }
}
