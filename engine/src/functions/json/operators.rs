//! The operators `->`, `->>`, `#>`, `#>>`, `@>` and `<@` on JSON kept as text.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{ExprSchemable, ScalarUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::super::scalar::Scalar;

/// Plans them as calls of functions.
#[derive(Debug)]
pub(crate) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let name = match expr.op {
            BinaryOperator::Arrow => "json_get",
            BinaryOperator::LongArrow => "json_get_text",
            BinaryOperator::HashArrow => "json_get_path",
            BinaryOperator::HashLongArrow => "json_get_path_text",
            BinaryOperator::AtArrow | BinaryOperator::ArrowAt => "json_contains",
            _ => return Ok(PlannerResult::Original(expr)),
        };
        if !is_text(&expr.left.get_type(schema)?) {
            return Ok(PlannerResult::Original(expr));
        }
        let Some(function) = function(name) else { return Ok(PlannerResult::Original(expr)) };
        let arguments = match expr.op {
            BinaryOperator::ArrowAt => vec![expr.right, expr.left],
            _ => vec![expr.left, expr.right],
        };
        Ok(PlannerResult::Planned(ScalarUDF::from(function).call(arguments)))
    }
}

fn function(name: &str) -> Option<Scalar> {
    use datafusion::logical_expr::ScalarUDFImpl as _;
    super::list().into_iter().find(|function| function.name() == name)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text(value),
        other => other.is_string() || other.is_null(),
    }
}
