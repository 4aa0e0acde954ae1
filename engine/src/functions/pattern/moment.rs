//! Patterns of dates and times (`YYYY-MM-DD HH24:MI:SS`), once they are understood.

use crate::{Error, Result};

pub(in super::super) use super::read::read;
pub(in super::super) use super::write::write;

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that stands for itself.
    Text(String),
    /// One character between fields, which any other such character may stand for.
    Separator(char),
    Field(Styled),
}

/// A field and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Styled {
    pub(super) field: Field,
    /// `FM`: neither blanks nor zeros before it.
    pub(super) bare: bool,
    /// `TH` or `th` after it.
    pub(super) ordinal: Option<Case>,
}

/// How the letters of a word are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Title,
    Lower,
}

/// What a part of a pattern stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The last so many digits; all of them with 4.
    Year(u8),
    IsoYear(u8),
    /// `Y,YYY`
    GroupedYear,
    Century,
    Quarter,
    Month,
    MonthName(Case),
    MonthShort(Case),
    MonthRoman(Case),
    WeekOfMonth,
    WeekOfYear,
    IsoWeek,
    Day,
    DayOfYear,
    /// Sunday is 1.
    DayOfWeek,
    /// Monday is 1.
    IsoDayOfWeek,
    DayName(Case),
    DayShort(Case),
    Julian,
    Hour24,
    Hour12,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    /// The first so many digits of the second's fraction.
    Fraction(u8),
    SecondOfDay,
    /// `AM`, or `A.M.` where it is dotted.
    Meridiem {
        case: Case,
        dotted: bool,
    },
    Era {
        case: Case,
        dotted: bool,
    },
    Zone(Case),
    ZoneHours,
    ZoneMinutes,
    Offset,
}

const NAMES: [(&str, Field); 59] = {
    use Case::{Lower, Title, Upper};
    use Field as F;
    [
        // Of names that begin alike the longer comes first.
        ("Y,YYY", F::GroupedYear),
        ("YYYY", F::Year(4)),
        ("YYY", F::Year(3)),
        ("YY", F::Year(2)),
        ("Y", F::Year(1)),
        ("IYYY", F::IsoYear(4)),
        ("IYY", F::IsoYear(3)),
        ("IY", F::IsoYear(2)),
        ("ID", F::IsoDayOfWeek),
        ("IW", F::IsoWeek),
        ("I", F::IsoYear(1)),
        ("MONTH", F::MonthName(Upper)),
        ("Month", F::MonthName(Title)),
        ("month", F::MonthName(Lower)),
        ("MON", F::MonthShort(Upper)),
        ("Mon", F::MonthShort(Title)),
        ("mon", F::MonthShort(Lower)),
        ("MM", F::Month),
        ("MI", F::Minute),
        ("MS", F::Millisecond),
        ("DAY", F::DayName(Upper)),
        ("Day", F::DayName(Title)),
        ("day", F::DayName(Lower)),
        ("DDD", F::DayOfYear),
        ("DD", F::Day),
        ("DY", F::DayShort(Upper)),
        ("Dy", F::DayShort(Title)),
        ("dy", F::DayShort(Lower)),
        ("D", F::DayOfWeek),
        ("HH24", F::Hour24),
        ("HH12", F::Hour12),
        ("HH", F::Hour12),
        ("SSSSS", F::SecondOfDay),
        ("SSSS", F::SecondOfDay),
        ("SS", F::Second),
        ("US", F::Microsecond),
        ("FF1", F::Fraction(1)),
        ("FF2", F::Fraction(2)),
        ("FF3", F::Fraction(3)),
        ("FF4", F::Fraction(4)),
        ("FF5", F::Fraction(5)),
        ("FF6", F::Fraction(6)),
        ("AM", F::Meridiem { case: Upper, dotted: false }),
        ("PM", F::Meridiem { case: Upper, dotted: false }),
        ("A.M.", F::Meridiem { case: Upper, dotted: true }),
        ("P.M.", F::Meridiem { case: Upper, dotted: true }),
        ("AD", F::Era { case: Upper, dotted: false }),
        ("BC", F::Era { case: Upper, dotted: false }),
        ("A.D.", F::Era { case: Upper, dotted: true }),
        ("B.C.", F::Era { case: Upper, dotted: true }),
        ("WW", F::WeekOfYear),
        ("W", F::WeekOfMonth),
        ("CC", F::Century),
        ("J", F::Julian),
        ("Q", F::Quarter),
        ("RM", F::MonthRoman(Upper)),
        ("TZH", F::ZoneHours),
        ("TZM", F::ZoneMinutes),
        ("TZ", F::Zone(Upper)),
    ]
};

