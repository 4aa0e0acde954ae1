//! What COPY's options mean.

use boathouse_catalog::Format;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;

use super::moments::Moments;
use crate::parse::TransferOption;
use crate::{Error, Result};

/// Rows that a statement may leave out, at most; Redshift's limit too.
const ERRORS_MAX: u64 = 100_000;

/// How files are read and loaded.
#[derive(Clone, Debug)]
pub(super) struct CopyOptions {
    /// Where it's not said, the files' names tell.
    pub(super) format: Option<Format>,
    pub(super) text: TextOptions,
    pub(super) compression: Option<FileCompressionType>,
    /// Rows that may be left out.
    pub(super) errors_max: u64,
    /// Fields that a record lacks at its end are NULL, and so are columns that a file lacks.
    pub(super) fill: bool,
    /// The location is that of a list of files.
    pub(super) manifest: bool,
    /// Files that were loaded before are loaded again.
    pub(super) force: bool,
    /// Files are read and checked, and nothing is loaded.
    pub(super) check_only: bool,
}

/// How CSV is read.
#[derive(Clone, Debug)]
pub(crate) struct TextOptions {
    /// `,`, or `|` where no format is said.
    pub(super) delimiter: Option<u8>,
    pub(super) quote: u8,
    pub(super) escape: Option<u8>,
    /// Records at the begin of each file that are no data.
    pub(super) skip: u64,
    /// The text that is NULL; where there is none, an empty field is.
    pub(super) null: Option<String>,
    pub(super) blanks_as_null: bool,
    pub(super) empty_as_null: bool,
    pub(super) trim: bool,
    /// What stands for bytes that are no UTF-8.
    pub(super) replacement: Option<char>,
    pub(super) dates: Moments,
    pub(super) times: Moments,
}

impl Default for CopyOptions {
    fn default() -> Self {
        let text = TextOptions {
            delimiter: None,
            quote: b'"',
            escape: None,
            skip: 0,
            null: None,
            blanks_as_null: false,
            empty_as_null: false,
            trim: false,
            replacement: None,
            dates: Moments::Usual,
            times: Moments::Usual,
        };
        Self {
            format: None,
            text,
            compression: None,
            errors_max: 0,
            fill: false,
            manifest: false,
            force: false,
            check_only: false,
        }
    }
}

impl CopyOptions {
    pub(super) fn parse(given: &[TransferOption]) -> Result<Self> {
        let mut options = Self::default();
        let mut text_only = None;
        for (index, option) in given.iter().enumerate() {
            if given[..index].iter().any(|other| other.name == option.name) {
                return Err(Error::invalid(format!("option {} is given twice", option.name)));
            }
            let value = option.value.as_deref().unwrap_or_default();
            if options.set(option.name, value)? {
                text_only = Some(option.name);
            }
        }
        options.check(text_only)?;
        Ok(options)
    }

