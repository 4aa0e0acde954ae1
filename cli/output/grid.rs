//! Tables for people: a frame, types under the names, the first and the last rows.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use nu_ansi_term::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cells::{self, Cell, Heading};
use super::layout::{self, Layout};
use super::{Sink, TableStyle, Writer, write_error};
use crate::failure::Result;

/// The rows that are shown of a result of any length: its head and its tail.
pub(super) struct Shown {
    /// Shown above the gap.
    pub(super) head: Vec<Vec<Cell>>,
    /// Shown below it.
    pub(super) tail: VecDeque<Vec<Cell>>,
    /// How many rows there are.
    pub(super) rows: usize,
    head_max: usize,
    tail_max: usize,
}

impl Shown {
    pub(super) fn new(max_rows: usize) -> Self {
        let (head_max, tail_max) = match max_rows {
            0 => (usize::MAX, 0),
            rows => (rows.div_ceil(2), rows / 2),
        };
        Self { head: Vec::new(), tail: VecDeque::new(), rows: 0, head_max, tail_max }
    }

    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let to_head = rows.min(self.head_max - self.head.len());
        self.head.extend(cells::rows(batch, 0, to_head)?);
        let to_tail = (rows - to_head).min(self.tail_max);
        self.tail.extend(cells::rows(batch, rows - to_tail, to_tail)?);
        let surplus = self.tail.len().saturating_sub(self.tail_max);
        self.tail.drain(..surplus);
        self.rows += rows;
        Ok(())
    }

    pub(super) fn is_shortened(&self) -> bool {
        self.head.len() + self.tail.len() < self.rows
    }

    /// As in "336776 rows (40 shown)".
    pub(super) fn summary(&self) -> String {
        let rows = counted(self.rows, "row");
        match self.is_shortened() {
            true => format!("{rows} ({} shown)", self.head.len() + self.tail.len()),
            false => rows,
        }
    }
}

/// As in "1 row" and "2 rows".
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Draws a table when it has all rows.
pub(super) struct Grid {
    headings: Vec<Heading>,
    shown: Shown,
    style: TableStyle,
    started: Instant,
    writer: Writer,
}

impl Grid {
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
        let mut summary = self.shown.summary();
        if !self.headings.is_empty() {
            let layout = layout::fit(&self.widths(), self.style.width);
            let mut drawing = Drawing::new(self, &layout);
            drawing.table();
            let columns = layout.iter().flatten().count();
            if columns < self.headings.len() {
                let all = counted(self.headings.len(), "column");
                let _ = write!(summary, ", {all} ({columns} shown)");
            }
            if drawing.has_cut {
                summary.push_str(", long values cut at …");
            }
            text = drawing.text;
        }
        text + &footer(&summary, &self.style, self.started)
    }

    fn rows(&self) -> impl Iterator<Item = &Vec<Cell>> {
        self.shown.head.iter().chain(&self.shown.tail)
    }

    /// How wide each column would like to be.
    fn widths(&self) -> Vec<usize> {
        let widths = self.headings.iter().enumerate().map(|(index, heading)| {
            let values = self.rows().flat_map(|row| &row[index].lines).map(|line| line.width());
            let width = values.max().unwrap_or_default();
            width.max(heading.name.width()).max(heading.type_name.width()).max(1)
        });
        widths.collect()
    }
}

impl Sink for Grid {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.shown.add(batch)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let text = self.draw();
        self.writer.write_all(text.as_bytes()).map_err(write_error)?;
        self.writer.flush().map_err(write_error)
    }
}

/// The line below a table.
pub(super) fn footer(summary: &str, style: &TableStyle, started: Instant) -> String {
    match style.timing {
        true => format!("{summary} ({})\n", crate::run::seconds(started.elapsed())),
        false => format!("{summary}\n"),
    }
}

struct Drawing<'a> {
    grid: &'a Grid,
    layout: &'a Layout,
    /// Columns whose long values go on in the next line instead of being cut.
    wrapped: Vec<bool>,
    has_cut: bool,
    text: String,
}

