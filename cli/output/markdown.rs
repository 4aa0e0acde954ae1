//! Markdown tables.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::{Sink, Writer, cells, write_error};
use crate::failure::Result;

/// A table of GitHub's Markdown.
pub(super) struct Markdown(Writer);

impl Markdown {
    /// Leaves an empty line above, unless it is the first table.
    pub(super) fn new(schema: &SchemaRef, mut writer: Writer, is_first: bool) -> Result<Self> {
        let headings = cells::headings(schema);
        let names = headings.iter().map(|heading| escaped(&heading.name));
        let rules = headings.iter().map(|heading| match heading.is_numeric {
            true => "---:".to_owned(),
            false => "---".to_owned(),
        });
        let head = if is_first { "" } else { "\n" };
        write!(writer, "{head}{}{}", line(names), line(rules)).map_err(write_error)?;
        Ok(Self(writer))
    }
}

impl Sink for Markdown {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for row in cells::rows(batch, 0, batch.num_rows())? {
            let values = row.iter().map(|cell| escaped(&cell.lines.join("\n")));
            self.0.write_all(line(values).as_bytes()).map_err(write_error)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.0.flush().map_err(write_error)
    }
}

fn line(values: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", values.collect::<Vec<_>>().join(" | "))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('\n', "<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_cell_is_escaped() {
        assert_eq!(escaped("a|b\nc\\"), "a\\|b<br>c\\\\");
    }
}
