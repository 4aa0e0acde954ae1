//! The definition of a Delta table as its log keeps it: columns with their rules, keys,
//! constraints, properties and protocol. DDL makes one or changes one.

mod column;
mod constraint;
mod follow;
mod mapping;
mod properties;
mod protocol;
mod widening;

use std::collections::BTreeMap;

use chrono::Utc;
use deltalake::kernel::{
    Action, ColumnMetadataKey, DataType, DomainMetadata, MetadataValue, StructField, StructType,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use column::{ColumnRules, Identity, comment_of, invariant_of, set_comment};
pub(crate) use constraint::{Check, Constraint, Informational, checks_of};
pub(crate) use follow::follow;
pub(crate) use properties::checked_properties;
pub(crate) use protocol::without_own_features;

use crate::commit::log_store;
use crate::engine::Shared;
use crate::scan::DeltaSnapshot;
use crate::{Error, ErrorKind, Result};
use protocol::Versions;

const CLUSTERING: &str = "delta.clustering";
/// Delta keeps statistics of this many columns, and a table is clustered by columns that have
/// some.
const STATISTICS_COLUMNS: usize = 32;

/// All of a Delta table but its files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    id: String,
    created_ms: i64,
    pub(crate) name: Option<String>,
    pub(crate) comment: Option<String>,
    pub(crate) columns: Vec<StructField>,
    /// The columns whose values are those of the partition, in order.
    pub(crate) keys: Vec<String>,
    /// The table's properties, constraints among them.
    pub(crate) properties: BTreeMap<String, String>,
    /// The columns by which rows lie together, by name.
    pub(crate) clustering: Vec<String>,
    protocol: Versions,
    /// As the log has them.
    before: Option<(Versions, Vec<String>)>,
}

