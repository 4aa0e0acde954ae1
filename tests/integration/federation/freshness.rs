//! When the remote catalog is asked, and what changes with the answer.

use std::time::Duration;

use boathouse_catalog::{
    Catalog, Database, Federated, PartitionEdit, PartitionFilter, Table, Update,
};
use boathouse_http_server::HttpConfig;

use super::{LONG, catalog, name, partition, requests, settings, spec};
use crate::support::Remote;

const SHORT: Duration = Duration::from_millis(300);

async fn remote() -> Remote {
    Remote::start(HttpConfig::default()).await
}

async fn count(catalog: &Catalog, table: &Table) -> usize {
    catalog.partitions(table, &PartitionFilter::default()).await.unwrap().len()
}

#[tokio::test]
async fn what_is_fresh_is_not_asked_for_again() {
    let remote = remote().await;
    let there = remote.engine.catalog();
    let made = there.create_table(&name("t"), spec(), Vec::new()).await.unwrap();
    let made = there.commit_partitions(&made, vec![partition(&made, 1)], Vec::new()).await.unwrap();
    assert!(matches!(made, Update::Done(_)));
    let here = catalog(remote.address, LONG).await;

    let (table, asked) = requests(&here, here.table(&name("t"))).await;
    let table = table.unwrap();
    assert_eq!((asked, &table.spec), (1, &spec()));
    let (found, asked) = requests(&here, count(&here, &table)).await;
    assert_eq!((found, asked), (1, 1), "partitions are asked for when they are wanted");

    let again = async {
        let again = here.table(&name("t")).await.unwrap();
        assert_eq!(again, table);
        assert_eq!(count(&here, &again).await, 1);
        assert_eq!(here.partition_totals(&again).await.unwrap().partitions, 1);
        assert!(here.table(&name("nothing")).await.is_err());
        assert!(here.table(&name("nothing")).await.is_err());
    };
    let ((), asked) = requests(&here, again).await;
    assert_eq!(asked, 1, "only for the table that is not there, once");

    let lists = async {
        assert_eq!(here.tables("default").await.unwrap().len(), 1);
        assert_eq!(here.table_summaries(None).await.unwrap().len(), 1);
        assert_eq!(here.all_tables().await.unwrap(), std::slice::from_ref(&table));
        assert_eq!(here.databases().await.unwrap().len(), 1);
        here.database("default").await.unwrap();
    };
    let ((), asked) = requests(&here, lists).await;
    assert_eq!(asked, 2, "all databases, and the tables of one");
}

