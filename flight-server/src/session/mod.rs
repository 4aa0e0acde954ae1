//! What the server knows about a client between two calls.

mod handles;
pub(crate) mod identity;
mod registry;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boathouse_engine as engine;
use tokio::sync::watch;
use tonic::Status;

use crate::service::{Prepared, Statement};
pub(crate) use handles::Handles;
pub(crate) use registry::{SessionLimits, Sessions};

/// One client's session: its engine session, its tickets and its prepared statements.
///
/// It ends once, and then everything that runs in it ends too.
pub(crate) struct Session {
    /// Database and settings.
    pub(crate) engine: engine::Session,
    /// What `DoGet` may fetch.
    pub(crate) tickets: Handles<Statement>,
    /// What may be executed again.
    pub(crate) prepared: Handles<Prepared>,
    token: String,
    roams: AtomicBool,
    activity: Mutex<Activity>,
    end: watch::Sender<Option<End>>,
}

struct Activity {
    running: usize,
    last: Instant,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its client closed it, or its connection is gone.
    Closed,
    /// It was idle for too long.
    Expired,
    /// A new session needed its place.
    Evicted,
    /// The server stops.
    ShuttingDown,
}

impl End {
    fn status(self) -> Status {
        match self {
            End::Closed => Status::cancelled("the session was closed"),
            End::Expired => Status::unauthenticated("the session has expired"),
            End::Evicted => {
                Status::unauthenticated("the session was closed to make room for others")
            }
            End::ShuttingDown => Status::unavailable("the server is shutting down"),
        }
    }
}

impl Session {
    fn new(engine: engine::Session, limits: &SessionLimits) -> Self {
        Self {
            engine,
            tickets: Handles::new("ticket", limits.tickets, limits.ticket_lifetime),
            prepared: Handles::new("prepared statement", limits.prepared, limits.idle_timeout),
            token: new_token(),
            roams: AtomicBool::new(false),
            activity: Mutex::new(Activity { running: 0, last: Instant::now() }),
            end: watch::Sender::new(None),
        }
    }

    /// The secret that names this session.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Marks the session as busy until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Busy {
        self.activity().running += 1;
        Busy(Arc::clone(self))
    }

    /// Waits until the session ends; the status says why.
    pub(crate) async fn ended(&self) -> Status {
        let mut end = self.end.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        match end.wait_for(Option::is_some).await.ok().and_then(|end| *end) {
            Some(end) => end.status(),
            None => End::Closed.status(),
        }
    }

    /// Does `work`, unless the session ends first.
    pub(crate) async fn unless_ended<T>(
        &self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        tokio::select! {
            biased;
            status = self.ended() => Err(status),
            outcome = work => outcome,
        }
    }

    /// Whether the session lives on when its connection is gone: a token or cookie names it.
    fn roams(&self) -> bool {
        self.roams.load(Ordering::Relaxed)
    }

    fn let_roam(&self) {
        self.roams.store(true, Ordering::Relaxed);
    }

    fn finish(&self, end: End) {
        self.end.send_if_modified(|ended| match ended {
            Some(_) => false,
            None => {
                *ended = Some(end);
                true
            }
        });
        self.tickets.clear();
        self.prepared.clear();
    }

    /// How long nothing has run; `None` while something does.
    fn idle(&self, now: Instant) -> Option<Duration> {
        let activity = self.activity();
        (activity.running == 0).then(|| now.duration_since(activity.last))
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        // A panic cannot leave half a change here.
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a session from counting as idle.
pub(crate) struct Busy(Arc<Session>);

impl Busy {
    /// The session.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut activity = self.0.activity();
        activity.running -= 1;
        activity.last = Instant::now();
    }
}

/// Two random UUIDs: 244 random bits.
fn new_token() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}
