//! The names of types.

use arrow::datatypes::DataType;

/// The name of `data_type`: the catalog's, as DESCRIBE shows it, where the catalog has one.
pub(super) fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Null => "void",
        DataType::Boolean => "boolean",
        DataType::Int8 => "tinyint",
        DataType::Int16 => "smallint",
        DataType::Int32 => "int",
        DataType::Int64 => "bigint",
        DataType::UInt8 => "uint8",
        DataType::UInt16 => "uint16",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float16 | DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "binary",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Interval(_) => "interval",
        DataType::Duration(_) => "duration",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Union(..) => "union",
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            return format!("decimal({precision},{scale})");
        }
        DataType::Dictionary(_, values) => return type_name(values),
        DataType::RunEndEncoded(_, values) => return type_name(values.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            return format!("array<{}>", type_name(item.data_type()));
        }
        DataType::Struct(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|f| format!("{}:{}", f.name(), type_name(f.data_type())));
            return format!("struct<{}>", fields.collect::<Vec<_>>().join(","));
        }
        DataType::Map(entries, _) => {
            return match entries.data_type() {
                DataType::Struct(pair) => {
                    let pair = pair.iter().map(|field| type_name(field.data_type()));
                    format!("map<{}>", pair.collect::<Vec<_>>().join(","))
                }
                other => format!("map<{}>", type_name(other)),
            };
        }
    };
    name.to_owned()
}

/// Whether values of `data_type` stand on the right of their column.
pub(super) fn is_numeric(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_numeric(values),
        other => other.is_numeric(),
    }
}
