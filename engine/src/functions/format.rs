//! `to_char`, `to_date` and `to_timestamp` with PostgreSQL's patterns, beside DataFusion's with
//! those of `strftime`: a format that has a `%` is one of the latter.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, StringArray, StringViewArray, TimestampNanosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, FieldRef, Float64Type};
use chrono::{FixedOffset, NaiveDateTime};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

use super::civil::{clocks, out_of_range};
use super::pattern::{moment, number};
use crate::Error;

pub(super) fn register(state: &mut SessionState) -> Result<()> {
    for (name, what, syntax, description) in [
        (
            "to_char",
            What::Write,
            "to_char(value, pattern)",
            "A date, timestamp or number written by a pattern, as YYYY-MM-DD HH24:MI:SS or \
             FM999,990.00.",
        ),
        (
            "to_date",
            What::Date,
            "to_date(text [, pattern])",
            "The date that a text writes by a pattern as YYYY-MM-DD.",
        ),
        (
            "to_timestamp",
            What::Timestamp,
            "to_timestamp(text [, pattern])",
            "The timestamp that a text writes by a pattern as YYYY-MM-DD HH24:MI:SS.",
        ),
    ] {
        let of_datafusion = state.udf(name)?;
        let section = DocSection { include: true, label: "Boathouse", description: None };
        let documentation = Documentation::builder(section, description, syntax).build();
        let signature = Signature::user_defined(of_datafusion.signature().volatility);
        let function = Patterned { what, of_datafusion, signature, documentation };
        state.register_udf(Arc::new(ScalarUDF::from(function)))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Write,
    Date,
    Timestamp,
}

/// One of the three, before DataFusion's function of the same name.
struct Patterned {
    what: What,
    of_datafusion: Arc<ScalarUDF>,
    signature: Signature,
    documentation: Documentation,
}

impl Patterned {
    /// Whether these arguments are for a pattern, where the pattern is one.
    fn may_be_pattern(&self, types: &[DataType]) -> bool {
        let [value, pattern] = types else { return false };
        let value = match self.what {
            What::Write => value.is_numeric() || is_moment(value),
            What::Date | What::Timestamp => value.is_string() || value.is_null(),
        };
        value && (pattern.is_string() || pattern.is_null())
    }

    fn types_of_datafusion(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let fields: Vec<FieldRef> =
            types.iter().map(|t| Arc::new(Field::new("", t.clone(), true))).collect();
        let fields = fields_with_udf(&fields, self.of_datafusion.as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }
}

fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _))
}

impl ScalarUDFImpl for Patterned {
    fn name(&self) -> &str {
        self.of_datafusion.name()
    }

    fn aliases(&self) -> &[String] {
        self.of_datafusion.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.what, types.first()) {
            (What::Write, Some(value)) if value.is_numeric() => Ok(DataType::Utf8),
            _ => self.of_datafusion.inner().return_type(types),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let number = args.arg_fields.first().is_some_and(|field| field.data_type().is_numeric());
        match (self.what, number) {
            (What::Write, true) => Ok(Arc::new(Field::new(self.name(), DataType::Utf8, true))),
            _ => self.of_datafusion.return_field_from_args(args),
        }
    }

