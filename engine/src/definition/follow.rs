//! The catalog's record of a Delta table, kept as its log says.

use std::collections::BTreeMap;

use boathouse_catalog::{Table, Update};

use super::Definition;
use crate::engine::Shared;
use crate::scan::DeltaSnapshot;
use crate::types::type_string;
use crate::{Error, ErrorKind, Result};

/// Attempts at a change of the record while others change it too.
const ATTEMPTS: usize = 20;

/// Makes the catalog say of `table` what `snapshot` does: columns and keys, and what has changed of
/// comment and properties since `before`. Properties that the log doesn't have stay, unless they are
/// Delta's own: a Glue client may have put them there. A query reads the log, so that a record that lags behind
/// (somebody else's commit, a crash) misleads no reader.
pub(crate) async fn follow(
    shared: &Shared,
    table: &Table,
    snapshot: &DeltaSnapshot,
    before: Option<&Definition>,
) -> Result<()> {
    let definition = Definition::of(shared, snapshot).await?;
    let mut current = table.clone();
    for _ in 0..ATTEMPTS {
        let mut spec = current.spec.clone();
        let (keys, columns) = columns(&definition, snapshot)?;
        spec.columns = columns;
        spec.partition_keys = keys;
        match before {
            Some(before) if before.comment == definition.comment => {}
            Some(_) => spec.comment = definition.comment.clone(),
            None => spec.comment = definition.comment.clone().or(spec.comment),
        }
        if let Some(before) = before {
            spec.parameters.retain(|key, _| !before.properties.contains_key(key));
        }
        spec.parameters = parameters(&spec.parameters, &definition.properties);
        if spec == current.spec {
            return Ok(());
        }
        match shared.catalog.update_table(&current, spec).await? {
            Update::Done(_) => return Ok(()),
            Update::Conflict { .. } => {
                current = shared.catalog.table(&current.name).await?;
                if current.id != table.id {
                    return Ok(());
                }
            }
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("table \"{}\" was changed, and others kept changing its record", table.name),
    )
    .with_hint("Run REFRESH TABLE to have the catalog show the change."))
}

type Columns = Vec<boathouse_catalog::Column>;

/// The keys and the other columns.
fn columns(definition: &Definition, snapshot: &DeltaSnapshot) -> Result<(Columns, Columns)> {
    let column = |field: &arrow::datatypes::Field| -> Result<boathouse_catalog::Column> {
        Ok(boathouse_catalog::Column {
            name: field.name().clone(),
            data_type: type_string(field.data_type())?,
            nullable: field.is_nullable(),
            comment: field.metadata().get("comment").cloned(),
        })
    };
    let keys = definition
        .keys
        .iter()
        .map(|key| column(snapshot.schema.field_with_name(key)?))
        .collect::<Result<Columns>>()?;
    let others = snapshot.schema.fields().iter();
    let others = others
        .filter(|field| !definition.keys.contains(field.name()))
        .map(|field| column(field))
        .collect::<Result<Columns>>()?;
    Ok((keys, others))
}

fn parameters<'a>(
    before: &BTreeMap<String, String>,
    log: impl IntoIterator<Item = (&'a String, &'a String)> + Copy,
) -> BTreeMap<String, String> {
    let mut parameters = before.clone();
    parameters.retain(|key, _| {
        !key.starts_with("delta.") || log.into_iter().any(|(logged, _)| logged == key)
    });
    parameters.extend(log.into_iter().map(|(key, value)| (key.clone(), value.clone())));
    parameters
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_property_of_delta_goes_and_one_of_others_stays() {
        let text = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let before = text(&[("delta.appendOnly", "true"), ("owner", "ana"), ("team", "x")]);
        let log: HashMap<_, _> =
            text(&[("delta.checkpointInterval", "7"), ("team", "y")]).into_iter().collect();
        let after = parameters(&before.into_iter().collect(), &log);
        let wanted = text(&[("delta.checkpointInterval", "7"), ("owner", "ana"), ("team", "y")]);
        assert_eq!(after, wanted.into_iter().collect());
    }
}
