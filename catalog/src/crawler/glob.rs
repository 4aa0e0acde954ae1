//! Patterns of paths that are left out.

use super::{Error, Result};

const PATTERNS_MAX: usize = 256;
const PATTERN_BYTES_MAX: usize = 1024;

/// What of a target is left out.
#[derive(Debug, Default)]
pub(super) struct Exclusions(Vec<Vec<Token>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    One(char),
    /// `?`
    AnyOne,
    /// `*`
    Star,
    /// `**`
    DoubleStar,
    /// `[a-c]`, `[!a]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Exclusions {
    pub(super) fn new(patterns: &[String]) -> Result<Self> {
        let mut expanded = Vec::new();
        for pattern in patterns {
            if pattern.len() > PATTERN_BYTES_MAX {
                return Err(Error::Invalid("an exclusion pattern is too long".into()));
            }
            expand(pattern, &mut expanded)?;
        }
        Ok(Self(expanded.iter().map(|pattern| tokens(pattern)).collect()))
    }

    /// Whether `path`, relative to the target, is left out.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.iter().any(|tokens| matches(tokens, path))
    }
}

/// The patterns that `{a,b}` stands for.
fn expand(pattern: &str, into: &mut Vec<String>) -> Result<()> {
    if into.len() >= PATTERNS_MAX {
        return Err(Error::Invalid(format!("more than {PATTERNS_MAX} exclusion patterns")));
    }
    let Some((open, close)) = braces(pattern) else {
        let mut pattern = pattern.trim_start_matches('/').to_owned();
        if pattern.ends_with('/') {
            pattern.push_str("**");
        }
        into.push(pattern);
        return Ok(());
    };
    for choice in pattern[open + 1..close].split(',') {
        expand(&format!("{}{choice}{}", &pattern[..open], &pattern[close + 1..]), into)?;
    }
    Ok(())
}

/// The first `{…}` without braces inside.
fn braces(pattern: &str) -> Option<(usize, usize)> {
    let mut open = None;
    let mut escaped = false;
    for (index, c) in pattern.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => open = Some(index),
            '}' => {
                if let Some(open) = open {
                    return Some((open, index));
                }
            }
            _ => {}
        }
    }
    None
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '\\' => Token::One(chars.next().unwrap_or('\\')),
            '?' => Token::AnyOne,
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                Token::DoubleStar
            }
            '*' => Token::Star,
            '[' => {
                let rest: String = chars.clone().collect();
                match class(&rest) {
                    Some((class, length)) => {
                        chars.by_ref().take(length).for_each(drop);
                        class
                    }
                    None => Token::One('['),
                }
            }
            other => Token::One(other),
        });
    }
    tokens
}

/// A class after its `[`, and how many characters it takes.
fn class(rest: &str) -> Option<(Token, usize)> {
    let end = rest.char_indices().skip(1).find(|(_, c)| *c == ']')?.0;
    let inside = &rest[..end];
    let negated = inside.starts_with(['!', '^']);
    let members: Vec<char> = inside.chars().skip(usize::from(negated)).collect();
    let mut ranges = Vec::new();
    let mut index = 0;
    while index < members.len() {
        let is_range = members.get(index + 1) == Some(&'-') && index + 2 < members.len();
        let high = if is_range { members[index + 2] } else { members[index] };
        ranges.push((members[index], high));
        index += if is_range { 3 } else { 1 };
    }
    Some((Token::Class { negated, ranges }, inside.chars().count() + 1))
}

/// Follows all ways through the pattern at once, so no pattern takes long.
fn matches(tokens: &[Token], path: &str) -> bool {
    let mut at = vec![false; tokens.len() + 1];
    at[0] = true;
    skip_stars(tokens, &mut at);
    for c in path.chars() {
        let mut next = vec![false; tokens.len() + 1];
        for (index, token) in tokens.iter().enumerate().filter(|(index, _)| at[*index]) {
            if let Token::Star | Token::DoubleStar = token {
                next[index] |= *token == Token::DoubleStar || c != '/';
            } else if takes(token, c) {
                next[index + 1] = true;
            }
        }
        skip_stars(tokens, &mut next);
        at = next;
    }
    at[tokens.len()]
}

fn skip_stars(tokens: &[Token], at: &mut [bool]) {
    for (index, token) in tokens.iter().enumerate() {
        let is_star = matches!(token, Token::Star | Token::DoubleStar);
        if at[index] && is_star {
            at[index + 1] = true;
            // `**/x` is also a plain `x`.
            let is_folder = *token == Token::DoubleStar
                && tokens.get(index + 1) == Some(&Token::One('/'))
                && index == 0;
            if is_folder {
                at[index + 2] = true;
            }
        }
    }
}

fn takes(token: &Token, c: char) -> bool {
    match token {
        Token::One(one) => *one == c,
        Token::AnyOne => c != '/',
        Token::Class { negated, ranges } => {
            c != '/' && *negated != ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
        }
        Token::Star | Token::DoubleStar => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_glue_says() {
        let cases: [(&str, &str, bool); 17] = [
            ("*.csv", "a.csv", true),
            ("*.csv", "b/a.csv", false),
            ("**.csv", "b/a.csv", true),
            ("**/a.csv", "a.csv", true),
            ("**/a.csv", "b/c/a.csv", true),
            ("*.*", "a.csv", true),
            ("*.{csv,avro}", "a.avro", true),
            ("*.{csv,avro}", "a.json", false),
            ("foo.?", "foo.x", true),
            ("foo.?", "foo.xy", false),
            ("my*/*/x", "myday/a/x", true),
            ("backup/", "backup/a/b.csv", true),
            ("backup/", "backup2/b.csv", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
        ];
        for (pattern, path, expected) in cases {
            let exclusions = Exclusions::new(&[pattern.into()]).unwrap();
            assert_eq!(exclusions.matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let stars = "*a".repeat(500);
        let exclusions = Exclusions::new(&[stars]).unwrap();
        assert!(!exclusions.matches(&"a".repeat(400)));
        assert!(Exclusions::new(&["{a,b}".repeat(20)]).is_err());
    }
}
