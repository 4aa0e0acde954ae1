//! Iceberg tables, of which the catalog has the location of the metadata.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow_avro::writer::AvroWriter;
use boathouse_catalog::Format;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use serde_json::{Value, json};

use super::{Other, ask, write, write_parquet};
use crate::support::Lake;

/// A data file with the numbers of one column as they were written.
#[derive(Clone, Copy)]
struct DataFile {
    name: &'static str,
    city: &'static str,
    column: (&'static str, i32),
    numbers: &'static [i32],
    content: i32,
}

/// The column `city` is 1, `n` is 2 and was renamed from `number`, and `number` is 3, made anew.
const FILES: [DataFile; 2] = [
    DataFile { name: "a", city: "Bern", column: ("number", 2), numbers: &[1, 2], content: 0 },
    DataFile { name: "b", city: "Rome", column: ("number", 3), numbers: &[30], content: 0 },
];

#[tokio::test]
async fn columns_are_found_by_their_ids() {
    let lake = Lake::local().await;
    register(&lake, &FILES).await;
    let rows = ask(&lake, "SELECT * FROM t ORDER BY city, n").await.unwrap();
    assert_eq!(rows, ["1 Bern NULL", "2 Bern NULL", "NULL Rome 30"]);
    assert_eq!(ask(&lake, "SELECT n FROM t WHERE n = 2").await.unwrap(), ["2"]);
    assert_eq!(ask(&lake, "SELECT city FROM t WHERE number = 30").await.unwrap(), ["Rome"]);
    assert_eq!(ask(&lake, "SELECT count(*) FROM t WHERE number IS NULL").await.unwrap(), ["2"]);
}

#[tokio::test]
async fn files_are_pruned_by_partition_and_bounds() {
    let lake = Lake::local().await;
    register(&lake, &FILES).await;
    for (filter, report) in [
        ("city = 'Bern'", "partitions=1/2 files=1/2"),
        ("n > 1", "partitions=2/2 files=2/2"),
        ("n > 2", "partitions=2/2 files=1/2"),
        ("city = 'Bern' AND n < 3", "partitions=1/2 files=1/2"),
    ] {
        let plan = ask(&lake, &format!("EXPLAIN SELECT n FROM t WHERE {filter}")).await.unwrap();
        assert!(plan.iter().any(|line| line.contains(report)), "{filter}: {plan:?}");
    }
}

#[tokio::test]
async fn deletes_are_refused_by_name() {
    for (content, feature) in [(1, "position deletes"), (2, "equality deletes")] {
        let lake = Lake::local().await;
        let deletes = DataFile { content, ..FILES[1] };
        register(&lake, &[FILES[0], deletes]).await;
        let error = ask(&lake, "SELECT * FROM t").await.unwrap_err();
        assert!(error.contains(&format!("the Iceberg feature of {feature}")), "{error}");
    }
}

#[tokio::test]
async fn a_table_without_a_snapshot_is_empty() {
    let lake = Lake::local().await;
    register(&lake, &[]).await;
    assert_eq!(ask(&lake, "SELECT count(*), sum(n) FROM t").await.unwrap(), ["0 NULL"]);
}

#[tokio::test]
async fn it_cannot_be_written() {
    let lake = Lake::local().await;
    register(&lake, &FILES).await;
    let error = ask(&lake, "INSERT INTO t VALUES (1, 'x', 2)").await.unwrap_err();
    assert!(error.contains("not supported: INSERT INTO the Iceberg table"), "{error}");
    let listed = ask(&lake, "SHOW COLUMNS FROM t").await.unwrap();
    assert!(listed.iter().any(|line| line.contains("city")), "{listed:?}");
}

#[tokio::test]
async fn damaged_metadata_is_an_error_that_names_it() {
    let lake = Lake::local().await;
    register(&lake, &FILES).await;
    let root = &lake.scratch;
    write(&format!("{root}/metadata/list.avro"), "Obj\u{1}nonsense");
    let error = ask(&lake, "SELECT * FROM t").await.unwrap_err();
    assert!(error.contains("list.avro"), "{error}");
    write(&format!("{root}/metadata/v1.metadata.json"), "{");
    let error = ask(&lake, "SELECT * FROM t").await.unwrap_err();
    assert!(error.contains("v1.metadata.json"), "{error}");
    std::fs::remove_file(format!("{root}/metadata/v1.metadata.json")).unwrap();
    let error = ask(&lake, "SELECT * FROM t").await.unwrap_err();
    assert!(error.contains("v1.metadata.json"), "{error}");
}

/// Makes the table `t` of these files.
async fn register(lake: &Lake, files: &[DataFile]) {
    let root = &lake.scratch;
    let location = format!("file://{root}");
    for file in files {
        write_data(root, file);
    }
    write(&format!("{root}/metadata/v1.metadata.json"), &metadata(&location, files).to_string());
    let of_deletes: Vec<&DataFile> = files.iter().filter(|file| file.content != 0).collect();
    let of_data: Vec<&DataFile> = files.iter().filter(|file| file.content == 0).collect();
    let manifests = [("data.avro", of_data, 0), ("deletes.avro", of_deletes, 1)];
    for (name, files, _) in &manifests {
        if !files.is_empty() {
            write_avro(&format!("{root}/metadata/{name}"), manifest(&location, files));
        }
    }
    let listed: Vec<(String, i32)> = manifests
        .iter()
        .filter(|(_, files, _)| !files.is_empty())
        .map(|(name, _, content)| (format!("{location}/metadata/{name}"), *content))
        .collect();
    write_avro(&format!("{root}/metadata/list.avro"), manifest_list(&listed));
    Other::new(Some(Format::Iceberg), &location, &["n bigint", "city string", "number int"], &[])
        .parameter("table_type", "ICEBERG")
        .parameter("metadata_location", &format!("{location}/metadata/v1.metadata.json"))
        .register(lake, "t")
        .await;
}

fn metadata(location: &str, files: &[DataFile]) -> Value {
    let field = |id: i32, name: &str, field_type: &str| json!({"id": id, "name": name, "required": false, "type": field_type});
    let old = [field(1, "city", "string"), field(2, "number", "int")];
    let new = [field(2, "n", "long"), field(1, "city", "string"), field(3, "number", "int")];
    let by_city =
        json!({"source-id": 1, "field-id": 1000, "name": "city", "transform": "identity"});
    let list = format!("{location}/metadata/list.avro");
    json!({
        "format-version": 2, "location": location, "current-schema-id": 1,
        "schemas": [
            {"type": "struct", "schema-id": 0, "fields": old},
            {"type": "struct", "schema-id": 1, "fields": new},
        ],
        "partition-specs": [{"spec-id": 0, "fields": [by_city]}],
        "current-snapshot-id": if files.is_empty() { -1 } else { 7 },
        "snapshots": [{"snapshot-id": 7, "manifest-list": list}],
    })
}

/// The file has no column `city`: that is in its partition only.
fn write_data(root: &str, file: &DataFile) {
    let (name, id) = file.column;
    let id = [(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into();
    let field = Field::new(name, DataType::Int32, true).with_metadata(id);
    let numbers = Int32Array::from(file.numbers.to_vec());
    let path = format!("{root}/data/city={}/{}.parquet", file.city, file.name);
    write_parquet(&path, vec![(field, Arc::new(numbers))]);
}

fn manifest_list(manifests: &[(String, i32)]) -> RecordBatch {
    let paths: StringArray = manifests.iter().map(|(path, _)| Some(path)).collect();
    let contents: Int32Array = manifests.iter().map(|(_, content)| Some(*content)).collect();
    batch(vec![
        ("manifest_path", Arc::new(paths)),
        ("partition_spec_id", Arc::new(Int32Array::from(vec![0; manifests.len()]))),
        ("content", Arc::new(contents)),
    ])
}

fn manifest(location: &str, files: &[&DataFile]) -> RecordBatch {
    let path = |file: &&DataFile| format!("data/city={}/{}.parquet", file.city, file.name);
    let size = |file: &&DataFile| {
        let root = location.strip_prefix("file://").unwrap();
        let length = std::fs::metadata(format!("{root}/{}", path(file))).unwrap().len();
        i64::try_from(length).unwrap()
    };
    let paths: Vec<String> =
        files.iter().map(|file| format!("{location}/{}", path(file))).collect();
    let contents: Vec<i32> = files.iter().map(|file| file.content).collect();
    let rows: Vec<i64> = files.iter().map(|file| file.numbers.len() as i64).collect();
    let sizes: Vec<i64> = files.iter().map(size).collect();
    let cities: Vec<&str> = files.iter().map(|file| file.city).collect();
    let lower = |file: &&DataFile| *file.numbers.iter().min().unwrap();
    let upper = |file: &&DataFile| *file.numbers.iter().max().unwrap();
    let data_file = structure(vec![
        ("content", Arc::new(Int32Array::from(contents))),
        ("file_path", Arc::new(StringArray::from(paths))),
        ("file_format", Arc::new(StringArray::from(vec!["PARQUET"; files.len()]))),
        ("partition", Arc::new(structure(vec![("city", Arc::new(StringArray::from(cities)))]))),
        ("record_count", Arc::new(Int64Array::from(rows))),
        ("file_size_in_bytes", Arc::new(Int64Array::from(sizes))),
        ("lower_bounds", bounds(files, lower)),
        ("upper_bounds", bounds(files, upper)),
    ]);
    let status = Int32Array::from(vec![1; files.len()]);
    batch(vec![("status", Arc::new(status)), ("data_file", Arc::new(data_file))])
}

/// A list of one pair, field id and bound, for each file.
fn bounds(files: &[&DataFile], bound: impl Fn(&&DataFile) -> i32) -> ArrayRef {
    let ids: Int32Array = files.iter().map(|file| Some(file.column.1)).collect();
    let bytes: Vec<[u8; 4]> = files.iter().map(|file| bound(file).to_le_bytes()).collect();
    let values: BinaryArray = bytes.iter().map(|bytes| Some(&bytes[..])).collect();
    let pairs = structure(vec![("key", Arc::new(ids)), ("value", Arc::new(values))]);
    let item = Arc::new(Field::new("item", pairs.data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths(vec![1; files.len()]);
    Arc::new(ListArray::new(item, offsets, Arc::new(pairs), None))
}

fn structure(columns: Vec<(&str, ArrayRef)>) -> StructArray {
    StructArray::from(batch(columns))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), false))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn write_avro(path: &str, batch: RecordBatch) {
    let file = File::create(path).unwrap();
    let mut writer = AvroWriter::new(file, batch.schema().as_ref().clone()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}
