//! Moments read by a pattern.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Weekday};

use super::moment::{Field, Pattern, Piece};
use super::write::{day_named, month_named};
use crate::{Error, Result};

/// What was read of a moment so far.
#[derive(Default)]
struct Found {
    year: Option<i64>,
    iso_year: Option<i64>,
    before_christ: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    julian: Option<i64>,
    hour: Option<i64>,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    microsecond: i64,
    second_of_day: Option<i64>,
    offset_hours: i64,
    offset_minutes: i64,
}

/// The moment that `text` writes by the pattern. What follows in the text is ignored, and what
/// the pattern lacks is the first month, the first day and midnight, as in PostgreSQL.
pub(in super::super) fn read(pattern: &Pattern, text: &str) -> Result<NaiveDateTime> {
    let fault = |what: &str| {
        Error::invalid(format!("\"{text}\" does not fit the pattern '{}'{what}", pattern.text))
    };
    let mut found = Found::default();
    let mut rest = text;
    for (at, piece) in pattern.pieces.iter().enumerate() {
        match piece {
            Piece::Text(skipped) => {
                let length: usize =
                    rest.chars().take(skipped.chars().count()).map(char::len_utf8).sum();
                rest = rest.get(length..).unwrap_or_default();
            }
            Piece::Separator(_) => rest = after_separator(rest),
            Piece::Field(styled) => {
                rest = rest.trim_start();
                let more = matches!(pattern.pieces.get(at + 1), Some(Piece::Field(_)));
                let taken = found.take(styled.field, rest, more && !styled.bare);
                let length = taken.ok_or_else(|| fault(""))?;
                rest = rest.get(length..).unwrap_or_default();
            }
        }
    }
    found.moment().ok_or_else(|| fault(": there is no such moment"))
}

/// What comes after at most one separator.
fn after_separator(text: &str) -> &str {
    match text.chars().next() {
        Some(c) if !c.is_alphanumeric() && c != '+' && c != '-' => {
            text.get(c.len_utf8()..).unwrap_or_default()
        }
        // A minus may be a sign; before digits of a date it separates.
        Some('-') => text.get(1..).unwrap_or_default(),
        _ => text,
    }
}

impl Found {
    /// Takes a field from the front of `text` and gives how long it was. `fixed` says that
    /// another field follows at once, so that the width tells where this one ends.
    fn take(&mut self, field: Field, text: &str, fixed: bool) -> Option<usize> {
        if let Some(length) = self.take_word(field, text) {
            return length;
        }
        let width = match field {
            Field::Year(width) | Field::IsoYear(width) | Field::Fraction(width) => width.into(),
            Field::DayOfYear | Field::Millisecond => 3,
            Field::Quarter | Field::DayOfWeek | Field::IsoDayOfWeek | Field::WeekOfMonth => 1,
            Field::Microsecond => 6,
            Field::SecondOfDay => 5,
            Field::Julian => 7,
            _ => 2,
        };
        let most = if fixed || is_fraction(field) { width } else { width.max(9) };
        let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let value: i64 = text.get(..digits)?.parse().ok()?;
        self.set(field, value, digits);
        Some(digits)
    }

    /// Takes a field that is no plain number; nothing where it is one.
    fn take_word(&mut self, field: Field, text: &str) -> Option<Option<usize>> {
        match field {
            Field::MonthName(_) | Field::MonthShort(_) => Some(month_named(text).map(|found| {
                self.month = Some(found.0.into());
                found.1
            })),
            Field::DayName(_) | Field::DayShort(_) => Some(day_named(text).map(|(_, len)| len)),
            Field::Meridiem { dotted, .. } => {
                let half = text.chars().next()?.to_ascii_lowercase();
                self.afternoon = Some(half == 'p');
                let length = if dotted { 4 } else { 2 };
                Some((matches!(half, 'a' | 'p') && text.len() >= length).then_some(length))
            }
            Field::Era { dotted, .. } => {
                self.before_christ = text.starts_with(['b', 'B']);
                Some((text.len() >= 2).then_some(if dotted { 4 } else { 2 }))
            }
            Field::ZoneHours | Field::Offset => Some(self.take_offset(text, field)),
            Field::Zone(_) | Field::MonthRoman(_) | Field::GroupedYear => Some(None),
            _ => None,
        }
    }

