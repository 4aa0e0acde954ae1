//! Manifests: which files a snapshot has, in Avro.

use std::io::Cursor;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::schema::{AvroSchema, SCHEMA_METADATA_KEY};
use datafusion::common::ScalarValue;
use serde_json::Value;

use crate::{Error, Result};

/// The status of an entry that says that its file is gone.
const DELETED: i64 = 2;

/// A manifest as a manifest list names it.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) path: String,
    pub(super) spec_id: i32,
    /// Whether it lists files of rows that are deleted.
    pub(super) is_of_deletes: bool,
}

/// A file of a snapshot.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) content: Content,
    pub(super) path: String,
    pub(super) format: String,
    pub(super) is_encrypted: bool,
    pub(super) rows: u64,
    pub(super) size: u64,
    /// One for each field of the partition spec.
    pub(super) partition: Vec<ScalarValue>,
    pub(super) nulls: Vec<(i32, u64)>,
    pub(super) nans: Vec<(i32, u64)>,
    pub(super) lower: Vec<(i32, Vec<u8>)>,
    pub(super) upper: Vec<(i32, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Data,
    PositionDeletes,
    EqualityDeletes,
}

/// The manifests in a manifest list.
pub(super) fn manifests(list: &[u8]) -> Result<Vec<Manifest>> {
    let mut found = Vec::new();
    for batch in batches(list)? {
        let record = StructArray::from(batch);
        for row in 0..record.len() {
            found.push(Manifest {
                path: text(&record, "manifest_path", row)?,
                spec_id: i32::try_from(need(number(&record, "partition_spec_id", row))?)
                    .map_err(|_| damaged("a partition spec's id"))?,
                is_of_deletes: number(&record, "content", row).unwrap_or(0) != 0,
            });
        }
    }
    Ok(found)
}

/// The files in a manifest that are there.
pub(super) fn entries(manifest: &[u8]) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    for batch in batches(manifest)? {
        let record = StructArray::from(batch);
        let files = record.column_by_name("data_file").and_then(|column| column.as_struct_opt());
        let Some(files) = files else { return Err(damaged("data_file")) };
        for row in 0..record.len() {
            if need(number(&record, "status", row))? != DELETED {
                found.push(entry(files, row)?);
            }
        }
    }
    Ok(found)
}

fn entry(files: &StructArray, row: usize) -> Result<Entry> {
    let count = |name: &str| {
        let value = need(number(files, name, row))?;
        u64::try_from(value).map_err(|_| damaged(name))
    };
    Ok(Entry {
        content: match number(files, "content", row).unwrap_or(0) {
            0 => Content::Data,
            1 => Content::PositionDeletes,
            2 => Content::EqualityDeletes,
            _ => return Err(damaged("content")),
        },
        path: text(files, "file_path", row)?,
        format: text(files, "file_format", row)?,
        is_encrypted: files.column_by_name("key_metadata").is_some_and(|keys| keys.is_valid(row)),
        rows: count("record_count")?,
        size: count("file_size_in_bytes")?,
        partition: partition(files, row)?,
        nulls: counts(files, "null_value_counts", row),
        nans: counts(files, "nan_value_counts", row),
        lower: bounds(files, "lower_bounds", row),
        upper: bounds(files, "upper_bounds", row),
    })
}

fn partition(files: &StructArray, row: usize) -> Result<Vec<ScalarValue>> {
    let Some(values) = files.column_by_name("partition").and_then(|v| v.as_struct_opt()) else {
        return Ok(Vec::new());
    };
    let values = values.columns().iter();
    Ok(values
        .map(|column| ScalarValue::try_from_array(column, row))
        .collect::<datafusion::common::Result<_>>()?)
}

fn counts(files: &StructArray, name: &str, row: usize) -> Vec<(i32, u64)> {
    let Some((ids, values)) = id_map(files, name, row) else { return Vec::new() };
    let Some(values) = values.as_primitive_opt::<Int64Type>() else { return Vec::new() };
    let pairs = ids.into_iter().zip(values);
    pairs.filter_map(|(id, value)| Some((id?, u64::try_from(value?).ok()?))).collect()
}

fn bounds(files: &StructArray, name: &str, row: usize) -> Vec<(i32, Vec<u8>)> {
    let Some((ids, values)) = id_map(files, name, row) else { return Vec::new() };
    let Some(values) = values.as_binary_opt::<i32>() else { return Vec::new() };
    let pairs = ids.into_iter().zip(values);
    pairs.filter_map(|(id, value)| Some((id?, value?.to_vec()))).collect()
}

/// A map from field ids, which is a list of keys and values.
fn id_map(files: &StructArray, name: &str, row: usize) -> Option<(Vec<Option<i32>>, ArrayRef)> {
    let lists = files.column_by_name(name)?.as_list_opt::<i32>()?;
    if lists.is_null(row) {
        return None;
    }
    let entries = lists.value(row);
    let entries = entries.as_struct_opt()?;
    let ids = entries.column_by_name("key")?.as_primitive_opt::<Int32Type>()?;
    Some((ids.iter().collect(), entries.column_by_name("value")?.clone()))
}

fn batches(file: &[u8]) -> Result<Vec<RecordBatch>> {
    let bad = |error: arrow::error::ArrowError| {
        Error::bad_data(format!("it is no readable manifest: {error}"))
    };
    let mut reader = ReaderBuilder::new().build(Cursor::new(file)).map_err(bad)?;
    let schema = reader.avro_header().get(SCHEMA_METADATA_KEY);
    if let Some(schema) = schema.and_then(without_empty_partition) {
        let wanted = ReaderBuilder::new().with_reader_schema(AvroSchema::new(schema));
        reader = wanted.build(Cursor::new(file)).map_err(bad)?;
    }
    reader.map(|batch| batch.map_err(bad)).collect()
}

/// The schema of a manifest without the partition of a table that has no partitions: a record
/// without fields is more than the reader takes.
fn without_empty_partition(schema: &[u8]) -> Option<String> {
    let mut schema: Value = serde_json::from_slice(schema).ok()?;
    let fields = schema.get_mut("fields")?.as_array_mut()?;
    let file = fields.iter_mut().find(|field| field["name"] == "data_file")?;
    let fields = file.get_mut("type")?.get_mut("fields")?.as_array_mut()?;
    let place = fields.iter().position(|field| field["name"] == "partition")?;
    let is_empty = fields[place]["type"]["fields"].as_array()?.is_empty();
    is_empty.then(|| fields.remove(place))?;
    Some(schema.to_string())
}

fn text(record: &StructArray, name: &str, row: usize) -> Result<String> {
    let column = record.column_by_name(name).ok_or_else(|| damaged(name))?;
    let column = cast(&column.slice(row, 1), &DataType::Utf8)?;
    let column = column.as_string::<i32>();
    if column.is_null(0) { Err(damaged(name)) } else { Ok(column.value(0).to_owned()) }
}

fn number(record: &StructArray, name: &str, row: usize) -> Option<i64> {
    let column = record.column_by_name(name)?;
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Int32 => Some(i64::from(column.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row)),
        _ => None,
    }
}

fn need(number: Option<i64>) -> Result<i64> {
    number.ok_or_else(|| damaged("a number"))
}

fn damaged(what: &str) -> Error {
    Error::bad_data(format!("it is no readable manifest: {what} is missing or wrong"))
}