impl<'a> Drawing<'a> {
    fn new(grid: &'a Grid, layout: &'a Layout) -> Self {
        let columns = 0..grid.headings.len();
        let wrapped =
            columns.map(|index| grid.rows().any(|row| 1 < row[index].lines.len())).collect();
        Self { grid, layout, wrapped, has_cut: false, text: String::new() }
    }

    fn table(&mut self) {
        let dim = Style::new().dimmed();
        self.rule('┌', '┬', '┐');
        self.heading(|heading| &heading.name, Style::new().bold());
        self.heading(|heading| &heading.type_name, dim);
        self.rule('├', '┼', '┤');
        for row in &self.grid.shown.head {
            self.row(row);
        }
        if self.grid.shown.is_shortened() {
            self.line(|drawing, index| {
                let on_right = index.is_some_and(|index| drawing.grid.headings[index].is_numeric);
                ("·".to_owned(), on_right, dim)
            });
        }
        for row in &self.grid.shown.tail {
            self.row(row);
        }
        self.rule('└', '┴', '┘');
    }

    fn rule(&mut self, left: char, middle: char, right: char) {
        self.text.push(left);
        for (position, column) in self.layout.iter().enumerate() {
            if 0 < position {
                self.text.push(middle);
            }
            let width = column.map_or(1, |column| column.width);
            self.text.extend(std::iter::repeat_n('─', width + 2));
        }
        self.text.push(right);
        self.text.push('\n');
    }

