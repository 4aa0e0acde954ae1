//! One log entry put under its name if nobody has it, and what became of it.
//!
//! A store may apply a request and answer with a failure, or not at all; and a client that sends
//! the request again then hears that the entry is there already. So no answer but success is
//! believed: the entry that is there says whose it is.

use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

/// How long one entry is worked on.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    attempts: u32,
    /// Of all attempts together.
    time: Duration,
    /// After the first attempt; twice as long after each, up to `pause_max`.
    pause: Duration,
    pause_max: Duration,
}

pub(super) const LIMITS: Limits = Limits {
    attempts: 10,
    time: Duration::from_secs(60),
    pause: Duration::from_millis(50),
    pause_max: Duration::from_secs(5),
};

/// How long the read may take that has the last word.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// Who wrote the entry that is there now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    Ours,
    Theirs,
}

/// Why there is no entry of ours that is known of.
#[derive(Debug)]
pub(super) enum Unsettled {
    /// The store won't take it: it isn't there, and won't be.
    Refused(object_store::Error),
    /// It may be there, now or later.
    Unknown(object_store::Error),
}

/// Puts `bytes`, which must be unlike those of any other writer, at `path` if nothing is there.
pub(super) async fn settle(
    store: &dyn ObjectStore,
    path: &Path,
    bytes: &Bytes,
    limits: Limits,
) -> Result<Settled, Unsettled> {
    let deadline = Instant::now() + limits.time;
    let mut in_doubt = false;
    let mut failure = None;
    for attempt in 0..limits.attempts {
        let error = match timeout_at(deadline, put_new(store, path, bytes)).await {
            Ok(Ok(())) => return Ok(Settled::Ours),
            Ok(Err(error)) => error,
            Err(_) => break,
        };
        let refused = is_refused(&error);
        if refused && !in_doubt {
            return Err(Unsettled::Refused(error));
        }
        in_doubt = true;
        if let Ok(Ok(Some(settled))) = timeout_at(deadline, look(store, path, bytes)).await {
            return Ok(settled);
        }
        failure = Some(error);
        if refused || timeout_at(deadline, sleep(limits.pause(attempt))).await.is_err() {
            break;
        }
    }
    // The last request may be on its way still, so that an entry that isn't there proves nothing.
    match timeout(LAST_LOOK, look(store, path, bytes)).await {
        Ok(Ok(Some(settled))) => Ok(settled),
        _ => Err(Unsettled::Unknown(failure.unwrap_or_else(no_answer))),
    }
}

pub(super) async fn put_new(
    store: &dyn ObjectStore,
    path: &Path,
    bytes: &Bytes,
) -> object_store::Result<()> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(path, bytes.clone().into(), options).await.map(|_| ())
}

/// Whose entry is at `path`, if there is one.
async fn look(
    store: &dyn ObjectStore,
    path: &Path,
    bytes: &Bytes,
) -> object_store::Result<Option<Settled>> {
    let found = match store.get(path).await {
        Ok(found) => found.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(if found == bytes { Settled::Ours } else { Settled::Theirs }))
}

/// Whether the store, or the disk, certainly did nothing and would do nothing the next time.
fn is_refused(error: &object_store::Error) -> bool {
    use object_store::Error as E;
    use std::io::ErrorKind as Io;
    match error {
        E::PermissionDenied { .. }
        | E::Unauthenticated { .. }
        | E::NotFound { .. }
        | E::NotSupported { .. }
        | E::NotImplemented { .. }
        | E::InvalidPath { .. }
        | E::UnknownConfigurationKey { .. } => true,
        _ => matches!(
            io_kind(error),
            Some(
                Io::StorageFull
                    | Io::QuotaExceeded
                    | Io::PermissionDenied
                    | Io::ReadOnlyFilesystem
                    | Io::NotADirectory
                    | Io::InvalidFilename
            )
        ),
    }
}

fn io_kind(error: &object_store::Error) -> Option<std::io::ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

impl Limits {
    /// More or less by chance, so that writers don't meet again.
    fn pause(&self, attempt: u32) -> Duration {
        let longest = self.pause.saturating_mul(1 << attempt.min(16)).min(self.pause_max);
        longest / 2 + random_below(longest / 2)
    }
}

/// Some time shorter than `limit`.
pub(super) fn random_below(limit: Duration) -> Duration {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    limit.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
}

fn no_answer() -> object_store::Error {
    object_store::Error::Generic { store: "log", source: "it didn't answer in time".into() }
}

#[cfg(test)]
pub(super) mod tests;
