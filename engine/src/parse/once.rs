//! `WITH (txn_app = '…', txn_version = …)` at the end of an INSERT, which the grammar lacks.

use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::BoathouseDialect;
use super::own::is_word;
use crate::commit::AppTransaction;
use crate::{Error, Result};

const APP: &str = "txn_app";
const VERSION: &str = "txn_version";

/// The INSERT before such an end, and what the end says. A query's own `WITH` is followed by a
/// name, never by a parenthesis.
pub(super) fn split<'a>(
    sql: &'a str,
    tokens: &[TokenWithSpan],
) -> Result<Option<(&'a str, AppTransaction)>> {
    let tokens: Vec<&TokenWithSpan> =
        tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let is_insert = tokens.first().is_some_and(|token| is_word(&token.token, "INSERT"));
    let Some(start) = tokens.iter().rposition(|token| is_word(&token.token, "WITH")) else {
        return Ok(None);
    };
    let options = &tokens[start + 1..];
    let named = |name| options.get(1).is_some_and(|token| is_word(&token.token, name));
    let opens = options.first().is_some_and(|token| token.token == Token::LParen);
    if !is_insert || !opens || !(named(APP) || named(VERSION)) {
        return Ok(None);
    }
    let end = offset(sql, tokens[start].span.start);
    let options = options.iter().map(|token| (*token).clone()).collect();
    Ok(Some((&sql[..end], transaction(options)?)))
}

fn transaction(options: Vec<TokenWithSpan>) -> Result<AppTransaction> {
    let mut parser = Parser::new(&BoathouseDialect).with_tokens_with_locations(options);
    let (mut app, mut version) = (None, None);
    parser.expect_token(&Token::LParen)?;
    loop {
        let name = parser.parse_identifier()?.value.to_lowercase();
        parser.expect_token(&Token::Eq)?;
        let known = match name.as_str() {
            APP => &mut app,
            VERSION => &mut version,
            _ => return Err(unknown(&name)),
        };
        if known.replace(value(&mut parser)?).is_some() {
            return Err(Error::invalid(format!("{name} is there twice")));
        }
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    parser.expect_token(&Token::RParen)?;
    while parser.consume_token(&Token::SemiColon) {}
    parser.expect_token(&Token::EOF)?;
    match (app, version) {
        (Some(app), Some(version)) => AppTransaction::parse(&app, &version),
        _ => Err(Error::invalid(format!("{APP} and {VERSION} go together"))
            .with_hint(format!("Write WITH ({APP} = 'loader', {VERSION} = 1)."))),
    }
}

/// A text or a whole number.
fn value(parser: &mut Parser) -> Result<String> {
    let sign = if parser.consume_token(&Token::Minus) { "-" } else { "" };
    match parser.next_token().token {
        Token::SingleQuotedString(text) if sign.is_empty() => Ok(text),
        Token::Number(digits, _) => Ok(format!("{sign}{digits}")),
        _ => {
            parser.prev_token();
            Ok(parser
                .expected("a text or a number", parser.peek_token())
                .map(|()| String::new())?)
        }
    }
}

fn unknown(name: &str) -> Error {
    Error::invalid(format!("INSERT has no option \"{name}\""))
        .with_word(name)
        .with_hint(format!("It has {APP} and {VERSION}."))
}

/// Where in `sql` a place is that is told by line and column.
fn offset(sql: &str, place: Location) -> usize {
    let line = usize::try_from(place.line).unwrap_or(usize::MAX).saturating_sub(1);
    let column = usize::try_from(place.column).unwrap_or(usize::MAX).saturating_sub(1);
    let start: usize = sql.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &sql[start..];
    start + rest.char_indices().nth(column).map_or(rest.len(), |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, parse};
    use super::*;

    fn once(sql: &str) -> Option<(String, AppTransaction)> {
        match parse(sql).unwrap() {
            Parsed::InsertOnce(statement, transaction) => {
                Some((statement.get().to_string(), transaction))
            }
            _ => None,
        }
    }

    #[test]
    fn the_end_is_taken_off() {
        let wanted = AppTransaction::new("loader", 7).unwrap();
        for end in [
            "WITH (txn_app = 'loader', txn_version = 7)",
            "with(TXN_VERSION=7,txn_app='loader') ;",
            "\n-- ä\nWITH (txn_app = 'loader', txn_version = '7') -- done",
        ] {
            let sql = format!("INSERT INTO \"ä\" SELECT 'ü' AS x {end}");
            let (insert, transaction) = once(&sql).unwrap();
            assert_eq!(transaction, wanted);
            assert_eq!(insert, "INSERT INTO \"ä\" SELECT 'ü' AS x");
        }
    }

    #[test]
    fn other_withs_stay() {
        for sql in [
            "INSERT INTO t WITH x AS (SELECT 1 AS txn_app) SELECT * FROM x",
            "INSERT INTO t WITH x (txn_app, b) AS (SELECT 1, 2) SELECT * FROM x",
            "SELECT 1 AS x",
            "INSERT INTO t VALUES ('WITH (txn_app = 1)')",
        ] {
            assert!(once(sql).is_none(), "{sql}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (end, message) in [
            ("(txn_app = 'a')", "txn_app and txn_version go together"),
            ("(txn_app = 'a', txn_version = 1, x = 2)", "INSERT has no option \"x\""),
            ("(txn_app = 'a', txn_app = 'b')", "txn_app is there twice"),
            ("(txn_app = 'a', txn_version = 1.5)", "txn_version \"1.5\" is no whole number"),
            ("(txn_app = 'a', txn_version = -1)", "txn_version -1 is negative"),
            ("(txn_app = '', txn_version = 1)", "txn_app has 0 bytes; it takes 1 to 512"),
        ] {
            let error = parse(&format!("INSERT INTO t VALUES (1) WITH {end}")).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        let error = parse("INSERT INTO t VALUES (1) WITH (txn_app = ?, txn_version = 1)");
        assert_eq!(error.unwrap_err().kind(), crate::ErrorKind::Syntax);
    }
}
