//! SQL names and ODBC numbers of Arrow types, for metadata commands.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, TimeUnit};
use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// The name of a column's type in SQL.
fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "NULL".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::UInt8 => "TINYINT UNSIGNED".into(),
        DataType::UInt16 => "SMALLINT UNSIGNED".into(),
        DataType::UInt32 => "INT UNSIGNED".into(),
        DataType::UInt64 => "BIGINT UNSIGNED".into(),
        DataType::Float16 | DataType::Float32 => "REAL".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "DECIMAL".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".into(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "BYTEA".into(),
        DataType::Date32 | DataType::Date64 => "DATE".into(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".into(),
        DataType::Timestamp(_, None) => "TIMESTAMP".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".into(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".into(),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeList(..) => "ARRAY".into(),
        DataType::Struct(_) => "STRUCT".into(),
        DataType::Map(..) => "MAP".into(),
        DataType::Dictionary(_, values) => sql_name(values),
        DataType::RunEndEncoded(_, values) => sql_name(values.data_type()),
        DataType::Union(..) => "UNION".into(),
    }
}

/// Digits and scale of a number, or digits of a second's fraction.
fn precision(data_type: &DataType) -> Option<(i32, i32)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some(((*precision).into(), (*scale).into())),
        DataType::Int8 | DataType::UInt8 => Some((3, 0)),
        DataType::Int16 | DataType::UInt16 => Some((5, 0)),
        DataType::Int32 | DataType::UInt32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        DataType::Float16 | DataType::Float32 => Some((7, 0)),
        DataType::Float64 => Some((15, 0)),
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => {
            let digits = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                TimeUnit::Nanosecond => 9,
            };
            Some((digits, digits))
        }
        _ => None,
    }
}

/// `schema` of a table with what Flight SQL says about columns in their metadata.
pub(crate) fn described(schema: &Schema, catalog: &str, database: &str, table: &str) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        metadata.extend(description(field, catalog, database, table));
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

fn description(
    field: &Field,
    catalog: &str,
    database: &str,
    table: &str,
) -> HashMap<String, String> {
    let is_text =
        matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let mut metadata = HashMap::new();
    let mut put = |name: &str, value: String| {
        metadata.insert(format!("ARROW:FLIGHT:SQL:{name}"), value);
    };
    put("CATALOG_NAME", catalog.to_owned());
    put("SCHEMA_NAME", database.to_owned());
    put("TABLE_NAME", table.to_owned());
    put("TYPE_NAME", sql_name(field.data_type()));
    if let Some((precision, scale)) = precision(field.data_type()) {
        put("PRECISION", precision.to_string());
        put("SCALE", scale.to_string());
    }
    put("IS_AUTO_INCREMENT", "0".to_owned());
    put("IS_CASE_SENSITIVE", u8::from(is_text).to_string());
    put("IS_READ_ONLY", "0".to_owned());
    put("IS_SEARCHABLE", "1".to_owned());
    metadata
}

/// The types of columns, as `GetXdbcTypeInfo` lists them.
pub(crate) fn xdbc_types() -> Result<XdbcTypeInfoData> {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    let numbers = [
        (DataType::Int8, XdbcDataType::XdbcTinyint),
        (DataType::Int16, XdbcDataType::XdbcSmallint),
        (DataType::Int32, XdbcDataType::XdbcInteger),
        (DataType::Int64, XdbcDataType::XdbcBigint),
        (DataType::Float32, XdbcDataType::XdbcReal),
        (DataType::Float64, XdbcDataType::XdbcDouble),
    ];
    for (data_type, code) in numbers {
        builder.append(number(&data_type, code));
    }
    builder.append(XdbcTypeInfo {
        create_params: Some(vec!["precision".into(), "scale".into()]),
        column_size: Some(38),
        minimum_scale: Some(0),
        maximum_scale: Some(38),
        fixed_prec_scale: true,
        ..number(&DataType::Decimal128(38, 10), XdbcDataType::XdbcDecimal)
    });
    builder.append(XdbcTypeInfo {
        column_size: Some(1),
        ..plain(&DataType::Boolean, XdbcDataType::XdbcBit)
    });
    builder.append(XdbcTypeInfo {
        case_sensitive: true,
        ..quoted(plain(&DataType::Utf8, XdbcDataType::XdbcVarchar), "'")
    });
    builder.append(quoted(plain(&DataType::Binary, XdbcDataType::XdbcVarbinary), "X'"));
    for (info, size, subcode) in times() {
        builder.append(XdbcTypeInfo { column_size: Some(size), datetime_subcode: subcode, ..info });
    }
    builder.build()
}

fn times() -> [(XdbcTypeInfo, i32, Option<XdbcDatetimeSubcode>); 5] {
    use XdbcDatetimeSubcode as Subcode;
    let (micros, utc) = (TimeUnit::Microsecond, Some("UTC".into()));
    let datetime = |data_type: &DataType, code, prefix| XdbcTypeInfo {
        sql_data_type: XdbcDataType::XdbcDatetime,
        ..quoted(plain(data_type, code), prefix)
    };
    [
        // In ODBC the subcode of a date is 1, which is called `Year` here.
        (
            datetime(&DataType::Date32, XdbcDataType::XdbcDate, "DATE '"),
            10,
            Some(Subcode::XdbcSubcodeYear),
        ),
        (
            datetime(&DataType::Time64(micros), XdbcDataType::XdbcTime, "TIME '"),
            15,
            Some(Subcode::XdbcSubcodeTime),
        ),
        (
            datetime(
                &DataType::Timestamp(micros, None),
                XdbcDataType::XdbcTimestamp,
                "TIMESTAMP '",
            ),
            26,
            Some(Subcode::XdbcSubcodeTimestamp),
        ),
        (
            datetime(&DataType::Timestamp(micros, utc), XdbcDataType::XdbcTimestamp, "TIMESTAMP '"),
            32,
            Some(Subcode::XdbcSubcodeTimestampWithTimezone),
        ),
        (
            quoted(
                plain(&DataType::Interval(IntervalUnit::MonthDayNano), XdbcDataType::XdbcInterval),
                "INTERVAL '",
            ),
            32,
            None,
        ),
    ]
}

fn number(data_type: &DataType, code: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        column_size: precision(data_type).map(|(precision, _)| precision),
        unsigned_attribute: Some(false),
        num_prec_radix: Some(10),
        auto_increment: Some(false),
        ..plain(data_type, code)
    }
}

fn plain(data_type: &DataType, code: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: sql_name(data_type),
        local_type_name: Some(sql_name(data_type)),
        data_type: code,
        sql_data_type: code,
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        ..XdbcTypeInfo::default()
    }
}

fn quoted(info: XdbcTypeInfo, prefix: &str) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_list_can_be_filtered() {
        let types = xdbc_types().unwrap();
        let varchar = XdbcDataType::XdbcVarchar as i32;
        assert_eq!(types.record_batch(varchar).unwrap().num_rows(), 1);
        assert!(10 < types.record_batch(None).unwrap().num_rows());
    }
}
