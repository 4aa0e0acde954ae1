//! What a reader sees while others commit.

use super::fixture::{firsts, is_in, name, only, partition, spec, values};
use crate::store::values as parameters;
use crate::{Catalog, Error, ObjectKind, Update};

pub(super) async fn a_table_reads_the_partitions_it_had(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let keys = spec(&[("n", "int")]);
    let first = catalog.create_table(&name("hits"), keys, vec![partition(&["1"])]).await.unwrap();
    let put = vec![partition(&["2"])];
    let second = catalog.commit_partitions(&first, put, vec![]).await.unwrap().done();
    let mut changed = partition(&["2"]);
    changed.location = "s3://lake/changed/".into();
    let remove = vec![values(&["1"])];
    let third = catalog.commit_partitions(&second, vec![changed], remove).await.unwrap().done();

    for (table, expected) in [(&first, &["1"][..]), (&second, &["1", "2"]), (&third, &["2"])] {
        assert_eq!(firsts(&catalog, table).await, expected);
        assert_eq!(
            catalog.partition_totals(table).await.unwrap().partitions,
            expected.len() as u64
        );
    }
    let two = only(0, is_in(&["2"]));
    assert_eq!(catalog.partitions(&first, &two).await.unwrap(), []);
    assert_eq!(catalog.partitions(&second, &two).await.unwrap(), [partition(&["2"])]);
    let found = catalog.partitions(&third, &two).await.unwrap();
    assert_eq!(found[0].location, "s3://lake/changed/");
    let conflict = Update::Conflict { expected: 2, found: 3 };
    assert_eq!(catalog.commit_partitions(&second, vec![], vec![]).await.unwrap(), conflict);
}

pub(super) async fn old_data_versions_are_purged(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let keys = spec(&[("n", "int")]);
    let first = catalog.create_table(&name("hits"), keys, vec![partition(&["1"])]).await.unwrap();
    let remove = || vec![values(&["1"])];
    let second = catalog.commit_partitions(&first, vec![], remove()).await.unwrap().done();
    let third =
        catalog.commit_partitions(&second, vec![partition(&["1"])], vec![]).await.unwrap().done();

    // As if the second had been committed an hour ago: nobody can be reading the first.
    let mut writer = catalog.store.write().await.unwrap();
    let sql = "UPDATE data_versions SET committed_at_ms = committed_at_ms - 3600000
               WHERE data_version <= 2";
    writer.execute(sql, parameters![]).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(firsts(&catalog, &first).await, ["1"], "nothing goes without a commit");
    let fourth = catalog.commit_partitions(&third, vec![], remove()).await.unwrap().done();

    let error = catalog.partition_totals(&first).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { kind: ObjectKind::Version, .. }), "{error}");
    assert_eq!(
        error.to_string(),
        r#"version "1 of the partitions of default.hits" does not exist"#
    );
    assert_eq!(firsts(&catalog, &second).await, [""; 0]);
    assert_eq!(firsts(&catalog, &third).await, ["1"]);
    assert_eq!(firsts(&catalog, &fourth).await, [""; 0]);
    let mut reader = catalog.store.read().await.unwrap();
    for table in ["SELECT count(*) FROM partitions", "SELECT count(*) FROM partition_keys"] {
        let row = reader.row(table, parameters![]).await.unwrap().unwrap();
        assert_eq!(row.int(0).unwrap(), 1, "{table}");
    }
}

pub(super) async fn concurrent_commits_are_neither_lost_nor_doubled(url: String) {
    const WRITERS: usize = 8;
    const COMMITS: usize = 5;
    let catalogs = [Catalog::open(&url).await.unwrap(), Catalog::open(&url).await.unwrap()];
    let keys = spec(&[("writer", "int"), ("commit", "int")]);
    let created = catalogs[0].create_table(&name("hits"), keys, vec![]).await.unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let catalog = catalogs[writer % 2].clone();
            tokio::spawn(async move {
                for commit in 0..COMMITS {
                    let put = partition(&[&writer.to_string(), &commit.to_string()]);
                    loop {
                        let table = catalog.table(&name("hits")).await.unwrap();
                        let put = vec![put.clone()];
                        let update = catalog.commit_partitions(&table, put, vec![]).await.unwrap();
                        if let Update::Done(_) = update {
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let table = catalogs[1].table(&name("hits")).await.unwrap();
    assert_eq!(table.data_version, created.data_version + (WRITERS * COMMITS) as u64);
    assert_eq!(
        catalogs[1].partition_totals(&table).await.unwrap().partitions,
        (WRITERS * COMMITS) as u64
    );
    assert_eq!(firsts(&catalogs[1], &table).await.len(), WRITERS * COMMITS);
}
