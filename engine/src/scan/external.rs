//! The files of catalog tables: partitions looked up by what the filters say of their keys.

use std::ops::Bound;
use std::sync::Arc;

use arrow::datatypes::DataType;
use boathouse_catalog::{Format, KeyConstraint, KeyTest, Partition, PartitionFilter, Table};
use chrono::{DateTime, Utc};
use datafusion::catalog::Session as PlanSession;
use datafusion::common::ScalarValue;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;
use url::Url;

use super::discover::{HIVE_NULL, list_folder};
use super::files::{ScanFile, from_catalog, in_partitions, partition_value};
use super::{CatalogFiles, ScanReport, partition_schema};
use crate::engine::Shared;
use crate::stores::{Stores, store_path};
use crate::{Error, Result};

/// Folders that are listed at once.
const LISTED_AT_ONCE: usize = 16;

/// A partition with its values as the keys' types.
type Valued = (Arc<[ScalarValue]>, Partition);

/// The files of the partitions that `filters`, which name partition keys only, match.
pub(super) async fn files(
    shared: &Shared,
    state: &dyn PlanSession,
    source: &CatalogFiles,
    layout: &TableSchema,
    filters: &[Expr],
) -> Result<(Vec<ScanFile>, ScanReport)> {
    let table = &source.table;
    let (partitions, total, files_known) = match &source.projection {
        Some(projection) => {
            let (partitions, total) = projection.partitions(state, layout, filters)?;
            (partitions, total, 0)
        }
        None => {
            let partitions =
                shared.catalog.partitions(table, &constraints(layout, filters)).await?;
            let totals = shared.catalog.partition_totals(table).await?;
            if totals.partitions == 0 && layout.table_partition_cols().is_empty() {
                // Somebody else's table, of which the catalog has the place and no more.
                (vec![whole(source)], 1, 0)
            } else {
                (partitions, totals.partitions, totals.files)
            }
        }
    };
    let valued = partitions
        .into_iter()
        .map(|partition| Ok((values_of(&partition, layout)?, partition)))
        .collect::<Result<Vec<Valued>>>()?;
    let keys = partition_schema(layout);
    let matched = in_partitions(state, valued, |(values, _)| values, &keys, filters)?;
    let count = matched.len() as u64;
    let jobs: Vec<_> = matched
        .into_iter()
        .map(|(values, partition)| listed(&shared.stores, values, partition, source.format))
        .collect();
    let listed: Vec<Valued> = stream::iter(jobs)
        .buffered(LISTED_AT_ONCE)
        .try_collect()
        .await
        .map_err(|error: Error| error.about(format!("table \"{}\"", table.name)))?;
    let mut files = Vec::new();
    for (values, partition) in listed {
        add_files(&mut files, values, partition, layout)?;
    }
    check_unchanged(table, &files)?;
    let report = ScanReport {
        partitions: (count, total),
        files: (files.len() as u64, files_known.max(files.len() as u64)),
    };
    Ok((files, report))
}

/// The one partition of a table that has no keys.
fn whole(source: &CatalogFiles) -> Partition {
    Partition { location: source.location.to_string(), ..Partition::default() }
}

async fn listed(
    stores: &Stores,
    values: Arc<[ScalarValue]>,
    mut partition: Partition,
    format: Format,
) -> Result<Valued> {
    if partition.files.is_none() {
        partition.files = Some(list_folder(stores, &partition.location, format).await?);
    }
    Ok((values, partition))
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
    let mut files = Vec::new();
    for partition in partitions {
        add_files(&mut files, values_of(&partition, layout)?, partition, layout)?;
    }
    Ok(files)
}

fn values_of(partition: &Partition, layout: &TableSchema) -> Result<Arc<[ScalarValue]>> {
    let keys = layout.table_partition_cols();
    keys.iter()
        .zip(&partition.values)
        .map(|(key, text)| {
            let text = text.as_deref().filter(|text| *text != HIVE_NULL);
            partition_value(text, key.name(), key.data_type(), &partition.location)
        })
        .collect()
}

fn add_files(
    files: &mut Vec<ScanFile>,
    values: Arc<[ScalarValue]>,
    partition: Partition,
    layout: &TableSchema,
) -> Result<()> {
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
            statistics: statistics.map(|kept| Arc::new(from_catalog(kept, layout.file_schema()))),
            leaves: None,
            deletion: None,
        });
    }
    Ok(())
}

/// What `filters` say of the partition keys, as far as the catalog's index can use it. What it
/// can't use is left out: the partitions are filtered exactly afterwards.
pub(super) fn constraints(layout: &TableSchema, filters: &[Expr]) -> PartitionFilter {
    let constraints = filters
        .iter()
        .flat_map(split_conjunction)
        .filter_map(|filter| constraint(layout, filter))
        .collect();
    PartitionFilter { constraints }
}

fn constraint(layout: &TableSchema, filter: &Expr) -> Option<KeyConstraint> {
    let (column, test) = match filter {
        // A short IN list comes as an OR of equalities.
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            return either(constraint(layout, left)?, constraint(layout, right)?);
        }
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

/// Both as one, where that is one test of one key.
fn either(left: KeyConstraint, right: KeyConstraint) -> Option<KeyConstraint> {
    match (left.test, right.test) {
        (KeyTest::In(mut values), KeyTest::In(more)) if left.key == right.key => {
            values.extend(more);
            Some(KeyConstraint { key: left.key, test: KeyTest::In(values) })
        }
        _ => None,
    }
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
