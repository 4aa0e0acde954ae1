//! Patterns of numbers (`FM999,990.00`).

use crate::{Error, Result};

/// A character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// `9`: a digit, or a blank before the first one.
    Digit,
    /// `0`: a digit always.
    Zero,
    Point,
    Group,
    Text(char),
}

/// Where the sign is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// Before the first digit, and a blank for what isn't negative.
    Plain,
    /// `S` before or after: `+` or `-` next to the number.
    Before,
    After,
    /// `MI` before or after: `-` or a blank.
    MinusBefore,
    MinusAfter,
    /// `PR`: negative numbers are in angle brackets.
    Brackets,
}

/// A pattern that is understood.
#[derive(Clone, Debug)]
pub(in super::super) struct Pattern {
    slots: Vec<Slot>,
    sign: Sign,
    /// `FM`: no blanks, no zeros that aren't asked for.
    bare: bool,
}

impl Pattern {
    pub(in super::super) fn parse(text: &str) -> Result<Self> {
        let mut pattern = Self { slots: Vec::new(), sign: Sign::Plain, bare: false };
        let mut rest = text;
        let mut seen_digit = false;
        while let Some(c) = rest.chars().next() {
            let two = rest.get(..2).map(str::to_ascii_uppercase).unwrap_or_default();
            let sign = match (two.as_str(), c) {
                ("MI", _) => {
                    Some((if seen_digit { Sign::MinusAfter } else { Sign::MinusBefore }, 2))
                }
                ("PR", _) => Some((Sign::Brackets, 2)),
                ("SG", _) | (_, 'S' | 's') => {
                    let length = if two == "SG" { 2 } else { 1 };
                    Some((if seen_digit { Sign::After } else { Sign::Before }, length))
                }
                _ => None,
            };
            if let Some((sign, length)) = sign {
                pattern.sign = sign;
                rest = rest.get(length..).unwrap_or_default();
                continue;
            }
            if two == "FM" {
                pattern.bare = true;
                rest = rest.get(2..).unwrap_or_default();
                continue;
            }
            if c == '"' {
                let inner = rest.get(1..).unwrap_or_default();
                let (quoted, after) = inner.split_once('"').ok_or_else(|| {
                    Error::invalid(format!("pattern '{text}' has a quote that isn't closed"))
                })?;
                pattern.slots.extend(quoted.chars().map(Slot::Text));
                rest = after;
                continue;
            }
            pattern.slots.push(slot(c, text)?);
            seen_digit |= matches!(c, '9' | '0');
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        match pattern.slots.iter().filter(|slot| **slot == Slot::Point).count() {
            0 | 1 => Ok(pattern),
            _ => Err(Error::invalid(format!("pattern '{text}' has more than one decimal point"))),
        }
    }

    /// How many digits follow the decimal point.
    pub(in super::super) fn decimals(&self) -> usize {
        let after = self.slots.iter().skip_while(|slot| **slot != Slot::Point);
        after.filter(|slot| is_digit(slot)).count()
    }

    /// A number given by its digits before and after the point; of the latter there are
    /// [`Pattern::decimals`].
    pub(in super::super) fn write(&self, negative: bool, whole: &str, decimals: &str) -> String {
        let point = self.slots.iter().position(|slot| *slot == Slot::Point);
        let split = point.unwrap_or(self.slots.len());
        let (before, after) = self.slots.split_at(split);
        let places = before.iter().filter(|slot| is_digit(slot)).count();
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() && point.is_none() { "0" } else { whole };
        let body = match whole.len() > places {
            true => Body { text: self.overflow(), first: 0 },
            false => self.body(before, after, places, whole, decimals),
        };
        let zero = !decimals.bytes().chain(whole.bytes()).any(|digit| digit != b'0');
        self.signed(body, negative && !(zero && self.bare && self.decimals() == 0))
    }

    fn overflow(&self) -> String {
        let shown = self.slots.iter().map(|slot| match slot {
            Slot::Digit | Slot::Zero => '#',
            Slot::Point => '.',
            Slot::Group => ',',
            Slot::Text(c) => *c,
        });
        shown.collect()
    }

    fn body(
        &self,
        before: &[Slot],
        after: &[Slot],
        places: usize,
        whole: &str,
        decimals: &str,
    ) -> Body {
        let mut text = String::with_capacity(self.slots.len() + 1);
        let forced = before.iter().filter(|slot| is_digit(slot)).position(|s| *s == Slot::Zero);
        let blank = places - whole.len();
        let (mut place, mut first) = (0, None);
        for slot in before {
            match slot {
                Slot::Digit | Slot::Zero => {
                    let digit = whole.as_bytes().get(place.max(blank) - blank).copied();
                    let shown = match (place >= blank, digit) {
                        (true, Some(digit)) => Some(char::from(digit)),
                        _ => forced.is_some_and(|forced| place >= forced).then_some('0'),
                    };
                    match shown {
                        Some(digit) => {
                            first.get_or_insert(text.len());
                            text.push(digit);
                        }
                        None if !self.bare => text.push(' '),
                        None => {}
                    }
                    place += 1;
                }
                Slot::Group if first.is_some() => text.push(','),
                Slot::Group if !self.bare => text.push(' '),
                Slot::Text(c) => text.push(*c),
                Slot::Group | Slot::Point => {}
            }
        }
        let first = *first.get_or_insert(text.len());
        self.push_decimals(&mut text, after, decimals);
        Body { text, first }
    }

    fn push_decimals(&self, text: &mut String, after: &[Slot], decimals: &str) {
        // `FM` leaves out zeros at the end, down to the last that a `0` asks for.
        let asked = after.iter().filter(|slot| is_digit(slot)).rposition_of(Slot::Zero);
        let needed = decimals.trim_end_matches('0').len();
        let kept = if self.bare { needed.max(asked) } else { decimals.len() };
        let mut digits = decimals.chars().take(kept);
        for slot in after {
            match slot {
                Slot::Point => text.push('.'),
                Slot::Digit | Slot::Zero => text.extend(digits.next()),
                Slot::Group => text.push(','),
                Slot::Text(c) => text.push(*c),
            }
        }
    }

    fn signed(&self, body: Body, negative: bool) -> String {
        let Body { mut text, first } = body;
        let blank = if self.bare { "" } else { " " };
        let minus = if negative { "-" } else { blank };
        let both = if negative { "-" } else { "+" };
        match self.sign {
            Sign::Plain => text.insert_str(first, minus),
            Sign::MinusBefore => text.insert_str(0, minus),
            Sign::MinusAfter => text.push_str(minus),
            Sign::Before => text.insert_str(first, both),
            Sign::After => text.push_str(both),
            Sign::Brackets => {
                text.insert_str(first, if negative { "<" } else { blank });
                text.push_str(if negative { ">" } else { blank });
            }
        }
        text
    }
}

/// A number without its sign, and where its first digit is.
struct Body {
    text: String,
    first: usize,
}

fn is_digit(slot: &Slot) -> bool {
    matches!(slot, Slot::Digit | Slot::Zero)
}

trait LastPlace {
    /// The place, counted from 1, of the last such slot; 0 where there is none.
    fn rposition_of(self, wanted: Slot) -> usize;
}

impl<'a, I: Iterator<Item = &'a Slot>> LastPlace for I {
    fn rposition_of(self, wanted: Slot) -> usize {
        (1..)
            .zip(self)
            .filter(|(_, slot)| **slot == wanted)
            .map(|(place, _)| place)
            .last()
            .unwrap_or(0)
    }
}

fn slot(c: char, pattern: &str) -> Result<Slot> {
    Ok(match c {
        '9' => Slot::Digit,
        '0' => Slot::Zero,
        '.' | 'D' | 'd' => Slot::Point,
        ',' | 'G' | 'g' => Slot::Group,
        'L' | 'l' => Slot::Text('$'),
        c if !c.is_alphanumeric() => Slot::Text(c),
        _ => {
            return Err(Error::unsupported(format!("'{c}' in the number pattern '{pattern}'"))
                .with_hint("Patterns have 9, 0, '.', ',', D, G, L, $, S, SG, MI, PR and FM."));
        }
    })
}
