//! The SQL shell.

mod commands;
mod completer;
mod editor;
mod highlighter;
mod names;
pub(crate) mod pager;
pub(crate) mod progress;
mod prompt;
mod shell;
mod validator;

use std::ops::ControlFlow;

use reedline::Signal;
use tokio::runtime::Runtime;

use crate::client::Connection;
use crate::config::Config;
use crate::failure::{Failure, Result};
use names::SharedNames;
use prompt::Prompt;
use shell::Shell;

/// Reads and runs statements until the user leaves.
pub(crate) fn run(runtime: &Runtime, connection: &Connection, config: &Config) -> Result<()> {
    // From here on Ctrl-C cancels a query and never ends the shell.
    let interrupts = {
        let _context = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
    };
    let _interrupts = interrupts.map_err(|error| Failure::io("listen for Ctrl-C", &error))?;

    let names = SharedNames::default();
    let mut editor = editor::editor(config, names.clone());
    let mut shell = Shell::new(runtime, connection.clone(), config, names);
    shell.refresh_names();
    loop {
        let line = match editor.read_line(&Prompt::new(&connection.database())) {
            Ok(Signal::Success(line)) => line,
            Ok(Signal::CtrlD) => break,
            Ok(_) => continue,
            Err(error) => return Err(Failure::Failed(format!("could not read a line: {error}"))),
        };
        match shell.take(&line) {
            Ok(ControlFlow::Continue(None)) => {}
            Ok(ControlFlow::Continue(Some(text))) => {
                editor.run_edit_commands(&[reedline::EditCommand::InsertString(text)]);
            }
            Ok(ControlFlow::Break(())) => break,
            Err(failure) => failure.print(),
        }
        // Another shell may be open; each sees what the other has typed.
        let _ = editor.sync_history();
    }
    shell.close()
}
