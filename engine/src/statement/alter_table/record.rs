//! Changes of tables that are no Delta tables: of the catalog's record alone.

use boathouse_catalog::{Column, Format, Table, TableSpec, TableType, Update};

use crate::parse::{ColumnChange, ColumnDefinition, TableChange};
use crate::scan::format_of;
use crate::session::Session;
use crate::statement::declared::arrow_type_of;
use crate::types::type_string;
use crate::{Error, ErrorKind, Result};

pub(super) async fn alter(session: &Session, table: &Table, changes: &[TableChange]) -> Result<()> {
    let mut spec = table.spec.clone();
    for change in changes {
        apply(session, &mut spec, change).await?;
    }
    if spec == table.spec {
        return Ok(());
    }
    match session.catalog().update_table(table, spec).await? {
        Update::Done(_) => Ok(()),
        Update::Conflict { .. } => Err(super::changed_by_others(&table.name)),
    }
}

async fn apply(session: &Session, spec: &mut TableSpec, change: &TableChange) -> Result<()> {
    match change {
        TableChange::SetProperties(properties) => spec.parameters.extend(properties.clone()),
        TableChange::UnsetProperties { if_exists, keys } => {
            for key in keys {
                if spec.parameters.remove(key).is_none() && !if_exists {
                    return Err(Error::new(
                        ErrorKind::NotFound,
                        format!("there is no property \"{key}\""),
                    )
                    .with_hint("Write UNSET TBLPROPERTIES IF EXISTS to skip it."));
                }
            }
        }
        TableChange::Comment(comment) => spec.comment = comment.clone(),
        TableChange::Column { name, change: ColumnChange::Comment(comment) } => {
            column(spec, name)?.comment = comment.clone();
        }
        TableChange::AddColumns { if_not_exists, columns } if has_files(spec) => {
            for column in columns {
                add(session, spec, column, *if_not_exists).await?;
            }
        }
        _ => return Err(refused(spec)),
    }
    Ok(())
}

fn has_files(spec: &TableSpec) -> bool {
    spec.table_type != TableType::View && format_of(spec) != Some(Format::Iceberg)
}

fn column<'a>(spec: &'a mut TableSpec, name: &str) -> Result<&'a mut Column> {
    let mut columns = spec.columns.iter_mut().chain(&mut spec.partition_keys);
    columns.find(|column| column.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("there is no column \"{name}\"")).with_word(name)
    })
}

async fn add(
    session: &Session,
    spec: &mut TableSpec,
    new: &ColumnDefinition,
    if_not_exists: bool,
) -> Result<()> {
    if column(spec, &new.name).is_ok() {
        return match if_not_exists {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("column \"{}\" already exists", new.name),
            )
            .with_hint("Choose another name, or write ADD COLUMN IF NOT EXISTS.")),
        };
    }
    let plain = !new.not_null
        && new.default.is_none()
        && new.generated.is_none()
        && new.identity.is_none()
        && new.constraints.is_empty();
    if !plain {
        return Err(Error::unsupported("rules for columns of tables of files")
            .with_hint("Columns of such a table take a type and COMMENT 'text'."));
    }
    let data_type = type_string(&arrow_type_of(session, &new.data_type).await?)?;
    let comment = new.comment.clone();
    spec.columns.push(Column { name: new.name.clone(), data_type, nullable: true, comment });
    Ok(())
}

fn refused(spec: &TableSpec) -> Error {
    match spec.table_type {
        TableType::View => Error::unsupported("this change of a view")
            .with_hint("Views take RENAME TO, COMMENT and SET TBLPROPERTIES."),
        _ => Error::unsupported("this change of a table that is no Delta table").with_hint(
            "Such tables take ADD COLUMN, RENAME TO, COMMENT and SET TBLPROPERTIES. Make a Delta \
             table of it: CREATE TABLE … AS SELECT.",
        ),
    }
}
