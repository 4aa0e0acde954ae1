//! Tables that other tools put into the catalog, in their words and with their files.

mod files;
mod iceberg;
mod text;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use boathouse_catalog::{Catalog, Column, Format, Partition, TableName, TableSpec, TableType};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::door::{Answer, Door};
use crate::support::{Lake, values};

/// A table that isn't registered yet.
struct Other {
    spec: TableSpec,
    partitions: Vec<Partition>,
}

impl Other {
    /// A table at a location, with columns and keys as `name type` each.
    fn new(format: Option<Format>, location: &str, columns: &[&str], keys: &[&str]) -> Self {
        let columns_of = |texts: &[&str]| {
            let column = |text: &&str| {
                let (name, data_type) = text.split_once(' ').unwrap();
                let (name, data_type) = (name.to_owned(), data_type.to_owned());
                Column { name, data_type, nullable: true, comment: None }
            };
            texts.iter().map(column).collect()
        };
        let spec = TableSpec {
            table_type: TableType::External,
            format,
            location: Some(location.to_owned()),
            columns: columns_of(columns),
            partition_keys: columns_of(keys),
            comment: None,
            parameters: Default::default(),
            view: None,
            details: Default::default(),
        };
        Self { spec, partitions: Vec::new() }
    }

    fn parameter(mut self, key: &str, value: &str) -> Self {
        self.spec.parameters.insert(key.to_owned(), value.to_owned());
        self
    }

    fn serde(mut self, library: &str, parameters: Value) -> Self {
        let serde = json!({"SerializationLibrary": library, "Parameters": parameters});
        self.spec.details.insert("StorageDescriptor".into(), json!({"SerdeInfo": serde}));
        self
    }

    /// A partition whose files the catalog doesn't know.
    fn partition(mut self, values: &[&str], location: &str) -> Self {
        self.partitions.push(Partition {
            values: values.iter().map(|value| Some((*value).to_owned())).collect(),
            location: location.to_owned(),
            ..Partition::default()
        });
        self
    }

    async fn register(self, lake: &Lake, name: &str) {
        let catalog = Catalog::open(&lake.catalog_url).await.unwrap();
        let name = TableName::new("default", name).unwrap();
        catalog.create_table(&name, self.spec, self.partitions).await.unwrap();
        catalog.close().await;
    }
}

/// The rows of a query as lines of values, or the error that a person reads.
async fn ask(lake: &Lake, sql: &str) -> Result<Vec<String>, String> {
    match Door::engine(lake).session().await.run(sql).await? {
        Answer::Rows(_, batches) => {
            Ok(values(&batches).into_iter().map(|row| row.join(" ")).collect())
        }
        Answer::Count(count) => Ok(vec![count.to_string()]),
    }
}

/// Writes a Parquet file of these columns.
fn write_parquet(path: &str, columns: Vec<(Field, ArrayRef)>) {
    std::fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn write(path: &str, content: &str) {
    std::fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}
