//! Parameters take the types of the columns that they are compared with or assigned to.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use boathouse_engine::{QueryKind, Session};

use crate::support::{Lake, collect, values};

async fn table() -> (Lake, Session) {
    let lake = Lake::local().await;
    let session = lake.engine.session();
    for sql in
        ["CREATE TABLE t (id BIGINT, name VARCHAR)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')"]
    {
        session.query(sql).await.unwrap().execute().await.unwrap();
    }
    (lake, session)
}

fn row(columns: Vec<ArrayRef>) -> RecordBatch {
    let named = columns.into_iter().enumerate().map(|(i, column)| (format!("{i}"), column));
    RecordBatch::try_from_iter(named).unwrap()
}

fn int(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

async fn rows(session: &Session, sql: &str) -> Vec<Vec<String>> {
    let query = session.query(sql).await.unwrap();
    values(&collect(query.execute().await.unwrap()).await.unwrap())
}

#[tokio::test]
async fn of_update_delete_and_merge() {
    let (_lake, session) = table().await;
    let query = session.query("UPDATE t SET name = ? WHERE id = ?").await.unwrap();
    assert_eq!(query.kind(), QueryKind::RowCount);
    let types: Vec<DataType> = query.parameters().iter().map(|p| p.data_type.clone()).collect();
    assert_eq!(types[1], DataType::Int64);
    assert!(matches!(types[0], DataType::Utf8 | DataType::Utf8View), "{:?}", types[0]);
    let bound = query.bind(&row(vec![text("x"), int(2)]), 0).await.unwrap();
    assert_eq!(values(&collect(bound.execute().await.unwrap()).await.unwrap()), [["1"]]);
    let merge = "MERGE INTO t USING (SELECT $1::BIGINT AS id) AS s ON t.id = s.id \
                 WHEN MATCHED AND t.id < $3 THEN UPDATE SET name = $2 \
                 WHEN NOT MATCHED THEN INSERT VALUES (s.id, $2)";
    let query = session.query(merge).await.unwrap();
    assert_eq!(query.parameters().len(), 3);
    for id in [1, 7] {
        let bound = query.bind(&row(vec![int(id), text("m"), int(5)]), 0).await.unwrap();
        assert_eq!(values(&collect(bound.execute().await.unwrap()).await.unwrap()), [["1"]]);
    }
    let all = rows(&session, "SELECT * FROM t ORDER BY id").await;
    assert_eq!(all, [["1", "m"], ["2", "x"], ["7", "m"]]);
    let query = session.query("DELETE FROM t WHERE name = $1").await.unwrap();
    let bound = query.bind(&row(vec![text("m")]), 0).await.unwrap();
    assert_eq!(values(&collect(bound.execute().await.unwrap()).await.unwrap()), [["2"]]);
    // Run again, it looks at the table as it is now.
    assert_eq!(values(&collect(bound.execute().await.unwrap()).await.unwrap()), [["0"]]);
}

#[tokio::test]
async fn of_overwrite() {
    let (_lake, session) = table().await;
    let query = session.query("INSERT OVERWRITE t VALUES ($1, $2)").await.unwrap();
    let bound = query.bind(&row(vec![int(9), text("z")]), 0).await.unwrap();
    assert_eq!(values(&collect(bound.execute().await.unwrap()).await.unwrap()), [["1"]]);
    assert_eq!(rows(&session, "SELECT * FROM t").await, [["9", "z"]]);
}

#[tokio::test]
async fn planning_changes_nothing() {
    let (_lake, session) = table().await;
    for sql in ["DELETE FROM t", "UPDATE t SET id = 0", "TRUNCATE TABLE t"] {
        session.query(sql).await.unwrap();
    }
    assert_eq!(rows(&session, "SELECT count(*), sum(id) FROM t").await, [["2", "3"]]);
}