    fn take_offset(&mut self, text: &str, field: Field) -> Option<usize> {
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let begin = usize::from(text.starts_with(['+', '-']));
        let digits = |from: usize| {
            let count = text.bytes().skip(from).take(2).take_while(u8::is_ascii_digit).count();
            Some((text.get(from..from + count)?.parse::<i64>().ok()?, from + count))
        };
        let (hours, mut end) = digits(begin)?;
        self.offset_hours = sign * hours;
        let colon = text.get(end..).is_some_and(|rest| rest.starts_with(':'));
        if colon && field == Field::Offset {
            let (minutes, after) = digits(end + 1)?;
            self.offset_minutes = sign * minutes;
            end = after;
        }
        Some(end)
    }

    fn set(&mut self, field: Field, value: i64, digits: usize) {
        match field {
            Field::Year(width) => self.year = Some(full_year(value, width, digits)),
            Field::IsoYear(width) => self.iso_year = Some(full_year(value, width, digits)),
            Field::Month => self.month = Some(value),
            Field::Day => self.day = Some(value),
            Field::DayOfYear => self.day_of_year = Some(value),
            Field::IsoWeek => self.iso_week = Some(value),
            Field::IsoDayOfWeek => self.iso_day = Some(value),
            Field::Julian => self.julian = Some(value),
            Field::Hour24 | Field::Hour12 => self.hour = Some(value),
            Field::Minute => self.minute = value,
            Field::Second => self.second = value,
            Field::Millisecond | Field::Microsecond | Field::Fraction(_) => {
                let missing = 6_u32.saturating_sub(u32::try_from(digits).unwrap_or(6));
                self.microsecond = value * 10_i64.pow(missing);
            }
            Field::SecondOfDay => self.second_of_day = Some(value),
            Field::ZoneMinutes => {
                self.offset_minutes = if self.offset_hours < 0 { -value } else { value };
            }
            // They tell nothing that the others don't.
            _ => {}
        }
    }

    fn moment(&self) -> Option<NaiveDateTime> {
        let offset = TimeDelta::minutes(self.offset_hours * 60 + self.offset_minutes);
        self.date()?.and_time(self.time()?).checked_sub_signed(offset)
    }

    fn date(&self) -> Option<NaiveDate> {
        if let Some(julian) = self.julian {
            let days = i32::try_from(julian - 1_721_425).ok()?;
            return NaiveDate::from_num_days_from_ce_opt(days.checked_add(1)?);
        }
        if let (Some(year), Some(week)) = (self.iso_year, self.iso_week) {
            let day = u8::try_from(self.iso_day.unwrap_or(1) - 1).ok()?;
            let day = Weekday::try_from(day).ok()?;
            return NaiveDate::from_isoywd_opt(small(year)?, u32::try_from(week).ok()?, day);
        }
        let year = self.year.or(self.iso_year).unwrap_or(1);
        let year = small(if self.before_christ { 1 - year } else { year })?;
        if let (Some(day), None) = (self.day_of_year, self.month) {
            return NaiveDate::from_yo_opt(year, u32::try_from(day).ok()?);
        }
        let month = u32::try_from(self.month.unwrap_or(1)).ok()?;
        NaiveDate::from_ymd_opt(year, month, u32::try_from(self.day.unwrap_or(1)).ok()?)
    }

    fn time(&self) -> Option<NaiveTime> {
        let microsecond = u32::try_from(self.microsecond).ok()?;
        if let Some(seconds) = self.second_of_day {
            let seconds = u32::try_from(seconds).ok()?;
            return NaiveTime::from_num_seconds_from_midnight_opt(seconds, microsecond * 1_000);
        }
        let hour = match (self.hour.unwrap_or(0), self.afternoon) {
            (hour, None) => hour,
            (hour @ 1..=12, Some(afternoon)) => hour % 12 + if afternoon { 12 } else { 0 },
            _ => return None,
        };
        let part = |value: i64| u32::try_from(value).ok();
        NaiveTime::from_hms_micro_opt(
            part(hour)?,
            part(self.minute)?,
            part(self.second)?,
            microsecond,
        )
    }
}

fn is_fraction(field: Field) -> bool {
    matches!(field, Field::Millisecond | Field::Microsecond | Field::Fraction(_))
}

fn small(year: i64) -> Option<i32> {
    i32::try_from(year).ok()
}

/// A year of fewer digits is the one nearest to 2020.
fn full_year(value: i64, width: u8, digits: usize) -> i64 {
    match (width, digits) {
        (4, _) | (_, 4..) => value,
        (_, 3) => value + if value < 100 { 2000 } else { 1000 },
        _ => value + if value < 70 { 2000 } else { 1900 },
    }
}
