//! What a Delta log says of the values in a file.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use serde_json::Value;

use crate::scan::columns::{MappedField, MappedFields};
use crate::scan::files::{Leaves, key_statistics};

/// The columns whose statistics are read, under the names that the log has for them.
pub(super) struct StatisticsReader {
    columns: Vec<(Vec<String>, DataType)>,
    /// Of fields in structs.
    leaves: Vec<(Vec<String>, DataType)>,
}

/// A file's statistics as the log has them.
pub(super) struct FileStatistics {
    /// Rows in the file, deleted ones too.
    pub(super) rows: Option<u64>,
    /// Of the file's columns, and then of the partition keys.
    pub(super) table: Statistics,
    pub(super) leaves: Option<Arc<[ColumnStatistics]>>,
}

impl StatisticsReader {
    pub(super) fn new(schema: &Schema, leaves: &Leaves, mapping: Option<&MappedFields>) -> Self {
        let columns = schema.fields().iter().map(|field| {
            let path = vec![field.name().clone()];
            (path_in_log(&path, mapping), field.data_type().clone())
        });
        let leaves =
            leaves.iter().map(|(path, data_type)| (path_in_log(path, mapping), data_type.clone()));
        Self { columns: columns.collect(), leaves: leaves.collect() }
    }

    /// The statistics in `text`, which JSON that isn't readable is taken as none of. Where rows
    /// are deleted, what is said of all rows is a bound for those that are left.
    pub(super) fn read(
        &self,
        text: Option<&str>,
        values: &[ScalarValue],
        deleted: u64,
    ) -> FileStatistics {
        let json: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
        let said = Said::new(json.as_ref(), deleted);
        let mut columns: Vec<ColumnStatistics> =
            self.columns.iter().map(|(path, data_type)| said.column(path, data_type)).collect();
        let rows = match said.rows.and_then(|rows| rows.checked_sub(deleted)) {
            Some(rows) => Precision::Exact(count(rows)),
            None => Precision::Absent,
        };
        columns.extend(values.iter().map(|value| key_statistics(value, rows)));
        let leaves = (!self.leaves.is_empty()).then(|| {
            self.leaves.iter().map(|(path, data_type)| said.column(path, data_type)).collect()
        });
        let table = Statistics {
            num_rows: rows,
            total_byte_size: Precision::Absent,
            column_statistics: columns,
        };
        FileStatistics { rows: said.rows, table, leaves }
    }
}

/// Structs' fields have statistics under their physical names too.
fn path_in_log(path: &[String], mapping: Option<&MappedFields>) -> Vec<String> {
    let Some(mapping) = mapping else { return path.to_vec() };
    let mut fields: &[MappedField] = &mapping.fields;
    path.iter()
        .map(|name| match fields.iter().find(|field| &field.name == name) {
            Some(field) => {
                fields = &field.inner;
                field.physical.clone()
            }
            None => name.clone(),
        })
        .collect()
}

/// The log's JSON for one file.
struct Said<'a> {
    rows: Option<u64>,
    deleted: u64,
    /// Whether bounds and counts are those of the rows that are there.
    tight: bool,
    min: Option<&'a Value>,
    max: Option<&'a Value>,
    nulls: Option<&'a Value>,
}

impl<'a> Said<'a> {
    fn new(json: Option<&'a Value>, deleted: u64) -> Self {
        let get = |name: &str| json.and_then(|json| json.get(name));
        let tight = deleted == 0 && get("tightBounds").and_then(Value::as_bool) != Some(false);
        Self {
            rows: get("numRecords").and_then(Value::as_u64),
            deleted,
            tight,
            min: get("minValues"),
            max: get("maxValues"),
            nulls: get("nullCount"),
        }
    }

    fn column(&self, path: &[String], data_type: &DataType) -> ColumnStatistics {
        let bound = |group: Option<&Value>, is_max: bool| {
            let value = path.iter().try_fold(group?, |value, name| value.get(name))?;
            let bound = bound(value, data_type, is_max)?;
            Some(if self.tight { bound } else { bound.to_inexact() })
        };
        ColumnStatistics {
            min_value: bound(self.min, false).unwrap_or(Precision::Absent),
            max_value: bound(self.max, true).unwrap_or(Precision::Absent),
            null_count: self.null_count(path),
            ..ColumnStatistics::new_unknown()
        }
    }

