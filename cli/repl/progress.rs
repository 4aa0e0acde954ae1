//! The line that tells how far a statement is.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use boathouse_engine::Progress;

use crate::client::Watch;

/// How long a statement runs before the line appears.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the line is drawn anew.
const INTERVAL: Duration = Duration::from_millis(200);

/// A line on standard error that clears itself.
pub(crate) struct ProgressLine {
    started: Instant,
    state: Cell<State>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Hidden,
    Shown,
    Over,
}

impl ProgressLine {
    /// For a statement that began at `started`. `is_quiet_until_done` says whether nothing else
    /// is written to the terminal meanwhile.
    pub(crate) fn new(started: Instant, is_quiet_until_done: bool) -> Self {
        let is_free = is_quiet_until_done || !std::io::stdout().is_terminal();
        let state = match std::io::stderr().is_terminal() && is_free {
            true => State::Hidden,
            false => State::Over,
        };
        Self { started, state: Cell::new(state) }
    }

    /// Draws the line again and again, until dropped.
    pub(crate) async fn run(&self, watch: &RefCell<Option<Watch>>) -> Infallible {
        tokio::time::sleep(PATIENCE).await;
        loop {
            if self.state.get() != State::Over {
                let progress = watch.borrow().as_ref().and_then(Watch::progress);
                let activity = watch.borrow().as_ref().map(Watch::activity).unwrap_or_default();
                let width = crate::run::terminal_size().map_or(80, |(columns, _)| columns);
                let line: String = line(self.started.elapsed(), progress, &activity)
                    .chars()
                    .take(width - 1)
                    .collect();
                let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
                self.state.set(State::Shown);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Clears the line for good.
    pub(crate) fn stop(&self) {
        if self.state.replace(State::Over) == State::Shown {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

fn line(elapsed: Duration, progress: Option<Progress>, activity: &str) -> String {
    let elapsed = format!("{:.1} s", elapsed.as_secs_f64());
    let scanned = match progress {
        Some(Progress { rows_scanned, rows_total: Some(total), .. }) if 0 < total => {
            let percent = (100 * rows_scanned / total).min(100);
            format!("  {rows_scanned} of {total} rows scanned ({percent}%)")
        }
        Some(Progress { rows_scanned, .. }) if 0 < rows_scanned => {
            format!("  {rows_scanned} rows scanned")
        }
        _ if !activity.is_empty() => format!("  {activity}"),
        _ => String::new(),
    };
    format!("{elapsed}{scanned}  Ctrl-C cancels")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_is_known() {
        let elapsed = Duration::from_millis(2540);
        let progress = |rows_scanned, rows_total| {
            line(elapsed, Some(Progress { rows_scanned, rows_total, elapsed }), "")
        };
        assert_eq!(line(elapsed, None, ""), "2.5 s  Ctrl-C cancels");
        assert_eq!(line(elapsed, None, "listing"), "2.5 s  listing  Ctrl-C cancels");
        assert_eq!(progress(0, None), "2.5 s  Ctrl-C cancels");
        assert_eq!(progress(7, None), "2.5 s  7 rows scanned  Ctrl-C cancels");
        assert_eq!(progress(7, Some(9)), "2.5 s  7 of 9 rows scanned (77%)  Ctrl-C cancels");
    }
}
