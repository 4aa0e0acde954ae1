//! Schedules of crawlers.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::{Error, Result};

/// When a crawler runs: AWS's `cron(minutes hours day-of-month month day-of-week year)`, in UTC.
pub(super) struct Schedule(Cron);

impl Schedule {
    /// Reads a schedule.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let invalid = || {
            Error::Invalid(format!(
                "\"{text}\" is no schedule: write cron(minutes hours day-of-month month \
                 day-of-week year), such as cron(15 12 * * ? *)"
            ))
        };
        let inner = text.trim().strip_prefix("cron(").and_then(|text| text.strip_suffix(')'));
        let inner = inner.ok_or_else(invalid)?;
        if inner.split_whitespace().count() != 6 {
            return Err(invalid());
        }
        // Days of the week are 1 (Sunday) to 7 in AWS.
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Required)
            .alternative_weekdays(true)
            .sloppy_ranges(true)
            .build();
        let cron = parser.parse(&format!("0 {inner}")).map_err(|_| invalid())?;
        Ok(Self(cron))
    }

    /// The last time at or before `now` that it names.
    pub(super) fn last_before(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.find_previous_occurrence(&now, true).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(schedule: &str, now: &str) -> Option<String> {
        let last = Schedule::parse(schedule).unwrap().last_before(now.parse().unwrap());
        last.map(|time| time.format("%F %R").to_string())
    }

    #[test]
    fn schedules_are_those_of_aws() {
        let now = "2026-11-24T17:05:30Z"; // a Tuesday
        for (schedule, expected) in [
            ("cron(15 12 * * ? *)", "2026-11-24 12:15"),
            ("cron(0/15 * * * ? *)", "2026-11-24 17:00"),
            ("cron(0 8 ? * 2 *)", "2026-11-23 08:00"),
            ("cron(0 8 ? * MON-FRI *)", "2026-11-24 08:00"),
            ("cron(0 0 1 * ? *)", "2026-11-01 00:00"),
        ] {
            assert_eq!(last(schedule, now).as_deref(), Some(expected), "{schedule}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "cron()", "15 12 * * ? *", "cron(15 12 * * ?)", "cron(99 1 * * ? *)"] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }
}
