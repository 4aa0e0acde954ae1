//! Partitions and the filter on their keys.

use std::collections::BTreeMap;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use super::fixture::{firsts, is_in, name, only, partition, spec, values, view};
use crate::{
    Catalog, ColumnStatistics, DataFile, Error, FileStatistics, KeyConstraint, KeyTest, Partition,
    PartitionFilter,
};

pub(super) async fn files_and_statistics_are_kept(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let amount = ColumnStatistics {
        min: Some("-1.5".into()),
        max: Some("9".into()),
        exact: true,
        null_count: Some(3),
    };
    let columns =
        BTreeMap::from([("amount".into(), amount), ("note".into(), ColumnStatistics::default())]);
    let file = DataFile {
        path: "s3://lake/hits/1.parquet".into(),
        size_bytes: u64::MAX,
        etag: Some("\"abc\"".into()),
        modified_at_ms: 1_700_000_000_000,
        statistics: Some(FileStatistics { rows: u64::MAX, columns }),
    };
    let whole = Partition {
        values: vec![],
        location: "s3://lake/hits/".into(),
        parameters: BTreeMap::from([("Key".into(), "value".into())]),
        files: Some(vec![file, DataFile::default()]),
        details: serde_json::Map::from_iter([("LastAccessTime".into(), 1.5.into())]),
    };
    let table = catalog.create_table(&name("hits"), spec(&[]), vec![whole.clone()]).await.unwrap();
    let everything = PartitionFilter::default();
    let found = catalog.partitions(&table, &everything).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&whole));

    let unlisted = Partition { files: None, ..whole };
    let table =
        catalog.commit_partitions(&table, vec![unlisted.clone()], vec![]).await.unwrap().done();
    assert_eq!(catalog.partitions(&table, &everything).await.unwrap(), [unlisted]);
}

pub(super) async fn a_partition_is_put_replaced_and_removed(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let days = ["2024-01-01", "2024-01-02", "NULL"];
    let first = days.iter().map(|day| partition(&[day])).collect();
    let table = catalog.create_table(&name("hits"), spec(&[("day", "date")]), first).await.unwrap();
    assert_eq!(catalog.partition_totals(&table).await.unwrap().partitions, 3);

    let moved = Partition { location: "s3://lake/moved/".into(), ..partition(&["NULL"]) };
    let put = vec![moved.clone(), partition(&["2024-01-03"])];
    let remove = vec![values(&["2024-01-01"]), values(&["1999-12-31"])];
    let table = catalog.commit_partitions(&table, put, remove).await.unwrap().done();
    assert_eq!(table.data_version, 2);
    assert_eq!(catalog.table(&name("hits")).await.unwrap(), table);
    assert_eq!(catalog.partition_totals(&table).await.unwrap().partitions, 3);
    assert_eq!(firsts(&catalog, &table).await, ["NULL", "2024-01-02", "2024-01-03"]);
    let found = catalog.partitions(&table, &only(0, KeyTest::IsNull)).await.unwrap();
    assert_eq!(found, [moved]);

    let again = vec![partition(&["2024-01-02"])];
    let remove = vec![values(&["2024-01-02"]), values(&["NULL"])];
    let table = catalog.commit_partitions(&table, again, remove).await.unwrap().done();
    assert_eq!(firsts(&catalog, &table).await, ["2024-01-02", "2024-01-03"]);
    assert_eq!(catalog.partition_totals(&table).await.unwrap().partitions, 2);
}

fn range(low: Bound<&str>, high: Bound<&str>) -> KeyTest {
    KeyTest::Range { low: low.map(str::to_owned), high: high.map(str::to_owned) }
}

/// Whether a value passes, by a plain comparison.
fn passes(value: Option<&str>, test: &KeyTest, is_integer: bool) -> bool {
    let Some(value) = value else { return *test == KeyTest::IsNull };
    let key = |text: &str| {
        if is_integer { (text.parse::<i64>().unwrap(), String::new()) } else { (0, text.into()) }
    };
    match test {
        KeyTest::In(values) => values.iter().any(|other| key(other) == key(value)),
        KeyTest::Range { low, high } => {
            std::ops::RangeBounds::contains(&(map(low, key), map(high, key)), &key(value))
        }
        KeyTest::IsNull => false,
        KeyTest::IsNotNull => true,
    }
}

fn map<T>(bound: &Bound<String>, key: impl Fn(&str) -> T) -> Bound<T> {
    bound.as_ref().map(|text| key(text))
}

