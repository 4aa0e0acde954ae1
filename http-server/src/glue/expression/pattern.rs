//! The patterns of LIKE.

use std::ops::Bound;

/// A pattern: `%` is any text, `_` is any character, and a backslash makes either of them, and
/// itself, plain. A backslash before anything else is plain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// Any text.
    Text,
    /// Any character.
    Character,
    /// This character.
    Plain(char),
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '%' => Piece::Text,
                '_' => Piece::Character,
                '\\' => Piece::Plain(
                    chars.next_if(|next| matches!(next, '%' | '_' | '\\')).unwrap_or('\\'),
                ),
                _ => Piece::Plain(c),
            });
        }
        pieces.dedup_by(|a, b| *a == Piece::Text && *b == Piece::Text);
        Self { pieces }
    }

    /// Whether all of `text` is as the pattern says.
    ///
    /// Only the last `%` met is ever tried again: the work is at most the product of the lengths.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut piece) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() || piece < self.pieces.len() {
            match self.pieces.get(piece) {
                Some(Piece::Text) => {
                    retry = Some((at, piece));
                    piece += 1;
                    continue;
                }
                Some(one) if text.get(at).is_some_and(|c| one.is(*c)) => {
                    (at, piece) = (at + 1, piece + 1);
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((from, any)) if from < text.len() => {
                    (at, piece) = (from + 1, any + 1);
                    retry = Some((from + 1, any));
                }
                _ => return false,
            }
        }
        true
    }

    /// Bounds of the texts that match.
    pub(super) fn bounds(&self) -> (Bound<String>, Bound<String>) {
        let plain = |piece: &Piece| match piece {
            Piece::Plain(c) => Some(*c),
            _ => None,
        };
        let prefix: String = self.pieces.iter().map_while(plain).collect();
        let high = if prefix.chars().count() == self.pieces.len() {
            Bound::Included(prefix.clone())
        } else {
            after(&prefix).map_or(Bound::Unbounded, Bound::Excluded)
        };
        (Bound::Included(prefix), high)
    }
}

impl Piece {
    fn is(self, c: char) -> bool {
        self == Self::Character || self == Self::Plain(c)
    }
}

/// The least text that is greater than all that start with `prefix`.
fn after(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_all_of_a_text() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("_", "", false),
            ("_", "é", true),
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("%b%", "abc", true),
            ("a_c", "abc", true),
            ("a_c", "abbc", false),
            ("%ab%ab", "abxabab", true),
            ("%a%b%c", "aXbXcX", false),
            ("a", "A", false),
            (r"\%", "%", true),
            (r"\%", "a", false),
            (r"\_", "_", true),
            (r"\\", r"\", true),
            (r"a\b", r"a\b", true),
            (r"a\", r"a\", true),
            ("%%%%_", "x\n", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn hard_patterns_take_no_long_time() {
        let pattern = Pattern::new(&"%a".repeat(1000));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(2000))));
    }

    #[test]
    fn bounds_come_from_the_plain_start() {
        let bounds = |pattern| Pattern::new(pattern).bounds();
        let range = |low: &str, high: &str| {
            (Bound::Included(low.to_owned()), Bound::Excluded(high.to_owned()))
        };
        assert_eq!(bounds("2024-%"), range("2024-", "2024."));
        assert_eq!(bounds("a\u{d7ff}_"), range("a\u{d7ff}", "a\u{e000}"));
        assert_eq!(bounds("a\u{10ffff}%"), range("a\u{10ffff}", "b"));
        assert_eq!(bounds("%a"), (Bound::Included(String::new()), Bound::Unbounded));
        let ab = || "ab".to_owned();
        assert_eq!(bounds("ab"), (Bound::Included(ab()), Bound::Included(ab())));
    }
}
