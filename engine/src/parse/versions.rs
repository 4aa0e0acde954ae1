//! Tables at other versions than the newest: `FOR VERSION AS OF`, `t@v3`, `table_changes(…)`.
//!
//! Neither the grammar's tree nor the planner has a place for them, so the version goes into the
//! table's name, as the words that a person would write: `t FOR VERSION AS OF 3` becomes the
//! quoted name `"t FOR VERSION AS OF 3"` with the alias `t`, and the resolver takes it apart.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query, Statement as Sql,
    TableAlias, TableFactor, TableFunctionArgs, TableObject, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::BoathouseDialect;
use super::own::is_word;
use crate::{Error, Result};

const VERSION: &str = " FOR VERSION AS OF ";
const TIMESTAMP: &str = " FOR TIMESTAMP AS OF ";
const CHANGES: &str = " FOR CHANGES FROM ";
const TABLE_CHANGES: &str = "table_changes";
/// A version's expression has no more tokens than this.
const EXPRESSION_TOKENS_MAX: usize = 256;

/// What a reference wants of a table. Expressions are SQL text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AsOf {
    Newest,
    Version(String),
    Timestamp(String),
    /// `table_changes(table, …)`: the expressions after the table's name, with commas.
    Changes(String),
}

/// A name as the resolver meets it, taken apart: the table, and what is wanted of it.
pub(crate) fn split_name(name: &str) -> (&str, AsOf) {
    let kinds: [(&str, fn(String) -> AsOf); 3] =
        [(VERSION, AsOf::Version), (TIMESTAMP, AsOf::Timestamp), (CHANGES, AsOf::Changes)];
    for (words, kind) in kinds {
        if let Some((table, expression)) = name.split_once(words) {
            return (table, kind(expression.to_owned()));
        }
    }
    (name, AsOf::Newest)
}

/// The expression after `AS OF` as text; what follows it is left.
pub(super) fn expression(parser: &mut Parser<'_>) -> Result<String> {
    Ok(parser.parse_expr()?.to_string())
}

/// The tokens with each version clause moved into the name before it.
pub(super) fn fold_clauses(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    if !tokens.iter().any(|token| may_name_a_version(&token.token)) {
        return Ok(tokens);
    }
    let mut folded: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match clause_at(&tokens, at) {
            Some((words, start)) => {
                let (expression, length) = expression_at(&tokens, start)?;
                into_name(&mut folded, words, &expression)?;
                at = start + length;
            }
            None => {
                if !join_at_sign(&mut folded, token) {
                    folded.push(token.clone());
                }
                at += 1;
            }
        }
    }
    Ok(folded)
}

fn may_name_a_version(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.value.starts_with('@') || is_word(token, "OF"),
        _ => false,
    }
}

/// The words of a version clause that begins here, and where its expression does.
fn clause_at(tokens: &[TokenWithSpan], at: usize) -> Option<(&'static str, usize)> {
    let is_for = is_word(&tokens.get(at)?.token, "FOR");
    let mut next = significant(tokens, at + usize::from(is_for));
    let (first, after) = next.next()?;
    if !is_for && after != at {
        return None;
    }
    let words = match first {
        word if is_word(word, "VERSION") || (is_for && is_word(word, "SYSTEM_VERSION")) => VERSION,
        word if is_word(word, "TIMESTAMP") || (is_for && is_word(word, "SYSTEM_TIME")) => TIMESTAMP,
        _ => return None,
    };
    if !is_word(next.next()?.0, "AS") || !is_word(next.next()?.0, "OF") {
        return None;
    }
    let (value, start) = next.next()?;
    // Without FOR it may be a column: SELECT version AS of FROM …
    (is_for || begins_value(value)).then_some((words, start))
}

fn significant(tokens: &[TokenWithSpan], from: usize) -> impl Iterator<Item = (&Token, usize)> {
    let tokens = tokens.iter().enumerate().skip(from);
    tokens
        .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
        .map(|(at, token)| (&token.token, at))
}

fn begins_value(token: &Token) -> bool {
    let words = ["CAST", "TIMESTAMP", "DATE", "NOW", "CURRENT_TIMESTAMP", "CURRENT_DATE"];
    match token {
        Token::Number(..) | Token::SingleQuotedString(_) | Token::LParen => true,
        Token::Placeholder(_) | Token::Minus => true,
        word => words.iter().any(|known| is_word(word, known)),
    }
}

