//! Which folders are one table.

use arrow::datatypes::DataType::{Float64, Int64, Utf8};
use serde_json::json;

use super::fixture::{Lake, is_noted};
use crate::crawler::{OnDelete, Target};

const CSV: &str = "id,name\n1,Ann\n2,Bob\n";

#[tokio::test]
async fn folders_with_names_are_tables_apart_even_if_they_are_alike() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", CSV);
    lake.write("raw/artists/a.csv", CSV);
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(
        lake.tables().await,
        ["artists(id:bigint name:string)", "users(id:bigint name:string)"]
    );
    assert!(is_noted(&plan, "CombineCompatibleSchemas"), "{}", plan.describe());
}

#[tokio::test]
async fn folders_with_names_are_one_table_if_that_is_asked() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", CSV);
    lake.write("raw/artists/a.csv", CSV);
    let mut spec = lake.spec();
    let configuration =
        json!({ "Grouping": { "TableGroupingPolicy": "CombineCompatibleSchemas" } });
    spec.details.insert("Configuration".into(), json!(configuration.to_string()));
    lake.crawl(&spec).await;
    assert_eq!(lake.tables().await, ["raw(id:bigint name:string)[partition_0:string]"]);
    assert_eq!(lake.values("raw").await, ["artists", "users"]);
}

#[tokio::test]
async fn unlike_folders_stay_apart_even_if_combining_is_asked() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", CSV);
    lake.write("raw/plays/a.json", "{\"track\":1,\"at\":\"x\"}\n");
    let mut spec = lake.spec();
    let configuration = json!({ "Grouping": "CombineCompatibleSchemas" });
    spec.details.insert("Configuration".into(), configuration);
    lake.crawl(&spec).await;
    assert_eq!(lake.tables().await.len(), 2);
}

#[tokio::test]
async fn dates_of_alike_schemas_are_partitions() {
    let lake = Lake::new().await;
    for day in ["2024/01/30", "2024/01/31", "2024/02/01"] {
        lake.parquet(&format!("raw/listens/{day}/a.parquet"), &[("id", Int64), ("user", Utf8)]);
    }
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(
        lake.tables().await,
        ["listens(id:bigint user:string)\
          [partition_0:int partition_1:string partition_2:string]"]
    );
    assert_eq!(lake.values("listens").await, ["2024/01/30", "2024/01/31", "2024/02/01"]);
    assert!(is_noted(&plan, "3 folders of parquet files"), "{}", plan.describe());
}

#[tokio::test]
async fn dates_of_unlike_schemas_are_tables() {
    let lake = Lake::new().await;
    lake.parquet("raw/stuff/2023/a.parquet", &[("id", Int64), ("user", Utf8)]);
    lake.write("raw/stuff/2024/a.csv", "x,y\n1,2\n");
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["2023(id:bigint user:string)", "2024(x:bigint y:bigint)"]);
    assert!(is_noted(&plan, "not one table"), "{}", plan.describe());
}

#[tokio::test]
async fn one_stranger_among_many_dates_is_left_out() {
    let lake = Lake::new().await;
    for day in 1..=8 {
        lake.parquet(&format!("raw/plays/2024-01-0{day}/a.parquet"), &[("id", Int64)]);
    }
    lake.parquet("raw/plays/2024-01-09/a.parquet", &[("other", Float64)]);
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["plays(id:bigint)[partition_0:date]"]);
    assert_eq!(lake.values("plays").await.len(), 8);
    assert!(is_noted(&plan, "unlike most folders"), "{}", plan.describe());
}

