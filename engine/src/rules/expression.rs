//! Expressions that a table keeps as SQL text.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema};
use chrono::Utc;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, Volatility};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, ExprWithAlias, Ident, visit_expressions, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;

use crate::{Error, Result};

/// Levels within an expression.
const NESTING_MAX: usize = 128;

/// What an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Check,
    Generated,
    Default,
}

impl Use {
    fn word(self) -> &'static str {
        match self {
            Self::Check => "a CHECK constraint",
            Self::Generated => "a generated column",
            Self::Default => "a DEFAULT",
        }
    }
}

/// Whether `sql` can be kept for `purpose` in a table of these columns; `target` is the type that
/// its values are to have.
pub(crate) fn check_expression(
    state: &SessionState,
    purpose: Use,
    sql: &str,
    schema: &DFSchema,
    target: &DataType,
) -> Result<()> {
    match purpose {
        Use::Check => condition(state, sql, schema).map(|_| ()),
        Use::Generated => generation(state, sql, schema, target).map(|_| ()),
        // A value that doesn't fit is found now rather than by an INSERT.
        Use::Default => evaluate(state, &default(state, sql, target)?, 1).map(|_| ()),
    }
}

/// The expression with the columns' names as the table spells them.
pub(crate) fn spelled(sql: &str, schema: &Schema) -> Result<String> {
    Ok(parsed(sql, &DFSchema::try_from(schema.clone())?)?.to_string())
}

/// The syntax tree of a default.
pub(crate) fn parsed_default(sql: &str) -> Result<SqlExpr> {
    parsed(sql, &DFSchema::empty())
}

/// The names in an expression that may be columns'; none if it isn't understood.
pub(crate) fn columns_in(sql: &str) -> Vec<String> {
    let Ok(expression) = parsed(sql, &DFSchema::empty()) else { return Vec::new() };
    let mut names = Vec::new();
    let _ = visit_expressions(&expression, |node| {
        match node {
            SqlExpr::Identifier(ident) => names.push(ident.value.clone()),
            SqlExpr::CompoundIdentifier(parts) => {
                names.extend(parts.first().map(|part| part.value.clone()));
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

/// A condition on rows.
pub(super) fn condition(
    state: &SessionState,
    sql: &str,
    schema: &DFSchema,
) -> Result<Arc<dyn PhysicalExpr>> {
    let expression = logical(state, Use::Check, sql, schema)?;
    let data_type = expression.get_type(schema)?;
    if !matches!(data_type, DataType::Boolean | DataType::Null) {
        return Err(Error::invalid(format!("\"{sql}\" is neither true nor false")));
    }
    Ok(state.create_physical_expr(expression, schema)?)
}

/// What a generated column is computed by.
pub(super) fn generation(
    state: &SessionState,
    sql: &str,
    schema: &DFSchema,
    target: &DataType,
) -> Result<Arc<dyn PhysicalExpr>> {
    let expression = logical(state, Use::Generated, sql, schema)?.cast_to(target, schema)?;
    Ok(state.create_physical_expr(expression, schema)?)
}

/// What a column gets that an INSERT leaves out.
pub(super) fn default(state: &SessionState, sql: &str, target: &DataType) -> Result<Expr> {
    let schema = DFSchema::empty();
    Ok(logical(state, Use::Default, sql, &schema)?.cast_to(target, &schema)?)
}

/// The values of an expression without columns.
pub(super) fn evaluate(state: &SessionState, expression: &Expr, rows: usize) -> Result<ArrayRef> {
    let schema = Arc::new(DFSchema::empty());
    let start = state.execution_props().query_execution_start_time;
    let context = SimplifyContext::builder()
        .with_schema(schema.clone())
        .with_config_options(state.config_options().clone())
        .with_query_execution_start_time(Some(start.unwrap_or_else(Utc::now)))
        .build();
    let simple = ExprSimplifier::new(context).simplify(expression.clone())?;
    let physical = state.create_physical_expr(simple, &schema)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?;
    Ok(physical.evaluate(&batch)?.into_array(rows)?)
}

fn logical(state: &SessionState, purpose: Use, sql: &str, schema: &DFSchema) -> Result<Expr> {
    let parsed = parsed(sql, schema)?;
    refuse_queries(&parsed, purpose)?;
    let parsed = ExprWithAlias { expr: parsed, alias: None };
    let expression = state.create_logical_expr_from_sql_expr(parsed, schema)?;
    refuse_aggregates(&expression, purpose)?;
    Ok(expression)
}

/// The syntax tree, with the columns' names as the table spells them: other engines find them in
/// any case.
fn parsed(sql: &str, schema: &DFSchema) -> Result<SqlExpr> {
    let mut parser = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(NESTING_MAX)
        .build()?;
    let mut expression = parser.parse_into_expr()?.expr;
    let _ = visit_expressions_mut(&mut expression, |node| {
        if let SqlExpr::Identifier(ident) = node {
            spell(ident, schema);
        }
        if let SqlExpr::CompoundIdentifier(parts) = node
            && let Some(first) = parts.first_mut()
        {
            spell(first, schema);
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(expression)
}

fn spell(ident: &mut Ident, schema: &DFSchema) {
    let fields = schema.fields();
    let exact = fields.iter().find(|field| *field.name() == ident.value);
    let found =
        exact.or_else(|| fields.iter().find(|f| f.name().eq_ignore_ascii_case(&ident.value)));
    if let Some(field) = found {
        *ident = Ident::with_quote('"', field.name());
    }
}

fn refuse_queries(expression: &SqlExpr, purpose: Use) -> Result<()> {
    let found = visit_expressions(expression, |node| match node {
        SqlExpr::Subquery(_) | SqlExpr::Exists { .. } | SqlExpr::InSubquery { .. } => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Break(()) => Err(Error::unsupported(format!("a query in {}", purpose.word()))),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn refuse_aggregates(expression: &Expr, purpose: Use) -> Result<()> {
    let mut fault = None;
    expression.apply(|node| {
        fault = match node {
            Expr::AggregateFunction(_) => Some("an aggregate".to_owned()),
            Expr::WindowFunction(_) => Some("a window function".to_owned()),
            Expr::Placeholder(_) => Some("a parameter".to_owned()),
            Expr::ScalarFunction(function) => {
                let volatility = function.func.signature().volatility;
                let is_fixed = purpose == Use::Default || volatility == Volatility::Immutable;
                let name = function.func.name();
                (!is_fixed).then(|| format!("{name}(), which isn't always the same"))
            }
            _ => None,
        };
        Ok(match fault {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    })?;
    match fault {
        Some(fault) => Err(Error::unsupported(format!("{fault}, in {}", purpose.word()))),
        None => Ok(()),
    }
}