/// The expression at `start` as text, and how many tokens it has.
fn expression_at(tokens: &[TokenWithSpan], start: usize) -> Result<(String, usize)> {
    let rest = tokens.get(start..).unwrap_or_default();
    let rest = rest.iter().take(EXPRESSION_TOKENS_MAX).cloned().collect();
    let mut parser = Parser::new(&BoathouseDialect).with_tokens_with_locations(rest);
    let text = expression(&mut parser)?;
    Ok((text, parser.get_current_index() + 1))
}

/// Puts the clause into the name that the tokens end with.
fn into_name(folded: &mut Vec<TokenWithSpan>, words: &str, expression: &str) -> Result<()> {
    while matches!(folded.last().map(|last| &last.token), Some(Token::Whitespace(_))) {
        folded.pop();
    }
    let before_alias = is_alias(folded);
    let last = folded.last_mut().map(|last| &mut last.token);
    let name = match &last {
        Some(Token::Word(word)) => word_text(word),
        Some(Token::SingleQuotedString(path)) => path.clone(),
        _ => {
            let text = format!("\"{}\" does not follow a table's name", words.trim());
            return Err(Error::invalid(text).with_hint("Versions are those of tables."));
        }
    };
    if before_alias {
        let text = format!("\"{}\" follows the alias \"{name}\"", words.trim());
        return Err(Error::invalid(text)
            .with_hint("The version goes before the alias: t FOR VERSION AS OF 3 AS x."));
    }
    if let Some(last) = last {
        *last = quoted(format!("{name}{words}{expression}"));
    }
    Ok(())
}

fn word_text(word: &Word) -> String {
    match word.quote_style {
        Some(_) => word.value.clone(),
        None => word.value.to_lowercase(),
    }
}

fn quoted(value: String) -> Token {
    Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword })
}

/// Whether the name at the end has a name before it, or AS.
fn is_alias(tokens: &[TokenWithSpan]) -> bool {
    let mut before = tokens
        .iter()
        .rev()
        .map(|token| &token.token)
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .skip(1);
    let mut token = before.next();
    while matches!(token, Some(Token::Period)) {
        before.next();
        token = before.next();
    }
    let starts = ["FROM", "JOIN", "INTO", "TABLE", "UPDATE", "USING", "LATERAL", "ONLY"];
    match token {
        Some(Token::Comma | Token::LParen) | None => false,
        Some(word) => !starts.iter().any(|start| is_word(word, start)),
    }
}

/// `"t"@v3` comes as two words; `t@v3` as one.
fn join_at_sign(folded: &mut [TokenWithSpan], token: &TokenWithSpan) -> bool {
    let Token::Word(Word { value, quote_style: None, .. }) = &token.token else { return false };
    let Some(("", wanted)) = at_suffix(value) else { return false };
    match folded.last_mut().map(|last| &mut last.token) {
        Some(Token::Word(word)) if word.quote_style.is_some() => {
            word.value = with_wanted(&word.value, &wanted);
            true
        }
        Some(last @ Token::SingleQuotedString(_)) => {
            let Token::SingleQuotedString(path) = &*last else { return false };
            *last = quoted(with_wanted(path, &wanted));
            true
        }
        _ => false,
    }
}

/// `t@v3` and `t@20240131123000000` (year to millisecond).
fn at_suffix(name: &str) -> Option<(&str, AsOf)> {
    let (table, suffix) = name.rsplit_once('@')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(version) = suffix.strip_prefix(['v', 'V']).filter(|text| is_number(text)) {
        return Some((table, AsOf::Version(version.to_owned())));
    }
    if !is_number(suffix) || suffix.len() != 17 {
        return None;
    }
    let part = |from: usize, to: usize| suffix.get(from..to).unwrap_or_default();
    let date = format!("{}-{}-{}", part(0, 4), part(4, 6), part(6, 8));
    let time = format!("{}:{}:{}.{}", part(8, 10), part(10, 12), part(12, 14), part(14, 17));
    Some((table, AsOf::Timestamp(format!("'{date} {time}'"))))
}

