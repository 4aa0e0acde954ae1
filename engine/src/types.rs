//! Column types: the catalog's type strings as Arrow types and back.
//!
//! The strings are Hive's and Glue's (`bigint`, `decimal(10,2)`, `array<struct<a:int>>`), with
//! additions for what those cannot say: unsigned integers (`uint32`), a timestamp's precision
//! (`timestamp(3)`; plain `timestamp` has microseconds) and its zone
//! (`timestamp with time zone`, which is UTC, or `timestamp with time zone 'Europe/Berlin'`).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};

use crate::{Error, Result};

/// The catalog's string for an Arrow type. View, large and dictionary types have the string of
/// the plain type, since they differ only in memory.
pub(crate) fn type_string(data_type: &DataType) -> Result<String> {
    Ok(match data_type {
        DataType::Null => "void".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 => "smallint".into(),
        DataType::Int32 => "int".into(),
        DataType::Int64 => "bigint".into(),
        DataType::UInt8 => "uint8".into(),
        DataType::UInt16 => "uint16".into(),
        DataType::UInt32 => "uint32".into(),
        DataType::UInt64 => "uint64".into(),
        DataType::Float16 => "float16".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".into(),
        DataType::FixedSizeBinary(size) => format!("binary({size})"),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("time({})", digits(*unit)),
        DataType::Timestamp(unit, zone) => timestamp_string(*unit, zone.as_deref()),
        DataType::Duration(unit) => format!("duration({})", digits(*unit)),
        DataType::Interval(IntervalUnit::YearMonth) => "interval year to month".into(),
        DataType::Interval(IntervalUnit::DayTime) => "interval day to second".into(),
        DataType::Interval(IntervalUnit::MonthDayNano) => "interval".into(),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => format!("decimal({p},{s})"),
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => format!("decimal({p},{s})"),
        DataType::Dictionary(_, value) => type_string(value)?,
        DataType::RunEndEncoded(_, value) => type_string(value.data_type())?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("array<{}>", type_string(item.data_type())?),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|f| Ok(format!("{}:{}", quoted(f.name()), type_string(f.data_type())?)))
                .collect::<Result<_>>()?;
            format!("struct<{}>", fields.join(","))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => format!(
                "map<{},{}>",
                type_string(fields[0].data_type())?,
                type_string(fields[1].data_type())?
            ),
            other => return Err(Error::bad_data(format!("a map with entries of type {other}"))),
        },
        other => return Err(Error::unsupported(format!("columns of type {other}"))),
    })
}

fn timestamp_string(unit: TimeUnit, zone: Option<&str>) -> String {
    let precision = match unit {
        TimeUnit::Microsecond => String::new(),
        unit => format!("({})", digits(unit)),
    };
    match zone {
        None => format!("timestamp{precision}"),
        Some("UTC" | "+00:00" | "Z") => format!("timestamp{precision} with time zone"),
        Some(zone) => format!("timestamp{precision} with time zone '{zone}'"),
    }
}

fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ' || c == '-');
    if plain { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

/// The Arrow type of a catalog string. Unknown strings are an error that names them.
pub(crate) fn arrow_type(text: &str) -> Result<DataType> {
    let mut parser = TypeParser { rest: text.trim(), whole: text };
    let found = parser.data_type()?;
    if parser.rest.trim().is_empty() { Ok(found) } else { Err(parser.error()) }
}

struct TypeParser<'a> {
    rest: &'a str,
    whole: &'a str,
}

