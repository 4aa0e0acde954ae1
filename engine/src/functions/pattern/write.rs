//! Moments written by a pattern.

use std::fmt::Write as _;

use chrono::{Datelike, FixedOffset, NaiveDateTime, Timelike};

use super::moment::{Case, Field, Pattern, Piece, Styled};
use crate::{Error, Result};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// How wide names of months and days are padded.
const NAME_WIDTH: usize = 9;
/// The Julian day of the first day of the common era, less one.
const JULIAN_DAY_ZERO: i64 = 1_721_425;

/// The moment that clocks show as `clock`, `offset` from UTC where that is known.
pub(in super::super) fn write(
    pattern: &Pattern,
    clock: NaiveDateTime,
    offset: Option<FixedOffset>,
) -> Result<String> {
    let mut out = String::with_capacity(pattern.text.len() + 8);
    for piece in &pattern.pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Separator(c) => out.push(*c),
            Piece::Field(styled) => {
                if !write_number(&mut out, *styled, clock) {
                    write_word(&mut out, *styled, clock, offset)?;
                }
            }
        }
    }
    Ok(out)
}

/// Writes a field that is a number, unless it is none.
fn write_number(out: &mut String, styled: Styled, clock: NaiveDateTime) -> bool {
    let Some((value, width)) = number(styled.field, clock) else { return false };
    let width = if styled.bare { 0 } else { width };
    // Writing to a string can't fail.
    let _ = write!(out, "{value:0width$}");
    if let Some(case) = styled.ordinal {
        let ending = match (value % 100, value % 10) {
            (11..=13, _) => "th",
            (_, 1) => "st",
            (_, 2) => "nd",
            (_, 3) => "rd",
            _ => "th",
        };
        out.push_str(&in_case(ending, case));
    }
    true
}

fn number(field: Field, clock: NaiveDateTime) -> Option<(i64, usize)> {
    let year = |year: i32, digits: u8| {
        let value = i64::from(if year <= 0 { 1 - year } else { year });
        let modulus = 10_i64.pow(u32::from(digits));
        (if digits == 4 { value } else { value % modulus }, usize::from(digits))
    };
    let micros = i64::from(clock.nanosecond() / 1_000);
    let (value, width) = match field {
        Field::Year(digits) => year(clock.year(), digits),
        Field::IsoYear(digits) => year(clock.iso_week().year(), digits),
        Field::Century => (i64::from((clock.year() - 1).div_euclid(100) + 1), 2),
        Field::Quarter => (i64::from(clock.month0() / 3 + 1), 1),
        Field::Month => (clock.month().into(), 2),
        Field::WeekOfMonth => (i64::from((clock.day() - 1) / 7 + 1), 1),
        Field::WeekOfYear => (i64::from((clock.ordinal() - 1) / 7 + 1), 2),
        Field::IsoWeek => (clock.iso_week().week().into(), 2),
        Field::Day => (clock.day().into(), 2),
        Field::DayOfYear => (clock.ordinal().into(), 3),
        Field::DayOfWeek => (clock.weekday().number_from_sunday().into(), 1),
        Field::IsoDayOfWeek => (clock.weekday().number_from_monday().into(), 1),
        Field::Julian => (i64::from(clock.num_days_from_ce()) + JULIAN_DAY_ZERO - 1, 1),
        Field::Hour24 => (clock.hour().into(), 2),
        Field::Hour12 => (clock.hour12().1.into(), 2),
        Field::Minute => (clock.minute().into(), 2),
        Field::Second => (clock.second().into(), 2),
        Field::Millisecond => (micros / 1_000, 3),
        Field::Microsecond => (micros, 6),
        Field::Fraction(digits) => {
            (micros / 10_i64.pow(6 - u32::from(digits.min(6))), usize::from(digits))
        }
        Field::SecondOfDay => (clock.num_seconds_from_midnight().into(), 1),
        _ => return None,
    };
    Some((value, width))
}

fn write_word(
    out: &mut String,
    styled: Styled,
    clock: NaiveDateTime,
    offset: Option<FixedOffset>,
) -> Result<()> {
    let seconds = offset.map_or(0, |offset| offset.local_minus_utc());
    let (hours, minutes) = (seconds / 3_600, seconds.abs() % 3_600 / 60);
    match styled.field {
        Field::MonthName(case) => push_name(out, month(clock, &MONTHS), case, styled.bare),
        Field::MonthShort(case) => out.push_str(&in_case(short(month(clock, &MONTHS)), case)),
        Field::MonthRoman(case) => {
            let roman = in_case(month(clock, &ROMAN), case);
            out.push_str(&if styled.bare { roman } else { format!("{roman:<4}") });
        }
        Field::DayName(case) => push_name(out, day(clock), case, styled.bare),
        Field::DayShort(case) => out.push_str(&in_case(short(day(clock)), case)),
        Field::GroupedYear => {
            let year = clock.year();
            out.push_str(&format!("{},{:03}", year / 1_000, year % 1_000));
        }
        Field::Meridiem { case, dotted } => {
            let half = if clock.hour() < 12 { ["AM", "A.M."] } else { ["PM", "P.M."] };
            out.push_str(&in_case(half[usize::from(dotted)], case));
        }
        Field::Era { case, dotted } => {
            let era = if clock.year() > 0 { ["AD", "A.D."] } else { ["BC", "B.C."] };
            out.push_str(&in_case(era[usize::from(dotted)], case));
        }
        Field::Zone(case) => match offset {
            None => {}
            Some(_) if seconds == 0 => out.push_str(&in_case("UTC", case)),
            Some(_) => {
                return Err(Error::unsupported("TZ in a pattern for a zone other than UTC")
                    .with_hint("Write OF for the offset from UTC."));
            }
        },
        Field::ZoneHours => out.push_str(&format!("{hours:+03}")),
        Field::ZoneMinutes => out.push_str(&format!("{minutes:02}")),
        Field::Offset if minutes == 0 => out.push_str(&format!("{hours:+03}")),
        Field::Offset => out.push_str(&format!("{hours:+03}:{minutes:02}")),
        _ => {}
    }
    Ok(())
}

fn month(clock: NaiveDateTime, names: &[&'static str; 12]) -> &'static str {
    names.get(clock.month0() as usize).copied().unwrap_or_default()
}

fn day(clock: NaiveDateTime) -> &'static str {
    DAYS.get(clock.weekday().num_days_from_sunday() as usize).copied().unwrap_or_default()
}

fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

fn push_name(out: &mut String, name: &str, case: Case, bare: bool) {
    let width = if bare { 0 } else { NAME_WIDTH };
    let name = in_case(name, case);
    out.push_str(&format!("{name:<width$}"));
}

fn in_case(word: &str, case: Case) -> String {
    match case {
        Case::Upper => word.to_uppercase(),
        Case::Title => word.to_owned(),
        Case::Lower => word.to_lowercase(),
    }
}

/// The number of a month by its name or its first three letters, and how long that is.
pub(super) fn month_named(text: &str) -> Option<(u32, usize)> {
    named(text, &MONTHS)
}

/// The number of a day of the week, and how long its name is.
pub(super) fn day_named(text: &str) -> Option<(u32, usize)> {
    named(text, &DAYS)
}

fn named(text: &str, names: &[&str]) -> Option<(u32, usize)> {
    let begins =
        |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let full = (1..).zip(names).find(|(_, name)| begins(name)).map(|(n, name)| (n, name.len()));
    full.or_else(|| (1..).zip(names).find(|(_, name)| begins(short(name))).map(|(n, _)| (n, 3)))
}
