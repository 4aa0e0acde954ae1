//! Arithmetic with dates and timestamps, as Redshift has it.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Float64Array, Int64Array, IntervalMonthDayNanoArray,
    StringViewArray,
};
use arrow::compute::kernels::numeric::add;
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, Timelike, Weekday};
use datafusion::common::cast::{as_int64_array, as_string_view_array};
use datafusion::error::Result;

use super::civil::{cast, clocks, from_utc, out_of_range, timestamps, to_utc, zone};
use super::part::Part;
use super::scalar::{Kind, Scalar};
use crate::Error;

const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

pub(super) fn list() -> Vec<Scalar> {
    vec![
        Scalar::new(
            "dateadd",
            "dateadd(part, n, moment)",
            "The moment, n parts later. A date becomes a timestamp.",
            dateadd,
        )
        .takes(&[("part", Kind::Text), ("n", Kind::Integer), ("moment", Kind::Moment)])
        .returns(|types| timestamp_of(types.get(2)))
        .alias("date_add"),
        Scalar::new(
            "datediff",
            "datediff(part, from, to)",
            "How many boundaries of the part lie between two moments; weeks begin on Sunday.",
            datediff,
        )
        .takes(&[("part", Kind::Text), ("from", Kind::Moment), ("to", Kind::Moment)])
        .returns(|_| DataType::Int64)
        .alias("date_diff"),
        Scalar::new(
            "add_months",
            "add_months(moment, n)",
            "The moment, n months later; the last day of a month stays a last day.",
            add_months,
        )
        .takes(&[("moment", Kind::Moment), ("n", Kind::Integer)])
        .returns(|_| TIMESTAMP),
        Scalar::new(
            "months_between",
            "months_between(a, b)",
            "Months from b to a, with a fraction of 31 days unless both are the same day of the \
             month or both the last.",
            months_between,
        )
        .takes(&[("a", Kind::Moment), ("b", Kind::Moment)])
        .returns(|_| DataType::Float64),
        Scalar::new("last_day", "last_day(moment)", "The last day of the month.", last_day)
            .takes(&[("moment", Kind::Moment)])
            .returns(|_| DataType::Date32),
        Scalar::new(
            "next_day",
            "next_day(moment, day)",
            "The first day after the moment that is that day of the week.",
            next_day,
        )
        .takes(&[("moment", Kind::Moment), ("day", Kind::Text)])
        .returns(|_| DataType::Date32),
        Scalar::new(
            "convert_timezone",
            "convert_timezone([from,] to, timestamp)",
            "What clocks in one zone show when those in another (UTC where left out) show the \
             timestamp.",
            convert_timezone,
        )
        // Which of the three is left out is known by the count.
        .takes(&[("from", Kind::Text), ("to", Kind::Any), ("timestamp", Kind::Any)])
        .optional(1)
        .returns(|_| TIMESTAMP),
    ]
}

fn timestamp_of(given: Option<&DataType>) -> DataType {
    match given {
        Some(given @ DataType::Timestamp(_, _)) => given.clone(),
        _ => TIMESTAMP,
    }
}

/// The parts that a column names; one that doesn't change is read once.
fn parts(column: &ArrayRef) -> Result<Vec<Option<Part>>> {
    let texts = as_string_view_array(column)?;
    let mut last: Option<(&str, Part)> = None;
    let mut part = |text| match last {
        Some((seen, part)) if seen == text => Ok(part),
        _ => {
            let part = part_of(text)?;
            last = Some((text, part));
            Ok(part)
        }
    };
    texts.iter().map(|text| text.map(&mut part).transpose()).collect()
}

fn part_of(text: &str) -> Result<Part> {
    Part::of(text).ok_or_else(|| {
        Error::invalid(format!("\"{text}\" is no part of a date"))
            .with_hint(
                "Parts are year, quarter, month, week, day, hour, minute, second, millisecond and \
                 microsecond.",
            )
            .into()
    })
}

