//! The definition that the catalog gets of a table that was found.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::grouping::Found;
use super::schema::{Dialect, Shape};
use crate::{Column, Format, TableSpec, TableType};

/// The parameter that names the crawler that made a table.
pub(super) const UPDATED_BY: &str = "UPDATED_BY_CRAWLER";
/// The parameter that says when a crawler found a table or a partition gone.
pub(super) const DEPRECATED_BY: &str = "DEPRECATED_BY_CRAWLER";
/// The parameter that names the columns no crawler may change; `*` is all.
pub(super) const PINNED: &str = "boathouse.pinned_columns";
/// The parameter that keeps what the crawler last wrote of each column.
pub(super) const WRITTEN: &str = "boathouse.crawler_schema";
pub(super) const METADATA_LOCATION: &str = "metadata_location";
const NAME_CHARS_MAX: usize = 200;

/// What a crawler wrote of a column: its name, type and comment.
pub(super) type Written = (String, String, Option<String>);

/// The definition of a new table.
pub(super) fn definition(found: &Found, crawler: &str) -> TableSpec {
    let shape = settled(&found.shape);
    let mut parameters = parameters(&shape);
    parameters.extend(found.parameters.clone());
    parameters.insert(UPDATED_BY.into(), crawler.into());
    let columns = shape.columns.iter().chain(&found.keys);
    parameters.insert(WRITTEN.into(), written_text(columns));
    TableSpec {
        table_type: TableType::External,
        format: Some(shape.format),
        location: Some(found.location.clone()),
        columns: shape.columns.clone(),
        partition_keys: found.keys.clone(),
        comment: None,
        parameters,
        view: None,
        details: details(&shape),
    }
}

pub(super) fn settled(shape: &Shape) -> Shape {
    let mut shape = shape.clone();
    shape.settle();
    shape
}

pub(super) fn written_of(column: &Column) -> Written {
    (column.name.clone(), column.data_type.clone(), column.comment.clone())
}

fn written_text<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    let written: Vec<Written> = columns.map(written_of).collect();
    json!(written).to_string()
}

fn parameters(shape: &Shape) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::from([
        ("classification".to_owned(), shape.format.as_str().to_owned()),
        ("typeOfData".to_owned(), "file".to_owned()),
        ("CrawlerSchemaDeserializerVersion".to_owned(), "1.0".to_owned()),
        ("CrawlerSchemaSerializerVersion".to_owned(), "1.0".to_owned()),
        ("compressionType".to_owned(), shape.codec.as_str().to_owned()),
    ]);
    let mut add = |key: &str, value: &str| parameters.insert(key.to_owned(), value.to_owned());
    if shape.format == Format::Delta {
        add("spark.sql.sources.provider", "delta");
    }
    if shape.is_json_array {
        add("format.newline_delimited", "false");
    }
    if let Some(csv) = &shape.csv {
        add("format.has_header", if csv.has_header { "true" } else { "false" });
        add("format.delimiter", &csv.delimiter.to_string());
        if csv.quote != '"' {
            add("format.quote", &csv.quote.to_string());
        }
        if csv.has_newlines {
            add("format.newlines_in_values", "true");
        }
        if csv.has_header {
            add("skip.header.line.count", "1");
        }
        add("delimiter", &csv.delimiter.to_string());
        add("columnsOrdered", "true");
        add("areColumnsQuoted", if csv.is_quoted { "true" } else { "false" });
    }
    parameters
}

/// What Glue's `StorageDescriptor` says of the format.
fn details(shape: &Shape) -> Map<String, Value> {
    const IO: &str = "org.apache.hadoop.hive.ql.io";
    const TEXT: &str = "org.apache.hadoop.mapred.TextInputFormat";
    let text_output = format!("{IO}.HiveIgnoreKeyTextOutputFormat");
    let (input, output, library) = match shape.format {
        Format::Parquet => (
            format!("{IO}.parquet.MapredParquetInputFormat"),
            format!("{IO}.parquet.MapredParquetOutputFormat"),
            format!("{IO}.parquet.serde.ParquetHiveSerDe"),
        ),
        Format::Orc => (
            format!("{IO}.orc.OrcInputFormat"),
            format!("{IO}.orc.OrcOutputFormat"),
            format!("{IO}.orc.OrcSerde"),
        ),
        Format::Avro => (
            format!("{IO}.avro.AvroContainerInputFormat"),
            format!("{IO}.avro.AvroContainerOutputFormat"),
            "org.apache.hadoop.hive.serde2.avro.AvroSerDe".to_owned(),
        ),
        Format::Json => {
            (TEXT.to_owned(), text_output, "org.openx.data.jsonserde.JsonSerDe".to_owned())
        }
        Format::Csv => (TEXT.to_owned(), text_output, csv_library(shape.csv.as_ref()).to_owned()),
        // Engines take all that from the table's own log or metadata.
        Format::Delta | Format::Iceberg => return Map::new(),
    };
    let descriptor = json!({
        "InputFormat": input,
        "OutputFormat": output,
        "SerdeInfo": {
            "SerializationLibrary": library,
            "Parameters": serde_parameters(shape),
        },
        "Compressed": shape.codec != super::codec::Codec::None,
        "NumberOfBuckets": -1,
        "StoredAsSubDirectories": false,
        "Parameters": parameters(shape)
            .into_iter()
            .filter(|(key, _)| !key.starts_with("format."))
            .collect::<BTreeMap<_, _>>(),
    });
    Map::from_iter([("StorageDescriptor".to_owned(), descriptor)])
}

fn csv_library(csv: Option<&Dialect>) -> &'static str {
    match csv.is_some_and(|csv| csv.is_quoted) {
        true => "org.apache.hadoop.hive.serde2.OpenCSVSerde",
        false => "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
    }
}

fn serde_parameters(shape: &Shape) -> Value {
    match (&shape.csv, shape.format) {
        (Some(csv), _) if csv.is_quoted => json!({
            "separatorChar": csv.delimiter.to_string(),
            "quoteChar": csv.quote.to_string(),
        }),
        (Some(csv), _) => json!({ "field.delim": csv.delimiter.to_string() }),
        (None, Format::Json) => {
            let names: Vec<&str> = shape.columns.iter().map(|c| c.name.as_str()).collect();
            json!({ "paths": names.join(",") })
        }
        _ => json!({ "serialization.format": "1" }),
    }
}

/// The names that a table may get, the best first.
pub(super) fn candidates(found: &Found, prefix: &str) -> Vec<String> {
    let mut name = String::new();
    let mut candidates = Vec::new();
    for part in &found.names {
        let part = sanitised(part);
        match (name.is_empty(), part.is_empty()) {
            (_, true) => continue,
            (true, false) => name = part,
            (false, false) => name = format!("{name}_{part}"),
        }
        candidates.push(cut(&format!("{prefix}{name}")));
    }
    let base = candidates.first().cloned().unwrap_or_else(|| format!("{prefix}table"));
    candidates.push(base.clone());
    candidates.extend((2..1000).map(|number| format!("{base}_{number}")));
    candidates
}

/// A folder's name as a table's: lower case, with `_` for what is no letter or digit.
fn sanitised(name: &str) -> String {
    let name = name.to_lowercase();
    let plain: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    plain.trim_matches('_').to_owned()
}

fn cut(name: &str) -> String {
    name.to_lowercase().chars().take(NAME_CHARS_MAX).collect()
}