    fn with_updated_config(
        &self,
        config: &datafusion::common::config::ConfigOptions,
    ) -> Option<ScalarUDF> {
        let updated = self.of_datafusion.inner().with_updated_config(config)?;
        Some(ScalarUDF::from(Self {
            what: self.what,
            of_datafusion: Arc::new(updated),
            signature: self.signature.clone(),
            documentation: self.documentation.clone(),
        }))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [value, _] if self.may_be_pattern(types) => {
                if self.what == What::Write && value.is_numeric() {
                    let value = match value {
                        value if value.is_floating() => DataType::Float64,
                        value if value.is_integer() => DataType::Decimal128(20, 0),
                        decimal => decimal.clone(),
                    };
                    return Ok(vec![value, DataType::Utf8]);
                }
                self.types_of_datafusion(types)
            }
            [value, _] if self.what == What::Write && value.is_string() => {
                Err(Error::invalid("to_char() takes a date, a timestamp or a number, not text")
                    .with_hint("Cast the text first.")
                    .into())
            }
            _ => self.types_of_datafusion(types),
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match args.len() {
            2 => Ok(ExprSimplifyResult::Original(args)),
            _ => self.of_datafusion.simplify(args, info),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        if !self.may_be_pattern(&types) || has_percent(args.args.get(1))? {
            return self.of_datafusion.invoke_with_args(args);
        }
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let [values, patterns] = columns.as_slice() else {
            return Err(Error::internal("a pattern without a value").into());
        };
        let patterns = cast(patterns, &DataType::Utf8View)?;
        let patterns = patterns.as_string_view();
        let result: ArrayRef = match self.what {
            What::Write if is_moment(values.data_type()) => write_moments(values, patterns)?,
            What::Write => write_numbers(values, patterns)?,
            What::Date => Arc::new(dates(&read(values, patterns)?)),
            What::Timestamp => timestamps(&read(values, patterns)?)?,
        };
        let result = cast(&result, args.return_field.data_type())?;
        match constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// Whether a format is one of `strftime`. All formats of a column must be of one sort.
fn has_percent(format: Option<&ColumnarValue>) -> Result<bool> {
    let formats = match format {
        Some(ColumnarValue::Array(formats)) => cast(formats, &DataType::Utf8View)?,
        Some(ColumnarValue::Scalar(format)) => cast(&format.to_array()?, &DataType::Utf8View)?,
        None => return Ok(false),
    };
    Ok(formats.as_string_view().iter().flatten().any(|format| format.contains('%')))
}

/// Patterns as they were last understood: a column of one pattern is parsed once.
struct Parsed<'a, P> {
    parse: fn(&str) -> crate::Result<P>,
    last: Option<(&'a str, P)>,
}

impl<'a, P> Parsed<'a, P> {
    fn new(parse: fn(&str) -> crate::Result<P>) -> Self {
        Self { parse, last: None }
    }

    fn get(&mut self, text: &'a str) -> Result<&P> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != text) {
            self.last = Some((text, (self.parse)(text)?));
        }
        let pattern = self.last.as_ref().map(|(_, pattern)| pattern);
        Ok(pattern.ok_or_else(|| Error::internal("no pattern"))?)
    }
}

fn write_moments(values: &ArrayRef, patterns: &StringViewArray) -> Result<ArrayRef> {
    let local = clocks(values, true)?;
    let utc = match values.data_type() {
        DataType::Timestamp(_, Some(_)) => Some(clocks(values, false)?),
        _ => None,
    };
    let mut parsed = Parsed::new(moment::Pattern::parse);
    let written = local.into_iter().zip(patterns).enumerate().map(|(row, pair)| {
        let (Some(clock), Some(pattern)) = pair else { return Ok(None) };
        let offset = utc.as_ref().and_then(|utc| offset(clock, utc.get(row).copied().flatten()?));
        Ok(Some(moment::write(parsed.get(pattern)?, clock, offset)?))
    });
    Ok(Arc::new(written.collect::<Result<StringArray>>()?))
}

fn offset(local: NaiveDateTime, utc: NaiveDateTime) -> Option<FixedOffset> {
    FixedOffset::east_opt(i32::try_from((local - utc).num_seconds()).ok()?)
}

fn write_numbers(values: &ArrayRef, patterns: &StringViewArray) -> Result<ArrayRef> {
    let mut parsed = Parsed::new(number::Pattern::parse);
    let digits: Box<dyn Fn(usize, usize) -> Option<String>> = match values.data_type() {
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>().clone();
            Box::new(move |row, decimals| Some(format!("{:.decimals$}", values.value(row))))
        }
        DataType::Decimal128(_, scale) => {
            let (values, scale) = (values.as_primitive::<Decimal128Type>().clone(), *scale);
            Box::new(move |row, decimals| rounded(values.value(row), scale, decimals))
        }
        other => {
            return Err(Error::unsupported(format!("to_char() of {other} with a pattern"))
                .with_hint("Cast the number to double precision.")
                .into());
        }
    };
    let written = patterns.iter().enumerate().map(|(row, pattern)| {
        let (Some(pattern), true) = (pattern, values.is_valid(row)) else { return Ok(None) };
        let pattern = parsed.get(pattern)?;
        let text = digits(row, pattern.decimals()).ok_or_else(out_of_range)?;
        Ok(Some(write_number(pattern, &text)?))
    });
    Ok(Arc::new(written.collect::<Result<StringArray>>()?))
}

fn write_number(pattern: &number::Pattern, text: &str) -> Result<String> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Error::invalid(format!("{text} can't be written by a pattern")).into());
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    Ok(pattern.write(negative, whole, decimals))
}

/// A decimal's digits with so many after the point, rounded away from zero at the half.
fn rounded(value: i128, scale: i8, decimals: usize) -> Option<String> {
    let scale = usize::try_from(scale).ok()?;
    let magnitude = value.unsigned_abs();
    let magnitude = match scale.checked_sub(decimals) {
        Some(0) | None => magnitude,
        Some(dropped) => {
            let unit = 10_u128.checked_pow(u32::try_from(dropped).ok()?)?;
            (magnitude + unit / 2) / unit
        }
    };
    let kept = scale.min(decimals);
    let digits = format!("{magnitude:0>width$}", width = kept + 1);
    let (whole, fraction) = digits.split_at(digits.len() - kept);
    let sign = if value < 0 { "-" } else { "" };
    Some(match decimals {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction:0<decimals$}"),
    })
}

fn read(texts: &ArrayRef, patterns: &StringViewArray) -> Result<Vec<Option<NaiveDateTime>>> {
    let texts = cast(texts, &DataType::Utf8View)?;
    let mut parsed = Parsed::new(moment::Pattern::parse);
    let moments = texts.as_string_view().iter().zip(patterns).map(|pair| match pair {
        (Some(text), Some(pattern)) => Ok(Some(moment::read(parsed.get(pattern)?, text)?)),
        _ => Ok(None),
    });
    moments.collect()
}

fn dates(moments: &[Option<NaiveDateTime>]) -> Date32Array {
    moments.iter().map(|moment| moment.map(|m| Date32Type::from_naive_date(m.date()))).collect()
}

fn timestamps(moments: &[Option<NaiveDateTime>]) -> Result<ArrayRef> {
    let values = moments.iter().map(|moment| match moment {
        Some(moment) => moment.and_utc().timestamp_nanos_opt().map(Some).ok_or_else(out_of_range),
        None => Ok(None),
    });
    Ok(Arc::new(values.collect::<Result<TimestampNanosecondArray>>()?))
}

impl fmt::Debug for Patterned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Patterned {
    fn eq(&self, other: &Self) -> bool {
        self.of_datafusion == other.of_datafusion
    }
}

impl Eq for Patterned {}

impl Hash for Patterned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of_datafusion.hash(state);
    }
}
