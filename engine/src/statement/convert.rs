//! CONVERT TO DELTA: a Delta log over the Parquet files that are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::{
    DataFile, FileStatistics, Format, Partition, PartitionFilter, Table, TableType, Update,
};
use deltalake::kernel::Add;
use serde_json::{Map, Value, json};
use url::Url;

use super::create_external_table::delta_columns;
use super::maintenance::{batch_of, find_table, schema_of};
use super::{Command, listing};
use crate::definition::Definition;
use crate::parse::Converted;
use crate::query::Plan;
use crate::scan::{self, Wanted, discover, format_of, location_of};
use crate::session::Session;
use crate::stores::{folder_url, location_url, store_path};
use crate::types::arrow_type;
use crate::write::{self, create_delta, delta_schema};
use crate::{Error, ErrorKind, Result};

struct Convert {
    table: Option<Table>,
    location: Url,
    keys: Vec<(String, Option<DataType>)>,
    schema: SchemaRef,
}

pub(super) async fn plan(
    session: &Session,
    what: &Converted,
    keys: &[(String, Option<String>)],
) -> Result<Plan> {
    let mut keys = keys
        .iter()
        .map(|(name, data_type)| {
            let data_type = data_type.as_ref().map(|text| arrow_type(&text.to_lowercase()));
            Ok((name.clone(), data_type.transpose()?))
        })
        .collect::<Result<Vec<_>>>()?;
    let (table, location) = match what {
        Converted::Location(location) => (None, folder_url(location_url(location)?)),
        Converted::Table(name) => {
            let table = find_table(session, name).await?;
            let location = check_table(&table)?;
            if keys.is_empty() {
                let own = table.spec.partition_keys.iter();
                keys = own
                    .map(|key| Ok((key.name.clone(), Some(arrow_type(&key.data_type)?))))
                    .collect::<Result<_>>()?;
            }
            (Some(table), location)
        }
    };
    let schema = schema_of(&["num_files", "bytes"].map(|name| (name, DataType::Int64)));
    Ok(listing(schema.clone(), Convert { table, location, keys, schema }))
}

/// The folder of a table of Parquet files.
fn check_table(table: &Table) -> Result<Url> {
    let name = &table.name;
    if table.spec.view.is_some() {
        return Err(Error::invalid(format!("\"{name}\" is a view"))
            .with_hint("Tables of Parquet files can be converted."));
    }
    match format_of(&table.spec) {
        Some(Format::Parquet) => {}
        Some(Format::Delta) => {
            return Err(Error::invalid(format!("\"{name}\" is a Delta table already")));
        }
        other => {
            let format = other.map_or("unknown", |format| format.as_str()).to_uppercase();
            return Err(Error::unsupported(format!("CONVERT TO DELTA of {format} files"))
                .with_hint("Copy them: CREATE TABLE … AS SELECT * FROM the table."));
        }
    }
    let location = location_of(&table.spec).unwrap_or_default();
    if scan::is_projected(&table.spec.parameters) {
        return Err(Error::unsupported(format!(
            "CONVERT TO DELTA of \"{name}\", whose partitions are projected"
        )));
    }
    let url = location_url(&location)?;
    match url.path().ends_with('/') || !table.spec.details.is_empty() {
        true => Ok(folder_url(url)),
        false => Err(Error::unsupported(format!("CONVERT TO DELTA of the one file {location}"))
            .with_hint("A Delta table is a folder.")),
    }
}

#[async_trait(?Send)]
impl Command for Convert {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let done = self.convert(session).await;
        let (files, bytes) = done.map_err(|error| error.about(self.named()))?;
        let column = |number: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![number])) };
        batch_of(&self.schema, vec![column(files), column(bytes)])
    }
}

impl Convert {
    fn named(&self) -> String {
        match &self.table {
            Some(table) => format!("table \"{}\"", table.name),
            None => self.location.to_string(),
        }
    }

    async fn convert(&self, session: &Session) -> Result<(i64, i64)> {
        let shared = session.engine.shared();
        if scan::has_delta_log(&shared.stores, &self.location).await? {
            return Err(Error::new(ErrorKind::AlreadyExists, "there is a Delta log already")
                .with_hint("Read it: CREATE EXTERNAL TABLE … STORED AS DELTA LOCATION …."));
        }
        let parameters = BTreeMap::new();
        let location = self.location.to_string();
        let wanted = Wanted {
            location: &location,
            format: Format::Parquet,
            parameters: &parameters,
            columns: None,
            keys: (!self.keys.is_empty()).then(|| self.keys.clone()),
        };
        let found = discover(&shared.stores, &session.query_state(), wanted).await?;
        let schema = table_schema(&found.columns, &found.keys)?;
        let adds = adds(&self.location, &found.partitions, &found.columns, &found.keys)?;
        let files = i64::try_from(adds.len()).unwrap_or(i64::MAX);
        let bytes = adds.iter().map(|add| add.size).sum();
        let name = self.table.as_ref().map(|table| table.name.table().to_owned());
        let keys = found.keys.iter().map(|key| key.name().clone()).collect();
        let mut new = Definition::new(write::delta_columns(&schema)?, keys);
        new.name = name;
        new.comment = self.table.as_ref().and_then(|table| table.spec.comment.clone());
        create_delta(shared, &self.location, &mut new, adds, None).await?;
        if let Some(table) = &self.table {
            self.record(session, table).await?;
        }
        Ok((files, bytes))
    }