    /// Says whether the option is for CSV alone.
    fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "FORMAT" => self.set_format(value)?,
            "PARQUET" | "CSV" | "NDJSON" | "ORC" | "AVRO" | "FIXEDWIDTH" | "SHAPEFILE" => {
                self.set_format(name)?;
            }
            "JSON" => self.set_json(value)?,
            "GZIP" => self.set_compression(FileCompressionType::GZIP)?,
            "ZSTD" => self.set_compression(FileCompressionType::ZSTD)?,
            "BZIP2" => self.set_compression(FileCompressionType::BZIP2)?,
            "MAXERROR" => self.errors_max = number(name, value, ERRORS_MAX)?,
            "FILLRECORD" => self.fill = true,
            "MANIFEST" => self.manifest = true,
            "FORCE" => self.force = true,
            "NOLOAD" => self.check_only = true,
            // They tune what isn't here.
            "COMPUPDATE" | "STATUPDATE" | "IGNOREBLANKLINES" => {}
            _ => return self.text.set(name, value),
        }
        Ok(false)
    }

    fn set_format(&mut self, word: &str) -> Result<()> {
        let format = match word {
            "PARQUET" => Format::Parquet,
            "CSV" => Format::Csv,
            "JSON" | "NDJSON" | "JSONL" => Format::Json,
            other => {
                return Err(Error::unsupported(format!("COPY of format {other}"))
                    .with_hint("FORMAT takes PARQUET, CSV or JSON."));
            }
        };
        if self.format.is_some_and(|known| known != format) {
            return Err(Error::invalid("two formats are given"));
        }
        self.format = Some(format);
        Ok(())
    }

    fn set_json(&mut self, paths: &str) -> Result<()> {
        if !paths.is_empty() && !paths.eq_ignore_ascii_case("auto") {
            return Err(Error::unsupported(format!("JSON '{paths}' in COPY"))
                .with_hint("Write JSON or JSON 'auto': keys are matched with columns by name."));
        }
        self.set_format("JSON")
    }

    fn set_compression(&mut self, compression: FileCompressionType) -> Result<()> {
        match self.compression.replace(compression) {
            None => Ok(()),
            Some(_) => Err(Error::invalid("two compressions are given")),
        }
    }

    fn check(&self, text_only: Option<&str>) -> Result<()> {
        let other = self.format.filter(|format| *format != Format::Csv);
        if let (Some(option), Some(format)) = (text_only, other) {
            let format = format.as_str().to_uppercase();
            return Err(Error::invalid(format!("{option} is for CSV, and the format is {format}"))
                .with_hint("Leave it out."));
        }
        if self.format == Some(Format::Parquet) && self.compression.is_some() {
            return Err(Error::invalid("Parquet files are not compressed as a whole")
                .with_hint("Leave the compression out: the files say it themselves."));
        }
        if self.format == Some(Format::Parquet) && self.errors_max > 0 {
            return Err(Error::invalid("MAXERROR is for CSV and JSON: Parquet has no lines")
                .with_hint("Leave it out."));
        }
        self.text.check()
    }
}

impl TextOptions {
    fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "DELIMITER" => self.delimiter = Some(one_byte(name, value)?),
            "QUOTE" => self.quote = one_byte(name, value)?,
            "ESCAPE" if value.is_empty() => self.escape = Some(b'\\'),
            "ESCAPE" => self.escape = Some(one_byte(name, value)?),
            "IGNOREHEADER" => self.skip = self.skip.max(number(name, value, u64::MAX)?),
            "HEADER" => self.skip = self.skip.max(1),
            "NULL" => self.null = Some(value.to_owned()),
            "BLANKSASNULL" => self.blanks_as_null = true,
            "EMPTYASNULL" => self.empty_as_null = true,
            "TRIMBLANKS" => self.trim = true,
            // Fields are unquoted wherever they are quoted.
            "REMOVEQUOTES" => {}
            "ACCEPTINVCHARS" => self.replacement = Some(replacement(value)?),
            "ENCODING" => check_encoding(value)?,
            "DATEFORMAT" => self.dates = Moments::parse(name, value)?,
            "TIMEFORMAT" => self.times = Moments::parse(name, value)?,
            other => return Err(without_meaning(other)),
        }
        Ok(true)
    }

    fn check(&self) -> Result<()> {
        let bytes = [self.delimiter, Some(self.quote)];
        if bytes[0] == bytes[1] {
            return Err(Error::invalid("DELIMITER and QUOTE are the same"));
        }
        if self.escape.is_some() && self.escape == self.delimiter {
            return Err(Error::invalid("DELIMITER and ESCAPE are the same"));
        }
        Ok(())
    }

    /// Whether values need no rules but those of their types.
    pub(super) fn is_plain(&self) -> bool {
        self.null.is_none()
            && !self.blanks_as_null
            && !self.trim
            && self.replacement.is_none()
            && self.dates == Moments::Usual
            && self.times == Moments::Usual
    }
}

