//! Formats by content.

use std::io::Write;

use arrow::datatypes::{DataType, TimeUnit};
use serde_json::json;

use super::fixture::{Lake, is_noted};
use crate::Format;

const CSV: &str = "id,name\n1,Ann\n2,Bob\n";

#[tokio::test]
async fn parquet_csv_and_json_are_tables_that_queries_can_read() {
    let lake = Lake::new().await;
    let stamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    lake.parquet("raw/hits/a.parquet", &[("url", DataType::Utf8), ("at", stamp)]);
    lake.write("raw/users/a.csv", CSV);
    lake.write("raw/scores/a.csv", "id;score\n1;0.5\n\"2\";1.5\n");
    lake.write("raw/log/a.json", "{\"a\":1}\n{\"a\":2,\"b\":{\"c\":[true]}}\n");
    lake.write("raw/list/a.json", "[{\"a\":1},{\"a\":2.5}]");
    lake.crawl(&lake.spec()).await;
    assert_eq!(
        lake.tables().await,
        [
            "hits(url:string at:timestamp)",
            "list(a:double)",
            "log(a:bigint b:struct<c:array<boolean>>)",
            "scores(id:bigint score:double)",
            "users(id:bigint name:string)",
        ]
    );
    let table = lake.table("scores").await;
    let parameter = |name: &str| table.spec.parameters.get(name).map(String::as_str);
    assert_eq!(table.spec.format, Some(Format::Csv));
    assert_eq!(parameter("format.delimiter"), Some(";"));
    assert_eq!(parameter("format.has_header"), Some("true"));
    assert_eq!(parameter("skip.header.line.count"), Some("1"));
    assert_eq!(parameter("classification"), Some("csv"));
    assert_eq!(parameter("UPDATED_BY_CRAWLER"), Some("nightly"));
    let descriptor = &table.spec.details["StorageDescriptor"];
    assert_eq!(descriptor["InputFormat"], "org.apache.hadoop.mapred.TextInputFormat");
    assert_eq!(descriptor["SerdeInfo"]["Parameters"]["separatorChar"], ";");
    let array = lake.table("list").await;
    assert_eq!(array.spec.parameters["format.newline_delimited"], "false");
    let partitions = lake.partitions("users").await;
    assert_eq!((partitions.len(), partitions[0].files.is_none()), (1, true));
    assert_eq!(partitions[0].location, lake.url("raw/users/"));
}

#[tokio::test]
async fn compressed_samples_are_read() {
    let lake = Lake::new().await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(CSV.as_bytes()).unwrap();
    lake.write("raw/gz/a.csv.gz", gzip.finish().unwrap());
    lake.write("raw/zst/a.csv.zst", zstd::encode_all(CSV.as_bytes(), 1).unwrap());
    let mut bzip = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip.write_all(CSV.as_bytes()).unwrap();
    lake.write("raw/bz/a.csv.bz2", bzip.finish().unwrap());
    let mut snappy = snap::write::FrameEncoder::new(Vec::new());
    snappy.write_all(b"{\"id\":1}\n").unwrap();
    lake.write("raw/sz/a.json.snappy", snappy.into_inner().unwrap());
    lake.crawl(&lake.spec()).await;
    assert_eq!(
        lake.tables().await,
        [
            "bz(id:bigint name:string)",
            "gz(id:bigint name:string)",
            "sz(id:bigint)",
            "zst(id:bigint name:string)",
        ]
    );
    for (name, codec) in [("bz", "bzip2"), ("gz", "gzip"), ("sz", "snappy"), ("zst", "zstd")] {
        assert_eq!(lake.table(name).await.spec.parameters["compressionType"], codec);
    }
}

#[tokio::test]
async fn what_is_hidden_empty_or_unknown_is_no_table() {
    let lake = Lake::new().await;
    lake.write("raw/users/a.csv", CSV);
    lake.write("raw/users/_SUCCESS", "x");
    lake.write("raw/users/.a.csv.crc", "x");
    lake.write("raw/users/b.csv", "");
    lake.write("raw/users/_temporary/0/c.csv", "x,y,z\n1,2,3\n");
    lake.write("raw/users_$folder$", "");
    lake.write("raw/_staging/a.csv", CSV);
    lake.write("raw/.hidden/a.csv", CSV);
    lake.write("raw/empty/a.csv", "");
    lake.write("raw/header/a.csv", "id,name\n");
    lake.write("raw/pictures/a.png", b"\x89PNG\r\n\x1a\n\0\0\0\xff\xfe");
    lake.write("raw/docs/readme.txt", "This is a text.\nIt is prose, not data.\n");
    lake.write("raw/broken/a.parquet", "PAR1 and nothing else");
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(
        lake.tables().await,
        ["header(id:string name:string)", "users(id:bigint name:string)"]
    );
    assert!(is_noted(&plan, "not recognised"), "{}", plan.describe());
    assert!(lake.partitions("users").await[0].files.is_none());
}