fn with_wanted(table: &str, wanted: &AsOf) -> String {
    match wanted {
        AsOf::Newest => table.to_owned(),
        AsOf::Version(expression) => format!("{table}{VERSION}{expression}"),
        AsOf::Timestamp(expression) => format!("{table}{TIMESTAMP}{expression}"),
        AsOf::Changes(expressions) => format!("{table}{CHANGES}{expressions}"),
    }
}

/// Gives tables at a version their plain name as alias, and makes names of `t@v3` and
/// `table_changes(…)`.
pub(super) fn name_versions(statement: &mut Statement) -> Result<()> {
    let statement = match statement {
        Statement::Statement(statement) => statement,
        Statement::Explain(explain) => return name_versions(&mut explain.statement),
        _ => return Ok(()),
    };
    if let Sql::Insert(insert) = statement.as_ref()
        && let TableObject::TableName(name) = &insert.table
        && name.0.last().and_then(ObjectNamePart::as_ident).is_some_and(names_a_version)
    {
        return Err(Error::invalid("an older version of a table can't be changed")
            .with_hint("Insert into the table, or RESTORE it to that version first."));
    }
    match statement.as_mut().visit(&mut Names) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn names_a_version(ident: &Ident) -> bool {
    ident.quote_style.is_some() && split_name(&ident.value).1 != AsOf::Newest
}

struct Names;

impl VisitorMut for Names {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, alias, args, .. } = factor else {
            return ControlFlow::Continue(());
        };
        match name_version(name, alias, args) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn name_version(
    name: &mut ObjectName,
    alias: &mut Option<TableAlias>,
    args: &mut Option<TableFunctionArgs>,
) -> Result<()> {
    let is_changes = super::name_parts(name) == [TABLE_CHANGES];
    if let Some(given) = args.as_ref().filter(|_| is_changes) {
        *name = changes_name(&given.args)?;
        *args = None;
        add_alias(alias, TABLE_CHANGES);
        return Ok(());
    }
    let Some(ident) = name.0.last_mut().and_then(ident_mut) else { return Ok(()) };
    if ident.quote_style.is_none()
        && let Some((table, wanted)) = at_suffix(&ident.value)
    {
        ident.value = with_wanted(&table.to_lowercase(), &wanted);
        ident.quote_style = Some('"');
    }
    if ident.quote_style.is_some()
        && let (table, AsOf::Version(_) | AsOf::Timestamp(_)) = split_name(&ident.value)
    {
        add_alias(alias, table);
    }
    Ok(())
}

fn ident_mut(part: &mut ObjectNamePart) -> Option<&mut Ident> {
    match part {
        ObjectNamePart::Identifier(ident) => Some(ident),
        ObjectNamePart::Function(_) => None,
    }
}

fn add_alias(alias: &mut Option<TableAlias>, name: &str) {
    if alias.is_none() {
        let name = Ident::with_quote('"', name);
        *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
    }
}

/// The name for `table_changes('db.t', first [, last])`.
fn changes_name(args: &[FunctionArg]) -> Result<ObjectName> {
    let wrong = || {
        Error::invalid("table_changes takes a table's name and one or two versions or timestamps")
            .with_hint("Write table_changes('db.t', 3) or table_changes('db.t', 3, 5).")
    };
    let texts: Vec<&Expr> = args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
            _ => Err(wrong()),
        })
        .collect::<Result<_>>()?;
    let (Some((Expr::Value(table), bounds)), 2..=3) = (texts.split_first(), texts.len()) else {
        return Err(wrong());
    };
    let Value::SingleQuotedString(table) = &table.value else { return Err(wrong()) };
    let mut parser = Parser::new(&BoathouseDialect)
        .try_with_sql(table)
        .map_err(|error| Error::from(error).about("the first argument of table_changes"))?;
    let mut name = match table.contains('/') {
        true => ObjectName::from(vec![Ident::with_quote('"', table)]),
        false => parser.parse_object_name(false)?,
    };
    let bounds: Vec<String> = bounds.iter().map(|bound| bound.to_string()).collect();
    if let Some(ident) = name.0.last_mut().and_then(ident_mut) {
        let table = super::fold(ident);
        *ident = Ident::with_quote('"', with_wanted(&table, &AsOf::Changes(bounds.join(", "))));
    }
    Ok(name)
}

/// The query as a person would write it, with the versions out of the names again.
pub(crate) fn as_written(query: &Query) -> Query {
    let mut query = query.clone();
    let _ = query.visit(&mut Unfolded);
    query
}

