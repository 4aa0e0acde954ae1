//! Checkpoints: made by the commit that is due for one, so that the log stays short to read.

use std::sync::Weak;
use std::time::Duration;

use deltalake::checkpoints::{cleanup_metadata, create_checkpoint};
use deltalake::kernel::Version;
use deltalake::table::config::TablePropertiesExt as _;
use url::Url;

use crate::Result;
use crate::scan::{DeltaSnapshot, DeltaTables};

/// A checkpoint that takes longer is left to the next commit that is due.
const TIME_MAX: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 4;

/// Commits between two checkpoints, where the table doesn't say.
const INTERVAL: u64 = 100;

/// Makes a checkpoint after `version` was committed, where the table's interval says so. The
/// commit is done whether or not it succeeds.
pub(super) async fn make_if_due(tables: &Weak<DeltaTables>, url: &Url, version: Version) {
    let Some(last) = tables.upgrade().and_then(|tables| tables.last(url)) else { return };
    if !(version + 1).is_multiple_of(interval(&last)) {
        return;
    }
    match tokio::time::timeout(TIME_MAX, make_at_last(&last, version)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%url, version, %error, "no checkpoint"),
        Err(_) => tracing::warn!(%url, version, "no checkpoint: it took too long"),
    }
}

/// It reads much and writes much: a request or two may fail.
async fn make_at_last(last: &DeltaSnapshot, version: Version) -> Result<()> {
    for _ in 1..ATTEMPTS {
        if make(last, version).await.is_ok() {
            return Ok(());
        }
    }
    make(last, version).await
}

fn interval(last: &DeltaSnapshot) -> u64 {
    let property = last.metadata().configuration().get("delta.checkpointInterval");
    let given = property.and_then(|text| text.parse().ok()).filter(|interval| *interval > 0);
    given.unwrap_or(INTERVAL)
}

async fn make(last: &DeltaSnapshot, version: Version) -> Result<()> {
    let mut table = last.table().await?.clone();
    if table.version() < Some(version) {
        table.update_incremental(Some(version)).await?;
    }
    create_checkpoint(&table, None).await?;
    if table.snapshot()?.table_config().enable_expired_log_cleanup() {
        cleanup_metadata(&table, None).await?;
    }
    Ok(())
}
