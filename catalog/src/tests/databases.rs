//! Databases.

use std::collections::BTreeMap;

use super::fixture::{name, spec};
use crate::{Catalog, Database, Error, ObjectKind};

fn named(name: &str) -> Database {
    Database { name: name.into(), ..Database::default() }
}

pub(super) async fn default_is_there_from_the_start(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let databases = catalog.databases().await.unwrap();
    assert_eq!(databases.len(), 1);
    assert_eq!(databases[0].name, "default");
    assert!(0 < databases[0].created_at_ms);
    let error = catalog.drop_database("DEFAULT", true).await.unwrap_err();
    assert_eq!(error.to_string(), r#"database "default" cannot be dropped"#);
}

pub(super) async fn a_database_is_kept_as_given_but_for_the_case_of_its_name(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    let given = Database {
        name: "Web".into(),
        comment: Some("it's the \"web\"".into()),
        location: Some("s3://lake/web/".into()),
        parameters: BTreeMap::from([("Key".into(), "välue".into())]),
        created_at_ms: 1,
    };
    let made = catalog.create_database(given.clone()).await.unwrap();
    assert_eq!(made, Database { name: "web".into(), created_at_ms: made.created_at_ms, ..given });
    assert!(1 < made.created_at_ms);
    assert_eq!(catalog.database("WEB").await.unwrap(), made);

    catalog.create_database(named("a")).await.unwrap();
    let names: Vec<String> =
        catalog.databases().await.unwrap().into_iter().map(|database| database.name).collect();
    assert_eq!(names, ["a", "default", "web"]);

    let error = catalog.create_database(named("wEb")).await.unwrap_err();
    assert_eq!(error.to_string(), r#"database "web" already exists"#);
    let error = catalog.create_database(named("a/b")).await.unwrap_err();
    assert!(matches!(error, Error::InvalidName(name) if name == "a/b"));
    let error = catalog.database("nope").await.unwrap_err();
    assert_eq!(error.to_string(), r#"database "nope" does not exist"#);
    assert_eq!(error.hint(), Some("Run SHOW DATABASES to list the databases there are."));
}

pub(super) async fn a_database_goes_with_its_tables_only_if_asked(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    catalog.create_database(named("web")).await.unwrap();
    catalog.create_table(&name("web.b"), spec(&[]), vec![]).await.unwrap();
    let error = catalog.drop_database("Web", false).await.unwrap_err();
    assert_eq!(error.to_string(), r#"database "web" is not empty: it has 1 table"#);

    catalog.create_table(&name("web.a"), spec(&[]), vec![]).await.unwrap();
    catalog.create_table(&name("a"), spec(&[]), vec![]).await.unwrap();
    let dropped = catalog.drop_database("Web", true).await.unwrap();
    let names: Vec<String> = dropped.iter().map(|table| table.name.to_string()).collect();
    assert_eq!(names, ["web.a", "web.b"]);
    assert_eq!(catalog.all_tables().await.unwrap().len(), 1);
    for cascade in [false, true] {
        let error = catalog.drop_database("web", cascade).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { kind: ObjectKind::Database, .. }), "{error}");
    }
}

pub(super) async fn tables_made_while_their_database_is_dropped_go_or_stay_with_it(url: String) {
    let catalog = Catalog::open(&url).await.unwrap();
    for round in 0..10 {
        catalog.create_database(named("web")).await.unwrap();
        let hits = name("web.hits");
        let (made, dropped) = tokio::join!(
            catalog.create_table(&hits, spec(&[]), vec![]),
            catalog.drop_database("web", true),
        );
        let dropped = dropped.unwrap();
        match made {
            Ok(table) => assert_eq!(dropped, [table], "round {round}"),
            Err(error) => assert!(matches!(error, Error::NotFound { .. }), "{error}"),
        }
        assert_eq!(catalog.all_tables().await.unwrap(), []);
    }
}
