//! How and where a table's data is kept, by what its catalog record says: our own words, and those
//! that Glue's other users have for it.

use std::collections::BTreeMap;

use boathouse_catalog::{Format, Table, TableSpec};
use serde_json::Value;
use url::Url;

use super::discover::has_delta_log;
use crate::stores::{Stores, location_url};
use crate::{Error, Result};

/// What Spark writes in place of a location that Hive could not understand.
const PLACEHOLDER: &str = "-__PLACEHOLDER__";
/// The separator of Hive's text files where none is named.
const HIVE_SEPARATOR: u8 = 1;
/// What stands for NULL in Hive's text files where nothing else is named.
const HIVE_NULL: &str = "\\N";

/// How the files of a table are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// The format's options, as `format.NAME`.
    pub(crate) options: BTreeMap<String, String>,
    /// The text that is NULL in files that are all text.
    pub(crate) null: Option<String>,
}

/// The format that a table's record tells, whoever wrote it.
pub(crate) fn format_of(spec: &TableSpec) -> Option<Format> {
    let parameter = |name: &str| {
        let found = spec.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_ascii_lowercase())
    };
    let words = ["table_type", "spark.sql.sources.provider", "classification"].map(parameter);
    let says = |format: Format| words.iter().flatten().any(|word| word == format.as_str());
    if let Some(lake) = [Format::Iceberg, Format::Delta].into_iter().find(|format| says(*format)) {
        return Some(lake);
    }
    let plain = [Format::Parquet, Format::Csv, Format::Json, Format::Orc, Format::Avro];
    spec.format
        .or_else(|| plain.into_iter().find(|format| says(*format)))
        .or_else(|| format_of_serde(&serde_library(spec)?))
}

fn format_of_serde(library: &str) -> Option<Format> {
    let library = library.to_ascii_lowercase();
    let words = [
        ("parquet", Format::Parquet),
        ("json", Format::Json),
        ("orc", Format::Orc),
        ("avro", Format::Avro),
        ("csv", Format::Csv),
        ("lazysimple", Format::Csv),
    ];
    words.into_iter().find(|(word, _)| library.contains(word)).map(|(_, format)| format)
}

/// Where the table's data is: its location, or where Spark wrote none that can be used, the path
/// that it wrote elsewhere.
pub(crate) fn location_of(spec: &TableSpec) -> Option<String> {
    let given = spec.location.as_deref().filter(|location| !location.is_empty());
    if let Some(location) = given.filter(|location| !location.contains(PLACEHOLDER)) {
        return Some(location.to_owned());
    }
    let serde = serde_parameters(spec);
    let elsewhere = serde.get("path").or_else(|| spec.parameters.get("path")).cloned();
    elsewhere.or_else(|| Some(spec.details.get("path")?.as_str()?.to_owned()))
}

/// The absolute URL of a location as other tools write it: Hadoop has `file:/path`, `s3a://` and
/// `s3n://` too.
pub(crate) fn absolute(location: &str) -> Result<Url> {
    let usual = match location.split_once(':') {
        Some(("s3n" | "s3a", rest)) => format!("s3:{rest}"),
        Some(("file", rest)) if !rest.starts_with("//") => format!("file://{rest}"),
        _ => location.to_owned(),
    };
    location_url(&usual)
}

/// The format and location of a table that can be read.
pub(crate) async fn find(stores: &Stores, table: &Table) -> Result<(Format, Url)> {
    let Some(location) = location_of(&table.spec) else {
        return Err(Error::unsupported(format!(
            "reading table \"{}\", which has no location in the catalog",
            table.name
        ))
        .with_hint("Give it a location with the tool that made it."));
    };
    let url = absolute(&location).map_err(|error| error.about(about(table, &location)))?;
    match format_of(&table.spec) {
        Some(Format::Orc | Format::Avro) => Err(unreadable(table)),
        Some(format) => Ok((format, url)),
        None if has_delta_log(stores, &url).await? => Ok((Format::Delta, url)),
        None => Err(unreadable(table)),
    }
}

fn about(table: &Table, location: &str) -> String {
    format!("table \"{}\" ({location})", table.name)
}

fn unreadable(table: &Table) -> Error {
    let format = match format_of(&table.spec) {
        Some(format) => format!("of format {}", format.as_str().to_uppercase()),
        None => "of an unknown format".to_owned(),
    };
    let serde = serde_library(&table.spec).map(|serde| format!(" (SerDe {serde})"));
    Error::unsupported(format!(
        "reading table \"{}\", which is {format}{}",
        table.name,
        serde.unwrap_or_default()
    ))
    .with_hint(
        "Tables of Parquet, CSV, JSON, Delta and Iceberg can be read: have the tool that writes \
         this one write Parquet, or copy it.",
    )
}