impl Definition {
    /// That of a new table.
    pub(crate) fn new(columns: Vec<StructField>, keys: Vec<String>) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            created_ms: Utc::now().timestamp_millis(),
            name: None,
            comment: None,
            columns,
            keys,
            properties: BTreeMap::new(),
            clustering: Vec::new(),
            protocol: Versions::default(),
            before: None,
        }
    }

    /// That of a table as a snapshot has it.
    pub(crate) async fn of(shared: &Shared, snapshot: &DeltaSnapshot) -> Result<Self> {
        let metadata = snapshot.metadata();
        let columns: Vec<StructField> = snapshot.columns().fields().cloned().collect();
        let protocol = Versions::of(snapshot.protocol())?;
        let clustering = snapshot.clustering(shared).await?;
        Ok(Self {
            id: metadata.id().to_owned(),
            created_ms: metadata.created_time().unwrap_or_default(),
            name: metadata.name().map(str::to_owned),
            comment: metadata.description().map(str::to_owned),
            columns,
            keys: metadata.partition_columns().to_vec(),
            properties: metadata.configuration().clone().into_iter().collect(),
            clustering: clustering.clone(),
            protocol: protocol.clone(),
            before: Some((protocol, clustering)),
        })
    }

    /// What to commit, so that the log has this definition.
    pub(crate) fn actions(&mut self) -> Result<Vec<Action>> {
        for (feature, reads) in self.needed_features()? {
            self.protocol.require(feature, reads);
        }
        let (protocol, clustering) = match &self.before {
            Some((protocol, clustering)) => (Some(protocol), clustering.as_slice()),
            None => (None, [].as_slice()),
        };
        let mut actions = Vec::new();
        if protocol != Some(&self.protocol) {
            actions.push(Action::Protocol(self.protocol.action()?));
        }
        actions.push(self.metadata()?);
        if clustering != self.clustering {
            actions.push(Action::DomainMetadata(self.clustering_domain()?));
        }
        Ok(actions)
    }

    /// The schema, the keys, the comment and the properties as one action.
    pub(crate) fn metadata(&self) -> Result<Action> {
        let metadata = json!({
            "id": self.id,
            "name": self.name,
            "description": self.comment,
            "format": { "provider": "parquet", "options": {} },
            "schemaString": json_text(&self.schema()?)?,
            "partitionColumns": self.keys,
            "configuration": self.properties,
            "createdTime": self.created_ms,
        });
        Ok(Action::Metadata(from_json(metadata)?))
    }

    fn schema(&self) -> Result<StructType> {
        StructType::try_new(self.columns.iter().cloned())
            .map_err(|error| Error::invalid(error.to_string()))
    }

    /// The column of this name, in any case.
    pub(crate) fn column(&self, name: &str) -> Result<&StructField> {
        Ok(&self.columns[self.position(name)?])
    }

    pub(crate) fn column_mut(&mut self, name: &str) -> Result<&mut StructField> {
        let position = self.position(name)?;
        Ok(&mut self.columns[position])
    }

    pub(crate) fn position(&self, name: &str) -> Result<usize> {
        let exact = self.columns.iter().position(|column| column.name == name);
        let found = exact.or_else(|| {
            self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
        });
        found.ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            let hint = crate::names::did_you_mean(name, &names)
                .unwrap_or_else(|| format!("Its columns are {}.", names.join(", ")));
            Error::new(ErrorKind::NotFound, format!("there is no column \"{name}\""))
                .with_word(name)
                .with_hint(hint)
        })
    }

    /// Makes the table clustered by these columns, or by none.
    pub(crate) fn cluster_by(&mut self, names: &[String]) -> Result<()> {
        let mut clustering = Vec::new();
        for name in names {
            let position = self.position(name)?;
            let column = &self.columns[position];
            if self.keys.contains(&column.name) {
                return Err(Error::invalid(format!(
                    "\"{name}\" is a partition key, and can't be clustered by"
                ))
                .with_hint("Rows of a partition have the same value of it anyway."));
            }
            if !matches!(column.data_type, DataType::Primitive(_)) {
                return Err(Error::invalid(format!(
                    "the values of column \"{name}\" have no order to cluster by"
                )));
            }
            if position >= STATISTICS_COLUMNS {
                return Err(Error::invalid(format!(
                    "column \"{name}\" has no statistics: only the first {STATISTICS_COLUMNS} \
                     columns have some"
                ))
                .with_hint("Declare it earlier in the table."));
            }
            clustering.push(column.name.clone());
        }
        self.clustering = clustering;
        Ok(())
    }

    /// Sets properties of [`checked_properties`].
    pub(crate) fn set_properties(&mut self, properties: BTreeMap<String, String>) -> Result<()> {
        for (key, value) in properties {
            match (key.as_str(), value.as_str()) {
                (mapping::MODE, "name") => self.map_columns()?,
                (mapping::MODE, _) if self.is_mapped() => {
                    return Err(Error::unsupported("taking column mapping from a table")
                        .with_hint("Make a new one: CREATE TABLE … AS SELECT * FROM the table."));
                }
                _ => {
                    self.properties.insert(key, value);
                }
            }
        }
        Ok(())
    }

    /// How files name the clustering columns.
    fn clustering_domain(&self) -> Result<DomainMetadata> {
        let columns = self
            .clustering
            .iter()
            .map(|name| Ok(json!([mapping::physical_name(self.column(name)?)])))
            .collect::<Result<Vec<Value>>>()?;
        let configuration = json!({ "clusteringColumns": columns, "domainName": CLUSTERING });
        Ok(DomainMetadata {
            domain: CLUSTERING.to_owned(),
            configuration: configuration.to_string(),
            removed: false,
        })
    }

    /// That of a new table alike: without files, and so without names in them.
    pub(crate) fn blank(&self) -> Result<Self> {
        let mut columns = self.columns.clone();
        for column in &mut columns {
            mapping::unmap(column)?;
            column.metadata.remove(widening::TYPE_CHANGES);
            column.metadata.remove(ColumnMetadataKey::IdentityHighWaterMark.as_ref());
        }
        let mut properties = self.properties.clone();
        properties.retain(|key, _| !key.starts_with(mapping::PROPERTIES));
        let mut blank = Self::new(columns, self.keys.clone());
        blank.comment = self.comment.clone();
        blank.properties = properties;
        blank.clustering = self.clustering.clone();
        if self.is_mapped() {
            blank.map_columns()?;
        }
        Ok(blank)
    }

    /// What two definitions that differ in allotted identity values alone have in common.
    pub(crate) fn without_marks(&self) -> impl PartialEq + use<> {
        let mut columns = self.columns.clone();
        for column in &mut columns {
            column.metadata.remove(ColumnMetadataKey::IdentityHighWaterMark.as_ref());
        }
        (self.id.clone(), columns, self.keys.clone(), self.properties.clone())
    }

    fn needed_features(&self) -> Result<Vec<(&'static str, bool)>> {
        let mut needed = Vec::new();
        let rules: Vec<ColumnRules> =
            self.columns.iter().map(ColumnRules::of).collect::<Result<_>>()?;
        let is_on = |key: &str| self.properties.get(key).is_some_and(|value| value == "true");
        let mut need = |is_needed: bool, feature: &'static str, reads: bool| {
            if is_needed {
                needed.push((feature, reads));
            }
        };
        need(self.checks().next().is_some(), "checkConstraints", false);
        need(self.columns.iter().any(|c| invariant_of(c).is_some()), "invariants", false);
        need(rules.iter().any(|rules| rules.generated.is_some()), "generatedColumns", false);
        need(rules.iter().any(|rules| rules.default.is_some()), "allowColumnDefaults", false);
        need(rules.iter().any(|rules| rules.identity.is_some()), "identityColumns", false);
        need(is_on("delta.appendOnly"), "appendOnly", false);
        need(is_on("delta.enableChangeDataFeed"), "changeDataFeed", false);
        need(is_on("delta.enableDeletionVectors"), "deletionVectors", true);
        need(self.is_mapped(), "columnMapping", true);
        let has_ntz = self.columns.iter().any(|column| contains_timestamp_ntz(&column.data_type));
        need(has_ntz, "timestampNtz", true);
        let widened = self.columns.iter().any(|c| c.metadata.contains_key(widening::TYPE_CHANGES));
        need(widened || is_on("delta.enableTypeWidening"), "typeWidening", true);
        need(!self.clustering.is_empty(), "domainMetadata", false);
        need(!self.clustering.is_empty(), "clustering", false);
        Ok(needed)
    }
}

