//! Comma-separated values: quoted as in RFC 4180, lines ending in a line feed.

use std::io::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::ArrayFormatter;

use super::{Sink, Writer, cells, write_error};
use crate::failure::Result;

/// No value is an empty field, an empty string is `""`.
pub(super) struct Csv(Writer);

impl Csv {
    pub(super) fn new(schema: &SchemaRef, mut writer: Writer) -> Result<Self> {
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let mut line = String::new();
        for (index, name) in names.enumerate() {
            if 0 < index {
                line.push(',');
            }
            push_field(&mut line, name);
        }
        line.push('\n');
        writer.write_all(line.as_bytes()).map_err(write_error)?;
        Ok(Self(writer))
    }
}

impl Sink for Csv {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = cells::for_programs();
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| Ok((column, ArrayFormatter::try_new(column, &options)?)))
            .collect::<Result<_, arrow::error::ArrowError>>()
            .map_err(write_error)?;
        let mut line = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, (column, formatter)) in columns.iter().enumerate() {
                if 0 < index {
                    line.push(',');
                }
                if !column.is_null(row) {
                    push_field(&mut line, &formatter.value(row).to_string());
                }
            }
            line.push('\n');
            self.0.write_all(line.as_bytes()).map_err(write_error)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.0.flush().map_err(write_error)
    }
}

fn push_field(line: &mut String, text: &str) {
    if !text.is_empty() && !text.contains([',', '"', '\n', '\r']) {
        line.push_str(text);
        return;
    }
    line.push('"');
    line.push_str(&text.replace('"', "\"\""));
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_only_where_it_must_be() {
        let field = |text| {
            let mut line = String::new();
            push_field(&mut line, text);
            line
        };
        assert_eq!(field("a b"), "a b");
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("a\"b\n"), "\"a\"\"b\n\"");
        assert_eq!(field(""), "\"\"");
    }
}
