//! The catalog's record of a Delta table, as the table's log has it.

use std::collections::BTreeMap;

use arrow::datatypes::Field;
use boathouse_catalog::{Column, TableName, TableSpec, Update};
use url::Url;

use crate::engine::Shared;
use crate::scan::DeltaSnapshot;
use crate::types::type_string;
use crate::{Error, ErrorKind, Result};

/// Attempts at a record that others change too.
const ATTEMPTS: usize = 20;

/// Brings columns, comment and properties of `name` in the catalog to what the newest version of
/// the log at `url` says. To be called after each commit that changed one of these; calling it
/// again changes nothing.
///
/// Properties that the log doesn't have stay, unless they are Delta's own: a Glue client may have
/// put them there.
pub(crate) async fn follow(shared: &Shared, name: &TableName, url: &Url) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let table = shared.catalog.table(name).await?;
        let newest = shared.delta_tables.newest(shared, url).await?;
        let spec = followed(&table.spec, &newest)?;
        if spec == table.spec {
            return Ok(());
        }
        if let Update::Done(_) = shared.catalog.update_table(&table, spec).await? {
            return Ok(());
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("table \"{name}\" is changed by others in the catalog again and again"),
    )
    .with_hint(format!("Its data is committed; REFRESH TABLE {name} brings its columns along.")))
}

fn followed(spec: &TableSpec, newest: &DeltaSnapshot) -> Result<TableSpec> {
    let metadata = newest.table.snapshot()?.metadata();
    let keys = &newest.partition_columns;
    let fields = newest.schema.fields();
    let columns = fields.iter().filter(|field| !keys.contains(field.name()));
    let mut next = spec.clone();
    next.columns = columns.map(|field| column(field)).collect::<Result<_>>()?;
    next.partition_keys = keys
        .iter()
        .map(|key| column(newest.schema.field_with_name(key)?))
        .collect::<Result<_>>()?;
    next.comment = metadata.description().map(str::to_owned).or(next.comment);
    next.parameters = parameters(&spec.parameters, metadata.configuration());
    Ok(next)
}

fn column(field: &Field) -> Result<Column> {
    Ok(Column {
        name: field.name().clone(),
        data_type: type_string(field.data_type())
            .map_err(|error| error.about(format!("column \"{}\"", field.name())))?,
        nullable: field.is_nullable(),
        comment: field.metadata().get("comment").cloned(),
    })
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
