//! Tokens to a condition whose literals have the types of their keys.

use std::ops::Bound;

use boathouse_catalog::Column;

use super::condition::{Condition, Test, Values};
use super::lexer::{Comparison, Placed, Token, tokens};
use super::pattern::Pattern;
use super::value::{Key, Literal, Value};
use super::{ExpressionError, invalid};

/// Parentheses within each other. Hive nests one pair for each AND and OR.
const NESTING_MAX: usize = 128;
/// Words that are names of keys only in backticks.
const RESERVED: [&str; 8] = ["AND", "OR", "NOT", "IN", "BETWEEN", "LIKE", "IS", "NULL"];

type Result<T, E = ExpressionError> = std::result::Result<T, E>;

/// Reads all of `text` as one condition on `keys`.
pub(super) fn parse(text: &str, keys: &[Column]) -> Result<Condition> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, keys };
    let condition = parser.condition()?;
    if parser.peek().is_some() {
        return Err(parser.unexpected());
    }
    Ok(condition)
}

/// What can stand between parentheses.
enum Item {
    Key(Key),
    Literal(Literal),
    Condition(Condition),
}

impl Item {
    fn condition(self) -> Result<Condition> {
        match self {
            Self::Condition(condition) => Ok(condition),
            Self::Key(key) => {
                Err(invalid(format_args!("partition key \"{}\" is no condition", key.name())))
            }
            Self::Literal(literal) => {
                Err(invalid(format_args!("{} is no condition", literal.shown())))
            }
        }
    }

    fn literal(self) -> Result<Literal> {
        match self {
            Self::Literal(literal) => Ok(literal),
            Self::Key(key) => Err(invalid(format_args!(
                "partition key \"{}\" stands where a literal must",
                key.name()
            ))),
            Self::Condition(_) => Err(invalid("a condition stands where a literal must")),
        }
    }
}

/// What was read of a pair of parentheses, or of the whole, up to the test being read.
#[derive(Default)]
struct Group {
    /// Alternatives that are complete.
    any: Vec<Condition>,
    /// The parts so far of the one that isn't.
    all: Vec<Condition>,
    /// Whether the test being read is negated; `None` if no NOT is before it.
    negation: Option<bool>,
}

impl Group {
    fn negate(&mut self) {
        self.negation = Some(!self.negation.unwrap_or(false));
    }

    fn and(&mut self, item: Item) -> Result<()> {
        let condition = item.condition()?;
        let is_negated = self.negation.take().unwrap_or(false);
        self.all.push(if is_negated { condition.negated() } else { condition });
        Ok(())
    }

    fn or(&mut self, item: Item) -> Result<()> {
        self.and(item)?;
        let all = std::mem::take(&mut self.all);
        self.any.push(single(all).unwrap_or_else(Condition::All));
        Ok(())
    }

    /// All of it, whose last part is `item`. An item that stands alone stays what it is.
    fn end(mut self, item: Item) -> Result<Item> {
        if self.any.is_empty() && self.all.is_empty() && self.negation.is_none() {
            return Ok(item);
        }
        self.or(item)?;
        Ok(Item::Condition(single(self.any).unwrap_or_else(Condition::Any)))
    }
}

/// The only one; all of them if there are more.
fn single(mut parts: Vec<Condition>) -> Result<Condition, Vec<Condition>> {
    if parts.len() == 1 { parts.pop().ok_or(parts) } else { Err(parts) }
}

struct Parser<'a> {
    tokens: Vec<Placed>,
    next: usize,
    keys: &'a [Column],
}

