//! Tables: making, reading, dropping.

use super::fixture::{column, firsts, name, partition, spec, view};
use crate::{Catalog, Database, Error, Format, ObjectKind, TableSpec, TableType};

pub(super) async fn a_table_is_kept_as_given(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let hits = name("hits");
    let made = catalog
        .create_table(&hits, spec(&[("day", "date")]), vec![partition(&["2024-01-01"])])
        .await
        .unwrap();
    assert_eq!(made.spec, spec(&[("day", "date")]));
    assert_eq!((made.version, made.data_version), (1, 1));
    assert_eq!(catalog.table(&hits).await.unwrap(), made);
    let versions = catalog.table_versions(&hits).await.unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!((versions[0].version, &versions[0].spec), (1, &made.spec));

    let totals = name("totals");
    let made = catalog.create_table(&totals, view("SELECT 1 AS n"), vec![]).await.unwrap();
    assert_eq!(catalog.table(&totals).await.unwrap(), made);
}

pub(super) async fn names_are_looked_up_in_any_case(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let made = catalog.create_table(&name("Default.HITS"), spec(&[]), vec![]).await.unwrap();
    assert_eq!(made.name.to_string(), "default.hits");
    assert_eq!(catalog.table(&name("DEFAULT.Hits")).await.unwrap(), made);
    assert_eq!(catalog.tables("DeFault").await.unwrap(), [made]);
    assert_eq!(catalog.table_summaries(Some("DEFAULT")).await.unwrap().len(), 1);
}

pub(super) async fn what_cannot_be_made_leaves_nothing(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let keyed = || spec(&[("day", "date")]);
    let error = catalog.create_table(&name("web.hits"), keyed(), vec![]).await.unwrap_err();
    assert_eq!(error.to_string(), r#"database "web" does not exist"#);

    let hits = name("hits");
    let refused = [
        TableSpec { location: None, ..keyed() },
        TableSpec { location: Some("lake/hits".into()), ..keyed() },
        TableSpec { location: Some("s3://lake/\0".into()), ..keyed() },
        TableSpec { comment: Some("\0".into()), ..keyed() },
        TableSpec { view: view("SELECT 1").view, ..keyed() },
        TableSpec { columns: vec![column("Day", "string")], ..keyed() },
        TableSpec { columns: vec![column("a", " ")], ..keyed() },
        TableSpec { format: Some(Format::Csv), ..view("SELECT 1") },
        TableSpec { location: Some("s3://lake/".into()), ..view("SELECT 1") },
        TableSpec { view: None, ..view("SELECT 1") },
        TableSpec { partition_keys: vec![column("a", "int")], ..view("SELECT 1") },
    ];
    for spec in refused {
        let error = catalog.create_table(&hits, spec.clone(), vec![]).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{spec:?}: {error}");
    }
    let nameless = TableSpec { columns: vec![column("", "int")], ..keyed() };
    let error = catalog.create_table(&hits, nameless, vec![]).await.unwrap_err();
    assert!(matches!(error, Error::InvalidName(_)), "{error}");
    let wrong = vec![partition(&["2024-01-01"]), partition(&[])];
    let error = catalog.create_table(&hits, keyed(), wrong).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(catalog.all_tables().await.unwrap(), []);

    let error = catalog.table(&hits).await.unwrap_err();
    assert_eq!(error.to_string(), r#"table "default.hits" does not exist"#);
    let errors = [
        catalog.drop_table(&hits).await.unwrap_err(),
        catalog.table_versions(&hits).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::NotFound { kind: ObjectKind::Table, .. }), "{error}");
    }
}

