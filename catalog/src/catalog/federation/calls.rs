//! What is asked of a remote catalog, in the catalog's own types.

use std::collections::HashSet;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::fault::Fault;
use crate::glue::{
    ShownTable, database_input, partition_texts, read_database, read_partition, read_table,
    table_input,
};
use crate::{Database, Error, Partition, Result, Table, TableName, TableSpec, TableVersion};

/// Databases, tables and versions of one page; partitions of one page.
const PAGE: usize = 100;
const PARTITION_PAGE: usize = 1000;
/// Parts in which a table's partitions are read at once, where they need several pages.
const SEGMENTS: usize = 5;
/// Partitions that one request asks for by their values.
const ASKED_AT_ONCE: usize = 1000;
/// Members that one listing may have, so that no answer fills the memory.
const LISTED_MAX: usize = 100_000;

/// The values that name a partition.
pub(super) type Values = Vec<Option<String>>;

/// The remote catalog.
#[derive(Debug)]
pub(super) struct Calls(pub(super) Client);

impl Calls {
    pub(super) fn name(&self) -> &str {
        self.0.name()
    }

    /// The error where a fault has no meaning of its own.
    pub(super) fn error(&self, fault: Fault) -> Error {
        fault.into_error(self.name())
    }

    pub(super) async fn databases(&self) -> Result<Vec<Database>> {
        let list = self.pages("GetDatabases", json!({}), "DatabaseList", LISTED_MAX).await;
        let list = list.map_err(|fault| self.error(fault))?;
        list.into_iter().map(read_database).collect()
    }

    /// The database, if it is there.
    pub(super) async fn database(&self, name: &str) -> Result<Option<Database>> {
        match self.0.ask("GetDatabase", &json!({"Name": name})).await {
            Ok(mut answer) => read_database(member(&mut answer, "Database")).map(Some),
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(self.error(fault)),
        }
    }

    pub(super) async fn create_database(&self, database: &Database) -> Result<(), Fault> {
        let input = json!({"DatabaseInput": database_input(database)});
        self.0.change("CreateDatabase", &input).await.map(drop)
    }

    pub(super) async fn update_database(&self, database: &Database) -> Result<(), Fault> {
        let input = json!({"Name": database.name, "DatabaseInput": database_input(database)});
        self.0.change("UpdateDatabase", &input).await.map(drop)
    }

    pub(super) async fn delete_database(&self, name: &str) -> Result<(), Fault> {
        self.0.change("DeleteDatabase", &json!({"Name": name})).await.map(drop)
    }

    /// The tables of a database, if that is there. A table that cannot be a table here is left
    /// out: the others are.
    pub(super) async fn tables(&self, database: &str) -> Result<Option<Vec<ShownTable>>> {
        let input = json!({"DatabaseName": database});
        let list = match self.pages("GetTables", input, "TableList", LISTED_MAX).await {
            Ok(list) => list,
            Err(Fault::NotFound(_)) => return Ok(None),
            Err(fault) => return Err(self.error(fault)),
        };
        let read = |shape| match readable(database, shape) {
            Ok(table) => Some(table),
            Err(error) => {
                tracing::warn!(catalog = self.name(), %error, "a table is left out");
                None
            }
        };
        Ok(Some(list.into_iter().filter_map(read).collect()))
    }

    /// The table, if it is there.
    pub(super) async fn table(&self, name: &TableName) -> Result<Option<ShownTable>> {
        match self.0.ask("GetTable", &named(name, json!({"Name": name.table()}))).await {
            Ok(mut answer) => readable(name.database(), member(&mut answer, "Table")).map(Some),
            Err(Fault::NotFound(_)) => Ok(None),
            Err(fault) => Err(self.error(fault)),
        }
    }

    pub(super) async fn create_table(
        &self,
        name: &TableName,
        spec: &TableSpec,
    ) -> Result<(), Fault> {
        let input = named(name, json!({"TableInput": table_input(name, spec)}));
        self.0.change("CreateTable", &input).await.map(drop)
    }

    /// Replaces the definition, if it still has this version.
    pub(super) async fn update_table(
        &self,
        name: &TableName,
        spec: &TableSpec,
        version_id: Option<&str>,
        skips_archive: bool,
    ) -> Result<(), Fault> {
        let mut input = named(name, json!({"TableInput": table_input(name, spec)}));
        if let Some(version_id) = version_id {
            input["VersionId"] = json!(version_id);
        }
        if skips_archive {
            input["SkipArchive"] = json!(true);
        }
        self.0.change("UpdateTable", &input).await.map(drop)
    }

    pub(super) async fn delete_table(&self, name: &TableName) -> Result<(), Fault> {
        let input = named(name, json!({"Name": name.table()}));
        self.0.change("DeleteTable", &input).await.map(drop)
    }

    /// The versions of a table, newest first.
    pub(super) async fn versions(&self, name: &TableName) -> Result<Vec<TableVersion>> {
        let input = named(name, json!({"TableName": name.table()}));
        let list = self.pages("GetTableVersions", input, "TableVersions", LISTED_MAX).await;
        let list = list.map_err(|fault| match fault {
            Fault::NotFound(_) => Error::no_table(name),
            fault => self.error(fault),
        })?;
        let mut versions = list
            .into_iter()
            .map(|mut version| {
                let number = version.get("VersionId").and_then(Value::as_str);
                let version_no = number.and_then(|number| number.parse().ok()).unwrap_or(0);
                let shown = read_table(name.database(), member(&mut version, "Table"))?;
                let (spec, updated_at_ms) = (shown.spec, shown.updated_at_ms);
                Ok(TableVersion { version: version_no, spec, updated_at_ms })
            })
            .collect::<Result<Vec<TableVersion>>>()?;
        versions.sort_by_key(|version| std::cmp::Reverse(version.version));
        Ok(versions)
    }

