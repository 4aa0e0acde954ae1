//! What can go wrong with sample data.

use std::io;
use std::path::PathBuf;

use parquet::errors::ParquetError;

/// The result of writing sample data.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Sample data that could not be made: one variant for each thing a caller may do about it.
///
/// A message names the object and the fact, and leaves out its source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No data set has this size: tell the user.
    #[error("{0} is not a scale: it must be a number above 0, and at most {max}", max = crate::tpch::SCALE_MAX)]
    InvalidScale(f64),

    /// The folder or a file in it cannot be written: tell the user, or retry elsewhere.
    #[error("could not write \"{}\"", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },

    /// The rows could not be encoded: a bug of ours, or a full disk.
    #[error("could not encode \"{}\"", path.display())]
    Encode {
        /// The file they were meant for.
        path: PathBuf,
        /// Why.
        #[source]
        source: ParquetError,
    },
}
