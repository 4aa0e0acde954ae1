//! CSV by its content: delimiter, quotes, header and types.

use super::schema::{Dialect, Shape, column};
use super::types::{HiveType, UNKNOWN, Widening};
use crate::{Column, Format};

const RECORDS_MAX: usize = 1000;
const COLUMNS_MAX: usize = 10_000;
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// What is known of a CSV file before it is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    /// Whether its name says that it is CSV.
    pub(super) is_named: bool,
    /// Whether the sample is the whole file.
    pub(super) is_whole: bool,
    pub(super) delimiter: Option<char>,
    pub(super) quote: Option<char>,
    pub(super) has_header: Option<bool>,
    /// The names of its columns.
    pub(super) names: Vec<String>,
}

struct Records {
    rows: Vec<Vec<String>>,
    is_quoted: bool,
    has_newlines: bool,
}

/// The shape of a text if it is CSV.
pub(super) fn recognise(text: &str, hints: &Hints) -> Option<Shape> {
    let text = text.trim_start_matches('\u{feff}');
    if text.contains('\0') || text.trim().is_empty() {
        return None;
    }
    let quote = hints.quote.unwrap_or_else(|| quote(text));
    let (delimiter, records) = delimited(text, quote, hints)?;
    let width = width(&records.rows, hints)?;
    let rows: Vec<&[String]> =
        records.rows.iter().map(|row| &row[..row.len().min(width)]).collect();
    let (first, rest) = rows.split_first()?;
    let body = types(rest, width);
    let has_header = hints.has_header.unwrap_or_else(|| is_header(first, rest, &body));
    let columns = match has_header {
        true => named(first, &hints.names, body),
        false => named(&[], &hints.names, types(&rows, width)),
    };
    let mut shape = Shape::new(Format::Csv, columns);
    shape.remark = (hints.has_header.is_none()
        && has_header
        && !rest.is_empty()
        && shape.columns.iter().all(|c| matches!(c.data_type.as_str(), "string" | UNKNOWN)))
    .then(|| "the first line was taken as a header, since its values look like names".to_owned());
    shape.csv = Some(Dialect {
        delimiter,
        quote,
        has_header,
        is_quoted: records.is_quoted,
        has_newlines: records.has_newlines,
    });
    Some(shape)
}

/// The quote that values start with.
fn quote(text: &str) -> char {
    let starts = |quote: char| {
        let delimited = DELIMITERS.iter().any(|d| text.contains(&format!("{d}{quote}")));
        text.starts_with(quote) || text.contains(&format!("\n{quote}")) || delimited
    };
    if !starts('"') && starts('\'') { '\'' } else { '"' }
}

/// The delimiter that splits most records into the same number of values, and the records.
fn delimited(text: &str, quote: char, hints: &Hints) -> Option<(char, Records)> {
    if let Some(delimiter) = hints.delimiter {
        return Some((delimiter, split(text, delimiter, quote, hints.is_whole)));
    }
    let mut best: Option<(f64, usize, char, Records)> = None;
    for delimiter in DELIMITERS {
        let records = split(text, delimiter, quote, hints.is_whole);
        let Some((width, share)) = usual_width(&records.rows) else { continue };
        if width < 2 {
            continue;
        }
        let better = best.as_ref().is_none_or(|(known_share, known_width, ..)| {
            // Evenness counts, then the number of columns.
            (*known_share, *known_width) < (share, width)
        });
        if better {
            best = Some((share, width, delimiter, records));
        }
    }
    match best {
        Some((.., delimiter, records)) => Some((delimiter, records)),
        None if hints.is_named => Some((',', split(text, ',', quote, hints.is_whole))),
        None => None,
    }
}

/// The most frequent number of values in a record, and the share of the records that have it.
fn usual_width(rows: &[Vec<String>]) -> Option<(usize, f64)> {
    let mut counts = std::collections::BTreeMap::new();
    for row in rows {
        *counts.entry(row.len()).or_insert(0_usize) += 1;
    }
    let (width, count) = counts.into_iter().max_by_key(|(width, count)| (*count, *width))?;
    Some((width, count as f64 / rows.len() as f64))
}

