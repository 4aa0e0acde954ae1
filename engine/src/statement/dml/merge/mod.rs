//! MERGE INTO … USING … ON …: what becomes of the target's rows that a source has, of those that
//! it lacks, and of the rows that only the source has.

mod bounds;
mod clauses;
mod joins;
mod outcome;
mod run;

use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, JoinConstraint, JoinOperator, Merge as MergeStatement, TableAlias,
    TableFactor,
};

use self::clauses::{Clause, Clauses};
use super::assign::assigned;
use super::queries;
use super::target::{Named, TargetTable, shorten_columns};
use crate::parse::{fold, name_parts};
use crate::{Error, Result};

pub(super) use run::run;

/// TRUE in each row of the source, so that a join's rows tell whether they have one.
const SOURCE: &str = "__boathouse_source";

/// A planned MERGE.
pub(super) struct Merge {
    clauses: Vec<Clause>,
    /// What the source is called.
    source: String,
    /// The expressions of the clauses over the join of target and source, as they count on in
    /// `clauses`.
    pub(super) joined: LogicalPlan,
    /// The statement's condition, for the log.
    on: String,
}

pub(super) async fn plan(
    state: &SessionState,
    target: &TargetTable,
    named: &Named<'_>,
    merge: &MergeStatement,
) -> Result<Merge> {
    if merge.output.is_some() {
        return Err(
            Error::unsupported("MERGE … RETURNING").with_hint("Query the table after the MERGE.")
        );
    }
    let source = Source::of(&merge.source)?;
    if source.alias == target.alias {
        return Err(Error::invalid(format!(
            "target and source of the MERGE are both called \"{}\"",
            source.alias
        ))
        .with_hint("Give one of them an alias: MERGE INTO t USING t AS s ON …."));
    }
    let columns = source.columns(state).await?;
    let mut clauses = Clauses::of(target, &source.alias, &columns, &merge.clauses)?;
    let mut on = merge.on.as_ref().clone();
    for expr in clauses.exprs.iter_mut().chain([&mut on]) {
        shorten_columns(expr, named);
        if let Some(named) = source.named() {
            shorten_columns(expr, &named);
        }
    }
    let text = on.to_string();
    let joined = source.joined(state, target, on, clauses.exprs.clone()).await?;
    let joined = cast(target, &clauses, joined)?;
    clauses.check_sides(target, &source.alias, &queries::taken_apart(&joined)?.0)?;
    Ok(Merge { clauses: clauses.clauses, source: source.alias, joined, on: text })
}

/// The plan with each value cast to its column.
fn cast(target: &TargetTable, clauses: &Clauses, joined: LogicalPlan) -> Result<LogicalPlan> {
    let (exprs, rows) = queries::taken_apart(&joined)?;
    let schema = target.schema();
    let exprs = exprs.into_iter().zip(&clauses.columns).enumerate();
    let exprs = exprs.map(|(number, (expr, column))| {
        let expr = match column {
            Some(column) => assigned(expr, schema.field(*column)),
            None => expr,
        };
        expr.alias(format!("__boathouse_{number}"))
    });
    let exprs: Vec<Expr> = exprs.collect();
    Ok(LogicalPlanBuilder::from(rows.clone()).project(exprs)?.build()?)
}

/// What stands after USING.
struct Source<'a> {
    factor: &'a TableFactor,
    alias: String,
}

impl<'a> Source<'a> {
    fn of(factor: &'a TableFactor) -> Result<Self> {
        let alias = match factor {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. } => fold(&alias.name),
            TableFactor::Table { name, .. } => name_parts(name).pop().unwrap_or_default(),
            TableFactor::Derived { .. } => "__boathouse_using".to_owned(),
            other => {
                return Err(Error::invalid(format!(
                    "the source of a MERGE is a table or a subquery, not {other}"
                )));
            }
        };
        Ok(Self { factor, alias })
    }

    /// The table as expressions may name it in full.
    fn named(&self) -> Option<Named<'a>> {
        match self.factor {
            TableFactor::Table { name, alias, .. } => Some(Named { name, alias: alias.as_ref() }),
            _ => None,
        }
    }

    /// The names of its columns.
    async fn columns(&self, state: &SessionState) -> Result<Vec<String>> {
        let mut query = queries::template("x")?;
        let select = queries::select_of(&mut query)?;
        select.projection = queries::star()?;
        queries::replace_from(select, self.factor.clone())?;
        let plan = queries::planned(state, query).await?;
        Ok(plan.schema().fields().iter().map(|field| field.name().clone()).collect())
    }

    /// `SELECT exprs FROM target FULL JOIN source ON on`, each row of the source with [`SOURCE`].
    async fn joined(
        &self,
        state: &SessionState,
        target: &TargetTable,
        on: SqlExpr,
        exprs: Vec<SqlExpr>,
    ) -> Result<LogicalPlan> {
        let source = format!("(SELECT *, TRUE AS \"{SOURCE}\" FROM x) AS s");
        let mut query =
            queries::template(&format!("{} FULL JOIN {source} ON true", target.from()))?;
        let select = queries::select_of(&mut query)?;
        select.projection = queries::numbered(exprs);
        let join = select.from.first_mut().and_then(|from| from.joins.first_mut());
        let Some(join) = join else { return Err(Error::internal("a join has no second table")) };
        if let JoinOperator::FullOuter(JoinConstraint::On(condition)) = &mut join.join_operator {
            *condition = on;
        }
        if let TableFactor::Derived { subquery, alias, .. } = &mut join.relation {
            queries::replace_from(queries::select_of(subquery)?, self.factor.clone())?;
            *alias = Some(TableAlias {
                explicit: true,
                name: Ident::with_quote('"', &self.alias),
                columns: Vec::new(),
                at: None,
            });
        }
        queries::planned(state, query).await
    }
}
