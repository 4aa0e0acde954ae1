//! Interval literals as PostgreSQL writes them (`'1-2' YEAR TO MONTH`, `'1 02:03:04'`, `'P1DT2H'`).

use datafusion::sql::sqlparser::ast::{DateTimeField, Interval};

use super::build::{literal, text};
use crate::{Error, Result};

pub(super) fn rewrite(interval: &mut Interval) -> Result<()> {
    let Some(value) = literal(&interval.value) else { return Ok(()) };
    let range = interval.last_field.is_some();
    if interval.leading_field.is_some() && !range {
        return Ok(());
    }
    if range && !spans(interval) {
        return Ok(());
    }
    let Some(spelled) = spelled_out(value) else {
        return match range {
            true => Err(Error::invalid(format!("\"{value}\" is no such interval"))),
            false => Ok(()),
        };
    };
    *interval.value = text(&spelled);
    (interval.leading_field, interval.last_field) = (None, None);
    Ok(())
}

/// Whether the fields are ones whose literals tell their units themselves.
fn spans(interval: &Interval) -> bool {
    use DateTimeField as F;
    matches!(
        (&interval.leading_field, &interval.last_field),
        (Some(F::Year), Some(F::Month)) | (Some(F::Day), Some(F::Second))
    )
}

/// The literal with a unit after each number; nothing where it has them or is none.
fn spelled_out(value: &str) -> Option<String> {
    if let Some(iso) = value.trim().strip_prefix('P') {
        return from_iso(iso);
    }
    if !value.contains(':') && !value.trim().get(1..)?.contains('-') {
        return None;
    }
    let mut parts = Vec::new();
    let words: Vec<&str> = value.split_whitespace().collect();
    for (at, word) in words.iter().enumerate() {
        if word.contains(':') {
            parts.push(clock(word)?);
        } else if let Some((years, months)) = word.get(1..)?.split_once('-') {
            let years = format!("{}{years}", word.get(..1)?);
            let sign = if years.starts_with('-') { "-" } else { "" };
            years.parse::<i64>().ok()?;
            months.parse::<u64>().ok()?;
            parts.push(format!("{years} years {sign}{months} months"));
        } else if word.parse::<f64>().is_ok() && words.get(at + 1).is_none_or(|w| w.contains(':')) {
            parts.push(format!("{word} days"));
        } else {
            parts.push((*word).to_owned());
        }
    }
    Some(parts.join(" "))
}

/// `[-]hours:minutes[:seconds]`
fn clock(word: &str) -> Option<String> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    let mut fields = digits.split(':');
    let (hours, minutes, seconds) = (fields.next()?, fields.next()?, fields.next().unwrap_or("0"));
    let whole = |text: &str| text.parse::<u32>().ok();
    whole(hours)?;
    whole(minutes).filter(|minutes| *minutes < 60)?;
    seconds.parse::<f64>().ok().filter(|seconds| (0.0..60.0).contains(seconds))?;
    if fields.next().is_some() {
        return None;
    }
    Some(format!("{sign}{hours} hours {sign}{minutes} minutes {sign}{seconds} seconds"))
}

fn from_iso(iso: &str) -> Option<String> {
    let (mut parts, mut number, mut time) = (Vec::new(), String::new(), false);
    for c in iso.chars() {
        let unit = match (c, time) {
            ('0'..='9' | '.' | '-', _) => {
                number.push(c);
                continue;
            }
            ('T', false) if number.is_empty() => {
                time = true;
                continue;
            }
            ('Y', false) => "years",
            ('M', false) => "months",
            ('W', false) => "weeks",
            ('D', false) => "days",
            ('H', true) => "hours",
            ('M', true) => "minutes",
            ('S', true) => "seconds",
            _ => return None,
        };
        number.parse::<f64>().ok()?;
        parts.push(format!("{} {unit}", std::mem::take(&mut number)));
    }
    (number.is_empty() && !parts.is_empty()).then(|| parts.join(" "))
}
