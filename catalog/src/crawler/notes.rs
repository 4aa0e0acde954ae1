//! What a crawl has to say about its decisions.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

/// Notes that are kept of one crawl.
const NOTES_MAX: usize = 10_000;

/// A decision about a place, and why it was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Note {
    /// The folder or the file, as a URL.
    pub location: String,
    /// What was decided.
    pub text: String,
}

/// The notes of one crawl.
#[derive(Default)]
pub(super) struct Notes {
    notes: Vec<Note>,
    seen: HashSet<Note>,
    dropped: u64,
}

impl Notes {
    pub(super) fn add(&mut self, location: impl Into<String>, text: impl Into<String>) {
        if self.notes.len() >= NOTES_MAX {
            self.dropped += 1;
            return;
        }
        let note = Note { location: location.into(), text: text.into() };
        if self.seen.insert(note.clone()) {
            self.notes.push(note);
        }
    }

    pub(super) fn into_sorted(mut self) -> Vec<Note> {
        self.notes.sort();
        if self.dropped > 0 {
            let text = format!("{} more notes were left out", self.dropped);
            self.notes.push(Note { location: String::new(), text });
        }
        self.notes
    }
}
