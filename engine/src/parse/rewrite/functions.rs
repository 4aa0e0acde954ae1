//! Calls of functions whose syntax is their own.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, DateTimeField, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident,
    ListAggOnOverflow, OrderByExpr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowType,
};

use super::build::{argument, call, cast, literal, number, take, text};
use crate::functions::Part;
use crate::{Error, Result};

/// Names that stand for a value without parentheses.
const VALUES: [&str; 6] = [
    "current_user",
    "session_user",
    "current_schema",
    "current_catalog",
    "sysdate",
    "localtimestamp",
];

pub(super) fn rewrite(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Identifier(name) if name.quote_style.is_none() => {
            let name = name.value.to_ascii_lowercase();
            if VALUES.contains(&name.as_str()) {
                *expr = call(&name, Vec::new());
            }
            Ok(())
        }
        Expr::Extract { field, expr: moment, .. } => {
            if let Some(replaced) = extract(field, moment) {
                *expr = replaced;
            }
            Ok(())
        }
        Expr::Function(function) => {
            if let Some(replaced) = rewrite_call(function)? {
                *expr = replaced;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Changes a call in place, or gives what to put in its place.
fn rewrite_call(function: &mut Function) -> Result<Option<Expr>> {
    match name(function).as_str() {
        "dateadd" | "date_add" | "datediff" | "date_diff" => {
            name_part(function, true);
            Ok(None)
        }
        "date_part" | "datepart" => Ok(name_part(function, true).and_then(|part| {
            let moment = arguments(function)?.args.get_mut(1).and_then(inner)?;
            years(part, moment)
        })),
        "date_trunc" | "datetrunc" => {
            name_part(function, false);
            Ok(None)
        }
        "date_part_year" => {
            let moment = arguments(function).and_then(|list| list.args.first_mut()).and_then(inner);
            Ok(moment.map(|moment| call("date_part", vec![text("year"), take(moment)])))
        }
        "listagg" | "string_agg" => listagg(function).map(|()| None),
        "ratio_to_report" => ratio_to_report(function).map(Some),
        _ => Ok(None),
    }
}

fn name(function: &Function) -> String {
    match function.name.0.as_slice() {
        [part] => part.as_ident().map(|name| name.value.to_ascii_lowercase()).unwrap_or_default(),
        _ => String::new(),
    }
}

fn arguments(function: &mut Function) -> Option<&mut FunctionArgumentList> {
    match &mut function.args {
        FunctionArguments::List(list) => Some(list),
        _ => None,
    }
}

fn inner(argument: &mut FunctionArg) -> Option<&mut Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// Makes the first argument the text of the part that it names, spelled as DataFusion does. A
/// bare word is one only where `words` says so.
fn name_part(function: &mut Function, words: bool) -> Option<Part> {
    let first = arguments(function)?.args.first_mut().and_then(inner)?;
    let part = match &*first {
        Expr::Identifier(word) if words && word.quote_style.is_none() => Part::of(&word.value)?,
        other => Part::of(literal(other)?)?,
    };
    if literal(first).is_none_or(|spelled| !spelled.eq_ignore_ascii_case(part.name())) {
        *first = text(part.name());
    }
    Some(part)
}

/// A part that DataFusion spells otherwise or lacks.
fn extract(field: &mut DateTimeField, moment: &mut Expr) -> Option<Expr> {
    let spelled = field.to_string();
    let part = Part::of(spelled.trim_matches('\''))?;
    if !spelled.eq_ignore_ascii_case(part.name()) {
        *field = DateTimeField::Custom(Ident::new(part.name()));
    }
    years(part, moment)
}

/// Parts of many years, computed from the year. They count from 1, decades from 0.
fn years(part: Part, moment: &mut Expr) -> Option<Expr> {
    let (added, divided) = match part {
        Part::Millennium => (999, 1000),
        Part::Century => (99, 100),
        Part::Decade => (0, 10),
        _ => return None,
    };
    let year = call("date_part", vec![text("year"), take(moment)]);
    let sum = binary(year, BinaryOperator::Plus, number(added));
    Some(Expr::Nested(Box::new(binary(
        Expr::Nested(Box::new(sum)),
        BinaryOperator::Divide,
        number(divided),
    ))))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// `listagg(x [, ',']) WITHIN GROUP (ORDER BY y)` has its order inside, as `string_agg` has.
fn listagg(function: &mut Function) -> Result<()> {
    let mut order = std::mem::take(&mut function.within_group);
    let Some(list) = arguments(function) else { return Ok(()) };
    if list.args.len() == 1 {
        list.args.push(argument(text("")));
    }
    for clause in std::mem::take(&mut list.clauses) {
        match clause {
            FunctionArgumentClause::OnOverflow(ListAggOnOverflow::Error) => {}
            FunctionArgumentClause::OnOverflow(ListAggOnOverflow::Truncate { .. }) => {
                return Err(Error::unsupported("ON OVERFLOW TRUNCATE")
                    .with_hint("Use left(listagg(…), n) to bound the text."));
            }
            FunctionArgumentClause::OrderBy(_) if !order.is_empty() => {
                return Err(Error::invalid("an aggregate has two orders")
                    .with_hint("Leave one of ORDER BY and WITHIN GROUP out."));
            }
            FunctionArgumentClause::OrderBy(inside) => order = inside,
            other => list.clauses.push(other),
        }
    }
    let distinct = list.duplicate_treatment.is_some();
    if function.over.is_some() {
        return listagg_over(function, order, distinct);
    }
    if let (false, Some(list)) = (order.is_empty(), arguments(function)) {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    Ok(())
}

/// Over a window the order is the window's, and the frame is all of it.
fn listagg_over(function: &mut Function, order: Vec<OrderByExpr>, distinct: bool) -> Result<()> {
    if order.is_empty() && !distinct {
        return Ok(());
    }
    let refused = || {
        Error::unsupported("listagg() of a window with DISTINCT, or with two orders")
            .with_hint("Aggregate in a subquery, and join with it.")
    };
    match &mut function.over {
        Some(WindowType::WindowSpec(window))
            if !distinct
                && window.order_by.is_empty()
                && window.window_frame.is_none()
                && window.window_name.is_none() =>
        {
            window.order_by = order;
            window.window_frame = Some(WindowFrame {
                units: WindowFrameUnits::Rows,
                start_bound: WindowFrameBound::Preceding(None),
                end_bound: Some(WindowFrameBound::Following(None)),
            });
            Ok(())
        }
        _ => Err(refused()),
    }
}

/// `ratio_to_report(x) OVER (…)` is x by the sum of x.
fn ratio_to_report(function: &mut Function) -> Result<Expr> {
    let wrong = || {
        Error::invalid("ratio_to_report() takes one argument, and OVER after it")
            .with_hint("Write ratio_to_report(x) OVER (PARTITION BY y).")
    };
    let over = function.over.take();
    let value = match arguments(function).map(|list| list.args.as_mut_slice()) {
        Some([value]) => inner(value).map(take),
        _ => None,
    };
    let (Some(value), Some(over)) = (value, over) else { return Err(wrong()) };
    let value = cast(value, DataType::Double(ExactNumberInfo::None));
    let mut sum = super::build::function("sum", vec![value.clone()]);
    sum.over = Some(over);
    let sum = call("nullif", vec![Expr::Function(sum), number(0)]);
    Ok(Expr::Nested(Box::new(binary(value, BinaryOperator::Divide, sum))))
}
