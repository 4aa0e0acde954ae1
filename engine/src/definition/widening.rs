//! Type widening: types that a column may change to, since files of the old one still fit.

use deltalake::kernel::{DataType, MetadataValue, PrimitiveType as P, StructField};
use serde_json::{Value, json};

use super::{Definition, from_json};
use crate::{Error, Result};

pub(super) const TYPE_CHANGES: &str = "delta.typeChanges";
const ENABLED: &str = "delta.enableTypeWidening";

/// Whether every value of `from` is one of `to` as well, by Delta's rules.
fn widens(from: &P, to: &P) -> bool {
    let integer = |of: &P| match of {
        P::Byte => Some(1),
        P::Short => Some(2),
        P::Integer => Some(4),
        P::Long => Some(8),
        _ => None,
    };
    match (from, to) {
        (P::Float, P::Double) | (P::Date, P::TimestampNtz) => true,
        (P::Byte | P::Short | P::Integer, P::Double) => true,
        (P::Byte | P::Short | P::Integer, P::Decimal(decimal)) => {
            decimal.precision().saturating_sub(decimal.scale()) >= 10
        }
        (P::Long, P::Decimal(decimal)) => decimal.precision().saturating_sub(decimal.scale()) >= 20,
        (P::Decimal(old), P::Decimal(new)) => {
            let whole = |d: &deltalake::kernel::DecimalType| d.precision() - d.scale();
            new.scale() >= old.scale() && whole(new) >= whole(old) && old != new
        }
        (from, to) => integer(from).zip(integer(to)).is_some_and(|(from, to)| from < to),
    }
}

impl Definition {
    /// Changes the type of a column to a wider one.
    pub(crate) fn widen(&mut self, name: &str, to: DataType) -> Result<()> {
        let keys = self.keys.clone();
        let column = self.column_mut(name)?;
        if column.data_type == to {
            return Ok(());
        }
        let wider = match (&column.data_type, &to) {
            (DataType::Primitive(from), DataType::Primitive(to)) => widens(from, to),
            _ => false,
        };
        if !wider || keys.contains(&column.name) {
            return Err(not_wider(column, &to));
        }
        note(column, &to)?;
        column.data_type = to;
        self.properties.insert(ENABLED.to_owned(), "true".to_owned());
        Ok(())
    }
}

fn not_wider(column: &StructField, to: &DataType) -> Error {
    Error::unsupported(format!(
        "changing column \"{}\" from {} to {to}",
        column.name, column.data_type
    ))
    .with_hint(
        "Only wider types are possible: a larger integer, double, decimal or timestamp. Make a \
         new table otherwise: CREATE TABLE … AS SELECT CAST(…).",
    )
}

/// Adds the change to what the column's metadata tells of them.
fn note(column: &mut StructField, to: &DataType) -> Result<()> {
    let mut changes = match column.metadata.get(TYPE_CHANGES) {
        Some(MetadataValue::Other(Value::Array(changes))) => changes.clone(),
        _ => Vec::new(),
    };
    changes.push(json!({ "fromType": type_name(&column.data_type)?, "toType": type_name(to)? }));
    let value: MetadataValue = from_json(Value::Array(changes))?;
    column.metadata.insert(TYPE_CHANGES.to_owned(), value);
    Ok(())
}

fn type_name(data_type: &DataType) -> Result<Value> {
    serde_json::to_value(data_type).map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u8, scale: u8) -> P {
        P::decimal(precision, scale).unwrap()
    }

    #[test]
    fn types_widen_one_way() {
        for (from, to) in [
            (P::Byte, P::Long),
            (P::Integer, P::Double),
            (P::Float, P::Double),
            (P::Date, P::TimestampNtz),
            (P::Integer, decimal(10, 0)),
            (P::Long, decimal(20, 0)),
            (decimal(10, 2), decimal(12, 4)),
        ] {
            assert!(widens(&from, &to), "{from} to {to}");
            assert!(!widens(&to, &from), "{to} to {from}");
        }
        assert!(!widens(&P::Long, &P::Double));
        assert!(!widens(&P::Integer, &decimal(10, 2)));
        assert!(!widens(&decimal(10, 2), &decimal(11, 4)));
    }
}
