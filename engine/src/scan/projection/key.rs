//! The values of one projected partition key.

use std::collections::BTreeMap;

use boathouse_catalog::{Column, KeyTest};
use chrono::{DateTime, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use super::bounds;
use super::date_format::{DateFormat, Unit};
use crate::{Error, Result};

/// A partition key and its values.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    /// The key's Hive type.
    data_type: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Enum(Vec<String>),
    Integer {
        series: Series,
        digits: usize,
    },
    Date {
        series: Series,
        format: DateFormat,
    },
    /// Whatever the query asks for.
    Injected,
}

/// A value of a key.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// As the key's type has it.
    pub(super) text: String,
    /// As it is in a location.
    pub(super) in_path: String,
}

/// Numbers (or times, in seconds since 1970) from `low` to `high`, a step apart.
#[derive(Debug)]
struct Series {
    low: i64,
    high: i64,
    step: Step,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Fixed(i64),
    Months(u32),
}

impl Key {
    /// The key that `parameters` describe in `projection.NAME.…`; `now` is what NOW is.
    pub(super) fn parse(
        column: &Column,
        parameters: &BTreeMap<String, String>,
        now: NaiveDateTime,
    ) -> Result<Self> {
        let name = column.name.to_lowercase();
        let get = |what: &str| {
            let value = parameters.get(&format!("projection.{name}.{what}"));
            value.map(String::as_str).filter(|value| !value.is_empty())
        };
        let need = |what: &str| {
            get(what).ok_or_else(|| {
                Error::invalid(format!("the parameter projection.{name}.{what} is missing"))
                    .with_hint("With projection.enabled = true each partition key needs a type.")
            })
        };
        let kind = match need("type")?.to_ascii_lowercase().as_str() {
            "enum" => {
                let values = need("values")?.split(',').map(|value| value.trim().to_owned());
                Kind::Enum(values.collect())
            }
            "integer" => Kind::Integer {
                series: integers(&name, need("range")?, get("interval"))?,
                digits: match get("digits") {
                    Some(text) => usize::from(number::<u8>(&name, "digits", text)?),
                    None => 0,
                },
            },
            "date" => {
                let format = DateFormat::parse(need("format")?)
                    .map_err(|error| error.about(format!("projection.{name}.format")))?;
                let every = (get("interval"), get("interval.unit"));
                let series = dates(&name, need("range")?, every, &format, now)?;
                Kind::Date { series, format }
            }
            "injected" => Kind::Injected,
            other => {
                return Err(Error::invalid(format!(
                    "\"{other}\" is no type of projection, in projection.{name}.type"
                ))
                .with_hint("Types are enum, integer, date and injected."));
            }
        };
        Ok(Self { name, data_type: column.data_type.trim().to_ascii_lowercase(), kind })
    }

    pub(super) fn is_injected(&self) -> bool {
        matches!(self.kind, Kind::Injected)
    }

    /// How many values it has; as many as a query asks for are not counted.
    pub(super) fn count(&self) -> u64 {
        match &self.kind {
            Kind::Enum(values) => values.len() as u64,
            Kind::Integer { series, .. } | Kind::Date { series, .. } => series.count(),
            Kind::Injected => 1,
        }
    }

    /// The values that may pass all `tests`; `None` if there are more than `max`.
    pub(super) fn values(&self, tests: &[&KeyTest], max: u64) -> Option<Vec<Value>> {
        let wanted = tests.iter().find_map(|test| match test {
            KeyTest::In(values) => Some(values),
            _ => None,
        });
        let values = match (&self.kind, wanted) {
            (Kind::Injected, wanted) => wanted.into_iter().flatten().map(same).collect(),
            (Kind::Enum(values), _) => values.iter().map(same).collect(),
            (Kind::Integer { series, .. } | Kind::Date { series, .. }, Some(wanted)) => {
                let found = wanted.iter().filter_map(|text| self.number(text));
                found.filter(|number| series.contains(*number)).map(|n| self.value(n)).collect()
            }
            (Kind::Integer { series, .. } | Kind::Date { series, .. }, None) => {
                let (low, high) = self.limits(tests);
                let (first, end) = series.within(low, high);
                if end.saturating_sub(first) > max {
                    return None;
                }
                (first..end).filter_map(|k| series.at(k)).map(|n| self.value(n)).collect()
            }
        };
        let mut values: Vec<Value> = values;
        values.sort_by(|a, b| a.text.cmp(&b.text));
        values.dedup_by(|a, b| a.text == b.text);
        (values.len() as u64 <= max).then_some(values)
    }