/// A pattern that is understood.
#[derive(Clone, Debug)]
pub(in super::super) struct Pattern {
    pub(super) text: String,
    pub(super) pieces: Vec<Piece>,
}

impl Pattern {
    pub(in super::super) fn parse(text: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let (mut rest, mut bare) = (text, false);
        while let Some(next) = rest.chars().next() {
            if let Some(after) = strip(rest, "FM") {
                (rest, bare) = (after, true);
            } else if let Some(after) = strip(rest, "FX").or_else(|| strip(rest, "TM")) {
                rest = after;
            } else if let Some((field, after)) = field(rest) {
                let (ordinal, after) = ordinal(after);
                pieces.push(Piece::Field(Styled { field, bare, ordinal }));
                (rest, bare) = (after, false);
            } else if next == '"' {
                let (quoted, after) = quoted(rest)?;
                pieces.push(Piece::Text(quoted));
                rest = after;
            } else {
                pieces.push(match next.is_alphanumeric() {
                    true => Piece::Text(next.to_string()),
                    false => Piece::Separator(next),
                });
                rest = rest.get(next.len_utf8()..).unwrap_or_default();
            }
        }
        Ok(Self { text: text.to_owned(), pieces })
    }
}

fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| text.get(prefix.len()..)).flatten()
}

/// The field that `text` begins with. Words are told apart by their case, the rest isn't.
fn field(text: &str) -> Option<(Field, &str)> {
    if let Some(after) = strip(text, "OF") {
        return Some((Field::Offset, after));
    }
    let exact = NAMES.iter().find(|(name, _)| text.starts_with(name));
    let (name, found) = match exact {
        Some(found) if text.len() == found.0.len() || !longer(text, found.0) => found,
        _ => NAMES.iter().find(|(name, _)| strip(text, name).is_some())?,
    };
    let after = strip(text, name)?;
    Some((in_case(*found, text.chars().next()?), after))
}

/// Whether a longer name fits in another case.
fn longer(text: &str, name: &str) -> bool {
    let found = NAMES.iter().find(|(name, _)| strip(text, name).is_some());
    found.is_some_and(|(found, _)| found.len() > name.len())
}

/// `am`, `tz` and their like are written in lower case.
fn in_case(field: Field, first: char) -> Field {
    let case = if first.is_lowercase() { Case::Lower } else { Case::Upper };
    match field {
        Field::Meridiem { dotted, .. } => Field::Meridiem { case, dotted },
        Field::Era { dotted, .. } => Field::Era { case, dotted },
        Field::MonthRoman(_) => Field::MonthRoman(case),
        Field::Zone(_) => Field::Zone(case),
        other => other,
    }
}

fn ordinal(text: &str) -> (Option<Case>, &str) {
    let case = match text.get(..2) {
        Some("TH") => Case::Upper,
        Some("th") => Case::Lower,
        _ => return (None, text),
    };
    (Some(case), text.get(2..).unwrap_or_default())
}

/// The text between double quotes, in which a backslash takes the next character as it is.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut inner = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((inner, text.get(at + 1..).unwrap_or_default())),
            '\\' => inner.extend(chars.next().map(|(_, c)| c)),
            c => inner.push(c),
        }
    }
    Err(Error::invalid(format!("pattern '{text}' has a quote that isn't closed")))
}
