//! Checkpoints: made by the commit that is due for one, so that the log stays short to read.

use std::sync::Weak;
use std::time::Duration;

use deltalake::DeltaTable;
use deltalake::checkpoints::{cleanup_metadata, create_checkpoint};
use deltalake::kernel::Version;
use deltalake::table::config::TablePropertiesExt as _;
use url::Url;

use crate::Result;
use crate::scan::DeltaTables;

/// A checkpoint that takes longer is left to the next commit that is due.
const TIME_MAX: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 4;

/// Makes a checkpoint after `version` was committed, where the table's interval says so. The
/// commit is done whether or not it succeeds.
pub(super) async fn make_if_due(tables: &Weak<DeltaTables>, url: &Url, version: Version) {
    let Some(table) = tables.upgrade().and_then(|tables| tables.table(url)) else { return };
    let Some(interval) = interval(&table) else { return };
    if !(version + 1).is_multiple_of(interval) {
        return;
    }
    match tokio::time::timeout(TIME_MAX, make_at_last(&table, version)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%url, version, %error, "no checkpoint"),
        Err(_) => tracing::warn!(%url, version, "no checkpoint: it took too long"),
    }
}

/// It reads much and writes much: a request or two may fail.
async fn make_at_last(table: &DeltaTable, version: Version) -> Result<()> {
    for _ in 1..ATTEMPTS {
        if make(table.clone(), version).await.is_ok() {
            return Ok(());
        }
    }
    make(table.clone(), version).await
}

fn interval(table: &DeltaTable) -> Option<u64> {
    Some(table.snapshot().ok()?.table_config().checkpoint_interval().get())
}

async fn make(mut table: DeltaTable, version: Version) -> Result<()> {
    if table.version() < Some(version) {
        table.update_incremental(Some(version)).await?;
    }
    create_checkpoint(&table, None).await?;
    if table.snapshot()?.table_config().enable_expired_log_cleanup() {
        cleanup_metadata(&table, None).await?;
    }
    Ok(())
}
