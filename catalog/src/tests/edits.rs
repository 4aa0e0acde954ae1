use std::ops::Bound;

use serde_json::json;

use super::fixture::{firsts, is_in, name, only, partition, spec, values};
use crate::{
    Catalog, Change, DocumentKind, Error, KeyTest, ObjectKind, PageRequest, PartitionEdit,
    PartitionFilter, Table, Update,
};

/// All partitions of a segment, read in pages.
async fn paged(
    catalog: &Catalog,
    table: &Table,
    filter: &PartitionFilter,
    limit: usize,
    segment: Option<(u32, u32)>,
) -> Vec<Vec<Option<String>>> {
    let mut request = PageRequest { after: None, limit, segment };
    let mut found = Vec::new();
    loop {
        let page = catalog.partition_page(table, filter, &request).await.unwrap();
        assert!(page.partitions.len() <= limit);
        found.extend(page.partitions.into_iter().map(|partition| partition.values));
        match page.next {
            Some(next) => request.after = Some(next),
            None => return found,
        }
    }
}

pub(super) async fn pages_are_disjoint_and_complete(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let days = ["NULL", "2024-01-01", "2024-01-02", "2024-01-03"];
    let all = days.iter().flat_map(|day| (0..25).map(|n| partition(&[day, &n.to_string()])));
    let keys = spec(&[("day", "date"), ("n", "int")]);
    let table = catalog.create_table(&name("hits"), keys, all.collect()).await.unwrap();

    let everything = paged(&catalog, &table, &PartitionFilter::default(), 7, None).await;
    assert_eq!(everything.len(), 100);
    assert!(everything.is_sorted_by(|a, b| a[0] <= b[0]), "{everything:?}");

    let low = Bound::Included("2024-01-02".into());
    let range = only(0, KeyTest::Range { low, high: Bound::Unbounded });
    for filter in [PartitionFilter::default(), range, only(1, is_in(&["3", "4"]))] {
        let mut expected: Vec<_> = catalog.partitions(&table, &filter).await.unwrap();
        expected.sort_by(|a, b| a.values.cmp(&b.values));
        let expected: Vec<_> = expected.into_iter().map(|partition| partition.values).collect();
        for limit in [1, 7, 100, 1000] {
            let mut found = paged(&catalog, &table, &filter, limit, None).await;
            found.sort();
            assert_eq!(found, expected, "{filter:?} by {limit}");
            let mut found = Vec::new();
            for segment in 0..3 {
                found.extend(paged(&catalog, &table, &filter, limit, Some((segment, 3))).await);
            }
            found.sort();
            assert_eq!(found, expected, "{filter:?} by {limit} in segments");
        }
    }

    // What is committed meanwhile is not seen.
    let gone = PartitionEdit::Remove(values(&["2024-01-03", "24"]));
    catalog.edit_partitions(&table.name, &[gone]).await.unwrap();
    assert_eq!(paged(&catalog, &table, &PartitionFilter::default(), 9, None).await, everything);
    let wanted = [values(&["2024-01-03", "24"]), values(&["2024-01-03", "99"])];
    assert_eq!(catalog.partitions_of(&table, &wanted).await.unwrap().len(), 1);
}

