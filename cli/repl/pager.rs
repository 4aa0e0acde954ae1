//! Results taller than the terminal, shown by a pager.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

/// What `less` does unless the user has said otherwise: keep long lines whole, show colours,
/// leave the screen as it is.
const LESS: &str = "-SRFX";

/// The setting that means no pager.
const OFF: &str = "off";

/// The command line of the pager that `setting` (`repl.pager`) asks for.
pub(crate) fn command(setting: &str) -> String {
    match setting {
        "" => std::env::var("PAGER").unwrap_or_else(|_| "less".to_owned()),
        command => command.to_owned(),
    }
}

/// Keeps a result until it is flushed, then shows it.
#[derive(Debug)]
pub(crate) struct Paged {
    command: String,
    text: Vec<u8>,
}

impl Paged {
    /// Shows it with `command` if it is tall.
    pub(crate) fn new(command: String) -> Self {
        Self { command, text: Vec::new() }
    }
}

impl Write for Paged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let text = std::mem::take(&mut self.text);
        let height = crate::run::terminal_size().map(|(_, lines)| lines);
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        let is_tall = height.is_some_and(|height| height <= lines);
        let is_wanted = is_tall && self.command != OFF && std::io::stdout().is_terminal();
        if is_wanted && page(&self.command, &text) {
            return Ok(());
        }
        let mut stdout = std::io::stdout();
        stdout.write_all(&text)?;
        stdout.flush()
    }
}

/// Whether the pager has shown it.
fn page(command: &str, text: &[u8]) -> bool {
    let mut pager = Command::new("sh");
    pager.args(["-c", command]).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        pager.env("LESS", LESS);
    }
    let Ok(mut child) = pager.spawn() else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // The user may leave before having seen all.
        let _ = stdin.write_all(text);
    }
    // 126 and 127 are the shell's: there is no such program.
    child.wait().is_ok_and(|status| !matches!(status.code(), Some(126 | 127)))
}
