//! What becomes of tables whose files have changed, or that people have changed.

use arrow::datatypes::DataType::{Date32, Float64, Int32, Int64, Timestamp, Utf8};
use arrow::datatypes::TimeUnit;

use super::fixture::{Lake, drift, is_noted};
use crate::crawler::{Action, OnChange, OnDelete, Recrawl, plan};
use crate::{Change, TableName};

#[tokio::test]
async fn a_plan_writes_nothing_and_says_why() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", "id,name\n1,Ann\n");
    let plan = lake.plan(&lake.spec()).await;
    assert!(lake.tables().await.is_empty());
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.steps[0].action, Action::Create);
    assert!(matches!(plan.steps[0].change, Change::Create { .. }));
    let text = plan.describe();
    assert!(text.starts_with("create default.users: file://"), "{text}");
    let again = lake.plan(&lake.spec()).await;
    assert_eq!(again.describe(), text);
}

#[tokio::test]
async fn a_schema_changes_as_the_policy_says() {
    for (policy, columns, expected) in [
        (
            OnChange::Update,
            "users(id:bigint name:string old:int x:double age:int)",
            [
                "age  int added",
                "id int bigint widened",
                "name string int quarantined",
                "x int double widened",
            ],
        ),
        (
            OnChange::AddColumns,
            "users(id:int name:string old:int x:int age:int)",
            [
                "age  int added",
                "id int bigint logged",
                "name string int quarantined",
                "x int double logged",
            ],
        ),
        (
            OnChange::Log,
            "users(id:int name:string old:int x:int)",
            [
                "age  int logged",
                "id int bigint logged",
                "name string int quarantined",
                "x int double logged",
            ],
        ),
    ] {
        let lake = Lake::new().await;
        let mut spec = lake.spec();
        spec.on_change = policy;
        let before = [("id", Int32), ("name", Utf8), ("old", Int32), ("x", Int32)];
        lake.parquet("raw/users/a.parquet", &before);
        lake.crawl(&spec).await;
        let after = [("id", Int64), ("name", Int32), ("x", Float64), ("age", Int32)];
        lake.parquet("raw/users/a.parquet", &after);
        let plan = lake.crawl(&spec).await;
        assert_eq!(lake.tables().await, [columns], "{policy:?}");
        assert_eq!(drift(&plan), expected, "{policy:?}");
    }
}

#[tokio::test]
async fn text_widens_to_string_and_dates_only_if_asked() {
    let lake = Lake::new().await;
    lake.write("raw/a/a.csv", "id,at\n1,2024-01-31\n");
    lake.parquet("raw/b/a.parquet", &[("at", Date32)]);
    lake.crawl(&lake.spec()).await;
    lake.write("raw/a/a.csv", "id,at\nx,2024-01-31\n");
    lake.parquet("raw/b/a.parquet", &[("at", Timestamp(TimeUnit::Microsecond, None))]);
    lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["a(id:string at:date)", "b(at:date)"]);
    let mut spec = lake.spec();
    spec.widen_dates = true;
    lake.crawl(&spec).await;
    assert_eq!(lake.tables().await, ["a(id:string at:date)", "b(at:timestamp)"]);
}

#[tokio::test]
async fn a_column_without_values_says_nothing_of_its_type() {
    let lake = Lake::new().await;
    lake.write("raw/a/a.csv", "id,x\n1,5\n");
    lake.crawl(&lake.spec()).await;
    lake.write("raw/a/a.csv", "id,x\n1,\n");
    let plan = lake.crawl(&lake.spec()).await;
    assert!(plan.is_empty() && plan.drift.is_empty(), "{}", plan.describe());
}

#[tokio::test]
async fn columns_of_csv_in_another_order_are_not_mixed_up() {
    let lake = Lake::new().await;
    lake.write("raw/a/a.csv", "id,x\n1,5\n");
    lake.crawl(&lake.spec()).await;
    lake.write("raw/a/a.csv", "x,id,y\n1,5,6\n");
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["a(id:bigint x:bigint)"]);
    assert!(plan.drift[0].reason.contains("by position"), "{}", plan.describe());
}

