//! Expressions as users write them, and as nobody would.

mod index;
mod random;
mod tree;

use boathouse_catalog::Column;

use super::*;

fn column(name: &str, data_type: &str) -> Column {
    Column { name: name.into(), data_type: data_type.into(), nullable: true, comment: None }
}

fn keys() -> Vec<Column> {
    vec![
        column("s", "string"),
        column("I", "int"),
        column("d", "date"),
        column("c", "decimal(10,2)"),
        column("ts", "timestamp"),
        column("f", "double"),
        column("b", "boolean"),
        column("date", "string"),
        column("odd-name", "varchar(20)"),
        column("a", "array<int>"),
    ]
}

/// Values of the keys, in their order.
fn values() -> Vec<Option<String>> {
    ["it's", "7", "2024-02-29", "1.50", "2024-02-29 12:00:00.5", "1e3", "True", "2024", "x", "[]"]
        .map(|value| Some(value.to_owned()))
        .into()
}

fn parse(text: &str) -> Result<Expression, ExpressionError> {
    Expression::parse(Some(text), &keys())
}

fn matches(text: &str) -> Result<bool, ExpressionError> {
    parse(text)?.matches(&values())
}

#[test]
fn what_is_accepted_means_what_it_says() {
    for (text, expected) in [
        ("", true),
        (" \n\t", true),
        // Comparisons, from both sides.
        ("i = 7", true),
        ("I == 7", true),
        ("i != 7", false),
        ("i <> 7", false),
        ("i < > 7", false),
        ("i<8", true),
        ("i <= 7", true),
        ("i>7", false),
        ("i >= 7.5", false),
        ("7 = i", true),
        ("6 < i", true),
        ("8 <= i", false),
        ("i=-7", false),
        ("i > - 7", true),
        ("i < +8", true),
        // Parentheses around keys, literals and conditions.
        ("((s = \"it's\") and (i >= 1))", true),
        ("(i) IN (1, (7))", true),
        ("((i)) = ((7))", true),
        ("(7) = (i)", true),
        ("(i) NOT IN (1, 2)", true),
        // Names.
        ("`i` = 7 AND `S` = 'it''s'", true),
        ("`odd-name` = 'x'", true),
        ("date = '2024' and `date` in ('2024') and date between '2024' and '2025'", true),
        // Strings and their escapes.
        (r"s = 'it\'s'", true),
        (r#"s = "it\'s""#, true),
        (r#""it's" = s"#, true),
        (r#"s = 'it"s'"#, false),
        (r"`odd-name` <> 'a\b' and `odd-name` <> '\\'", true),
        // Literals of other types than the key's.
        ("i = '7' and i in ('07', 7.0, 7L, 7S, 7y, 7BD, 7d, .7e1)", true),
        ("date = 2024 and date >= 2024L", true),
        ("c = 1.5 and c = '1.5' and c = 1.5BD and c < 1.51", true),
        ("c = 1.5000000000000000000000001", false),
        ("f = 1000 and f < 'Infinity' and f < 'NaN'", true),
        ("d = '2024-02-29' and d = date '2024-02-29' and DATE\"2024-03-01\" > d", true),
        ("ts > '2024-02-29 12:00:00' and ts < timestamp '2024-02-29T12:00:01'", true),
        ("ts > '2024-02-29' and ts < date '2024-03-01'", true),
        ("date <> date '2024-01-01'", true),
        ("b = true and b <> FALSE and b = 'TRUE'", true),
        // Ranges and patterns.
        ("i between 7 and 7", true),
        ("i between 8 and 6", false),
        ("i not between 8 and 6", true),
        ("i NOT BETWEEN 1 AND 7", false),
        ("s between 'a' and 'z' and i = 7", true),
        ("s like 'it%'", true),
        ("s like 'i_''_'", true),
        ("s like 'IT%'", false),
        ("s not like '%s'", false),
        (r"s like 'it\_s'", false),
        ("date like '2024'", true),
        // Negation and precedence.
        ("not i = 8", true),
        ("NOT (i = 7)", false),
        ("not not i = 7", true),
        ("not i = 8 and s = 'x'", false),
        ("not (i = 8 and s = 'x')", true),
        ("i = 7 or i = 8 and s = 'x'", true),
        ("(i = 7 or i = 8) and s = 'x'", false),
        // NULL.
        ("s is null", false),
        ("i IS NULL or c is null", false),
        ("i is not null", true),
        ("not (s is null)", true),
        // More than the types hold.
        ("i < 99999999999999999999999", true),
        ("i = 1e400", false),
        ("i > -1e400", true),
    ] {
        assert_eq!(matches(text), Ok(expected), "{text}");
    }
    assert_eq!(Expression::parse(None, &keys()).unwrap().matches(&values()), Ok(true));
}

#[test]
fn what_cannot_be_read_is_refused() {
    for text in [
        // Words and signs.
        "i",
        "7",
        "'x'",
        "(i)",
        "true",
        "i =",
        "= 7",
        "i = = 7",
        "i === 7",
        "i =< 7",
        "i <=> 7",
        "i ! 7",
        "i = 7;",
        "i = 7 i = 7",
        "i = 7 and",
        "and i = 7",
        "i = 7 && i = 7",
        "i = 7 -- x",
        "not",
        "i not 7",
        "i not = 7",
        "i not",
        "not i",
        "(i = 7",
        "i = 7)",
        "()",
        "(i = 7) = true",
        "i = (7",
        "i in ()",
        "i in (1,)",
        "i in (1 2)",
        "i in 1",
        "7 in (i)",
        "i between 1",
        "i between 1 or 2",
        "7 between i and 8",
        "i is 7",
        "i is",
        "'x' is null",
        "'it' like s",
        "i = null",
        "i in (null)",
        "i + 1 = 8",
        "i = 7 - 1",
        "i = --7",
        "abs(i) = 7",
        "t.i = 7",
        "select",
        "\u{0} = 1",
        // Strings, names and numbers that don't end as they should.
        "s = 'x",
        r"s = 'x\'",
        "s = \"x'",
        "s = 'x' 'y'",
        "`s = 'x'",
        "s = x",
        "i = 7abc",
        "i = 1.2.3",
        "i = 1e",
        "i = 0x7",
        "i = .",
        // Two keys or none.
        "i = i",
        "s = `odd-name`",
        "7 = 7",
        "i in (i)",
        "i between i and 8",
        // Keys that there aren't, and of types that aren't compared.
        "unknown = 1",
        "`I ` = 7",
        "order = 1",
        "a = 1",
        "a is not null",
        // Literals that are none of the key.
        "i = 'seven'",
        "i = ''",
        "i = ' 7'",
        "i = true",
        "i = date '2024-01-01'",
        "i in (1, 'x')",
        "i = 'Infinity'",
        "c = 'NaN'",
        "c between 0 and 'x'",
        "d = '2024-02-30'",
        "d = '2024-2-1'",
        "d = '20240201'",
        "d = 20240201",
        "d = '2024-02-01 00:00:00'",
        "d = date 'today'",
        "d = timestamp '2024-02-01'",
        "ts = 5",
        "ts = '2024-02-01 25:00:00'",
        "s = date '2024-02-30'",
        "s = true",
        "b = 1",
        "b = 'yes'",
        "s like 5",
        "s like date '2024-01-01'",
        // The partition of NULL where no text can be.
        "i = '__HIVE_DEFAULT_PARTITION__'",
        "d <> '__HIVE_DEFAULT_PARTITION__'",
        "c in ('__HIVE_DEFAULT_PARTITION__')",
        "b = '__HIVE_DEFAULT_PARTITION__'",
    ] {
        let error = parse(text).expect_err(text);
        let ExpressionError::Invalid(message) = &error else { panic!("{text}: {error}") };
        assert!(message.starts_with("Invalid partition expression! "), "{text}: {message}");
    }
}

#[test]
fn messages_name_the_fault() {
    for (text, message) in [
        ("x = 1", "Invalid partition expression! there is no partition key \"x\""),
        ("i =", "Invalid partition expression! it ends too early"),
        ("i = 7 8", "Invalid partition expression! unexpected \"8\" at character 7"),
        ("s = 'x", "Invalid partition expression! unterminated string at character 5"),
        (
            "i = 'x'",
            "Invalid partition expression! \
             the string \"x\" is no value of partition key \"I\", which is int",
        ),
        ("i like '7%'", "Integral data type doesn't support operation 'LIKE'"),
        ("i not like 7", "Integral data type doesn't support operation 'LIKE'"),
        ("d like '2024%'", "Date data type doesn't support operation 'LIKE'"),
        ("c like '1%'", "Decimal data type doesn't support operation 'LIKE'"),
        ("ts like '2024%'", "Timestamp data type doesn't support operation 'LIKE'"),
    ] {
        assert_eq!(parse(text).unwrap_err(), ExpressionError::Invalid(message.into()), "{text}");
    }
}

#[test]
fn the_partition_of_null_is_a_text_for_strings_and_unknown_for_others() {
    let values = vec![None; keys().len()];
    for (text, expected) in [
        ("s = '__HIVE_DEFAULT_PARTITION__'", true),
        ("s <> '__HIVE_DEFAULT_PARTITION__'", false),
        ("s in ('x', '__HIVE_DEFAULT_PARTITION__')", true),
        ("s <> 'x'", true),
        ("s >= '2024'", false),
        ("s < 'a'", false),
        ("not s < 'a'", false),
        ("s between '2024' and '2025'", false),
        ("s like '%DEFAULT%'", true),
        ("s is null", false),
        ("s is not null", true),
        ("i = 7", false),
        ("i <> 7", false),
        ("not i = 7", false),
        ("not (i = 7 and d = '2024-01-01')", false),
        ("i not in (7)", false),
        ("c not between 1 and 2", false),
        ("i = 7 or s <> 'x'", true),
        ("not (i = 7 and s = 'x')", true),
        ("i is null", false),
        ("not i is null", true),
    ] {
        assert_eq!(parse(text).unwrap().matches(&values), Ok(expected), "{text}");
    }
}

#[test]
fn stored_values_of_other_types_are_errors_where_they_matter() {
    let keys = [column("d", "date"), column("s", "string"), column("i", "int")];
    let values = ["tomorrow", "x", "1.0"].map(|value| Some(value.to_owned()));
    let outcome = |text| Expression::parse(Some(text), &keys).unwrap().matches(&values);
    for text in [
        "d = '2024-01-01'",
        "not d = '2024-01-01'",
        "d <> '2024-01-01' and s = 'x'",
        "s = 'y' or d < '2024-01-01'",
        "i = 1",
    ] {
        assert!(matches!(outcome(text), Err(ExpressionError::State(_))), "{text}");
    }
    for (text, expected) in [
        ("d = '2024-01-01' and s = 'y'", false),
        ("s = 'y' and d = '2024-01-01'", false),
        ("d = '2024-01-01' or s = 'x'", true),
        ("d is not null", true),
    ] {
        assert_eq!(outcome(text), Ok(expected), "{text}");
    }
    let error = outcome("d = '2024-01-01'").unwrap_err();
    assert_eq!(error.to_string(), "a partition has \"tomorrow\" for its key \"d\", which is date");
    let short = Expression::parse(Some("i = 1"), &keys).unwrap().matches(&[]);
    assert!(matches!(short, Err(ExpressionError::State(_))));
}

#[test]
fn length_is_limited() {
    let padded = |length: usize| format!("{:length$}", "i = 7");
    assert_eq!(matches(&padded(2048)), Ok(true));
    let error = parse(&padded(2049)).unwrap_err();
    let message = "Invalid partition expression! it has 2049 characters, the limit is 2048";
    assert_eq!(error, ExpressionError::Invalid(message.into()));
    assert!(parse(&" ".repeat(2049)).is_err());
    let accents = format!("s <> '{}'", "é".repeat(2048 - 7));
    assert_eq!(matches(&accents), Ok(true));
}

/// A quarter of the stack that a thread of tokio has.
const STACK_BYTES: usize = 512 << 10;

#[test]
fn nesting_is_limited() {
    let nested = |depth| format!("{}i = 7{}", "(".repeat(depth), ")".repeat(depth));
    let checks = move || {
        assert_eq!(matches(&nested(128)), Ok(true));
        assert!(parse(&nested(129)).is_err());
        assert!(parse(&"(".repeat(2048)).is_err());
        assert!(parse(&format!("i = {}7{}", "(".repeat(1000), ")".repeat(1000))).is_ok());
        assert_eq!(matches(&format!("{}i = 7", "not ".repeat(500))), Ok(true));
        let negated = format!("{}i = 7{}", "not (".repeat(128), ")".repeat(128));
        assert_eq!(matches(&negated), Ok(true));
        let mixed = format!("{}i = 7{}", "not (i = 1 or ".repeat(128), ")".repeat(128));
        assert!(matches(&mixed).is_ok());
        drop(parse(&mixed).unwrap().filter());
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(checks).unwrap().join().unwrap();
}

#[test]
fn a_table_without_keys_has_no_expression_but_the_empty_one() {
    let empty = Expression::parse(None, &[]).unwrap();
    assert_eq!(empty.matches(&[]), Ok(true));
    assert_eq!(empty.filter(), PartitionFilter::default());
    assert!(Expression::parse(Some("i is null"), &[]).is_err());
}