    fn heading(&mut self, text: impl Fn(&'a Heading) -> &'a String, style: Style) {
        self.line(|drawing, index| match index {
            Some(index) => {
                let heading = &drawing.grid.headings[index];
                (text(heading).clone(), heading.is_numeric, style)
            }
            None => ("…".to_owned(), false, style),
        });
    }

    /// One row, which takes as many lines as its tallest value.
    fn row(&mut self, row: &'a [Cell]) {
        let mut height = 1;
        let mut lines: Vec<Vec<String>> = vec![Vec::new(); row.len()];
        for column in self.layout.iter().flatten() {
            let cell = &row[column.index];
            lines[column.index] = match self.wrapped[column.index] {
                true => cell.lines.iter().flat_map(|line| wrap(line, column.width)).collect(),
                false => cell.lines.clone(),
            };
            height = height.max(lines[column.index].len());
        }
        for line in 0..height {
            self.line(|drawing, index| {
                let Some(index) = index else {
                    return ("…".to_owned(), false, Style::new().dimmed());
                };
                let text = lines[index].get(line).cloned().unwrap_or_default();
                let style = match row[index].is_null {
                    true => Style::new().dimmed(),
                    false => Style::new(),
                };
                (text, drawing.grid.headings[index].is_numeric, style)
            });
        }
    }

    /// One line. `value` gives the text of a column, whether it stands on the right, and its style.
    fn line(&mut self, value: impl Fn(&Self, Option<usize>) -> (String, bool, Style)) {
        for column in self.layout {
            let width = column.map_or(1, |column| column.width);
            let (text, on_right, style) = value(self, column.map(|column| column.index));
            let text = match cut(&text, width) {
                Some(shorter) => {
                    self.has_cut = true;
                    shorter
                }
                None => text,
            };
            let padding = " ".repeat(width.saturating_sub(text.width()));
            let text = match self.grid.style.colour {
                true => style.paint(text).to_string(),
                false => text,
            };
            let _ = match on_right {
                true => write!(self.text, "│ {padding}{text} "),
                false => write!(self.text, "│ {text}{padding} "),
            };
        }
        self.text.push_str("│\n");
    }
}

/// `text` cut to `width` with an ellipsis, if it is longer.
fn cut(text: &str, width: usize) -> Option<String> {
    if text.width() <= width {
        return None;
    }
    let mut room = width.saturating_sub(1);
    let mut shorter = String::new();
    for c in text.chars() {
        let width = c.width().unwrap_or_default();
        if room < width {
            break;
        }
        room -= width;
        shorter.push(c);
    }
    shorter.push('…');
    Some(shorter)
}

/// `text` in pieces of at most `width`.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = width;
    for c in text.chars() {
        let needed = c.width().unwrap_or_default();
        if room < needed {
            lines.push(String::new());
            room = width;
        }
        room = room.saturating_sub(needed);
        if let Some(line) = lines.last_mut() {
            line.push(c);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn batch(numbers: std::ops::Range<i64>) -> RecordBatch {
        let names = StringArray::from_iter(
            numbers.clone().map(|number| (number != 1).then(|| format!("name {number}"))),
        );
        let numbers = Int64Array::from_iter_values(numbers);
        RecordBatch::try_from_iter([
            ("n", Arc::new(numbers) as ArrayRef),
            ("name", Arc::new(names) as ArrayRef),
        ])
        .unwrap()
    }

    fn style(max_rows: usize, width: Option<usize>) -> TableStyle {
        TableStyle { max_rows, width, colour: false, expanded: false, timing: false }
    }

    fn drawn(batches: &[RecordBatch], style: TableStyle) -> String {
        let writer = Box::new(std::io::sink());
        let mut grid = Grid::new(&batches[0].schema(), style, Instant::now(), writer);
        for batch in batches {
            grid.write(batch).unwrap();
        }
        grid.draw()
    }

    fn strings(values: &[&str]) -> RecordBatch {
        let values = StringArray::from_iter_values(values);
        RecordBatch::try_from_iter([("v", Arc::new(values) as ArrayRef)]).unwrap()
    }

    #[test]
    fn a_table_has_types_and_numbers_on_the_right() {
        let want = "\
┌────────┬────────┐
│      n │ name   │
│ bigint │ string │
├────────┼────────┤
│      0 │ name 0 │
│      1 │ NULL   │
│      2 │ name 2 │
└────────┴────────┘
3 rows
";
        assert_eq!(drawn(&[batch(0..3)], style(40, None)), want);
    }

    #[test]
    fn a_long_result_shows_its_ends_and_says_so() {
        let text = drawn(&[batch(0..1000), batch(1000..1001), batch(1001..1002)], style(5, None));
        let want = "\
│      0 │ name 0    │
│      1 │ NULL      │
│      2 │ name 2    │
│      · │ ·         │
│   1000 │ name 1000 │
│   1001 │ name 1001 │
└────────┴───────────┘
1002 rows (5 shown)
";
        assert!(text.ends_with(want), "{text}");
    }

    #[test]
    fn all_rows_are_shown_where_they_fit_or_zero_is_asked_for() {
        for max_rows in [0, 7, 8] {
            let text = drawn(&[batch(0..3), batch(3..7)], style(max_rows, None));
            assert!(text.ends_with("┘\n7 rows\n") && text.contains("name 4"), "{text}");
        }
    }

    #[test]
    fn long_values_are_cut_and_it_is_said() {
        let text = drawn(&[strings(&["a long value", "日本語日本語日"])], style(40, Some(13)));
        let want = "\
┌───────────┐
│ v         │
│ string    │
├───────────┤
│ a long v… │
│ 日本語日… │
└───────────┘
2 rows, long values cut at …
";
        assert_eq!(text, want);
    }

    #[test]
    fn columns_left_out_are_counted() {
        let columns = (0..9).map(|index| {
            (format!("column_{index}"), Arc::new(Int64Array::from(vec![1])) as ArrayRef)
        });
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let text = drawn(&[batch], style(40, Some(40)));
        assert!(text.ends_with("1 row, 9 columns (3 shown)\n"), "{text}");
        assert!(text.lines().all(|line| line.width() <= 40), "{text}");
    }

    #[test]
    fn lines_of_a_value_are_kept_and_wrapped() {
        let text = drawn(&[strings(&["one\n  two and more"])], style(40, Some(13)));
        assert!(text.contains("│ one       │\n│   two and │\n│  more     │\n"), "{text}");
        assert!(text.ends_with("1 row\n"), "{text}");
    }

    #[test]
    fn nothing_in_a_value_reaches_the_terminal_as_a_command() {
        let text = drawn(&[strings(&["\u{1b}[2J"])], style(40, None));
        assert!(text.contains("\\u{1b}[2J"), "{text}");
    }
}
