//! Running statements and writing what comes of them.

use std::cell::RefCell;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use boathouse_engine::QueryKind;

use crate::args::SqlArguments;
use crate::client::{Answer, Connection, Watch};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::output::{Format, Output, Place, TableStyle};
use crate::repl::progress::ProgressLine;
use crate::statements::{self, Statement};

/// What a statement has done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Done {
    /// Its rows, so many, have been written.
    Rows(usize),
    /// It changed so many rows.
    Count(u64),
    /// It had nothing to tell.
    Command,
}

/// `boathouse sql`.
pub(crate) async fn sql(
    connection: &Connection,
    arguments: &SqlArguments,
    config: &Config,
) -> Result<()> {
    let (text, name) = match (&arguments.command, &arguments.file) {
        (Some(text), _) => (text.clone(), None),
        (None, Some(path)) if path.as_os_str() != "-" => (read_file(path)?, Some(path)),
        (None, Some(_)) => (read_stdin()?, None),
        (None, None) if !std::io::stdin().is_terminal() => (read_stdin()?, None),
        (None, None) => {
            return Err(Failure::Usage(
                "what shall I run? Say it with -c SQL, or -f FILE".to_owned(),
            ));
        }
    };
    let by_name = arguments.output.as_deref().and_then(Format::of_file);
    let format = arguments.format.or(by_name).unwrap_or(Format::Table);
    let place = match &arguments.output {
        Some(path) => Place::file(path)?,
        None => Place::Stdout,
    };
    let mut output = Output::new(format, place)?;
    let mut style = table_style(config);
    style.max_rows = arguments.max_rows.unwrap_or(style.max_rows);
    if arguments.output.is_some() {
        style = TableStyle { width: None, colour: false, timing: false, ..style };
    }
    script(connection, &text, name.map(|path| path.as_path()), &mut output, &style).await?;
    if arguments.output.is_some() && !output.has_results() {
        anstream::eprintln!("No statement returned rows, so no file was written");
        return Ok(());
    }
    output.commit()
}

/// Runs what stands in standard input.
pub(crate) async fn stdin(connection: &Connection, config: &Config) -> Result<()> {
    let text = read_stdin()?;
    let mut output = Output::new(Format::Table, Place::Stdout)?;
    script(connection, &text, None, &mut output, &table_style(config)).await
}

/// Runs statement after statement, up to the first that fails.
pub(crate) async fn script(
    connection: &Connection,
    text: &str,
    file: Option<&Path>,
    output: &mut Output,
    style: &TableStyle,
) -> Result<()> {
    let statements = statements::split(text);
    for statement in &statements {
        let started = Instant::now();
        let done = self::statement(connection, statement.sql, output, style).await;
        let done = done.map_err(|failure| placed(failure, statement, file, text))?;
        tell(done, style.timing.then(|| started.elapsed()));
    }
    Ok(())
}

/// `failure` with the place of `statement` in the `text` it comes from, where that helps.
pub(crate) fn placed(
    failure: Failure,
    statement: &Statement<'_>,
    file: Option<&Path>,
    text: &str,
) -> Failure {
    let Failure::Failed(report) = failure else { return failure };
    let is_all = statement.sql.len() == text.trim_end_matches([';', ' ', '\n']).len();
    let is_one_line = !text.trim().contains('\n');
    let line = statement.line;
    Failure::Failed(match file {
        Some(file) => format!("{report}\nThe statement is at line {line} of {}.", file.display()),
        None if is_all || is_one_line => report,
        None => format!("{report}\nThe statement is at line {line}."),
    })
}

/// Tells on standard error what a statement without rows has done.
pub(crate) fn tell(done: Done, elapsed: Option<Duration>) {
    let elapsed = elapsed.map(|elapsed| format!(" ({})", seconds(elapsed))).unwrap_or_default();
    match done {
        Done::Rows(_) => {}
        Done::Count(1) => anstream::eprintln!("1 row{elapsed}"),
        Done::Count(count) => anstream::eprintln!("{count} rows{elapsed}"),
        Done::Command => anstream::eprintln!("OK{elapsed}"),
    }
}

/// Runs one statement until it is done or Ctrl-C is pressed.
pub(crate) async fn statement(
    connection: &Connection,
    sql: &str,
    output: &mut Output,
    style: &TableStyle,
) -> Result<Done> {
    let started = Instant::now();
    let progress = ProgressLine::new(started, output.is_table());
    let watch: RefCell<Option<Watch>> = RefCell::new(None);
    let work = async {
        let prepared = connection.prepare(sql).await?;
        if prepared.kind() == QueryKind::Rows {
            output.check_room()?;
        }
        *watch.borrow_mut() = prepared.watch();
        let mut rows = match prepared.execute().await? {
            Answer::Rows(rows) => rows,
            Answer::Count(count) => return Ok(Done::Count(count)),
            Answer::Done => return Ok(Done::Command),
        };
        *watch.borrow_mut() = Some(rows.watch());
        let mut sink = output.begin(rows.schema(), style, started)?;
        let mut count = 0;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            count += batch.num_rows();
            sink.write(&batch)?;
        }
        progress.stop();
        sink.finish()?;
        Ok(Done::Rows(count))
    };
    let result = tokio::select! {
        result = work => result,
        never = progress.run(&watch) => match never {},
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted(started.elapsed())),
    };
    progress.stop();
    let watch = watch.into_inner();
    if let (Err(Failure::Interrupted(_)), Some(watch)) = (&result, watch) {
        watch.cancel().await;
    }
    result
}

/// How tables are drawn on standard output.
pub(crate) fn table_style(config: &Config) -> TableStyle {
    let is_terminal = std::io::stdout().is_terminal();
    TableStyle {
        max_rows: config.repl.max_rows,
        width: if is_terminal { terminal_size().map(|(columns, _)| columns) } else { None },
        colour: crate::style::stdout_has_colour(),
        expanded: false,
        timing: is_terminal,
    }
}

/// Columns and lines of the terminal.
pub(crate) fn terminal_size() -> Option<(usize, usize)> {
    let (columns, lines) = crossterm::terminal::size().ok()?;
    (columns != 0 && lines != 0).then_some((columns.into(), lines.into()))
}

/// A duration as people read it.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.3} s") } else { format!("{seconds:.1} s") }
}

/// The text of a file of statements.
pub(crate) fn read_file(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::io(format_args!("read {}", path.display()), &error))
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::io("read standard input", &error))?;
    Ok(text)
}
