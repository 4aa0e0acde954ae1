//! Text: quoting, searching, and patterns as regular expressions.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::common::cast::{as_int64_array, as_string_view_array};
use datafusion::error::Result;
use regex::{Regex, RegexBuilder};

use super::scalar::{Kind, Scalar, map_text, texts};
use crate::Error;

/// A compiled pattern may take this much memory.
const REGEX_BYTES_MAX: usize = 4 << 20;

pub(super) fn list() -> Vec<Scalar> {
    let quote = |name, description, compute| {
        Scalar::new(name, &format!("{name}(text)"), description, compute)
            .takes(&[("text", Kind::Text)])
    };
    vec![
        Scalar::standing_for(
            "charindex",
            "charindex(part, text)",
            "Where the part begins in the text, from 1; 0 where it isn't there.",
            |args, _| {
                let [part, text] = <[_; 2]>::try_from(args)
                    .map_err(|_| Error::internal("charindex() takes two arguments"))?;
                Ok(datafusion::functions::expr_fn::strpos(text, part))
            },
        )
        .takes(&[("part", Kind::Text), ("text", Kind::Text)])
        .returns(|_| DataType::Int32),
        quote("quote_ident", "The text as an SQL identifier.", |columns| {
            map_text(first(columns)?, |text| Ok(Some(quoted_identifier(text))))
        }),
        quote("quote_literal", "The text as an SQL literal.", |columns| {
            map_text(first(columns)?, |text| Ok(Some(quoted_literal(text))))
        }),
        quote("quote_nullable", "The text as an SQL literal, or the word NULL.", |columns| {
            let texts = first(columns)?.iter();
            let quoted = texts.map(|text| Some(text.map_or("NULL".into(), quoted_literal)));
            Ok(Arc::new(quoted.collect::<StringViewArray>()))
        }),
        Scalar::new("strtol", "strtol(digits, base)", "The number that digits write.", strtol)
            .takes(&[("digits", Kind::Text), ("base", Kind::Integer)])
            .returns(|_| DataType::Int64),
        Scalar::new(
            "regexp_substr",
            "regexp_substr(text, pattern [, start [, n [, flags]]])",
            "The n-th match of a regular expression; NULL where there is none.",
            regexp_substr,
        )
        .takes(&[
            ("text", Kind::Text),
            ("pattern", Kind::Text),
            ("start", Kind::Integer),
            ("n", Kind::Integer),
            ("flags", Kind::Text),
        ])
        .optional(3),
        Scalar::new(
            "similar_to_escape",
            "similar_to_escape(pattern [, escape])",
            "The regular expression of a SIMILAR TO pattern.",
            |columns| with_escape(columns, similar_regex),
        )
        .takes(&[("pattern", Kind::Text), ("escape", Kind::Text)])
        .optional(1),
        Scalar::new(
            "like_escape",
            "like_escape(pattern, escape)",
            "A LIKE pattern, escaped with a backslash.",
            |columns| with_escape(columns, like_pattern),
        )
        .takes(&[("pattern", Kind::Text), ("escape", Kind::Text)]),
    ]
}

fn first(columns: &[ArrayRef]) -> Result<&StringViewArray> {
    match columns {
        [column, ..] => Ok(as_string_view_array(column)?),
        [] => Err(Error::internal("no argument").into()),
    }
}

/// As PostgreSQL: only names that need quotes get them.
fn quoted_identifier(text: &str) -> String {
    let mut chars = text.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let upper = text.to_ascii_uppercase();
    let reserved = sqlparser::keywords::ALL_KEYWORDS.binary_search(&upper.as_str()).is_ok();
    if plain && !reserved { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn quoted_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{}'", doubled.replace('\\', "\\\\")),
        false => format!("'{doubled}'"),
    }
}

fn strtol(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [digits, base] = columns else { return Err(Error::internal("no argument").into()) };
    let bases = as_int64_array(base)?;
    let numbers = as_string_view_array(digits)?.iter().zip(bases).map(|pair| match pair {
        (Some(digits), Some(base)) => number(digits, base).map(Some),
        _ => Ok(None),
    });
    Ok(Arc::new(numbers.collect::<Result<Int64Array>>()?))
}

fn number(text: &str, base: i64) -> Result<i64> {
    let radix = u32::try_from(base).ok().filter(|base| (2..=36).contains(base));
    let Some(radix) = radix else {
        return Err(Error::invalid(format!("strtol() has no base {base}: it is 2 to 36")).into());
    };
    let digits = text.trim();
    let plain = match radix {
        16 => digits.strip_prefix("0x").or(digits.strip_prefix("0X")).unwrap_or(digits),
        _ => digits,
    };
    i64::from_str_radix(plain, radix)
        .map_err(|_| Error::invalid(format!("\"{text}\" is no number of base {base}")).into())
}

/// Patterns as they were last compiled: a column of one pattern compiles it once.
struct Compiled<'a> {
    last: Option<(&'a str, &'a str, Regex)>,
}

