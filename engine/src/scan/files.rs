//! The files of a table with what is known of each, and which of them a filter can't match.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use boathouse_catalog as catalog;
use datafusion::catalog::Session as PlanSession;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, DFSchema, ScalarValue, Statistics};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use object_store::ObjectMeta;

use crate::{Error, Result};

/// One data file of a table.
#[derive(Clone, Debug)]
pub(crate) struct ScanFile {
    pub(crate) meta: ObjectMeta,
    /// One for each partition key, of the key's type.
    pub(crate) partition_values: Arc<[ScalarValue]>,
    /// Of the columns in the file: the table's without its partition keys, in order. Minimum and
    /// maximum are bounds where they are inexact.
    pub(crate) statistics: Option<Arc<Statistics>>,
}

/// The items whose partition values satisfy `filters`, which name partition keys only.
pub(crate) fn in_partitions<T>(
    state: &dyn PlanSession,
    items: Vec<T>,
    values: impl Fn(&T) -> &[ScalarValue],
    partition_schema: &SchemaRef,
    filters: &[Expr],
) -> Result<Vec<T>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(items) };
    if items.is_empty() {
        return Ok(items);
    }
    let columns = (0..partition_schema.fields().len())
        .map(|key| {
            let column = items.iter().map(|item| values(item)[key].clone());
            Ok(ScalarValue::iter_to_array(column)?)
        })
        .collect::<Result<Vec<ArrayRef>>>()?;
    let batch = RecordBatch::try_new(partition_schema.clone(), columns)?;
    let schema = DFSchema::try_from(partition_schema.as_ref().clone())?;
    let filter = state.create_physical_expr(filter, &schema)?;
    let matches = filter.evaluate(&batch)?.into_array(items.len())?;
    let matches = matches.as_boolean();
    Ok(items
        .into_iter()
        .enumerate()
        .filter(|(index, _)| matches.is_valid(*index) && matches.value(*index))
        .map(|(_, item)| item)
        .collect())
}

/// The files that may hold a row which satisfies `filters`, by their statistics.
pub(crate) fn by_statistics(
    state: &dyn PlanSession,
    files: Vec<ScanFile>,
    file_schema: &SchemaRef,
    filters: &[Expr],
) -> Result<Vec<ScanFile>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(files) };
    if files.iter().all(|file| file.statistics.is_none()) {
        return Ok(files);
    }
    let schema = DFSchema::try_from(file_schema.as_ref().clone())?;
    let filter = state.create_physical_expr(filter, &schema)?;
    let Ok(predicate) =
        PruningPredicateBuilder::new().with_file_schema(file_schema.clone()).try_build(filter)
    else {
        return Ok(files);
    };
    if predicate.always_true() {
        return Ok(files);
    }
    let kept = predicate.prune(&FileBounds { files: &files, schema: file_schema })?;
    Ok(files.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(file, _)| file).collect())
}

/// The statistics of files, a container each.
struct FileBounds<'a> {
    files: &'a [ScanFile],
    schema: &'a SchemaRef,
}

impl FileBounds<'_> {
    fn column(
        &self,
        column: &Column,
        pick: impl Fn(&ColumnStatistics) -> Option<ScalarValue>,
    ) -> Option<ArrayRef> {
        let (index, field) = self.schema.column_with_name(&column.name)?;
        let null = ScalarValue::try_from(field.data_type()).ok()?;
        let values = self.files.iter().map(|file| {
            let statistics = file.statistics.as_ref()?.column_statistics.get(index)?;
            pick(statistics).filter(|value| value.data_type() == null.data_type())
        });
        let values: Vec<ScalarValue> =
            values.map(|value| value.unwrap_or_else(|| null.clone())).collect();
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column, |statistics| statistics.min_value.get_value().cloned())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column, |statistics| statistics.max_value.get_value().cloned())
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let (index, _) = self.schema.column_with_name(&column.name)?;
        let counts = self.files.iter().map(|file| {
            let statistics = file.statistics.as_ref()?.column_statistics.get(index)?;
            statistics.null_count.get_value().map(|count| *count as u64)
        });
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts = self
            .files
            .iter()
            .map(|file| file.statistics.as_ref()?.num_rows.get_value().map(|count| *count as u64));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// What the catalog keeps of a file's statistics, as the optimizer takes them. A value that
