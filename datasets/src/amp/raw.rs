//! The raw zone of a live-audio app: exports of its database as CSV, and events as they arrive.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::json::LineDelimitedWriter;
use chrono::{DateTime, NaiveDate};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Amp, AmpTable};
use crate::files::Draft;
use crate::{Error, Result};

/// Event tables have it; their files are in a folder for each of its days.
const INGEST_TIME: &str = "ingest_time";
/// The key of these folders.
pub const INGEST_DATE: &str = "ingest_date";

impl Amp {
    /// Writes every table to a folder of its own in `dir`, as files that a lake gets from outside.
    ///
    /// Events are lines of JSON, in gzip, by the day on which they arrived:
    /// `listens/ingest_date=2024-01-01/listens.ndjson.gz`. Other tables are one CSV file with a
    /// header, or lines of JSON where they have lists.
    pub fn write_raw(&self, dir: &Path) -> Result<()> {
        for table in self.tables() {
            let folder = dir.join(table.name);
            match table.schema().column_with_name(INGEST_TIME) {
                Some((ingest_time, _)) => write_events(&table, &folder, ingest_time)?,
                None if has_lists(&table) => write_json(&table, &folder)?,
                None => write_csv(&table, &folder)?,
            }
        }
        Ok(())
    }
}

fn has_lists(table: &AmpTable) -> bool {
    table.schema().fields().iter().any(|field| matches!(field.data_type(), DataType::List(_)))
}

fn write_csv(table: &AmpTable, folder: &Path) -> Result<()> {
    let mut file = RawFile::create(folder, &format!("{}.csv", table.name))?;
    let mut writer = WriterBuilder::new().with_header(true).build(&mut file.out);
    for batch in table.batches() {
        writer.write(&batch).map_err(|error| failed(&file.path, error))?;
    }
    drop(writer);
    file.finish()
}

fn write_json(table: &AmpTable, folder: &Path) -> Result<()> {
    let mut file = RawFile::create(folder, &format!("{}.ndjson", table.name))?;
    for batch in table.batches() {
        file.write_lines(&batch)?;
    }
    file.finish()
}

fn write_events(table: &AmpTable, folder: &Path, ingest_time: usize) -> Result<()> {
    let name = format!("{}.ndjson.gz", table.name);
    let mut days: BTreeMap<NaiveDate, RawFile> = BTreeMap::new();
    for batch in table.batches() {
        for (day, rows) in by_day(&batch, ingest_time) {
            if !days.contains_key(&day) {
                let folder = folder.join(format!("{INGEST_DATE}={day}"));
                days.insert(day, RawFile::create(&folder, &name)?);
            }
            if let Some(file) = days.get_mut(&day) {
                file.write_lines(&rows)?;
            }
        }
    }
    days.into_values().try_for_each(RawFile::finish)
}

/// The rows of each day that is in `batch`.
fn by_day(batch: &RecordBatch, ingest_time: usize) -> Vec<(NaiveDate, RecordBatch)> {
    let times = batch.column(ingest_time).as_primitive::<TimestampMicrosecondType>();
    let days: Vec<NaiveDate> = times
        .values()
        .iter()
        .map(|micros| DateTime::from_timestamp_micros(*micros).unwrap_or_default().date_naive())
        .collect();
    let mut distinct = days.clone();
    distinct.sort();
    distinct.dedup();
    let rows = distinct.into_iter().map(|day| {
        let mask: BooleanArray = days.iter().map(|other| Some(*other == day)).collect();
        let rows = filter_record_batch(batch, &mask).expect("the mask is as long as the batch");
        (day, rows)
    });
    rows.collect()
}

/// A file that appears under its name once it is whole.
struct RawFile {
    path: PathBuf,
    draft: Draft,
    out: Out,
}

enum Out {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

impl RawFile {
    fn create(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let write = |source| Error::Write { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(write)?;
        let (draft, file) = Draft::create(folder, name).map_err(write)?;
        let file = BufWriter::new(file);
        let out = match name.ends_with(".gz") {
            true => Out::Gzip(GzEncoder::new(file, Compression::fast())),
            false => Out::Plain(file),
        };
        Ok(Self { path, draft, out })
    }

    fn write_lines(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut writer = LineDelimitedWriter::new(&mut self.out);
        writer
            .write(batch)
            .and_then(|()| writer.finish())
            .map_err(|error| failed(&self.path, error))
    }

    fn finish(self) -> Result<()> {
        let Self { path, draft, out } = self;
        let flushed = match out {
            Out::Plain(mut file) => file.flush(),
            Out::Gzip(encoder) => encoder.finish().and_then(|mut file| file.flush()),
        };
        flushed.and_then(|()| draft.publish(&path)).map_err(|source| Error::Write { path, source })
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }
}

fn failed(path: &Path, error: arrow::error::ArrowError) -> Error {
    Error::Write { path: path.to_owned(), source: std::io::Error::other(error) }
}
