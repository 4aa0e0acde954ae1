//! Dates and times as files write them: the usual way, as a pattern says, or as seconds since 1970.

use arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use arrow::datatypes::Date32Type;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use crate::{Error, Result};

/// How dates or times are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moments {
    /// As ISO 8601 has them.
    Usual,
    /// As chrono's pattern says.
    Pattern(String),
    EpochSeconds,
    EpochMilliseconds,
}

const MICROS: i64 = 1_000_000;
/// The words of a pattern, longer ones before their beginnings, and what they are for chrono.
const WORDS: [(&str, &str); 19] = [
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MONTH", "%B"),
    ("MON", "%b"),
    ("MM", "%m"),
    ("MI", "%M"),
    ("MS", "%3f"),
    ("DDD", "%j"),
    ("DD", "%d"),
    ("DAY", "%A"),
    ("DY", "%a"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("SS", "%S"),
    ("US", "%6f"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("OF", "%#z"),
    ("TZ", "%#z"),
];

impl Moments {
    /// As DATEFORMAT or TIMEFORMAT says.
    pub(crate) fn parse(option: &str, text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => return Ok(Self::Usual),
            "epochsecs" if option == "TIMEFORMAT" => return Ok(Self::EpochSeconds),
            "epochmillisecs" if option == "TIMEFORMAT" => return Ok(Self::EpochMilliseconds),
            _ => {}
        }
        let pattern = pattern(text).ok_or_else(|| {
            Error::invalid(format!("{option} '{text}' is no pattern")).with_hint(
                "Patterns are made of YYYY, MM, DD, HH24, MI, SS, MS, US, AM and OF, such as \
                 'YYYY-MM-DD HH24:MI:SS'.",
            )
        })?;
        Ok(Self::Pattern(pattern))
    }

    /// Days since 1970.
    pub(crate) fn date(&self, text: &str) -> Option<i32> {
        let Self::Pattern(pattern) = self else { return Date32Type::parse(text) };
        let date = NaiveDate::parse_from_str(text, pattern).ok()?;
        i32::try_from((date - NaiveDate::default()).num_days()).ok()
    }

    /// Microseconds since 1970; a time without a zone is in UTC.
    pub(crate) fn time(&self, text: &str) -> Option<i64> {
        match self {
            Self::Usual => Some(string_to_datetime(&chrono::Utc, text).ok()?.timestamp_micros()),
            Self::Pattern(pattern) => patterned_time(text, pattern),
            Self::EpochSeconds => epoch(text, MICROS),
            Self::EpochMilliseconds => epoch(text, MICROS / 1000),
        }
    }
}

fn patterned_time(text: &str, pattern: &str) -> Option<i64> {
    if pattern.contains("%#z") {
        return Some(DateTime::parse_from_str(text, pattern).ok()?.timestamp_micros());
    }
    let time = NaiveDateTime::parse_from_str(text, pattern).ok().or_else(|| {
        // A pattern of a date alone means its first moment.
        let date = NaiveDate::parse_from_str(text, pattern).ok()?;
        Some(date.and_time(NaiveTime::MIN))
    })?;
    Some(time.and_utc().timestamp_micros())
}

/// A count of `unit` microseconds, with or without decimals.
fn epoch(text: &str, unit: i64) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(unit);
    }
    let number: f64 = text.parse().ok()?;
    let micros = (number * unit as f64).round();
    (micros.abs() < 9e18).then_some(micros as i64)
}

fn pattern(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    let half_days = upper.contains("AM") || upper.contains("PM");
    let mut rest = upper.as_str();
    let mut pattern = String::new();
    while let Some(first) = rest.chars().next() {
        if let Some((word, meaning)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
            pattern.push_str(meaning);
            rest = &rest[word.len()..];
            continue;
        }
        if let Some(after) = rest.strip_prefix("HH") {
            pattern.push_str(if half_days { "%I" } else { "%H" });
            rest = after;
            continue;
        }
        match first {
            '%' => pattern.push_str("%%"),
            'T' | 'Z' => pattern.push(first),
            letter if letter.is_alphanumeric() => return None,
            other => pattern.push(other),
        }
        rest = &rest[first.len_utf8()..];
    }
    (!pattern.is_empty()).then_some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        string_to_datetime(&chrono::Utc, text).unwrap().timestamp_micros()
    }

    #[test]
    fn times_are_read_as_the_pattern_says() {
        let noon = micros("2024-02-29T12:30:15Z");
        for (pattern, text) in [
            ("auto", "2024-02-29 12:30:15"),
            ("YYYY-MM-DD HH24:MI:SS", "2024-02-29 12:30:15"),
            ("YYYY-MM-DD HH:MI:SS", "2024-02-29 12:30:15"),
            ("DD.MM.YYYY HH12:MI:SS AM", "29.02.2024 12:30:15 PM"),
            ("mon dd yyyy hh24:mi:ss", "Feb 29 2024 12:30:15"),
            ("YYYYMMDDTHH24MISS", "20240229T123015"),
            ("YYYY-MM-DD HH24:MI:SSOF", "2024-02-29 14:30:15+02"),
            ("epochsecs", "1709209815"),
            ("epochmillisecs", "1709209815000"),
        ] {
            let moments = Moments::parse("TIMEFORMAT", pattern).unwrap();
            assert_eq!(moments.time(text), Some(noon), "{pattern}");
            assert_eq!(moments.time("soon"), None, "{pattern}");
        }
    }

    #[test]
    fn dates_are_read_as_the_pattern_says() {
        let dates = Moments::parse("DATEFORMAT", "MM/DD/YYYY").unwrap();
        assert_eq!(dates.date("01/02/1970"), Some(1));
        assert_eq!(dates.date("1970-01-02"), None);
        assert_eq!(Moments::Usual.date("1970-01-02"), Some(1));
        assert!(Moments::parse("DATEFORMAT", "epochsecs").is_err());
        assert!(Moments::parse("DATEFORMAT", "QQ").is_err());
    }
}
