//! Texts to values of a column's type, by the rules of COPY's options.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBuilder, PrimitiveArray, PrimitiveBuilder,
    StringArray,
};
use arrow::compute::kernels::cast_utils::{Parser, parse_decimal};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};

use super::options::TextOptions;
use crate::{Error, Result};

/// A column, and the rows whose text is no value of it.
pub(super) struct Converted {
    pub(super) column: ArrayRef,
    pub(super) bad: Vec<usize>,
}

/// Whether texts can become values of this type.
pub(super) fn check_type(field: &Field) -> Result<()> {
    if field.data_type().is_nested() {
        return Err(Error::unsupported(format!(
            "column \"{}\" of type {} from CSV",
            field.name(),
            type_name(field.data_type())
        ))
        .with_hint("Name the columns to load, or load JSON or Parquet."));
    }
    Ok(())
}

/// Whether the CSV reader makes values of this type itself.
pub(super) fn is_direct(field: &Field) -> bool {
    !matches!(field.data_type(), DataType::Binary | DataType::BinaryView)
}

pub(super) fn type_name(data_type: &DataType) -> String {
    crate::types::type_string(data_type).unwrap_or_else(|_| data_type.to_string()).to_uppercase()
}

/// The texts of one column as its values; a text that is none is NULL, and its row is bad.
pub(super) fn convert(
    texts: &[Option<&str>],
    field: &Field,
    options: &TextOptions,
) -> Result<Converted> {
    let mut bad = Vec::new();
    let values: Vec<Option<&str>> = texts.iter().map(|text| rule(*text, field, options)).collect();
    let values = values.as_slice();
    let column: ArrayRef = match field.data_type() {
        DataType::Utf8 => Arc::new(StringArray::from(values.to_vec())),
        DataType::Binary => {
            Arc::new(values.iter().map(|v| v.map(str::as_bytes)).collect::<BinaryArray>())
        }
        DataType::Boolean => Arc::new(booleans(values, &mut bad)),
        DataType::Int8 => Arc::new(numbers::<Int8Type>(values, &mut bad)),
        DataType::Int16 => Arc::new(numbers::<Int16Type>(values, &mut bad)),
        DataType::Int32 => Arc::new(numbers::<Int32Type>(values, &mut bad)),
        DataType::Int64 => Arc::new(numbers::<Int64Type>(values, &mut bad)),
        DataType::Float32 => Arc::new(numbers::<Float32Type>(values, &mut bad)),
        DataType::Float64 => Arc::new(numbers::<Float64Type>(values, &mut bad)),
        DataType::Decimal128(precision, scale) => {
            let parse = |text: &str| parse_decimal::<Decimal128Type>(text, *precision, *scale).ok();
            let column = primitives::<Decimal128Type>(values, &mut bad, parse);
            Arc::new(column.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Date32 => {
            Arc::new(primitives::<Date32Type>(values, &mut bad, |text| options.dates.date(text)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let parse = |text: &str| options.times.time(text);
            let column = primitives::<TimestampMicrosecondType>(values, &mut bad, parse);
            Arc::new(column.with_timezone_opt(zone.clone()))
        }
        other => {
            return Err(Error::unsupported(format!(
                "column \"{}\" of type {} from CSV",
                field.name(),
                type_name(other)
            )));
        }
    };
    Ok(Converted { column, bad })
}

/// The text that becomes the value; `None` is NULL.
fn rule<'a>(text: Option<&'a str>, field: &Field, options: &TextOptions) -> Option<&'a str> {
    let text = text?;
    if options.null.as_deref() == Some(text) {
        return None;
    }
    let is_text = matches!(field.data_type(), DataType::Utf8 | DataType::Binary);
    if !is_text {
        return Some(text.trim()).filter(|text| !text.is_empty());
    }
    if options.blanks_as_null && !text.is_empty() && text.trim().is_empty() {
        return None;
    }
    let text = if options.trim { text.trim_end() } else { text };
    let empty_is_null = options.null.is_none() || options.empty_as_null;
    (!text.is_empty() || !empty_is_null).then_some(text)
}

fn numbers<T: ArrowPrimitiveType + Parser>(
    values: &[Option<&str>],
    bad: &mut Vec<usize>,
) -> PrimitiveArray<T> {
    primitives::<T>(values, bad, T::parse)
}

fn primitives<T: ArrowPrimitiveType>(
    values: &[Option<&str>],
    bad: &mut Vec<usize>,
    parse: impl Fn(&str) -> Option<T::Native>,
) -> PrimitiveArray<T> {
    let mut column = PrimitiveBuilder::<T>::with_capacity(values.len());
    for (row, text) in values.iter().enumerate() {
        let value = text.and_then(&parse);
        if value.is_none() && text.is_some() {
            bad.push(row);
        }
        column.append_option(value);
    }
    column.finish()
}

fn booleans(values: &[Option<&str>], bad: &mut Vec<usize>) -> BooleanArray {
    let mut column = BooleanBuilder::with_capacity(values.len());
    for (row, text) in values.iter().enumerate() {
        let value = text.and_then(boolean);
        if value.is_none() && text.is_some() {
            bad.push(row);
        }
        column.append_option(value);
    }
    column.finish()
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}