/// doesn't parse as the column's type is left out.
pub(crate) fn from_catalog(kept: &catalog::FileStatistics, schema: &Schema) -> Statistics {
    let column_statistics = schema
        .fields()
        .iter()
        .map(|field| match kept.columns.get(field.name()) {
            Some(column) => column_from_catalog(column, field.data_type()),
            None => ColumnStatistics::new_unknown(),
        })
        .collect();
    Statistics {
        num_rows: Precision::Exact(usize::try_from(kept.rows).unwrap_or(usize::MAX)),
        total_byte_size: Precision::Absent,
        column_statistics,
    }
}

fn column_from_catalog(kept: &catalog::ColumnStatistics, data_type: &DataType) -> ColumnStatistics {
    let precision = |value: &Option<String>| match value {
        Some(text) => match ScalarValue::try_from_string(text.clone(), data_type) {
            Ok(value) if !value.is_null() && kept.exact => Precision::Exact(value),
            Ok(value) if !value.is_null() => Precision::Inexact(value),
            _ => Precision::Absent,
        },
        None => Precision::Absent,
    };
    let null_count = match kept.null_count {
        Some(count) => Precision::Exact(usize::try_from(count).unwrap_or(usize::MAX)),
        None => Precision::Absent,
    };
    ColumnStatistics {
        min_value: precision(&kept.min),
        max_value: precision(&kept.max),
        null_count,
        ..ColumnStatistics::new_unknown()
    }
}

/// Bounds longer than this say little more, and the catalog keeps them for every file.
const BOUND_BYTES_MAX: usize = 256;

/// Statistics as the catalog keeps them. Columns without any are left out, as are the bounds of
/// types whose text isn't their value (binary, nested).
pub(crate) fn to_catalog(
    statistics: &Statistics,
    schema: &Schema,
) -> Option<catalog::FileStatistics> {
    let rows = u64::try_from(*statistics.num_rows.get_value()?).ok()?;
    let mut columns = BTreeMap::new();
    for (field, column) in schema.fields().iter().zip(&statistics.column_statistics) {
        let (min, min_exact) = bound_text(&column.min_value);
        let (max, max_exact) = bound_text(&column.max_value);
        let null_count = column.null_count.get_value().map(|count| *count as u64);
        if min.is_some() || max.is_some() || null_count.is_some() {
            let exact = min_exact && max_exact;
            let kept = catalog::ColumnStatistics { min, max, exact, null_count };
            columns.insert(field.name().clone(), kept);
        }
    }
    Some(catalog::FileStatistics { rows, columns })
}

fn bound_text(bound: &Precision<ScalarValue>) -> (Option<String>, bool) {
    let exact = matches!(bound, Precision::Exact(_));
    let Some(value) = bound.get_value() else { return (None, exact) };
    let kept = value.data_type().is_primitive()
        || matches!(
            value.data_type(),
            DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        );
    if !kept || value.is_null() {
        return (None, exact);
    }
    match value.cast_to(&DataType::Utf8) {
        Ok(ScalarValue::Utf8(Some(text))) if text.len() <= BOUND_BYTES_MAX => (Some(text), exact),
        _ => (None, exact),
    }
}

/// A partition's value from its text, as the key's type. `path` is for the message.
pub(crate) fn partition_value(
    text: Option<&str>,
    key: &str,
    data_type: &DataType,
    path: &str,
) -> Result<ScalarValue> {
    let Some(text) = text else { return Ok(ScalarValue::try_from(data_type)?) };
    let wrong = || {
        Error::bad_data(format!(
            "partition value {key}={text} of \"{path}\" is no {}",
            crate::types::type_string(data_type).unwrap_or_else(|_| data_type.to_string())
        ))
        .with_hint(format!("Declare the key with another type: PARTITIONED BY ({key} STRING)."))
    };
    match ScalarValue::try_from_string(text.to_owned(), data_type) {
        Ok(value) if !value.is_null() => Ok(value),
        _ => Err(wrong()),
    }
}