pub(super) async fn a_table_of_a_used_name_has_nothing_of_the_old_one(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let hits = name("hits");
    let keyed = || spec(&[("day", "date")]);
    let old = catalog.create_table(&hits, keyed(), vec![partition(&["2024-01-01"])]).await.unwrap();
    let error = catalog.create_table(&name("HITS"), spec(&[]), vec![]).await.unwrap_err();
    assert_eq!(error.to_string(), r#"table "default.hits" already exists"#);

    let old = catalog.update_table(&old, keyed()).await.unwrap().done();
    assert_eq!(catalog.drop_table(&hits).await.unwrap(), old);
    let new = catalog.create_table(&hits, keyed(), vec![]).await.unwrap();
    assert_ne!(new.id, old.id);
    assert_eq!(catalog.table_versions(&hits).await.unwrap().len(), 1);
    assert_eq!(firsts(&catalog, &new).await, [""; 0]);
    assert_eq!(catalog.partition_totals(&new).await.unwrap().partitions, 0);
    let error = catalog.partition_totals(&old).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { kind: ObjectKind::Table, .. }), "{error}");
}

pub(super) async fn lists_are_sorted(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    catalog.create_database(Database { name: "a-b".into(), ..Database::default() }).await.unwrap();
    let names = ["default.b_1", "default.b-1", "default.ä", "default.b", "a-b.z"];
    for text in names {
        catalog.create_table(&name(text), spec(&[]), vec![]).await.unwrap();
    }
    catalog.create_table(&name("default.v"), view("SELECT 1"), vec![]).await.unwrap();
    let show = |names: Vec<crate::TableName>| -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    };
    let in_default = ["default.b", "default.b-1", "default.b_1", "default.v", "default.ä"];
    let all: Vec<&str> = ["a-b.z"].into_iter().chain(in_default).collect();

    let tables = catalog.all_tables().await.unwrap();
    assert_eq!(show(tables.into_iter().map(|table| table.name).collect()), all);
    let tables = catalog.tables("default").await.unwrap();
    assert_eq!(show(tables.into_iter().map(|table| table.name).collect()), in_default);
    let summaries = catalog.table_summaries(None).await.unwrap();
    assert_eq!(summaries[0].comment.as_deref(), Some("what was clicked"));
    assert_eq!(summaries[4].table_type, TableType::View);
    assert_eq!(show(summaries.into_iter().map(|table| table.name).collect()), all);
    let summaries = catalog.table_summaries(Some("default")).await.unwrap();
    assert_eq!(show(summaries.into_iter().map(|table| table.name).collect()), in_default);

    for error in [
        catalog.tables("nope").await.unwrap_err(),
        catalog.table_summaries(Some("nope")).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotFound { kind: ObjectKind::Database, .. }), "{error}");
    }
}

pub(super) async fn one_of_many_makes_a_table(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let makers: Vec<_> = (0..8)
        .map(|_| {
            let catalog = catalog.clone();
            tokio::spawn(
                async move { catalog.create_table(&name("hits"), spec(&[]), vec![]).await },
            )
        })
        .collect();
    let mut made = Vec::new();
    for maker in makers {
        match maker.await.unwrap() {
            Ok(table) => made.push(table),
            Err(error) => assert!(matches!(error, Error::AlreadyExists { .. }), "{error}"),
        }
    }
    assert_eq!(catalog.all_tables().await.unwrap(), made);
}

pub(super) async fn any_text_is_kept(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let texts = ["", "NULL", "'", "\"", "$1", "a\\b", "{\"a\":[1]}", "\u{1}\n\t", "🦆", "%_"];
    let hits = name("hits");
    let mut spec = spec(&[("k", "string")]);
    spec.parameters = texts.iter().map(|text| (format!("{text}="), text.to_string())).collect();
    let partitions: Vec<_> = texts
        .iter()
        .map(|text| {
            let mut partition = partition(&[""]);
            partition.values = vec![Some((*text).to_owned())];
            partition.location = format!("s3://lake/{text}/");
            partition.parameters.insert((*text).to_owned(), (*text).to_owned());
            partition
        })
        .collect();
    let table = catalog.create_table(&hits, spec, partitions.clone()).await.unwrap();
    assert_eq!(catalog.table(&hits).await.unwrap(), table);
    for partition in partitions {
        let value = partition.values[0].clone().unwrap();
        let filter = super::fixture::only(0, crate::KeyTest::In(vec![value]));
        assert_eq!(catalog.partitions(&table, &filter).await.unwrap(), [partition]);
    }
}