fn serde_library(spec: &TableSpec) -> Option<String> {
    let library = descriptor(spec, "SerdeInfo")?.get("SerializationLibrary")?.as_str()?;
    Some(library.to_owned()).filter(|library| !library.is_empty())
}

fn serde_parameters(spec: &TableSpec) -> BTreeMap<String, String> {
    texts(descriptor(spec, "SerdeInfo").and_then(|serde| serde.get("Parameters")))
}

fn descriptor<'a>(spec: &'a TableSpec, member: &str) -> Option<&'a Value> {
    spec.details.get("StorageDescriptor")?.get(member)
}

fn texts(map: Option<&Value>) -> BTreeMap<String, String> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// How the files of a table are read: by its `format.` parameters, and where a SerDe is named, by
/// what that does.
pub(crate) fn reading(table: &str, spec: &TableSpec, format: Format) -> Result<Reading> {
    let own = spec.parameters.iter().filter(|(key, _)| key.starts_with("format."));
    let own: BTreeMap<String, String> =
        own.map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut said = spec.parameters.clone();
    said.extend(texts(descriptor(spec, "Parameters")));
    said.extend(serde_parameters(spec));
    let is_text = serde_library(spec).is_some()
        || ["field.delim", "skip.header.line.count", "serialization.null.format"]
            .iter()
            .any(|key| said.contains_key(*key));
    if format != Format::Csv || !is_text {
        return Ok(Reading { options: own, null: None });
    }
    let library = serde_library(spec).unwrap_or_default().to_ascii_lowercase();
    let mut reading = if library.contains("opencsv") {
        open_csv(&said)
    } else {
        lazy_simple(&said, !library.is_empty())
    };
    let header = header(table, &said)?;
    reading.options.insert("format.has_header".into(), header.to_string());
    reading.options.insert("format.truncated_rows".into(), "true".into());
    reading.options.extend(own);
    Ok(reading)
}

/// OpenCSVSerde: quoted, escaped, and no text for NULL.
fn open_csv(said: &BTreeMap<String, String>) -> Reading {
    let byte =
        |key: &str, default: u8| said.get(key).and_then(|text| byte(text)).unwrap_or(default);
    let (separator, quote) = (byte("separatorChar", b','), byte("quoteChar", b'"'));
    let escape = byte("escapeChar", b'\\');
    let mut options = BTreeMap::from([
        ("format.delimiter".to_owned(), separator.to_string()),
        ("format.quote".to_owned(), quote.to_string()),
    ]);
    if escape != quote {
        options.insert("format.escape".into(), escape.to_string());
    }
    Reading { options, null: None }
}

/// LazySimpleSerDe: no quotes, and a text for NULL.
fn lazy_simple(said: &BTreeMap<String, String>, is_named: bool) -> Reading {
    let first = |keys: &[&str]| keys.iter().find_map(|key| byte(said.get(*key)?));
    let default = if is_named { HIVE_SEPARATOR } else { b',' };
    let separator = first(&["field.delim", "delimiter", "serialization.format"]).unwrap_or(default);
    let is_quoted = said.get("areColumnsQuoted").is_some_and(|text| text == "true");
    let quote = if is_quoted { b'"' } else { 0 };
    let mut options = BTreeMap::from([
        ("format.delimiter".to_owned(), separator.to_string()),
        ("format.quote".to_owned(), quote.to_string()),
    ]);
    if let Some(escape) = first(&["escape.delim"]) {
        options.insert("format.escape".into(), escape.to_string());
    }
    let null = said.get("serialization.null.format").cloned();
    Reading { options, null: Some(null.unwrap_or_else(|| HIVE_NULL.to_owned())) }
}

/// A character as Hive takes it: a number is its code, and backslash sequences are understood.
fn byte(text: &str) -> Option<u8> {
    match text {
        "\\t" => return Some(b'\t'),
        "\\\\" => return Some(b'\\'),
        _ => {}
    }
    let hex = text.strip_prefix("\\u00").or_else(|| text.strip_prefix("\\x"));
    if let Some(hex) = hex {
        return u8::from_str_radix(hex, 16).ok();
    }
    match text.as_bytes() {
        [one] if !one.is_ascii_digit() => Some(*one),
        _ => text.parse().ok(),
    }
}

