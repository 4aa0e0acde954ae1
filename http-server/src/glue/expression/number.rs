//! Numbers as they are written, compared exactly.

use std::cmp::Ordering;

/// A decimal number of any size, or one of the special values of floating point.
///
/// The special values are ordered as Hive and Java order them: NaN is equal to itself and greater
/// than all else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Number {
    NegativeInfinity,
    Finite(Decimal),
    Infinity,
    Nan,
}

impl Number {
    /// Reads a decimal number such as `-12.50` or `1e3`.
    pub(super) fn decimal(text: &str) -> Option<Self> {
        Decimal::parse(text).map(Self::Finite)
    }

    /// Reads a decimal number, `NaN`, `Infinity` or `-Infinity`.
    pub(super) fn real(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "nan" => Some(Self::Nan),
            "infinity" | "inf" => Some(Self::Infinity),
            "-infinity" | "-inf" => Some(Self::NegativeInfinity),
            _ => Self::decimal(text),
        }
    }

    /// Itself, if it is an integer that fits.
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Finite(decimal) if decimal.is_integer() => decimal.truncated(),
            _ => None,
        }
    }

    /// Itself without its fraction, if that fits.
    pub(super) fn truncated(&self) -> Option<i64> {
        match self {
            Self::Finite(decimal) => decimal.truncated(),
            _ => None,
        }
    }
}

/// ±0.DIGITS × 10^exponent. Zero has no digits, other numbers start and end with one that is not 0,
/// so each number is written in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    exponent: i64,
    digits: String,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let written = format!("{whole}{fraction}");
        if written.is_empty() || !written.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = written.trim_start_matches('0');
        let skipped = written.len() - digits.len();
        let exponent = i64::from(exponent) + whole.len() as i64 - skipped as i64;
        Some(Self::new(negative, exponent, digits.trim_end_matches('0')))
    }

    fn new(negative: bool, exponent: i64, digits: &str) -> Self {
        if digits.is_empty() {
            return Self { negative: false, exponent: 0, digits: String::new() };
        }
        Self { negative, exponent, digits: digits.to_owned() }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        }
    }

    fn is_integer(&self) -> bool {
        self.digits.len() as i64 <= self.exponent.max(0)
    }

    fn truncated(&self) -> Option<i64> {
        /// No i64 has more digits.
        const DIGITS_MAX: usize = 19;
        let width = usize::try_from(self.exponent).unwrap_or(0);
        if DIGITS_MAX < width {
            return None;
        }
        let kept = &self.digits[..width.min(self.digits.len())];
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}0{kept:0<width$}").parse().ok()
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sign().cmp(&other.sign()).then_with(|| {
            let larger = (self.exponent, &self.digits).cmp(&(other.exponent, &other.digits));
            if self.negative { larger.reverse() } else { larger }
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly_however_they_are_written() {
        let ascending = [
            "-Infinity",
            "-1e400",
            "-12",
            "-1.5",
            "-0.15",
            "0",
            "1e-400",
            "0.1",
            "0.10000000000000000000001",
            "2",
            "9007199254740992",
            "9007199254740993",
            "1e400",
            "inf",
            "NaN",
        ];
        let numbers: Vec<Number> =
            ascending.iter().map(|text| Number::real(text).unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        for (a, b) in [("0", "-0.00"), ("1.50", "+01.5"), ("100", "1e2"), (".5", "5E-1")] {
            assert_eq!(Number::decimal(a), Number::decimal(b));
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", ".", "-", "+-1", "1.2.3", "1e", "1e1.5", "0x1", " 1", "1e99999999999", "é"]
        {
            assert_eq!(Number::real(text), None, "{text}");
        }
        assert_eq!(Number::decimal("NaN"), None);
    }

    #[test]
    fn integers_are_found_in_numbers() {
        let of = |text| {
            let number = Number::real(text).unwrap();
            (number.integer(), number.truncated())
        };
        assert_eq!(of("9223372036854775807"), (Some(i64::MAX), Some(i64::MAX)));
        assert_eq!(of("-9223372036854775808"), (Some(i64::MIN), Some(i64::MIN)));
        assert_eq!(of("9223372036854775808"), (None, None));
        assert_eq!(of("-1.5"), (None, Some(-1)));
        assert_eq!(of("0.05"), (None, Some(0)));
        assert_eq!(of("1.20e2"), (Some(120), Some(120)));
        assert_eq!(of("0.0"), (Some(0), Some(0)));
        assert_eq!(of("1e2147483647"), (None, None));
        assert_eq!(of("NaN"), (None, None));
    }
}