impl TypeParser<'_> {
    fn error(&self) -> Error {
        Error::invalid(format!("\"{}\" is not a column type", self.whole)).with_hint(
            "Types are boolean, tinyint, smallint, int, bigint, float, double, decimal(p,s), \
             string, binary, date, timestamp, array<…>, map<…,…> and struct<name:type,…>.",
        )
    }

    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let found = rest.get(..token.len()).is_some_and(|start| start.eq_ignore_ascii_case(token));
        if found {
            self.rest = &rest[token.len()..];
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        if self.eat(token) { Ok(()) } else { Err(self.error()) }
    }

    fn word(&mut self) -> String {
        let rest = self.rest.trim_start();
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.rest = &rest[end..];
        rest[..end].to_ascii_lowercase()
    }

    fn name(&mut self) -> Result<String> {
        let rest = self.rest.trim_start();
        if let Some(inner) = rest.strip_prefix('`') {
            let mut name = String::new();
            let mut chars = inner.char_indices().peekable();
            while let Some((index, c)) = chars.next() {
                if c != '`' {
                    name.push(c);
                } else if chars.peek().is_some_and(|(_, next)| *next == '`') {
                    chars.next();
                    name.push('`');
                } else {
                    self.rest = &inner[index + 1..];
                    return Ok(name);
                }
            }
            return Err(self.error());
        }
        let end = rest.find(':').ok_or_else(|| self.error())?;
        self.rest = &rest[end..];
        Ok(rest[..end].trim().to_owned())
    }

    /// `(a, b)`, or nothing where it isn't there.
    fn numbers(&mut self) -> Result<Vec<i64>> {
        let mut numbers = Vec::new();
        if !self.eat("(") {
            return Ok(numbers);
        }
        loop {
            let rest = self.rest.trim_start();
            let end = rest
                .find(|c: char| !(c.is_ascii_digit() || c == '-'))
                .ok_or_else(|| self.error())?;
            numbers.push(rest[..end].parse().map_err(|_| self.error())?);
            self.rest = &rest[end..];
            if self.eat(")") {
                return Ok(numbers);
            }
            self.expect(",")?;
        }
    }

    fn unit(&mut self) -> Result<TimeUnit> {
        Ok(match self.numbers()?.first() {
            Some(0) => TimeUnit::Second,
            Some(1..=3) => TimeUnit::Millisecond,
            None | Some(4..=6) => TimeUnit::Microsecond,
            Some(7..=9) => TimeUnit::Nanosecond,
            Some(_) => return Err(self.error()),
        })
    }

    fn data_type(&mut self) -> Result<DataType> {
        let word = self.word();
        Ok(match word.as_str() {
            "void" | "null" => DataType::Null,
            "boolean" | "bool" => DataType::Boolean,
            "tinyint" | "byte" => DataType::Int8,
            "smallint" | "short" => DataType::Int16,
            "int" | "integer" => DataType::Int32,
            "bigint" | "long" => DataType::Int64,
            "uint8" => DataType::UInt8,
            "uint16" => DataType::UInt16,
            "uint32" => DataType::UInt32,
            "uint64" => DataType::UInt64,
            "float16" => DataType::Float16,
            "float" | "real" => DataType::Float32,
            "double" => DataType::Float64,
            "string" => DataType::Utf8,
            "varchar" | "char" => {
                self.numbers()?;
                DataType::Utf8
            }
            "binary" => match self.numbers()?.first() {
                Some(size) => DataType::FixedSizeBinary(*size as i32),
                None => DataType::Binary,
            },
            "date" => DataType::Date32,
            "time" => match self.unit()? {
                unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
                unit => DataType::Time64(unit),
            },
            "timestamp" => self.timestamp()?,
            "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "duration" => DataType::Duration(self.unit()?),
            "interval" => self.interval(),
            "decimal" | "numeric" => self.decimal()?,
            "array" => {
                self.expect("<")?;
                let item = self.data_type()?;
                self.expect(">")?;
                DataType::List(Arc::new(Field::new("item", item, true)))
            }
            "map" => self.map()?,
            "struct" => self.structure()?,
            _ => return Err(self.error()),
        })
    }

    fn timestamp(&mut self) -> Result<DataType> {
        let unit = self.unit()?;
        let zoned = self.eat("with time zone") || self.eat("with local time zone");
        if !zoned {
            return Ok(DataType::Timestamp(unit, None));
        }
        let rest = self.rest.trim_start();
        let zone = match rest.strip_prefix('\'').and_then(|inner| inner.split_once('\'')) {
            Some((zone, after)) => {
                self.rest = after;
                zone
            }
            None => "UTC",
        };
        Ok(DataType::Timestamp(unit, Some(zone.into())))
    }

    fn interval(&mut self) -> DataType {
        if self.eat("year to month") {
            DataType::Interval(IntervalUnit::YearMonth)
        } else if self.eat("day to second") {
            DataType::Interval(IntervalUnit::DayTime)
        } else {
            DataType::Interval(IntervalUnit::MonthDayNano)
        }
    }

    fn decimal(&mut self) -> Result<DataType> {
        let numbers = self.numbers()?;
        let precision = numbers.first().copied().unwrap_or(10);
        let scale = numbers.get(1).copied().unwrap_or(0);
        let scale = i8::try_from(scale).map_err(|_| self.error())?;
        match u8::try_from(precision) {
            Ok(precision @ 1..=38) => Ok(DataType::Decimal128(precision, scale)),
            Ok(precision @ 39..=76) => Ok(DataType::Decimal256(precision, scale)),
            _ => Err(self.error()),
        }
    }

    fn map(&mut self) -> Result<DataType> {
        self.expect("<")?;
        let key = self.data_type()?;
        self.expect(",")?;
        let value = self.data_type()?;
        self.expect(">")?;
        let fields =
            Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
        let entries = Field::new("key_value", DataType::Struct(fields), false);
        Ok(DataType::Map(Arc::new(entries), false))
    }

    fn structure(&mut self) -> Result<DataType> {
        self.expect("<")?;
        let mut fields: Vec<FieldRef> = Vec::new();
        while !self.eat(">") {
            if !fields.is_empty() {
                self.expect(",")?;
            }
            let name = self.name()?;
            self.expect(":")?;
            fields.push(Arc::new(Field::new(name, self.data_type()?, true)));
        }
        Ok(DataType::Struct(fields.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_comes_back() {
        for text in [
            "boolean",
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "uint8",
            "uint64",
            "float",
            "double",
            "string",
            "binary",
            "binary(16)",
            "date",
            "time(6)",
            "timestamp",
            "timestamp(9)",
            "timestamp with time zone",
            "timestamp(3) with time zone 'Europe/Berlin'",
            "decimal(10,2)",
            "decimal(76,0)",
            "interval",
            "array<int>",
            "map<string,array<int>>",
            "struct<a:int,b c:struct<`d:e`:string>>",
            "duration(9)",
        ] {
            let data_type = arrow_type(text).unwrap();
            assert_eq!(type_string(&data_type).unwrap(), text);
        }
    }

    #[test]
    fn nonsense_is_an_error_that_names_it() {
        for text in ["intt", "array<int", "decimal(99,0)", "map<int>", "struct<a>", "int int", ""] {
            let error = arrow_type(text).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
