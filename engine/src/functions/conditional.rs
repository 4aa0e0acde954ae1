//! `decode(value, search, result, … [, default])`, beside DataFusion's `decode(text, format)`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, DocSection, Documentation, Expr, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::Error;

pub(super) fn register(state: &mut SessionState) -> Result<()> {
    let of_text = state.udf("decode")?;
    state.register_udf(Arc::new(ScalarUDF::from(Decode::new(of_text))))?;
    Ok(())
}

/// With two arguments DataFusion's `decode`, with more Oracle's and Redshift's.
struct Decode {
    of_text: Arc<ScalarUDF>,
    signature: Signature,
    documentation: Documentation,
}

impl Decode {
    fn new(of_text: Arc<ScalarUDF>) -> Self {
        let section = DocSection { include: true, label: "Boathouse", description: None };
        let documentation = Documentation::builder(
            section,
            "The result that follows the first search value that the value is; NULL is NULL. With \
             two arguments: the bytes of a text in a format such as hex.",
            "decode(value, search, result, … [, default])",
        );
        Self {
            signature: Signature::user_defined(of_text.signature().volatility),
            of_text,
            documentation: documentation.build(),
        }
    }
}

/// The positions of search values and of results, the default among them.
fn is_result(position: usize, count: usize) -> bool {
    position != 0 && (position % 2 == 0 || position == count - 1)
}

fn common(types: &[DataType], pick: impl Fn(usize) -> bool) -> Vec<DataType> {
    types.iter().enumerate().filter(|(at, _)| pick(*at)).map(|(_, t)| t.clone()).collect()
}

impl ScalarUDFImpl for Decode {
    fn name(&self) -> &str {
        "decode"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, _] => self.of_text.inner().return_type(types),
            [_, _, result, ..] => Ok(result.clone()),
            _ => Err(Error::invalid("decode() takes at least two arguments").into()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<arrow::datatypes::FieldRef> {
        if args.arg_fields.len() == 2 {
            return self.of_text.return_field_from_args(args);
        }
        let types: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let result = self.return_type(&types)?;
        Ok(Arc::new(arrow::datatypes::Field::new(self.name(), result, true)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.len() <= 2 {
            let fields: Vec<_> = types
                .iter()
                .map(|t| Arc::new(arrow::datatypes::Field::new("", t.clone(), true)))
                .collect();
            let fields = datafusion::logical_expr::type_coercion::functions::fields_with_udf(
                &fields,
                self.of_text.as_ref(),
            )?;
            return Ok(fields.iter().map(|field| field.data_type().clone()).collect());
        }
        let count = types.len();
        let searched = common(types, |at| !is_result(at, count));
        let results = common(types, |at| is_result(at, count));
        let value = searched
            .iter()
            .skip(1)
            .try_fold(searched.first().cloned().unwrap_or(DataType::Null), |value, search| {
                comparison_coercion(&value, search)
            });
        let (Some(value), Some(result)) = (value, type_union_resolution(&results)) else {
            return Err(Error::invalid("decode() has values of types that don't go together")
                .with_hint("Cast the value and the search values to one type, the results to one.")
                .into());
        };
        let coerced = |at| if is_result(at, count) { result.clone() } else { value.clone() };
        Ok((0..count).map(coerced).collect())
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if args.len() <= 2 {
            return self.of_text.simplify(args, info);
        }
        Ok(ExprSimplifyResult::Simplified(case(args)?))
    }

    fn short_circuits(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.len() {
            2 => self.of_text.invoke_with_args(args),
            _ => Err(Error::internal("decode() is still there").into()),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// Results are only computed where they are chosen, as in any CASE.
fn case(args: Vec<Expr>) -> Result<Expr> {
    let mut args = args.into_iter();
    let value = args.next().ok_or_else(|| Error::internal("decode() without a value"))?;
    if value.is_volatile() {
        return Err(Error::unsupported("decode() of a value that changes from call to call")
            .with_hint("Compute the value in a subquery.")
            .into());
    }
    let (mut branches, mut otherwise) = (Vec::new(), None);
    while let Some(search) = args.next() {
        match args.next() {
            Some(result) => branches.push((Box::new(is(&value, search)), Box::new(result))),
            None => otherwise = Some(Box::new(search)),
        }
    }
    Ok(Expr::Case(Case::new(None, branches, otherwise)))
}

fn is(value: &Expr, search: Expr) -> Expr {
    let known = matches!(&search, Expr::Literal(literal, _) if !literal.is_null());
    let operator = if known { Operator::Eq } else { Operator::IsNotDistinctFrom };
    Expr::BinaryExpr(BinaryExpr::new(Box::new(value.clone()), operator, Box::new(search)))
}

impl fmt::Debug for Decode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("decode")
    }
}

impl PartialEq for Decode {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Decode {}

impl Hash for Decode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        "decode".hash(state);
    }
}