#[tokio::test]
async fn what_people_changed_stays() {
    let lake = Lake::new().await;
    let columns = [("typed", Int32), ("noted", Int32), ("gone", Int32), ("named", Int32)];
    lake.parquet("raw/users/a.parquet", &columns);
    lake.crawl(&lake.spec()).await;
    lake.edit("users", |spec| {
        spec.columns[0].data_type = "decimal(20,0)".into();
        spec.columns[1].comment = Some("counted by hand".into());
        spec.columns.remove(2);
        spec.parameters.insert("boathouse.pinned_columns".into(), "named, other".into());
    })
    .await;
    let columns = [
        ("typed", Float64),
        ("noted", Int64),
        ("gone", Int64),
        ("named", Int64),
        ("other", Int64),
        ("free", Int64),
    ];
    lake.parquet("raw/users/a.parquet", &columns);
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["users(typed:decimal(20,0) noted:int named:int free:bigint)"]);
    assert_eq!(
        drift(&plan),
        [
            "free  bigint added",
            "gone  bigint pinned",
            "named int bigint pinned",
            "noted int bigint pinned",
            "other  bigint pinned",
            "typed decimal(20,0) double pinned",
        ]
    );
    lake.edit("users", |spec| {
        spec.parameters.insert("boathouse.pinned_columns".into(), "*".into());
    })
    .await;
    lake.parquet("raw/users/a.parquet", &[("free", Float64), ("more", Int64)]);
    assert!(lake.crawl(&lake.spec()).await.is_empty());
}

#[tokio::test]
async fn tables_of_others_get_partitions_and_nothing_else() {
    let lake = Lake::new().await;
    lake.parquet("raw/sales/k=1/a.parquet", &[("id", Int32)]);
    lake.crawl(&lake.spec()).await;
    lake.edit("sales", |spec| {
        spec.parameters.remove("UPDATED_BY_CRAWLER");
    })
    .await;
    lake.remove("raw/sales/k=1");
    lake.parquet("raw/sales/k=2/a.parquet", &[("id", Int64), ("x", Int64)]);
    let mut spec = lake.spec();
    spec.on_delete = OnDelete::Delete;
    let plan = lake.crawl(&spec).await;
    assert_eq!(plan.steps[0].action, Action::AddPartitions);
    assert_eq!(lake.tables().await, ["sales(id:int)[k:int]"]);
    assert_eq!(lake.values("sales").await, ["1", "2"]);
    lake.remove("raw/sales");
    lake.write("raw/other/a.csv", "a,b\n1,2\n");
    lake.crawl(&spec).await;
    assert_eq!(lake.tables().await, ["other(a:bigint b:bigint)", "sales(id:int)[k:int]"]);
}

#[tokio::test]
async fn tables_that_are_gone_go_as_the_policy_says() {
    for policy in [OnDelete::Delete, OnDelete::Deprecate, OnDelete::Log] {
        let lake = Lake::new().await;
        lake.write("raw/a/a.csv", "a,b\n1,2\n");
        lake.write("raw/b/a.csv", "a,b\n1,2\n");
        lake.write("elsewhere/c/a.csv", "a,b\n1,2\n");
        let mut spec = lake.spec();
        spec.on_delete = policy;
        lake.crawl(&spec).await;
        lake.crawl(&lake.spec_of("elsewhere/")).await;
        lake.remove("raw/a");
        let plan = lake.crawl(&spec).await;
        let tables = lake.tables().await;
        assert_eq!(tables.len(), if policy == OnDelete::Delete { 2 } else { 3 }, "{tables:?}");
        assert_eq!(plan.steps.len(), usize::from(policy != OnDelete::Log));
        if policy == OnDelete::Deprecate {
            let parameters = lake.table("a").await.spec.parameters;
            assert!(parameters["DEPRECATED_BY_CRAWLER"].parse::<i64>().unwrap() > 0);
            lake.write("raw/a/a.csv", "a,b\n1,2\n");
            lake.crawl(&spec).await;
            let parameters = lake.table("a").await.spec.parameters;
            assert!(!parameters.contains_key("DEPRECATED_BY_CRAWLER"));
        }
    }
}

