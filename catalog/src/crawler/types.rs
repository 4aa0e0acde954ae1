//! Column types: Hive's strings from Arrow's types, and which type holds two others.

use std::fmt;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

const DEPTH_MAX: usize = 32;
/// The type of a column that has no value in any sample.
pub(super) const UNKNOWN: &str = "void";

/// How far types may be widened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Widening {
    /// Whether anything can be a string: where files are text.
    pub(super) to_strings: bool,
    /// Whether a date can be a timestamp.
    pub(super) dates: bool,
}

/// A type of a column, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HiveType {
    Plain(String),
    Array(Box<HiveType>),
    Map(Box<HiveType>, Box<HiveType>),
    Struct(Vec<(String, HiveType)>),
}

/// The type that holds the values of both; `None` if there is none.
pub(super) fn wider(a: &str, b: &str, widening: Widening) -> Option<String> {
    if a.eq_ignore_ascii_case(b) {
        return Some(a.to_owned());
    }
    let (a, b) = (HiveType::parse(a)?, HiveType::parse(b)?);
    Some(a.wider(&b, widening)?.to_string())
}

impl HiveType {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text.trim() };
        let parsed = parser.parse(0)?;
        parser.rest.trim().is_empty().then_some(parsed)
    }

    pub(super) fn plain(name: impl Into<String>) -> Self {
        Self::Plain(name.into())
    }

    pub(super) fn wider(&self, other: &Self, widening: Widening) -> Option<Self> {
        let found = match (self, other) {
            _ if self == other => Some(self.clone()),
            (Self::Plain(void), known) | (known, Self::Plain(void)) if void == UNKNOWN => {
                Some(known.clone())
            }
            (Self::Plain(a), Self::Plain(b)) => wider_plain(a, b, widening).map(Self::Plain),
            (Self::Array(a), Self::Array(b)) => {
                a.wider(b, widening).map(|item| Self::Array(Box::new(item)))
            }
            (Self::Map(ak, av), Self::Map(bk, bv)) => wider_map((ak, av), (bk, bv), widening),
            (Self::Struct(a), Self::Struct(b)) => wider_struct(a, b, widening).map(Self::Struct),
            _ => None,
        };
        found.or_else(|| widening.to_strings.then(|| Self::plain("string")))
    }

    /// The type with `string` where nothing is known.
    pub(super) fn settled(self) -> Self {
        match self {
            Self::Plain(name) if name == UNKNOWN => Self::plain("string"),
            Self::Plain(name) => Self::Plain(name),
            Self::Array(item) => Self::Array(Box::new(item.settled())),
            Self::Map(key, value) => Self::Map(Box::new(key.settled()), Box::new(value.settled())),
            Self::Struct(fields) => Self::Struct(
                fields.into_iter().map(|(name, kind)| (name, kind.settled())).collect(),
            ),
        }
    }
}

fn wider_map(
    a: (&HiveType, &HiveType),
    b: (&HiveType, &HiveType),
    widening: Widening,
) -> Option<HiveType> {
    let (key, value) = (a.0.wider(b.0, widening)?, a.1.wider(b.1, widening)?);
    Some(HiveType::Map(Box::new(key), Box::new(value)))
}

/// Fields by name, those of `a` first.
fn wider_struct(
    a: &[(String, HiveType)],
    b: &[(String, HiveType)],
    widening: Widening,
) -> Option<Vec<(String, HiveType)>> {
    let mut fields = a.to_vec();
    for (name, found) in b {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, kind)) => *kind = kind.wider(found, widening)?,
            None => fields.push((name.clone(), found.clone())),
        }
    }
    Some(fields)
}

fn wider_plain(a: &str, b: &str, widening: Widening) -> Option<String> {
    const INTEGERS: [&str; 4] = ["tinyint", "smallint", "int", "bigint"];
    const UNSIGNED: [&str; 4] = ["uint8", "uint16", "uint32", "uint64"];
    const FLOATS: [&str; 3] = ["float16", "float", "double"];
    for ladder in [INTEGERS.as_slice(), &UNSIGNED, &FLOATS] {
        let rank = |name: &str| ladder.iter().position(|known| *known == name);
        if let (Some(a), Some(b)) = (rank(a), rank(b)) {
            return Some(ladder[a.max(b)].to_owned());
        }
    }
    // The signed type that holds an unsigned one.
    let signed = |name: &str| match name {
        "uint8" => Some("smallint"),
        "uint16" => Some("int"),
        "uint32" => Some("bigint"),
        _ => None,
    };
    if let Some(a) = signed(a) {
        return wider_plain(a, b, widening);
    }
    if let Some(b) = signed(b) {
        return wider_plain(a, b, widening);
    }
    let is_integer = |name: &str| INTEGERS.contains(&name);
    let is_float = |name: &str| FLOATS.contains(&name);
    match (a, b) {
        _ if is_integer(a) && is_float(b) || is_float(a) && is_integer(b) => Some("double".into()),
        _ if decimal(a).is_some() && is_float(b) || is_float(a) && decimal(b).is_some() => {
            Some("double".into())
        }
        ("date", time) | (time, "date") if is_timestamp(time) => {
            widening.dates.then(|| time.to_owned())
        }
        _ if is_timestamp(a) && is_timestamp(b) => wider_timestamp(a, b),
        _ => wider_decimal(a, b),
    }
}