/// How many columns there are, if the records are even enough to be CSV.
fn width(rows: &[Vec<String>], hints: &Hints) -> Option<usize> {
    let (usual, share) = usual_width(rows)?;
    let is_told = hints.is_named || hints.delimiter.is_some() || !hints.names.is_empty();
    let is_even = match is_told {
        true => share >= 0.7 || rows.len() <= 2,
        false => share >= 1.0 && usual >= 2 && rows.len() >= 2,
    };
    let width = match is_told {
        true => rows.first().map_or(usual, |first| first.len().max(usual)),
        false => usual,
    };
    (is_even && width <= COLUMNS_MAX).then_some(width)
}

fn split(text: &str, delimiter: char, quote: char, is_whole: bool) -> Records {
    let mut records = Records { rows: Vec::new(), is_quoted: false, has_newlines: false };
    let (mut row, mut value) = (Vec::new(), String::new());
    let mut inside = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if inside {
            match c {
                _ if c == quote && chars.next_if_eq(&quote).is_some() => value.push(quote),
                _ if c == quote => inside = false,
                _ => {
                    records.has_newlines |= c == '\n';
                    value.push(c);
                }
            }
            continue;
        }
        match c {
            _ if c == quote && value.is_empty() => {
                inside = true;
                records.is_quoted = true;
            }
            _ if c == delimiter => row.push(std::mem::take(&mut value)),
            '\n' | '\r' => {
                if c == '\r' {
                    chars.next_if_eq(&'\n');
                }
                row.push(std::mem::take(&mut value));
                push(&mut records.rows, std::mem::take(&mut row));
                if records.rows.len() >= RECORDS_MAX {
                    return records;
                }
            }
            _ => value.push(c),
        }
    }
    // The last record of a part of a file may be cut.
    let is_record = !row.is_empty() || !value.is_empty();
    if is_record && (is_whole || records.rows.is_empty()) {
        row.push(value);
        push(&mut records.rows, row);
    }
    records
}

fn push(rows: &mut Vec<Vec<String>>, row: Vec<String>) {
    if row.len() > 1 || row.first().is_some_and(|value| !value.is_empty()) {
        rows.push(row);
    }
}

fn types(rows: &[&[String]], width: usize) -> Vec<HiveType> {
    let mut types = vec![HiveType::plain(UNKNOWN); width];
    let widening = Widening { to_strings: true, dates: false };
    for row in rows {
        for (known, value) in types.iter_mut().zip(row.iter()) {
            if *known == HiveType::plain("string") {
                continue;
            }
            if let Some(wide) = known.wider(&HiveType::plain(type_of(value)), widening) {
                *known = wide;
            }
        }
    }
    types
}

/// The type of one value, as queries read it.
fn type_of(value: &str) -> &'static str {
    if value.is_empty() {
        UNKNOWN
    } else if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
        "boolean"
    } else if is_integer(value) {
        "bigint"
    } else if is_float(value) {
        "double"
    } else {
        time_of(value).unwrap_or("string")
    }
}

/// The type of a text that says when: a date or a timestamp.
pub(super) fn time_of(value: &str) -> Option<&'static str> {
    match is_date(value) {
        true => Some("date"),
        false => timestamp_of(value),
    }
}

/// Digits without a zero before them: `007` is not a number.
fn is_integer(value: &str) -> bool {
    value.parse::<i64>().is_ok_and(|number| number.to_string() == value)
}

fn is_float(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    // A whole number that no integer holds is an identifier rather than a quantity.
    let is_whole = digits.bytes().all(|b| b.is_ascii_digit());
    plain && starts && !padded && !is_whole && value.parse::<f64>().is_ok_and(f64::is_finite)
}

/// A date as `2024-01-31` that is one.
pub(super) fn is_date(value: &str) -> bool {
    let bytes = value.as_bytes();
    let shape = bytes.len() == 10
        && bytes.iter().enumerate().all(|(index, b)| match index {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        });
    if !shape {
        return false;
    }
    let number = |from: usize, to: usize| value[from..to].parse::<u32>().unwrap_or(0);
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// `timestamp` for `2024-01-31T12:00:00.5Z` and the like.
fn timestamp_of(value: &str) -> Option<&'static str> {
    let (date, time) = value.get(..10).zip(value.get(11..))?;
    let separated = matches!(value.as_bytes().get(10), Some(b'T' | b' '));
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let is_clock = clock.len() == 8
        && clock.bytes().enumerate().all(|(index, b)| match index {
            2 | 5 => b == b':',
            _ => b.is_ascii_digit(),
        })
        && &clock[..2] < "24"
        && &clock[3..5] < "60"
        && &clock[6..] < "60";
    let is_fraction =
        (1..=9).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    let is_zone = zone.is_empty()
        || zone.eq_ignore_ascii_case("z")
        || zone.len() == 6 && zone.as_bytes()[3] == b':';
    match is_date(date) && separated && is_clock && is_fraction && is_zone {
        true if fraction.len() > 6 => Some("timestamp(9)"),
        true => Some("timestamp"),
        false => None,
    }
}

