//! JSON kept as text: paths into it, and what it is.

mod contains;
mod operators;
mod value;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::common::cast::{as_boolean_array, as_int64_array, as_string_view_array};
use datafusion::error::Result;

use super::scalar::{Kind, Scalar, map_text};
use crate::Error;
use value::{Shape, Step, follow, plain, shape};

pub(super) use operators::Operators;

const JSON: (&str, Kind) = ("json", Kind::Text);

pub(super) fn list() -> Vec<Scalar> {
    let mut list = paths();
    list.extend(questions());
    list.push(
        Scalar::new("json_parse", "json_parse(text)", "The text, if it is JSON.", |columns| {
            map_text(json(columns)?, |text| {
                shape(text)?;
                Ok(Some(text.trim().to_owned()))
            })
        })
        .takes(&[JSON]),
    );
    list
}

/// Functions that go into JSON.
fn paths() -> Vec<Scalar> {
    let get = |name, description, compute| {
        Scalar::new(name, &format!("{name}(json, step)"), description, compute)
            .takes(&[JSON, ("step", Kind::TextOrInteger)])
    };
    let path = |name, description, compute| {
        Scalar::new(name, &format!("{name}(json, path)"), description, compute)
            .takes(&[JSON, ("path", Kind::Text)])
    };
    let extract = |name, description, compute| {
        Scalar::new(name, &format!("{name}(json, step [, …])"), description, compute)
            .takes(&[JSON, ("step", Kind::Any)])
            .repeats()
    };
    vec![
        get("json_get", "The JSON of a key or an index, as the operator ->.", |columns| {
            one_step(columns, |found| Ok(Some(found.to_owned())))
        }),
        get("json_get_text", "The value of a key or an index, as ->>.", |columns| {
            one_step(columns, plain)
        }),
        path("json_get_path", "The JSON at a path as '{a,0,b}', as #>.", |columns| {
            whole_path(columns, |found| Ok(Some(found.to_owned())))
        }),
        path("json_get_path_text", "The value at a path as '{a,0,b}', as #>>.", |columns| {
            whole_path(columns, plain)
        }),
        extract(
            "json_extract_path_text",
            "The value at a path of keys and indexes. A last argument TRUE gives NULL for text \
             that is no JSON.",
            |columns| extract_path(columns, plain),
        ),
        extract("json_extract_path", "The JSON at a path of keys and indexes.", |columns| {
            extract_path(columns, |found| Ok(Some(found.to_owned())))
        }),
        Scalar::new(
            "json_extract_array_element_text",
            "json_extract_array_element_text(json, index [, null_if_invalid])",
            "An element of an array, counted from 0.",
            array_element,
        )
        .takes(&[JSON, ("index", Kind::Integer), ("null_if_invalid", Kind::Boolean)])
        .optional(1),
    ]
}

/// Functions that tell about JSON.
fn questions() -> Vec<Scalar> {
    let valid = |name, description, compute| {
        Scalar::new(name, &format!("{name}(text)"), description, compute)
            .takes(&[("text", Kind::Text)])
            .returns(|_| DataType::Boolean)
    };
    vec![
        Scalar::new(
            "json_array_length",
            "json_array_length(json [, null_if_invalid])",
            "How many elements an array has.",
            array_length,
        )
        .takes(&[JSON, ("null_if_invalid", Kind::Boolean)])
        .optional(1)
        .returns(|_| DataType::Int64)
        .alias("jsonb_array_length"),
        valid("is_valid_json", "Whether the text is JSON.", |columns| {
            booleans(json(columns)?, |text| Ok(shape(text).is_ok()))
        }),
        valid("is_valid_json_array", "Whether the text is a JSON array.", |columns| {
            booleans(json(columns)?, |text| Ok(matches!(shape(text), Ok(Shape::Array(_)))))
        }),
        Scalar::new(
            "json_typeof",
            "json_typeof(json)",
            "object, array, string, number, boolean or null.",
            |columns| map_text(json(columns)?, |text| Ok(Some(value::kind(text)?.to_owned()))),
        )
        .takes(&[JSON])
        .alias("jsonb_typeof"),
        Scalar::new(
            "json_contains",
            "json_contains(json, part)",
            "Whether the part is in the JSON, as the operator @>.",
            |columns| {
                let [json, part] = columns else { return Err(no_argument()) };
                contains::contains(as_string_view_array(json)?, as_string_view_array(part)?)
            },
        )
        .takes(&[JSON, ("part", Kind::Text)])
        .returns(|_| DataType::Boolean)
        .alias("jsonb_contains"),
        Scalar::new(
            "json_exists",
            "json_exists(json, key)",
            "Whether the object has the key, or the array the string.",
            |columns| {
                let [json, key] = columns else { return Err(no_argument()) };
                contains::exists(as_string_view_array(json)?, as_string_view_array(key)?)
            },
        )
        .takes(&[JSON, ("key", Kind::Text)])
        .returns(|_| DataType::Boolean)
        .alias("jsonb_exists"),
    ]
}

fn no_argument() -> datafusion::error::DataFusionError {
    Error::internal("a function of JSON lacks an argument").into()
}

fn json(columns: &[ArrayRef]) -> Result<&StringViewArray> {
    match columns {
        [column, ..] => Ok(as_string_view_array(column)?),
        [] => Err(no_argument()),
    }
}

