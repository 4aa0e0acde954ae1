//! Many partitions: lookups read only what matches.

use std::ops::Bound;
use std::time::{Duration, Instant};

use super::fixture::{is_in, name, only, partition, spec};
use crate::{Catalog, KeyConstraint, KeyTest, Partition, PartitionFilter};

/// `days` times `sensors` partitions, by day and sensor.
fn grid(days: usize, sensors: usize) -> Vec<Partition> {
    let each =
        |day: usize| (0..sensors).map(move |sensor| partition(&[&date(day), &sensor.to_string()]));
    (0..days).flat_map(each).collect()
}

fn date(day: usize) -> String {
    format!("{}-{:02}-{:02}", 2020 + day / 360, day / 30 % 12 + 1, day % 30 + 1)
}

pub(super) async fn lookups_search_an_index(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let keys = spec(&[("day", "date"), ("sensor", "bigint")]);
    let table = catalog.create_table(&name("hits"), keys, grid(60, 50)).await.unwrap();
    let point = KeyConstraint { key: 1, test: is_in(&["7"]) };
    let few = KeyConstraint { key: 1, test: is_in(&["7", "8", "9"]) };
    let (low, high) = (Bound::Included("2020-02-01".into()), Bound::Excluded("2020-02-03".into()));
    let days = KeyConstraint { key: 0, test: KeyTest::Range { low, high } };
    let null = KeyConstraint { key: 0, test: KeyTest::IsNull };
    for (constraints, expected) in [
        (vec![point.clone()], 60),
        (vec![few.clone()], 180),
        (vec![days.clone()], 100),
        (vec![days.clone(), point.clone()], 2),
        (vec![point, days.clone()], 2),
        (vec![days, few], 6),
        (vec![null], 0),
    ] {
        let filter = PartitionFilter { constraints };
        let plan = catalog.explain_partitions(&table, &filter).await.unwrap();
        for step in &plan {
            let is_scan = step.contains("SCAN") && !step.contains("json_each");
            let is_join = step.contains("Hash Join") || step.contains("Merge Join");
            let is_bad = is_scan || is_join || step.contains("Seq Scan");
            assert!(!is_bad, "{filter:?}: {plan:#?}");
        }
        let found = catalog.partitions(&table, &filter).await.unwrap();
        assert_eq!(found.len(), expected, "{filter:?}");
    }
}

pub(super) async fn hundreds_of_thousands_of_partitions(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let all = grid(300, 1000);
    let keys = spec(&[("day", "date"), ("sensor", "bigint")]);
    let start = Instant::now();
    let table = catalog.create_table(&name("hits"), keys, all).await.unwrap();
    println!("300,000 partitions made in {:?}", start.elapsed());
    assert_eq!(catalog.partition_totals(&table).await.unwrap().partitions, 300_000);

    let both = |day: KeyTest| {
        let constraints = [(0, day), (1, is_in(&["777"]))];
        let constraints = constraints.map(|(key, test)| KeyConstraint { key, test });
        PartitionFilter { constraints: constraints.into() }
    };
    let (low, high) = (Bound::Included(date(60)), Bound::Excluded(date(210)));
    for (filter, expected) in [
        (only(1, is_in(&["777"])), 300),
        (only(1, is_in(&["7", "77", "777"])), 900),
        (both(is_in(&[&date(123)])), 1),
        (both(is_in(&[&date(123), &date(124)])), 2),
        (both(KeyTest::Range { low, high }), 150),
        (both(KeyTest::IsNotNull), 300),
    ] {
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            let found = catalog.partitions(&table, &filter).await.unwrap();
            best = best.min(start.elapsed());
            assert_eq!(found.len(), expected);
        }
        println!("{expected} of them found in {best:?}");
        // To read them all takes seconds.
        let bound = Duration::from_millis(50 + expected as u64 / 4);
        assert!(best < bound, "{filter:?}: {best:?}");
    }

    let start = Instant::now();
    let put = vec![partition(&[&date(0), "0"]), partition(&[&date(0), "1000"])];
    let table = catalog.commit_partitions(&table, put, vec![]).await.unwrap().done();
    println!("2 of them put in {:?}", start.elapsed());
    assert_eq!(catalog.partition_totals(&table).await.unwrap().partitions, 300_001);

    let start = Instant::now();
    let table = catalog.commit_partitions(&table, grid(30, 1000), vec![]).await.unwrap().done();
    println!("30,000 of them replaced in {:?}", start.elapsed());
    assert_eq!(catalog.partition_totals(&table).await.unwrap().partitions, 300_001);

    let start = Instant::now();
    catalog.drop_table(&table.name).await.unwrap();
    println!("all of them dropped in {:?}", start.elapsed());
}
