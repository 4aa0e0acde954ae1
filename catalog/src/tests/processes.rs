//! Several processes on one store: the test binary starts itself as the others.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::fixture::{name, partition, spec};
use crate::{Catalog, Partition, PartitionFilter, Update};

const URL: &str = "BOATHOUSE_TEST_CHILD_URL";
const WRITER: &str = "BOATHOUSE_TEST_CHILD_WRITER";
const COMMITS: &str = "BOATHOUSE_TEST_CHILD_COMMITS";
/// How many partitions a commit of a child has.
const BATCH: usize = 50;

fn start(url: &str, writer: usize, commits: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::processes::child"])
        .env(URL, url)
        .env(WRITER, writer.to_string())
        .env(COMMITS, commits.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a process does that [`start`] has started; in the parent it does nothing.
#[tokio::test]
async fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    let writer = std::env::var(WRITER).unwrap();
    let commits: usize = std::env::var(COMMITS).unwrap().parse().unwrap();
    let catalog = Catalog::open(&url).await.unwrap();
    for commit in 0..commits {
        let batch: Vec<Partition> =
            (0..BATCH).map(|n| partition(&[&writer, &(commit * BATCH + n).to_string()])).collect();
        loop {
            let table = catalog.table(&name("hits")).await.unwrap();
            let update = catalog.commit_partitions(&table, batch.clone(), vec![]).await.unwrap();
            if let Update::Done(_) = update {
                break;
            }
        }
    }
}

async fn open_with_table(url: &str) -> Catalog {
    let catalog = Catalog::open(url).await.unwrap();
    let keys = spec(&[("writer", "int"), ("n", "int")]);
    catalog.create_table(&name("hits"), keys, vec![]).await.unwrap();
    catalog
}

async fn read(catalog: &Catalog) -> (u64, usize) {
    let table = catalog.table(&name("hits")).await.unwrap();
    let partitions = catalog.partitions(&table, &PartitionFilter::default()).await.unwrap();
    let count = catalog.partition_totals(&table).await.unwrap().partitions;
    assert_eq!(count, partitions.len() as u64);
    (table.data_version, partitions.len())
}

pub(super) async fn processes_share_a_store(url: String) {
    let catalog = open_with_table(&url).await;
    let children: Vec<Child> = (0..3).map(|writer| start(&url, writer, 5)).collect();
    for mut child in children {
        let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert!(ended.success());
    }
    assert_eq!(read(&catalog).await, (1 + 15, 15 * BATCH));
}

pub(super) async fn a_killed_writer_leaves_whole_commits(url: String) {
    let catalog = open_with_table(&url).await;
    for round in 0..3 {
        let before = read(&catalog).await.0;
        let mut child = start(&url, round, usize::MAX);
        // Until it is at work; and a little longer, to hit another moment each time.
        while read(&catalog).await.0 == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(child.try_wait().unwrap().is_none(), "the child has ended");
        }
        tokio::time::sleep(Duration::from_millis(7 * round as u64)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let (data_version, partitions) = read(&catalog).await;
        assert_eq!(partitions as u64, (data_version - 1) * BATCH as u64);
    }
    // What the dead held is free: the next can write.
    let table = catalog.table(&name("hits")).await.unwrap();
    catalog.commit_partitions(&table, vec![], vec![]).await.unwrap().done();
}
