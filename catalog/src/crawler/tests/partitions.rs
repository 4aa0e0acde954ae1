//! Partitions by the names of folders.

use arrow::datatypes::DataType::{Int32, Int64, Utf8};

use super::fixture::{Lake, drift, is_noted};
use crate::crawler::OnDelete;

#[tokio::test]
async fn keys_have_types_that_hold_their_values() {
    let lake = Lake::new().await;
    for (folder, values) in [
        ("ints", vec!["k=1", "k=20", "k=__HIVE_DEFAULT_PARTITION__"]),
        ("longs", vec!["k=1", "k=3000000000"]),
        ("padded", vec!["k=007", "k=8"]),
        ("days", vec!["k=2024-01-31", "k=2024-02-01"]),
        ("texts", vec!["k=a%2Fb c", "k=100%25", "k=ü#?", "k=x=y", "k="]),
    ] {
        for value in values {
            lake.parquet(&format!("raw/{folder}/{value}/a.parquet"), &[("id", Int64)]);
        }
    }
    lake.crawl(&lake.spec()).await;
    assert_eq!(
        lake.tables().await,
        [
            "days(id:bigint)[k:date]",
            "ints(id:bigint)[k:int]",
            "longs(id:bigint)[k:bigint]",
            "padded(id:bigint)[k:string]",
            "texts(id:bigint)[k:string]",
        ]
    );
    assert_eq!(lake.values("ints").await, ["NULL", "1", "20"]);
    assert_eq!(lake.values("texts").await, ["", "100%", "a/b c", "x=y", "ü#?"]);
    // The location leads back to the folder.
    for partition in lake.partitions("texts").await {
        let url = url::Url::parse(&partition.location).unwrap();
        assert!(url.to_file_path().unwrap().is_dir(), "{url}");
    }
}

#[tokio::test]
async fn nested_keys_are_keys_in_their_order() {
    let lake = Lake::new().await;
    for month in ["Year=2024/month=1", "year=2024/month=2", "year=2025/month=1"] {
        lake.parquet(&format!("raw/sales/{month}/a.parquet"), &[("id", Int64), ("year", Int32)]);
    }
    lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["sales(id:bigint)[year:int month:int]"]);
    assert_eq!(lake.values("sales").await, ["2024/1", "2024/2", "2025/1"]);
}

#[tokio::test]
async fn folders_of_other_depth_are_left_out_and_never_mixed_in() {
    let lake = Lake::new().await;
    for path in ["year=2023/month=1", "year=2023/month=2", "year=2024", "year=2025/month=1/x"] {
        lake.parquet(&format!("raw/sales/{path}/a.parquet"), &[("id", Int64)]);
    }
    lake.parquet("raw/sales/a.parquet", &[("id", Int64)]);
    lake.parquet("raw/sales/year=2023/month=2/deep/a.parquet", &[("id", Int64)]);
    lake.parquet("raw/sales/region=eu/a.parquet", &[("id", Int64)]);
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["sales(id:bigint)[year:int month:int]"]);
    assert_eq!(lake.values("sales").await, ["2023/1"]);
    for text in [
        "it is at year=…, the table is at year=…/month=…",
        "it has files and folders with files",
        "files beside folders that are partitions",
        "it is beside folders named year=…",
        "at year=…/month=…/NAME",
    ] {
        assert!(is_noted(&plan, text), "{text}: {}", plan.describe());
    }
}

#[tokio::test]
async fn folders_of_another_format_are_left_out() {
    let lake = Lake::new().await;
    lake.parquet("raw/sales/day=1/a.parquet", &[("id", Int64)]);
    lake.parquet("raw/sales/day=2/a.parquet", &[("id", Int64)]);
    lake.write("raw/sales/day=3/a.csv", "id\n1\n");
    lake.write("raw/sales/day=4/a.parquet", "{\"a\":1}\n");
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(lake.values("sales").await, ["1", "2"]);
    assert!(is_noted(&plan, "it has no parquet files"), "{}", plan.describe());
    assert!(is_noted(&plan, "one is parquet, the other json"), "{}", plan.describe());
}

#[tokio::test]
async fn mixed_types_are_widened_or_reported() {
    let lake = Lake::new().await;
    lake.parquet("raw/sales/day=1/a.parquet", &[("id", Int32), ("x", Utf8)]);
    lake.parquet("raw/sales/day=2/a.parquet", &[("id", Int64), ("x", Int64), ("y", Utf8)]);
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["sales(id:bigint x:string y:string)[day:int]"]);
    assert_eq!(drift(&plan), ["id int bigint widened", "x string bigint quarantined"]);
}

#[tokio::test]
async fn new_values_may_widen_a_key_but_not_to_another_kind() {
    let lake = Lake::new().await;
    lake.parquet("raw/sales/k=1/a.parquet", &[("id", Int64)]);
    lake.crawl(&lake.spec()).await;
    lake.parquet("raw/sales/k=3000000000/a.parquet", &[("id", Int64)]);
    lake.parquet("raw/sales/k=new/a.parquet", &[("id", Int64)]);
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["sales(id:bigint)[k:bigint]"]);
    assert_eq!(lake.values("sales").await, ["1", "3000000000"]);
    assert_eq!(drift(&plan), ["k int 3000000000 widened", "k bigint new quarantined"]);
}

#[tokio::test]
async fn partitions_that_are_gone_go_as_the_policy_says() {
    for (policy, left) in [(OnDelete::Delete, 1), (OnDelete::Deprecate, 2), (OnDelete::Log, 2)] {
        let lake = Lake::new().await;
        lake.parquet("raw/sales/k=1/a.parquet", &[("id", Int64)]);
        lake.parquet("raw/sales/k=2/a.parquet", &[("id", Int64)]);
        let mut spec = lake.spec();
        spec.on_delete = policy;
        lake.crawl(&spec).await;
        lake.remove("raw/sales/k=1");
        lake.crawl(&spec).await;
        let partitions = lake.partitions("sales").await;
        assert_eq!(partitions.len(), left, "{policy:?}");
        let marked = partitions[0].parameters.contains_key("DEPRECATED_BY_CRAWLER");
        assert_eq!(marked, policy == OnDelete::Deprecate);
        lake.parquet("raw/sales/k=1/a.parquet", &[("id", Int64)]);
        lake.crawl(&spec).await;
        let partitions = lake.partitions("sales").await;
        assert!(partitions.iter().all(|p| p.parameters.is_empty()), "{policy:?}");
        assert_eq!(partitions.len(), 2);
    }
}
