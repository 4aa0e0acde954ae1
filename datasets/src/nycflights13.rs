//! Flights from New York City in 2013: five tables of real data, compiled into the program.
//!
//! Source, licence and schemas are in `nycflights13/README.md` beside this crate.

use std::io;
use std::path::Path;

use crate::files;

/// One file of a table, as bytes in the program.
#[derive(Clone, Copy)]
pub struct EmbeddedFile {
    /// Where the file belongs, from the data set's folder, with `/` between the parts.
    pub path: &'static str,
    /// A whole Parquet file.
    pub bytes: &'static [u8],
}

/// A table of the data set. All its files lie under the folder called [`Table::name`].
#[derive(Clone, Copy)]
pub struct Table {
    /// The table's name.
    pub name: &'static str,
    /// What one row is.
    pub comment: &'static str,
    /// The table's files, in partition order.
    pub files: &'static [EmbeddedFile],
    /// The column that is in the names of folders (`month=1`) and not in the files.
    pub partition_by: Option<&'static str>,
}

macro_rules! file {
    ($path:literal) => {
        EmbeddedFile { path: $path, bytes: include_bytes!(concat!("../nycflights13/", $path)) }
    };
}

/// The tables, the big one first.
pub const TABLES: &[Table] = &[
    Table {
        name: "flights",
        comment: "A flight that was to leave New York City in 2013",
        files: &[
            file!("flights/month=1/flights.parquet"),
            file!("flights/month=2/flights.parquet"),
            file!("flights/month=3/flights.parquet"),
            file!("flights/month=4/flights.parquet"),
            file!("flights/month=5/flights.parquet"),
            file!("flights/month=6/flights.parquet"),
            file!("flights/month=7/flights.parquet"),
            file!("flights/month=8/flights.parquet"),
            file!("flights/month=9/flights.parquet"),
            file!("flights/month=10/flights.parquet"),
            file!("flights/month=11/flights.parquet"),
            file!("flights/month=12/flights.parquet"),
        ],
        partition_by: Some("month"),
    },
    Table {
        name: "airlines",
        comment: "An airline and its code",
        files: &[file!("airlines/airlines.parquet")],
        partition_by: None,
    },
    Table {
        name: "airports",
        comment: "An airport in the United States",
        files: &[file!("airports/airports.parquet")],
        partition_by: None,
    },
    Table {
        name: "planes",
        comment: "A plane of the FAA registry, by tail number",
        files: &[file!("planes/planes.parquet")],
        partition_by: None,
    },
    Table {
        name: "weather",
        comment: "An hour of weather at one of the three airports",
        files: &[file!("weather/weather.parquet")],
        partition_by: None,
    },
];

/// Writes every table under `dir`, which is created when it isn't there.
///
/// A file that is there already is replaced. No file is ever seen half written.
pub fn write_to(dir: &Path) -> io::Result<()> {
    for file in TABLES.iter().flat_map(|table| table.files) {
        files::write(&dir.join(file.path), file.bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    fn rows(bytes: &'static [u8]) -> i64 {
        let reader = SerializedFileReader::new(Bytes::from_static(bytes)).unwrap();
        reader.metadata().file_metadata().num_rows()
    }

    fn rows_by_file(table: &str) -> Vec<i64> {
        let table = TABLES.iter().find(|candidate| candidate.name == table).unwrap();
        table.files.iter().map(|file| rows(file.bytes)).collect()
    }

    #[test]
    fn every_row_is_there() {
        let by_month = rows_by_file("flights");
        let expected = [
            27_004, 24_951, 28_834, 28_330, 28_796, 28_243, 29_425, 29_327, 27_574, 28_889, 27_268,
            28_135,
        ];
        assert_eq!(by_month, expected);
        assert_eq!(by_month.iter().sum::<i64>(), 336_776);
        assert_eq!(rows_by_file("airlines"), [16]);
        assert_eq!(rows_by_file("airports"), [1_458]);
        assert_eq!(rows_by_file("planes"), [3_322]);
        assert_eq!(rows_by_file("weather"), [26_115]);
    }

    #[test]
    fn the_partition_column_is_in_the_path_and_not_in_the_file() {
        for table in TABLES {
            for file in table.files {
                assert!(file.path.starts_with(&format!("{}/", table.name)));
                let Some(column) = table.partition_by else { continue };
                assert!(file.path.contains(&format!("/{column}=")));
                let reader = SerializedFileReader::new(Bytes::from_static(file.bytes)).unwrap();
                let schema = reader.metadata().file_metadata().schema_descr_ptr();
                assert!(schema.columns().iter().all(|found| found.name() != column));
            }
        }
    }

    #[test]
    fn the_tree_is_written_as_it_is_embedded() {
        let dir = tempfile::tempdir().unwrap();
        write_to(dir.path()).unwrap();
        write_to(dir.path()).unwrap();
        for file in TABLES.iter().flat_map(|table| table.files) {
            assert_eq!(std::fs::read(dir.path().join(file.path)).unwrap(), file.bytes);
        }
        assert_eq!(std::fs::read_dir(dir.path().join("flights/month=1")).unwrap().count(), 1);
    }
}
