//! What UNLOAD's options mean.

use boathouse_catalog::Format;

use super::encode::{Compression, TextSyntax};
use crate::parse::TransferOption;
use crate::statement::one_byte;
use crate::{Error, Result};

const MIB: u64 = 1 << 20;
/// Files end at this size where no other is said; Redshift's default and bounds.
const FILE_MIB: u64 = 6_349;
const FILE_MIB_MIN: u64 = 5;

/// How a result is written.
#[derive(Clone, Debug)]
pub(super) struct UnloadOptions {
    pub(super) format: Format,
    pub(super) text: TextSyntax,
    pub(super) compression: Compression,
    /// At the end of files' names, with its dot.
    pub(super) ending: String,
    pub(super) manifest: Manifest,
    pub(super) existing: Existing,
    pub(super) file_bytes: u64,
    pub(super) parallel: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    No,
    Files,
    /// With columns and rows too.
    Verbose,
}

/// What becomes of files that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// The statement is refused.
    Refuse,
    /// They stay, unless a new one has their name.
    Overwrite,
    /// They go once the new ones are there.
    Clean,
}

#[derive(Default)]
struct Given {
    format: Option<Format>,
    text_only: Option<&'static str>,
    delimiter: Option<u8>,
    ending: Option<String>,
}

impl UnloadOptions {
    pub(super) fn parse(given: &[TransferOption]) -> Result<Self> {
        let mut options = Self {
            format: Format::Csv,
            text: TextSyntax { delimiter: b',', header: false, null: String::new() },
            compression: Compression::Usual,
            ending: String::new(),
            manifest: Manifest::No,
            existing: Existing::Refuse,
            file_bytes: FILE_MIB * MIB,
            parallel: true,
        };
        let mut seen = Given::default();
        for (index, option) in given.iter().enumerate() {
            if given[..index].iter().any(|other| other.name == option.name) {
                return Err(Error::invalid(format!("option {} is given twice", option.name)));
            }
            options.set(option, &mut seen)?;
        }
        options.finish(seen)
    }

    fn set(&mut self, option: &TransferOption, seen: &mut Given) -> Result<()> {
        let value = option.value.as_deref().unwrap_or_default();
        match option.name {
            "FORMAT" => set_format(seen, value)?,
            "PARQUET" | "CSV" | "JSON" | "NDJSON" => set_format(seen, option.name)?,
            "HEADER" => {
                self.text.header = true;
                seen.text_only = Some("HEADER");
            }
            "DELIMITER" => {
                seen.delimiter = Some(one_byte("DELIMITER", value)?);
                seen.text_only = Some("DELIMITER");
            }
            "NULL" => {
                self.text.null = value.to_owned();
                seen.text_only = Some("NULL AS");
            }
            // Fields are quoted wherever they need it.
            "ADDQUOTES" => seen.text_only = Some("ADDQUOTES"),
            "GZIP" => self.set_compression(Compression::Gzip)?,
            "ZSTD" => self.set_compression(Compression::Zstd)?,
            "MANIFEST" if value == "VERBOSE" => self.manifest = Manifest::Verbose,
            "MANIFEST" => self.manifest = Manifest::Files,
            "ALLOWOVERWRITE" => self.set_existing(Existing::Overwrite)?,
            "CLEANPATH" => self.set_existing(Existing::Clean)?,
            "MAXFILESIZE" => self.file_bytes = file_bytes(value)?,
            "PARALLEL" => self.parallel = !matches!(value, "OFF" | "FALSE"),
            "EXTENSION" => seen.ending = Some(ending(value)?),
            other => return Err(without_meaning(other)),
        }
        Ok(())
    }

    fn set_compression(&mut self, compression: Compression) -> Result<()> {
        if self.compression != Compression::Usual {
            return Err(Error::invalid("two compressions are given"));
        }
        self.compression = compression;
        Ok(())
    }

    fn set_existing(&mut self, existing: Existing) -> Result<()> {
        if self.existing != Existing::Refuse {
            return Err(Error::invalid("ALLOWOVERWRITE and CLEANPATH are both given").with_hint(
                "CLEANPATH removes the files that are there, ALLOWOVERWRITE does not.",
            ));
        }
        self.existing = existing;
        Ok(())
    }

    fn finish(mut self, seen: Given) -> Result<Self> {
        if let Some(format) = seen.format {
            self.format = format;
        }
        if let (Some(option), true) = (seen.text_only, self.format != Format::Csv) {
            let format = self.format.as_str().to_uppercase();
            return Err(Error::invalid(format!("{option} is for CSV, and the format is {format}"))
                .with_hint("Leave it out."));
        }
        // Without a format it's Redshift's text.
        let usual = if seen.format.is_none() { b'|' } else { b',' };
        self.text.delimiter = seen.delimiter.unwrap_or(usual);
        if self.text.delimiter == b'"' {
            return Err(Error::invalid("the delimiter is the quote"));
        }
        self.ending = seen.ending.unwrap_or_else(|| self.usual_ending(seen.format));
        Ok(self)
    }

    fn usual_ending(&self, format: Option<Format>) -> String {
        let compressed = match self.compression {
            _ if format == Some(Format::Parquet) => "",
            Compression::Usual => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        };
        let name = format.map(|format| format!(".{}", format.as_str())).unwrap_or_default();
        format!("{name}{compressed}")
    }
}

fn set_format(seen: &mut Given, word: &str) -> Result<()> {
    let format = match word {
        "PARQUET" => Format::Parquet,
        "CSV" => Format::Csv,
        "JSON" | "NDJSON" | "JSONL" => Format::Json,
        other => {
            return Err(Error::unsupported(format!("UNLOAD in format {other}"))
                .with_hint("FORMAT takes PARQUET, CSV or JSON."));
        }
    };
    if seen.format.is_some_and(|known| known != format) {
        return Err(Error::invalid("two formats are given"));
    }
    seen.format = Some(format);
    Ok(())
}

fn file_bytes(mib: &str) -> Result<u64> {
    let given: u64 = mib.parse().map_err(|_| Error::invalid(format!("MAXFILESIZE {mib}")))?;
    if !(FILE_MIB_MIN..=FILE_MIB).contains(&given) {
        return Err(Error::invalid(format!("MAXFILESIZE is {given} MB"))
            .with_hint(format!("It may be from {FILE_MIB_MIN} MB to 6.2 GB.")));
    }
    Ok(given * MIB)
}

fn ending(text: &str) -> Result<String> {
    let text = text.trim_start_matches('.');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || !text.chars().all(is_plain) || text.contains("..") {
        return Err(Error::invalid(format!("EXTENSION '{text}' is no ending of a file's name"))
            .with_hint("Write letters, digits and dots, such as 'csv.gz'."));
    }
    Ok(format!(".{text}"))
}

fn without_meaning(name: &str) -> Error {
    let hint = match name {
        "ESCAPE" => "Leave it out: fields are quoted where they hold delimiters or line ends.",
        "BZIP2" => "Use GZIP or ZSTD.",
        "FIXEDWIDTH" => "Use CSV with a delimiter.",
        "ENCRYPTED" => "Turn encryption on for the bucket.",
        _ => "Leave it out: it has no meaning here.",
    };
    Error::unsupported(format!("{name} in UNLOAD")).with_hint(hint)
}