fn contains_timestamp_ntz(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(inner) => inner.fields().any(|f| contains_timestamp_ntz(&f.data_type)),
        DataType::Array(inner) => contains_timestamp_ntz(inner.element_type()),
        DataType::Map(inner) => {
            contains_timestamp_ntz(inner.key_type()) || contains_timestamp_ntz(inner.value_type())
        }
        other => *other == DataType::TIMESTAMP_NTZ,
    }
}

/// The columns by which a table is clustered, by name.
pub(crate) async fn clustering(shared: &Shared, snapshot: &DeltaSnapshot) -> Result<Vec<String>> {
    if !Versions::of(snapshot.protocol())?.has("clustering") {
        return Ok(Vec::new());
    }
    let version = snapshot.version;
    let (log, schema) = (log_store(shared, &snapshot.url)?, snapshot.columns());
    let read = tokio::task::spawn_blocking(move || {
        let engine = log.engine(None);
        let builder = delta_kernel::Snapshot::builder_for(log.root_url()).at_version(version);
        builder.build(engine.as_ref())?.get_physical_clustering_columns(engine.as_ref())
    });
    let columns = match read.await {
        Ok(columns) => columns.map_err(deltalake::DeltaTableError::from)?.unwrap_or_default(),
        Err(error) => return Err(Error::internal(error.to_string())),
    };
    // Columns within structs are left out: rows aren't sorted by these.
    let name = |column: &delta_kernel::expressions::ColumnName| match column.path() {
        [physical] => schema
            .fields()
            .find(|column| mapping::physical_name(column) == *physical)
            .map(|column| column.name.clone()),
        _ => None,
    };
    Ok(columns.iter().filter_map(name).collect())
}

fn text_of(field: &StructField, key: &str) -> Option<String> {
    match field.metadata.get(key)? {
        MetadataValue::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn json_text(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal(error.to_string()))
}

fn from_json<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value)
        .map_err(|error| Error::internal(format!("a definition as JSON: {error}")))
}