    pub(super) async fn delete_version(&self, name: &TableName, version: u64) -> Result<(), Fault> {
        let version = version.to_string();
        let input = named(name, json!({"TableName": name.table(), "VersionId": version}));
        self.0.change("DeleteTableVersion", &input).await.map(drop)
    }

    /// All partitions of a table, unless there are more than `limit`.
    pub(super) async fn partitions(&self, table: &Table, limit: usize) -> Result<Vec<Partition>> {
        let input = partitions_input(table);
        let first = self.0.ask("GetPartitions", &input).await.map_err(|fault| self.error(fault))?;
        if token(&first).is_none() {
            return read_partitions(table, list(first, "Partitions"));
        }
        let segments: Vec<BoxFuture<'_, Result<Vec<Partition>>>> = (0..SEGMENTS)
            .map(|number| {
                let mut input = input.clone();
                input["Segment"] = json!({"SegmentNumber": number, "TotalSegments": SEGMENTS});
                self.segment(table, input, limit).boxed()
            })
            .collect();
        let parts: Vec<Vec<Partition>> =
            stream::iter(segments).buffered(SEGMENTS).try_collect().await?;
        let mut partitions = parts.concat();
        // What is changed while it is read may come twice.
        let mut seen = HashSet::new();
        partitions.retain(|partition| seen.insert(partition.values.clone()));
        match partitions.len() <= limit {
            true => Ok(partitions),
            false => Err(too_many("GetPartitions", limit)),
        }
    }

    async fn segment(&self, table: &Table, input: Value, limit: usize) -> Result<Vec<Partition>> {
        let read = self.pages("GetPartitions", input, "Partitions", limit).await;
        read_partitions(table, read.map_err(|fault| self.error(fault))?)
    }

    /// Those of the partitions that are there.
    pub(super) async fn partitions_of(
        &self,
        table: &Table,
        wanted: &[Values],
    ) -> Result<Vec<Partition>> {
        let mut found = Vec::new();
        for some in wanted.chunks(ASKED_AT_ONCE) {
            let mut keys: Vec<Value> =
                some.iter().map(|values| json!({"Values": partition_texts(values)})).collect();
            while !keys.is_empty() {
                let asked = keys.len();
                let input = json!({"TableName": table.name.table(), "PartitionsToGet": keys});
                let input = named(&table.name, input);
                let answer = self.0.ask("BatchGetPartition", &input).await;
                let mut answer = answer.map_err(|fault| self.error(fault))?;
                keys = match answer.remove("UnprocessedKeys") {
                    Some(Value::Array(left)) if left.len() < asked => left,
                    _ => Vec::new(),
                };
                found.extend(read_partitions(table, list(answer, "Partitions"))?);
            }
        }
        Ok(found)
    }

    /// All members of a list that comes in pages.
    async fn pages(
        &self,
        operation: &str,
        mut input: Value,
        name: &str,
        limit: usize,
    ) -> Result<Vec<Map<String, Value>>, Fault> {
        if input.get("MaxResults").is_none() {
            input["MaxResults"] = json!(PAGE);
        }
        let mut members = Vec::new();
        loop {
            let answer = self.0.ask(operation, &input).await?;
            let next = token(&answer);
            let is_same = next.is_some() && next.as_deref() == input["NextToken"].as_str();
            members.extend(list(answer, name));
            if limit < members.len() {
                return Err(Fault::Failed(too_many(operation, limit)));
            }
            match next {
                Some(next) if !is_same => input["NextToken"] = json!(next),
                _ => return Ok(members),
            }
        }
    }
}

fn too_many(operation: &str, limit: usize) -> Error {
    Error::Invalid(format!(
        "{operation} lists more than {limit}, which is the limit of a federated catalog"
    ))
}

fn partitions_input(table: &Table) -> Value {
    let input = json!({
        "TableName": table.name.table(),
        "MaxResults": PARTITION_PAGE,
        "ExcludeColumnSchema": true,
    });
    named(&table.name, input)
}

/// `input` with the database of a table.
pub(super) fn named(name: &TableName, mut input: Value) -> Value {
    input["DatabaseName"] = json!(name.database());
    input
}

/// The table, if it can be one here.
fn readable(database: &str, shape: Map<String, Value>) -> Result<ShownTable> {
    let shown = read_table(database, shape)?;
    shown.spec.check(&shown.name)?;
    Ok(shown)
}

fn read_partitions(table: &Table, list: Vec<Map<String, Value>>) -> Result<Vec<Partition>> {
    list.into_iter().map(|shape| read_partition(table, shape)).collect()
}

fn member(answer: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match answer.remove(name) {
        Some(Value::Object(member)) => member,
        _ => Map::new(),
    }
}

pub(super) fn list(mut answer: Map<String, Value>, name: &str) -> Vec<Map<String, Value>> {
    let Some(Value::Array(members)) = answer.remove(name) else { return Vec::new() };
    let objects = members.into_iter().filter_map(|member| match member {
        Value::Object(member) => Some(member),
        _ => None,
    });
    objects.collect()
}

fn token(answer: &Map<String, Value>) -> Option<String> {
    let token = answer.get("NextToken")?.as_str()?;
    (!token.is_empty()).then(|| token.to_owned())
}
