//! Samples of files: what a file is, from its footer or its first megabyte.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaDataReader;

use super::codec::Codec;
use super::csv::{self, Hints};
use super::listing::by_name;
use super::schema::{Shape, column};
use super::{avro, json, orc, types};
use crate::{Column, Format};

/// What is read of the start of a file.
const HEAD: u64 = 1 << 20;
/// What holds most Parquet footers.
const FOOTER: u64 = 64 << 10;
/// A footer that is longer isn't read.
const FOOTER_MAX: u64 = 64 << 20;

/// Reads samples, and counts what it reads.
pub(super) struct Sampler {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) csv: Hints,
    pub(super) files: AtomicU64,
    pub(super) bytes: AtomicU64,
}

impl Sampler {
    pub(super) fn new(store: Arc<dyn ObjectStore>, csv: Hints) -> Self {
        Self { store, csv, files: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    /// What a file is, or why that isn't known.
    pub(super) async fn shape(&self, path: &Path, size: u64) -> Result<Shape, String> {
        self.files.fetch_add(1, Ordering::Relaxed);
        let (named, ending) = by_name(path.filename().unwrap_or_default());
        if named == Some(Format::Parquet) {
            // The end first: that is all that is needed if the name is right.
            let tail = self.read(path, size.saturating_sub(FOOTER), size).await?;
            if tail.ends_with(b"PAR1") {
                return self.parquet(path, size, tail).await;
            }
        }
        let head = self.read(path, 0, size.min(HEAD)).await?;
        match &head[..] {
            [b'P', b'A', b'R', b'1', ..] => {
                let tail = self.read(path, size.saturating_sub(FOOTER), size).await?;
                self.parquet(path, size, tail).await
            }
            [b'O', b'R', b'C', ..] => {
                let tail = self.read(path, size.saturating_sub(orc::TAIL), size).await?;
                Ok(orc::recognise(&tail))
            }
            _ => match avro::recognise(&head) {
                Some(shape) => Ok(shape),
                None => {
                    let is_named = named == Some(Format::Csv) || ending.starts_with(".tsv");
                    self.text(&head, is_named, (head.len() as u64) == size)
                }
            },
        }
    }

    /// Bytes of a file; what goes wrong as a text.
    pub(super) async fn read(&self, path: &Path, start: u64, end: u64) -> Result<Bytes, String> {
        let bytes = self.store.get_range(path, start..end).await;
        let bytes =
            bytes.map_err(|error| format!("it cannot be read: {}", crate::chain(&error)))?;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    async fn parquet(&self, path: &Path, size: u64, tail: Bytes) -> Result<Shape, String> {
        let broken = |fault: &str| format!("it is no whole Parquet file: {fault}");
        let length = tail.len();
        let end = length.checked_sub(8).ok_or_else(|| broken("it is too short"))?;
        if &tail[end + 4..] != b"PAR1" {
            return Err(broken("its end is missing, or it is encrypted"));
        }
        let footer =
            u64::from(u32::from_le_bytes([tail[end], tail[end + 1], tail[end + 2], tail[end + 3]]));
        if footer + 8 > size || footer > FOOTER_MAX {
            return Err(broken("the length of its footer is wrong"));
        }
        let footer = match end.checked_sub(footer as usize) {
            Some(start) => tail.slice(start..end),
            None => self.read(path, size - 8 - footer, size - 8).await?,
        };
        let metadata = ParquetMetaDataReader::decode_metadata(&footer)
            .map_err(|error| broken(&error.to_string()))?;
        let file = metadata.file_metadata();
        let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())
            .map_err(|error| broken(&error.to_string()))?;
        let columns = schema
            .fields()
            .iter()
            .filter_map(|field| Some(column(field.name(), types::of_arrow(field.data_type())?)));
        let columns: Vec<Column> = columns.collect();
        let is_whole = columns.len() == schema.fields().len();
        let mut shape = Shape::new(Format::Parquet, columns);
        shape.remark = (!is_whole).then(|| "columns of types without a name are left out".into());
        Ok(shape)
    }

    fn text(&self, head: &[u8], is_named: bool, is_whole: bool) -> Result<Shape, String> {
        let codec = Codec::of(head);
        let unreadable = || format!("its {} compression cannot be read", codec.as_str());
        let sample = codec.decompress(head, HEAD as usize).ok_or_else(unreadable)?;
        let is_whole = is_whole && (sample.len() as u64) < HEAD;
        let text = valid_start(&sample).ok_or("it is neither a known format nor UTF-8 text")?;
        let hints = Hints { is_named, is_whole, ..self.csv.clone() };
        let shape = json::recognise(text).or_else(|| csv::recognise(text, &hints));
        let mut shape = shape.ok_or("its content is of no known format")?;
        shape.codec = codec;
        Ok(shape)
    }
}

/// The text up to a character that is cut at the end; `None` if it is none.
fn valid_start(bytes: &[u8]) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}