impl Parser<'_> {
    /// One condition, up to the end or to what can't be a part of it.
    ///
    /// Parentheses are kept in a list, not on the stack of the thread.
    fn condition(&mut self) -> Result<Condition> {
        let mut outer: Vec<Group> = Vec::new();
        let mut group = Group::default();
        loop {
            while self.take_word("NOT") {
                group.negate();
            }
            if self.take(&Token::Open) {
                if outer.len() == NESTING_MAX {
                    return Err(invalid(format_args!("it nests deeper than {NESTING_MAX} levels")));
                }
                outer.push(std::mem::take(&mut group));
                continue;
            }
            let mut item = self.atom()?;
            loop {
                item = self.test(item)?;
                if self.take_word("AND") {
                    group.and(item)?;
                    break;
                }
                if self.take_word("OR") {
                    group.or(item)?;
                    break;
                }
                item = group.end(item)?;
                let Some(around) = outer.pop() else { return item.condition() };
                self.expect(&Token::Close)?;
                group = around;
            }
        }
    }

    /// The test that starts with a key or a literal; the item itself if it doesn't.
    fn test(&mut self, item: Item) -> Result<Item> {
        match item {
            Item::Key(key) => self.test_of_key(key),
            Item::Literal(literal) => self.test_of_literal(literal),
            Item::Condition(_) => Ok(item),
        }
    }

    /// The test that starts with a key; the key itself if none follows.
    fn test_of_key(&mut self, key: Key) -> Result<Item> {
        if let Some(comparison) = self.take_comparison() {
            let value = key.literal(&self.operand()?.literal()?)?;
            return Ok(comparison_test(key, comparison, value));
        }
        if self.take_word("IS") {
            let negated = self.take_word("NOT");
            self.expect_word("NULL")?;
            let condition = if negated { Condition::ALWAYS } else { Condition::NEVER };
            return Ok(Item::Condition(condition));
        }
        let negated = self.take_word("NOT");
        let values = if self.take_word("IN") {
            self.list(&key)?
        } else if self.take_word("BETWEEN") {
            self.range(&key)?
        } else if self.take_word("LIKE") {
            Values::Like(Pattern::new(key.pattern(&self.operand()?.literal()?)?))
        } else if negated {
            return Err(self.unexpected());
        } else {
            return Ok(Item::Key(key));
        };
        Ok(Item::Condition(Condition::Test(Test { key, negated, values })))
    }

    /// The comparison that starts with a literal; the literal itself if none follows.
    fn test_of_literal(&mut self, literal: Literal) -> Result<Item> {
        let Some(comparison) = self.take_comparison() else {
            return Ok(Item::Literal(literal));
        };
        let Item::Key(key) = self.operand()? else {
            return Err(invalid(format_args!("{} is compared with no key", literal.shown())));
        };
        let value = key.literal(&literal)?;
        Ok(comparison_test(key, comparison.flipped(), value))
    }

    fn list(&mut self, key: &Key) -> Result<Values> {
        self.expect(&Token::Open)?;
        let mut values = Vec::new();
        loop {
            values.push(key.literal(&self.operand()?.literal()?)?);
            if !self.take(&Token::Comma) {
                break;
            }
        }
        self.expect(&Token::Close)?;
        Ok(Values::In(values))
    }

    fn range(&mut self, key: &Key) -> Result<Values> {
        let low = key.literal(&self.operand()?.literal()?)?;
        self.expect_word("AND")?;
        let high = key.literal(&self.operand()?.literal()?)?;
        Ok(Values::Range(Bound::Included(low), Bound::Included(high)))
    }

    /// A key or a literal in any number of parentheses.
    fn operand(&mut self) -> Result<Item> {
        let mut open = 0;
        while self.take(&Token::Open) {
            open += 1;
        }
        let item = self.atom()?;
        for _ in 0..open {
            self.expect(&Token::Close)?;
        }
        Ok(item)
    }

    fn atom(&mut self) -> Result<Item> {
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected()) };
        let item = match token {
            Token::Word(word) if is_one_of(&word, &RESERVED) => return Err(self.unexpected()),
            Token::Word(word) => return self.word(&word),
            Token::Name(name) => Item::Key(Key::find(&name, self.keys)?),
            Token::Text(text) => Item::Literal(Literal::Text(text)),
            Token::Number(number) => Item::Literal(Literal::Number(number)),
            Token::Plus => return self.signed(""),
            Token::Minus => return self.signed("-"),
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(item)
    }

    /// A literal that starts with a word, or a key. `date` is a key too if no string follows.
    fn word(&mut self, word: &str) -> Result<Item> {
        self.next += 1;
        if is_one_of(word, &["TRUE", "FALSE"]) {
            return Ok(Item::Literal(Literal::Boolean(word.eq_ignore_ascii_case("true"))));
        }
        let make = match word.to_ascii_uppercase().as_str() {
            "DATE" => Literal::Date,
            "TIMESTAMP" => Literal::Timestamp,
            _ => return Ok(Item::Key(Key::find(word, self.keys)?)),
        };
        let Some(Token::Text(text)) = self.peek().cloned() else {
            return Ok(Item::Key(Key::find(word, self.keys)?));
        };
        self.next += 1;
        Ok(Item::Literal(make(text)))
    }

    fn signed(&mut self, sign: &str) -> Result<Item> {
        self.next += 1;
        let Some(Token::Number(number)) = self.peek() else { return Err(self.unexpected()) };
        let number = format!("{sign}{number}");
        self.next += 1;
        Ok(Item::Literal(Literal::Number(number)))
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|placed| &placed.token)
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn take_comparison(&mut self) -> Option<Comparison> {
        let Some(Token::Comparison(comparison)) = self.peek() else { return None };
        let comparison = *comparison;
        self.next += 1;
        Some(comparison)
    }

    fn is_word(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_word(&mut self, keyword: &str) -> bool {
        let found = self.is_word(keyword);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_word(&mut self, keyword: &str) -> Result<()> {
        if self.take_word(keyword) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> ExpressionError {
        match self.tokens.get(self.next) {
            Some(placed) => invalid(format_args!("unexpected {placed}")),
            None => invalid("it ends too early"),
        }
    }
}

fn comparison_test(key: Key, comparison: Comparison, value: Value) -> Item {
    let (values, negated) = Values::compared(comparison, value);
    Item::Condition(Condition::Test(Test { key, negated, values }))
}

fn is_one_of(word: &str, keywords: &[&str]) -> bool {
    keywords.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}
