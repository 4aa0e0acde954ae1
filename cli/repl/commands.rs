//! The backslash commands, spelt as psql spells them.

use crate::failure::{Failure, Result};
use crate::statements::{Kind, Token, tokens, unquoted};
use crate::style::nearest;

/// A command as it is listed.
pub(super) struct Command {
    /// How it is written.
    pub(super) name: &'static str,
    /// What may follow.
    pub(super) argument: &'static str,
    /// What it does.
    pub(super) about: &'static str,
}

/// Every command.
#[rustfmt::skip]
pub(super) const ALL: &[Command] = &[
    Command { name: "\\c", argument: "DATABASE", about: "use this database" },
    Command { name: "\\crawl", argument: "[WHAT]", about: "make tables of files: a crawler, a folder or a URL; or list crawlers" },
    Command { name: "\\d", argument: "[NAME]", about: "list tables and views, or the columns of one" },
    Command { name: "\\dn", argument: "", about: "list databases" },
    Command { name: "\\dt", argument: "", about: "list tables" },
    Command { name: "\\e", argument: "", about: "edit the last statement in $EDITOR" },
    Command { name: "\\i", argument: "FILE", about: "run the statements in a file" },
    Command { name: "\\l", argument: "", about: "list databases" },
    Command { name: "\\maxrows", argument: "[N]", about: "show at most N rows of a result; 0 shows all" },
    Command { name: "\\o", argument: "[FILE]", about: "write rows to a file, or to the terminal again" },
    Command { name: "\\q", argument: "", about: "quit" },
    Command { name: "\\timing", argument: "", about: "show how long things take, or don't" },
    Command { name: "\\x", argument: "", about: "show one value on each line, or a table again" },
    Command { name: "\\?", argument: "", about: "list these commands" },
];

/// What a command asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    Use(String),
    Crawl(Option<String>),
    Describe(String),
    ListRelations,
    ListTables,
    ListDatabases,
    Edit,
    Include(String),
    SetOutput(Option<String>),
    SetMaxRows(Option<usize>),
    Quit,
    ToggleTiming,
    ToggleExpanded,
    Help,
}

/// Whether `line` is a command rather than SQL.
pub(super) fn is_command(line: &str) -> bool {
    line.trim_start().starts_with('\\') || word_action(line).is_some()
}

/// The words that people type when they look for the way out.
fn word_action(line: &str) -> Option<Action> {
    match line.trim().trim_end_matches(';').to_ascii_lowercase().as_str() {
        "quit" | "exit" => Some(Action::Quit),
        "help" => Some(Action::Help),
        _ => None,
    }
}

/// What the command in `line` asks for.
pub(super) fn parse(line: &str) -> Result<Action> {
    if let Some(action) = word_action(line) {
        return Ok(action);
    }
    let line = line.trim().trim_end_matches(';');
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    let given = (!argument.is_empty()).then_some(argument);
    let needed = |what: &str| given.ok_or_else(|| Failure::Failed(format!("{name} needs {what}")));
    let action = match name {
        "\\c" => Action::Use(unquoted(needed("the name of a database")?)),
        "\\crawl" => Action::Crawl(given.map(file_name)),
        "\\d" => match given {
            Some(name) => Action::Describe(table_name(name)?),
            None => Action::ListRelations,
        },
        "\\dt" => Action::ListTables,
        "\\dn" | "\\l" => Action::ListDatabases,
        "\\e" => Action::Edit,
        "\\i" => Action::Include(file_name(needed("the name of a file")?)),
        "\\o" => Action::SetOutput(given.map(file_name)),
        "\\maxrows" => Action::SetMaxRows(given.map(number).transpose()?),
        "\\q" => Action::Quit,
        "\\timing" => Action::ToggleTiming,
        "\\x" => Action::ToggleExpanded,
        "\\?" | "\\h" => Action::Help,
        _ => return Err(unknown(name)),
    };
    let takes_argument = ALL.iter().any(|c| c.name == name && !c.argument.is_empty());
    match given {
        Some(extra) if !takes_argument => {
            Err(Failure::Failed(format!("{name} takes nothing behind it, but got {extra:?}")))
        }
        _ => Ok(action),
    }
}

/// The list that `\?` prints.
pub(super) fn help() -> String {
    let width = |command: &Command| command.name.len() + 1 + command.argument.len();
    let widest = ALL.iter().map(width).max().unwrap_or_default();
    let mut text = String::new();
    for command in ALL {
        let usage = format!("{} {}", command.name, command.argument);
        text.push_str(&format!("  {usage:widest$}  {}\n", command.about));
    }
    text.push_str(
        "Statements end with a semicolon. Tab completes, Ctrl-C cancels, Ctrl-D quits.\n",
    );
    text
}

fn unknown(name: &str) -> Failure {
    let hint = nearest(name, ALL.iter().map(|command| command.name))
        .or_else(|| {
            let longest = ALL.iter().filter(|command| name.starts_with(command.name));
            longest.map(|command| command.name).max_by_key(|name| name.len())
        })
        .map(|nearest| format!("; did you mean {nearest}?"))
        .unwrap_or_default();
    Failure::Failed(format!("{name} is not a command{hint} \\? lists them all"))
}

fn number(text: &str) -> Result<usize> {
    text.parse().map_err(|_| Failure::Failed(format!("{text:?} is not a number of rows")))
}

/// A file's name, which may stand in quotes.
fn file_name(text: &str) -> String {
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    inner.unwrap_or(text).to_owned()
}

/// `table` or `database.table`, as it was typed.
fn table_name(text: &str) -> Result<String> {
    let pieces = tokens(text);
    let is_name =
        |token: &Token| token.closed && matches!(token.kind, Kind::Word | Kind::QuotedName);
    let is_table = match pieces.as_slice() {
        [table] => is_name(table),
        [database, dot, table] => is_name(database) && dot.text(text) == "." && is_name(table),
        _ => false,
    };
    match is_table {
        true => Ok(text.to_owned()),
        false => Err(Failure::Failed(format!("{text} is not a table's name"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(line: &str) -> String {
        match parse(line).unwrap_err() {
            Failure::Failed(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_are_told_from_statements() {
        assert!(is_command(" \\dt") && is_command("EXIT;") && is_command("help"));
        assert!(!is_command("SELECT '\\d'") && !is_command("exit 1"));
    }

    #[test]
    fn a_table_may_be_named_with_its_database() {
        let name = |name: &str| Action::Describe(name.to_owned());
        assert_eq!(parse("\\d Flights;").unwrap(), name("Flights"));
        assert_eq!(parse("\\d amp.\"Plays\"").unwrap(), name("amp.\"Plays\""));
        assert_eq!(message("\\d a b"), "a b is not a table's name");
    }

    #[test]
    fn a_wrong_command_says_the_nearest() {
        assert_eq!(
            message("\\timimg"),
            "\\timimg is not a command; did you mean \\timing? \\? lists them all"
        );
        assert!(message("\\d+ x").contains("did you mean \\d"), "{}", message("\\d+ x"));
    }

    #[test]
    fn arguments_are_neither_missing_nor_ignored() {
        assert_eq!(message("\\i"), "\\i needs the name of a file");
        assert_eq!(message("\\x on"), "\\x takes nothing behind it, but got \"on\"");
        assert_eq!(parse("\\o").unwrap(), Action::SetOutput(None));
        assert_eq!(parse("\\crawl 'raw/'").unwrap(), Action::Crawl(Some("raw/".to_owned())));
        assert_eq!(parse("\\maxrows 7").unwrap(), Action::SetMaxRows(Some(7)));
    }
}