#[tokio::test]
async fn files_of_unlike_schemas_are_a_table_each() {
    let lake = Lake::new().await;
    lake.write("raw/drop/users.csv", CSV);
    lake.write("raw/drop/plays.csv", "track,seconds,country\n1,2.5,DE\n");
    lake.write("raw/drop/prices.json", "{\"price\":1.5}\n");
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(
        lake.tables().await,
        [
            "plays(track:bigint seconds:double country:string)",
            "prices(price:double)",
            "users(id:bigint name:string)",
        ]
    );
    assert_eq!(lake.partitions("users").await[0].location, lake.url("raw/drop/users.csv"));
    assert!(is_noted(&plan, "a table each"));
    let mut spec = lake.spec();
    spec.on_delete = OnDelete::Delete;
    lake.remove("raw/drop/prices.json");
    lake.crawl(&spec).await;
    assert_eq!(lake.tables().await.len(), 2);
}

#[tokio::test]
async fn files_of_alike_schemas_are_one_table() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", CSV);
    lake.write("raw/users/b.csv", "id,name,age\n1,Ann,30\n");
    lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["users(id:bigint name:string age:bigint)"]);
}

#[tokio::test]
async fn files_beside_folders_are_a_table_that_lists_them() {
    let lake = Lake::new().await;
    lake.write("raw/a.csv", CSV);
    lake.write("raw/b.csv", CSV);
    lake.write("raw/plays/a.json", "{\"track\":1}\n");
    lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["plays(track:bigint)", "raw(id:bigint name:string)"]);
    // Queries would else read the files in the folders too.
    let files = lake.partitions("raw").await[0].files.clone().unwrap();
    let paths: Vec<String> = files.into_iter().map(|file| file.path).collect();
    assert_eq!(paths, [lake.url("raw/a.csv"), lake.url("raw/b.csv")]);
    lake.write("raw/c.csv", CSV);
    lake.crawl(&lake.spec()).await;
    assert_eq!(lake.partitions("raw").await[0].files.as_ref().unwrap().len(), 3);
}

#[tokio::test]
async fn names_are_made_fit_and_unique() {
    let lake = Lake::new().await;
    lake.write("raw/Web Hits-2/a.csv", CSV);
    lake.write("raw/eu/users/a.csv", CSV);
    lake.write("raw/us/users/a.csv", CSV);
    let mut spec = lake.spec();
    spec.table_prefix = "raw_".into();
    let plan = lake.crawl(&spec).await;
    let names: Vec<String> = plan.steps.iter().map(|step| step.table.table().to_owned()).collect();
    assert_eq!(names, ["raw_users", "raw_users_us", "raw_web_hits_2"]);
}

#[tokio::test]
async fn a_name_of_another_table_is_not_taken() {
    let lake = Lake::new().await;
    lake.write("old/users/a.csv", CSV);
    lake.crawl(&lake.spec_of("old/")).await;
    lake.write("raw/users/a.csv", "other\n1\n");
    let plan = lake.plan(&lake.spec()).await;
    assert!(plan.is_empty(), "{}", plan.describe());
    assert!(is_noted(&plan, "is at another location"), "{}", plan.describe());
}

#[tokio::test]
async fn exclusions_leave_out_files_and_folders() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", CSV);
    lake.write("raw/users/a.bak.csv", "x\n1\n");
    lake.write("raw/backup/a.csv", CSV);
    let mut spec = lake.spec();
    spec.targets[0].exclusions = vec!["backup/**".into(), "**.bak.csv".into()];
    lake.crawl(&spec).await;
    assert_eq!(lake.tables().await, ["users(id:bigint name:string)"]);
    // What is left out is left out by queries too.
    assert_eq!(lake.partitions("users").await[0].files.as_ref().unwrap().len(), 1);
}

#[tokio::test]
async fn a_target_may_be_a_file_and_targets_may_overlap() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", CSV);
    lake.write("raw/one.json", "{\"a\":1}\n");
    let mut spec = lake.spec_of("raw/one.json");
    spec.targets.push(Target { location: lake.url("raw/users/"), exclusions: vec![] });
    spec.targets.push(Target { location: lake.url("raw/users"), exclusions: vec![] });
    lake.crawl(&spec).await;
    assert_eq!(lake.tables().await, ["one(a:bigint)", "users(id:bigint name:string)"]);
    assert_eq!(lake.partitions("one").await[0].location, lake.url("raw/one.json"));
}
