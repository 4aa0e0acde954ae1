//! Values for a statement's parameters.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UnionArray};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use boathouse_engine::Query;
use tonic::Status;

use crate::plain::{conform, plain_schema};
use crate::upload::Upload;

/// Bytes that the values bound to one prepared statement may take.
const MAX_BYTES: usize = 64 << 20;

/// Rows of values, column `i` for parameter `i`. Names of columns don't count.
pub(super) struct Parameters {
    columns: usize,
    batches: Vec<RecordBatch>,
}

impl Parameters {
    /// Takes all that comes, up to a limit.
    pub(super) async fn read(mut upload: Upload, query: &Query) -> Result<Self, Status> {
        let columns = upload.schema().map_or(0, |schema| schema.fields().len());
        let mut parameters = Self { columns, batches: Vec::new() };
        let mut bytes = 0;
        while let Some(batch) = upload.next().await.transpose()? {
            bytes += batch.get_array_memory_size();
            if MAX_BYTES < bytes {
                return Err(Status::resource_exhausted(format!(
                    "parameter values may take {MAX_BYTES} bytes\n\
                     Hint: Bind fewer rows at a time, or load them with a bulk ingest."
                )));
            }
            parameters.batches.push(values(&batch, query)?);
        }
        if !parameters.is_absent() {
            check_count(columns, query)?;
        }
        Ok(parameters)
    }

    /// Whether the client sent no values, as it does for a statement without parameters.
    pub(super) fn is_absent(&self) -> bool {
        self.columns == 0
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Row `n`: its batch, and its number there.
    pub(super) fn row(&self, mut n: usize) -> Option<(&RecordBatch, usize)> {
        for batch in &self.batches {
            if n < batch.num_rows() {
                return Some((batch, n));
            }
            n -= batch.num_rows();
        }
        None
    }

    /// An error unless there is one column for each parameter.
    pub(super) fn check_count(&self, query: &Query) -> Result<(), Status> {
        check_count(self.columns, query)
    }
}

/// An error unless `found` columns are one for each parameter of `query`.
pub(super) fn check_count(found: usize, query: &Query) -> Result<(), Status> {
    let wanted = query.parameters().len();
    match wanted == found {
        true => Ok(()),
        false => Err(Status::invalid_argument(format!(
            "the statement has {wanted} parameters, but {found} values came with it"
        ))),
    }
}

/// The plain values of a batch of parameters: clients wrap them in unions and dictionaries.
pub(super) fn values(batch: &RecordBatch, query: &Query) -> Result<RecordBatch, Status> {
    let wanted = |i: usize| query.parameters().get(i).map(|p| p.data_type.clone());
    let unwrapped = batch.columns().iter().enumerate().map(|(i, column)| {
        match column.as_any().downcast_ref::<UnionArray>() {
            Some(union) => unwrap(union, wanted(i).unwrap_or(DataType::Null)),
            None => Ok(Arc::clone(column)),
        }
    });
    let plain = unwrapped.collect::<Result<Vec<_>, _>>().and_then(|columns| {
        let batch = with_columns(batch, columns)?;
        conform(&batch, &plain_schema(&batch.schema()))
    });
    plain.map_err(|error| {
        Status::invalid_argument(format!("the parameter values cannot be used: {error}"))
    })
}

fn with_columns(batch: &RecordBatch, columns: Vec<ArrayRef>) -> Result<RecordBatch, ArrowError> {
    let fields = batch.schema_ref().fields().iter().zip(&columns);
    let fields =
        fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &options)
}

/// The values of a union as one array: of their type if they share one, else of type `wanted`.
fn unwrap(union: &UnionArray, wanted: DataType) -> Result<ArrayRef, ArrowError> {
    let values: Vec<ArrayRef> = (0..union.len()).map(|row| union.value(row)).collect();
    let mut types = values.iter().filter(|v| !v.is_null(0)).map(|v| v.data_type());
    let first = types.next().cloned();
    let target = match first {
        Some(first) if types.all(|other| *other == first) => first,
        Some(_) if wanted == DataType::Null => DataType::Utf8,
        Some(_) => wanted,
        None => wanted,
    };
    let values = values.iter().map(|value| cast(value, &target));
    let values = values.collect::<Result<Vec<_>, _>>()?;
    match values.is_empty() {
        true => Ok(arrow::array::new_empty_array(&target)),
        false => concat(&values.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::{Int64Type, UnionFields};

    use super::*;

    fn union(types: Vec<i8>, offsets: Vec<i32>) -> UnionArray {
        let fields = UnionFields::from_fields([
            Field::new("int", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
        ]);
        let ints: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["2"]));
        let children = vec![ints, texts];
        UnionArray::try_new(fields, types.into(), Some(offsets.into()), children).unwrap()
    }

    #[test]
    fn a_union_of_one_type_keeps_it() {
        let values = unwrap(&union(vec![0, 0, 0], vec![0, 1, 2]), DataType::Null).unwrap();
        let expected = Int64Array::from(vec![Some(1), None, Some(3)]);
        assert_eq!(values.as_primitive::<Int64Type>(), &expected);
    }

    #[test]
    fn a_mixed_union_takes_the_parameters_type() {
        let values = unwrap(&union(vec![0, 1, 0], vec![0, 0, 2]), DataType::Int64).unwrap();
        assert_eq!(values.as_primitive::<Int64Type>(), &Int64Array::from(vec![1, 2, 3]));
    }
}
