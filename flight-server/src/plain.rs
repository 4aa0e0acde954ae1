//! The types that go over the wire.
//!
//! Many drivers read neither dictionaries nor views, and a client compares the announced schema
//! with the stream's. So one function says which types are sent, and both sides use it.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

/// `schema` without dictionaries, views and run-end encoding; the same one where it has none.
pub(crate) fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    if schema.fields().iter().all(|field| plain_type(field.data_type()) == *field.data_type()) {
        return Arc::clone(schema);
    }
    let fields: Vec<FieldRef> = schema.fields().iter().map(plain_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// `batch` with the types of `schema`; a column that has them already is not touched.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()),
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let data_type = plain_type(field.data_type());
    match data_type == *field.data_type() {
        true => Arc::clone(field),
        false => Arc::new(
            Field::new(field.name(), data_type, field.is_nullable())
                .with_metadata(field.metadata().clone()),
        ),
    }
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::ListView(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => {
            DataType::LargeList(plain_field(item))
        }
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, DictionaryArray, StringArray};
    use arrow::datatypes::Int8Type;

    use super::*;

    #[test]
    fn a_plain_schema_is_not_copied() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new_large_list(
            "l",
            Field::new_list_field(DataType::Int32, true),
            true,
        )]));
        assert!(Arc::ptr_eq(&plain_schema(&schema), &schema));
    }

    #[test]
    fn dictionaries_become_their_values() {
        let words: DictionaryArray<Int8Type> = ["a", "b", "a"].into_iter().collect();
        let batch = RecordBatch::try_from_iter([("w", Arc::new(words) as _)]).unwrap();
        let schema = plain_schema(&batch.schema());
        let batch = conform(&batch, &schema).unwrap();
        let words = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(words, &StringArray::from(vec!["a", "b", "a"]));
        assert_eq!(words.data_type(), schema.field(0).data_type());
    }
}
