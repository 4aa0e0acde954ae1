//! The lexical side of SQL: tokens, where statements end, and whether one is complete.
//!
//! The rules are PostgreSQL's: doubled quotes, `E'..'` with backslashes, dollar quotes and
//! comments that nest.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or a bare name.
    Word,
    /// A name in double quotes.
    QuotedName,
    /// A string in single or dollar quotes.
    String,
    /// A number.
    Number,
    /// A comment of either form.
    Comment,
    /// White space.
    Space,
    /// Anything else, one character at a time.
    Symbol,
}

/// A piece of a text. The tokens of a text cover all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it is, in bytes.
    pub(crate) range: Range<usize>,
    /// False where the text ends inside of a quote or a comment.
    pub(crate) closed: bool,
}

impl Token {
    /// Its text.
    pub(crate) fn text<'a>(&self, sql: &'a str) -> &'a str {
        &sql[self.range.clone()]
    }

    /// Whether it means nothing: white space or a comment.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self.kind, Kind::Space | Kind::Comment)
    }
}

/// One statement of a longer text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    /// Its text, from its first word on, without the semicolon.
    pub(crate) sql: &'a str,
    /// The line of the longer text that it starts on, counted from 1.
    pub(crate) line: usize,
}

/// The tokens of `sql`.
pub(crate) fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(first) = sql[start..].chars().next() {
        let (kind, length, closed) = token(&sql[start..], first);
        tokens.push(Token { kind, range: start..start + length, closed });
        start += length;
    }
    tokens
}

/// The statements of `sql`, without those that hold no words.
pub(crate) fn split(sql: &str) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    let mut bounds: Option<Range<usize>> = None;
    let mut finish = |bounds: Option<Range<usize>>| {
        let Some(bounds) = bounds else { return };
        let line = 1 + sql[..bounds.start].matches('\n').count();
        statements.push(Statement { sql: &sql[bounds], line });
    };
    for token in tokens(sql) {
        if token.text(sql) == ";" {
            finish(bounds.take());
        } else if !token.is_blank() {
            let start = bounds.map_or(token.range.start, |bounds| bounds.start);
            bounds = Some(start..token.range.end);
        }
    }
    finish(bounds);
    statements
}

/// Whether `sql` ends with a semicolon that ends a statement, or holds no words at all.
pub(crate) fn is_complete(sql: &str) -> bool {
    let tokens = tokens(sql);
    if tokens.iter().any(|token| !token.closed) {
        return false;
    }
    tokens.iter().rfind(|token| !token.is_blank()).is_none_or(|last| last.text(sql) == ";")
}

/// The first word of a statement, in upper case.
pub(crate) fn first_word(sql: &str) -> String {
    let tokens = tokens(sql);
    let first = tokens.iter().find(|token| !token.is_blank() && token.text(sql) != "(");
    first.map(|token| token.text(sql).to_ascii_uppercase()).unwrap_or_default()
}

/// `name` as it is written in SQL: in quotes where it would mean something else without.
pub(crate) fn quoted(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !crate::keywords::is_reserved(name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// The name that `text`, a bare or quoted name in SQL, stands for.
pub(crate) fn unquoted(text: &str) -> String {
    match text.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner).replace("\"\"", "\""),
        None => text.to_lowercase(),
    }
}

/// `text` as a string literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The kind, length and completeness of the token at the start of `rest`.
fn token(rest: &str, first: char) -> (Kind, usize, bool) {
    let second = rest[first.len_utf8()..].chars().next();
    match (first, second) {
        ('-', Some('-')) => (Kind::Comment, rest.find('\n').unwrap_or(rest.len()), true),
        ('/', Some('*')) => whole(Kind::Comment, rest, block_comment(rest)),
        ('\'', _) => whole(Kind::String, rest, quote(rest, 1, '\'')),
        ('E' | 'e', Some('\'')) => whole(Kind::String, rest, escape_string(rest)),
        ('"', _) => whole(Kind::QuotedName, rest, quote(rest, 1, '"')),
        ('$', _) => match dollar_tag(rest) {
            Some(tag) => whole(Kind::String, rest, after(rest, tag.len(), tag)),
            None => (Kind::Symbol, 1, true),
        },
        (c, _) if c.is_whitespace() => (Kind::Space, run(rest, char::is_whitespace), true),
        (c, _) if c.is_ascii_digit() => (Kind::Number, number(rest), true),
        ('.', Some(c)) if c.is_ascii_digit() => (Kind::Number, number(rest), true),
        (c, _) if is_word_start(c) => (Kind::Word, run(rest, is_word), true),
        (c, _) => (Kind::Symbol, c.len_utf8(), true),
    }
}

