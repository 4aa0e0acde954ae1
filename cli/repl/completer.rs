//! Completion of what is typed.

use std::sync::Arc;

use nu_ansi_term::{Color, Style};
use reedline::{CompletionResult, Span, Suggestion};

use super::commands;
use super::names::{Names, SharedNames, Table};
use crate::keywords::{self, KEYWORDS};
use crate::statements::{self, Kind, Token};

/// The keywords that may stand where a table's name belongs.
const BEFORE_TABLES: [&str; 3] = ["IF", "LATERAL", "UNNEST"];

/// Completes keywords, databases, tables, columns and functions.
pub(super) struct Completer {
    names: SharedNames,
}

/// One possible continuation.
#[derive(Clone, Debug, PartialEq)]
struct Candidate {
    text: String,
    about: String,
    style: Style,
}

impl Completer {
    pub(super) fn new(names: SharedNames) -> Self {
        Self { names }
    }
}

impl reedline::Completer for Completer {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let (start, candidates) = candidates(&self.names.now(), line, pos);
        let suggestions: Arc<[Suggestion]> = candidates
            .into_iter()
            .map(|candidate| Suggestion {
                value: candidate.text,
                description: Some(candidate.about),
                style: Some(candidate.style),
                span: Span::new(start, pos),
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}

/// What may stand in place of `line[start..pos]`, best first, with `start`.
fn candidates(names: &Names, line: &str, pos: usize) -> (usize, Vec<Candidate>) {
    if commands::is_command(line) {
        return command_candidates(names, line, pos);
    }
    let begin = statement_begin(line, pos);
    let before: Vec<Token> = statements::tokens(&line[begin..pos]);
    let typed = Typed::new(&line[begin..pos], &before);
    let Some(typed) = typed else { return (pos, Vec::new()) };
    let start = pos - typed.word.len();
    // Tables named behind the cursor count too: "SELECT | FROM flights".
    let end = line[pos..].find(';').map_or(line.len(), |end| pos + end);
    let statement = &line[begin..end];
    let sources = sources(names, statement);

    let mut found = Vec::new();
    if let Some(qualifier) = &typed.qualifier {
        found.extend(sources.iter().filter(|s| s.answers_to(qualifier)).flat_map(Source::columns));
        if found.is_empty() {
            found.extend(tables(names, qualifier));
        }
    } else if typed.wants_table {
        found.extend(tables(names, &names.current));
        found.extend(databases(names));
        let keywords = keyword_candidates(typed.word);
        found.extend(keywords.filter(|k| BEFORE_TABLES.contains(&&*k.text.to_uppercase())));
    } else {
        found.extend(sources.iter().flat_map(Source::columns));
        found.extend(sources.iter().filter_map(Source::alias));
        found.extend(keyword_candidates(typed.word));
        found.extend(names.functions.iter().map(|name| candidate(name, "function", Color::Cyan)));
        if sources.is_empty() {
            let all = names.tables.iter().filter(|((database, _), _)| *database == names.current);
            found.extend(all.flat_map(|((_, name), table)| columns(name, table)));
        }
        found.extend(tables(names, &names.current));
        found.extend(databases(names));
    }
    (start, matching(found, typed.word))
}

/// Where the statement begins that the cursor is in.
fn statement_begin(line: &str, pos: usize) -> usize {
    let ends = statements::tokens(line).into_iter().filter(|token| token.text(line) == ";");
    ends.map(|token| token.range.end).take_while(|end| *end <= pos).last().unwrap_or_default()
}

/// What stands right before the cursor.
struct Typed<'a> {
    /// The beginning of a name or keyword; may be empty.
    word: &'a str,
    /// The name before the dot that the word follows.
    qualifier: Option<String>,
    /// Whether a table's name belongs here.
    wants_table: bool,
}

impl<'a> Typed<'a> {
    /// None inside of strings and comments, where nothing is completed.
    fn new(text: &'a str, tokens: &[Token]) -> Option<Self> {
        let mut rest = tokens;
        let mut word = "";
        if let Some((last, before)) = tokens.split_last() {
            match last.kind {
                Kind::Word => (word, rest) = (last.text(text), before),
                Kind::QuotedName if !last.closed => (word, rest) = (last.text(text), before),
                Kind::String | Kind::Number | Kind::QuotedName => return None,
                Kind::Comment if !last.closed || last.text(text).starts_with("--") => return None,
                Kind::Comment | Kind::Space | Kind::Symbol => {}
            }
        }
        if let [before @ .., name, dot] = rest
            && dot.text(text) == "."
            && matches!(name.kind, Kind::Word | Kind::QuotedName)
        {
            let qualifier = Some(statements::unquoted(name.text(text)));
            let wants_table = wants_table(text, before);
            return Some(Self { word, qualifier, wants_table });
        }
        Some(Self { word, qualifier: None, wants_table: wants_table(text, rest) })
    }
}

fn wants_table(text: &str, before: &[Token]) -> bool {
    let last = before.iter().rfind(|token| !token.is_blank());
    last.is_some_and(|last| names_table(last.text(text)))
}

/// Whether a table's name follows the keyword `word`.
fn names_table(word: &str) -> bool {
    let keywords = ["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "VIEW", "DESCRIBE"];
    keywords.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// A table that a statement names.
struct Source<'a> {
    name: &'a str,
    table: &'a Table,
    alias: Option<String>,
}

impl Source<'_> {
    fn answers_to(&self, qualifier: &str) -> bool {
        self.name == qualifier || self.alias.as_deref() == Some(qualifier)
    }

    fn columns(&self) -> impl Iterator<Item = Candidate> + use<'_> {
        columns(self.name, self.table)
    }

