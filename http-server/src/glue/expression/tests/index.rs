//! What reaches the catalog's index.

use std::ops::Bound;

use boathouse_catalog::{KeyConstraint, KeyTest};

use super::*;

const S: usize = 0;
const I: usize = 1;
const D: usize = 2;

fn is_in<const N: usize>(key: usize, values: [&str; N]) -> KeyConstraint {
    KeyConstraint { key, test: KeyTest::In(values.map(str::to_owned).into()) }
}

fn range(key: usize, low: Bound<&str>, high: Bound<&str>) -> KeyConstraint {
    let owned = |bound: Bound<&str>| bound.map(str::to_owned);
    KeyConstraint { key, test: KeyTest::Range { low: owned(low), high: owned(high) } }
}

#[test]
fn conjuncts_reach_the_index() {
    use Bound::{Excluded, Included, Unbounded};
    let never = || vec![is_in(S, [])];
    for (text, expected) in [
        ("", vec![]),
        ("s = 'x'", vec![is_in(S, ["x"])]),
        ("'x' = s and i = 7", vec![is_in(S, ["x"]), is_in(I, ["7"])]),
        ("i in (3, '04', 5.0)", vec![is_in(I, ["3", "4", "5"])]),
        ("i > 1 and i <= 5", vec![range(I, Excluded("1"), Included("5"))]),
        ("7 > i", vec![range(I, Unbounded, Excluded("7"))]),
        ("not (i < 1 or 5 < i)", vec![range(I, Included("1"), Included("5"))]),
        ("not i <= 1", vec![range(I, Excluded("1"), Unbounded)]),
        ("not i > 1", vec![range(I, Unbounded, Included("1"))]),
        ("i >= 1 and i > 1 and i <= 5 and i < 5", vec![range(I, Excluded("1"), Excluded("5"))]),
        ("i > 1 and i >= 1 and i < 5 and i <= 5", vec![range(I, Excluded("1"), Excluded("5"))]),
        ("i between 1.5 and 2.5", vec![range(I, Included("1"), Included("2"))]),
        ("i in (1, 2, 3) and i > 1 and not i > 2", vec![is_in(I, ["2"])]),
        ("d >= '2024-01-01'", vec![range(D, Included("2024-01-01"), Unbounded)]),
        ("d = date '2024-01-01'", vec![is_in(D, ["2024-01-01"])]),
        ("s >= '2024'", vec![range(S, Included("2024"), Unbounded)]),
        ("s >= '2024' and s < '2025'", vec![range(S, Included("2024"), Excluded("2025"))]),
        ("s between '2024' and '2025'", vec![range(S, Included("2024"), Included("2025"))]),
        ("s like '2024-%'", vec![range(S, Included("2024-"), Excluded("2024."))]),
        ("s like 'x'", vec![range(S, Included("x"), Included("x"))]),
        ("s = 'x' and (i = 1 or c = 2)", vec![is_in(S, ["x"])]),
        // Of alternatives, what all of them say.
        ("(s = 'x') or (s = 'y')", vec![is_in(S, ["x", "y"])]),
        ("i = 3 or i between 5 and 6", vec![range(I, Included("3"), Included("6"))]),
        ("i > 1 or i >= 1", vec![range(I, Included("1"), Unbounded)]),
        ("i <= 5 or i < 5", vec![range(I, Unbounded, Included("5"))]),
        ("i < 5 or i <= 5", vec![range(I, Unbounded, Included("5"))]),
        ("i < 3 or i < 5 and s = 'x'", vec![range(I, Unbounded, Excluded("5"))]),
        ("i = 3 or s = 'x'", vec![]),
        ("i = 3 or s is null", vec![is_in(I, ["3"])]),
        // The partition of NULL is among these.
        ("s <> 'x'", vec![]),
        ("s = '__HIVE_DEFAULT_PARTITION__'", vec![]),
        ("s in ('x', '__HIVE_DEFAULT_PARTITION__')", vec![]),
        ("s like '%'", vec![]),
        // Nothing but NULL would be kept out.
        ("i <> 3", vec![]),
        ("i not in (3)", vec![]),
        ("i not between 3 and 5", vec![]),
        ("i < 1e30", vec![]),
        // The index can't compare these.
        ("c = 1 and ts > '2024-01-01' and f < 1 and b = true", vec![]),
        // Nothing matches these.
        ("i is null", never()),
        ("i = 3 and s is null", never()),
        ("i = 1.5", never()),
        ("i between 5 and 3", never()),
        ("i = 3 and i = 4", never()),
        ("s = 'x' and (i = 1 and i > 2 or i < 3 and i > 4)", never()),
        // Everything matches this.
        ("s is not null", vec![]),
        ("not (i is null)", vec![]),
    ] {
        assert_eq!(parse(text).unwrap().filter().constraints, expected, "{text}");
    }
}
