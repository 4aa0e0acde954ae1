//! Compare-and-sets of a table's definition and name.

use super::fixture::{firsts, name, partition, spec};
use crate::{Catalog, Database, Error, Update};

pub(super) async fn an_update_keeps_the_old_definition(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let hits = name("hits");
    let first = catalog.create_table(&hits, spec(&[]), vec![partition(&[])]).await.unwrap();
    let mut wider = spec(&[]);
    wider.columns.push(super::fixture::column("seconds", "double"));
    wider.comment = None;
    let second = catalog.update_table(&first, wider.clone()).await.unwrap().done();
    assert_eq!((second.version, second.data_version), (2, 1));
    assert_eq!(second.id, first.id);
    assert_eq!(second.spec, wider);
    assert_eq!(catalog.table(&hits).await.unwrap(), second);
    assert_eq!(catalog.table_summaries(None).await.unwrap()[0].comment, None);
    let versions = catalog.table_versions(&hits).await.unwrap();
    let versions: Vec<_> = versions.into_iter().map(|v| (v.version, v.spec)).collect();
    assert_eq!(versions, [(2, wider), (1, first.spec)]);
}

pub(super) async fn a_stale_update_is_a_conflict(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let hits = name("hits");
    let first = catalog.create_table(&hits, spec(&[]), vec![]).await.unwrap();
    let second = catalog.update_table(&first, spec(&[])).await.unwrap().done();
    let conflict = Update::Conflict { expected: 1, found: 2 };
    assert_eq!(catalog.update_table(&first, spec(&[])).await.unwrap(), conflict);
    assert_eq!(catalog.rename_table(&first, &name("clicks")).await.unwrap(), conflict);
    assert_eq!(catalog.commit_partitions(&first, vec![], vec![]).await.unwrap(), conflict);
    assert_eq!(catalog.table(&hits).await.unwrap(), second);

    catalog.drop_table(&hits).await.unwrap();
    let error = catalog.update_table(&second, spec(&[])).await.unwrap_err();
    assert_eq!(error.to_string(), r#"table "default.hits" does not exist"#);
    catalog.create_table(&hits, spec(&[]), vec![]).await.unwrap();
    let conflict = Update::Conflict { expected: 2, found: 0 };
    assert_eq!(catalog.update_table(&second, spec(&[])).await.unwrap(), conflict);
}

pub(super) async fn a_rename_moves_everything(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    catalog.create_database(Database { name: "web".into(), ..Database::default() }).await.unwrap();
    let keyed = spec(&[("day", "date")]);
    let old =
        catalog.create_table(&name("hits"), keyed, vec![partition(&["2024-01-01"])]).await.unwrap();
    let new = catalog.rename_table(&old, &name("web.clicks")).await.unwrap().done();
    assert_eq!(new.name.to_string(), "web.clicks");
    assert_eq!((&new.id, new.version), (&old.id, 2));
    assert_eq!(catalog.table(&name("web.clicks")).await.unwrap(), new);
    assert_eq!(catalog.table_versions(&new.name).await.unwrap().len(), 2);
    assert_eq!(firsts(&catalog, &new).await, ["2024-01-01"]);
    assert_eq!(firsts(&catalog, &old).await, ["2024-01-01"], "a query that began before");
    assert!(matches!(catalog.table(&old.name).await, Err(Error::NotFound { .. })));
    let conflict = Update::Conflict { expected: 1, found: 2 };
    assert_eq!(catalog.update_table(&old, spec(&[])).await.unwrap(), conflict);
}

pub(super) async fn a_rename_cannot_take_a_name(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let hits = catalog.create_table(&name("hits"), spec(&[]), vec![]).await.unwrap();
    catalog.create_table(&name("clicks"), spec(&[]), vec![]).await.unwrap();
    let error = catalog.rename_table(&hits, &name("clicks")).await.unwrap_err();
    assert_eq!(error.to_string(), r#"table "default.clicks" already exists"#);
    let error = catalog.rename_table(&hits, &name("web.hits")).await.unwrap_err();
    assert_eq!(error.to_string(), r#"database "web" does not exist"#);
    assert_eq!(catalog.table(&name("hits")).await.unwrap(), hits);
}

pub(super) async fn a_drop_can_depend_on_the_version(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let keyed = spec(&[("day", "date")]);
    let first = catalog.create_table(&name("hits"), keyed.clone(), vec![]).await.unwrap();
    let second = catalog.update_table(&first, keyed).await.unwrap().done();
    let conflict = Update::Conflict { expected: 1, found: 2 };
    assert_eq!(catalog.drop_table_if_unchanged(&first).await.unwrap(), conflict);
    let put = vec![partition(&["2024-01-01"])];
    let third = catalog.commit_partitions(&second, put, vec![]).await.unwrap().done();
    assert_eq!(catalog.drop_table_if_unchanged(&second).await.unwrap(), Update::Done(()));
    assert_eq!(catalog.all_tables().await.unwrap(), []);
    let error = catalog.drop_table_if_unchanged(&third).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

pub(super) async fn partition_keys_cannot_change_under_partitions(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let put = vec![partition(&["7"])];
    let table = catalog.create_table(&name("hits"), spec(&[("k", "int")]), put).await.unwrap();
    let changed = [spec(&[("k", "string")]), spec(&[]), spec(&[("k", "int"), ("l", "int")])];
    for changed in &changed {
        let error = catalog.update_table(&table, changed.clone()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the partition keys of "default.hits" cannot change in number or type while it has partitions"#
        );
    }
    let renamed = spec(&[("key", "bigint")]);
    let table = catalog.update_table(&table, renamed).await.unwrap().done();
    assert_eq!(table.version, 2);
    let remove = vec![vec![Some("7".into())]];
    let table = catalog.commit_partitions(&table, vec![], remove).await.unwrap().done();
    catalog.update_table(&table, changed[0].clone()).await.unwrap().done();
}

pub(super) async fn of_many_updates_of_one_version_one_is_done(url: String) {
    let catalogs = [Catalog::open(&url).await.unwrap(), Catalog::open(&url).await.unwrap()];
    let table = catalogs[0].create_table(&name("hits"), spec(&[]), vec![]).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (catalog, table) = (catalogs[writer % 2].clone(), table.clone());
            tokio::spawn(async move { catalog.update_table(&table, spec(&[])).await.unwrap() })
        })
        .collect();
    let mut done = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Update::Done(_) => done += 1,
            conflict => assert_eq!(conflict, Update::Conflict { expected: 1, found: 2 }),
        }
    }
    assert_eq!(done, 1);
}
