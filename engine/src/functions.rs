//! SQL functions of our own: what a session is.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::settings::CATALOG;

/// Adds them to what DataFusion has.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    use datafusion::execution::FunctionRegistry as _;
    for name in ["current_database", "current_schema", "current_catalog"] {
        let function = SessionName { name, signature: Signature::nullary(Volatility::Stable) };
        state.register_udf(Arc::new(ScalarUDF::from(function)))?;
    }
    Ok(())
}

/// `current_database()` and its synonym, and `current_catalog()`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SessionName {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for SessionName {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = match self.name {
            "current_catalog" => CATALOG.to_owned(),
            _ => args.config_options.catalog.default_schema.clone(),
        };
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some(value))))
    }
}