fn number(name: &str, value: &str, max: u64) -> Result<u64> {
    let number: u64 = value.parse().map_err(|_| Error::invalid(format!("{name} {value}")))?;
    if number > max {
        return Err(Error::invalid(format!("{name} is {number}, and at most {max} is allowed")));
    }
    Ok(number)
}

/// A character of one byte; `\t`, `\\` and Redshift's octal `\001` are understood.
pub(crate) fn one_byte(name: &str, text: &str) -> Result<u8> {
    let octal = text.strip_prefix('\\').filter(|digits| digits.len() == 3);
    let octal = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
    match (text, text.as_bytes()) {
        ("\\t", _) => Ok(b'\t'),
        ("\\\\", _) => Ok(b'\\'),
        (_, [b'\n' | b'\r']) | (_, []) => Err(wrong_byte(name, text)),
        (_, [one]) if one.is_ascii() => Ok(*one),
        _ => octal.filter(u8::is_ascii).ok_or_else(|| wrong_byte(name, text)),
    }
}

fn wrong_byte(name: &str, text: &str) -> Error {
    Error::invalid(format!("{name} '{text}' is not one ASCII character"))
        .with_hint("Write one character, '\\t' for a tab, or an octal code such as '\\001'.")
}

fn replacement(text: &str) -> Result<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (None, _) => Ok('?'),
        (Some(one), None) => Ok(one),
        _ => Err(Error::invalid(format!("ACCEPTINVCHARS '{text}' is not one character"))),
    }
}

fn check_encoding(name: &str) -> Result<()> {
    match name {
        "UTF8" | "UTF-8" => Ok(()),
        other => Err(Error::unsupported(format!("ENCODING {other} in COPY"))
            .with_hint("Files are read as UTF8.")),
    }
}

fn without_meaning(name: &str) -> Error {
    let hint = match name {
        "TRUNCATECOLUMNS" => "Leave it out: VARCHAR columns have no length that a text exceeds.",
        "ROUNDEC" => "Leave it out: digits after a decimal's scale are cut off.",
        "ACCEPTANYDATE" => "Use MAXERROR to leave rows with dates that can't be read out.",
        "LZOP" => "GZIP, ZSTD and BZIP2 are understood.",
        _ => "Leave it out: it has no meaning here.",
    };
    Error::unsupported(format!("{name} in COPY")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&'static str, &str)]) -> Result<CopyOptions> {
        let given: Vec<TransferOption> = options
            .iter()
            .map(|(name, value)| TransferOption {
                name,
                value: (!value.is_empty()).then(|| (*value).to_owned()),
            })
            .collect();
        CopyOptions::parse(&given)
    }

    #[test]
    fn characters_are_written_in_three_ways() {
        for (text, byte) in [("|", b'|'), ("\\t", b'\t'), ("\\\\", b'\\'), ("\\001", 1)] {
            assert_eq!(one_byte("DELIMITER", text).unwrap(), byte);
        }
        for text in ["", "ab", "é", "\\999", "\n"] {
            assert!(one_byte("DELIMITER", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_contradicts_is_refused() {
        for options in [
            [("CSV", ""), ("PARQUET", "")],
            [("GZIP", ""), ("ZSTD", "")],
            [("PARQUET", ""), ("MAXERROR", "1")],
            [("PARQUET", ""), ("GZIP", "")],
            [("JSON", ""), ("DELIMITER", ";")],
            [("DELIMITER", ";"), ("QUOTE", ";")],
            [("MAXERROR", "100001"), ("CSV", "")],
            [("CSV", ""), ("CSV", "")],
        ] {
            assert!(parse(&options).is_err(), "{options:?}");
        }
    }

    #[test]
    fn text_is_plain_without_rules_for_its_values() {
        let plain = parse(&[("CSV", ""), ("HEADER", ""), ("DELIMITER", ";")]).unwrap();
        assert!(plain.text.is_plain());
        for option in [("NULL", "NA"), ("TRIMBLANKS", ""), ("TIMEFORMAT", "epochsecs")] {
            assert!(!parse(&[option]).unwrap().text.is_plain(), "{option:?}");
        }
    }
}