fn wider_decimal(a: &str, b: &str) -> Option<String> {
    let digits = |name: &str| match name {
        "tinyint" => Some((3, 0)),
        "smallint" => Some((5, 0)),
        "int" => Some((10, 0)),
        "bigint" => Some((19, 0)),
        other => decimal(other),
    };
    let ((ap, a_scale), (bp, b_scale)) = (digits(a)?, digits(b)?);
    let scale = a_scale.max(b_scale);
    let precision = (ap - a_scale).max(bp - b_scale) + scale;
    (precision <= 38).then(|| format!("decimal({precision},{scale})"))
}

fn decimal(name: &str) -> Option<(i64, i64)> {
    let inside = name.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inside.split_once(',').unwrap_or((inside, "0"));
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    (1..=76).contains(&precision).then_some(())?;
    (-76..=precision).contains(&scale).then_some((precision, scale))
}

fn is_timestamp(name: &str) -> bool {
    name.starts_with("timestamp")
}

/// The finer of two timestamps of one zone.
fn wider_timestamp(a: &str, b: &str) -> Option<String> {
    let parts = |name: &str| {
        let rest = name.strip_prefix("timestamp")?;
        match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((digits, zone)) => Some((digits.parse::<u8>().ok()?, zone.to_owned())),
            None => Some((6, rest.to_owned())),
        }
    };
    let ((a_digits, a_zone), (b_digits, b_zone)) = (parts(a)?, parts(b)?);
    (a_zone == b_zone).then(|| if a_digits >= b_digits { a.to_owned() } else { b.to_owned() })
}

impl fmt::Display for HiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::Array(item) => write!(f, "array<{item}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (index, (name, kind)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{kind}", quoted(name))?;
                }
                f.write_str(">")
            }
        }
    }
}

fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ' || c == '-');
    if plain { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn parse(&mut self, depth: usize) -> Option<HiveType> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.eat("array<") {
            let item = self.parse(depth + 1)?;
            return self.eat(">").then(|| HiveType::Array(Box::new(item)));
        }
        if self.eat("map<") {
            let key = self.parse(depth + 1)?;
            self.eat(",").then_some(())?;
            let value = self.parse(depth + 1)?;
            return self.eat(">").then(|| HiveType::Map(Box::new(key), Box::new(value)));
        }
        if self.eat("struct<") {
            return self.fields(depth).map(HiveType::Struct);
        }
        self.plain().map(HiveType::Plain)
    }

    fn fields(&mut self, depth: usize) -> Option<Vec<(String, HiveType)>> {
        let mut fields = Vec::new();
        while !self.eat(">") {
            if !fields.is_empty() {
                self.eat(",").then_some(())?;
            }
            let name = self.name()?;
            fields.push((name, self.parse(depth + 1)?));
        }
        Some(fields)
    }

    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let found = rest.get(..token.len()).is_some_and(|start| start.eq_ignore_ascii_case(token));
        if found {
            self.rest = &rest[token.len()..];
        }
        found
    }

    /// A field's name and the colon after it.
    fn name(&mut self) -> Option<String> {
        let rest = self.rest.trim_start();
        let Some(inner) = rest.strip_prefix('`') else {
            let (name, after) = rest.split_once(':')?;
            self.rest = after;
            return Some(name.trim().to_owned());
        };
        let mut name = String::new();
        let mut chars = inner.char_indices().peekable();
        while let Some((index, c)) = chars.next() {
            if c != '`' {
                name.push(c);
            } else if chars.next_if(|(_, next)| *next == '`').is_some() {
                name.push('`');
            } else {
                self.rest = &inner[index + 1..];
                return self.eat(":").then_some(name);
            }
        }
        None
    }

    /// Everything up to what ends a type, but for parentheses.
    fn plain(&mut self) -> Option<String> {
        let rest = self.rest.trim_start();
        let mut depth = 0_usize;
        let end = rest.find(|c: char| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && matches!(c, ',' | '>' | '<')
        });
        let end = end.unwrap_or(rest.len());
        self.rest = &rest[end..];
        let name = rest[..end].trim().to_ascii_lowercase();
        let name = match name.as_str() {
            "integer" => "int".to_owned(),
            "long" => "bigint".to_owned(),
            _ => name,
        };
        (!name.is_empty()).then_some(name)
    }
}

