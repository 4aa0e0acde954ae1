//! Compaction after a write, in the background: of tables that ask for it with a property.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use url::Url;

use super::{Wish, compact, small_files};
use crate::engine::Engine;
use crate::scan::DeltaSnapshot;
use crate::{ErrorKind, Result};

const ENABLED: &str = "delta.autoOptimize.autoCompact";
const MINIMUM: &str = "boathouse.autoCompact.minNumFiles";
const MINIMUM_DEFAULT: usize = 50;
/// Tables that wait for their turn; a table that finds no place has it at its next write.
const WAITING_MAX: usize = 64;

/// The compactions of an engine: one runs at a time.
pub(crate) struct AutoCompaction {
    turn: Arc<Semaphore>,
    waiting: Mutex<HashSet<Url>>,
}

impl Default for AutoCompaction {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), waiting: Mutex::default() }
    }
}

impl AutoCompaction {
    /// Whether the table has a place now, and had none.
    fn enter(&self, url: &Url) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING_MAX && !waiting.contains(url) {
            tracing::warn!(%url, "too many tables wait for compaction");
            return false;
        }
        waiting.insert(url.clone())
    }

    fn leave(&self, url: &Url) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(url);
    }
}

/// Has the table of `snapshot` compacted later, if it wants that and has many small files. The
/// writer doesn't wait.
pub(crate) fn after_write(engine: &Engine, snapshot: &DeltaSnapshot) {
    let Some(minimum) = minimum(snapshot) else { return };
    let shared = engine.shared();
    if !shared.compactions.enter(&snapshot.url) {
        return;
    }
    let turn = shared.compactions.turn.clone();
    let (engine, url) = (engine.clone(), snapshot.url.clone());
    shared.queries.spawn(async move {
        let _turn = turn.acquire_owned().await;
        engine.shared().compactions.leave(&url);
        let (worker, location) = (engine.clone(), url.clone());
        let work =
            engine.on_own_thread(move || async move { run(&worker, &location, minimum).await });
        match work.await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Conflict => {
                tracing::debug!(%url, %error, "another writer came first: not compacted");
            }
            Err(error) => tracing::warn!(%url, %error, "the table was not compacted"),
        }
    });
}

/// How many small files make it worth while; `None` where the table doesn't want it.
fn minimum(snapshot: &DeltaSnapshot) -> Option<usize> {
    let properties = snapshot.metadata().configuration();
    let wanted = properties.get(ENABLED)?.to_ascii_lowercase();
    if wanted != "true" && wanted != "auto" {
        return None;
    }
    let minimum = properties.get(MINIMUM).and_then(|text| text.parse().ok());
    Some(minimum.unwrap_or(MINIMUM_DEFAULT).max(2))
}

async fn run(engine: &Engine, url: &Url, minimum: usize) -> Result<()> {
    let shared = engine.shared();
    let delta = shared.delta_tables.newest(shared, url).await?;
    if small_files(&delta).await? < minimum {
        return Ok(());
    }
    let done = compact(&engine.session(), url.as_str(), delta, &Wish::default()).await?;
    let (removed, added) = (done.removed.0, done.added.0);
    tracing::info!(%url, version = done.version, removed, added, "compacted");
    Ok(())
}
