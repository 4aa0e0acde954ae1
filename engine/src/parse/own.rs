//! Statements that DataFusion's grammar doesn't have, or not all of.

mod alter_table;
mod column;
mod create_table;
mod maintenance;

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

pub(crate) use alter_table::{AlterTable, ColumnChange, TableChange};
pub(crate) use column::{ColumnDefinition, ColumnType, ConstraintKind, TableConstraint};
pub(crate) use create_table::{CreateTable, check_forms};
pub(crate) use maintenance::{Converted, Maintenance};

use super::{BoathouseDialect, Parsed, fold, name_parts};
use crate::{Error, Result};

/// A statement about crawlers.
#[derive(Clone, Debug)]
pub(crate) enum CrawlerStatement {
    /// `CREATE CRAWLER [IF NOT EXISTS] name ON 'location' [, …] INTO database [WITH (option = 'value', …)]`
    Create {
        name: String,
        if_not_exists: bool,
        locations: Vec<String>,
        database: String,
        options: BTreeMap<String, String>,
    },
    /// `DROP CRAWLER [IF EXISTS] name`
    Drop { name: String, if_exists: bool },
    /// `CRAWL name`, or `EXPLAIN CRAWL name`, which changes nothing.
    Crawl { of: Crawled, plan_only: bool },
    /// `SHOW CRAWLERS`
    Show,
}

/// What is crawled.
#[derive(Clone, Debug)]
pub(crate) enum Crawled {
    /// What a crawler of this name looks at.
    Crawler(String),
    /// `CRAWL 'location' [INTO database]`
    Location { location: String, database: Option<String> },
}

/// `ALTER TABLE name ADD | DROP PARTITION …`
#[derive(Clone, Debug)]
pub(crate) struct AlterPartitions {
    pub(crate) table: Vec<String>,
    pub(crate) change: PartitionChange,
    pub(crate) partitions: Vec<PartitionSpec>,
}

/// What becomes of the partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartitionChange {
    Add { if_not_exists: bool },
    Drop { if_exists: bool },
}

/// `PARTITION (key = value, …) [LOCATION 'location']`
#[derive(Clone, Debug)]
pub(crate) struct PartitionSpec {
    /// By the keys' names; `None` is NULL.
    pub(crate) values: BTreeMap<String, Option<String>>,
    pub(crate) location: Option<String>,
}

/// The statement, if it is one of these.
pub(super) fn statement(tokens: &[TokenWithSpan]) -> Result<Option<Parsed>> {
    let words: Vec<String> = tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)))
        .take(4)
        .map(|token| token.token.to_string().to_ascii_uppercase())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut own = Own::new(tokens);
    let parsed = match words.as_slice() {
        ["SHOW", "PARTITIONS", ..] => Parsed::ShowPartitions(own.skip(2).table()?),
        ["REFRESH", "TABLE", ..] => Parsed::RefreshTable(own.skip(2).table()?),
        ["MSCK", "REPAIR", "TABLE", ..] => Parsed::RefreshTable(own.skip(3).table()?),
        ["CREATE", "CRAWLER", ..] => Parsed::Crawler(own.skip(2).create_crawler()?),
        ["DROP", "CRAWLER", ..] => Parsed::Crawler(own.skip(2).drop_crawler()?),
        ["SHOW", "CRAWLERS", ..] => {
            own.skip(2);
            Parsed::Crawler(CrawlerStatement::Show)
        }
        ["CRAWL", ..] => Parsed::Crawler(own.skip(1).crawl(false)?),
        ["EXPLAIN", "CRAWL", ..] => Parsed::Crawler(own.skip(2).crawl(true)?),
        ["COPY", ..] => match own.skip(1).copy()? {
            Some(copy) => Parsed::Copy(copy),
            None => return Ok(None),
        },
        ["UNLOAD", ..] => Parsed::Unload(own.skip(1).unload()?),
        ["ALTER", "TABLE", ..] => match own.skip(2).alter_partitions()? {
            Some(alter) => Parsed::AlterPartitions(alter),
            None => {
                own = Own::new(tokens);
                own.skip(2).alter_table()?
            }
        },
        ["CREATE", "TABLE", ..] => {
            own = Own::with_query(tokens)?;
            own.skip(2).create_table(false)?
        }
        ["CREATE", "OR", "REPLACE", "TABLE"] => {
            own = Own::with_query(tokens)?;
            own.skip(4).create_table(true)?
        }
        ["COMMENT", "ON", ..] => own.skip(2).comment_on()?,
        words => match maintenance::statement(words, &mut own)? {
            Some(statement) => Parsed::Maintenance(statement),
            None => return Ok(None),
        },
    };
    own.end()?;
    Ok(Some(parsed))
}