/// Whether the first record names the columns: its values look like names, no two are alike, and
/// they differ from what is below.
fn is_header(first: &[String], rest: &[&[String]], body: &[HiveType]) -> bool {
    let mut names: Vec<String> = first.iter().map(|name| name.trim().to_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    let are_names = first.iter().all(|name| is_name(name)) && names.len() == first.len();
    if !are_names {
        return false;
    }
    let string = HiveType::plain("string");
    let unknown = HiveType::plain(UNKNOWN);
    let has_types = body.iter().any(|kind| *kind != string && *kind != unknown);
    let is_repeated = rest.iter().any(|row| row.iter().zip(first).any(|(a, b)| a == b));
    has_types || !is_repeated
}

fn is_name(text: &str) -> bool {
    let text = text.trim();
    let starts = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let plain = text.chars().all(|c| c.is_alphanumeric() || "_ .-/()%#:".contains(c));
    starts && plain && text.chars().count() <= 128 && type_of(text) == "string"
}

fn named(header: &[String], given: &[String], types: Vec<HiveType>) -> Vec<Column> {
    let mut taken = std::collections::HashSet::new();
    let columns = types.into_iter().enumerate().map(|(index, data_type)| {
        let name = given.get(index).or_else(|| header.get(index)).map(|name| name.trim());
        let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
        let mut name = name.unwrap_or_else(|| format!("col{index}"));
        while !taken.insert(name.to_lowercase()) {
            name = format!("{name}_{index}");
        }
        column(name, data_type)
    });
    columns.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Option<(char, bool, String)> {
        let hints = Hints { is_named: true, is_whole: true, ..Hints::default() };
        described(recognise(text, &hints)?)
    }

    fn described(shape: Shape) -> Option<(char, bool, String)> {
        let csv = shape.csv?;
        let columns: Vec<String> =
            shape.columns.iter().map(|c| format!("{}:{}", c.name, c.data_type)).collect();
        Some((csv.delimiter, csv.has_header, columns.join(" ")))
    }

    #[test]
    fn delimiter_header_and_types_are_found() {
        for (text, delimiter, header, columns) in [
            ("id,name\n1,Ann\n2,Bob\n", ',', true, "id:bigint name:string"),
            ("id;x\n1;2,5\n2;3,5\n", ';', true, "id:bigint x:string"),
            ("id\tx\n1\t2.5\n", '\t', true, "id:bigint x:double"),
            ("1|2024-01-31\n2|2024-02-29\n", '|', false, "col0:bigint col1:date"),
            ("a,b\n", ',', true, "a:void b:void"),
            ("zip,ok\n007,true\n", ',', true, "zip:string ok:boolean"),
            ("t,x\n2024-01-31 10:00:00,\n", ',', true, "t:timestamp x:void"),
            ("a,b\n\"x,\ny\",1\n", ',', true, "a:string b:bigint"),
            ("n\n99999999999999999999\n", ',', true, "n:string"),
            ("a,a,\n1,2,3\n", ',', false, "col0:string col1:string col2:bigint"),
        ] {
            assert_eq!(shape(text), Some((delimiter, header, columns.into())), "{text:?}");
        }
    }

    #[test]
    fn prose_is_no_csv_unless_its_name_says_so() {
        let hints = Hints { is_whole: true, ..Hints::default() };
        assert!(recognise("Hello, world.\nThis is a text, with, commas.\n", &hints).is_none());
        assert!(recognise("just a line\n", &hints).is_none());
        assert!(recognise("a,b\n1,2\n", &hints).is_some());
    }

    #[test]
    fn a_record_that_is_cut_counts_for_nothing() {
        let hints = Hints { is_named: true, ..Hints::default() };
        let found = described(recognise("id,x\n1,2\n3,4\n5,oo", &hints).unwrap()).unwrap();
        assert_eq!(found.2, "id:bigint x:bigint");
    }
}