/// The Hive type of an Arrow type; `None` for those that have none.
pub(super) fn of_arrow(data_type: &DataType) -> Option<HiveType> {
    let plain = |name: &str| Some(HiveType::plain(name));
    match data_type {
        DataType::Null => plain(UNKNOWN),
        DataType::Boolean => plain("boolean"),
        DataType::Int8 => plain("tinyint"),
        DataType::Int16 => plain("smallint"),
        DataType::Int32 => plain("int"),
        DataType::Int64 => plain("bigint"),
        DataType::UInt8 => plain("uint8"),
        DataType::UInt16 => plain("uint16"),
        DataType::UInt32 => plain("uint32"),
        DataType::UInt64 => plain("uint64"),
        DataType::Float16 => plain("float16"),
        DataType::Float32 => plain("float"),
        DataType::Float64 => plain("double"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => plain("string"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => plain("binary"),
        DataType::FixedSizeBinary(size) => plain(&format!("binary({size})")),
        DataType::Date32 | DataType::Date64 => plain("date"),
        DataType::Time32(unit) | DataType::Time64(unit) => {
            plain(&format!("time({})", digits(*unit)))
        }
        DataType::Timestamp(unit, zone) => plain(&timestamp(*unit, zone.as_deref())),
        DataType::Duration(unit) => plain(&format!("duration({})", digits(*unit))),
        DataType::Interval(IntervalUnit::YearMonth) => plain("interval year to month"),
        DataType::Interval(IntervalUnit::DayTime) => plain("interval day to second"),
        DataType::Interval(IntervalUnit::MonthDayNano) => plain("interval"),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => {
            plain(&format!("decimal({p},{s})"))
        }
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
            plain(&format!("decimal({p},{s})"))
        }
        DataType::Dictionary(_, value) => of_arrow(value),
        DataType::RunEndEncoded(_, value) => of_arrow(value.data_type()),
        _ => of_nested(data_type),
    }
}

fn of_nested(data_type: &DataType) -> Option<HiveType> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            Some(HiveType::Array(Box::new(of_arrow(item.data_type())?)))
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|f| Some((f.name().clone(), of_arrow(f.data_type())?)));
            Some(HiveType::Struct(fields.collect::<Option<_>>()?))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => Some(HiveType::Map(
                Box::new(of_arrow(fields[0].data_type())?),
                Box::new(of_arrow(fields[1].data_type())?),
            )),
            _ => None,
        },
        _ => None,
    }
}

fn timestamp(unit: TimeUnit, zone: Option<&str>) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_widened_where_nothing_is_lost() {
        let text = Widening { to_strings: true, dates: false };
        let dates = Widening { to_strings: false, dates: true };
        let strict = Widening::default();
        for (a, b, widening, expected) in [
            ("int", "bigint", strict, Some("bigint")),
            ("tinyint", "int", strict, Some("int")),
            ("bigint", "double", strict, Some("double")),
            ("float", "double", strict, Some("double")),
            ("int", "float", strict, Some("double")),
            ("uint32", "int", strict, Some("bigint")),
            ("uint64", "bigint", strict, None),
            ("int", "decimal(10,2)", strict, Some("decimal(12,2)")),
            ("bigint", "decimal(38,10)", strict, Some("decimal(38,10)")),
            ("bigint", "decimal(38,20)", strict, None),
            ("decimal(5,2)", "decimal(7,1)", strict, Some("decimal(8,2)")),
            ("int", "string", strict, None),
            ("int", "string", text, Some("string")),
            ("boolean", "bigint", text, Some("string")),
            ("date", "timestamp", strict, None),
            ("date", "timestamp", dates, Some("timestamp")),
            ("timestamp(3)", "timestamp", strict, Some("timestamp")),
            ("timestamp", "timestamp with time zone", strict, None),
            ("array<int>", "array<bigint>", strict, Some("array<bigint>")),
            ("struct<a:int>", "struct<b:int,a:bigint>", strict, Some("struct<a:bigint,b:int>")),
            ("map<string,int>", "map<string,double>", strict, Some("map<string,double>")),
            ("array<int>", "int", strict, None),
            ("void", "struct<a:int>", strict, Some("struct<a:int>")),
            ("nonsense<", "int", strict, None),
        ] {
            for (a, b) in [(a, b), (b, a)] {
                if !a.starts_with("struct") || !b.starts_with("struct") {
                    assert_eq!(wider(a, b, widening).as_deref(), expected, "{a} {b}");
                }
            }
        }
        let both = wider("struct<a:int>", "struct<b:int,a:bigint>", strict);
        assert_eq!(both.as_deref(), Some("struct<a:bigint,b:int>"));
    }

    #[test]
    fn types_are_read_as_they_are_written() {
        for text in ["decimal(10,2)", "struct<a b:int,`c:d`:array<map<string,timestamp(3)>>>"] {
            assert_eq!(HiveType::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(HiveType::parse("array<int"), None);
        assert_eq!(HiveType::parse(&"array<".repeat(1000)), None);
    }
}