/// The tokens with `UPDATE SET *` and `INSERT *` of a MERGE as the grammar has them:
/// `SET "*" = DEFAULT` and `INSERT ROW`.
pub(super) fn with_stars(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !is_merge(&tokens) {
        return tokens;
    }
    let place = |token: Token| TokenWithSpan::new(token, Span::empty());
    let mut written = Vec::with_capacity(tokens.len());
    // The last two tokens that are no space.
    let mut last = (Token::EOF, Token::EOF);
    for token in tokens {
        let follows = |words: [&str; 2]| is_word(&last.0, words[0]) && is_word(&last.1, words[1]);
        if token.token == Token::Mul && follows(["UPDATE", "SET"]) {
            let set = [Token::make_word("*", Some('"')), Token::Eq, Token::make_keyword("DEFAULT")];
            written.extend(set.map(place));
        } else if token.token == Token::Mul && follows(["THEN", "INSERT"]) {
            written.push(place(Token::make_keyword("ROW")));
        } else {
            if !matches!(token.token, Token::Whitespace(_)) {
                last = (last.1, token.token.clone());
            }
            written.push(token);
        }
    }
    written
}

/// Whether it's a MERGE, or EXPLAIN of one.
fn is_merge(tokens: &[TokenWithSpan]) -> bool {
    let is_before = |token: &Token| {
        matches!(token, Token::Whitespace(_))
            || ["EXPLAIN", "ANALYZE", "VERBOSE"].iter().any(|word| is_word(token, word))
    };
    let first = tokens.iter().find(|token| !is_before(&token.token));
    first.is_some_and(|token| is_word(&token.token, "MERGE"))
}

pub(super) struct Own<'a>(pub(super) Parser<'a>);

