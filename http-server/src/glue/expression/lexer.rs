//! The words, literals and signs of a partition expression.

use std::fmt;

use super::{ExpressionError, invalid};

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// The one that holds for `b` and `a` if this holds for `a` and `b`.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or the name of a key.
    Word(String),
    /// The name of a key, in backticks.
    Name(String),
    /// A string without its quotes and escapes.
    Text(String),
    /// A number without sign and suffix.
    Number(String),
    Comparison(Comparison),
    Plus,
    Minus,
    Comma,
    Open,
    Close,
}

/// A token and where it starts, for messages: the first character is number 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) position: usize,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.token {
            Token::Word(text) | Token::Name(text) | Token::Number(text) => write!(f, "\"{text}\"")?,
            Token::Text(text) => write!(f, "the string \"{text}\"")?,
            Token::Comparison(_) => write!(f, "a comparison")?,
            Token::Plus => write!(f, "\"+\"")?,
            Token::Minus => write!(f, "\"-\"")?,
            Token::Comma => write!(f, "\",\"")?,
            Token::Open => write!(f, "\"(\"")?,
            Token::Close => write!(f, "\")\"")?,
        }
        write!(f, " at character {}", self.position)
    }
}

/// The tokens of an expression.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, ExpressionError> {
    let mut lexer = Lexer { chars: text.chars().collect(), next: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.take_while(char::is_whitespace);
        let position = lexer.next + 1;
        let Some(first) = lexer.take() else { return Ok(tokens) };
        let token = lexer
            .token(first)
            .map_err(|fault| invalid(format_args!("{fault} at character {position}")))?;
        tokens.push(Placed { token, position });
    }
}

struct Lexer {
    chars: Vec<char>,
    next: usize,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.next).copied()
    }

    fn take(&mut self) -> Option<char> {
        let taken = self.peek()?;
        self.next += 1;
        Some(taken)
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    fn take_while(&mut self, test: impl Fn(char) -> bool) -> String {
        let start = self.next;
        while self.peek().is_some_and(&test) {
            self.next += 1;
        }
        self.chars[start..self.next].iter().collect()
    }

    /// The token that starts with `first`, which is taken already.
    fn token(&mut self, first: char) -> Result<Token, String> {
        match first {
            '(' => Ok(Token::Open),
            ')' => Ok(Token::Close),
            ',' => Ok(Token::Comma),
            '+' => Ok(Token::Plus),
            '-' => Ok(Token::Minus),
            '\'' | '"' => self.string(first),
            '`' => self.name(),
            '=' | '!' | '<' | '>' => self.comparison(first),
            '0'..='9' | '.' => self.number(first),
            _ if first == '_' || first.is_alphabetic() => Ok(Token::Word(self.word(first))),
            _ => Err(format!("unexpected \"{}\"", first.escape_debug())),
        }
    }

    fn word(&mut self, first: char) -> String {
        let rest = self.take_while(|c| c == '_' || c == '$' || c.is_alphanumeric());
        format!("{first}{rest}")
    }

    fn comparison(&mut self, first: char) -> Result<Token, String> {
        let comparison = match first {
            '=' => {
                self.take_if('=');
                Comparison::Equal
            }
            '!' if self.take_if('=') => Comparison::NotEqual,
            '!' => return Err("unexpected \"!\"".into()),
            '<' if self.take_if('=') => Comparison::LessOrEqual,
            '<' if self.take_spaced_greater() => Comparison::NotEqual,
            '<' => Comparison::Less,
            _ if self.take_if('=') => Comparison::GreaterOrEqual,
            _ => Comparison::Greater,
        };
        Ok(Token::Comparison(comparison))
    }

    /// Glue's documentation writes `< >`.
    fn take_spaced_greater(&mut self) -> bool {
        let start = self.next;
        self.take_while(char::is_whitespace);
        let found = self.take_if('>');
        if !found {
            self.next = start;
        }
        found
    }

    fn string(&mut self, quote: char) -> Result<Token, String> {
        let mut text = String::new();
        while let Some(c) = self.take() {
            match c {
                '\\' => text.push(self.escaped()),
                _ if c != quote => text.push(c),
                _ if self.take_if(quote) => text.push(quote),
                _ => return Ok(Token::Text(text)),
            }
        }
        Err("unterminated string".into())
    }

    /// What a backslash stands for. Before a letter it is itself, since some clients escape no more
    /// than quotes; before `%` and `_` it is left to LIKE.
    fn escaped(&mut self) -> char {
        match self.peek() {
            Some(c @ ('\'' | '"' | '\\')) => {
                self.next += 1;
                c
            }
            _ => '\\',
        }
    }

    fn name(&mut self) -> Result<Token, String> {
        let mut name = String::new();
        while let Some(c) = self.take() {
            match c {
                _ if c != '`' => name.push(c),
                _ if self.take_if('`') => name.push('`'),
                _ => return Ok(Token::Name(name)),
            }
        }
        Err("unterminated name".into())
    }

    fn number(&mut self, first: char) -> Result<Token, String> {
        let digit = |c: char| c.is_ascii_digit();
        let mut number = format!("{first}{}", self.take_while(digit));
        if first != '.' && self.take_if('.') {
            number.push('.');
            number.push_str(&self.take_while(digit));
        }
        if number == "." {
            return Err("unexpected \".\"".into());
        }
        number.push_str(&self.exponent());
        let suffix = self.take_while(|c| c == '_' || c.is_alphanumeric());
        match suffix.to_ascii_uppercase().as_str() {
            "" | "L" | "D" | "S" | "Y" | "BD" => Ok(Token::Number(number)),
            _ => Err(format!("unexpected \"{number}{suffix}\"")),
        }
    }

    /// The `e-5` of a number, if it has one.
    fn exponent(&mut self) -> String {
        let start = self.next;
        if self.take_if('e') || self.take_if('E') {
            let _signed = self.take_if('-') || self.take_if('+');
            if !self.take_while(|c| c.is_ascii_digit()).is_empty() {
                return self.chars[start..self.next].iter().collect();
            }
        }
        self.next = start;
        String::new()
    }
}
