//! Runs and their record.

use std::sync::Mutex;

use tokio::sync::watch;

use super::fixture::{CRAWLER, Lake};
use crate::DocumentKind;
use crate::crawler::{Action, CrawlState, CrawlerSpec, Error, Phase, crawls, run};

async fn run_once(lake: &Lake, spec: &CrawlerSpec) -> crate::crawler::Crawl {
    let (_stop, stopped) = watch::channel(false);
    run(&lake.catalog, &lake.stores, CRAWLER, spec, stopped, &|_| {}).await.unwrap()
}

#[tokio::test]
async fn a_run_is_recorded() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", "id,name\n1,Ann\n");
    let phases = Mutex::new(Vec::new());
    let (_stop, stopped) = watch::channel(false);
    let seen = |progress: &crate::crawler::Progress| phases.lock().unwrap().push(progress.phase);
    let crawl =
        run(&lake.catalog, &lake.stores, CRAWLER, &lake.spec(), stopped, &seen).await.unwrap();
    assert_eq!(crawl.state, CrawlState::Completed);
    assert_eq!((crawl.counts.objects, crawl.counts.created), (1, 1));
    assert_eq!(crawl.changes.first[0].action, Action::Create);
    assert!(!crawl.notes.first.is_empty());
    assert_eq!(phases.lock().unwrap().last(), Some(&Phase::Applying));
    let again = run_once(&lake, &lake.spec()).await;
    assert_eq!((again.counts.created, again.changes.first.len()), (0, 0));
    let kept = crawls(&lake.catalog, Some(CRAWLER)).await.unwrap();
    assert_eq!(kept, [again, crawl]);
    assert_eq!(crawls(&lake.catalog, None).await.unwrap(), kept, "whether it is stored or not");
}

#[tokio::test]
async fn a_run_that_fails_is_recorded_too() {
    let lake = Lake::new().await;
    let mut spec = lake.spec();
    spec.database = "nowhere".into();
    let crawl = run_once(&lake, &spec).await;
    assert_eq!(crawl.state, CrawlState::Failed);
    assert!(crawl.error.unwrap().contains("nowhere"));
    lake.write("raw/users/a.csv", "id,name\n1,Ann\n");
    assert_eq!(run_once(&lake, &lake.spec()).await.state, CrawlState::Completed);
}

#[tokio::test]
async fn a_run_can_be_stopped() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", "id,name\n1,Ann\n");
    let (stop, stopped) = watch::channel(false);
    let at_once = |_: &crate::crawler::Progress| {
        stop.send_replace(true);
        // The next await must give way to the stop.
    };
    let spec = lake.spec();
    let crawl = run(&lake.catalog, &lake.stores, CRAWLER, &spec, stopped, &at_once).await.unwrap();
    assert_eq!(crawl.state, CrawlState::Stopped);
    assert!(lake.tables().await.is_empty());
}

#[tokio::test]
async fn one_run_at_a_time_until_it_is_dead() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", "id,name\n1,Ann\n");
    let crawl = run_once(&lake, &lake.spec()).await;
    // As a process leaves it that is killed.
    let mut killed = crawl.clone();
    killed.state = CrawlState::Running;
    killed.heartbeat_at_ms = crate::catalog::now_ms();
    killed.ended_at_ms = None;
    put(&lake, &killed).await;
    let running = ("running".to_owned(), serde_json::json!(killed.id));
    lake.catalog.put_documents(DocumentKind::Crawl, CRAWLER, &[running]).await.unwrap();
    let (_stop, stopped) = watch::channel(false);
    let refused = run(&lake.catalog, &lake.stores, CRAWLER, &lake.spec(), stopped, &|_| {}).await;
    assert!(matches!(refused, Err(Error::AlreadyRunning(name)) if name == CRAWLER));
    assert_eq!(crawls(&lake.catalog, Some(CRAWLER)).await.unwrap().len(), 1);

    killed.heartbeat_at_ms -= 3_600_000;
    put(&lake, &killed).await;
    let shown = crawls(&lake.catalog, Some(CRAWLER)).await.unwrap();
    assert_eq!(shown[0].state, CrawlState::Failed);
    assert_eq!(run_once(&lake, &lake.spec()).await.state, CrawlState::Completed);
    let states: Vec<CrawlState> =
        crawls(&lake.catalog, Some(CRAWLER)).await.unwrap().iter().map(|c| c.state).collect();
    assert_eq!(states, [CrawlState::Completed, CrawlState::Failed]);
}

async fn put(lake: &Lake, crawl: &crate::crawler::Crawl) {
    let document = (crawl.id.clone(), serde_json::to_value(crawl).unwrap());
    lake.catalog.put_documents(DocumentKind::Crawl, CRAWLER, &[document]).await.unwrap();
}

#[tokio::test]
async fn the_newest_hundred_are_kept() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", "id,name\n1,Ann\n");
    let crawl = run_once(&lake, &lake.spec()).await;
    for number in 0..120 {
        let mut old = crawl.clone();
        old.id = format!("{number:015}-old");
        put(&lake, &old).await;
    }
    let newest = run_once(&lake, &lake.spec()).await;
    let kept = crawls(&lake.catalog, Some(CRAWLER)).await.unwrap();
    assert_eq!((kept.len(), &kept[0].id), (100, &newest.id));
}

#[tokio::test]
async fn a_spec_is_kept_as_it_is() {
    let lake = Lake::new().await;
    let spec = lake.spec();
    let text = serde_json::to_value(&spec).unwrap();
    assert_eq!(serde_json::from_value::<CrawlerSpec>(text).unwrap(), spec);
    let short = serde_json::json!({ "targets": [], "database": "web" });
    assert_eq!(serde_json::from_value::<CrawlerSpec>(short).unwrap().database, "web");
}