    /// The number behind the text of a literal of the key's type.
    fn number(&self, text: &str) -> Option<i64> {
        match &self.kind {
            Kind::Integer { .. } => text.parse().ok(),
            Kind::Date { format, .. } if !self.is_date() => format.read(text).map(seconds),
            Kind::Date { .. } => {
                let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
                Some(seconds(day.and_time(NaiveTime::MIN)))
            }
            Kind::Enum(_) | Kind::Injected => None,
        }
    }

    /// Where ranges of the key's type have the order of the numbers, the numbers within.
    fn limits(&self, tests: &[&KeyTest]) -> (Option<i64>, Option<i64>) {
        let is_ordered = match &self.kind {
            Kind::Integer { .. } => self.is_integer(),
            Kind::Date { format, .. } => self.is_date() || format.is_ordered(),
            Kind::Enum(_) | Kind::Injected => false,
        };
        let (mut low, mut high) = (None, None);
        for test in tests.iter().filter(|_| is_ordered) {
            if let KeyTest::Range { low: from, high: to } = test {
                let (from, to) = bounds(from, to, |text| self.number(text));
                low = low.max(from);
                high = high.into_iter().chain(to).min();
            }
        }
        (low, high)
    }

    fn is_date(&self) -> bool {
        self.data_type == "date"
    }

    fn is_integer(&self) -> bool {
        matches!(
            self.data_type.as_str(),
            "tinyint" | "smallint" | "int" | "integer" | "bigint" | "long"
        )
    }

    fn value(&self, number: i64) -> Value {
        match &self.kind {
            Kind::Date { format, .. } => {
                let time = time(number).unwrap_or_default();
                let in_path = format.write(time);
                let text = match self.data_type.as_str() {
                    "date" => time.date().to_string(),
                    other if other.starts_with("timestamp") => time.to_string(),
                    _ => in_path.clone(),
                };
                Value { text, in_path }
            }
            Kind::Integer { digits, .. } => {
                let in_path = format!("{number:0digits$}");
                let text = if self.is_integer() { number.to_string() } else { in_path.clone() };
                Value { text, in_path }
            }
            Kind::Enum(_) | Kind::Injected => same(number.to_string()),
        }
    }
}

fn same(text: impl AsRef<str>) -> Value {
    Value { text: text.as_ref().to_owned(), in_path: text.as_ref().to_owned() }
}

fn number<T: std::str::FromStr>(key: &str, what: &str, text: &str) -> Result<T> {
    text.trim().parse().map_err(|_| {
        Error::invalid(format!("projection.{key}.{what} = {text} is no number that can be used"))
    })
}

fn two<'a>(key: &str, range: &'a str) -> Result<(&'a str, &'a str)> {
    let parts: Vec<&str> = range.split(',').map(str::trim).collect();
    match parts[..] {
        [low, high] => Ok((low, high)),
        _ => Err(Error::invalid(format!("projection.{key}.range = {range} is no \"low,high\""))),
    }
}

fn interval(key: &str, text: Option<&str>) -> Result<u32> {
    match text.map_or(Ok(1), |text| number(key, "interval", text))? {
        0 => Err(Error::invalid(format!("projection.{key}.interval must be positive"))),
        interval => Ok(interval),
    }
}

fn integers(key: &str, range: &str, step: Option<&str>) -> Result<Series> {
    let (low, high) = two(key, range)?;
    let step = Step::Fixed(i64::from(interval(key, step)?));
    Ok(Series { low: number(key, "range", low)?, high: number(key, "range", high)?, step })
}

