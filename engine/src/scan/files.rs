//! The files of a table with what is known of each, and which of them a filter can't match.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use boathouse_catalog as catalog;
use datafusion::catalog::Session as PlanSession;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{
    Column, ColumnStatistics, DFSchema, Result as DataFusionResult, ScalarValue, Statistics,
};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::PhysicalExpr;
use object_store::ObjectMeta;

use super::columns::field_access;
use super::delta::DeletionVector;
use crate::{Error, Result};

/// One data file of a table.
#[derive(Clone, Debug)]
pub(crate) struct ScanFile {
    pub(crate) meta: ObjectMeta,
    /// One for each partition key, of the key's type.
    pub(crate) partition_values: Arc<[ScalarValue]>,
    /// Of the columns in the file: the table's without its partition keys, in order. Those of the
    /// keys may follow. Minimum and maximum are bounds where they are inexact. Rows that are
    /// deleted aren't counted.
    pub(crate) statistics: Option<Arc<Statistics>>,
    /// Of the fields in structs, in the order of the table's [`Leaves`].
    pub(crate) leaves: Option<Arc<[ColumnStatistics]>>,
    /// Which rows of the file are deleted.
    pub(crate) deletion: Option<Arc<DeletionVector>>,
}

/// The fields in structs of a table, at any depth, that aren't structs themselves: their paths and
/// types.
#[derive(Debug, Default)]
pub(crate) struct Leaves(Vec<(Vec<String>, DataType)>);

impl Leaves {
    pub(crate) fn of(schema: &Schema) -> Self {
        let mut leaves = Self::default();
        for field in schema.fields() {
            leaves.add(&[field.name().clone()], field.data_type());
        }
        leaves
    }

    fn add(&mut self, path: &[String], data_type: &DataType) {
        let DataType::Struct(fields) = data_type else { return };
        for field in fields {
            let path: Vec<String> = path.iter().cloned().chain([field.name().clone()]).collect();
            match field.data_type() {
                inner if inner.is_nested() => self.add(&path, inner),
                leaf => self.0.push((path, leaf.clone())),
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[String], &DataType)> {
        self.0.iter().map(|(path, data_type)| (path.as_slice(), data_type))
    }

    fn position(&self, column: &str, path: &[&str]) -> Option<usize> {
        let wanted = std::iter::once(column).chain(path.iter().copied());
        self.0.iter().position(|(path, _)| path.iter().map(String::as_str).eq(wanted.clone()))
    }

    /// The columns of `schema`, and then a column for each leaf, of a name that no column has.
    fn flattened(&self, schema: &Schema) -> SchemaRef {
        let leaves = self.0.iter().enumerate();
        let leaves = leaves.map(|(index, (_, data_type))| {
            Arc::new(Field::new(leaf_name(index), data_type.clone(), true))
        });
        Arc::new(Schema::new(schema.fields().iter().cloned().chain(leaves).collect::<Fields>()))
    }

    /// The expression with a column for each access to a leaf. `columns` come before the leaves.
    fn flatten(
        &self,
        expr: Arc<dyn PhysicalExpr>,
        columns: usize,
    ) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let leaf = |expr: Arc<dyn PhysicalExpr>| {
            let access = field_access(&expr);
            let index = access.and_then(|(column, path)| self.position(column.name(), &path));
            Ok(match index {
                Some(index) => {
                    let column = PhysicalColumn::new(&leaf_name(index), columns + index);
                    let column: Arc<dyn PhysicalExpr> = Arc::new(column);
                    Transformed::new(column, true, TreeNodeRecursion::Jump)
                }
                None => Transformed::no(expr),
            })
        };
        expr.transform_down(leaf).data()
    }
}

fn leaf_name(index: usize) -> String {
    format!("\0leaf {index}")
}

/// The items whose partition values satisfy `filters`, which name partition keys only. Items that
/// share their values are looked at once.
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
    let mut numbers: HashMap<*const ScalarValue, usize> = HashMap::new();
    let mut partitions: Vec<&[ScalarValue]> = Vec::new();
    let number_of: Vec<usize> = items
        .iter()
        .map(|item| {
            let values = values(item);
            *numbers.entry(values.as_ptr()).or_insert_with(|| {
                partitions.push(values);
                partitions.len() - 1
            })
        })
        .collect();
    let matches = matching(state, &partitions, partition_schema, filter)?;
    let kept =
        number_of.into_iter().map(|number| matches.is_valid(number) && matches.value(number));
    let kept: Vec<bool> = kept.collect();
    Ok(items.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(item, _)| item).collect())
}