    /// The catalog's record becomes that of a Delta table, without files of its own.
    async fn record(&self, session: &Session, table: &Table) -> Result<()> {
        let shared = session.engine.shared();
        let conflict = || {
            Error::new(ErrorKind::Conflict, "the catalog's record was changed by others meanwhile")
                .with_hint("The Delta log is there: CREATE EXTERNAL TABLE … STORED AS DELTA.")
        };
        let catalog = session.catalog();
        let delta = shared.delta_tables.newest(shared, &self.location).await?;
        let known = catalog.partitions(table, &PartitionFilter::default()).await?;
        let gone = known.into_iter().map(|partition| partition.values).collect();
        let Update::Done(table) = catalog.commit_partitions(table, Vec::new(), gone).await? else {
            return Err(conflict());
        };
        let (columns, partition_keys) = delta_columns(&delta)?;
        let mut spec = table.spec.clone();
        spec.format = Some(Format::Delta);
        spec.table_type = TableType::External;
        spec.location = Some(self.location.to_string());
        (spec.columns, spec.partition_keys) = (columns, partition_keys);
        if !spec.details.is_empty() {
            // What Glue's other users look at.
            spec.parameters.insert("table_type".into(), "DELTA".into());
            spec.parameters.insert("spark.sql.sources.provider".into(), "delta".into());
        }
        match catalog.update_table(&table, spec).await? {
            Update::Done(_) => Ok(()),
            Update::Conflict { .. } => Err(conflict()),
        }
    }
}

/// The table's columns, as Delta has their types. The files stay as they are, so a type that
/// Delta has not is refused.
fn table_schema(columns: &Schema, keys: &[FieldRef]) -> Result<SchemaRef> {
    let all: Vec<Field> = columns
        .fields()
        .iter()
        .chain(keys)
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    let schema = delta_schema(&Schema::new(all))?;
    for (field, delta) in columns.fields().iter().zip(schema.fields()) {
        let from = field.data_type();
        let is_kept = !(from.is_unsigned_integer() || matches!(from, DataType::Float16));
        if !is_kept {
            return Err(Error::unsupported(format!(
                "column \"{}\" of type {}: Delta has no such type, and the files stay",
                field.name(),
                crate::types::type_string(from)?
            ))
            .with_hint(format!(
                "Copy the table: CREATE TABLE … AS SELECT; the column becomes {}.",
                crate::types::type_string(delta.data_type())?
            )));
        }
    }
    Ok(schema)
}

fn adds(
    location: &Url,
    partitions: &[Partition],
    columns: &Schema,
    keys: &[FieldRef],
) -> Result<Vec<Add>> {
    let mut adds = Vec::new();
    for partition in partitions {
        let names = keys.iter().map(|key| key.name().clone());
        let values: std::collections::HashMap<_, _> =
            names.zip(partition.values.iter().cloned()).collect();
        for file in partition.files.iter().flatten() {
            adds.push(Add {
                path: path_within(location, file)?,
                partition_values: values.clone(),
                size: i64::try_from(file.size_bytes).unwrap_or(i64::MAX),
                modification_time: file.modified_at_ms,
                data_change: true,
                stats: file.statistics.as_ref().map(|kept| statistics(kept, columns).to_string()),
                ..Add::default()
            });
        }
    }
    match adds.is_empty() {
        true => Err(Error::new(ErrorKind::NotFound, format!("there are no files at {location}"))),
        false => Ok(adds),
    }
}

/// The file's path as the store has it, from the table's folder on.
fn path_within(location: &Url, file: &DataFile) -> Result<String> {
    let outside = || {
        Error::unsupported(format!("the file {} is outside of the table's folder", file.path))
            .with_hint("Copy the table: CREATE TABLE … AS SELECT.")
    };
    let url = Url::parse(&file.path).map_err(|_| outside())?;
    if !url.as_str().starts_with(location.as_str()) {
        return Err(outside());
    }
    let (root, path) = (store_path(location)?, store_path(&url)?);
    let parts = path.prefix_match(&root).ok_or_else(outside)?;
    Ok(object_store::path::Path::from_iter(parts).to_string())
}

/// What a file's footer says, in the log's words. Bounds that aren't values are left out.
fn statistics(kept: &FileStatistics, columns: &Schema) -> Value {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (name, column) in &kept.columns {
        let Ok(field) = columns.field_with_name(name) else { continue };
        if let Some(count) = column.null_count {
            nulls.insert(name.clone(), json!(count));
        }
        let bound = |text: &Option<String>| bound(text.as_deref()?, field.data_type());
        if let (true, Some(low), Some(high)) =
            (column.exact, bound(&column.min), bound(&column.max))
        {
            min.insert(name.clone(), low);
            max.insert(name.clone(), high);
        }
    }
    json!({"numRecords": kept.rows, "minValues": min, "maxValues": max, "nullCount": nulls})
}

fn bound(text: &str, data_type: &DataType) -> Option<Value> {
    match data_type {
        data_type if data_type.is_integer() => Some(json!(text.parse::<i64>().ok()?)),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Date32 => {
            Some(json!(text))
        }
        _ => None,
    }
}
