//! LIKE patterns of metadata commands.

/// Whether `name` matches `pattern`: `%` is any text, `_` any character, `\` takes the next
/// character as it is.
///
/// Works in time `O(name * pattern)` for every pattern, because some clients put whole SQL
/// statements here.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern = parse(pattern);
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(Part::Many) => {
                retry = Some((p, n));
                p += 1;
            }
            Some(part) if part.is(name[n]) => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((many, from)) => {
                    retry = Some((many, from + 1));
                    p = many + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|part| matches!(part, Part::Many))
}

enum Part {
    Many,
    One,
    Exactly(char),
}

impl Part {
    fn is(&self, c: char) -> bool {
        match self {
            Part::Many => false,
            Part::One => true,
            Part::Exactly(expected) => *expected == c,
        }
    }
}

fn parse(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '%' => Part::Many,
            '_' => Part::One,
            '\\' => Part::Exactly(chars.next().unwrap_or('\\')),
            c => Part::Exactly(c),
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards_and_escapes() {
        for (pattern, name, expected) in [
            ("hits", "hits", true),
            ("hits", "hit", false),
            ("", "", true),
            ("", "hits", false),
            ("%", "", true),
            ("h%s", "hits", true),
            ("%it%", "hits", true),
            ("h_ts", "hits", true),
            (r"h\_ts", "hits", false),
            (r"h\_ts", "h_ts", true),
            ("%ab%ab", "abxabab", true),
            ("SELECT a_b FROM t WHERE c LIKE '%x%'", "t", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn many_wildcards_take_no_exponential_time() {
        assert!(!matches(&"%a".repeat(500), &"a".repeat(400)));
    }
}
