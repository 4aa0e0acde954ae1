//! What the shell does with a line.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tokio::runtime::Runtime;

use super::commands::{self, Action};
use super::names::SharedNames;
use super::pager;
use crate::client::Connection;
use crate::config::Config;
use crate::crawl;
use crate::failure::{Failure, Result};
use crate::output::{Format, Output, Place, TableStyle};
use crate::run::{self, Done};
use crate::statements;

const RELATIONS: &str = "SELECT table_schema AS database, table_name AS name, \
     lower(replace(table_type, 'BASE ', '')) AS type \
     FROM information_schema.tables WHERE table_schema NOT IN ('information_schema', 'system')";

/// The state of a shell.
pub(super) struct Shell<'a> {
    runtime: &'a Runtime,
    connection: Connection,
    names: SharedNames,
    style: TableStyle,
    pager: String,
    /// Where `\o` sends rows.
    file: Option<Output>,
    /// What `\e` edits.
    last: String,
}

/// Whether to go on, and with which text in the line.
pub(super) type Next = ControlFlow<(), Option<String>>;

impl<'a> Shell<'a> {
    pub(super) fn new(
        runtime: &'a Runtime,
        connection: Connection,
        config: &Config,
        names: SharedNames,
    ) -> Self {
        let style = TableStyle { timing: true, ..run::table_style(config) };
        let pager = pager::command(&config.repl.pager);
        Self { runtime, connection, names, style, pager, file: None, last: String::new() }
    }

    /// Reads the names to complete, in the background.
    pub(super) fn refresh_names(&self) {
        let (names, connection) = (self.names.clone(), self.connection.clone());
        self.runtime.spawn(async move { names.refresh(&connection).await });
    }

    /// Does what a line says.
    pub(super) fn take(&mut self, line: &str) -> Result<Next> {
        if commands::is_command(line) {
            return self.act(commands::parse(line)?);
        }
        if !statements::split(line).is_empty() {
            self.last = line.trim().to_owned();
        }
        self.run(line, None)?;
        Ok(ControlFlow::Continue(None))
    }

    /// Puts a file that `\o` has begun in its place.
    pub(super) fn close(mut self) -> Result<()> {
        self.set_output(None)
    }

    fn act(&mut self, action: Action) -> Result<Next> {
        match action {
            Action::Quit => return Ok(ControlFlow::Break(())),
            Action::Edit => return self.edit().map(|text| ControlFlow::Continue(Some(text))),
            Action::Use(name) => self.run(&format!("USE {}", statements::quoted(&name)), None)?,
            Action::Crawl(Some(what)) => self.show(&crawl::statement(&what, None, false))?,
            Action::Crawl(None) => self.show("SHOW CRAWLERS")?,
            Action::Describe(name) => self.show(&format!("DESCRIBE {name}"))?,
            Action::ListRelations => self.show(&format!("{RELATIONS} ORDER BY 1, 2"))?,
            Action::ListTables => {
                self.show(&format!("{RELATIONS} AND table_type NOT LIKE '%VIEW%' ORDER BY 1, 2"))?;
            }
            Action::ListDatabases => self.show("SHOW DATABASES")?,
            Action::Include(file) => {
                let text = run::read_file(Path::new(&file))?;
                self.run(&text, Some(Path::new(&file)))?;
            }
            Action::SetOutput(file) => self.set_output(file.as_deref().map(Path::new))?,
            Action::SetMaxRows(rows) => {
                self.style.max_rows = rows.unwrap_or(self.style.max_rows);
                match self.style.max_rows {
                    0 => anstream::eprintln!("All rows are shown"),
                    rows => anstream::eprintln!("At most {rows} rows are shown"),
                }
            }
            Action::ToggleTiming => {
                self.style.timing = !self.style.timing;
                anstream::eprintln!("Timing is {}", on_or_off(self.style.timing));
            }
            Action::ToggleExpanded => {
                self.style.expanded = !self.style.expanded;
                anstream::eprintln!("Expanded display is {}", on_or_off(self.style.expanded));
            }
            Action::Help => {
                let _ = std::io::stdout().write_all(commands::help().as_bytes());
            }
        }
        Ok(ControlFlow::Continue(None))
    }

    /// Runs statements, up to the first that fails.
    fn run(&mut self, text: &str, file: Option<&Path>) -> Result<()> {
        let mut terminal = self.terminal()?;
        let is_filed = self.file.is_some();
        let output = self.file.as_mut().unwrap_or(&mut terminal);
        let style = match is_filed {
            true => TableStyle { width: None, colour: false, timing: false, ..self.style.clone() },
            false => self.style.clone(),
        };
        let mut changed = false;
        let mut result = Ok(());
        let statements = statements::split(text);
        for statement in &statements {
            let started = Instant::now();
            let done = run::statement(&self.connection, statement.sql, output, &style);
            match self.runtime.block_on(done) {
                Ok(done) => {
                    changed |= !matches!(done, Done::Rows(_));
                    let elapsed = self.style.timing.then(|| started.elapsed());
                    run::tell(done, elapsed);
                    if let (true, Done::Rows(rows)) = (is_filed, done) {
                        run::tell(Done::Count(rows as u64), elapsed);
                    }
                }
                Err(failure) => {
                    result = Err(run::placed(failure, statement, file, text));
                    break;
                }
            }
        }
        if changed {
            self.refresh_names();
        }
        result
    }

    /// Runs a query of our own, always on the terminal.
    fn show(&mut self, sql: &str) -> Result<()> {
        let mut terminal = self.terminal()?;
        let style = TableStyle { max_rows: 0, timing: false, ..self.style.clone() };
        let done = run::statement(&self.connection, sql, &mut terminal, &style);
        self.runtime.block_on(done).map(drop)
    }

    fn set_output(&mut self, path: Option<&Path>) -> Result<()> {
        if let Some(output) = self.file.take() {
            output.commit()?;
            anstream::eprintln!("Rows go to the terminal");
        }
        if let Some(path) = path {
            let format = Format::of_file(path).unwrap_or(Format::Table);
            self.file = Some(Output::new(format, Place::file(path)?)?);
            anstream::eprintln!("Rows go to {} until \\o", path.display());
        }
        Ok(())
    }

    /// The last statement after the user has edited it.
    fn edit(&self) -> Result<String> {
        let failed = |error: &std::io::Error| Failure::io("edit the statement", error);
        let mut file = tempfile::Builder::new()
            .prefix("boathouse-")
            .suffix(".sql")
            .tempfile()
            .map_err(|error| failed(&error))?;
        writeln!(file, "{}", self.last).map_err(|error| failed(&error))?;
        let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok());
        let editor = editor.unwrap_or_else(|| "vi".to_owned());
        let path = file.into_temp_path();
        let status = Command::new("sh")
            .args(["-c", &format!("{editor} \"$1\""), "sh"])
            .arg(&path)
            .status()
            .map_err(|error| failed(&error))?;
        if !status.success() {
            return Err(Failure::Failed(format!("the editor {editor:?} failed")));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
        Ok(text.trim().to_owned())
    }

    fn terminal(&mut self) -> Result<Output> {
        if self.style.width.is_some() {
            // The window may have changed.
            self.style.width = run::terminal_size().map(|(columns, _)| columns);
        }
        Output::new(Format::Table, Place::Pager(self.pager.clone()))
    }
}

fn on_or_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}
