//! Random conditions as trees: what they mean, naively, and ways to write them.

use std::cmp::Ordering;

use super::random::Random;

/// The keys of the trees: their names and types, in order.
pub(super) const KEYS: [(&str, &str); 5] = [
    ("region", "string"),
    ("Hour", "int"),
    ("day", "date"),
    ("price", "decimal(10,2)"),
    ("date", "varchar(30)"),
];
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";
const TEXTS: [&str; 19] = [
    "",
    "a",
    "A",
    "ab",
    "abc",
    "b",
    "it's",
    "say \"x\"",
    "50%",
    "a_b",
    "a\\b",
    "\\",
    "é",
    "2024",
    "2025-01",
    "Z",
    "_",
    "~",
    HIVE_NULL,
];

/// A value of a key, or a literal for one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Datum {
    Text(String),
    /// In hundredths.
    Number(i64),
    Day {
        year: u32,
        month: u32,
        day: u32,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Tree {
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    Compare { key: usize, operator: Operator, datum: Datum },
    In { key: usize, negated: bool, data: Vec<Datum> },
    Between { key: usize, negated: bool, low: Datum, high: Datum },
    Like { key: usize, negated: bool, pattern: Vec<Piece> },
    IsNull { key: usize, negated: bool },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece {
    Any,
    One,
    Plain(char),
}

/// The value of the partition of NULL, as far as there is one.
fn known(value: &Option<Datum>, key: usize) -> Option<Datum> {
    let is_text = matches!(key, 0 | 4);
    value.clone().or_else(|| is_text.then(|| Datum::Text(HIVE_NULL.into())))
}

fn order(a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Datum::Number(a), Datum::Number(b)) => a.cmp(b),
        (
            Datum::Day { year, month, day },
            Datum::Day { year: year_b, month: month_b, day: day_b },
        ) => (year, month, day).cmp(&(year_b, month_b, day_b)),
        _ => panic!("{a:?} and {b:?} don't compare"),
    }
}

/// Whether a value is the text that stands for NULL, which is in no range.
fn is_null(value: &Datum) -> bool {
    matches!(value, Datum::Text(text) if text == HIVE_NULL)
}

