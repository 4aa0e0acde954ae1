//! Values as text.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};

use super::{types, write_error};
use crate::failure::Result;

/// A value of a table for people.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    /// Its lines; at least one.
    pub(super) lines: Vec<String>,
    /// Whether there is no value.
    pub(super) is_null: bool,
}

impl Cell {
    fn new(text: &str) -> Self {
        Self { lines: text.split('\n').map(printable).collect(), is_null: false }
    }

    fn null() -> Self {
        Self { lines: vec!["NULL".to_owned()], is_null: true }
    }
}

/// The head of a column.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    /// Its name.
    pub(super) name: String,
    /// Its type.
    pub(super) type_name: String,
    /// Whether its values stand on the right.
    pub(super) is_numeric: bool,
}

/// The heads of a result's columns.
pub(super) fn headings(schema: &SchemaRef) -> Vec<Heading> {
    let fields = schema.fields().iter();
    let headings = fields.map(|field| Heading {
        name: printable(field.name()),
        type_name: types::type_name(field.data_type()),
        is_numeric: types::is_numeric(field.data_type()),
    });
    headings.collect()
}

/// The rows of `batch` from `start` on, `length` of them.
pub(super) fn rows(batch: &RecordBatch, start: usize, length: usize) -> Result<Vec<Vec<Cell>>> {
    let options = for_people();
    let mut rows = vec![Vec::with_capacity(batch.num_columns()); length];
    for column in batch.columns() {
        let formatter = ArrayFormatter::try_new(column, &options).map_err(write_error)?;
        for (index, row) in rows.iter_mut().enumerate() {
            let index = start + index;
            row.push(match column.is_null(index) {
                true => Cell::null(),
                false => Cell::new(&formatter.value(index).to_string()),
            });
        }
    }
    Ok(rows)
}

/// How a person wants to see values.
fn for_people() -> FormatOptions<'static> {
    FormatOptions::new()
        .with_display_error(true)
        .with_null("NULL")
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"))
        .with_duration_format(DurationFormat::Pretty)
}

/// How a program wants to see values.
pub(super) fn for_programs() -> FormatOptions<'static> {
    FormatOptions::new().with_display_error(true)
}

/// `text` without characters that would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => clean.push_str("    "),
            c if c.is_control() => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
    }
    clean
}
