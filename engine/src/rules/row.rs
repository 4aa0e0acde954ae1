//! A row in a message.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Longer rows are cut off.
const CHARACTERS_MAX: usize = 200;

/// `(id: 1, name: NULL)`.
pub(crate) fn shown(batch: &RecordBatch, row: usize) -> String {
    let schema = batch.schema();
    let values = schema.fields().iter().zip(batch.columns());
    let values: Vec<String> =
        values.map(|(field, column)| format!("{}: {}", field.name(), value(column, row))).collect();
    let text = format!("({})", values.join(", "));
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// One value as text.
pub(super) fn value(column: &dyn Array, row: usize) -> String {
    let options = FormatOptions::default().with_null("NULL").with_display_error(true);
    match ArrayFormatter::try_new(column, &options) {
        Ok(formatter) => formatter.value(row).to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// The schema of rows whose values aren't all there yet.
pub(super) fn nullable(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> =
        schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Arc::new(Schema::new(fields))
}
