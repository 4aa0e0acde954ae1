//! Tokens that DataFusion's grammar has no place for, put as it has them.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Puts `APPROXIMATE COUNT(DISTINCT …)`, `x ISNULL`, `x NOTNULL` and `AS [NOT] MATERIALIZED (`
/// as DataFusion takes them. Places in the text stay as they are.
pub(super) fn translate(tokens: &mut Vec<TokenWithSpan>) {
    let known = ["APPROXIMATE", "ISNULL", "NOTNULL", "MATERIALIZED"];
    if !tokens.iter().any(|token| known.iter().any(|word| is_word(token, word))) {
        return;
    }
    let mut at = 0;
    while at < tokens.len() {
        if is(tokens, at, "APPROXIMATE") {
            approximate(tokens, at);
        } else if is(tokens, at, "ISNULL") && is_postfix(tokens, at) {
            replace(tokens, at, &["IS", "NULL"]);
        } else if is(tokens, at, "NOTNULL") && is_postfix(tokens, at) {
            replace(tokens, at, &["IS", "NOT", "NULL"]);
        } else if is(tokens, at, "MATERIALIZED") {
            materialized(tokens, at);
        }
        at += 1;
    }
}

fn is_word(token: &TokenWithSpan, text: &str) -> bool {
    match &token.token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text),
        _ => false,
    }
}

fn is(tokens: &[TokenWithSpan], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| is_word(token, text))
}

/// The next token that isn't whitespace.
fn next(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let rest = tokens.iter().enumerate().skip(at + 1);
    rest.filter(|(_, token)| !is_space(token)).map(|(found, _)| found).next()
}

fn previous(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let before = tokens.iter().enumerate().take(at);
    before.filter(|(_, token)| !is_space(token)).map(|(found, _)| found).last()
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

fn is_token(tokens: &[TokenWithSpan], at: Option<usize>, wanted: &Token) -> bool {
    at.and_then(|at| tokens.get(at)).is_some_and(|token| token.token == *wanted)
}

fn set_word(tokens: &mut [TokenWithSpan], at: usize, text: &str) {
    if let Some(token) = tokens.get_mut(at) {
        token.token = word(text);
    }
}

fn word(text: &str) -> Token {
    let keyword = match text {
        "IS" => Keyword::IS,
        "NOT" => Keyword::NOT,
        "NULL" => Keyword::NULL,
        _ => Keyword::NoKeyword,
    };
    Token::Word(Word { value: text.to_owned(), quote_style: None, keyword })
}

/// `APPROXIMATE` before the aggregates that have it; an exact answer is one that is close.
fn approximate(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let Some(function) = next(tokens, at) else { return };
    let open = next(tokens, function);
    if !is_token(tokens, open, &Token::LParen) {
        return;
    }
    if is(tokens, function, "PERCENTILE_DISC") {
        tokens.remove(at);
    } else if is(tokens, function, "COUNT") {
        let distinct = open.and_then(|open| next(tokens, open));
        if let Some(distinct) = distinct.filter(|distinct| is(tokens, *distinct, "DISTINCT")) {
            set_word(tokens, function, "approx_distinct");
            tokens.remove(distinct);
            tokens.remove(at);
        }
    }
}

/// Whether the word at `at` stands where an operator behind an operand does.
fn is_postfix(tokens: &[TokenWithSpan], at: usize) -> bool {
    let after = next(tokens, at);
    if is_token(tokens, after, &Token::LParen) || is_token(tokens, after, &Token::Period) {
        return false;
    }
    match previous(tokens, at).and_then(|at| tokens.get(at)).map(|token| &token.token) {
        Some(Token::RParen | Token::RBracket | Token::Number(_, _) | Token::Placeholder(_)) => true,
        Some(Token::SingleQuotedString(_)) => true,
        Some(Token::Word(word)) => word.quote_style.is_some() || !introduces(word.keyword),
        _ => false,
    }
}

/// Whether an operand comes after this keyword, and not an operator.
fn introduces(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::SELECT
            | Keyword::DISTINCT
            | Keyword::ALL
            | Keyword::FROM
            | Keyword::JOIN
            | Keyword::WHERE
            | Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::ON
            | Keyword::USING
            | Keyword::AS
            | Keyword::BY
            | Keyword::HAVING
            | Keyword::QUALIFY
            | Keyword::CASE
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::BETWEEN
            | Keyword::IS
            | Keyword::SET
            | Keyword::INTO
            | Keyword::TABLE
    )
}

fn replace(tokens: &mut Vec<TokenWithSpan>, at: usize, words: &[&str]) {
    let Some(span) = tokens.get(at).map(|token| token.span) else { return };
    let words = words.iter().map(|text| TokenWithSpan { token: word(text), span });
    tokens.splice(at..=at, words);
}

/// Whether a WITH is computed once or put in place changes no answer.
fn materialized(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let after = next(tokens, at);
    if !is_token(tokens, after, &Token::LParen) {
        return;
    }
    let Some(before) = previous(tokens, at) else { return };
    let negated = is(tokens, before, "NOT");
    let lead = if negated { previous(tokens, before) } else { Some(before) };
    if lead.is_some_and(|lead| is(tokens, lead, "AS")) {
        tokens.remove(at);
        if negated {
            tokens.remove(before);
        }
    }
}
