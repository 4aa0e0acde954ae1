//! `trunc(moment)`, which is its day, beside DataFusion's `trunc(number [, digits])`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

use super::scalar::coerced_by;

pub(super) fn register(state: &mut SessionState) -> Result<()> {
    let of_numbers = state.udf("trunc")?;
    let signature = Signature::user_defined(of_numbers.signature().volatility);
    state.register_udf(Arc::new(ScalarUDF::from(Trunc { of_numbers, signature })))?;
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Trunc {
    of_numbers: Arc<ScalarUDF>,
    signature: Signature,
}

fn is_moment(types: &[DataType]) -> bool {
    matches!(types, [DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _)])
}

impl ScalarUDFImpl for Trunc {
    fn name(&self) -> &str {
        self.of_numbers.name()
    }

    fn aliases(&self) -> &[String] {
        self.of_numbers.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match is_moment(types) {
            true => Ok(DataType::Date32),
            false => self.of_numbers.inner().return_type(types),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        match is_moment(&types) {
            true => Ok(Arc::new(Field::new(self.name(), DataType::Date32, true))),
            false => self.of_numbers.return_field_from_args(args),
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if is_moment(types) {
            return Ok(types.to_vec());
        }
        coerced_by(&self.of_numbers, types)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match args.as_slice() {
            [moment] if is_moment(&[info.get_data_type(moment)?]) => {
                Ok(ExprSimplifyResult::Original(args))
            }
            _ => self.of_numbers.simplify(args, info),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [moment] if is_moment(&[moment.data_type()]) => moment.cast_to(&DataType::Date32, None),
            _ => self.of_numbers.invoke_with_args(args),
        }
    }

    fn output_ordering(
        &self,
        inputs: &[datafusion::logical_expr::sort_properties::ExprProperties],
    ) -> Result<datafusion::logical_expr::sort_properties::SortProperties> {
        self.of_numbers.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.of_numbers.documentation()
    }
}