impl Tree {
    /// What it is for these values in three-valued logic; `None` is unknown.
    pub(super) fn truth(&self, values: &[Option<Datum>]) -> Option<bool> {
        match self {
            Self::And(a, b) => match (a.truth(values), b.truth(values)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(a, b) => match (a.truth(values), b.truth(values)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(tree) => tree.truth(values).map(|truth| !truth),
            Self::Compare { key, operator, datum } => {
                let value = known(&values[*key], *key)?;
                if operator.is_of_ranges() && is_null(&value) {
                    return None;
                }
                Some(operator.holds(order(&value, datum)))
            }
            Self::In { key, negated, data } => {
                let value = known(&values[*key], *key)?;
                Some(data.iter().any(|datum| order(&value, datum).is_eq()) != *negated)
            }
            Self::Between { key, negated, low, high } => {
                let value = known(&values[*key], *key).filter(|value| !is_null(value))?;
                let inside = order(low, &value).is_le() && order(&value, high).is_le();
                Some(inside != *negated)
            }
            Self::Like { key, negated, pattern } => {
                let Some(Datum::Text(text)) = known(&values[*key], *key) else { return None };
                let text: Vec<char> = text.chars().collect();
                Some(is_like(pattern, &text) != *negated)
            }
            Self::IsNull { negated, .. } => Some(*negated),
        }
    }

    pub(super) fn random(random: &mut Random, depth: u32) -> Self {
        let deeper = |random: &mut Random| Box::new(Self::random(random, depth - 1));
        match if depth == 0 { 9 } else { random.below(10) } {
            0..3 => Self::And(deeper(random), deeper(random)),
            3..5 => Self::Or(deeper(random), deeper(random)),
            5 => Self::Not(deeper(random)),
            _ => Self::leaf(random),
        }
    }

    fn leaf(random: &mut Random) -> Self {
        let key = random.below(KEYS.len());
        let negated = random.chance(3);
        match random.below(10) {
            0..5 => Self::Compare {
                key,
                operator: random.pick(&Operator::ALL),
                datum: Datum::literal(random, key),
            },
            5 | 6 => {
                let count = 1 + random.below(4);
                let data = (0..count).map(|_| Datum::literal(random, key)).collect();
                Self::In { key, negated, data }
            }
            7 => {
                let (low, high) = (Datum::literal(random, key), Datum::literal(random, key));
                Self::Between { key, negated, low, high }
            }
            8 => {
                let length = random.below(5);
                let pattern = (0..length).map(|_| Piece::random(random)).collect();
                Self::Like { key: random.pick(&[0, 4]), negated, pattern }
            }
            _ => Self::IsNull { key, negated },
        }
    }

    pub(super) fn write(&self, random: &mut Random) -> String {
        match self {
            Self::And(a, b) => {
                let word = random.cased("and");
                format!("{} {word} {}", a.operand(random, 1), b.operand(random, 1))
            }
            Self::Or(a, b) => {
                let word = random.cased("or");
                format!("{} {word} {}", a.operand(random, 0), b.operand(random, 0))
            }
            Self::Not(tree) => format!("{} {}", random.cased("not"), tree.operand(random, 2)),
            Self::Compare { key, operator, datum } => {
                let (name, literal) = (write_name(random, *key), datum.write(random, *key));
                let space = if random.chance(2) { " " } else { "" };
                if random.chance(4) {
                    let sign = operator.flipped().write(random);
                    return format!("{literal}{space}{sign}{space}{name}");
                }
                format!("{name}{space}{}{space}{literal}", operator.write(random))
            }
            Self::In { key, negated, data } => {
                let name = write_name(random, *key);
                let literals: Vec<String> =
                    data.iter().map(|datum| datum.write(random, *key)).collect();
                let list = literals.join(random.pick(&[",", ", "]));
                format!("{name} {}{} ({list})", not(random, *negated), random.cased("in"))
            }
            Self::Between { key, negated, low, high } => format!(
                "{} {}{} {} {} {}",
                write_name(random, *key),
                not(random, *negated),
                random.cased("between"),
                low.write(random, *key),
                random.cased("and"),
                high.write(random, *key)
            ),
            Self::Like { key, negated, pattern } => {
                let pattern: String = pattern.iter().map(|piece| piece.write()).collect();
                let (name, not) = (write_name(random, *key), not(random, *negated));
                format!("{name} {not}{} {}", random.cased("like"), write_text(random, &pattern))
            }
            Self::IsNull { key, negated } => format!(
                "{} {} {}{}",
                write_name(random, *key),
                random.cased("is"),
                not(random, *negated),
                random.cased("null")
            ),
        }
    }

    /// Itself as a part of what binds as `strength` says, in parentheses if it binds less.
    fn operand(&self, random: &mut Random, strength: u8) -> String {
        let own = match self {
            Self::Or(..) => 0,
            Self::And(..) => 1,
            _ => 2,
        };
        let text = self.write(random);
        if own < strength || random.chance(3) { format!("({text})") } else { text }
    }
}

fn not(random: &mut Random, negated: bool) -> String {
    if negated { format!("{} ", random.cased("not")) } else { String::new() }
}

fn write_name(random: &mut Random, key: usize) -> String {
    let name = random.cased(KEYS[key].0);
    match random.below(4) {
        0 => format!("`{name}`"),
        1 => format!("({name})"),
        _ => name,
    }
}

fn write_text(random: &mut Random, text: &str) -> String {
    let quote = random.pick(&['\'', '"']);
    let mut written = String::from(quote);
    for c in text.chars() {
        let escapes: &[String] = match c {
            '\\' => &["\\\\".into()],
            _ if c == quote => &[format!("{c}{c}"), format!("\\{c}")],
            '\'' | '"' => &[format!("{c}"), format!("\\{c}")],
            _ => &[c.to_string()],
        };
        written.push_str(&random.pick(escapes));
    }
    written.push(quote);
    written
}

impl Datum {
    /// A value as a partition may have it.
    pub(super) fn stored(random: &mut Random, key: usize) -> Self {
        match key {
            1 => Self::Number((random.below(9) as i64 - 3) * 100),
            _ => Self::literal(random, key),
        }
    }

    fn literal(random: &mut Random, key: usize) -> Self {
        match key {
            0 | 4 => Self::Text(random.pick(&TEXTS).into()),
            1 => Self::Number((random.below(19) as i64 - 7) * 50),
            2 => Self::Day {
                year: 2023 + random.below(2) as u32,
                month: random.pick(&[1, 9, 10]),
                day: random.pick(&[1, 2, 9, 10, 28]),
            },
            _ => Self::Number(random.pick(&[-150, -100, 0, 5, 50, 99, 100, 150, 1000, 1050])),
        }
    }

    /// As a partition may have it.
    pub(super) fn store(&self, random: &mut Random, key: usize) -> String {
        match self {
            Self::Number(hundredths) if key == 1 => {
                let zeros = random.pick(&["", "", "00"]);
                let sign = if *hundredths < 0 { "-" } else { "" };
                format!("{sign}{zeros}{}", hundredths.abs() / 100)
            }
            Self::Number(_) => self.number(random),
            Self::Text(text) => text.clone(),
            Self::Day { .. } => self.day(),
        }
    }

    fn write(&self, random: &mut Random, key: usize) -> String {
        let literal = match self {
            Self::Text(text) => write_text(random, text),
            Self::Day { .. } => {
                let word =
                    if random.chance(2) { random.cased("date") + " " } else { String::new() };
                word + &write_text(random, &self.day())
            }
            Self::Number(_) => self.number_literal(random, key),
        };
        if random.chance(6) { format!("({literal})") } else { literal }
    }

    fn number_literal(&self, random: &mut Random, key: usize) -> String {
        let number = self.number(random);
        let suffixes: &[&str] = if key == 1 { &["L", "l", "S", "Y"] } else { &["BD", "bd", "D"] };
        match random.below(4) {
            0 => write_text(random, &number),
            1 => number + random.pick(suffixes),
            2 if !number.starts_with('-') => format!("+{number}"),
            _ => number,
        }
    }

    fn day(&self) -> String {
        let Self::Day { year, month, day } = self else { panic!("{self:?} is no day") };
        format!("{year}-{month:02}-{day:02}")
    }

    fn number(&self, random: &mut Random) -> String {
        let Self::Number(hundredths) = self else { panic!("{self:?} is no number") };
        let sign = if *hundredths < 0 { "-" } else { "" };
        let (whole, fraction) = (hundredths.abs() / 100, hundredths.abs() % 100);
        match random.below(4) {
            0 if fraction == 0 => format!("{sign}{whole}"),
            1 if fraction % 10 == 0 => format!("{sign}{whole}.{}", fraction / 10),
            2 => format!("{sign}{}e-2", hundredths.abs()),
            3 => format!("{sign}0{whole}.{fraction:02}0"),
            _ => format!("{sign}{whole}.{fraction:02}"),
        }
    }
}

impl Operator {
    const ALL: [Self; 6] = [
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
    ];

    fn is_of_ranges(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    fn flipped(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    fn write(self, random: &mut Random) -> &'static str {
        match self {
            Self::Equal => random.pick(&["=", "=="]),
            Self::NotEqual => random.pick(&["<>", "!=", "< >"]),
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Piece {
    fn random(random: &mut Random) -> Self {
        match random.below(10) {
            0..4 => Self::Any,
            4 => Self::One,
            _ => Self::Plain(random.pick(&['a', 'b', '2', '0', '%', '_', '\\', '\'', '"', 'é'])),
        }
    }

    fn write(self) -> String {
        match self {
            Self::Any => "%".into(),
            Self::One => "_".into(),
            Self::Plain(c @ ('%' | '_' | '\\')) => format!("\\{c}"),
            Self::Plain(c) => c.into(),
        }
    }
}

fn is_like(pattern: &[Piece], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [Piece::Any, rest @ ..] => (0..=text.len()).any(|skipped| is_like(rest, &text[skipped..])),
        [one, rest @ ..] => text.split_first().is_some_and(|(first, others)| {
            (*one == Piece::One || *one == Piece::Plain(*first)) && is_like(rest, others)
        }),
    }
}
