//! Column statistics of tables and of partitions.

use boathouse_catalog::glue::partition_values as values;
use boathouse_catalog::{DocumentKind, Table};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Glue, input, nothing};
use crate::aws::AwsError;

const UPDATE_MAX: usize = 25;
const READ_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateStatistics {
    database_name: String,
    table_name: String,
    partition_values: Option<Vec<String>>,
    column_statistics_list: Vec<Statistics>,
}

/// What is known of a column, in one of Glue's seven shapes.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statistics {
    column_name: String,
    column_type: String,
    analyzed_time: f64,
    statistics_data: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetStatistics {
    database_name: String,
    table_name: String,
    partition_values: Option<Vec<String>>,
    column_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteStatistics {
    database_name: String,
    table_name: String,
    partition_values: Option<Vec<String>>,
    column_name: String,
}

/// Whose columns they are: the table's, or those of one of its partitions.
struct Owner {
    table: Table,
    kind: DocumentKind,
    prefix: String,
}

impl Owner {
    /// The name of the document about a column.
    fn document(&self, column: &str) -> String {
        format!("{}{}", self.prefix, column.to_lowercase())
    }
}

impl Glue {
    pub(super) async fn update_column_statistics(&self, input: UpdateStatistics) -> Answer {
        input::at_most(&input.column_statistics_list, UPDATE_MAX, "columnStatisticsList")?;
        let owner =
            self.owner(&input.database_name, &input.table_name, input.partition_values).await?;
        let mut documents = Vec::new();
        let mut errors = Vec::new();
        for statistics in input.column_statistics_list {
            match statistics.check(&owner.table) {
                Ok(()) => {
                    let name = owner.document(&statistics.column_name);
                    documents.push((name, statistics.shape()));
                }
                Err(error) => errors.push(json!({
                    "ColumnStatistics": statistics.shape(),
                    "Error": error.detail(),
                })),
            }
        }
        self.catalog.put_documents(owner.kind, &owner.table.id, &documents).await?;
        Ok(json!({"Errors": errors}))
    }

    pub(super) async fn column_statistics(&self, input: GetStatistics) -> Answer {
        input::at_most(&input.column_names, READ_MAX, "columnNames")?;
        let owner =
            self.owner(&input.database_name, &input.table_name, input.partition_values).await?;
        let mut found = Vec::new();
        let mut errors = Vec::new();
        for column in input.column_names {
            let name = owner.document(&column);
            match self.catalog.document(owner.kind, &owner.table.id, &name).await? {
                Some(stored) => found.push(stored.body),
                None => errors.push(json!({
                    "ColumnName": column,
                    "Error": AwsError::not_found("Statistics not found.").detail(),
                })),
            }
        }
        Ok(json!({"ColumnStatisticsList": found, "Errors": errors}))
    }

    pub(super) async fn delete_column_statistics(&self, input: DeleteStatistics) -> Answer {
        let owner =
            self.owner(&input.database_name, &input.table_name, input.partition_values).await?;
        let name = owner.document(&input.column_name);
        match self.catalog.delete_document(owner.kind, &owner.table.id, &name).await? {
            true => nothing(),
            false => Err(AwsError::not_found(format!(
                "Statistics of column {} not found.",
                input.column_name
            ))),
        }
    }

    async fn owner(
        &self,
        database: &str,
        table: &str,
        partition: Option<Vec<String>>,
    ) -> Result<Owner, AwsError> {
        let table = self.table_of(database, table).await?;
        let Some(texts) = partition else {
            let (kind, prefix) = (DocumentKind::ColumnStatistics, String::new());
            return Ok(Owner { table, kind, prefix });
        };
        let wanted = values(&table, texts)?;
        let prefix = format!("{}\n", json!(wanted));
        if self.catalog.partitions_of(&table, &[wanted]).await?.is_empty() {
            return Err(AwsError::not_found("Partition not found."));
        }
        Ok(Owner { table, kind: DocumentKind::PartitionStatistics, prefix })
    }
}

impl Statistics {
    /// Whether the column is there and the data is of the type that it says.
    fn check(&self, table: &Table) -> Result<(), AwsError> {
        let columns = table.spec.columns.iter().chain(&table.spec.partition_keys);
        if !columns.into_iter().any(|column| column.name.eq_ignore_ascii_case(&self.column_name)) {
            return Err(AwsError::invalid_input(format!(
                "Column {} not found in table {}.",
                self.column_name,
                table.name.table()
            )));
        }
        let named = self.statistics_data.get("Type").and_then(Value::as_str).unwrap_or_default();
        let required: &[&str] = match named {
            "BOOLEAN" => &["NumberOfTrues", "NumberOfFalses", "NumberOfNulls"],
            "BINARY" => &["MaximumLength", "AverageLength", "NumberOfNulls"],
            "STRING" => {
                &["MaximumLength", "AverageLength", "NumberOfNulls", "NumberOfDistinctValues"]
            }
            "DATE" | "DECIMAL" | "DOUBLE" | "LONG" => &["NumberOfNulls", "NumberOfDistinctValues"],
            _ => {
                return Err(AwsError::invalid_input(format!(
                    "\"{named}\" is no type of column statistics."
                )));
            }
        };
        let capitalised = format!("{}{}", &named[..1], named[1..].to_ascii_lowercase());
        let member = format!("{capitalised}ColumnStatisticsData");
        let data = self.statistics_data.get(&member).and_then(Value::as_object);
        let data = data.ok_or_else(|| {
            AwsError::invalid_input(format!("Statistics of type {named} need {member}."))
        })?;
        let is_count = |value: &Value| value.as_f64().is_some_and(|count| 0.0 <= count);
        for count in required {
            if !data.get(*count).is_some_and(is_count) {
                return Err(AwsError::invalid_input(format!(
                    "{member}.{count} must be a number that is not negative."
                )));
            }
        }
        Ok(())
    }

    fn shape(&self) -> Value {
        json!({
            "ColumnName": self.column_name,
            "ColumnType": self.column_type,
            "AnalyzedTime": self.analyzed_time,
            "StatisticsData": self.statistics_data,
        })
    }
}