fn dates(
    key: &str,
    range: &str,
    (count, unit): (Option<&str>, Option<&str>),
    format: &DateFormat,
    now: NaiveDateTime,
) -> Result<Series> {
    let (low, high) = two(key, range)?;
    // A bound is as precise as the format: NOW is today in a format of days.
    let bound = |text: &str| {
        let exact = relative(text, now).or_else(|| format.read(text));
        let rounded = exact.and_then(|exact| format.read(&format.write(exact)));
        rounded.map(seconds).ok_or_else(|| {
            Error::invalid(format!("projection.{key}.range: \"{text}\" is no date"))
                .with_hint("Write dates as projection's format says, or NOW-3YEARS.")
        })
    };
    let unit = match unit {
        Some(text) => Unit::named(text).ok_or_else(|| {
            Error::invalid(format!("projection.{key}.interval.unit = {text} is no unit"))
                .with_hint("Units are YEARS, MONTHS, WEEKS, DAYS, HOURS, MINUTES and SECONDS.")
        })?,
        None => format.finest(),
    };
    let count = interval(key, count)?;
    let step = match unit.months() {
        Some(months) => Step::Months(count.saturating_mul(months)),
        None => Step::Fixed(i64::from(count).saturating_mul(unit.seconds())),
    };
    Ok(Series { low: bound(low)?, high: bound(high)?, step })
}

/// `NOW`, or a time before or after it, as `NOW-3YEARS`.
fn relative(text: &str, now: NaiveDateTime) -> Option<NaiveDateTime> {
    let upper = text.to_ascii_uppercase();
    let rest = upper.strip_prefix("NOW")?.trim();
    if rest.is_empty() {
        return Some(now);
    }
    let back = rest.starts_with('-');
    let rest = rest.strip_prefix(['-', '+'])?.trim();
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let count: u32 = rest[..end].parse().ok()?;
    let unit = Unit::named(rest[end..].trim())?;
    match (unit.months(), back) {
        (Some(months), true) => now.checked_sub_months(Months::new(count.checked_mul(months)?)),
        (Some(months), false) => now.checked_add_months(Months::new(count.checked_mul(months)?)),
        (None, _) => {
            let delta = TimeDelta::try_seconds(i64::from(count).checked_mul(unit.seconds())?)?;
            if back { now.checked_sub_signed(delta) } else { now.checked_add_signed(delta) }
        }
    }
}

fn seconds(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp()
}

fn time(seconds: i64) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp(seconds, 0)?.naive_utc())
}

impl Series {
    /// The value at a place, if it isn't past the end.
    fn at(&self, place: u64) -> Option<i64> {
        let value = match self.step {
            Step::Fixed(step) => {
                self.low.checked_add(i64::try_from(place).ok()?.checked_mul(step)?)?
            }
            Step::Months(step) => {
                let months = u32::try_from(place).ok()?.checked_mul(step)?;
                seconds(time(self.low)?.checked_add_months(Months::new(months))?)
            }
        };
        (value <= self.high).then_some(value)
    }

    /// The first place whose value is not less than `value`, or else the end.
    fn place_of(&self, value: i64) -> u64 {
        if value <= self.low {
            return 0;
        }
        match self.step {
            Step::Fixed(step) => {
                let value = value.min(self.high.saturating_add(1));
                let distance = value.abs_diff(self.low);
                if self.high < self.low { 0 } else { distance.div_ceil(step.unsigned_abs()) }
            }
            Step::Months(_) => {
                let (mut low, mut high) = (0, u64::from(u32::MAX));
                while low < high {
                    let middle = low + (high - low) / 2;
                    match self.at(middle) {
                        Some(found) if found < value => low = middle + 1,
                        _ => high = middle,
                    }
                }
                low
            }
        }
    }

    fn count(&self) -> u64 {
        if self.high < self.low { 0 } else { self.place_of(self.high.saturating_add(1)) }
    }

    /// The places of values from `low` to `high`.
    fn within(&self, low: Option<i64>, high: Option<i64>) -> (u64, u64) {
        let first = low.map_or(0, |low| self.place_of(low));
        let end = high.map_or(u64::MAX, |high| self.place_of(high.saturating_add(1)));
        let end = end.min(self.count());
        (first.min(end), end)
    }

