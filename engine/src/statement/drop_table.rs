//! DROP TABLE.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use boathouse_catalog::{Error as CatalogError, Table, TableName, TableType};
use datafusion::sql::sqlparser::ast::ObjectName;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use url::Url;

use super::{Command, command};
use crate::parse::name_parts;
use crate::query::Plan;
use crate::session::Session;
use crate::stores::store_path;
use crate::{Error, Result};

struct DropTables {
    names: Vec<TableName>,
    if_exists: bool,
}

pub(super) fn plan(session: &Session, names: &[ObjectName], if_exists: bool) -> Result<Plan> {
    let names = names
        .iter()
        .map(|name| session.table_name(&name_parts(name)))
        .collect::<Result<Vec<_>>>()?;
    Ok(command(DropTables { names, if_exists }))
}

#[async_trait(?Send)]
impl Command for DropTables {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        for name in &self.names {
            let table = match session.catalog().table(name).await {
                Ok(table) => table,
                Err(CatalogError::NotFound { .. }) if self.if_exists => continue,
                Err(error) => {
                    return Err(crate::resolve::not_found(session, name, error.into()).await);
                }
            };
            if table.spec.table_type == TableType::View {
                return Err(Error::invalid(format!("\"{name}\" is a view"))
                    .with_hint(format!("Use DROP VIEW {name}.")));
            }
            session.catalog().drop_table(name).await?;
            remove_data(session, &table).await;
        }
        Ok(Vec::new())
    }
}

/// Removes the files of a managed table that the catalog no longer has. What can't be removed
/// stays, unused; the table is gone all the same.
pub(super) async fn remove_data(session: &Session, table: &Table) {
    if table.spec.table_type != TableType::Managed {
        return;
    }
    let location = table.spec.location.as_deref().unwrap_or_default();
    match Url::parse(location) {
        Ok(location) => remove_location(session, &location).await,
        Err(error) => tracing::warn!(table = %table.name, location, %error, "no location"),
    }
}

/// Removes all files under a managed table's own folder.
pub(super) async fn remove_location(session: &Session, location: &Url) {
    if let Err(error) = remove_folder(session, location).await {
        tracing::warn!(%location, %error, "the files of a table that is gone stay behind");
    }
}

async fn remove_folder(session: &Session, url: &Url) -> Result<()> {
    let shared = session.engine.shared();
    shared.delta_tables.forget(url);
    let store = shared.stores.store(url)?;
    let prefix = store_path(url)?;
    let paths = store.list(Some(&prefix)).map_ok(|meta| meta.location).boxed();
    store.delete_stream(paths).try_for_each(|_| async { Ok(()) }).await?;
    if let Ok(folder) = url.to_file_path() {
        // Only empty folders are left; object stores have none.
        let _ = tokio::fs::remove_dir_all(folder).await;
    }
    Ok(())
}