impl<'a> Compiled<'a> {
    fn get(&mut self, pattern: &'a str, flags: &'a str) -> Result<&Regex> {
        let known = matches!(&self.last, Some((p, f, _)) if *p == pattern && *f == flags);
        if !known {
            self.last = Some((pattern, flags, compiled(pattern, flags)?));
        }
        let last = self.last.as_ref().map(|(_, _, regex)| regex);
        Ok(last.ok_or_else(|| Error::internal("no pattern"))?)
    }
}

fn compiled(pattern: &str, flags: &str) -> Result<Regex> {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(REGEX_BYTES_MAX);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            'm' | 'n' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'x' => builder.ignore_whitespace(true),
            other => {
                return Err(Error::invalid(format!("\"{other}\" is no flag of a pattern"))
                    .with_hint("Flags are i, c, m, n, s and x.")
                    .into());
            }
        };
    }
    builder.build().map_err(|error| {
        Error::invalid(format!("\"{pattern}\" is no regular expression: {error}")).into()
    })
}

fn regexp_substr(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let [text, pattern, rest @ ..] = columns else {
        return Err(Error::internal("no argument").into());
    };
    let (texts, patterns) = (as_string_view_array(text)?, as_string_view_array(pattern)?);
    let starts = rest.first().map(|column| as_int64_array(column)).transpose()?;
    let counts = rest.get(1).map(|column| as_int64_array(column)).transpose()?;
    let flags = rest.get(2).map(|column| as_string_view_array(column)).transpose()?;
    let mut regexes = Compiled { last: None };
    let mut found = Vec::with_capacity(texts.len());
    for (row, pair) in texts.iter().zip(patterns).enumerate() {
        let number = |column: Option<&Int64Array>| match column {
            Some(column) => column.is_valid(row).then(|| column.value(row)),
            None => Some(1),
        };
        let flags = match flags {
            Some(flags) => flags.is_valid(row).then(|| flags.value(row)),
            None => Some(""),
        };
        let call = (pair, number(starts), number(counts), flags);
        let ((Some(text), Some(pattern)), Some(start), Some(count), Some(flags)) = call else {
            found.push(None);
            continue;
        };
        found.push(nth_match(regexes.get(pattern, flags)?, text, start, count)?);
    }
    Ok(Arc::new(found.into_iter().collect::<StringViewArray>()))
}

fn nth_match<'t>(regex: &Regex, text: &'t str, start: i64, count: i64) -> Result<Option<&'t str>> {
    let at = |value: i64, name: &str| {
        let index = value.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.ok_or_else(|| Error::invalid(format!("regexp_substr() has no {name} {value}")))
    };
    let (skipped, nth) = (at(start, "start")?, at(count, "match")?);
    let Some((begin, _)) = text.char_indices().nth(skipped) else { return Ok(None) };
    Ok(text.get(begin..).and_then(|rest| regex.find_iter(rest).nth(nth)).map(|m| m.as_str()))
}

fn with_escape(
    columns: &[ArrayRef],
    translate: fn(&str, Option<char>) -> Result<String>,
) -> Result<ArrayRef> {
    let texts = texts(columns)?;
    let [patterns, escapes @ ..] = texts.as_slice() else {
        return Err(Error::internal("no argument").into());
    };
    let escapes = escapes.first();
    let translated = patterns.iter().enumerate().map(|(row, pattern)| {
        let escape = match escapes {
            Some(escapes) => escapes.is_valid(row).then(|| escapes.value(row)),
            None => Some("\\"),
        };
        match (pattern, escape) {
            (Some(pattern), Some(escape)) => {
                translate(pattern, escape_character(escape)?).map(Some)
            }
            _ => Ok(None),
        }
    });
    Ok(Arc::new(translated.collect::<Result<StringViewArray>>()?))
}

/// One character, or none.
fn escape_character(text: &str) -> Result<Option<char>> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (first, None) => Ok(first),
        _ => Err(Error::invalid(format!("\"{text}\" is no escape character: it is one")).into()),
    }
}

fn dangling(pattern: &str) -> datafusion::error::DataFusionError {
    Error::invalid(format!("pattern \"{pattern}\" ends with its escape character")).into()
}

/// The regular expression that matches a whole text as SIMILAR TO does.
fn similar_regex(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut regex = String::from("(?s)^(?:");
    let mut chars = pattern.chars();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            let literal = chars.next().ok_or_else(|| dangling(pattern))?;
            regex.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
        } else if in_class {
            in_class = c != ']';
            match c {
                '\\' | '[' | '&' | '~' => regex.extend(['\\', c]),
                other => regex.push(other),
            }
        } else {
            match c {
                '%' => regex.push_str(".*"),
                '_' => regex.push('.'),
                '[' => {
                    in_class = true;
                    regex.push('[');
                }
                '(' => regex.push_str("(?:"),
                '^' | '$' | '.' | '\\' => regex.extend(['\\', c]),
                other => regex.push(other),
            }
        }
    }
    regex.push_str(")$");
    Ok(regex)
}

/// The same LIKE pattern with the backslash as its escape character.
fn like_pattern(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut translated = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            let literal = chars.next().ok_or_else(|| dangling(pattern))?;
            translated.extend(['\\', literal]);
        } else if c == '\\' {
            translated.push_str("\\\\");
        } else {
            translated.push(c);
        }
    }
    Ok(translated)
}
