//! Many files and many folders.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::fixture::Lake;

#[tokio::test]
async fn ten_thousand_small_files_are_one_listing_and_a_few_samples() {
    let lake = Lake::new().await;
    for number in 0..10_000 {
        lake.write(&format!("raw/events/{number:05}.json"), "{\"id\":1}\n");
    }
    let started = Instant::now();
    let plan = lake.plan(&lake.spec()).await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!((plan.counts.objects, plan.counts.tables_found), (10_000, 1));
    assert_eq!(lake.stores.0.lists.load(Ordering::Relaxed), 1);
    assert!(lake.stores.0.gets.load(Ordering::Relaxed) <= 3);
}

#[tokio::test]
async fn thousands_of_folders_are_one_listing_and_a_few_samples() {
    let lake = Lake::new().await;
    for number in 0..5_000 {
        lake.write(&format!("raw/events/k={number}/a.json"), "{\"id\":1}\n");
    }
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!((plan.counts.listings, plan.counts.partitions_added), (1, 5_000));
    assert_eq!(plan.counts.folders, 5_001);
    assert!(plan.counts.files_sampled <= 20);
    // One for the crawl, one for that which finds nothing to do.
    assert_eq!(lake.stores.0.lists.load(Ordering::Relaxed), 2);
    assert_eq!(lake.values("events").await.len(), 5_000);
}