impl Own<'_> {
    fn new(tokens: &[TokenWithSpan]) -> Self {
        let parser = Parser::new(&BoathouseDialect).with_recursion_limit(super::NESTING_MAX);
        Self(parser.with_tokens_with_locations(tokens.to_vec()))
    }

    /// Of a statement that has a query in it.
    fn with_query(tokens: &[TokenWithSpan]) -> Result<Self> {
        let mut tokens = tokens.to_vec();
        super::spellings::translate(&mut tokens);
        Ok(Self::new(&super::versions::fold_clauses(tokens)?))
    }

    fn skip(&mut self, tokens: usize) -> &mut Self {
        for _ in 0..tokens {
            self.0.next_token();
        }
        self
    }

    /// Whether these words come next; they are taken then.
    pub(super) fn takes(&mut self, words: &[&str]) -> bool {
        for (taken, word) in words.iter().enumerate() {
            if !is_word(&self.0.next_token().token, word) {
                for _ in 0..=taken {
                    self.0.prev_token();
                }
                return false;
            }
        }
        true
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<()> {
        match self.takes(&[word]) {
            true => Ok(()),
            false => Err(self.expected(word)),
        }
    }

    pub(super) fn expected(&self, what: &str) -> Error {
        let fault = self.0.expected::<()>(what, self.0.peek_token()).err();
        Error::from(fault.unwrap_or_else(|| ParserError::ParserError(format!("expected {what}"))))
    }

    pub(super) fn table(&mut self) -> Result<Vec<String>> {
        Ok(name_parts(&self.0.parse_object_name(false)?))
    }

    pub(super) fn name(&mut self) -> Result<String> {
        Ok(fold(&self.0.parse_identifier()?))
    }

    fn create_crawler(&mut self) -> Result<CrawlerStatement> {
        let if_not_exists = self.takes(&["IF", "NOT", "EXISTS"]);
        let name = self.name()?;
        self.expect("ON")?;
        let mut locations = vec![self.0.parse_literal_string()?];
        while self.0.consume_token(&Token::Comma) {
            locations.push(self.0.parse_literal_string()?);
        }
        self.expect("INTO")?;
        let database = self.name()?;
        let options = match self.takes(&["WITH"]) {
            true => self.options()?,
            false => BTreeMap::new(),
        };
        Ok(CrawlerStatement::Create { name, if_not_exists, locations, database, options })
    }

    /// `(name = 'value', …)`
    fn options(&mut self) -> Result<BTreeMap<String, String>> {
        let mut options = BTreeMap::new();
        self.0.expect_token(&Token::LParen)?;
        loop {
            let name = self.name()?;
            self.0.expect_token(&Token::Eq)?;
            options.insert(name, self.0.parse_literal_string()?);
            if !self.0.consume_token(&Token::Comma) {
                break;
            }
        }
        self.0.expect_token(&Token::RParen)?;
        Ok(options)
    }

    fn drop_crawler(&mut self) -> Result<CrawlerStatement> {
        let if_exists = self.takes(&["IF", "EXISTS"]);
        Ok(CrawlerStatement::Drop { name: self.name()?, if_exists })
    }

    fn crawl(&mut self, plan_only: bool) -> Result<CrawlerStatement> {
        let of = match self.0.peek_token().token {
            Token::SingleQuotedString(_) => {
                let location = self.0.parse_literal_string()?;
                let database = self.takes(&["INTO"]).then(|| self.name()).transpose()?;
                Crawled::Location { location, database }
            }
            _ => Crawled::Crawler(self.name()?),
        };
        Ok(CrawlerStatement::Crawl { of, plan_only })
    }

    /// `None` if it's another change of a table.
    fn alter_partitions(&mut self) -> Result<Option<AlterPartitions>> {
        self.takes(&["IF", "EXISTS"]);
        let table = self.table()?;
        let change = if self.takes(&["ADD", "IF", "NOT", "EXISTS", "PARTITION"]) {
            PartitionChange::Add { if_not_exists: true }
        } else if self.takes(&["ADD", "PARTITION"]) {
            PartitionChange::Add { if_not_exists: false }
        } else if self.takes(&["DROP", "IF", "EXISTS", "PARTITION"]) {
            PartitionChange::Drop { if_exists: true }
        } else if self.takes(&["DROP", "PARTITION"]) {
            PartitionChange::Drop { if_exists: false }
        } else {
            return Ok(None);
        };
        let mut partitions = vec![self.partition()?];
        loop {
            let _ = self.0.consume_token(&Token::Comma);
            if !self.takes(&["PARTITION"]) {
                break;
            }
            partitions.push(self.partition()?);
        }
        Ok(Some(AlterPartitions { table, change, partitions }))
    }

    fn partition(&mut self) -> Result<PartitionSpec> {
        let mut values = BTreeMap::new();
        self.0.expect_token(&Token::LParen)?;
        loop {
            let key = self.name()?;
            self.0.expect_token(&Token::Eq)?;
            values.insert(key, self.value()?);
            if !self.0.consume_token(&Token::Comma) {
                break;
            }
        }
        self.0.expect_token(&Token::RParen)?;
        let location = match self.takes(&["LOCATION"]) {
            true => Some(self.0.parse_literal_string()?),
            false => None,
        };
        Ok(PartitionSpec { values, location })
    }

    /// A text, a number, a date or NULL.
    fn value(&mut self) -> Result<Option<String>> {
        if self.takes(&["NULL"]) {
            return Ok(None);
        }
        self.takes(&["DATE"]);
        let sign = if self.0.consume_token(&Token::Minus) { "-" } else { "" };
        match self.0.next_token().token {
            Token::SingleQuotedString(text) if sign.is_empty() => Ok(Some(text)),
            Token::Number(digits, _) => Ok(Some(format!("{sign}{digits}"))),
            _ => {
                self.0.prev_token();
                Err(self.expected("a value"))
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        while self.0.consume_token(&Token::SemiColon) {}
        match self.0.peek_token().token {
            Token::EOF => Ok(()),
            _ => Err(self.expected("the end of the statement")),
        }
    }
}

pub(super) fn is_word(token: &Token, word: &str) -> bool {
    match token {
        Token::Word(found) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
        _ => false,
    }
}
