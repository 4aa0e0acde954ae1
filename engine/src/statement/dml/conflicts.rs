//! What a statement read, as Delta's conflict checker takes it: SQL over the table's columns.

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::sql::unparser::expr_to_sql;
use deltalake::delta_datafusion::DataFusionMixins;

use crate::Result;
use crate::scan::DeltaFiles;

/// Every row: what is said where a condition can't be put into words for the checker.
pub(super) const EVERYTHING: &str = "true";

/// A condition over the target's columns as text that the checker understands.
pub(super) async fn read_by(state: &SessionState, target: &DeltaFiles, filter: &Expr) -> String {
    text_of(state, target, filter).await.ok().flatten().unwrap_or_else(|| EVERYTHING.to_owned())
}

async fn text_of(
    state: &SessionState,
    target: &DeltaFiles,
    filter: &Expr,
) -> Result<Option<String>> {
    if !is_plain(filter) || !is_clear(target, filter) {
        return Ok(None);
    }
    let text = expr_to_sql(filter)?.to_string();
    let snapshot = target.delta.table().await?.snapshot()?.snapshot();
    let parsed = snapshot.log_data().parse_predicate_expression(&text, state);
    Ok(parsed.is_ok().then_some(text))
}

/// Whether its columns are compared the same way whatever the session's settings are.
fn is_clear(target: &DeltaFiles, filter: &Expr) -> bool {
    let is_clear = |column: &Column| {
        let field = target.delta.schema.field_with_name(&column.name);
        let data_type = field.map(|field| field.data_type());
        data_type.is_ok_and(|of| {
            of.is_integer() || matches!(of, DataType::Utf8 | DataType::Boolean | DataType::Date32)
        })
    };
    filter.column_refs().into_iter().all(is_clear)
}

/// Whether it consists of columns, constants and comparisons alone.
fn is_plain(filter: &Expr) -> bool {
    let mut plain = true;
    let walked = filter.apply(|expr| {
        plain &= matches!(
            expr,
            Expr::Column(_)
                | Expr::Literal(..)
                | Expr::BinaryExpr(_)
                | Expr::Not(_)
                | Expr::IsNull(_)
                | Expr::IsNotNull(_)
                | Expr::IsTrue(_)
                | Expr::IsFalse(_)
                | Expr::Between(_)
                | Expr::InList(_)
                | Expr::Negative(_)
        );
        Ok(if plain { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    walked.is_ok() && plain
}
