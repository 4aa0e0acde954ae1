//! Bounds of a column's values, as Iceberg's manifests write them.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;

/// The value that `bytes` say of a column of type `data_type`, if it is of a type whose bounds are
/// used. A column whose type was widened has bounds of the narrow type in old files.
pub(super) fn decode(bytes: &[u8], data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Int32 => ScalarValue::Int32(Some(i32::from_le_bytes(bytes.try_into().ok()?))),
        DataType::Int64 => ScalarValue::Int64(Some(long(bytes)?)),
        DataType::Float32 => float(f32::from_le_bytes(bytes.try_into().ok()?))?,
        DataType::Float64 => double(bytes)?,
        DataType::Date32 => ScalarValue::Date32(Some(i32::from_le_bytes(bytes.try_into().ok()?))),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            ScalarValue::TimestampMicrosecond(Some(eight(bytes)?), zone.clone())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            ScalarValue::TimestampNanosecond(Some(eight(bytes)?), zone.clone())
        }
        DataType::Utf8 => ScalarValue::Utf8(Some(text(bytes)?)),
        DataType::Utf8View => ScalarValue::Utf8View(Some(text(bytes)?)),
        _ => return None,
    })
}

fn long(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        _ => eight(bytes),
    }
}

fn eight(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_le_bytes(bytes.try_into().ok()?))
}

fn float(value: f32) -> Option<ScalarValue> {
    (!value.is_nan()).then_some(ScalarValue::Float32(Some(value)))
}

fn double(bytes: &[u8]) -> Option<ScalarValue> {
    let value = match bytes.len() {
        4 => f64::from(f32::from_le_bytes(bytes.try_into().ok()?)),
        _ => f64::from_le_bytes(bytes.try_into().ok()?),
    };
    (!value.is_nan()).then_some(ScalarValue::Float64(Some(value)))
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_narrow_type_are_widened() {
        let wide = decode(&(-7i32).to_le_bytes(), &DataType::Int64);
        assert_eq!(wide, Some(ScalarValue::Int64(Some(-7))));
        let wide = decode(&1.5f32.to_le_bytes(), &DataType::Float64);
        assert_eq!(wide, Some(ScalarValue::Float64(Some(1.5))));
    }

    #[test]
    fn what_is_no_bound_is_none() {
        for (bytes, data_type) in [
            (&[1u8, 2][..], DataType::Int32),
            (&[], DataType::Int64),
            (&[0xff, 0xfe], DataType::Utf8),
            (&f64::NAN.to_le_bytes(), DataType::Float64),
            (&[1], DataType::Binary),
        ] {
            assert_eq!(decode(bytes, &data_type), None, "{data_type}");
        }
    }
}