pub(super) async fn a_filter_finds_what_a_scan_finds(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let numbers = ["-10", "-9", "-1", "0", "7", "007", "10", "9223372036854775807", "NULL"];
    let texts = ["", "A", "a", "aa", "b", "ä", "2024-01-01", "NULL"];
    let all: Vec<Partition> = numbers
        .iter()
        .flat_map(|number| texts.iter().map(move |text| partition(&[number, text])))
        .collect();
    let keys = spec(&[("number", "bigint"), ("text", "string")]);
    let table = catalog.create_table(&name("hits"), keys, all.clone()).await.unwrap();

    let on_number = [
        is_in(&["7"]),
        is_in(&["-9", "10", "11"]),
        range(Included("-9"), Excluded("7")),
        range(Excluded("-9"), Unbounded),
        range(Unbounded, Included("-9")),
        range(Included("10"), Included("9")),
    ];
    let on_text = [
        is_in(&["a"]),
        is_in(&["", "ä", "nope", "a"]),
        range(Included("A"), Excluded("aa")),
        range(Excluded("a"), Unbounded),
        range(Unbounded, Excluded("2024-01-02")),
    ];
    let on_either = [is_in(&[]), range(Unbounded, Unbounded), KeyTest::IsNull, KeyTest::IsNotNull];
    let on_number: Vec<&KeyTest> = on_number.iter().chain(&on_either).collect();
    let on_text: Vec<&KeyTest> = on_text.iter().chain(&on_either).collect();
    let mut filters: Vec<Vec<(usize, &KeyTest)>> = vec![vec![]];
    for number in &on_number {
        filters.push(vec![(0, number)]);
        filters.extend(on_text.iter().map(|text| vec![(1, *text), (0, number)]));
    }
    filters.extend(on_text.iter().map(|text| vec![(1, *text)]));
    filters.push(vec![(0, on_number[2]), (0, on_number[3]), (1, on_text[1])]);

    for tests in filters {
        let constraints =
            tests.iter().map(|(key, test)| KeyConstraint { key: *key, test: (*test).clone() });
        let filter = PartitionFilter { constraints: constraints.collect() };
        let mut found = catalog.partitions(&table, &filter).await.unwrap();
        let mut expected: Vec<Partition> = all
            .iter()
            .filter(|partition| {
                tests
                    .iter()
                    .all(|(key, test)| passes(partition.values[*key].as_deref(), test, *key == 0))
            })
            .cloned()
            .collect();
        found.sort_by(|a, b| a.values.cmp(&b.values));
        expected.sort_by(|a, b| a.values.cmp(&b.values));
        assert_eq!(found, expected, "{filter:?}");
    }
    let error = catalog.partitions(&table, &only(2, KeyTest::IsNull)).await.unwrap_err();
    assert_eq!(error.to_string(), r#""default.hits" has no partition key number 3"#);
}

pub(super) async fn partitions_are_ordered_by_value(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let numbers = ["10", "9", "-10", "NULL", "-9", "0"];
    let all = numbers.iter().map(|number| partition(&[number])).collect();
    let table = catalog.create_table(&name("hits"), spec(&[("n", "smallint")]), all).await.unwrap();
    assert_eq!(firsts(&catalog, &table).await, ["NULL", "-10", "-9", "0", "9", "10"]);
}

pub(super) async fn what_is_no_partition_is_refused(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let keys = spec(&[("year", "int"), ("name", "string")]);
    let table = catalog.create_table(&name("hits"), keys, vec![]).await.unwrap();
    let long = "x".repeat(crate::MAX_VALUES_BYTES);
    let refused = [
        (
            vec![partition(&["2024"])],
            r#"partition (2024) of "default.hits" has 1 values, the table has 2 partition keys"#,
        ),
        (
            vec![partition(&["now", "NULL"])],
            r#"partition (now, NULL) of "default.hits" has "now" for the int "year""#,
        ),
        (
            vec![partition(&["1", "a"]), partition(&["1", "a"])],
            r#"partition (1, a) of "default.hits" is given twice"#,
        ),
        (
            vec![partition(&["1", &long])],
            r#"a partition of "default.hits" has values of 2008 bytes, the limit is 2000"#,
        ),
        (
            vec![Partition { location: "hits".into(), ..partition(&["1", "a"]) }],
            r#"location "hits" is not an absolute URL such as s3://bucket/path/"#,
        ),
    ];
    for (put, message) in refused {
        let error = catalog.commit_partitions(&table, put, vec![]).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        assert_eq!(error.to_string(), message);
    }
    let with_nul = Partition { values: vec![None, Some("\0".into())], ..partition(&["1", "a"]) };
    let error = catalog.commit_partitions(&table, vec![with_nul], vec![]).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    let error = catalog.commit_partitions(&table, vec![], vec![vec![]]).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(catalog.table(&name("hits")).await.unwrap(), table);
    let longest = "x".repeat(crate::MAX_VALUES_BYTES - 8);
    let put = vec![partition(&["1", &longest])];
    let table = catalog.commit_partitions(&table, put.clone(), vec![]).await.unwrap().done();
    let found = catalog.partitions(&table, &only(1, is_in(&[&longest]))).await.unwrap();
    assert_eq!(found, put);

    let view = catalog.create_table(&name("totals"), view("SELECT 1"), vec![]).await.unwrap();
    let error = catalog.commit_partitions(&view, vec![partition(&[])], vec![]).await.unwrap_err();
    assert_eq!(error.to_string(), r#""default.totals" is a view and has no partitions"#);
}

pub(super) async fn more_partitions_than_a_statement_takes(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let all = |range: std::ops::Range<u32>| -> Vec<Partition> {
        range.map(|n| partition(&[&n.to_string(), "x"])).collect()
    };
    let keys = spec(&[("n", "int"), ("x", "string")]);
    let table = catalog.create_table(&name("hits"), keys, all(0..2001)).await.unwrap();
    let remove = all(0..1000).into_iter().map(|partition| partition.values).collect();
    let put = all(1500..3001);
    let table = catalog.commit_partitions(&table, put, remove).await.unwrap().done();
    let found = catalog.partitions(&table, &PartitionFilter::default()).await.unwrap();
    assert_eq!(found, all(1000..3001));
    assert_eq!(catalog.partition_totals(&table).await.unwrap().partitions, 2001);
    let many: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
    let found = catalog.partitions(&table, &only(0, KeyTest::In(many))).await.unwrap();
    assert_eq!(found, all(1000..3001));
}
