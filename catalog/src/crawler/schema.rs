//! Schemas of samples: whether two are of one table, and what holds both.

use std::collections::{HashMap, HashSet};

use super::codec::Codec;
use super::types::{HiveType, UNKNOWN, Widening, wider};
use crate::{Column, Format};

/// How many of the columns must be in both schemas.
const COMMON_MIN: f64 = 0.7;
/// How many columns of the longer schema must be in both.
const COMMON_OF_LONGER_MIN: f64 = 0.5;

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) format: Format,
    pub(super) codec: Codec,
    pub(super) columns: Vec<Column>,
    /// How the text is laid out, for CSV.
    pub(super) csv: Option<Dialect>,
    /// Whether it is one array of JSON objects.
    pub(super) is_json_array: bool,
    /// What a person should know of it.
    pub(super) remark: Option<String>,
}

/// How CSV is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: char,
    pub(super) quote: char,
    pub(super) has_header: bool,
    /// Whether values are in quotes.
    pub(super) is_quoted: bool,
    pub(super) has_newlines: bool,
}

/// A column whose type isn't the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clash {
    pub(super) column: String,
    pub(super) location: String,
    pub(super) kept: String,
    pub(super) found: String,
    pub(super) is_widened: bool,
    pub(super) reason: String,
}

impl Shape {
    pub(super) fn new(format: Format, columns: Vec<Column>) -> Self {
        let columns = without_doubles(columns);
        Self { format, codec: Codec::None, columns, csv: None, is_json_array: false, remark: None }
    }

    /// Whether files of both can be files of one table; if not, why not.
    pub(super) fn is_compatible(&self, other: &Self) -> Result<(), String> {
        if self.format != other.format {
            return Err(format!("one is {}, the other {}", self.format, other.format));
        }
        if (self.codec == Codec::Snappy) != (other.codec == Codec::Snappy) {
            let (a, b) = (self.codec.as_str(), other.codec.as_str());
            return Err(format!("one is compressed with {a}, the other with {b}"));
        }
        if self.is_json_array != other.is_json_array {
            return Err("one is an array of JSON objects, the other a line an object".into());
        }
        match (&self.csv, &other.csv) {
            (Some(a), Some(b)) if a.delimiter != b.delimiter || a.has_header != b.has_header => {
                return Err("their delimiters or headers differ".into());
            }
            _ => {}
        }
        similar(&self.columns, &other.columns)
    }

    /// Takes `other` in: columns by name, types widened; says what didn't fit.
    pub(super) fn merge(&mut self, other: &Self, location: &str, dates: bool) -> Vec<Clash> {
        let widening = self.widening(dates);
        if self.csv.is_some() && !is_prefix(&self.columns, &other.columns) {
            return vec![order_clash(&self.columns, &other.columns, location)];
        }
        if let (Some(mine), Some(theirs)) = (&mut self.csv, &other.csv) {
            mine.is_quoted |= theirs.is_quoted;
            mine.has_newlines |= theirs.has_newlines;
        }
        let mut clashes = Vec::new();
        for column in &other.columns {
            let known =
                self.columns.iter_mut().find(|known| known.name.eq_ignore_ascii_case(&column.name));
            let Some(known) = known else {
                self.columns.push(column.clone());
                continue;
            };
            clashes.extend(join(known, column, location, widening));
        }
        clashes
    }

    pub(super) fn widening(&self, dates: bool) -> Widening {
        Widening { to_strings: is_text(self.format), dates }
    }

    /// The columns with `string` for those that have no value anywhere.
    pub(super) fn settle(&mut self) {
        for column in &mut self.columns {
            column.data_type = settled(&column.data_type);
        }
    }
}

/// Whether the files are text, in which any value can be a string.
pub(super) fn is_text(format: Format) -> bool {
    matches!(format, Format::Csv | Format::Json)
}

/// The type with `string` where nothing is known.
pub(super) fn settled(data_type: &str) -> String {
    if !data_type.contains(UNKNOWN) {
        return data_type.to_owned();
    }
    match HiveType::parse(data_type) {
        Some(parsed) => parsed.settled().to_string(),
        None => data_type.to_owned(),
    }
}

fn join(known: &mut Column, found: &Column, location: &str, widening: Widening) -> Option<Clash> {
    let kept = known.data_type.clone();
    let clash = |kept: String, is_widened, reason: &str| Clash {
        column: known.name.clone(),
        location: location.to_owned(),
        kept,
        found: found.data_type.clone(),
        is_widened,
        reason: reason.to_owned(),
    };
    match wider(&kept, &found.data_type, widening) {
        None => Some(clash(settled(&kept), false, "no type holds both without loss")),
        Some(wide) if wide == kept || kept == UNKNOWN || found.data_type == UNKNOWN => {
            known.data_type = wide;
            None
        }
        Some(wide) => {
            let clash = clash(settled(&kept), true, &format!("{wide} holds both"));
            known.data_type = wide;
            Some(clash)
        }
    }
}

fn order_clash(known: &[Column], found: &[Column], location: &str) -> Clash {
    let at = known.iter().zip(found).position(|(a, b)| !a.name.eq_ignore_ascii_case(&b.name));
    let at = at.unwrap_or(0);
    let name = |columns: &[Column]| columns.get(at).map_or(String::new(), |c| c.name.clone());
    Clash {
        column: name(found),
        location: location.to_owned(),
        kept: name(known),
        found: name(found),
        is_widened: false,
        reason: format!("CSV columns are read by position, and number {} differs", at + 1),
    }
}

/// Whether the shorter list is the start of the longer.
fn is_prefix(a: &[Column], b: &[Column]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.name.eq_ignore_ascii_case(&b.name))
}

fn similar(a: &[Column], b: &[Column]) -> Result<(), String> {
    let (shorter, longer) = (a.len().min(b.len()), a.len().max(b.len()));
    if shorter == 0 {
        return Ok(());
    }
    let types: HashMap<String, &str> =
        a.iter().map(|c| (c.name.to_lowercase(), c.data_type.as_str())).collect();
    let common = b.iter().filter(|column| {
        let known = types.get(&column.name.to_lowercase());
        known.is_some_and(|t| wider(t, &column.data_type, Widening::default()).is_some())
    });
    let common = common.count();
    let of = |count: usize| common as f64 / count as f64;
    if of(shorter) < COMMON_MIN || of(longer) < COMMON_OF_LONGER_MIN {
        return Err(format!("{common} of their {shorter} and {longer} columns are alike"));
    }
    Ok(())
}

/// Columns of one name but for its case are one to a catalog: the first stays.
fn without_doubles(columns: Vec<Column>) -> Vec<Column> {
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(columns.len());
    for mut column in columns {
        column.name = column.name.chars().filter(|c| !c.is_control()).collect();
        if !column.name.is_empty() && seen.insert(column.name.to_lowercase()) {
            kept.push(column);
        }
    }
    kept
}

/// A column of a sample.
pub(super) fn column(name: impl Into<String>, data_type: impl ToString) -> Column {
    let data_type = data_type.to_string();
    Column { name: name.into(), data_type, nullable: true, comment: None }
}