#[tokio::test]
async fn a_delta_table_is_one_table_whatever_lies_in_it() {
    let lake = Lake::new().await;
    let schema = json!({ "type": "struct", "fields": [
        { "name": "id", "type": "long", "nullable": false, "metadata": {} },
        { "name": "tags", "type": { "type": "array", "elementType": "string" },
          "nullable": true, "metadata": { "comment": "free" } },
        { "name": "day", "type": "date", "nullable": true, "metadata": {} },
    ]});
    let metadata = json!({ "metaData": {
        "id": "1", "schemaString": schema.to_string(), "partitionColumns": ["day"],
    }});
    let commit = format!("{{\"protocol\":{{}}}}\n{metadata}\n");
    lake.write("raw/events/_delta_log/00000000000000000000.json", commit);
    lake.write("raw/events/_delta_log/00000000000000000001.json", "{\"add\":{}}\n");
    lake.parquet("raw/events/day=2024-01-01/a.parquet", &[("id", DataType::Int64)]);
    lake.write("raw/events/notes/a.csv", CSV);
    lake.write("raw/users/a.csv", CSV);
    lake.crawl(&lake.spec()).await;
    assert_eq!(
        lake.tables().await,
        ["events(id:bigint tags:array<string>)[day:date]", "users(id:bigint name:string)"]
    );
    let table = lake.table("events").await;
    assert_eq!(table.spec.format, Some(Format::Delta));
    assert_eq!(table.spec.location, Some(lake.url("raw/events/")));
    assert_eq!(table.spec.columns[1].comment.as_deref(), Some("free"));
    assert!(lake.partitions("events").await.is_empty());
    // The log of a table that is the target itself.
    let plan = lake.plan(&lake.spec_of("raw/events/")).await;
    assert!(plan.is_empty(), "{}", plan.describe());
}

#[tokio::test]
async fn an_iceberg_table_is_its_newest_metadata() {
    let lake = Lake::new().await;
    let metadata = |fields: serde_json::Value| {
        json!({ "format-version": 2, "current-schema-id": 1, "schemas": [
            { "schema-id": 0, "fields": [] },
            { "schema-id": 1, "fields": fields },
        ]})
        .to_string()
    };
    let id = json!({ "id": 1, "name": "id", "required": true, "type": "long" });
    let price = json!({ "id": 2, "name": "price", "required": false, "type": "decimal(9, 2)" });
    lake.write("raw/orders/metadata/00009-a.metadata.json", metadata(json!([id])));
    lake.write("raw/orders/metadata/00010-b.metadata.json", metadata(json!([id, price])));
    lake.parquet("raw/orders/data/a.parquet", &[("id", DataType::Int64)]);
    lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["orders(id:bigint price:decimal(9,2))"]);
    let newest = lake.url("raw/orders/metadata/00010-b.metadata.json");
    let parameters = lake.table("orders").await.spec.parameters;
    assert_eq!(parameters["table_type"], "ICEBERG");
    assert_eq!(parameters["metadata_location"], newest);

    lake.write("raw/orders/metadata/00011-c.metadata.json", metadata(json!([price])));
    lake.crawl(&lake.spec()).await;
    assert_eq!(lake.tables().await, ["orders(price:decimal(9,2))"]);
    let parameters = lake.table("orders").await.spec.parameters;
    assert_eq!(parameters["previous_metadata_location"], newest);
}

#[tokio::test]
async fn avro_is_read_from_its_header() {
    let lake = Lake::new().await;
    let schema = json!({ "type": "record", "name": "hit", "fields": [
        { "name": "id", "type": "long" },
        { "name": "name", "type": ["null", "string"], "doc": "whose" },
        { "name": "at", "type": { "type": "long", "logicalType": "timestamp-micros" } },
        { "name": "price", "type": { "type": "bytes", "logicalType": "decimal",
                                     "precision": 10, "scale": 2 } },
        { "name": "tags", "type": { "type": "map", "values": "int" } },
    ]})
    .to_string();
    let mut file = b"Obj\x01".to_vec();
    let long = |value: usize| {
        let mut value = value << 1;
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let text = |file: &mut Vec<u8>, length: Vec<u8>, text: &str| {
        file.extend(length);
        file.extend(text.as_bytes());
    };
    file.extend(long(2));
    text(&mut file, long(10), "avro.codec");
    text(&mut file, long(4), "null");
    text(&mut file, long(11), "avro.schema");
    text(&mut file, long(schema.len()), &schema);
    file.push(0);
    lake.write("raw/hits/a.avro", &file);
    lake.write("raw/cut/a.avro", &file[..40]);
    let plan = lake.crawl(&lake.spec()).await;
    assert_eq!(
        lake.tables().await,
        [
            "cut()",
            "hits(id:bigint name:string at:timestamp with time zone price:decimal(10,2) \
             tags:map<string,int>)",
        ]
    );
    assert_eq!(lake.table("hits").await.spec.columns[1].comment.as_deref(), Some("whose"));
    assert!(is_noted(&plan, "header could not be read"));
}
