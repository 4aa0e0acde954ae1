//! A scalar function as one declaration: what it takes, what it gives, and what computes it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::common::cast::as_string_view_array;
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::Error;

/// Computes a column from columns of equal length, whose types are those of the parameters.
pub(super) type Compute = fn(&[ArrayRef]) -> Result<ArrayRef>;
/// What a call means in terms of other functions, once its arguments have their types.
pub(super) type Expand = fn(Vec<Expr>, &SimplifyContext) -> Result<Expr>;
/// The type of the result for the arguments' types.
pub(super) type Returns = fn(&[DataType]) -> DataType;

/// What an argument may be, and what it becomes before the function sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text of any representation, as `Utf8View`.
    Text,
    /// Text as `Utf8View`, or an integer as `Int64`.
    TextOrInteger,
    /// An integer, as `Int64`.
    Integer,
    /// A boolean.
    Boolean,
    /// A date or a timestamp, as it is; text is read as a timestamp.
    Moment,
    /// As it is.
    Any,
}

#[derive(Clone, Copy)]
enum Body {
    Compute(Compute),
    Expand(Expand),
}

/// A scalar function. Its name tells it from others.
pub(super) struct Scalar {
    name: &'static str,
    aliases: Vec<String>,
    parameters: Vec<(&'static str, Kind)>,
    optional: usize,
    repeats: bool,
    signature: Signature,
    returns: Returns,
    body: Body,
    documentation: Documentation,
}

impl Scalar {
    /// A function that gives text, until [`Scalar::returns`] says otherwise.
    pub(super) fn new(
        name: &'static str,
        syntax: &str,
        description: &str,
        compute: Compute,
    ) -> Self {
        Self::with_body(name, syntax, description, Body::Compute(compute))
    }

    /// A function that stands for an expression. It counts as stable: the clock or the
    /// session's settings may be in it.
    pub(super) fn standing_for(
        name: &'static str,
        syntax: &str,
        description: &str,
        expand: Expand,
    ) -> Self {
        let function = Self::with_body(name, syntax, description, Body::Expand(expand));
        Self { signature: Signature::user_defined(Volatility::Stable), ..function }
    }

    fn with_body(name: &'static str, syntax: &str, description: &str, body: Body) -> Self {
        let section = DocSection { include: true, label: "Boathouse", description: None };
        Self {
            name,
            aliases: Vec::new(),
            parameters: Vec::new(),
            optional: 0,
            repeats: false,
            signature: Signature::user_defined(Volatility::Immutable),
            returns: |_| DataType::Utf8View,
            body,
            documentation: Documentation::builder(section, description, syntax).build(),
        }
    }

    pub(super) fn takes(mut self, parameters: &[(&'static str, Kind)]) -> Self {
        self.parameters = parameters.to_vec();
        if parameters.is_empty() {
            self.signature = Signature::nullary(self.signature.volatility);
        }
        self
    }

    /// How many of the last parameters may be left out.
    pub(super) fn optional(mut self, optional: usize) -> Self {
        self.optional = optional;
        self
    }

    /// The last parameter may come any number of times.
    pub(super) fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    pub(super) fn returns(mut self, returns: Returns) -> Self {
        self.returns = returns;
        self
    }

    pub(super) fn alias(mut self, alias: &str) -> Self {
        self.aliases.push(alias.to_owned());
        self
    }

    fn kind(&self, index: usize) -> Option<(&'static str, Kind)> {
        match self.parameters.get(index) {
            Some(parameter) => Some(*parameter),
            None if self.repeats => self.parameters.last().copied(),
            None => None,
        }
    }

    fn check_count(&self, count: usize) -> Result<()> {
        let most = self.parameters.len();
        let least = most - self.optional;
        if count >= least && (count <= most || self.repeats) {
            return Ok(());
        }
        let wanted = match (self.repeats, self.optional) {
            (true, _) => format!("at least {least}"),
            (false, 0) => most.to_string(),
            (false, _) => format!("{least} to {most}"),
        };
        let syntax = &self.documentation.syntax_example;
        Err(Error::invalid(format!(
            "{}() takes {wanted} arguments, not {count}: it is {syntax}",
            self.name
        ))
        .into())
    }
}

/// The type that an argument becomes, or nothing where it can't be one.
fn coerced(kind: Kind, given: &DataType) -> Option<DataType> {
    let given = match given {
        DataType::Dictionary(_, value) => value.as_ref(),
        DataType::RunEndEncoded(_, values) => values.data_type(),
        other => other,
    };
    let text = given.is_string() || given.is_null();
    let wanted = match kind {
        Kind::Any => given.clone(),
        Kind::Text | Kind::TextOrInteger if text => DataType::Utf8View,
        Kind::Integer | Kind::TextOrInteger if given.is_integer() || given.is_null() => {
            DataType::Int64
        }
        Kind::Boolean if matches!(given, DataType::Boolean | DataType::Null) => DataType::Boolean,
        Kind::Moment if text => DataType::Timestamp(TimeUnit::Microsecond, None),
        Kind::Moment => match given {
            DataType::Date32 | DataType::Date64 => DataType::Date32,
            DataType::Timestamp(_, _) => given.clone(),
            _ => return None,
        },
        _ => return None,
    };
    Some(wanted)
}

fn described(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::TextOrInteger => "text or an integer",
        Kind::Integer => "an integer",
        Kind::Boolean => "a boolean",
        Kind::Moment => "a date or a timestamp",
        Kind::Any => "anything",
    }
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok((self.returns)(types))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.check_count(types.len())?;
        let coerce = |(index, given): (usize, &DataType)| {
            let (parameter, kind) = self.kind(index).unwrap_or(("", Kind::Any));
            coerced(kind, given).ok_or_else(|| {
                Error::invalid(format!(
                    "{}() takes {} as its argument \"{parameter}\", not {given}",
                    self.name,
                    described(kind)
                ))
                .into()
            })
        };
        types.iter().enumerate().map(coerce).collect()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Body::Compute(compute) = self.body else {
            return Err(Error::internal(format!("{}() is still there", self.name)).into());
        };
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let result = compute(&columns)?;
        match constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match self.body {
            Body::Compute(_) => Ok(ExprSimplifyResult::Original(args)),
            Body::Expand(expand) => Ok(ExprSimplifyResult::Simplified(expand(args, info)?)),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The text arguments of a call, one after the other.
pub(super) fn texts(columns: &[ArrayRef]) -> Result<Vec<&StringViewArray>> {
    columns.iter().map(|column| Ok(as_string_view_array(column)?)).collect()
}

/// A column of text from one function of a row's values; NULL where one of them is.
pub(super) fn map_text<'a>(
    texts: &'a StringViewArray,
    map: impl Fn(&'a str) -> Result<Option<String>>,
) -> Result<ArrayRef> {
    let values = texts.iter().map(|text| text.map_or(Ok(None), &map));
    Ok(Arc::new(values.collect::<Result<StringViewArray>>()?))
}

/// The expression of one literal.
pub(super) fn literal(value: ScalarValue) -> Expr {
    Expr::Literal(value, None)
}
