//! The table features of Delta, and what is done about each.

use std::collections::HashMap;

use Have::{No, Unused, Yes};
use deltalake::kernel::{DataType, Metadata, Protocol, StructField, StructType};
use url::Url;

use crate::{Error, Result};

/// The newest reader and writer versions, which list their features by name.
const READER_VERSION_MAX: i32 = 3;
const WRITER_VERSION_MAX: i32 = 7;

/// A feature, by the name that logs have for it.
struct Feature {
    name: &'static str,
    /// Whether tables that have it are read. Features for writers only ask nothing of readers.
    read: Have,
    /// Whether rows are added to them.
    write: Have,
    /// The writer version that has it without naming it.
    since_writer: Option<i32>,
}

enum Have {
    Yes,
    /// What it asks for isn't done, or the Delta library commits to no table that has it.
    No,
    /// Only while nothing in the table makes use of it.
    Unused(fn(&Table<'_>) -> bool),
}

/// What a table says of itself.
struct Table<'a> {
    schema: &'a StructType,
    configuration: &'a HashMap<String, String>,
}

/// Every feature that there is; one that isn't in here is refused for reading and for writing.
#[rustfmt::skip]
const FEATURES: &[Feature] = &[
    // Of writers only.
    feature("appendOnly", Yes, Yes, Some(2)),
    feature("invariants", Yes, Yes, Some(2)),
    feature("checkConstraints", Yes, Yes, Some(3)),
    feature("changeDataFeed", Yes, Yes, Some(4)),
    feature("generatedColumns", Yes, Yes, Some(4)),
    feature("identityColumns", Yes, Yes, Some(6)),
    feature("checkpointProtection", Yes, Yes, None),
    feature("allowColumnDefaults", Yes, Yes, None),
    feature("clustering", Yes, Yes, None),
    feature("domainMetadata", Yes, Yes, None),
    feature("icebergCompatV1", Yes, No, None),
    feature("icebergCompatV2", Yes, No, None),
    feature("icebergCompatV3", Yes, No, None),
    feature("inCommitTimestamp", Yes, No, None),
    feature("materializePartitionColumns", Yes, No, None),
    feature("rowTracking", Yes, No, None),
    // Of readers and writers.
    feature("columnMapping", Yes, Yes, Some(5)),
    feature("deletionVectors", Yes, Yes, None),
    feature("timestampNtz", Yes, Yes, None),
    feature("v2Checkpoint", Yes, Yes, None),
    feature("typeWidening", Yes, Yes, None),
    feature("typeWidening-preview", Yes, No, None),
    feature("vacuumProtocolCheck", Yes, No, None),
    feature("catalogManaged", No, No, None),
    feature("catalogOwned-preview", No, No, None),
    feature("geospatial", No, No, None),
    feature("timestampNanos", No, No, None),
    feature("variantType", Unused(has_variants), Unused(has_variants), None),
    feature("variantType-preview", Unused(has_variants), Unused(has_variants), None),
    feature("variantShredding", Unused(has_variants), No, None),
    feature("variantShredding-preview", Unused(has_variants), No, None),
];

const fn feature(
    name: &'static str,
    read: Have,
    write: Have,
    since_writer: Option<i32>,
) -> Feature {
    Feature { name, read, write, since_writer }
}

/// Refuses a table that needs what a reader here doesn't have.
pub(super) fn check_read(
    protocol: &Protocol,
    metadata: &Metadata,
    schema: &StructType,
    url: &Url,
) -> Result<()> {
    let version = protocol.min_reader_version();
    if version > READER_VERSION_MAX {
        return Err(refused("reading", url, &format!("reader version {version}"))
            .with_hint("Read it with the tool that wrote it."));
    }
    let table = Table { schema, configuration: metadata.configuration() };
    let named = protocol.reader_features().unwrap_or_default();
    let named = named.iter().map(ToString::to_string);
    match missing(named, &table, |feature| &feature.read) {
        Some(name) => Err(refused("reading", url, &format!("feature {name}"))
            .with_hint("Read it with a tool that has this feature, or drop the feature there.")),
        None => Ok(()),
    }
}

/// Refuses a table that needs what a writer here doesn't do.
pub(super) fn check_write(
    protocol: &Protocol,
    metadata: &Metadata,
    schema: &StructType,
    url: &Url,
) -> Result<()> {
    let version = protocol.min_writer_version();
    if version > WRITER_VERSION_MAX {
        return Err(refused("writing to", url, &format!("writer version {version}")));
    }
    let table = Table { schema, configuration: metadata.configuration() };
    let needed = needed_by_writers(protocol).into_iter();
    match missing(needed, &table, |feature| &feature.write) {
        Some(name) => Err(refused("writing to", url, &format!("feature {name}")).with_hint(
            "Write to it with a tool that has this feature, or drop the feature there.",
        )),
        None => Ok(()),
    }
}

/// The first of the features that isn't there.
fn missing(
    mut names: impl Iterator<Item = String>,
    table: &Table<'_>,
    have: impl Fn(&'static Feature) -> &'static Have,
) -> Option<String> {
    names.find(|name| match FEATURES.iter().find(|feature| feature.name == name).map(&have) {
        Some(Yes) => false,
        Some(Unused(is_used)) => is_used(table),
        Some(No) | None => true,
    })
}

/// Older writer versions stand for a set of features.
fn needed_by_writers(protocol: &Protocol) -> Vec<String> {
    let version = protocol.min_writer_version();
    if version >= WRITER_VERSION_MAX {
        let named = protocol.writer_features().unwrap_or_default();
        return named.iter().map(ToString::to_string).collect();
    }
    let implied = |feature: &&Feature| feature.since_writer.is_some_and(|since| since <= version);
    FEATURES.iter().filter(implied).map(|feature| feature.name.to_owned()).collect()
}

fn refused(what: &str, url: &Url, needs: &str) -> Error {
    Error::unsupported(format!("{what} {url}, which needs the Delta {needs}"))
}

fn has_constraints(table: &Table<'_>) -> bool {
    table.configuration.keys().any(|key| key.starts_with("delta.constraints."))
}

fn has_invariants(table: &Table<'_>) -> bool {
    has_metadata(table.schema, "delta.invariants")
}

fn has_generated_columns(table: &Table<'_>) -> bool {
    has_metadata(table.schema, "delta.generationExpression")
}

fn has_variants(table: &Table<'_>) -> bool {
    any(table.schema, &|_| false, &|data_type| matches!(data_type, DataType::Variant(_)))
}

fn has_metadata(schema: &StructType, key: &str) -> bool {
    any(schema, &|field| field.metadata.contains_key(key), &|_| false)
}

/// Whether there is such a field or type, at any depth.
fn any(
    schema: &StructType,
    of_field: &dyn Fn(&StructField) -> bool,
    of_type: &dyn Fn(&DataType) -> bool,
) -> bool {
    schema.fields().any(|field| of_field(field) || within(&field.data_type, of_field, of_type))
}

fn within(
    data_type: &DataType,
    of_field: &dyn Fn(&StructField) -> bool,
    of_type: &dyn Fn(&DataType) -> bool,
) -> bool {
    let inner = |inner: &DataType| within(inner, of_field, of_type);
    of_type(data_type)
        || match data_type {
            DataType::Struct(fields) => any(fields, of_field, of_type),
            DataType::Array(array) => inner(array.element_type()),
            DataType::Map(map) => inner(map.key_type()) || inner(map.value_type()),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn url() -> Url {
        Url::parse("file:///t/").unwrap()
    }

    fn protocol(text: serde_json::Value) -> Protocol {
        serde_json::from_value(text).unwrap()
    }

    fn schema(metadata: serde_json::Value) -> StructType {
        let field = json!({"name": "a", "type": "long", "nullable": true, "metadata": metadata});
        serde_json::from_value(json!({"type": "struct", "fields": [field]})).unwrap()
    }

    fn metadata(configuration: serde_json::Value) -> Metadata {
        serde_json::from_value(json!({
            "id": "x", "format": {"provider": "parquet", "options": {}}, "schemaString": "{}",
            "partitionColumns": [], "configuration": configuration, "createdTime": 0,
        }))
        .unwrap()
    }

    fn write(protocol: &Protocol, column: serde_json::Value, table: serde_json::Value) -> String {
        match check_write(protocol, &metadata(table), &schema(column), &url()) {
            Ok(()) => "yes".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn read(protocol: &Protocol, data_type: &str) -> Result<()> {
        let field = json!({"name": "a", "type": data_type, "nullable": true, "metadata": {}});
        let schema: StructType =
            serde_json::from_value(json!({"type": "struct", "fields": [field]})).unwrap();
        check_read(protocol, &metadata(json!({})), &schema, &url())
    }

    #[test]
    fn unknown_reader_features_are_named() {
        let features = ["deletionVectors", "columnMapping", "fromTheFuture"];
        let protocol = protocol(json!({
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": features, "writerFeatures": features,
        }));
        let error = read(&protocol, "long").unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
        assert!(error.to_string().ends_with("needs the Delta feature fromTheFuture"), "{error}");
    }

    #[test]
    fn variants_are_refused_where_a_column_is_one() {
        let protocol = protocol(json!({
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": ["variantType"], "writerFeatures": ["variantType"],
        }));
        assert!(read(&protocol, "long").is_ok());
        let error = read(&protocol, "variant").unwrap_err();
        assert!(error.to_string().ends_with("feature variantType"), "{error}");
    }

    #[test]
    fn newer_versions_are_refused() {
        let protocol = protocol(json!({"minReaderVersion": 4, "minWriterVersion": 8}));
        assert!(read(&protocol, "long").unwrap_err().to_string().contains("version 4"));
        assert!(write(&protocol, json!({}), json!({})).contains("writer version 8"));
    }

    #[test]
    fn old_writer_versions_stand_for_features() {
        let protocol = protocol(json!({"minReaderVersion": 1, "minWriterVersion": 4}));
        assert_eq!(write(&protocol, json!({}), json!({})), "yes");
        let constraint = json!({"delta.constraints.positive": "a > 0"});
        assert!(write(&protocol, json!({}), constraint).ends_with("feature checkConstraints"));
        let invariant = json!({"delta.invariants": "{}"});
        assert!(write(&protocol, invariant, json!({})).ends_with("feature invariants"));
        let generated = json!({"delta.generationExpression": "b + 1"});
        assert!(write(&protocol, generated, json!({})).ends_with("feature generatedColumns"));
    }

    #[test]
    fn writer_features_with_duties_are_refused() {
        let protocol = protocol(json!({
            "minReaderVersion": 1, "minWriterVersion": 7,
            "writerFeatures": ["appendOnly", "domainMetadata", "rowTracking"],
        }));
        assert!(read(&protocol, "long").is_ok());
        assert!(write(&protocol, json!({}), json!({})).ends_with("feature domainMetadata"));
    }
}
