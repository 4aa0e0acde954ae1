//! What a Delta log says of a data file: rows, bounds and NULLs, from the file's own footer.

use arrow::datatypes::{DataType, Schema};
use chrono::{DateTime, NaiveDate, TimeDelta};
use datafusion::common::{ColumnStatistics, ScalarValue};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::parquet::file::metadata::ParquetMetaData;
use serde_json::{Map, Value, json};

use crate::Result;

/// Columns that have bounds, as Delta's default says.
const COLUMNS_MAX: usize = 32;
/// Decimals of this many digits are the same as a JSON number.
const EXACT_DIGITS: u8 = 15;

/// The statistics of an `add` action.
pub(crate) fn add_statistics(metadata: &ParquetMetaData, schema: &Schema) -> Result<String> {
    let schema_ref = std::sync::Arc::new(schema.clone());
    let found = DFParquetMetadata::statistics_from_parquet_metadata(metadata, &schema_ref)?;
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    let columns = schema.fields().iter().zip(&found.column_statistics);
    for (field, column) in columns.take(COLUMNS_MAX) {
        if field.data_type().is_nested() {
            continue;
        }
        if let Some((low, high)) = bounds(column) {
            min.insert(field.name().clone(), low);
            max.insert(field.name().clone(), high);
        }
        if let Some(count) = column.null_count.get_value() {
            nulls.insert(field.name().clone(), json!(count));
        }
    }
    let rows = metadata.file_metadata().num_rows();
    let statistics =
        json!({"numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls});
    Ok(statistics.to_string())
}

/// Both bounds, or none: with one alone a reader can do nothing.
fn bounds(column: &ColumnStatistics) -> Option<(Value, Value)> {
    let bound = |value: &datafusion::common::stats::Precision<ScalarValue>| {
        value.get_value().and_then(json_value)
    };
    Some((bound(&column.min_value)?, bound(&column.max_value)?))
}

/// A value as Delta writes it; `None` where it would come back as another.
fn json_value(value: &ScalarValue) -> Option<Value> {
    if value.is_null() {
        return None;
    }
    match value {
        ScalarValue::Boolean(value) => Some(json!(value)),
        ScalarValue::Int8(value) => Some(json!(value)),
        ScalarValue::Int16(value) => Some(json!(value)),
        ScalarValue::Int32(value) => Some(json!(value)),
        ScalarValue::Int64(value) => Some(json!(value)),
        ScalarValue::Float32(Some(value)) => value.is_finite().then(|| json!(value)),
        ScalarValue::Float64(Some(value)) => value.is_finite().then(|| json!(value)),
        ScalarValue::Decimal128(Some(_), precision, _) if *precision <= EXACT_DIGITS => {
            let text = value.cast_to(&DataType::Utf8).ok()?.to_string();
            text.parse::<serde_json::Number>().ok().map(Value::Number)
        }
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => Some(json!(text)),
        ScalarValue::Date32(Some(days)) => {
            let date = NaiveDate::default() + TimeDelta::try_days(i64::from(*days))?;
            Some(json!(date.format("%Y-%m-%d").to_string()))
        }
        ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
            // In milliseconds, cut off, as every writer of Delta does.
            let time = DateTime::from_timestamp_millis(micros.div_euclid(1000))?;
            let format = match zone {
                Some(_) => "%Y-%m-%dT%H:%M:%S%.3fZ",
                None => "%Y-%m-%d %H:%M:%S%.3f",
            };
            Some(json!(time.format(format).to_string()))
        }
        _ => None,
    }
}