fn whole(kind: Kind, rest: &str, end: Option<usize>) -> (Kind, usize, bool) {
    (kind, end.unwrap_or(rest.len()), end.is_some())
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn run(rest: &str, belongs: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !belongs(c)).unwrap_or(rest.len())
}

fn number(rest: &str) -> usize {
    let mut end = run(rest, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
    let exponent = rest[..end].ends_with(['e', 'E']) && rest[end..].starts_with(['+', '-']);
    if exponent && !rest.starts_with("0x") {
        end += 1 + run(&rest[end + 1..], |c| c.is_ascii_digit());
    }
    end
}

/// The end of a quoted piece that began before `from`, where a doubled quote does not end it.
fn quote(rest: &str, from: usize, mark: char) -> Option<usize> {
    let mut at = from;
    loop {
        at += rest[at..].find(mark)? + 1;
        if !rest[at..].starts_with(mark) {
            return Some(at);
        }
        at += 1;
    }
}

fn escape_string(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 2;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'\\', _) | (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// `$$` or `$tag$` at the start of `rest`. `$1` is a parameter.
fn dollar_tag(rest: &str) -> Option<&str> {
    let end = 1 + rest[1..].find('$')?;
    let tag = &rest[1..end];
    let is_tag = tag.is_empty()
        || (tag.starts_with(is_word_start) && tag.chars().all(|c| is_word(c) && c != '$'));
    is_tag.then(|| &rest[..=end])
}

fn after(rest: &str, from: usize, mark: &str) -> Option<usize> {
    rest[from..].find(mark).map(|at| from + at + mark.len())
}

fn block_comment(rest: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    loop {
        let next = at + rest[at..].find(['/', '*'])?;
        at = next + 1;
        if rest[next..].starts_with("/*") {
            depth += 1;
            at += 1;
        } else if rest[next..].starts_with("*/") {
            depth -= 1;
            at += 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        split(sql).into_iter().map(|statement| statement.sql).collect()
    }

    #[test]
    fn a_semicolon_ends_a_statement_only_outside_of_quotes_and_comments() {
        let sql = "SELECT ';' , \";\" -- ;\n /* ; /* ; */ ; */ ; SELECT $$;$$, $a$;$$;$a$; SELECT E'\\';'";
        assert_eq!(
            texts(sql),
            ["SELECT ';' , \";\"", "SELECT $$;$$, $a$;$$;$a$", "SELECT E'\\';'"]
        );
    }

    #[test]
    fn statements_without_words_are_left_out() {
        assert_eq!(texts(" ;; -- nothing\n ; SELECT 1"), ["SELECT 1"]);
        assert!(texts("/* nothing */").is_empty());
    }

    #[test]
    fn a_statement_knows_its_line() {
        let lines: Vec<_> =
            split("SELECT 1;\n\n-- two\nSELECT\n2;").iter().map(|s| s.line).collect();
        assert_eq!(lines, [1, 4]);
    }

    #[test]
    fn a_statement_is_complete_with_its_semicolon() {
        for complete in ["", "SELECT 1;", "SELECT 1; -- done", "SELECT 'it''s';\n", "-- nothing"] {
            assert!(is_complete(complete), "{complete:?}");
        }
        for open in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT 2", "/* ;", "SELECT $x$ ;", "\";"] {
            assert!(!is_complete(open), "{open:?}");
        }
    }

    #[test]
    fn tokens_cover_the_text() {
        let sql = "sélect a.b, 1.5e-3, .5, $1 FROM \"Ü\"\"x\" WHERE x='ß' /* */--";
        let tokens = tokens(sql);
        let text: String = tokens.iter().map(|token| token.text(sql)).collect();
        assert_eq!(text, sql);
        let numbers: Vec<_> =
            tokens.iter().filter(|t| t.kind == Kind::Number).map(|t| t.text(sql)).collect();
        assert_eq!(numbers, ["1.5e-3", ".5", "1"]);
    }

    #[test]
    fn the_first_word_is_found_behind_comments() {
        assert_eq!(first_word("-- x\n insert into t values (1)"), "INSERT");
        assert_eq!(first_word("(select 1)"), "SELECT");
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert_eq!(quoted("flights_2013"), "flights_2013");
        assert_eq!(quoted("Flights"), "\"Flights\"");
        assert_eq!(quoted("select"), "\"select\"");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