pub(super) async fn each_edit_has_an_outcome_of_its_own(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let first = vec![partition(&["1"]), partition(&["2"])];
    let table = catalog.create_table(&name("hits"), spec(&[("n", "int")]), first).await.unwrap();
    let edits = [
        PartitionEdit::Add(partition(&["1"])),
        PartitionEdit::Add(partition(&["3"])),
        PartitionEdit::Add(partition(&["3"])),
        PartitionEdit::Add(partition(&["x"])),
        PartitionEdit::Replace(values(&["2"]), partition(&["4"])),
        PartitionEdit::Replace(values(&["2"]), partition(&["5"])),
        PartitionEdit::Replace(values(&["1"]), partition(&["3"])),
        PartitionEdit::Remove(values(&["9"])),
        PartitionEdit::Remove(values(&["3"])),
        PartitionEdit::Add(partition(&["3"])),
    ];
    let outcomes = catalog.edit_partitions(&name("HITS"), &edits).await.unwrap();
    let shown: Vec<&str> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(()) => "done",
            Err(Error::AlreadyExists { kind: ObjectKind::Partition, .. }) => "taken",
            Err(Error::NotFound { kind: ObjectKind::Partition, .. }) => "missing",
            Err(Error::Invalid(_)) => "invalid",
            Err(error) => panic!("{error}"),
        })
        .collect();
    let expected = [
        "taken", "done", "taken", "invalid", "done", "missing", "taken", "missing", "done", "done",
    ];
    assert_eq!(shown, expected);
    let now = catalog.table(&table.name).await.unwrap();
    assert_eq!(firsts(&catalog, &now).await, ["1", "3", "4"]);
    assert_eq!(catalog.partition_totals(&now).await.unwrap().partitions, 3);
    assert_eq!(now.data_version, table.data_version + 1);

    let missing = catalog.edit_partitions(&name("none"), &edits).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { kind: ObjectKind::Table, .. }), "{missing}");
}

pub(super) async fn concurrent_edits_are_neither_lost_nor_doubled(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    catalog.create_table(&name("hits"), spec(&[("n", "int")]), vec![]).await.unwrap();
    let clients = (0..8).map(|client| {
        let catalog = catalog.clone();
        tokio::spawn(async move {
            let mut added = 0;
            for batch in 0..10 {
                // Each value is wanted by two clients.
                let first = (client / 2) * 50 + batch * 5;
                let edits: Vec<PartitionEdit> = (first..first + 5)
                    .map(|n| PartitionEdit::Add(partition(&[&n.to_string()])))
                    .collect();
                let outcomes = catalog.edit_partitions(&name("hits"), &edits).await.unwrap();
                added += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            }
            added
        })
    });
    let mut added = 0;
    for client in clients.collect::<Vec<_>>() {
        added += client.await.unwrap();
    }
    let table = catalog.table(&name("hits")).await.unwrap();
    assert_eq!(added, 200);
    assert_eq!(catalog.partition_totals(&table).await.unwrap().partitions, 200);
    assert_eq!(firsts(&catalog, &table).await.len(), 200);
}

pub(super) async fn changes_apply_together_or_not_at_all(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let keys = || spec(&[("n", "int")]);
    let hits = catalog.create_table(&name("hits"), keys(), vec![]).await.unwrap();
    let gone = catalog.create_table(&name("gone"), keys(), vec![]).await.unwrap();
    let mut wider = keys();
    wider.comment = None;
    let create = |table: &str| Change::Create {
        name: name(table),
        spec: Box::new(keys()),
        partitions: vec![partition(&["7"])],
    };
    let update = Change::Update {
        table: Box::new(hits.clone()),
        spec: Some(Box::new(wider.clone())),
        put: vec![partition(&["1"])],
        remove: vec![values(&["5"])],
    };
    let drop = Change::Drop { table: Box::new(gone) };

    let taken = catalog.apply(&[create("new"), create("hits")]).await.unwrap_err();
    assert!(matches!(taken, Error::AlreadyExists { .. }), "{taken}");
    assert!(catalog.table(&name("new")).await.is_err());

    let all = [create("new"), update, drop];
    assert_eq!(catalog.apply(&all).await.unwrap(), Update::Done(()));
    let names = catalog.table_summaries(None).await.unwrap();
    let names: Vec<&str> = names.iter().map(|summary| summary.name.table()).collect();
    assert_eq!(names, ["hits", "new"]);
    let now = catalog.table(&name("hits")).await.unwrap();
    assert_eq!((now.version, now.data_version, &now.spec), (2, 2, &wider));
    assert_eq!(firsts(&catalog, &now).await, ["1"]);

    // The second is stale, so the first is not made either.
    let conflict = catalog.apply(&[create("newer"), all[1].clone()]).await.unwrap();
    assert!(matches!(conflict, Update::Conflict { .. }), "{conflict:?}");
    assert!(catalog.table(&name("newer")).await.is_err());
}