/// Which of the partitions satisfy the filter.
fn matching(
    state: &dyn PlanSession,
    partitions: &[&[ScalarValue]],
    partition_schema: &SchemaRef,
    filter: Expr,
) -> Result<BooleanArray> {
    let columns = (0..partition_schema.fields().len())
        .map(|key| {
            let column = partitions.iter().map(|values| values[key].clone());
            Ok(ScalarValue::iter_to_array(column)?)
        })
        .collect::<Result<Vec<ArrayRef>>>()?;
    let batch = RecordBatch::try_new(partition_schema.clone(), columns)?;
    let schema = DFSchema::try_from(partition_schema.as_ref().clone())?;
    let filter = state.create_physical_expr(filter, &schema)?;
    let matches = filter.evaluate(&batch)?.into_array(partitions.len())?;
    Ok(matches.as_boolean().clone())
}

/// The files that may hold a row which satisfies `filters`, by their statistics.
pub(crate) fn by_statistics(
    state: &dyn PlanSession,
    files: Vec<ScanFile>,
    file_schema: &SchemaRef,
    leaves: &Leaves,
    filters: &[Expr],
) -> Result<Vec<ScanFile>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(files) };
    if files.iter().all(|file| file.statistics.is_none()) {
        return Ok(files);
    }
    let schema = DFSchema::try_from(file_schema.as_ref().clone())?;
    let filter = state.create_physical_expr(filter, &schema)?;
    let filter = leaves.flatten(filter, file_schema.fields().len())?;
    let flattened = leaves.flattened(file_schema);
    let Ok(predicate) =
        PruningPredicateBuilder::new().with_file_schema(flattened.clone()).try_build(filter)
    else {
        return Ok(files);
    };
    if predicate.always_true() {
        return Ok(files);
    }
    let kept = predicate.prune(&FileBounds {
        files: &files,
        columns: file_schema.fields().len(),
        schema: &flattened,
    })?;
    Ok(files.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(file, _)| file).collect())
}

/// The statistics of files, a container each.
struct FileBounds<'a> {
    files: &'a [ScanFile],
    /// How many columns of the schema are those of the files; then the leaves come.
    columns: usize,
    schema: &'a SchemaRef,
}

impl FileBounds<'_> {
    fn statistics(&self, file: usize, column: usize) -> Option<&ColumnStatistics> {
        let file = self.files.get(file)?;
        match column.checked_sub(self.columns) {
            Some(leaf) => file.leaves.as_ref()?.get(leaf),
            None => file.statistics.as_ref()?.column_statistics.get(column),
        }
    }

    fn column(
        &self,
        column: &Column,
        pick: impl Fn(&ColumnStatistics) -> Option<&ScalarValue>,
    ) -> Option<ArrayRef> {
        let (index, field) = self.schema.column_with_name(&column.name)?;
        let null = ScalarValue::try_from(field.data_type()).ok()?;
        let values = (0..self.files.len()).map(|file| {
            let value = self.statistics(file, index).and_then(&pick);
            let value = value.filter(|value| &value.data_type() == field.data_type());
            value.unwrap_or(&null).clone()
        });
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column, |statistics| statistics.min_value.get_value())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column, |statistics| statistics.max_value.get_value())
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let (index, _) = self.schema.column_with_name(&column.name)?;
        let counts = (0..self.files.len()).map(|file| {
            let count = self.statistics(file, index)?.null_count.get_value();
            count.map(|count| *count as u64)
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

/// The statistics of a file's columns, and then those of its partition's values.
pub(crate) fn with_keys(statistics: &Statistics, values: &[ScalarValue]) -> Statistics {
    let mut all = statistics.clone();
    all.column_statistics.extend(values.iter().map(|value| key_statistics(value, all.num_rows)));
    all
}

/// All rows of a file have its partition's value.
pub(crate) fn key_statistics(value: &ScalarValue, rows: Precision<usize>) -> ColumnStatistics {
    let width = value.data_type().primitive_width().map_or(Precision::Absent, Precision::Exact);
    let byte_size = rows.multiply(&width);
    if value.is_null() {
        return ColumnStatistics { null_count: rows, byte_size, ..ColumnStatistics::new_unknown() };
    }
    ColumnStatistics {
        null_count: Precision::Exact(0),
        min_value: Precision::Exact(value.clone()),
        max_value: Precision::Exact(value.clone()),
        distinct_count: Precision::Exact(1),
        byte_size,
        ..ColumnStatistics::new_unknown()
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
