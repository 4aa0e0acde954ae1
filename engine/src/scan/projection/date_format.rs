//! Java's date patterns, as far as folders are named by them.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};

use crate::{Error, Result};

/// A pattern such as `yyyy/MM/dd`.
#[derive(Debug)]
pub(super) struct DateFormat {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Field { unit: Unit, width: usize },
}

/// A unit of time, from the coarsest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

impl Unit {
    /// The unit by its name, as in `DAYS`.
    pub(super) fn named(text: &str) -> Option<Self> {
        let upper = text.trim().to_ascii_uppercase();
        Some(match upper.strip_suffix('S').unwrap_or(&upper) {
            "YEAR" => Self::Year,
            "MONTH" => Self::Month,
            "WEEK" => Self::Week,
            "DAY" => Self::Day,
            "HOUR" => Self::Hour,
            "MINUTE" => Self::Minute,
            "SECOND" => Self::Second,
            _ => return None,
        })
    }

    /// How many months it is, if it isn't a number of seconds.
    pub(super) fn months(self) -> Option<u32> {
        match self {
            Self::Year => Some(12),
            Self::Month => Some(1),
            _ => None,
        }
    }

    pub(super) fn seconds(self) -> i64 {
        match self {
            Self::Week => 7 * 86_400,
            Self::Hour => 3600,
            Self::Minute => 60,
            Self::Second => 1,
            Self::Year | Self::Month | Self::Day => 86_400,
        }
    }
}

impl DateFormat {
    pub(super) fn parse(pattern: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                let quoted: String = chars.by_ref().take_while(|c| *c != '\'').collect();
                parts.push(Part::Text(if quoted.is_empty() { "'".to_owned() } else { quoted }));
                continue;
            }
            if !c.is_ascii_alphabetic() {
                parts.push(Part::Text(c.to_string()));
                continue;
            }
            let mut width = 1;
            while chars.next_if_eq(&c).is_some() {
                width += 1;
            }
            let unit = match c {
                'y' | 'u' if width <= 4 => Unit::Year,
                'M' | 'L' if width <= 2 => Unit::Month,
                'd' if width <= 2 => Unit::Day,
                'H' if width <= 2 => Unit::Hour,
                'm' if width <= 2 => Unit::Minute,
                's' if width <= 2 => Unit::Second,
                _ => {
                    let part = c.to_string().repeat(width);
                    return Err(Error::unsupported(format!("\"{part}\" in \"{pattern}\""))
                        .with_hint("yyyy, MM, dd, HH, mm and ss are understood."));
                }
            };
            parts.push(Part::Field { unit, width });
        }
        if !parts.iter().any(|part| matches!(part, Part::Field { .. })) {
            return Err(Error::invalid(format!("\"{pattern}\" has no part of a date")));
        }
        Ok(Self { parts })
    }

    /// The finest unit in it.
    pub(super) fn finest(&self) -> Unit {
        self.fields().map(|(unit, _)| unit).max().unwrap_or(Unit::Day)
    }

    /// Whether texts have the order of the times that they say.
    pub(super) fn is_ordered(&self) -> bool {
        let fields: Vec<(Unit, usize)> = self.fields().collect();
        let coarse_first = fields.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let starts = matches!(fields.first(), Some((Unit::Year, 4)));
        coarse_first && starts && fields.iter().all(|(_, width)| *width >= 2)
    }

    fn fields(&self) -> impl Iterator<Item = (Unit, usize)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field { unit, width } => Some((*unit, *width)),
            Part::Text(_) => None,
        })
    }

    pub(super) fn write(&self, time: NaiveDateTime) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Field { unit: Unit::Year, width: 2 } => {
                    text.push_str(&format!("{:02}", time.year().rem_euclid(100)));
                }
                Part::Field { unit, width } => {
                    let value = match unit {
                        Unit::Year => i64::from(time.year()),
                        Unit::Month => i64::from(time.month()),
                        Unit::Week | Unit::Day => i64::from(time.day()),
                        Unit::Hour => i64::from(time.hour()),
                        Unit::Minute => i64::from(time.minute()),
                        Unit::Second => i64::from(time.second()),
                    };
                    text.push_str(&format!("{value:0width$}"));
                }
            }
        }
        text
    }

    /// The time that a text says; what it doesn't say is the first of its kind.
    pub(super) fn read(&self, text: &str) -> Option<NaiveDateTime> {
        let mut rest = text.trim();
        let (mut year, mut month, mut day) = (1970, 1, 1);
        let (mut hour, mut minute, mut second) = (0, 0, 0);
        for (index, part) in self.parts.iter().enumerate() {
            let (unit, width) = match part {
                Part::Text(literal) => {
                    rest = rest.strip_prefix(literal.as_str())?;
                    continue;
                }
                Part::Field { unit, width } => (*unit, *width),
            };
            // Digits that follow each other are told apart by their number.
            let is_packed = matches!(self.parts.get(index + 1), Some(Part::Field { .. }));
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let digits = if is_packed { digits.min(width) } else { digits };
            let value: u32 = rest.get(..digits)?.parse().ok()?;
            rest = &rest[digits..];
            match unit {
                Unit::Year if width == 2 => year = 2000 + i32::try_from(value).ok()?,
                Unit::Year => year = i32::try_from(value).ok()?,
                Unit::Month => month = value,
                Unit::Week | Unit::Day => day = value,
                Unit::Hour => hour = value,
                Unit::Minute => minute = value,
                Unit::Second => second = value,
            }
        }
        let date = NaiveDate::from_ymd_opt(year, month, day)?;
        rest.is_empty().then(|| date.and_hms_opt(hour, minute, second)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_from_its_text() {
        for (pattern, text) in [
            ("yyyy-MM-dd", "2024-02-29"),
            ("yyyy/MM/dd/HH", "2024/02/29/23"),
            ("yyyyMMddHHmmss", "20240229235958"),
            ("yyyy-MM-dd'T'HH:mm", "2024-02-29T23:58"),
            ("d.M.yyyy", "1.2.2024"),
            ("yyyy", "1999"),
        ] {
            let format = DateFormat::parse(pattern).unwrap();
            let time = format.read(text).unwrap();
            assert_eq!(format.write(time), text, "{pattern}");
        }
    }

    #[test]
    fn other_texts_are_no_times() {
        let format = DateFormat::parse("yyyy-MM-dd").unwrap();
        for text in ["2023-02-29", "2024-02", "2024-02-29x", "", "99999999999-01-01"] {
            assert!(format.read(text).is_none(), "{text}");
        }
        assert!(DateFormat::parse("yyyy-MMM").is_err());
        assert!(DateFormat::parse("--").is_err());
    }

    #[test]
    fn only_coarse_to_fine_texts_are_ordered() {
        for (pattern, ordered) in [("yyyy-MM-dd", true), ("dd-MM-yyyy", false), ("yyyy-M", false)] {
            assert_eq!(DateFormat::parse(pattern).unwrap().is_ordered(), ordered, "{pattern}");
        }
    }
}
