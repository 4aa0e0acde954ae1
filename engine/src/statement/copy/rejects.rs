//! Rows that can't be read: left out and noted, up to as many as the statement allows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Rows of which the whole story is kept; of more it's only known how many there were.
const KEPT_MAX: usize = 1000;
/// Longer values and lines are cut off.
const VALUE_CHARS: usize = 128;
const LINE_CHARS: usize = 512;

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reject {
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u64,
    pub(crate) column: Option<String>,
    pub(crate) value: Option<String>,
    /// The line's text.
    pub(crate) raw: String,
    pub(crate) reason: String,
}

/// The rows that a load left out so far.
pub(crate) struct Rejects {
    max: u64,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    count: u64,
    kept: Vec<Reject>,
}

impl Rejects {
    /// Allows `max` rows to be left out.
    pub(crate) fn new(max: u64) -> Self {
        Self { max, found: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a row; an error if it's one too many.
    pub(crate) fn add(&self, mut reject: Reject) -> Result<()> {
        cut(&mut reject.raw, LINE_CHARS);
        if let Some(value) = &mut reject.value {
            cut(value, VALUE_CHARS);
        }
        let mut found = self.lock();
        found.count += 1;
        let error = (found.count > self.max).then(|| self.error(&reject));
        if found.kept.len() < KEPT_MAX {
            found.kept.push(reject);
        }
        error.map_or(Ok(()), Err)
    }

    fn error(&self, reject: &Reject) -> Error {
        let column = reject.column.as_ref().map(|name| format!(", column \"{name}\""));
        let text = format!(
            "\"{}\", line {}{}: {}",
            reject.file,
            reject.line,
            column.unwrap_or_default(),
            reject.reason
        );
        let error = match self.max {
            0 => Error::bad_data(text),
            max => Error::bad_data(format!("more than {max} rows can't be read; the last: {text}")),
        };
        error.with_hint(
            "Nothing was loaded. MAXERROR n leaves up to n such rows out, and sys_load_errors \
             lists them.",
        )
    }

    pub(crate) fn count(&self) -> u64 {
        self.lock().count
    }

    /// Starts anew: the same rows will be read again.
    pub(crate) fn forget(&self) {
        *self.lock() = Found::default();
    }

    /// The rows that are kept, in the order of files and lines.
    pub(crate) fn take(&self) -> Vec<Reject> {
        let mut kept = std::mem::take(&mut self.lock().kept);
        kept.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        kept
    }
}

/// Cuts a text off after as many characters.
fn cut(text: &mut String, chars: usize) {
    if let Some((end, _)) = text.char_indices().nth(chars) {
        text.truncate(end);
        text.push('…');
    }
}