    fn contains(&self, value: i64) -> bool {
        self.at(self.place_of(value)) == Some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use super::*;

    fn key(data_type: &str, parameters: &[(&str, &str)]) -> Key {
        let column =
            Column { name: "k".into(), data_type: data_type.into(), nullable: true, comment: None };
        let parameters = parameters
            .iter()
            .map(|(name, value)| (format!("projection.k.{name}"), (*value).to_owned()))
            .collect();
        let now = NaiveDate::from_ymd_opt(2026, 3, 15).unwrap().and_hms_opt(10, 20, 30).unwrap();
        Key::parse(&column, &parameters, now).unwrap()
    }

    fn paths(key: &Key, tests: &[&KeyTest]) -> Vec<String> {
        let values = key.values(tests, 1000).unwrap();
        values.into_iter().map(|value| value.in_path).collect()
    }

    fn between(low: &str, high: &str) -> KeyTest {
        KeyTest::Range { low: Bound::Included(low.into()), high: Bound::Excluded(high.into()) }
    }

    #[test]
    fn integers_have_a_step_and_digits() {
        let key = key(
            "int",
            &[("type", "integer"), ("range", "0,10"), ("interval", "5"), ("digits", "3")],
        );
        assert_eq!(paths(&key, &[]), ["000", "010", "005"]);
        assert_eq!(key.count(), 3);
        let wanted = KeyTest::In(vec!["5".into(), "6".into(), "15".into()]);
        assert_eq!(paths(&key, &[&wanted]), ["005"]);
    }

    #[test]
    fn a_range_of_many_is_cut_before_it_is_counted_out() {
        let key = key("bigint", &[("type", "integer"), ("range", "0,9000000000000000000")]);
        assert!(key.values(&[], 1000).is_none());
        assert_eq!(paths(&key, &[&between("7", "9")]), ["7", "8", "9"]);
        assert_eq!(paths(&key, &[&KeyTest::In(vec!["123456789012".into()])]), ["123456789012"]);
    }

    #[test]
    fn dates_are_written_in_their_format() {
        let parameters =
            [("type", "date"), ("range", "2024/02/28,2024/03/01"), ("format", "yyyy/MM/dd")];
        let text = key("string", &parameters);
        assert_eq!(paths(&text, &[]), ["2024/02/28", "2024/02/29", "2024/03/01"]);
        assert_eq!(paths(&text, &[&between("2024/02/29", "2024/02/29")]), ["2024/02/29"]);
        let typed = key("date", &parameters);
        let found = typed.values(&[&KeyTest::In(vec!["2024-02-29".into()])], 10).unwrap();
        assert_eq!(found[0].text, "2024-02-29");
        assert_eq!(found[0].in_path, "2024/02/29");
    }

    #[test]
    fn now_is_a_bound() {
        let days = key(
            "string",
            &[("type", "date"), ("range", "NOW-2DAYS,NOW"), ("format", "yyyy-MM-dd")],
        );
        assert_eq!(paths(&days, &[]), ["2026-03-13", "2026-03-14", "2026-03-15"]);
        let months = key(
            "string",
            &[
                ("type", "date"),
                ("range", "NOW-1YEARS,NOW"),
                ("format", "yyyy-MM"),
                ("interval", "6"),
                ("interval.unit", "MONTHS"),
            ],
        );
        assert_eq!(paths(&months, &[]), ["2025-03", "2025-09", "2026-03"]);
        assert_eq!(months.count(), 3);
        let hours = key(
            "string",
            &[("type", "date"), ("range", "NOW-1HOURS,NOW"), ("format", "yyyyMMddHH")],
        );
        assert_eq!(paths(&hours, &[]), ["2026031509", "2026031510"]);
    }

    #[test]
    fn an_empty_range_has_no_values() {
        let key = key("int", &[("type", "integer"), ("range", "5,1")]);
        assert_eq!(key.count(), 0);
        assert!(paths(&key, &[]).is_empty());
    }

    #[test]
    fn times_before_1970_are_times() {
        let key = key(
            "string",
            &[("type", "date"), ("range", "1969-12-30,1970-01-02"), ("format", "yyyy-MM-dd")],
        );
        assert_eq!(paths(&key, &[]), ["1969-12-30", "1969-12-31", "1970-01-01", "1970-01-02"]);
    }
}
