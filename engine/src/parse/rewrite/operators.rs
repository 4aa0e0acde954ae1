//! Operators that DataFusion takes for something else, or knows in one form only.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, ValueWithSpan};

use super::build::{call, take};
use crate::Result;

pub(super) fn rewrite(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::SimilarTo { negated, expr: value, pattern, escape_char } => {
            let mut arguments = vec![take(pattern)];
            arguments.extend(escape_char.take().map(Expr::Value));
            let op = match negated {
                true => BinaryOperator::PGRegexNotMatch,
                false => BinaryOperator::PGRegexMatch,
            };
            let (left, right) = (take(value), call("similar_to_escape", arguments));
            *expr = Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) };
            Ok(())
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            if let Some(escape) = escape_char.take_if(|escape| !is_backslash(escape)) {
                **pattern = call("like_escape", vec![take(pattern), Expr::Value(escape)]);
            }
            Ok(())
        }
        Expr::BinaryOp { left, op: BinaryOperator::BitwiseXor, right } => {
            *expr = call("power", vec![take(left), take(right)]);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `-a ^ b` is the power of `-a`, since a sign binds tighter.
pub(super) fn sign_first(expr: &mut Expr) {
    let Expr::UnaryOp { op, expr: signed } = expr else { return };
    if !matches!(op, UnaryOperator::Minus | UnaryOperator::Plus) || !is_power(signed) {
        return;
    }
    let op = *op;
    let mut power = take(signed);
    let mut base = &mut power;
    while let Expr::BinaryOp { left, op: BinaryOperator::BitwiseXor, .. } = base {
        base = left;
    }
    *base = Expr::UnaryOp { op, expr: Box::new(take(base)) };
    *expr = power;
}

fn is_power(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::BitwiseXor, .. })
}

fn is_backslash(escape: &ValueWithSpan) -> bool {
    matches!(&escape.value, Value::SingleQuotedString(text) if text == "\\")
}
