use serde_json::{Map, Value, json};

use super::*;
use crate::{Column, Database, Format, Partition, Table, TableName, TableSpec, TableType, View};

fn column(name: &str, data_type: &str, nullable: bool) -> Column {
    let comment = (!nullable).then(|| format!("never NULL: {name}"));
    Column { name: name.to_owned(), data_type: data_type.to_owned(), nullable, comment }
}

fn spec(table_type: TableType, format: Option<Format>) -> TableSpec {
    TableSpec {
        table_type,
        format,
        location: format.map(|_| "s3://lake/hits/".to_owned()),
        columns: vec![column("Id", "bigint", false), column("tags", "array<string>", true)],
        partition_keys: Vec::new(),
        comment: Some("what was hit".to_owned()),
        parameters: [("Kept".to_owned(), "as sent".to_owned())].into(),
        view: None,
        details: Map::new(),
    }
}

fn table(spec: TableSpec) -> Table {
    Table {
        id: "id".to_owned(),
        name: TableName::new("web", "hits").unwrap(),
        version: 3,
        data_version: 4,
        spec,
        created_at_ms: 1_700_000_000_123,
        updated_at_ms: 1_700_000_001_456,
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// The table as another node reads it, with what a newer service might add.
fn over_the_wire(table: &Table) -> ShownTable {
    let mut shape = object(table_shape(table));
    shape.insert("NewerMember".to_owned(), json!({"a": 1}));
    shape["StorageDescriptor"]["Newer"] = json!(true);
    read_table("web", shape).unwrap()
}

#[test]
fn what_sql_makes_comes_back_as_it_was() {
    let mut specs = vec![
        spec(TableType::Managed, Some(Format::Delta)),
        spec(TableType::External, Some(Format::Parquet)),
        spec(TableType::External, Some(Format::Json)),
        spec(TableType::External, Some(Format::Delta)),
        spec(TableType::External, Some(Format::Csv)),
    ];
    let mut csv = spec(TableType::External, Some(Format::Csv));
    csv.partition_keys = vec![column("day", "date", true)];
    for (key, value) in [("format.delimiter", ";"), ("format.has_header", "true")] {
        csv.parameters.insert(key.to_owned(), value.to_owned());
    }
    specs.push(csv);
    let mut view = spec(TableType::View, None);
    view.view = Some(View { sql: "SELECT 1".to_owned(), database: "other".to_owned() });
    specs.push(view);
    for spec in specs {
        let table = table(spec.clone());
        let shown = over_the_wire(&table);
        assert_eq!(shown.spec, spec);
        assert_eq!(shown.name, table.name);
        assert_eq!(shown.version_id.as_deref(), Some("3"));
        assert_eq!(shown.created_at_ms, table.created_at_ms);
        assert_eq!(shown.updated_at_ms, table.updated_at_ms);
        let sent = object(table_input(&table.name, &spec));
        assert_eq!(read_table("web", sent).unwrap().spec, spec, "what is sent");
    }
}

#[test]
fn others_may_change_what_sql_made() {
    let made = spec(TableType::Managed, Some(Format::Delta));
    let mut shape = object(table_shape(&table(made.clone())));
    shape["Parameters"]["more"] = json!("x");
    let columns = shape["StorageDescriptor"]["Columns"].as_array_mut().unwrap();
    columns.push(json!({"Name": "new", "Type": "int"}));
    let read = read_table("web", shape.clone()).unwrap().spec;
    assert_eq!(read.table_type, TableType::Managed);
    assert!(read.details.is_empty());
    assert_eq!(read.parameters["more"], "x");
    assert_eq!(read.columns.len(), 3);
    assert!(!read.columns[0].nullable);

    // How its files are kept is not ours any more: nor are the files.
    shape["StorageDescriptor"]["InputFormat"] = json!("org.other.Format");
    let read = read_table("web", shape).unwrap().spec;
    assert_eq!(read.table_type, TableType::External);
    assert!(!read.details.is_empty());
}

#[test]
fn a_mark_that_is_no_mark_is_a_parameter() {
    for mark in ["", "{", "[]", r#"{"table_type":"X","format":null}"#] {
        let mut shape = object(table_shape(&table(spec(TableType::External, None))));
        shape["Parameters"]["boathouse.table"] = json!(mark);
        let read = read_table("web", shape).unwrap().spec;
        assert_eq!(read.parameters["boathouse.table"], mark);
    }
}

#[test]
fn what_others_made_comes_back_as_it_was() {
    let input = json!({
        "Name": "hits",
        "TableType": "EXTERNAL_TABLE",
        "Owner": "me",
        "Retention": 3,
        "PartitionKeys": [{"Name": "day", "Type": "string"}],
        "Parameters": {"classification": "parquet", "EXTERNAL": "TRUE"},
        "StorageDescriptor": {
            "Columns": [{"Name": "a", "Type": "int", "Parameters": {"iceberg.field.id": "1"}}],
            "Location": "s3://lake/hits",
            "InputFormat": "x",
            "SerdeInfo": {"SerializationLibrary": "y", "Parameters": {"z": "1"}},
            "SortColumns": [{"Column": "a", "SortOrder": 1}],
        },
    });
    let input: TableInput = serde_json::from_value(input).unwrap();
    let made = table(input.into_spec("web").unwrap());
    let again = over_the_wire(&made).spec;
    assert_eq!(table_shape(&made), table_shape(&table(again)));
}

#[test]
fn partitions_come_back_as_they_were() {
    let mut spec = spec(TableType::External, Some(Format::Parquet));
    spec.partition_keys = vec![column("day", "date", true), column("hour", "int", true)];
    let table = table(spec);
    let values = vec![Some("2026-01-01".to_owned()), None];
    let partition = Partition {
        location: table.partition_location(&values),
        values,
        parameters: [("rows".to_owned(), "3".to_owned())].into(),
        ..Partition::default()
    };
    let sent = object(partition_input(&table, &partition));
    assert_eq!(sent["Values"], json!(["2026-01-01", "__HIVE_DEFAULT_PARTITION__"]));
    assert_eq!(sent["StorageDescriptor"]["Columns"].as_array().unwrap().len(), 2);
    let mut shown = sent;
    shown["StorageDescriptor"]["Columns"].take();
    shown.insert("CreationTime".to_owned(), json!(5.5));
    shown.insert("Newer".to_owned(), json!(true));
    let read = read_partition(&table, shown).unwrap();
    assert_eq!(read.details, object(json!({"CreationTime": 5.5})));
    assert_eq!(Partition { details: Map::new(), ..read }, partition);
}

#[test]
fn databases_come_back_as_they_were() {
    let database = Database {
        name: "web".to_owned(),
        comment: Some("all of it".to_owned()),
        location: Some("s3://lake/web/".to_owned()),
        parameters: [("a".to_owned(), "b".to_owned())].into(),
        created_at_ms: 1_700_000_000_123,
    };
    assert_eq!(read_database(object(database_shape(&database))).unwrap(), database);
    let sent = read_database(object(database_input(&database))).unwrap();
    assert_eq!(sent, Database { created_at_ms: 0, ..database });
}