    fn alias(&self) -> Option<Candidate> {
        let about = format!("alias of {}", self.name);
        Some(candidate(&statements::quoted(self.alias.as_ref()?), &about, Color::Yellow))
    }
}

/// The tables that `statement` names, in order.
fn sources<'a>(names: &'a Names, statement: &str) -> Vec<Source<'a>> {
    let tokens = statements::tokens(statement);
    let words: Vec<(Kind, &str)> = tokens
        .iter()
        .filter(|token| !token.is_blank())
        .map(|token| (token.kind, token.text(statement)))
        .collect();
    let is_name = |at: usize| {
        words.get(at).is_some_and(|(kind, text)| match kind {
            Kind::Word => !keywords::is_reserved(text),
            Kind::QuotedName => true,
            _ => false,
        })
    };
    let is = |at: usize, word: &str| {
        words.get(at).is_some_and(|(_, text)| text.eq_ignore_ascii_case(word))
    };
    let name = |at: usize| statements::unquoted(words[at].1);
    let mut sources = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let mut is_source = names_table(words[at].1);
        at += 1;
        while is_source && is_name(at) {
            let mut full = (names.current.clone(), name(at));
            at += 1;
            if is(at, ".") && is_name(at + 1) {
                full = (full.1, name(at + 1));
                at += 2;
            }
            at += usize::from(is(at, "AS"));
            let alias = is_name(at).then(|| name(at));
            at += usize::from(alias.is_some());
            if let Some(((_, name), table)) = names.tables.get_key_value(&full) {
                sources.push(Source { name, table, alias });
            }
            is_source = is(at, ",");
            at += usize::from(is_source);
        }
    }
    sources
}

fn columns(name: &str, table: &Table) -> impl Iterator<Item = Candidate> {
    table.columns.iter().map(move |(column, data_type)| {
        let about = format!("{data_type}, column of {name}");
        candidate(&statements::quoted(column), &about, Color::Default)
    })
}

fn tables<'a>(names: &'a Names, database: &'a str) -> impl Iterator<Item = Candidate> + use<'a> {
    let tables = names.tables.iter().filter(move |((of, _), _)| of == database);
    tables
        .map(|((_, name), table)| candidate(&statements::quoted(name), &table.kind, Color::Yellow))
}

fn databases(names: &Names) -> impl Iterator<Item = Candidate> {
    let databases = names.databases.iter();
    databases.map(|name| candidate(&statements::quoted(name), "database", Color::Yellow))
}

/// Keywords, in the case that the user writes them in.
fn keyword_candidates(word: &str) -> impl Iterator<Item = Candidate> {
    let is_lower = word.starts_with(|c: char| c.is_lowercase());
    KEYWORDS.iter().map(move |keyword| {
        let text = if is_lower { keyword.to_lowercase() } else { (*keyword).to_owned() };
        Candidate { text, about: "keyword".to_owned(), style: Color::Blue.bold() }
    })
}

fn command_candidates(names: &Names, line: &str, pos: usize) -> (usize, Vec<Candidate>) {
    let typed = &line[..pos];
    let Some((command, argument)) = typed.split_once(char::is_whitespace) else {
        let all = commands::ALL.iter();
        let all = all.map(|command| candidate(command.name, command.about, Color::Blue));
        return (0, matching(all, typed));
    };
    let argument = argument.trim_start();
    let start = pos - argument.len();
    match command {
        "\\c" => (start, matching(databases(names), argument)),
        "\\d" => match argument.rsplit_once('.') {
            Some((database, table)) => {
                let database = statements::unquoted(database);
                (pos - table.len(), matching(tables(names, &database), table))
            }
            None => {
                let tables = tables(names, &names.current).chain(databases(names));
                (start, matching(tables, argument))
            }
        },
        _ => (pos, Vec::new()),
    }
}

