//! Time travel: Delta tables at the version that a reference asks for.

use std::sync::Arc;

use boathouse_catalog::{Format, Table};
use datafusion::catalog::TableProvider;
use datafusion::execution::session_state::SessionState;
use url::Url;

use super::{Changes, DeltaSnapshot, LakeTable, storage};
use crate::history::version_of;
use crate::parse::AsOf;
use crate::session::Session;
use crate::stores::{folder_url, location_url};
use crate::{Error, Result};

/// The table of the catalog, or the folder that `name` is where it's none, at the version that
/// is wanted, or its changes.
pub(crate) async fn delta_at(
    session: &Session,
    state: &SessionState,
    name: &str,
    table: Option<&Table>,
    wanted: &AsOf,
) -> Result<Arc<dyn TableProvider>> {
    let url = match table {
        Some(table) => delta_url(session, table, "versions").await?,
        None => folder_url(location_url(name)?),
    };
    open(session, state, name, &url, wanted)
        .await
        .map_err(|error| error.about(format!("table \"{name}\"")))
}

async fn open(
    session: &Session,
    state: &SessionState,
    name: &str,
    url: &Url,
    wanted: &AsOf,
) -> Result<Arc<dyn TableProvider>> {
    let shared = session.engine.shared();
    let newest = shared.delta_tables.newest(shared, url).await?;
    if let AsOf::Changes(bounds) = wanted {
        return Ok(Arc::new(Changes::open(session, state, name, newest, bounds).await?));
    }
    let version = version_of(shared, state, &newest, wanted).await?;
    let snapshot = shared.delta_tables.at(shared, &newest, version).await?;
    Ok(Arc::new(LakeTable::of_snapshot(session, name.to_owned(), snapshot).await?))
}

/// The newest version of a table of the catalog that is a Delta table; `what` others don't have.
pub(crate) async fn delta_table(
    session: &Session,
    table: &Table,
    what: &str,
) -> Result<Arc<DeltaSnapshot>> {
    let url = delta_url(session, table, what).await?;
    let shared = session.engine.shared();
    shared
        .delta_tables
        .newest(shared, &url)
        .await
        .map_err(|error| error.about(format!("table \"{}\"", table.name)))
}

async fn delta_url(session: &Session, table: &Table, what: &str) -> Result<Url> {
    let name = &table.name;
    if table.spec.view.is_some() {
        return Err(Error::invalid(format!("\"{name}\" is a view, which has no {what}"))
            .with_hint("Name the tables that the view reads."));
    }
    let (format, url) = storage::find(&session.engine.shared().stores, table).await?;
    if format != Format::Delta {
        let format = format.as_str().to_uppercase();
        return Err(Error::unsupported(format!("{what} of \"{name}\", a table of {format} files"))
            .with_hint("Delta tables have them: CONVERT TO DELTA, or CREATE TABLE … AS SELECT."));
    }
    Ok(folder_url(url))
}
