//! The value that a statement gives to a column: cast to the column's type, with the column's
//! name in the error where it doesn't fit.

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result as DataFusionResult;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::Error;
use crate::types::type_string;

/// `value` as a value of `column`. A parameter alone takes the column's type.
pub(super) fn assigned(value: Expr, column: &Field) -> Expr {
    let value = match value {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = column.clone().with_nullable(true);
            Expr::Placeholder(Placeholder::new_with_field(id, Some(field.into())))
        }
        Expr::Alias(alias) => return assigned(*alias.expr, column),
        value => value,
    };
    let function = Assign {
        column: column.name().clone(),
        data_type: column.data_type().clone(),
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::from(function).call(vec![value])
}

/// The cast of one column's values.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Assign {
    column: String,
    data_type: DataType,
    signature: Signature,
}

impl Assign {
    fn about(&self, error: Error) -> Error {
        error.about(format!("column \"{}\"", self.column))
    }
}

impl ScalarUDFImpl for Assign {
    fn name(&self) -> &str {
        "assign"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> DataFusionResult<DataType> {
        let wrong = types.iter().find(|from| {
            !can_cast_types(from, &self.data_type) && !from.is_nested() && !from.is_null()
        });
        if let Some(from) = wrong {
            let name = |of: &DataType| type_string(of).unwrap_or_else(|_| of.to_string());
            let text = format!("a {} can't be cast to {}", name(from), name(&self.data_type));
            return Err(self.about(Error::invalid(text)).into());
        }
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return Err(Error::internal("assign takes one value").into());
        };
        let cast = value.cast_to(&self.data_type, None);
        cast.map_err(|error| self.about(error.into()).into())
    }
}
