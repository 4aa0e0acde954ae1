//! Column mapping: the names that a table's columns have in its files, which stay as they are
//! while columns are renamed and dropped.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use deltalake::kernel::{DataType as DeltaType, Metadata, MetadataValue, StructField, StructType};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::scan::columns::{MappedField, MappedFields};
use crate::{Error, Result};

const MODE: &str = "delta.columnMapping.mode";
const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";
const ID: &str = "delta.columnMapping.id";

/// How the table's columns are called in its files, where that isn't as they are in the table.
pub(super) fn mapping(
    metadata: &Metadata,
    schema: &StructType,
) -> Result<Option<Arc<MappedFields>>> {
    let by_id = match metadata.configuration().get(MODE).map(String::as_str) {
        None | Some("none") => return Ok(None),
        Some("name") => false,
        Some("id") => true,
        Some(other) => {
            return Err(Error::unsupported(format!("the Delta column mapping mode \"{other}\"")));
        }
    };
    let fields = schema.fields().map(mapped_field).collect::<Result<Vec<MappedField>>>()?;
    Ok(Some(Arc::new(MappedFields { by_id, fields })))
}

fn mapped_field(field: &StructField) -> Result<MappedField> {
    let missing = |key: &str| {
        Error::bad_data(format!("the Delta log gives column \"{}\" no {key}", field.name))
    };
    let physical = match field.metadata.get(PHYSICAL_NAME) {
        Some(MetadataValue::String(name)) => name.clone(),
        _ => return Err(missing(PHYSICAL_NAME)),
    };
    let id = match field.metadata.get(ID) {
        Some(MetadataValue::Number(id)) => i32::try_from(*id).map_err(|_| missing(ID))?,
        _ => return Err(missing(ID)),
    };
    let inner = inner(&field.data_type)?;
    Ok(MappedField { name: field.name.clone(), physical, id: Some(id), inner })
}

/// The fields of a struct, the element of a list, or the key and value of a map.
fn inner(data_type: &DeltaType) -> Result<Vec<MappedField>> {
    let part = |name: &str, data_type: &DeltaType| -> Result<MappedField> {
        let inner = inner(data_type)?;
        Ok(MappedField { name: name.to_owned(), physical: name.to_owned(), id: None, inner })
    };
    match data_type {
        DeltaType::Struct(fields) => fields.fields().map(mapped_field).collect(),
        DeltaType::Array(array) => Ok(vec![part("element", array.element_type())?]),
        DeltaType::Map(map) => {
            Ok(vec![part("key", map.key_type())?, part("value", map.value_type())?])
        }
        _ => Ok(Vec::new()),
    }
}

/// The schema that files of the table are written with.
pub(super) fn physical_schema(schema: &Schema, mapping: &MappedFields) -> Result<SchemaRef> {
    Ok(Arc::new(Schema::new(physical_fields(schema.fields(), &mapping.fields)?)))
}

fn physical_fields(fields: &Fields, mapped: &[MappedField]) -> Result<Fields> {
    fields
        .iter()
        .map(|field| {
            let mapped = mapped.iter().find(|mapped| &mapped.name == field.name());
            let mapped = mapped.ok_or_else(|| {
                Error::internal(format!("column \"{}\" has no physical name", field.name()))
            })?;
            physical_field(field, mapped).map(Arc::new)
        })
        .collect()
}

fn physical_field(field: &Field, mapped: &MappedField) -> Result<Field> {
    let data_type = match (field.data_type(), mapped.inner.as_slice()) {
        (DataType::Struct(fields), inner) => DataType::Struct(physical_fields(fields, inner)?),
        (DataType::List(element), [inner]) => {
            DataType::List(Arc::new(physical_field(element, inner)?))
        }
        (DataType::Map(entries, sorted), [key, value]) => {
            DataType::Map(physical_entries(entries, key, value)?, *sorted)
        }
        (other, _) => other.clone(),
    };
    let id = mapped.id.map(|id| (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string()));
    let physical = Field::new(&mapped.physical, data_type, field.is_nullable());
    Ok(physical.with_metadata(id.into_iter().collect()))
}

fn physical_entries(entries: &Field, key: &MappedField, value: &MappedField) -> Result<FieldRef> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(Error::internal("a map without entries"));
    };
    let parts = [key, value];
    let fields = fields.iter().zip(parts).map(|(field, mapped)| {
        let physical = physical_field(field, mapped)?;
        Ok(Arc::new(physical.with_name(field.name())))
    });
    let data_type = DataType::Struct(fields.collect::<Result<Fields>>()?);
    Ok(Arc::new(entries.clone().with_data_type(data_type)))
}