#[tokio::test]
async fn an_empty_or_missing_target_deletes_nothing() {
    let lake = Lake::new().await;
    lake.write("raw/a/a.csv", "a,b\n1,2\n");
    let mut spec = lake.spec();
    spec.on_delete = OnDelete::Delete;
    lake.crawl(&spec).await;
    lake.remove("raw/a");
    let plan = lake.crawl(&spec).await;
    assert!(plan.is_empty() && is_noted(&plan, "it is empty"), "{}", plan.describe());
    lake.remove("raw");
    let outcome = plan_of(&lake, &spec).await;
    assert!(outcome.is_none_or(|is_empty| is_empty));
    assert_eq!(lake.tables().await.len(), 1);
}

async fn plan_of(lake: &Lake, spec: &crate::crawler::CrawlerSpec) -> Option<bool> {
    let plan = plan(&lake.catalog, &lake.stores, "nightly", spec, &|_| {}).await.ok()?;
    Some(plan.is_empty())
}

#[tokio::test]
async fn a_folder_that_is_left_out_is_not_gone() {
    let lake = Lake::new().await;
    lake.write("raw/a/a.csv", "a,b\n1,2\n");
    lake.write("raw/b/a.csv", "a,b\n1,2\n");
    let mut spec = lake.spec();
    spec.on_delete = OnDelete::Delete;
    lake.crawl(&spec).await;
    spec.targets[0].exclusions = vec!["a/**".into()];
    let plan = lake.crawl(&spec).await;
    assert!(plan.is_empty(), "{}", plan.describe());
    assert!(is_noted(&plan, "but not empty"));
}

#[tokio::test]
async fn a_crawl_of_new_folders_changes_nothing_that_is_known() {
    let lake = Lake::new().await;
    let mut spec = lake.spec();
    spec.recrawl = Recrawl::NewFoldersOnly;
    spec.on_delete = OnDelete::Delete;
    lake.parquet("raw/sales/k=1/a.parquet", &[("id", Int32)]);
    lake.parquet("raw/sales/k=2/a.parquet", &[("id", Int32)]);
    lake.write("raw/users/a.csv", "a,b\n1,2\n");
    lake.crawl(&spec).await;
    lake.remove("raw/sales/k=1");
    lake.remove("raw/users");
    lake.parquet("raw/sales/k=3/a.parquet", &[("id", Int64), ("x", Int64)]);
    lake.write("raw/plays/a.csv", "a,b\n1,2\n");
    let plan = lake.crawl(&spec).await;
    assert_eq!(lake.values("sales").await, ["1", "2", "3"]);
    assert_eq!(
        lake.tables().await,
        ["plays(a:bigint b:bigint)", "sales(id:int)[k:int]", "users(a:bigint b:bigint)"]
    );
    assert_eq!(drift(&plan), ["id int bigint logged", "x  bigint logged"]);
}

#[tokio::test]
async fn a_plan_that_is_out_of_date_is_a_conflict() {
    let lake = Lake::new().await;
    lake.parquet("raw/sales/k=1/a.parquet", &[("id", Int32)]);
    lake.crawl(&lake.spec()).await;
    lake.parquet("raw/sales/k=2/a.parquet", &[("id", Int32)]);
    let plan = lake.plan(&lake.spec()).await;
    lake.edit("sales", |spec| spec.comment = Some("mine".into())).await;
    let applied = plan.apply(&lake.catalog).await.unwrap();
    assert!(matches!(applied, crate::Update::Conflict { .. }));
    assert_eq!(lake.values("sales").await, ["1"]);
    let name = TableName::new("default", "sales").unwrap();
    assert_eq!(lake.catalog.table(&name).await.unwrap().spec.comment.as_deref(), Some("mine"));
}
