//! Sample data on disk, without the rest of Boathouse.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use boathouse_datasets::amp::Amp;
use boathouse_datasets::{Error, Result, files, nycflights13, tpch};
use clap::{Parser, Subcommand};

/// Writes sample tables as Parquet: one folder a table.
#[derive(Parser)]
#[command(name = "boathouse-datasets", version)]
struct Arguments {
    #[command(subcommand)]
    data_set: DataSet,
}

#[derive(Subcommand)]
enum DataSet {
    /// Flights from New York City in 2013: real data.
    Nycflights13 {
        /// The folder to write to; it is created if need be.
        dir: PathBuf,
    },
    /// A live-audio app: users, shows, and events, some of which come late or twice.
    Amp {
        /// Another seed gives other data.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// At 1, about 300,000 listens by 20,000 users.
        #[arg(long, default_value_t = 1.0, value_parser = scale)]
        scale: f64,
        /// Write CSV and JSON as a raw zone has them, instead of Parquet.
        #[arg(long)]
        raw: bool,
        /// The folder to write to; it is created if need be.
        dir: PathBuf,
    },
    /// The TPC-H benchmark's tables.
    Tpch {
        /// At 1, about 1 GB before compression.
        #[arg(long, default_value_t = 1.0, value_parser = scale)]
        scale: f64,
        /// The folder to write to; it is created if need be.
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().data_set) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("error: {error}");
            let mut cause = error.source();
            while let Some(source) = cause {
                eprint!(": {source}");
                cause = source.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn run(data_set: DataSet) -> Result<()> {
    let mut progress = Progress::start();
    match data_set {
        DataSet::Nycflights13 { dir } => {
            nycflights13::write_to(&dir).map_err(|source| Error::Write { path: dir, source })
        }
        DataSet::Amp { seed, scale, raw: true, dir } => Amp::new(seed, scale).write_raw(&dir),
        DataSet::Amp { seed, scale, raw: false, dir } => {
            write_amp(&Amp::new(seed, scale), &dir, &mut progress)
        }
        DataSet::Tpch { scale, dir } => write_tpch(scale, &dir, &mut progress),
    }
}

fn write_amp(amp: &Amp, dir: &Path, progress: &mut Progress) -> Result<()> {
    for table in amp.tables() {
        let batches = table.batches().inspect(|batch| progress.add(table.name, batch.num_rows()));
        files::write_table(dir, table.name, table.schema(), batches)?;
    }
    Ok(())
}

fn write_tpch(scale: f64, dir: &Path, progress: &mut Progress) -> Result<()> {
    for name in tpch::TABLES {
        let (Some(schema), Some(batches)) = (tpch::schema(name), tpch::batches(name, scale, 1, 1))
        else {
            return Err(Error::InvalidScale(scale));
        };
        let batches = batches.inspect(|batch| progress.add(name, batch.num_rows()));
        files::write_table(dir, name, schema, batches)?;
    }
    Ok(())
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if scale > 0.0 && scale <= tpch::SCALE_MAX {
        Ok(scale)
    } else {
        Err(Error::InvalidScale(scale).to_string())
    }
}

/// Rows written so far, on stderr, for who has been waiting long enough to wonder.
struct Progress {
    next_line: Instant,
    table: &'static str,
    rows: usize,
}

impl Progress {
    const INTERVAL: Duration = Duration::from_secs(2);

    fn start() -> Self {
        Self { next_line: Instant::now() + Self::INTERVAL, table: "", rows: 0 }
    }

    fn add(&mut self, table: &'static str, rows: usize) {
        if self.table != table {
            self.table = table;
            self.rows = 0;
        }
        self.rows += rows;
        if Instant::now() >= self.next_line {
            eprintln!("{table}: {} rows", self.rows);
            self.next_line = Instant::now() + Self::INTERVAL;
        }
    }
}