/// Whether the first line of each file is skipped.
fn header(table: &str, said: &BTreeMap<String, String>) -> Result<bool> {
    let lines = |key: &str| said.get(key).map_or("0", |text| text.trim());
    let (head, foot) = (lines("skip.header.line.count"), lines("skip.footer.line.count"));
    match (head, foot) {
        ("0" | "", "0" | "") => Ok(false),
        ("1", "0" | "") => Ok(true),
        _ => Err(Error::unsupported(format!(
            "table \"{table}\": skip.header.line.count = {head}, skip.footer.line.count = {foot}"
        ))
        .with_hint("One header line can be skipped.")),
    }
}

#[cfg(test)]
mod tests {
    use boathouse_catalog::TableType;
    use serde_json::json;

    use super::*;

    fn spec(parameters: Value, details: Value) -> TableSpec {
        TableSpec {
            table_type: TableType::External,
            format: None,
            location: Some("s3://lake/t/".into()),
            columns: Vec::new(),
            partition_keys: Vec::new(),
            comment: None,
            parameters: texts(Some(&parameters)),
            view: None,
            details: details.as_object().cloned().unwrap_or_default(),
        }
    }

    fn serde(library: &str, parameters: Value) -> Value {
        let info = json!({"SerializationLibrary": library, "Parameters": parameters});
        json!({"StorageDescriptor": {"SerdeInfo": info}})
    }

    #[test]
    fn lake_formats_are_known_by_any_of_their_signs() {
        for (key, value, format) in [
            ("table_type", "ICEBERG", Format::Iceberg),
            ("table_type", "delta", Format::Delta),
            ("spark.sql.sources.provider", "delta", Format::Delta),
            ("classification", "delta", Format::Delta),
            ("classification", "parquet", Format::Parquet),
            ("classification", "orc", Format::Orc),
        ] {
            let spec = spec(json!({ key: value }), json!({}));
            assert_eq!(format_of(&spec), Some(format), "{key}={value}");
        }
        assert_eq!(format_of(&spec(json!({}), json!({}))), None);
    }

    #[test]
    fn a_sign_of_delta_counts_more_than_the_serde() {
        let mut spec = spec(json!({"spark.sql.sources.provider": "delta"}), json!({}));
        spec.format = Some(Format::Parquet);
        assert_eq!(format_of(&spec), Some(Format::Delta));
    }

    #[test]
    fn the_path_stands_in_for_sparks_placeholder() {
        let serde = serde("org.x.LazySimpleSerDe", json!({"path": "s3a://lake/real"}));
        let mut spec = spec(json!({}), serde);
        assert_eq!(location_of(&spec).unwrap(), "s3://lake/t/");
        spec.location = Some("s3://lake/db/t-__PLACEHOLDER__".into());
        let location = location_of(&spec).unwrap();
        assert_eq!(absolute(&location).unwrap().as_str(), "s3://lake/real");
        assert_eq!(absolute("file:/tmp/x").unwrap().as_str(), "file:///tmp/x");
    }

    #[test]
    fn hives_text_has_no_quotes_and_a_text_for_null() {
        let lazy = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";
        let read = |parameters| {
            reading("t", &spec(json!({}), serde(lazy, parameters)), Format::Csv).unwrap()
        };
        let bare = read(json!({}));
        assert_eq!(bare.options["format.delimiter"], "1");
        assert_eq!(bare.options["format.quote"], "0");
        assert_eq!(bare.options["format.has_header"], "false");
        assert_eq!(bare.null.as_deref(), Some("\\N"));
        let tabs = read(json!({"field.delim": "\t", "serialization.null.format": "NA"}));
        assert_eq!(tabs.options["format.delimiter"], "9");
        assert_eq!(tabs.null.as_deref(), Some("NA"));
    }

    #[test]
    fn open_csv_has_quotes_and_no_text_for_null() {
        let details =
            serde("org.apache.hadoop.hive.serde2.OpenCSVSerde", json!({"separatorChar": ";"}));
        let spec = spec(json!({"skip.header.line.count": "1"}), details);
        let reading = reading("t", &spec, Format::Csv).unwrap();
        assert_eq!(reading.options["format.delimiter"], b';'.to_string());
        assert_eq!(reading.options["format.quote"], b'"'.to_string());
        assert_eq!(reading.options["format.escape"], b'\\'.to_string());
        assert_eq!(reading.options["format.has_header"], "true");
        assert_eq!(reading.null, None);
    }

    #[test]
    fn two_header_lines_are_refused() {
        let spec = spec(json!({"skip.header.line.count": "2"}), json!({}));
        let error = reading("db.t", &spec, Format::Csv).unwrap_err();
        assert!(error.to_string().contains("db.t"), "{error}");
    }
}
