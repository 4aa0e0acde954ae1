//! The files of catalog tables: partitions looked up by what the filters say of their keys.

use std::ops::Bound;
use std::sync::Arc;

use arrow::datatypes::DataType;
use boathouse_catalog::{KeyConstraint, KeyTest, Partition, PartitionFilter, Table};
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use object_store::ObjectMeta;
use url::Url;

use super::ScanReport;
use super::discover::list_folder;
use super::files::{ScanFile, from_catalog, partition_value};
use crate::engine::Shared;
use crate::stores::store_path;
use crate::{Error, Result};

/// The files of the partitions that `filters` may match.
pub(super) async fn files(
    shared: &Shared,
    table: &Table,
    layout: &TableSchema,
    filters: &[Expr],
) -> Result<(Vec<ScanFile>, ScanReport)> {
    let partitions = shared.catalog.partitions(table, &constraints(layout, filters)).await?;
    let totals = shared.catalog.partition_totals(table).await?;
    let matched = partitions.len() as u64;
    let mut listed = Vec::with_capacity(partitions.len());
    for mut partition in partitions {
        if partition.files.is_none() {
            let format = table.spec.format.unwrap_or(boathouse_catalog::Format::Parquet);
            partition.files = Some(list_folder(&shared.stores, &partition.location, format).await?);
        }
        listed.push(partition);
    }
    let files = scan_files(listed, layout)?;
    check_unchanged(table, &files)?;
    let report = ScanReport {
        partitions: (matched, totals.partitions),
        files: (files.len() as u64, totals.files.max(files.len() as u64)),
    };
    Ok((files, report))
}

/// Refuses local files that were replaced since they were listed: what the catalog knows of the
/// old ones would answer for the new. Files that are gone are found when they are read, and
/// objects in S3 are taken as they were listed.
fn check_unchanged(table: &Table, files: &[ScanFile]) -> Result<()> {
    let local = table.spec.location.as_deref().is_some_and(|url| url.starts_with("file://"));
    if !local {
        return Ok(());
    }
    for file in files {
        let path = format!("/{}", file.meta.location);
        let Ok(now) = std::fs::metadata(&path) else { continue };
        let modified = now.modified().ok().map(DateTime::<Utc>::from);
        let then = file.meta.last_modified.timestamp_millis();
        let same = now.len() == file.meta.size
            && modified.is_none_or(|time| time.timestamp_millis() == then);
        if !same {
            return Err(Error::bad_data(format!(
                "table \"{}\": file \"{path}\" was changed since the table was made",
                table.name
            ))
            .with_hint(format!("Run REFRESH TABLE {}.", table.name)));
        }
    }
    Ok(())
}

/// The files of `partitions` as a scan takes them.
pub(super) fn scan_files(
    partitions: Vec<Partition>,
    layout: &TableSchema,
) -> Result<Vec<ScanFile>> {
    let keys = layout.table_partition_cols();
    let mut files = Vec::new();
    for partition in partitions {
        let values = keys
            .iter()
            .zip(&partition.values)
            .map(|(key, text)| {
                let path = &partition.location;
                partition_value(text.as_deref(), key.name(), key.data_type(), path)
            })
            .collect::<Result<Arc<[ScalarValue]>>>()?;
        for file in partition.files.unwrap_or_default() {
            let url = Url::parse(&file.path)
                .map_err(|error| Error::bad_data(format!("file \"{}\": {error}", file.path)))?;
            let statistics = file.statistics.as_ref();
            files.push(ScanFile {
                meta: ObjectMeta {
                    location: store_path(&url)?,
                    last_modified: DateTime::from_timestamp_millis(file.modified_at_ms)
                        .unwrap_or_default(),
                    size: file.size_bytes,
                    e_tag: file.etag,
                    version: None,
                },
                partition_values: values.clone(),
                statistics: statistics
                    .map(|kept| Arc::new(from_catalog(kept, layout.file_schema()))),
            });
        }
    }
    Ok(files)
}

/// What `filters` say of the partition keys, as far as the catalog's index can use it. What it
/// can't use is left out: the partitions are filtered exactly afterwards.
fn constraints(layout: &TableSchema, filters: &[Expr]) -> PartitionFilter {
    let constraints = filters
        .iter()
        .flat_map(split_conjunction)
        .filter_map(|filter| constraint(layout, filter))
        .collect();
    PartitionFilter { constraints }
}

fn constraint(layout: &TableSchema, filter: &Expr) -> Option<KeyConstraint> {
    let (column, test) = match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            comparison(left, *op, right).or_else(|| comparison(right, op.swap()?, left))?
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let values = list.iter().map(literal).collect::<Option<Vec<String>>>()?;
            (name(expr)?, KeyTest::In(values))
        }
        Expr::Between(between) if !between.negated => {
            let low = Bound::Included(literal(&between.low)?);
            let high = Bound::Included(literal(&between.high)?);
            (name(&between.expr)?, KeyTest::Range { low, high })
        }
        Expr::IsNull(expr) => (name(expr)?, KeyTest::IsNull),
        Expr::IsNotNull(expr) => (name(expr)?, KeyTest::IsNotNull),
        _ => return None,
    };
    let keys = layout.table_partition_cols();
    let key = keys.iter().position(|key| key.name() == column)?;
    has_one_text(keys[key].data_type()).then_some(KeyConstraint { key, test })
}

/// Types whose values the catalog compares as the engine does.
fn has_one_text(data_type: &DataType) -> bool {
    data_type.is_signed_integer() || matches!(data_type, DataType::Utf8 | DataType::Date32)
}

fn comparison<'a>(column: &'a Expr, op: Operator, value: &Expr) -> Option<(&'a str, KeyTest)> {
    let column = name(column)?;
    let value = literal(value)?;
    let test = match op {
        Operator::Eq => KeyTest::In(vec![value]),
        Operator::Lt => KeyTest::Range { low: Bound::Unbounded, high: Bound::Excluded(value) },
        Operator::LtEq => KeyTest::Range { low: Bound::Unbounded, high: Bound::Included(value) },
        Operator::Gt => KeyTest::Range { low: Bound::Excluded(value), high: Bound::Unbounded },
        Operator::GtEq => KeyTest::Range { low: Bound::Included(value), high: Bound::Unbounded },
        _ => return None,
    };
    Some((column, test))
}

fn name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        _ => None,
    }
}

/// A literal's text, as a partition's value is written. Comparisons are between equal types by
/// now, so it's the text of a value of the key's type.
fn literal(expr: &Expr) -> Option<String> {
    let Expr::Literal(value, _) = expr else { return None };
    match value.cast_to(&DataType::Utf8) {
        Ok(ScalarValue::Utf8(text)) => text,
        _ => None,
    }
}
