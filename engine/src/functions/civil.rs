//! Columns of dates and timestamps as calendar dates and wall clocks, and back.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::temporal_conversions::timestamp_us_to_datetime;
use chrono::{NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion::error::Result;

use crate::Error;

/// What a clock on the wall shows at each moment of a column, to the microsecond: in the
/// column's own zone, or in UTC.
pub(super) fn clocks(column: &ArrayRef, local: bool) -> Result<Vec<Option<NaiveDateTime>>> {
    let zone = match column.data_type() {
        DataType::Timestamp(_, Some(zone)) if local => Some(Tz::from_str(zone)?),
        _ => None,
    };
    let zoneless = match column.data_type() {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        _ => DataType::Timestamp(TimeUnit::Microsecond, None),
    };
    let column = cast(column, &zoneless)?;
    let values = column.as_primitive::<TimestampMicrosecondType>();
    let clock = |value: i64| {
        let utc = timestamp_us_to_datetime(value)?;
        match zone {
            Some(zone) => utc.checked_add_offset(zone.offset_from_utc_datetime(&utc).fix()),
            None => Some(utc),
        }
    };
    values
        .iter()
        .map(|value| match value {
            Some(value) => Ok(Some(clock(value).ok_or_else(out_of_range)?)),
            None => Ok(None),
        })
        .collect()
}

/// A cast that is an error where a value doesn't fit, rather than NULL.
pub(super) fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(column, to, &strict)?)
}

/// A column of timestamps without a zone.
pub(super) fn timestamps(clocks: impl Iterator<Item = Option<NaiveDateTime>>) -> ArrayRef {
    let values = clocks.map(|clock| clock.map(|clock| clock.and_utc().timestamp_micros()));
    Arc::new(values.collect::<TimestampMicrosecondArray>())
}

/// The zone of a name (`Europe/Berlin`) or an offset (`+02:00`).
pub(super) fn zone(name: &str) -> Result<Tz> {
    Tz::from_str(name).map_err(|_| {
        Error::invalid(format!("\"{name}\" is no time zone"))
            .with_hint("Zones are named as in Europe/Berlin, UTC or +02:00.")
            .into()
    })
}

/// The moment in UTC at which clocks of `zone` show `local`: the first of two where they are put
/// back, and what it would have been without the change where they are put forward.
pub(super) fn to_utc(zone: Tz, local: NaiveDateTime) -> Option<NaiveDateTime> {
    if let Some(moment) = zone.from_local_datetime(&local).earliest() {
        return Some(moment.naive_utc());
    }
    let before = local.checked_sub_signed(TimeDelta::hours(24))?;
    let offset = zone.from_local_datetime(&before).latest()?.offset().fix();
    local.checked_sub_offset(offset)
}

/// What clocks of `zone` show at `utc`.
pub(super) fn from_utc(zone: Tz, utc: NaiveDateTime) -> Option<NaiveDateTime> {
    utc.checked_add_offset(zone.offset_from_utc_datetime(&utc).fix())
}

pub(super) fn out_of_range() -> datafusion::error::DataFusionError {
    Error::invalid("a date or timestamp is out of range").into()
}