pub(super) async fn documents_are_kept_by_kind_parent_and_name(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let kind = DocumentKind::Function;
    let body = json!({"text": "ä\u{0}", "n": 1.5});
    assert!(catalog.create_document(kind, "web", "f", &body).await.unwrap());
    assert!(!catalog.create_document(kind, "web", "f", &json!({})).await.unwrap());
    assert!(catalog.create_document(kind, "app", "f", &json!(1)).await.unwrap());
    assert!(catalog.create_document(DocumentKind::Crawler, "web", "f", &json!(2)).await.unwrap());
    let stored = catalog.document(kind, "web", "f").await.unwrap().unwrap();
    assert_eq!((stored.version, &stored.body), (1, &body));

    assert!(catalog.replace_document(kind, "web", "f", 1, &json!(3)).await.unwrap());
    assert!(!catalog.replace_document(kind, "web", "f", 1, &json!(4)).await.unwrap());
    let more = [("a".to_owned(), json!(5)), ("f".to_owned(), json!(6))];
    catalog.put_documents(kind, "web", &more).await.unwrap();
    let all = catalog.documents(kind, "web").await.unwrap();
    let all: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.version)).collect();
    assert_eq!(all, [("a", 1), ("f", 3)]);

    assert!(catalog.delete_document(kind, "web", "f").await.unwrap());
    assert!(!catalog.delete_document(kind, "web", "f").await.unwrap());
    assert_eq!(catalog.document(kind, "web", "f").await.unwrap(), None);
    assert!(catalog.document(kind, "app", "f").await.unwrap().is_some());
    let error = catalog.document(kind, "web", "\0").await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

pub(super) async fn what_belongs_to_a_table_goes_with_it(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let table = catalog.create_table(&name("hits"), spec(&[]), vec![]).await.unwrap();
    let kind = DocumentKind::ColumnStatistics;
    catalog.create_document(kind, &table.id, "url", &json!({})).await.unwrap();
    catalog.drop_table(&table.name).await.unwrap();
    assert_eq!(catalog.documents(kind, &table.id).await.unwrap(), []);
}

pub(super) async fn access_keys_come_and_go(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let key = catalog.create_access_key(Some("for tests".into())).await.unwrap();
    let other = catalog.create_access_key(None).await.unwrap();
    assert_ne!((&key.id, &key.secret), (&other.id, &other.secret));
    assert!(!format!("{key:?}").contains(&key.secret));
    assert_eq!(catalog.access_key(&key.id).await.unwrap(), Some(key.clone()));
    assert_eq!(catalog.access_keys().await.unwrap().len(), 2);
    assert!(catalog.revoke_access_key(&key.id).await.unwrap());
    assert!(!catalog.revoke_access_key(&key.id).await.unwrap());
    assert_eq!(catalog.access_key(&key.id).await.unwrap(), None);
}

pub(super) async fn versions_can_be_skipped_and_deleted(url: String) {
    use crate::Archive;
    let catalog = Catalog::open(&url).await.unwrap();
    let hits = name("hits");
    let first = catalog.create_table(&hits, spec(&[]), vec![]).await.unwrap();
    let keeping = catalog.update_table_keeping(&first, spec(&[]), Archive::Skip).await;
    let second = keeping.unwrap().done();
    let third = catalog.update_table(&second, spec(&[])).await.unwrap().done();
    let numbers = async || -> Vec<u64> {
        let versions = catalog.table_versions(&hits).await.unwrap();
        versions.iter().map(|version| version.version).collect()
    };
    assert_eq!(numbers().await, [3, 2]);
    assert!(catalog.delete_table_version(&hits, 2).await.unwrap());
    assert!(!catalog.delete_table_version(&hits, 2).await.unwrap());
    let current = catalog.delete_table_version(&hits, third.version).await.unwrap_err();
    assert!(matches!(current, Error::Invalid(_)), "{current}");
    assert_eq!(numbers().await, [3]);
}