fn dateadd(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [part, count, moment] = columns else { return Err(wrong_count()) };
    let moment = cast(moment, &timestamp_of(Some(moment.data_type())))?;
    let (parts, counts) = (parts(part)?, as_int64_array(count)?);
    let days: IntervalMonthDayNanoArray = parts
        .iter()
        .zip(counts)
        .map(|(part, count)| match (part, count) {
            (Some(part), Some(count)) => calendar_step(*part, count).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<_>>()?;
    let moment = add(&moment, &days).map_err(|_| out_of_range())?;
    let steps: Vec<i128> = parts
        .iter()
        .zip(counts)
        .map(|(part, count)| {
            let length = part.and_then(Part::nanoseconds).unwrap_or(0);
            i128::from(length) * i128::from(count.unwrap_or(0))
        })
        .collect();
    match steps.iter().all(|step| *step == 0) {
        true => Ok(moment),
        false => add_nanoseconds(&moment, &steps),
    }
}

/// The months and days of a step.
fn calendar_step(part: Part, count: i64) -> Result<IntervalMonthDayNano> {
    let times = |length: Option<i64>| {
        let product = length.unwrap_or(0).checked_mul(count).ok_or_else(out_of_range)?;
        i32::try_from(product).map_err(|_| out_of_range())
    };
    Ok(IntervalMonthDayNano::new(times(part.months())?, times(part.days())?, 0))
}

fn add_nanoseconds(moment: &ArrayRef, steps: &[i128]) -> Result<ArrayRef> {
    macro_rules! add_to {
        ($unit:ty, $nanoseconds:expr) => {{
            let values = moment.as_primitive::<$unit>();
            let added = values.iter().zip(steps).map(|(value, step)| match value {
                Some(value) => {
                    let sum = (i128::from(value) * $nanoseconds + step).div_euclid($nanoseconds);
                    i64::try_from(sum).map(Some).map_err(|_| out_of_range())
                }
                None => Ok(None),
            });
            let added: arrow::array::PrimitiveArray<$unit> = added.collect::<Result<_>>()?;
            Arc::new(added.with_data_type(moment.data_type().clone())) as ArrayRef
        }};
    }
    Ok(match moment.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => add_to!(TimestampSecondType, 1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            add_to!(TimestampMillisecondType, 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => add_to!(TimestampMicrosecondType, 1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => add_to!(TimestampNanosecondType, 1),
        other => return Err(Error::internal(format!("dateadd() on {other}")).into()),
    })
}

fn datediff(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [part, from, to] = columns else { return Err(wrong_count()) };
    let parts = parts(part)?;
    let (from, to) = (Clocks::of(from)?, Clocks::of(to)?);
    let differences = parts.iter().enumerate().map(|(row, part)| {
        let part = (*part)?;
        let (from, to) = (from.at(row, part)?, to.at(row, part)?);
        Some(boundary(part, to) - boundary(part, from))
    });
    Ok(Arc::new(differences.collect::<Int64Array>()))
}

/// A column of moments, to be read locally for days and longer, and in UTC for what is shorter.
struct Clocks {
    local: Vec<Option<NaiveDateTime>>,
    utc: Option<Vec<Option<NaiveDateTime>>>,
}

impl Clocks {
    fn of(column: &ArrayRef) -> Result<Self> {
        let utc = match column.data_type() {
            DataType::Timestamp(_, Some(_)) => Some(clocks(column, false)?),
            _ => None,
        };
        Ok(Self { local: clocks(column, true)?, utc })
    }

    fn at(&self, row: usize, part: Part) -> Option<NaiveDateTime> {
        let clocks = match (&self.utc, part.nanoseconds()) {
            (Some(utc), Some(_)) => utc,
            _ => &self.local,
        };
        clocks.get(row).copied().flatten()
    }
}

/// The number of the part that `clock` is in.
fn boundary(part: Part, clock: NaiveDateTime) -> i64 {
    let year = i64::from(clock.year());
    let day = i64::from(clock.num_days_from_ce());
    let microseconds = clock.and_utc().timestamp_micros();
    match part {
        Part::Millennium => (year - 1).div_euclid(1000),
        Part::Century => (year - 1).div_euclid(100),
        Part::Decade => year.div_euclid(10),
        Part::Year => year,
        Part::Quarter => year * 4 + i64::from(clock.month0() / 3),
        Part::Month => year * 12 + i64::from(clock.month0()),
        // Day 0 was a Sunday.
        Part::Week => day.div_euclid(7),
        Part::Day | Part::DayOfWeek | Part::DayOfYear => day,
        shorter => {
            let length = shorter.nanoseconds().unwrap_or(1_000) / 1_000;
            microseconds.div_euclid(length)
        }
    }
}

fn is_last_day(date: NaiveDate) -> bool {
    date.succ_opt().is_none_or(|next| next.month() != date.month())
}

fn last_of_month(date: NaiveDate) -> Option<NaiveDate> {
    date.with_day(1)?.checked_add_months(Months::new(1))?.pred_opt()
}

fn add_months(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [moment, count] = columns else { return Err(wrong_count()) };
    let counts = as_int64_array(count)?;
    let moved = clocks(moment, true)?
        .into_iter()
        .zip(counts)
        .map(|pair| match pair {
            (Some(clock), Some(count)) => {
                moved_months(clock, count).map(Some).ok_or_else(out_of_range)
            }
            _ => Ok(None),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(timestamps(moved.into_iter()))
}

fn moved_months(clock: NaiveDateTime, count: i64) -> Option<NaiveDateTime> {
    let months = Months::new(u32::try_from(count.unsigned_abs()).ok()?);
    let date = clock.date();
    let moved = match count < 0 {
        true => date.checked_sub_months(months)?,
        false => date.checked_add_months(months)?,
    };
    let date = if is_last_day(date) { last_of_month(moved)? } else { moved };
    Some(date.and_time(clock.time()))
}

fn months_between(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [a, b] = columns else { return Err(wrong_count()) };
    let months =
        clocks(a, true)?.into_iter().zip(clocks(b, true)?).map(|(a, b)| Some(months_from(b?, a?)));
    Ok(Arc::new(months.collect::<Float64Array>()))
}

fn months_from(from: NaiveDateTime, to: NaiveDateTime) -> f64 {
    let whole = f64::from((to.year() - from.year()) * 12 + to.month() as i32 - from.month() as i32);
    let both_last = is_last_day(from.date()) && is_last_day(to.date());
    if from.day() == to.day() || both_last {
        return whole;
    }
    let day = |clock: NaiveDateTime| {
        f64::from(clock.day()) + f64::from(clock.num_seconds_from_midnight()) / 86_400.0
    };
    whole + (day(to) - day(from)) / 31.0
}

fn last_day(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [moment] = columns else { return Err(wrong_count()) };
    dates(clocks(moment, true)?.into_iter().map(|clock| match clock {
        Some(clock) => last_of_month(clock.date()).map(Some).ok_or_else(out_of_range),
        None => Ok(None),
    }))
}

fn next_day(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [moment, day] = columns else { return Err(wrong_count()) };
    let days = as_string_view_array(day)?;
    dates(clocks(moment, true)?.into_iter().zip(days).map(|pair| match pair {
        (Some(clock), Some(day)) => {
            let (today, wanted) = (clock.weekday(), weekday(day)?);
            let ahead = (wanted.days_since(today) + 6) % 7 + 1;
            let next = clock.date().checked_add_days(Days::new(ahead.into()));
            next.map(Some).ok_or_else(out_of_range)
        }
        _ => Ok(None),
    }))
}

/// A day's name, or what it begins with: Redshift takes `M`, `Mo`, `Mon` and `Monday`, and
/// `T` is Tuesday, `S` Sunday.
fn weekday(name: &str) -> Result<Weekday> {
    let name = name.to_ascii_lowercase();
    let days = [
        ("sunday", Weekday::Sun),
        ("monday", Weekday::Mon),
        ("tuesday", Weekday::Tue),
        ("wednesday", Weekday::Wed),
        ("thursday", Weekday::Thu),
        ("friday", Weekday::Fri),
        ("saturday", Weekday::Sat),
    ];
    let found = days.into_iter().find(|(full, _)| !name.is_empty() && full.starts_with(&name));
    match found {
        Some((_, day)) => Ok(day),
        None => Err(Error::invalid(format!("\"{name}\" is no day of the week")).into()),
    }
}

fn dates(dates: impl Iterator<Item = Result<Option<NaiveDate>>>) -> Result<ArrayRef> {
    let values = dates.map(|date| Ok(date?.map(arrow::datatypes::Date32Type::from_naive_date)));
    Ok(Arc::new(values.collect::<Result<Date32Array>>()?))
}

fn convert_timezone(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (from, to, moment) = match columns {
        [to, moment] => (None, to, moment),
        [from, to, moment] => (Some(as_string_view_array(from)?), to, moment),
        _ => return Err(wrong_count()),
    };
    let to = cast(to, &DataType::Utf8View)?;
    let to = as_string_view_array(&to)?;
    let moment = match moment.data_type() {
        DataType::Timestamp(_, _) => moment.clone(),
        _ => cast(moment, &TIMESTAMP)?,
    };
    // A timestamp with a zone is a moment already, whatever zone is named.
    let zoned = matches!(moment.data_type(), DataType::Timestamp(_, Some(_)));
    let clocks = clocks(&moment, false)?;
    let mut zones = Zones::default();
    let mut converted = Vec::with_capacity(clocks.len());
    for (row, clock) in clocks.into_iter().enumerate() {
        let (Some(to), Some(from)) = (named(Some(to), row), named(from, row)) else {
            converted.push(None);
            continue;
        };
        let Some(clock) = clock else {
            converted.push(None);
            continue;
        };
        let utc = if zoned { Some(clock) } else { to_utc(zones.get(from)?, clock) };
        let target = zones.get(to)?;
        let shown = utc.and_then(|utc| from_utc(target, utc)).ok_or_else(out_of_range)?;
        converted.push(Some(shown));
    }
    Ok(timestamps(converted.into_iter()))
}

/// The zone's name in a row; without a column it is UTC.
fn named(column: Option<&StringViewArray>, row: usize) -> Option<&str> {
    match column {
        Some(column) => column.is_valid(row).then(|| column.value(row)),
        None => Some("UTC"),
    }
}

/// Zones that were looked up: a query names few.
#[derive(Default)]
struct Zones(Vec<(String, arrow::array::timezone::Tz)>);

impl Zones {
    fn get(&mut self, name: &str) -> Result<arrow::array::timezone::Tz> {
        if let Some((_, found)) = self.0.iter().find(|(known, _)| known == name) {
            return Ok(*found);
        }
        let found = zone(name)?;
        if self.0.len() < 64 {
            self.0.push((name.to_owned(), found));
        }
        Ok(found)
    }
}

fn wrong_count() -> datafusion::error::DataFusionError {
    Error::internal("a function has a wrong number of arguments").into()
}
