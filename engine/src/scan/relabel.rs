//! Columns under other names: what a struct's fields are called, at any depth, is changed without
//! touching the values.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, MapArray, OffsetSizeTrait, RecordBatch,
    RecordBatchOptions, StructArray,
};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::Result as DataFusionResult;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::PhysicalExpr;

/// The same values with the names of `to`, which differs from the array's type in names only.
pub(crate) fn relabel(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    match to {
        DataType::Struct(_) => Ok(Arc::new(relabel_struct(array, to)?)),
        DataType::List(element) => relabel_list::<i32>(array, element),
        DataType::LargeList(element) => relabel_list::<i64>(array, element),
        DataType::Map(entries, sorted) => {
            let map = array.as_map_opt().ok_or_else(|| differ(array, to))?;
            let inner: ArrayRef = Arc::new(map.entries().clone());
            let inner = relabel_struct(&inner, entries.data_type())?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, inner, nulls, *sorted)?))
        }
        _ => Err(differ(array, to)),
    }
}

fn relabel_struct(array: &ArrayRef, to: &DataType) -> Result<StructArray, ArrowError> {
    let (Some(from), DataType::Struct(fields)) = (array.as_struct_opt(), to) else {
        return Err(differ(array, to));
    };
    if from.num_columns() != fields.len() {
        return Err(differ(array, to));
    }
    let columns = from
        .columns()
        .iter()
        .zip(fields)
        .map(|(column, field)| relabel(column, field.data_type()))
        .collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
    StructArray::try_new_with_length(fields.clone(), columns, from.nulls().cloned(), from.len())
}

fn relabel_list<O: OffsetSizeTrait>(
    array: &ArrayRef,
    element: &FieldRef,
) -> Result<ArrayRef, ArrowError> {
    let list = array.as_list_opt::<O>().ok_or_else(|| differ(array, element.data_type()))?;
    let values = relabel(list.values(), element.data_type())?;
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    Ok(Arc::new(GenericListArray::<O>::try_new(element.clone(), offsets, values, nulls)?))
}

fn differ(array: &ArrayRef, to: &DataType) -> ArrowError {
    ArrowError::SchemaError(format!("{} differs from {to} in more than names", array.data_type()))
}

/// The batch with the names of `schema`, column by column.
pub(crate) fn relabel_batch(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| relabel(column, field.data_type()))
        .collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// A file's column under the names that its table has for the fields in it.
#[derive(Debug, Eq)]
pub(crate) struct Relabelled {
    column: Arc<dyn PhysicalExpr>,
    field: FieldRef,
}

impl Relabelled {
    pub(crate) fn new(column: Arc<dyn PhysicalExpr>, field: FieldRef) -> Self {
        Self { column, field }
    }
}

// Not derived, because that takes the expression out of its reference.
impl PartialEq for Relabelled {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.field == other.field
    }
}

impl Hash for Relabelled {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.field.hash(state);
    }
}

impl fmt::Display for Relabelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.column)
    }
}

impl PhysicalExpr for Relabelled {
    fn data_type(&self, _: &Schema) -> DataFusionResult<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn nullable(&self, _: &Schema) -> DataFusionResult<bool> {
        Ok(self.field.is_nullable())
    }

    fn return_field(&self, _: &Schema) -> DataFusionResult<FieldRef> {
        Ok(self.field.clone())
    }

    fn evaluate(&self, batch: &RecordBatch) -> DataFusionResult<ColumnarValue> {
        let array = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(relabel(&array, self.field.data_type())?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let column = children.pop().unwrap_or_else(|| self.column.clone());
        Ok(Arc::new(Self::new(column, self.field.clone())))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, ListArray};
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::{Field, Fields};

    use super::*;

    fn points(x: &str, y: &str) -> DataType {
        let fields = [x, y].map(|name| Field::new(name, DataType::Int32, true));
        DataType::Struct(Fields::from(fields.to_vec()))
    }

    fn list_of(inner: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("element", inner, true)))
    }

    fn two_lists() -> ArrayRef {
        let DataType::Struct(fields) = points("a", "b") else { unreachable!() };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])),
            Arc::new(Int32Array::from(vec![4, 5, 6])),
        ];
        let nulls = NullBuffer::from(vec![true, true, false]);
        let values = StructArray::new(fields, columns, Some(nulls));
        let element = Arc::new(Field::new("element", points("a", "b"), true));
        let offsets = OffsetBuffer::from_lengths([2, 1]);
        Arc::new(ListArray::new(element, offsets, Arc::new(values), None))
    }

    #[test]
    fn names_change_and_values_do_not() {
        let to = list_of(points("x", "y"));
        let lists = relabel(&two_lists(), &to).unwrap();
        assert_eq!(lists.data_type(), &to);
        let back = relabel(&lists, &list_of(points("a", "b"))).unwrap();
        assert_eq!(&back, &two_lists());
    }

    #[test]
    fn another_shape_is_an_error() {
        assert!(relabel(&two_lists(), &list_of(DataType::Int32)).is_err());
        assert!(relabel(&two_lists(), &points("x", "y")).is_err());
        let one = DataType::Struct(vec![Field::new("x", DataType::Int32, true)].into());
        assert!(relabel(&two_lists(), &list_of(one)).is_err());
    }
}
