//! Bounded tables of what clients hold by an opaque handle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tonic::Status;

/// An entry that was used this recently is never dropped to make room.
const PROTECTED: Duration = Duration::from_secs(10);

/// Entries by random handle: at most `max`, each for `lifetime` after its last use.
///
/// Clients forget to close what they open, so a full table drops its oldest idle entry. Only
/// when all entries are fresh is there no room.
pub(crate) struct Handles<T> {
    kind: &'static str,
    max: usize,
    lifetime: Duration,
    slots: Mutex<HashMap<Bytes, Slot<T>>>,
}

struct Slot<T> {
    value: Arc<T>,
    used: Instant,
    spent: bool,
}

impl<T> Handles<T> {
    /// An empty table of `kind`, as in "ticket".
    pub(crate) fn new(kind: &'static str, max: usize, lifetime: Duration) -> Self {
        Self { kind, max, lifetime, slots: Mutex::default() }
    }

    /// Keeps `value` under a new handle. A `spent` one is the first to go when room is needed.
    pub(crate) fn insert(&self, value: T, spent: bool, now: Instant) -> Result<Bytes, Status> {
        let mut slots = self.lock();
        if self.max <= slots.len() {
            self.make_room(&mut slots, now)?;
        }
        let handle = Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        slots.insert(handle.clone(), Slot { value: Arc::new(value), used: now, spent });
        Ok(handle)
    }

    /// The entry of `handle`, whose lifetime starts anew.
    pub(crate) fn get(&self, handle: &[u8], now: Instant) -> Result<Arc<T>, Status> {
        let mut slots = self.lock();
        match slots.get_mut(handle) {
            Some(slot) if now.duration_since(slot.used) < self.lifetime => {
                slot.used = now;
                Ok(Arc::clone(&slot.value))
            }
            _ => Err(self.unknown()),
        }
    }

    /// Marks entries as ones that their client is done with.
    pub(crate) fn spend(&self, done: impl Fn(&T) -> bool) {
        for slot in self.lock().values_mut() {
            slot.spent |= done(&slot.value);
        }
    }

    /// Drops the entry, if it is still there.
    pub(crate) fn remove(&self, handle: &[u8]) {
        self.lock().remove(handle);
    }

    /// Drops the entries whose lifetime is over.
    pub(crate) fn sweep(&self, now: Instant) {
        self.lock().retain(|_, slot| now.duration_since(slot.used) < self.lifetime);
    }

    /// Drops all entries.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// How long an entry is kept after its last use.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    fn make_room(&self, slots: &mut HashMap<Bytes, Slot<T>>, now: Instant) -> Result<(), Status> {
        let idle = slots.iter().filter(|(_, slot)| {
            let unused = Arc::strong_count(&slot.value) == 1;
            unused && (slot.spent || PROTECTED <= now.duration_since(slot.used))
        });
        let oldest = idle.min_by_key(|(_, slot)| (!slot.spent, slot.used));
        let handle = oldest.map(|(handle, _)| handle.clone()).ok_or_else(|| self.full())?;
        slots.remove(&handle);
        Ok(())
    }

    fn full(&self) -> Status {
        let (kind, max) = (self.kind, self.max);
        Status::resource_exhausted(format!(
            "this session holds {max} {kind}s, which is the limit\n\
             Hint: Close or fetch some of them, or open another connection."
        ))
    }

    fn unknown(&self) -> Status {
        let (kind, max, minutes) = (self.kind, self.max, self.lifetime.as_secs().div_ceil(60));
        Status::not_found(format!(
            "the {kind} does not exist in this session, or no longer\n\
             Hint: Send the statement again. A session keeps {max} {kind}s, \
             each for {minutes} minutes after its last use."
        ))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Bytes, Slot<T>>> {
        // A panic cannot leave half a change here.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn table() -> Handles<u8> {
        Handles::new("ticket", 2, Duration::from_secs(60))
    }

    #[test]
    fn a_full_table_drops_spent_entries_first() {
        let (table, now) = (table(), Instant::now());
        let first = table.insert(1, false, now).unwrap();
        let second = table.insert(2, true, now).unwrap();
        let third = table.insert(3, false, now).unwrap();
        assert_eq!(table.get(&second, now).unwrap_err().code(), Code::NotFound);
        assert_eq!((*table.get(&first, now).unwrap(), *table.get(&third, now).unwrap()), (1, 3));
    }

    #[test]
    fn a_table_of_fresh_entries_is_full() {
        let (table, now) = (table(), Instant::now());
        table.insert(1, false, now).unwrap();
        table.insert(2, false, now).unwrap();
        let full = table.insert(3, false, now).unwrap_err();
        assert_eq!(full.code(), Code::ResourceExhausted);
        assert!(full.message().contains("holds 2 tickets"), "{full}");
        let later = now + PROTECTED;
        table.insert(3, false, later).unwrap();
        assert_eq!(table.lock().len(), 2);
    }

    #[test]
    fn use_extends_the_lifetime() {
        let (table, mut now) = (table(), Instant::now());
        let handle = table.insert(1, false, now).unwrap();
        for _ in 0..3 {
            now += Duration::from_secs(40);
            table.get(&handle, now).unwrap();
        }
        now += Duration::from_secs(60);
        assert_eq!(table.get(&handle, now).unwrap_err().code(), Code::NotFound);
    }
}