struct Unfolded;

impl VisitorMut for Unfolded {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, .. } = factor else { return ControlFlow::Continue(()) };
        let Some(ident) = name.0.last_mut().and_then(ident_mut) else {
            return ControlFlow::Continue(());
        };
        let (table, wanted) = split_name(&ident.value);
        if wanted == AsOf::Newest || ident.quote_style.is_none() {
            return ControlFlow::Continue(());
        }
        // A name without quotes is shown as it is.
        let table = Ident::with_quote('"', table);
        match wanted {
            AsOf::Changes(bounds) => {
                *ident = table;
                let table = name.to_string().replace('\'', "''");
                let call = format!("{TABLE_CHANGES}('{table}', {bounds})");
                *name = ObjectName::from(vec![Ident::new(call)]);
            }
            wanted => *ident = Ident::new(with_wanted(&table.to_string(), &wanted)),
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, parse};
    use super::*;

    fn shown(sql: &str) -> String {
        match parse(sql).unwrap() {
            Parsed::Sql(statement) => statement.get().to_string(),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_version_goes_into_the_name() {
        for clause in ["FOR VERSION AS OF 3", "VERSION AS OF 3", "FOR SYSTEM_VERSION AS OF 3"] {
            let text = shown(&format!("SELECT * FROM db.T {clause} AS x JOIN u ON true"));
            assert_eq!(text, "SELECT * FROM db.\"t FOR VERSION AS OF 3\" AS x JOIN u ON true");
        }
        let text = shown("SELECT * FROM t@v3, \"T\"@v4");
        assert_eq!(
            text,
            "SELECT * FROM \"t FOR VERSION AS OF 3\" AS \"t\", \
             \"T FOR VERSION AS OF 4\" AS \"T\""
        );
    }

    #[test]
    fn a_timestamp_is_an_expression() {
        let text = shown("SELECT 1 FROM t FOR SYSTEM_TIME AS OF now() - interval '1 hour' WHERE a");
        assert_eq!(
            text,
            "SELECT 1 FROM \"t FOR TIMESTAMP AS OF now() - INTERVAL '1 hour'\" AS \"t\" WHERE a"
        );
    }

    #[test]
    fn names_are_taken_apart_again() {
        let name = |text| split_name(text);
        assert_eq!(name("t FOR VERSION AS OF 3"), ("t", AsOf::Version("3".into())));
        assert_eq!(name("t FOR CHANGES FROM 1, 2"), ("t", AsOf::Changes("1, 2".into())));
        assert_eq!(name("t"), ("t", AsOf::Newest));
    }

    #[test]
    fn columns_may_be_called_version() {
        assert_eq!(shown("SELECT version AS of FROM t"), "SELECT version AS of FROM t");
        assert_eq!(shown("SELECT 1 AS x@v3 FROM t"), "SELECT 1 AS x@v3 FROM t");
    }

    #[test]
    fn a_version_after_an_alias_is_refused() {
        for sql in [
            "SELECT * FROM t x FOR VERSION AS OF 3",
            "SELECT * FROM t AS x VERSION AS OF 3",
            "SELECT * FROM (SELECT 1) FOR VERSION AS OF 3",
        ] {
            assert!(parse(sql).unwrap_err().hint().is_some(), "{sql}");
        }
    }

    #[test]
    fn a_query_is_shown_as_written() {
        for sql in [
            "SELECT * FROM db.\"t\" FOR VERSION AS OF 3 AS \"t\" JOIN u ON true",
            "SELECT * FROM \"T x\" FOR TIMESTAMP AS OF now() AS y",
            "SELECT * FROM table_changes('db.\"it''s\"', 1, 2) AS c",
        ] {
            let Parsed::Sql(statement) = parse(sql).unwrap() else { unreachable!() };
            let Statement::Statement(statement) = statement.get() else { unreachable!() };
            let Sql::Query(query) = statement.as_ref() else { unreachable!() };
            assert_eq!(as_written(query).to_string(), sql);
        }
    }

    #[test]
    fn changes_are_a_table() {
        let text = shown("SELECT * FROM table_changes('db.t', 1, 2) c");
        assert_eq!(text, "SELECT * FROM db.\"t FOR CHANGES FROM 1, 2\" c");
    }
}
