//! Columns, and rows turned into batches of them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::BATCH_ROWS;

pub(super) type Batches = Box<dyn Iterator<Item = RecordBatch> + Send>;

/// A column's name, type and meaning.
pub(super) struct Column {
    name: &'static str,
    kind: Kind,
    nullable: bool,
    comment: &'static str,
}

#[derive(Clone, Copy)]
enum Kind {
    Flag,
    Small,
    Whole,
    Text,
    Texts,
    Instant,
}

impl Column {
    const fn new(name: &'static str, kind: Kind, comment: &'static str) -> Self {
        Self { name, kind, nullable: false, comment }
    }

    pub(super) const fn flag(name: &'static str, comment: &'static str) -> Self {
        Self::new(name, Kind::Flag, comment)
    }

    pub(super) const fn small(name: &'static str, comment: &'static str) -> Self {
        Self::new(name, Kind::Small, comment)
    }

    pub(super) const fn whole(name: &'static str, comment: &'static str) -> Self {
        Self::new(name, Kind::Whole, comment)
    }

    pub(super) const fn text(name: &'static str, comment: &'static str) -> Self {
        Self::new(name, Kind::Text, comment)
    }

    pub(super) const fn texts(name: &'static str, comment: &'static str) -> Self {
        Self::new(name, Kind::Texts, comment)
    }

    pub(super) const fn instant(name: &'static str, comment: &'static str) -> Self {
        Self::new(name, Kind::Instant, comment)
    }

    pub(super) const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    fn field(&self) -> Field {
        let data_type = match self.kind {
            Kind::Flag => DataType::Boolean,
            Kind::Small => DataType::Int32,
            Kind::Whole => DataType::Int64,
            Kind::Text => DataType::Utf8,
            Kind::Texts => DataType::List(item()),
            Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        };
        let comment = HashMap::from([("comment".to_owned(), self.comment.to_owned())]);
        Field::new(self.name, data_type, self.nullable).with_metadata(comment)
    }
}

const UTC: &str = "UTC";

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Utf8, true))
}

pub(super) fn schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()))
}

/// Batches of [`BATCH_ROWS`] rows, the last one shorter.
///
/// `step` adds any number of rows and says whether there may be more. No more rows are kept
/// than one batch and one step have.
pub(super) fn batches<T: Send + 'static>(
    schema: SchemaRef,
    mut step: impl FnMut(&mut Vec<T>) -> bool + Send + 'static,
    columns: impl Fn(&[T]) -> Vec<ArrayRef> + Send + 'static,
) -> Batches {
    let mut rows = Vec::with_capacity(BATCH_ROWS);
    let mut more = true;
    Box::new(std::iter::from_fn(move || {
        while more && rows.len() < BATCH_ROWS {
            more = step(&mut rows);
        }
        if rows.is_empty() {
            return None;
        }
        let full = rows.len().min(BATCH_ROWS);
        let batch = RecordBatch::try_new(schema.clone(), columns(&rows[..full]))
            .expect("each table makes the columns that its schema names");
        rows.drain(..full);
        Some(batch)
    }))
}

pub(super) fn flags<T>(rows: &[T], of: impl Fn(&T) -> bool) -> ArrayRef {
    Arc::new(BooleanArray::from(rows.iter().map(of).collect::<Vec<_>>()))
}

pub(super) fn smalls<T>(rows: &[T], of: impl Fn(&T) -> i32) -> ArrayRef {
    Arc::new(Int32Array::from(rows.iter().map(of).collect::<Vec<_>>()))
}

pub(super) fn optional_smalls<T>(rows: &[T], of: impl Fn(&T) -> Option<i32>) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<Int32Array>())
}

pub(super) fn wholes<T>(rows: &[T], of: impl Fn(&T) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from(rows.iter().map(of).collect::<Vec<_>>()))
}

pub(super) fn instants<T>(rows: &[T], of: impl Fn(&T) -> i64) -> ArrayRef {
    let values = rows.iter().map(of).collect::<Vec<_>>();
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone(UTC))
}

pub(super) fn texts<'a, T>(rows: &'a [T], of: impl Fn(&'a T) -> &'a str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
}

pub(super) fn optional_texts<'a, T>(
    rows: &'a [T],
    of: impl Fn(&'a T) -> Option<&'a str>,
) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<StringArray>())
}

pub(super) fn text_lists<'a, T>(rows: &'a [T], of: impl Fn(&'a T) -> &'a [&'a str]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item());
    for row in rows {
        for text in of(row) {
            lists.values().append_value(text);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}