#[tokio::test]
async fn many_who_ask_at_once_ask_once() {
    let remote = remote().await;
    remote.engine.catalog().create_table(&name("t"), spec(), Vec::new()).await.unwrap();
    let here = catalog(remote.address, LONG).await;
    let ask = async |_| {
        let table = here.table(&name("t")).await.unwrap();
        count(&here, &table).await
    };
    let (_, asked) = requests(&here, futures::future::join_all((0..20).map(ask))).await;
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn own_changes_are_seen_at_once() {
    let remote = remote().await;
    let here = catalog(remote.address, LONG).await;
    let web = Database { name: "web".to_owned(), ..Database::default() };
    assert!(here.database("web").await.is_err());
    here.create_database(web).await.unwrap();
    here.database("web").await.unwrap();
    assert_eq!(here.databases().await.unwrap().len(), 2);

    assert!(here.table(&name("t")).await.is_err());
    assert!(here.tables("default").await.unwrap().is_empty());
    let made = here.create_table(&name("t"), spec(), Vec::new()).await.unwrap();
    assert_eq!(here.table(&name("t")).await.unwrap(), made);
    assert_eq!(here.tables("default").await.unwrap(), std::slice::from_ref(&made));
    assert_eq!(count(&here, &made).await, 0);

    let put = vec![partition(&made, 1), partition(&made, 2)];
    let Update::Done(grown) = here.commit_partitions(&made, put, Vec::new()).await.unwrap() else {
        panic!("a conflict")
    };
    assert!(made.data_version < grown.data_version);
    assert_eq!(here.table(&name("t")).await.unwrap().data_version, grown.data_version);
    assert_eq!((count(&here, &made).await, count(&here, &grown).await), (0, 2));

    let commented = boathouse_catalog::TableSpec { comment: Some("new".into()), ..spec() };
    let updated = here.update_table(&grown, commented.clone()).await.unwrap();
    let Update::Done(updated) = updated else { panic!("a conflict") };
    assert!(grown.version < updated.version);
    assert_eq!(here.table(&name("t")).await.unwrap().spec, commented);
    assert_eq!(here.table_versions(&name("t")).await.unwrap().len(), 2);
    assert_eq!(remote.engine.catalog().table(&name("t")).await.unwrap().spec, commented);

    here.drop_table(&name("t")).await.unwrap();
    assert!(here.table(&name("t")).await.is_err());
    assert!(here.tables("default").await.unwrap().is_empty());
    here.drop_database("web", false).await.unwrap();
    assert!(here.database("web").await.is_err());
}

#[tokio::test]
async fn changes_of_others_are_seen_after_a_while_and_versions_change_only_then() {
    let remote = remote().await;
    let there = remote.engine.catalog();
    let made = there.create_table(&name("t"), spec(), Vec::new()).await.unwrap();
    let here = catalog(remote.address, SHORT).await;
    let first = here.table(&name("t")).await.unwrap();
    assert_eq!(count(&here, &first).await, 0);

    tokio::time::sleep(SHORT).await;
    assert_eq!(here.table(&name("t")).await.unwrap(), first, "nothing has changed");

    let put = vec![partition(&made, 1)];
    let Update::Done(made) = there.commit_partitions(&made, put, Vec::new()).await.unwrap() else {
        panic!("a conflict")
    };
    tokio::time::sleep(SHORT).await;
    let second = here.table(&name("t")).await.unwrap();
    assert_eq!((second.version, &second.id), (first.version, &first.id));
    assert!(first.data_version < second.data_version);
    assert_eq!((count(&here, &first).await, count(&here, &second).await), (0, 1));

    let mut wider = spec();
    wider.columns.push(super::column("b", "string"));
    assert!(matches!(there.update_table(&made, wider).await.unwrap(), Update::Done(_)));
    tokio::time::sleep(SHORT).await;
    let third = here.table(&name("t")).await.unwrap();
    assert_eq!((third.spec.columns.len(), &third.id), (2, &first.id));
    assert!(second.version < third.version);

    there.drop_table(&name("t")).await.unwrap();
    there.create_table(&name("t"), spec(), Vec::new()).await.unwrap();
    tokio::time::sleep(SHORT).await;
    let other = here.table(&name("t")).await.unwrap();
    assert_ne!(other.id, first.id, "a table of the same name is another one");
    assert_eq!(count(&here, &other).await, 0);
}

#[tokio::test]
async fn a_change_on_an_old_base_is_a_conflict() {
    let remote = remote().await;
    let there = remote.engine.catalog();
    let here = catalog(remote.address, LONG).await;
    let table = here.create_table(&name("t"), spec(), Vec::new()).await.unwrap();
    let commented =
        |text: &str| boathouse_catalog::TableSpec { comment: Some(text.into()), ..spec() };
    let theirs = there.table(&name("t")).await.unwrap();
    assert!(matches!(
        there.update_table(&theirs, commented("theirs")).await.unwrap(),
        Update::Done(_)
    ));
    // Nothing here knows of it yet, but the remote catalog does.
    assert!(matches!(
        here.update_table(&table, commented("ours")).await.unwrap(),
        Update::Conflict { .. }
    ));
    let seen = here.table(&name("t")).await.unwrap();
    assert_eq!(seen.spec.comment.as_deref(), Some("theirs"));
    assert!(matches!(here.drop_table_if_unchanged(&table).await.unwrap(), Update::Conflict { .. }));
    assert!(matches!(here.update_table(&seen, commented("ours")).await.unwrap(), Update::Done(_)));
    let ours = there.table(&name("t")).await.unwrap();
    assert_eq!(ours.spec.comment.as_deref(), Some("ours"));
}

#[tokio::test]
async fn single_partitions_are_added_replaced_and_removed() {
    let remote = remote().await;
    let here = catalog(remote.address, LONG).await;
    let table = here.create_table(&name("t"), spec(), Vec::new()).await.unwrap();
    let elsewhere = |key| {
        let location = format!("s3://other/{key}/");
        boathouse_catalog::Partition { location, ..partition(&table, key) }
    };
    let values = |key: u32| vec![Some(key.to_string())];
    let edits: Vec<PartitionEdit> = (0..250)
        .map(|key| PartitionEdit::Add(partition(&table, key)))
        .chain([
            PartitionEdit::Add(partition(&table, 3)),
            PartitionEdit::Replace(values(4), elsewhere(4)),
            PartitionEdit::Replace(values(5), elsewhere(1005)),
            PartitionEdit::Remove(values(6)),
            PartitionEdit::Remove(values(7777)),
        ])
        .collect();
    let outcomes = here.edit_partitions(&name("t"), &edits).await.unwrap();
    let failed: Vec<usize> = (0..edits.len()).filter(|at| outcomes[*at].is_err()).collect();
    assert_eq!(failed, [250, 254], "{:?} {:?}", outcomes[250], outcomes[254]);

    let seen = here.table(&name("t")).await.unwrap();
    assert!(table.data_version < seen.data_version);
    assert_eq!(count(&here, &seen).await, 249);
    let wanted = [values(4), values(5), values(6), values(1005)];
    let mut found = here.partitions_of(&seen, &wanted).await.unwrap();
    found.sort_by(|one, other| one.location.cmp(&other.location));
    let places: Vec<&str> = found.iter().map(|one| one.location.as_str()).collect();
    assert_eq!(places, ["s3://other/1005/", "s3://other/4/"]);
}

#[tokio::test]
async fn many_partitions_come_in_pages() {
    let remote = remote().await;
    let there = remote.engine.catalog();
    let made = there.create_table(&name("t"), spec(), Vec::new()).await.unwrap();
    let put = (0..2500).map(|key| partition(&made, key)).collect();
    assert!(matches!(
        there.commit_partitions(&made, put, Vec::new()).await.unwrap(),
        Update::Done(_)
    ));
    let here = catalog(remote.address, LONG).await;
    let table = here.table(&name("t")).await.unwrap();
    assert_eq!(count(&here, &table).await, 2500);
}

#[tokio::test]
async fn only_so_much_is_kept() {
    let remote = remote().await;
    let there = remote.engine.catalog();
    for number in 0..30 {
        there.create_table(&name(&format!("t{number:02}")), spec(), Vec::new()).await.unwrap();
    }
    let few = Federated { tables_max: Some(10), ..settings(remote.address, LONG) };
    let here = Catalog::federate(&few).await.unwrap();
    for _ in 0..2 {
        for number in 0..30 {
            here.table(&name(&format!("t{number:02}"))).await.unwrap();
        }
    }
    let (_, asked) = requests(&here, here.table(&name("t29"))).await;
    assert_eq!(asked, 0, "the last one is still there");
    let (_, asked) = requests(&here, here.table(&name("t00"))).await;
    assert_eq!(asked, 1, "the first one is not");
    assert_eq!(here.tables("default").await.unwrap().len(), 30, "a list is whole");
}
