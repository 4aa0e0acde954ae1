//! Why the program stops: one variant for each exit code.

use std::time::Duration;

use boathouse_engine as engine;

/// The result of what a verb does.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A failed run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// The command line or a setting is wrong.
    Usage(String),
    /// A statement, or something else while running, failed. The text may have several lines.
    Failed(String),
    /// No server answered.
    Unreachable(String),
    /// The user pressed Ctrl-C this long after the statement began.
    Interrupted(Duration),
    /// Whoever read our standard output has gone.
    PipeClosed,
}

impl Failure {
    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::PipeClosed => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Interrupted(_) => 130,
        }
    }

    /// Tells the user on standard error.
    pub(crate) fn print(&self) {
        match self {
            Self::Usage(text) | Self::Failed(text) | Self::Unreachable(text) => {
                anstream::eprintln!("{} {text}", crate::style::error("error:"));
            }
            Self::Interrupted(elapsed) => {
                anstream::eprintln!("Cancelled after {:.1} s", elapsed.as_secs_f64());
            }
            Self::PipeClosed => {}
        }
    }

    /// `attempt` (as in "read \"a.sql\"") failed for the reason that `error` gives.
    pub(crate) fn io(attempt: impl std::fmt::Display, error: &std::io::Error) -> Self {
        Self::Failed(format!("could not {attempt}: {error}"))
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        Self::Failed(error.report())
    }
}
