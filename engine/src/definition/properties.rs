//! Delta's table properties: which there are, and which values they take.

use std::collections::BTreeMap;

use crate::names::did_you_mean;
use crate::{Error, Result};

/// What a property's value may be.
enum Kind {
    Boolean,
    /// From this on.
    Number(i64),
    /// A number of bytes, with `kb`, `mb` or `gb` behind it or not.
    Size,
    /// A span of time: `interval 7 days`.
    Interval,
    OneOf(&'static [&'static str]),
    Text,
}

use Kind::{Boolean, Interval, Number, OneOf, Size, Text};

const KNOWN: [(&str, Kind); 25] = [
    ("delta.appendOnly", Boolean),
    ("delta.autoOptimize.autoCompact", OneOf(&["true", "false", "auto"])),
    ("delta.autoOptimize.optimizeWrite", Boolean),
    ("delta.checkpoint.writeStatsAsJson", Boolean),
    ("delta.checkpoint.writeStatsAsStruct", Boolean),
    ("delta.checkpointInterval", Number(1)),
    ("delta.checkpointPolicy", OneOf(&["classic"])),
    ("delta.checkpointRetentionDuration", Interval),
    ("delta.columnMapping.mode", OneOf(&["none", "name"])),
    ("delta.dataSkippingNumIndexedCols", Number(-1)),
    ("delta.dataSkippingStatsColumns", Text),
    ("delta.deletedFileRetentionDuration", Interval),
    ("delta.enableChangeDataFeed", Boolean),
    ("delta.enableDeletionVectors", Boolean),
    ("delta.enableExpiredLogCleanup", Boolean),
    ("delta.enableTypeWidening", Boolean),
    ("delta.isolationLevel", OneOf(&["Serializable", "WriteSerializable", "SnapshotIsolation"])),
    ("delta.logRetentionDuration", Interval),
    ("delta.parquet.compression.codec", OneOf(&["zstd", "snappy", "lz4", "gzip", "uncompressed"])),
    ("delta.randomizeFilePrefixes", Boolean),
    ("delta.randomPrefixLength", Number(1)),
    ("delta.sampleRetentionDuration", Interval),
    ("delta.setTransactionRetentionDuration", Interval),
    ("delta.targetFileSize", Size),
    ("delta.tuneFileSizesForRewrites", Boolean),
];
const UNITS: [&str; 8] =
    ["nanosecond", "microsecond", "millisecond", "second", "minute", "hour", "day", "week"];

/// The properties as Delta writes them. One of `delta.` that isn't there, or has a value that it
/// can't have, is an error; all others are the user's own.
pub(crate) fn checked_properties(
    properties: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    properties.into_iter().map(|(key, value)| checked(&key, value)).collect()
}

fn checked(key: &str, value: String) -> Result<(String, String)> {
    let lower = key.to_ascii_lowercase();
    if lower.starts_with("boathouse.constraints.") || lower.starts_with("delta.constraints.") {
        return Err(Error::invalid(format!("property \"{key}\" is a constraint"))
            .with_hint("Use ALTER TABLE … ADD CONSTRAINT name CHECK (…), or DROP CONSTRAINT."));
    }
    if !lower.starts_with("delta.") {
        return Ok((key.to_owned(), value));
    }
    let Some((name, kind)) = KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)) else {
        return Err(unknown(key));
    };
    let value = kind.value(&value).map_err(|wanted| {
        Error::invalid(format!("property \"{name}\" can't be '{value}'"))
            .with_hint(format!("It takes {wanted}."))
    })?;
    Ok(((*name).to_owned(), value))
}

fn unknown(key: &str) -> Error {
    let error = Error::unsupported(format!("table property \"{key}\""));
    if key.to_ascii_lowercase().starts_with("delta.feature.")
        || ["delta.minReaderVersion", "delta.minWriterVersion"].contains(&key)
    {
        return error.with_hint("A table gets the protocol that its definition needs by itself.");
    }
    let names: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
    match did_you_mean(key, &names) {
        Some(hint) => error.with_hint(hint),
        None => error.with_hint("Properties of your own must not begin with \"delta.\"."),
    }
}

impl Kind {
    /// The value as Delta writes it, or what there may be instead.
    fn value(&self, text: &str) -> Result<String, String> {
        let text = text.trim();
        match self {
            Boolean => match text.to_ascii_lowercase().as_str() {
                value @ ("true" | "false") => Ok(value.to_owned()),
                _ => Err("true or false".to_owned()),
            },
            Number(least) => match text.parse::<i64>() {
                Ok(number) if number >= *least => Ok(number.to_string()),
                _ => Err(format!("a number from {least} on")),
            },
            Size => match is_size(text) {
                true => Ok(text.to_owned()),
                false => Err("a size, as in '128mb'".to_owned()),
            },
            Interval => {
                interval(text).ok_or_else(|| "an interval, as in 'interval 7 days'".to_owned())
            }
            OneOf(values) => values
                .iter()
                .find(|value| value.eq_ignore_ascii_case(text))
                .map(|value| (*value).to_owned())
                .ok_or_else(|| values.join(", ")),
            Text => Ok(text.to_owned()),
        }
    }
}

fn is_size(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let units = ["kb", "mb", "gb", "k", "m", "g", "b"];
    let digits = units.iter().find_map(|unit| lower.strip_suffix(unit)).unwrap_or(&lower);
    digits.trim().parse::<u64>().is_ok_and(|bytes| bytes > 0)
}

fn interval(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_whitespace().filter(|word| *word != "interval").collect();
    let [number, unit] = words.as_slice() else { return None };
    let number: u32 = number.parse().ok()?;
    let known = UNITS.contains(&unit.trim_end_matches('s'));
    known.then(|| format!("interval {number} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: &str) -> Result<(String, String)> {
        checked(key, value.to_owned())
    }

    #[test]
    fn names_and_values_come_as_delta_writes_them() {
        let (key, value) = check("DELTA.APPENDONLY", "TRUE").unwrap();
        assert_eq!((key.as_str(), value.as_str()), ("delta.appendOnly", "true"));
        let (_, value) = check("delta.logRetentionDuration", "7 Days").unwrap();
        assert_eq!(value, "interval 7 days");
        check("team", "data platform").unwrap();
    }

    #[test]
    fn what_delta_does_not_know_is_refused() {
        for (key, value) in [
            ("delta.appendOnly", "yes"),
            ("delta.checkpointInterval", "0"),
            ("delta.targetFileSize", "large"),
            ("delta.logRetentionDuration", "interval 2 moons"),
            ("delta.nonsense", "1"),
            ("delta.feature.rowTracking", "supported"),
            ("delta.constraints.x", "a > 0"),
        ] {
            assert!(check(key, value).unwrap_err().hint().is_some(), "{key}");
        }
    }
}
