//! Column mapping: names in files that stay when columns are renamed and dropped.

use deltalake::kernel::{
    ArrayType, ColumnMetadataKey as Key, DataType, MapType, MetadataValue, StructField, StructType,
};
use uuid::Uuid;

use super::{Definition, text_of};
use crate::{Error, Result};

pub(super) const PROPERTIES: &str = "delta.columnMapping.";
pub(super) const MODE: &str = "delta.columnMapping.mode";
const MAX_ID: &str = "delta.columnMapping.maxColumnId";

/// The name that a column has in files.
pub(super) fn physical_name(column: &StructField) -> String {
    text_of(column, Key::ColumnMappingPhysicalName.as_ref()).unwrap_or_else(|| column.name.clone())
}

impl Definition {
    /// Whether names in files are the columns' own.
    pub(crate) fn is_mapped(&self) -> bool {
        self.properties.get(MODE).is_some_and(|mode| mode != "none")
    }

    /// Lets columns be renamed and dropped without a change of files. The columns that are there
    /// keep their names in files.
    pub(crate) fn map_columns(&mut self) -> Result<()> {
        if self.is_mapped() {
            return Ok(());
        }
        self.properties.insert(MODE.to_owned(), "name".to_owned());
        let mut next = 0;
        let columns = std::mem::take(&mut self.columns);
        self.columns = columns
            .into_iter()
            .map(|column| mapped(column, &mut next, &|name| name.to_owned()))
            .collect::<Result<_>>()?;
        self.properties.insert(MAX_ID.to_owned(), next.to_string());
        Ok(())
    }

    /// A new column, which gets a name in files of its own if the others have one.
    pub(crate) fn add_column(&mut self, column: StructField) -> Result<()> {
        if !self.is_mapped() {
            self.columns.push(column);
            return Ok(());
        }
        let last = self.properties.get(MAX_ID).and_then(|text| text.parse().ok());
        let mut next = last.unwrap_or_else(|| self.largest_id());
        self.columns.push(mapped(column, &mut next, &|_| format!("col-{}", Uuid::new_v4()))?);
        self.properties.insert(MAX_ID.to_owned(), next.to_string());
        Ok(())
    }

    fn largest_id(&self) -> i64 {
        self.columns.iter().map(largest_id).max().unwrap_or(0)
    }
}

/// Takes id and name in files away, from the columns within it too.
pub(super) fn unmap(column: &mut StructField) -> Result<()> {
    column.metadata.retain(|key, _| !key.starts_with(PROPERTIES));
    column.data_type = with_fields(column.data_type.clone(), &mut |mut field| {
        unmap(&mut field)?;
        Ok(field)
    })?;
    Ok(())
}

fn largest_id(column: &StructField) -> i64 {
    let own = match column.metadata.get(Key::ColumnMappingId.as_ref()) {
        Some(MetadataValue::Number(id)) => *id,
        _ => 0,
    };
    own.max(largest_within(&column.data_type))
}

fn largest_within(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Struct(inner) => inner.fields().map(largest_id).max().unwrap_or(0),
        DataType::Array(inner) => largest_within(inner.element_type()),
        DataType::Map(inner) => {
            largest_within(inner.key_type()).max(largest_within(inner.value_type()))
        }
        _ => 0,
    }
}

/// The column with an id and a name in files, and so all columns within it.
fn mapped(
    mut column: StructField,
    next: &mut i64,
    name: &dyn Fn(&str) -> String,
) -> Result<StructField> {
    *next += 1;
    let id = MetadataValue::Number(*next);
    column.metadata.insert(Key::ColumnMappingId.as_ref().to_owned(), id);
    let physical = MetadataValue::String(name(&column.name));
    column.metadata.insert(Key::ColumnMappingPhysicalName.as_ref().to_owned(), physical);
    column.data_type = with_fields(column.data_type, &mut |field| mapped(field, next, name))?;
    Ok(column)
}

/// The type with `change` made to the columns of the structs in it.
fn with_fields(
    data_type: DataType,
    change: &mut dyn FnMut(StructField) -> Result<StructField>,
) -> Result<DataType> {
    Ok(match data_type {
        DataType::Struct(inner) => {
            let fields = inner.into_fields().map(change).collect::<Result<Vec<_>>>()?;
            let inner =
                StructType::try_new(fields).map_err(|error| Error::invalid(error.to_string()))?;
            DataType::Struct(Box::new(inner))
        }
        DataType::Array(inner) => {
            let element = with_fields(inner.element_type().clone(), change)?;
            ArrayType::new(element, inner.contains_null()).into()
        }
        DataType::Map(inner) => {
            let key = with_fields(inner.key_type().clone(), change)?;
            let value = with_fields(inner.value_type().clone(), change)?;
            MapType::new(key, value, inner.value_contains_null()).into()
        }
        other => other,
    })
}
