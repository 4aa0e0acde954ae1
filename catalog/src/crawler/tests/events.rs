//! Crawls of what events name.

use std::sync::atomic::Ordering;

use arrow::datatypes::DataType::{Int32, Int64};
use serde_json::{Value, json};

use super::fixture::{Lake, is_noted};
use crate::crawler::{CrawlerSpec, OnDelete, Recrawl};

fn spec(lake: &Lake) -> CrawlerSpec {
    let mut spec = lake.spec();
    spec.recrawl = Recrawl::Events;
    spec.on_delete = OnDelete::Delete;
    spec.details.insert("EventQueue".into(), json!(lake.url("queue/")));
    spec
}

fn event(lake: &Lake, name: &str, path: &str, sequencer: &str) -> Value {
    let key = lake.path(path).to_str().unwrap().trim_start_matches('/').replace('=', "%3D");
    let object = json!({ "key": key, "sequencer": sequencer });
    let s3 = json!({ "bucket": { "name": "lake" }, "object": object });
    json!({ "Records": [{ "eventName": name, "s3": s3 }] })
}

#[tokio::test]
async fn only_what_events_name_is_listed() {
    let lake = Lake::new().await;
    for day in 1..=20 {
        lake.parquet(&format!("raw/sales/k={day}/a.parquet"), &[("id", Int64)]);
    }
    lake.write("raw/users/a.csv", "a,b\n1,2\n");
    let first = lake.crawl(&spec(&lake)).await;
    assert_eq!(first.counts.objects, 21);

    lake.parquet("raw/sales/k=21/a.parquet", &[("id", Int64)]);
    lake.parquet("raw/unseen/a.parquet", &[("id", Int64)]);
    lake.write("raw/plays/x/a.csv", "a,b\n1,2\n");
    lake.remove("raw/sales/k=1");
    lake.remove("raw/sales/k=2");
    let messages = [
        event(&lake, "ObjectCreated:Put", "raw/sales/k=21/a.parquet", "0A"),
        event(&lake, "ObjectCreated:Put", "raw/plays/x/a.csv", "0B"),
        event(&lake, "ObjectRemoved:Delete", "raw/sales/k=1/a.parquet", "0C"),
        event(&lake, "ObjectCreated:Put", "raw/sales/k=21/a.parquet", "0A"),
        event(&lake, "ObjectCreated:Put", "elsewhere/a.csv", "0D"),
        json!({ "Event": "s3:TestEvent" }),
    ];
    for (number, message) in messages.iter().enumerate() {
        lake.write(&format!("queue/{number}.json"), message.to_string());
    }
    lake.write("queue/odd.json", "no message");
    let lists = lake.stores.0.lists.load(Ordering::Relaxed);
    let plan = lake.plan(&spec(&lake)).await;
    assert_eq!(lake.stores.0.lists.load(Ordering::Relaxed) - lists, 4, "{}", plan.describe());
    assert_eq!((plan.counts.objects, plan.counts.messages), (2, 6));
    assert_eq!(std::fs::read_dir(lake.path("queue")).unwrap().count(), 7);
    plan.apply(&lake.catalog).await.unwrap().done();
    let values = lake.values("sales").await;
    assert_eq!((values.len(), values[0].as_str(), values[19].as_str()), (20, "2", "21"));
    let tables = lake.tables().await;
    assert_eq!(tables.len(), 3, "{tables:?}");
    assert!(tables[2].starts_with("x("), "{tables:?}");
    assert!(is_noted(&plan, "no message"));
    assert_eq!(std::fs::read_dir(lake.path("queue")).unwrap().count(), 1);
    assert!(lake.plan(&spec(&lake)).await.is_empty());
}

#[tokio::test]
async fn events_may_come_in_any_order() {
    let lake = Lake::new().await;
    lake.parquet("raw/sales/k=1/a.parquet", &[("id", Int32)]);
    lake.parquet("raw/sales/k=2/a.parquet", &[("id", Int32)]);
    lake.crawl(&spec(&lake)).await;
    // The object was removed, then made again; the messages say it the other way round.
    let path = "raw/sales/k=1/a.parquet";
    lake.write("queue/1.json", event(&lake, "ObjectCreated:Put", path, "100").to_string());
    lake.write("queue/2.json", event(&lake, "ObjectRemoved:Delete", path, "FF").to_string());
    lake.parquet(path, &[("id", Int64)]);
    let plan = lake.plan(&spec(&lake)).await;
    plan.apply(&lake.catalog).await.unwrap().done();
    assert_eq!(lake.values("sales").await, ["1", "2"]);
    assert_eq!(lake.tables().await, ["sales(id:bigint)[k:int]"]);
}

#[tokio::test]
async fn files_of_a_delta_table_are_no_table() {
    let lake = Lake::new().await;
    let metadata = json!({ "metaData": { "schemaString":
        json!({ "fields": [{ "name": "id", "type": "long" }] }).to_string() } });
    let log = "raw/events/_delta_log/00000000000000000000.json";
    lake.write(log, metadata.to_string());
    lake.parquet("raw/events/a.parquet", &[("id", Int64)]);
    lake.crawl(&spec(&lake)).await;
    lake.parquet("raw/events/b.parquet", &[("id", Int64)]);
    let message = event(&lake, "ObjectCreated:Put", "raw/events/b.parquet", "1");
    lake.write("queue/1.json", message.to_string());
    let plan = lake.plan(&spec(&lake)).await;
    assert!(plan.is_empty(), "{}", plan.describe());
    // One that isn't known yet.
    lake.write(log.replace("events", "more").as_str(), metadata.to_string());
    lake.parquet("raw/more/day=1/b.parquet", &[("id", Int64)]);
    let message = event(&lake, "ObjectCreated:Put", "raw/more/day=1/b.parquet", "1");
    lake.write("queue/1.json", message.to_string());
    lake.plan(&spec(&lake)).await.apply(&lake.catalog).await.unwrap().done();
    assert_eq!(lake.tables().await, ["events(id:bigint)", "more(id:bigint)"]);
}