fn booleans(texts: &StringViewArray, map: impl Fn(&str) -> Result<bool>) -> Result<ArrayRef> {
    let values = texts.iter().map(|text| text.map(&map).transpose());
    Ok(Arc::new(values.collect::<Result<BooleanArray>>()?))
}

type Found = fn(&str) -> Result<Option<String>>;

/// The step in a row of a column of keys or of indexes.
enum Steps<'a> {
    Keys(&'a StringViewArray),
    Indexes(&'a Int64Array),
}

impl<'a> Steps<'a> {
    fn of(column: &'a ArrayRef) -> Result<Self> {
        match column.data_type() {
            DataType::Int64 => Ok(Self::Indexes(as_int64_array(column)?)),
            _ => Ok(Self::Keys(as_string_view_array(column)?)),
        }
    }

    fn at(&self, row: usize) -> Option<Step<'a>> {
        match self {
            Self::Keys(keys) => keys.is_valid(row).then(|| Step::Key(keys.value(row))),
            Self::Indexes(indexes) => {
                indexes.is_valid(row).then(|| Step::Index(indexes.value(row)))
            }
        }
    }
}

fn one_step(columns: &[ArrayRef], found: Found) -> Result<ArrayRef> {
    let [_, step] = columns else { return Err(no_argument()) };
    let steps = Steps::of(step)?;
    let values = json(columns)?.iter().enumerate().map(|(row, text)| {
        let (Some(text), Some(step)) = (text, steps.at(row)) else { return Ok(None) };
        follow(text, &[step])?.map_or(Ok(None), found)
    });
    Ok(Arc::new(values.collect::<Result<StringViewArray>>()?))
}

fn whole_path(columns: &[ArrayRef], found: Found) -> Result<ArrayRef> {
    let [_, path] = columns else { return Err(no_argument()) };
    let values = json(columns)?.iter().zip(as_string_view_array(path)?).map(|pair| {
        let (Some(text), Some(path)) = pair else { return Ok(None) };
        let elements = value::path_elements(path)?;
        let steps: Vec<Step> = elements.iter().map(|element| Step::Either(element)).collect();
        follow(text, &steps)?.map_or(Ok(None), found)
    });
    Ok(Arc::new(values.collect::<Result<StringViewArray>>()?))
}

fn extract_path(columns: &[ArrayRef], found: Found) -> Result<ArrayRef> {
    let (lenient, columns) = match columns {
        [rest @ .., last] if last.data_type() == &DataType::Boolean => (Some(last), rest),
        columns => (None, columns),
    };
    let lenient = lenient.map(|column| as_boolean_array(column)).transpose()?;
    let [_, path @ ..] = columns else { return Err(no_argument()) };
    let path: Vec<ArrayRef> = path
        .iter()
        .map(|step| Ok(arrow::compute::cast(step, &DataType::Utf8View)?))
        .collect::<Result<_>>()?;
    let path: Vec<&StringViewArray> =
        path.iter().map(|step| Ok(as_string_view_array(step)?)).collect::<Result<_>>()?;
    let values = json(columns)?.iter().enumerate().map(|(row, text)| {
        let Some(text) = text else { return Ok(None) };
        let steps: Option<Vec<Step>> = path
            .iter()
            .map(|step| step.is_valid(row).then(|| Step::Either(step.value(row))))
            .collect();
        let Some(steps) = steps else { return Ok(None) };
        tolerant(lenient, row, follow(text, &steps))?.flatten().map_or(Ok(None), found)
    });
    Ok(Arc::new(values.collect::<Result<StringViewArray>>()?))
}

/// Nothing, where the value is an error and the row says that this gives NULL.
fn tolerant<T>(lenient: Option<&BooleanArray>, row: usize, result: Result<T>) -> Result<Option<T>> {
    let forgives = lenient.is_some_and(|column| column.is_valid(row) && column.value(row));
    match result {
        Ok(value) => Ok(Some(value)),
        Err(_) if forgives => Ok(None),
        Err(error) => Err(error),
    }
}

fn array_element(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [_, index, rest @ ..] = columns else { return Err(no_argument()) };
    let indexes = as_int64_array(index)?;
    let lenient = rest.first().map(|column| as_boolean_array(column)).transpose()?;
    let values = json(columns)?.iter().zip(indexes).enumerate().map(|(row, pair)| {
        let (Some(text), Some(index)) = pair else { return Ok(None) };
        let element = elements(text).and_then(|elements| {
            let element = usize::try_from(index).ok().and_then(|index| elements.get(index));
            element.copied().map_or(Ok(None), plain)
        });
        Ok(tolerant(lenient, row, element)?.flatten())
    });
    Ok(Arc::new(values.collect::<Result<StringViewArray>>()?))
}

fn array_length(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let lenient = columns.get(1).map(|column| as_boolean_array(column)).transpose()?;
    let lengths = json(columns)?.iter().enumerate().map(|(row, text)| {
        let Some(text) = text else { return Ok(None) };
        tolerant(lenient, row, elements(text).map(|elements| elements.len() as i64))
    });
    Ok(Arc::new(lengths.collect::<Result<Int64Array>>()?))
}

fn elements(text: &str) -> Result<Vec<&str>> {
    match shape(text)? {
        Shape::Array(elements) => Ok(elements),
        _ => Err(Error::invalid(format!("\"{}\" is no JSON array", value::shown(text))).into()),
    }
}