    /// Where rows are deleted, only a column of no NULL or of nothing else is sure to stay so.
    fn null_count(&self, path: &[String]) -> Precision<usize> {
        let group = self.nulls;
        let said =
            group.and_then(|group| path.iter().try_fold(group, |value, name| value.get(name)));
        match (said.and_then(Value::as_u64), self.rows) {
            (Some(nulls), _) if self.tight => Precision::Exact(count(nulls)),
            (Some(0), _) => Precision::Exact(0),
            (Some(nulls), Some(rows)) if nulls == rows && rows >= self.deleted => {
                Precision::Exact(count(rows - self.deleted))
            }
            _ => Precision::Absent,
        }
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Delta shortens strings, rounds times to milliseconds and writes decimals as JSON numbers, so
/// the bounds of those are not exact.
fn bound(value: &Value, data_type: &DataType, is_max: bool) -> Option<Precision<ScalarValue>> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        _ => return None,
    };
    let scalar = ScalarValue::try_from_string(text, data_type).ok()?;
    if scalar.is_null() {
        return None;
    }
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32 => {
            Some(Precision::Exact(scalar))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) if is_max => {
            // Written in milliseconds, cut off: the largest value may be up to that much later.
            let ScalarValue::TimestampMicrosecond(Some(micros), _) = scalar else { return None };
            let late = micros.checked_add(999)?;
            Some(Precision::Inexact(ScalarValue::TimestampMicrosecond(Some(late), zone.clone())))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _)
        | DataType::Boolean
        | DataType::Utf8
        | DataType::Utf8View => Some(Precision::Inexact(scalar)),
        // A decimal or float as a JSON number may be rounded to the wrong side.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    fn read(text: &str, deleted: u64) -> FileStatistics {
        let inner = DataType::Struct(vec![Field::new("x", DataType::Int32, true)].into());
        let schema =
            Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("s", inner, true)]);
        let leaves = Leaves::of(&schema);
        let reader = StatisticsReader::new(&schema, &leaves, None);
        reader.read(Some(text), &[ScalarValue::Utf8(None)], deleted)
    }

    const TEXT: &str = r#"{"numRecords": 10, "minValues": {"n": 1, "s": {"x": -3}},
        "maxValues": {"n": 9, "s": {"x": 3}}, "nullCount": {"n": 4, "s": {"x": 10}}}"#;

    #[test]
    fn bounds_of_deleted_rows_are_not_exact() {
        let whole = read(TEXT, 0);
        assert_eq!(whole.table.num_rows, Precision::Exact(10));
        let n = &whole.table.column_statistics[0];
        assert_eq!(n.min_value, Precision::Exact(ScalarValue::Int64(Some(1))));
        assert_eq!(n.null_count, Precision::Exact(4));

        let rest = read(TEXT, 6);
        assert_eq!((rest.rows, rest.table.num_rows), (Some(10), Precision::Exact(4)));
        let n = &rest.table.column_statistics[0];
        assert_eq!(n.max_value, Precision::Inexact(ScalarValue::Int64(Some(9))));
        assert_eq!(n.null_count, Precision::Absent);
        assert_eq!(rest.leaves.unwrap()[0].null_count, Precision::Exact(4));
    }

    #[test]
    fn a_null_partition_has_only_nulls() {
        let key = read(TEXT, 1).table.column_statistics.pop().unwrap();
        assert_eq!((key.null_count, key.min_value), (Precision::Exact(9), Precision::Absent));
    }

    #[test]
    fn nonsense_is_no_statistics() {
        for text in ["", "{", "[]", "7", r#"{"numRecords": -1, "minValues": 3, "nullCount": []}"#] {
            let none = read(text, 0);
            assert_eq!((none.rows, none.table.num_rows), (None, Precision::Absent), "{text}");
        }
        assert_eq!(read(r#"{"numRecords": 1}"#, 2).table.num_rows, Precision::Absent);
    }
}
