//! What a statement that isn't a plan says of how far it is.

use std::sync::{Arc, Mutex, PoisonError};

/// A line about what is being done, for people who wait. Cheap to clone; clones share the line.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<Mutex<String>>);

impl Activity {
    /// The newest line; empty if nothing was said yet.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn tell(&self, text: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }
}
