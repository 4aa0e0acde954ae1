//! How results are written: one module for each format.

mod arrow_ipc;
mod cells;
mod csv;
mod expanded;
mod grid;
mod json;
mod layout;
mod markdown;
mod parquet;
mod place;
mod types;

use std::path::Path;
use std::time::Instant;

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;
use clap::ValueEnum;

pub(crate) use cells::printable;
pub(crate) use place::{Place, Writer};

use crate::failure::{Failure, Result};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people; long results are shortened, which is said below
    Table,
    /// Comma-separated values as in RFC 4180, with a header line
    Csv,
    /// One array of objects
    Json,
    /// One object on each line
    #[value(alias = "jsonl")]
    Ndjson,
    /// A Markdown table
    Markdown,
    /// Arrow IPC: the stream form on standard output, the file form with -o
    Arrow,
    /// A Parquet file
    Parquet,
}

impl Format {
    /// The format that a file's name asks for.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "md" | "markdown" => Some(Self::Markdown),
            "arrow" | "feather" | "ipc" => Some(Self::Arrow),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// Whether a file of this format ends where its first result does.
    fn holds_one_result(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }
}

/// How a table for people is drawn.
#[derive(Clone, Debug)]
pub(crate) struct TableStyle {
    /// Rows to show of a longer result; 0 for all.
    pub(crate) max_rows: usize,
    /// Columns of the terminal; None where lines may be of any length.
    pub(crate) width: Option<usize>,
    /// Whether to use colours.
    pub(crate) colour: bool,
    /// Whether to show one value on each line.
    pub(crate) expanded: bool,
    /// Whether to tell how long it took.
    pub(crate) timing: bool,
}

/// Takes the batches of one result.
pub(crate) trait Sink {
    /// Takes the next batch.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what is left.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Where results go, and how.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    place: Place,
    results: usize,
}

impl Output {
    /// Writes results as `format` to `place`.
    pub(crate) fn new(format: Format, place: Place) -> Result<Self> {
        if format == Format::Parquet && place.is_terminal() {
            return Err(Failure::Usage(
                "a Parquet file is not for the terminal; name a file with -o".to_owned(),
            ));
        }
        Ok(Self { format, place, results: 0 })
    }

    /// Whether a person reads the results as they come.
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Whether any result has been written.
    pub(crate) fn has_results(&self) -> bool {
        0 < self.results
    }

    /// Fails if one more result would not fit.
    pub(crate) fn check_room(&self) -> Result<()> {
        if self.has_results() && self.format.holds_one_result() {
            return Err(Failure::Failed(format!(
                "{} holds one result, and an earlier statement has filled it",
                match self.format {
                    Format::Arrow => "an Arrow stream or file",
                    _ => "a Parquet file",
                }
            )));
        }
        Ok(())
    }

    /// Begins the next result, which began to be computed at `started`.
    pub(crate) fn begin(
        &mut self,
        schema: &SchemaRef,
        style: &TableStyle,
        started: Instant,
    ) -> Result<Box<dyn Sink + Send>> {
        self.check_room()?;
        let is_first = !self.has_results();
        self.results += 1;
        let writer = self.place.writer()?;
        Ok(match self.format {
            Format::Table if style.expanded => {
                Box::new(expanded::Expanded::new(schema, style.clone(), started, writer))
            }
            Format::Table => Box::new(grid::Grid::new(schema, style.clone(), started, writer)),
            Format::Csv => Box::new(csv::Csv::new(schema, writer)?),
            Format::Json => Box::new(json::Array::new(writer)),
            Format::Ndjson => Box::new(json::Lines::new(writer)),
            Format::Markdown => Box::new(markdown::Markdown::new(schema, writer, is_first)?),
            Format::Arrow if self.place.is_file() => {
                Box::new(arrow_ipc::File::new(schema, writer)?)
            }
            Format::Arrow => Box::new(arrow_ipc::Stream::new(schema, writer)?),
            Format::Parquet => Box::new(parquet::Parquet::new(schema, writer)?),
        })
    }

    /// Puts a file in its place, whole. Without this, none appears.
    pub(crate) fn commit(self) -> Result<()> {
        self.place.commit()
    }
}

/// A writer's failure: the reader of a pipe that has gone is not worth a message.
fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::BrokenPipe
        {
            return Failure::PipeClosed;
        }
        cause = error.source();
    }
    Failure::Failed(format!("could not write the result: {error}"))
}

/// For `map_err`.
fn write_error(error: impl std::error::Error + 'static) -> Failure {
    failed(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_tells_the_format() {
        let format = |name: &str| Format::of_file(Path::new(name));
        assert_eq!(format("a.CSV"), Some(Format::Csv));
        assert_eq!(format("x/a.jsonl"), Some(Format::Ndjson));
        assert_eq!(format("a.txt"), None);
    }

    #[test]
    fn a_closed_pipe_is_recognised_through_its_wrappers() {
        let io = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(write_error(io()), Failure::PipeClosed);
        let arrow = ::arrow::error::ArrowError::IoError(String::new(), io());
        assert_eq!(write_error(arrow), Failure::PipeClosed);
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert!(matches!(write_error(full), Failure::Failed(_)));
    }
}
