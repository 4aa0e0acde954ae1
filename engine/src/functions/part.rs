//! Parts of a date, in all the spellings that PostgreSQL and Redshift know.

/// A part of a date or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Millennium,
    Century,
    Decade,
    Year,
    Quarter,
    Month,
    Week,
    Day,
    DayOfWeek,
    DayOfYear,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
}

impl Part {
    /// The part that a spelling means, in any case.
    pub(crate) fn of(spelling: &str) -> Option<Self> {
        Some(match spelling.to_ascii_lowercase().as_str() {
            "mil" | "mils" | "millennium" | "millennia" => Self::Millennium,
            "c" | "cent" | "cents" | "century" | "centuries" => Self::Century,
            "dec" | "decs" | "decade" | "decades" => Self::Decade,
            "y" | "yr" | "yrs" | "yyyy" | "year" | "years" => Self::Year,
            "qtr" | "qtrs" | "quarter" | "quarters" => Self::Quarter,
            "mon" | "mons" | "mm" | "month" | "months" => Self::Month,
            "w" | "ww" | "week" | "weeks" => Self::Week,
            "d" | "dd" | "day" | "days" => Self::Day,
            "dow" | "dw" | "dayofweek" | "weekday" => Self::DayOfWeek,
            "doy" | "dy" | "dayofyear" | "yearday" => Self::DayOfYear,
            "h" | "hh" | "hr" | "hrs" | "hour" | "hours" => Self::Hour,
            "m" | "mi" | "min" | "mins" | "minute" | "minutes" => Self::Minute,
            "s" | "ss" | "sec" | "secs" | "second" | "seconds" => Self::Second,
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisec" | "millisecs"
            | "millisecond" | "milliseconds" => Self::Millisecond,
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsec" | "microsecs"
            | "microsecond" | "microseconds" => Self::Microsecond,
            _ => return None,
        })
    }

    /// As DataFusion's `date_part` and `date_trunc` spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Millennium => "millennium",
            Self::Century => "century",
            Self::Decade => "decade",
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::DayOfWeek => "dow",
            Self::DayOfYear => "doy",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Millisecond => "millisecond",
            Self::Microsecond => "microsecond",
        }
    }

    /// How many months it is long, where it is months.
    pub(super) fn months(self) -> Option<i64> {
        Some(match self {
            Self::Millennium => 12_000,
            Self::Century => 1_200,
            Self::Decade => 120,
            Self::Year => 12,
            Self::Quarter => 3,
            Self::Month => 1,
            _ => return None,
        })
    }

    /// How many days it is long, where it is days.
    pub(super) fn days(self) -> Option<i64> {
        match self {
            Self::Week => Some(7),
            Self::Day | Self::DayOfWeek | Self::DayOfYear => Some(1),
            _ => None,
        }
    }

    /// How many nanoseconds it is long, where it is part of a day.
    pub(super) fn nanoseconds(self) -> Option<i64> {
        Some(match self {
            Self::Hour => 3_600_000_000_000,
            Self::Minute => 60_000_000_000,
            Self::Second => 1_000_000_000,
            Self::Millisecond => 1_000_000,
            Self::Microsecond => 1_000,
            _ => return None,
        })
    }
}
