//! File formats: how the files of a table are read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use boathouse_catalog::Format;
use datafusion::common::config::{ConfigFileType, TableOptions};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;

use crate::{Error, Result};

/// Rows of CSV and JSON that types are inferred from.
const INFER_ROWS: usize = 10_000;

/// The format by the name in `STORED AS`.
pub(crate) fn by_name(name: &str) -> Result<Format> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "parquet" => Format::Parquet,
        "csv" => Format::Csv,
        "json" | "ndjson" | "jsonl" => Format::Json,
        "delta" | "deltatable" => Format::Delta,
        _ => {
            return Err(Error::unsupported(format!("files of format \"{name}\""))
                .with_hint("STORED AS takes PARQUET, CSV, JSON or DELTA."));
        }
    })
}

/// The format that a file's name says, under a compression's ending or not.
pub(crate) fn by_extension(path: &str) -> Option<Format> {
    let lower = path.to_ascii_lowercase();
    let bare = [".gz", ".zst", ".bz2", ".xz"]
        .iter()
        .find_map(|ending| lower.strip_suffix(ending))
        .unwrap_or(&lower);
    match bare.rsplit_once('.')?.1 {
        "parquet" | "parq" => Some(Format::Parquet),
        "csv" => Some(Format::Csv),
        "json" | "ndjson" | "jsonl" => Some(Format::Json),
        _ => None,
    }
}

/// How a file is compressed as a whole, by its name.
pub(crate) fn compression(path: &str) -> FileCompressionType {
    match path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("gz") => FileCompressionType::GZIP,
        Some("zst") => FileCompressionType::ZSTD,
        Some("bz2") => FileCompressionType::BZIP2,
        Some("xz") => FileCompressionType::XZ,
        _ => FileCompressionType::UNCOMPRESSED,
    }
}

/// Options as the catalog keeps them: `format.NAME`, checked.
pub(crate) fn options(
    format: Format,
    given: impl IntoIterator<Item = (String, String)>,
    defaults: TableOptions,
) -> Result<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    for (key, value) in given {
        let key = key.to_ascii_lowercase();
        let key = if key.contains('.') { key } else { format!("format.{key}") };
        parameters.insert(key, value);
    }
    reader(format, &parameters, FileCompressionType::UNCOMPRESSED, defaults)?;
    Ok(parameters)
}

/// The reader of a table's files. `parameters` are the table's; those that start with `format.`
/// are the format's options.
pub(crate) fn reader(
    format: Format,
    parameters: &BTreeMap<String, String>,
    compression: FileCompressionType,
    mut options: TableOptions,
) -> Result<Arc<dyn FileFormat>> {
    let given: HashMap<String, String> = parameters
        .iter()
        .filter(|(key, _)| key.starts_with("format."))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    options.set_config_format(match format {
        Format::Csv => ConfigFileType::CSV,
        Format::Json => ConfigFileType::JSON,
        _ => ConfigFileType::PARQUET,
    });
    options.alter_with_string_hash_map(&given).map_err(|error| {
        Error::invalid(format!("bad option of format {}: {error}", format.as_str()))
            .with_hint("For CSV there are format.has_header, format.delimiter, format.quote, …")
    })?;
    Ok(match format {
        Format::Parquet | Format::Delta | Format::Iceberg => {
            // Whether strings are read as views is in the table's schema; the reader follows it.
            Arc::new(ParquetFormat::new().with_options(options.parquet))
        }
        Format::Avro | Format::Orc => {
            return Err(Error::unsupported(format!("reading {format} files")));
        }
        Format::Csv => Arc::new(
            CsvFormat::default()
                .with_options(options.csv)
                .with_schema_infer_max_rec(INFER_ROWS)
                .with_file_compression_type(compression),
        ),
        Format::Json => Arc::new(
            JsonFormat::default()
                .with_options(options.json)
                .with_schema_infer_max_rec(INFER_ROWS)
                .with_file_compression_type(compression),
        ),
    })
}
