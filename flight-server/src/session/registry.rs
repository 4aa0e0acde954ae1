//! All sessions: found by token or connection, ended when idle, closed or in the way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boathouse_engine::Engine;
use tonic::Status;

use super::{End, Session};

/// What sessions may hold.
#[derive(Clone, Debug)]
pub(crate) struct SessionLimits {
    /// Sessions at a time.
    pub(crate) sessions: usize,
    /// A session that nothing names for this long ends.
    pub(crate) idle_timeout: Duration,
    /// Tickets of one session.
    pub(crate) tickets: usize,
    /// How long a ticket is valid after its last use.
    pub(crate) ticket_lifetime: Duration,
    /// Prepared statements of one session.
    pub(crate) prepared: usize,
}

/// The sessions of one server.
pub(crate) struct Sessions {
    engine: Engine,
    limits: SessionLimits,
    table: Mutex<Table>,
    draining: AtomicBool,
}

#[derive(Default)]
struct Table {
    by_token: HashMap<String, Arc<Session>>,
    /// The token of each connection that came without one.
    by_connection: HashMap<u64, String>,
}

impl Sessions {
    /// No sessions yet.
    pub(crate) fn new(engine: Engine, limits: SessionLimits) -> Self {
        Self { engine, limits, table: Mutex::default(), draining: AtomicBool::new(false) }
    }

    /// A new session that its token names.
    pub(crate) fn open(&self) -> Result<Arc<Session>, Status> {
        let session = self.insert(&mut self.lock())?;
        session.let_roam();
        Ok(session)
    }

    /// The session that a client names by its token or cookie.
    pub(crate) fn named(&self, token: &str) -> Result<Arc<Session>, Status> {
        let mut table = self.lock();
        let session = table.by_token.get(token).cloned().ok_or_else(|| self.unknown())?;
        if self.is_expired(&session, Instant::now()) {
            table.end(token, End::Expired);
            return Err(self.unknown());
        }
        session.let_roam();
        Ok(session)
    }

    /// The session of a connection, opened when it is first asked for.
    pub(crate) fn of_connection(&self, connection: u64) -> Result<Arc<Session>, Status> {
        let mut table = self.lock();
        if let Some(token) = table.by_connection.get(&connection) {
            return table.by_token.get(token).cloned().ok_or_else(|| self.unknown());
        }
        let session = self.insert(&mut table)?;
        table.by_connection.insert(connection, session.token().to_owned());
        Ok(session)
    }

    /// Ends the session of a connection that is gone, unless something else names it.
    pub(crate) fn connection_closed(&self, connection: u64) {
        let mut table = self.lock();
        let Some(token) = table.by_connection.remove(&connection) else { return };
        if table.by_token.get(&token).is_some_and(|session| !session.roams()) {
            table.end(&token, End::Closed);
        }
    }

    /// Ends a session because its client says so. Its connection may start a new one.
    pub(crate) fn close(&self, session: &Session) {
        let mut table = self.lock();
        table.end(session.token(), End::Closed);
        table.by_connection.retain(|_, token| token != session.token());
    }

    /// Drops what has expired. A connection's own session lives as long as the connection.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let mut table = self.lock();
        let expired = table.by_token.values().filter(|session| self.is_expired(session, now));
        let expired: Vec<String> = expired.map(|session| session.token().to_owned()).collect();
        for token in expired {
            table.end(&token, End::Expired);
        }
        for session in table.by_token.values() {
            session.tickets.sweep(now);
            session.prepared.sweep(now);
        }
    }

    /// From now on calls are refused; what runs may finish.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// An error while the server stops.
    pub(crate) fn check_open(&self) -> Result<(), Status> {
        match self.draining.load(Ordering::Relaxed) {
            true => Err(End::ShuttingDown.status()),
            false => Ok(()),
        }
    }

    /// Ends all sessions, and so all that runs.
    pub(crate) fn end_all(&self) {
        for (_, session) in self.lock().by_token.drain() {
            session.finish(End::ShuttingDown);
        }
    }

    fn is_expired(&self, session: &Session, now: Instant) -> bool {
        let timeout = self.limits.idle_timeout;
        session.roams() && session.idle(now).is_some_and(|idle| timeout <= idle)
    }

    fn insert(&self, table: &mut Table) -> Result<Arc<Session>, Status> {
        if self.limits.sessions <= table.by_token.len() {
            self.make_room(table)?;
        }
        let session = Arc::new(Session::new(self.engine.session(), &self.limits));
        table.by_token.insert(session.token().to_owned(), Arc::clone(&session));
        Ok(session)
    }

    fn make_room(&self, table: &mut Table) -> Result<(), Status> {
        let now = Instant::now();
        let idle = table.by_token.values().filter_map(|s| Some((s.idle(now)?, s.token())));
        let longest = idle.max_by_key(|(idle, _)| *idle).map(|(_, token)| token.to_owned());
        let token = longest.ok_or_else(|| {
            Status::resource_exhausted(format!(
                "the server has {} sessions, which is the limit, and a query runs in each\n\
                 Hint: Try again later, or raise the limit in the server's settings.",
                self.limits.sessions
            ))
        })?;
        table.end(&token, End::Evicted);
        Ok(())
    }

    fn unknown(&self) -> Status {
        let minutes = self.limits.idle_timeout.as_secs().div_ceil(60);
        Status::unauthenticated(format!(
            "the session does not exist, or no longer\n\
             Hint: Connect again. A session ends after {minutes} minutes without a call, \
             and when the server restarts."
        ))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // A panic cannot leave half a change here.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn end(&mut self, token: &str, end: End) {
        if let Some(session) = self.by_token.remove(token) {
            session.finish(end);
        }
    }
}