/// The candidates that begin with `word` in any case, each once.
fn matching(candidates: impl IntoIterator<Item = Candidate>, word: &str) -> Vec<Candidate> {
    let wanted = word.trim_start_matches('"').to_lowercase();
    let mut seen = std::collections::HashSet::new();
    candidates
        .into_iter()
        .filter(|c| c.text.trim_start_matches('"').to_lowercase().starts_with(&wanted))
        .filter(|candidate| seen.insert(candidate.text.clone()))
        .collect()
}

fn candidate(text: &str, about: &str, color: Color) -> Candidate {
    Candidate { text: text.to_owned(), about: about.to_owned(), style: color.normal() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let table = |columns: &[&str]| Table {
            kind: "table".to_owned(),
            columns: columns.iter().map(|c| ((*c).to_owned(), "bigint".to_owned())).collect(),
        };
        let full = |database: &str, name: &str| (database.to_owned(), name.to_owned());
        Names {
            databases: vec!["amp".to_owned(), "default".to_owned()],
            tables: [
                (full("amp", "plays"), table(&["user_id", "played_at"])),
                (full("default", "airlines"), table(&["carrier", "name"])),
                (full("default", "flights"), table(&["carrier", "Dep Time", "month"])),
            ]
            .into(),
            functions: vec!["count".to_owned(), "max".to_owned()],
            current: "default".to_owned(),
        }
    }

    /// The continuations at the mark `|`.
    fn complete(text: &str) -> Vec<String> {
        let pos = text.find('|').unwrap();
        let line = text.replacen('|', "", 1);
        let (_, candidates) = candidates(&names(), &line, pos);
        candidates.into_iter().map(|candidate| candidate.text).collect()
    }

    fn first(text: &str) -> String {
        complete(text).into_iter().next().unwrap_or_default()
    }

    #[test]
    fn columns_of_the_named_tables_come_first() {
        let found = complete("SELECT | FROM flights");
        assert_eq!(found[..3], ["carrier", "\"Dep Time\"", "month"]);
        assert_eq!(first("SELECT CAR| FROM flights"), "carrier");
        assert_eq!(first("SELECT pl| FROM amp.plays"), "played_at");
        assert_eq!(first("SELECT n| FROM flights, airlines"), "name");
    }

    #[test]
    fn keywords_follow_the_case_that_is_typed() {
        assert_eq!(first("sel|"), "select");
        assert_eq!(first("SEL|"), "SELECT");
    }

    #[test]
    fn tables_follow_the_words_that_want_one() {
        assert_eq!(first("SELECT * FROM f|"), "flights");
        let all = ["airlines", "flights", "amp", "default", "IF", "LATERAL", "UNNEST"];
        assert_eq!(complete("SELECT * FROM |"), all);
        assert_eq!(complete("SELECT * FROM amp.|"), ["plays"]);
        assert_eq!(first("DESCRIBE air|"), "airlines");
    }

    #[test]
    fn an_alias_or_table_before_the_dot_chooses_the_columns() {
        let sql = "SELECT a.| FROM flights f JOIN airlines AS a USING (carrier)";
        assert_eq!(complete(sql), ["carrier", "name"]);
        assert_eq!(complete("SELECT flights.m| FROM flights"), ["month"]);
        assert_eq!(complete("SELECT x.| FROM flights"), [""; 0]);
    }

    #[test]
    fn columns_are_known_before_their_table_is_named() {
        assert_eq!(complete("SELECT na|"), ["natural", "name"]);
        assert_eq!(first("SELECT na| FROM airlines"), "name");
    }

    #[test]
    fn functions_are_known() {
        assert_eq!(first("SELECT cou|"), "count");
    }

    #[test]
    fn nothing_is_completed_in_strings_and_comments() {
        assert!(complete("SELECT 'sel|").is_empty());
        assert!(complete("SELECT 1 -- sel|").is_empty());
        assert!(complete("/* sel|").is_empty());
        assert!(complete("SELECT 12|").is_empty());
    }

    #[test]
    fn only_the_statement_of_the_cursor_counts() {
        assert_eq!(
            first("SELECT ';' FROM flights; SELECT p| FROM amp.plays; SELECT 1"),
            "played_at"
        );
    }

    #[test]
    fn commands_and_their_arguments_are_completed() {
        assert_eq!(complete("\\t|"), ["\\timing"]);
        assert_eq!(complete("\\c a|"), ["amp"]);
        assert_eq!(complete("\\d fl|"), ["flights"]);
        assert_eq!(complete("\\d amp.|"), ["plays"]);
    }
}
