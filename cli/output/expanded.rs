//! Tables for people, with one value on each line (`\x`).

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use nu_ansi_term::Style;
use unicode_width::UnicodeWidthStr;

use super::cells::{self, Cell, Heading};
use super::grid::{Shown, footer};
use super::{Sink, TableStyle, Writer, write_error};
use crate::failure::Result;

/// How wide the line between two rows is.
const RULE_WIDTH: usize = 40;

/// Writes rows one below the other; nothing is cut.
pub(super) struct Expanded {
    headings: Vec<Heading>,
    shown: Shown,
    style: TableStyle,
    started: Instant,
    writer: Writer,
}

impl Expanded {
    pub(super) fn new(
        schema: &SchemaRef,
        style: TableStyle,
        started: Instant,
        writer: Writer,
    ) -> Self {
        let shown = Shown::new(style.max_rows);
        Self { headings: cells::headings(schema), shown, style, started, writer }
    }

    fn draw(&self) -> String {
        let mut text = String::new();
        for (index, row) in self.shown.head.iter().enumerate() {
            self.draw_row(&mut text, index + 1, row);
        }
        if self.shown.is_shortened() {
            text.push_str("·\n");
        }
        let first = self.shown.rows - self.shown.tail.len();
        for (index, row) in self.shown.tail.iter().enumerate() {
            self.draw_row(&mut text, first + index + 1, row);
        }
        text + &footer(&self.shown.summary(), &self.style, self.started)
    }

    fn draw_row(&self, text: &mut String, number: usize, row: &[Cell]) {
        let title = format!("─[ row {number} ]");
        let rule = "─".repeat(RULE_WIDTH.saturating_sub(title.width()));
        let _ = writeln!(text, "{title}{rule}");
        let names = self.headings.iter().map(|heading| heading.name.width());
        let name_width = names.max().unwrap_or_default();
        for (heading, cell) in self.headings.iter().zip(row) {
            let mut name = heading.name.as_str();
            for line in &cell.lines {
                let padding = " ".repeat(name_width - name.width());
                let line = match cell.is_null && self.style.colour {
                    true => Style::new().dimmed().paint(line).to_string(),
                    false => line.clone(),
                };
                let _ = writeln!(text, "{name}{padding} │ {line}");
                name = "";
            }
        }
    }
}

impl Sink for Expanded {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.shown.add(batch)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let text = self.draw();
        self.writer.write_all(text.as_bytes()).map_err(write_error)?;
        self.writer.flush().map_err(write_error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn rows_are_numbered_from_both_ends() {
        let values = Arc::new(Int64Array::from_iter_values(10..15)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("long_name", values)]).unwrap();
        let style =
            TableStyle { max_rows: 2, width: None, colour: false, expanded: true, timing: false };
        let writer = Box::new(std::io::sink());
        let mut expanded = Expanded::new(&batch.schema(), style, Instant::now(), writer);
        expanded.write(&batch).unwrap();
        let want = "\
─[ row 1 ]──────────────────────────────
long_name │ 10
·
─[ row 5 ]──────────────────────────────
long_name │ 14
5 rows (2 shown)
";
        assert_eq!(expanded.draw(), want);
    }
}
