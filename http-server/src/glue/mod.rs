//! AWS Glue's Data Catalog API over the catalog: one file a resource.
//!
//! The operations, their limits and their errors are those of the API reference ("AWS Glue Web API
//! Reference"). What differs is said where it does. Names of AWS accounts (`CatalogId`) are
//! accepted and mean nothing: a server has one catalog.

mod classifiers;
mod crawlers;
mod databases;
mod expression;
mod functions;
mod indexes;
mod input;
mod page;
mod partitions;
mod settings;
mod statistics;
mod tables;
mod tags;
mod versions;

use boathouse_catalog::glue::{CATALOG_ID, seconds};
use boathouse_catalog::{Catalog, DEFAULT_DATABASE, TableName};
use serde_json::{Map, Value, json};

use crate::aws::{AwsError, Operations};
use crate::crawls::Crawls;
use input::read;

/// The answer to one request.
type Answer = Result<Value, AwsError>;

/// The Glue API of one catalog. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Glue {
    catalog: Catalog,
    crawls: Crawls,
}

impl Glue {
    pub(crate) fn new(catalog: Catalog, crawls: Crawls) -> Self {
        Self { catalog, crawls }
    }

    /// Refuses a member that a catalog of another server cannot keep, before anything is made.
    fn must_be_own(&self, member: &str) -> Result<(), AwsError> {
        match self.catalog.is_federated() {
            false => Ok(()),
            true => Err(AwsError::invalid_input(format!(
                "{member} are not kept in a federated catalog: give them where it is kept."
            ))),
        }
    }
}

impl Operations for Glue {
    async fn call(&self, operation: &str, input: Value) -> Answer {
        match operation {
            "CreateDatabase" => self.create_database(read(input)?).await,
            "GetDatabase" => self.database(read(input)?).await,
            "GetDatabases" => self.databases(read(input)?).await,
            "UpdateDatabase" => self.update_database(read(input)?).await,
            "DeleteDatabase" => self.delete_database(read(input)?).await,

            "CreateTable" => self.create_table(read(input)?).await,
            "GetTable" => self.table(read(input)?).await,
            "GetTables" => self.tables(read(input)?).await,
            "UpdateTable" => self.update_table(read(input)?).await,
            "DeleteTable" => self.delete_table(read(input)?).await,
            "BatchDeleteTable" => self.batch_delete_table(read(input)?).await,
            "SearchTables" => self.search_tables(read(input)?).await,

            "GetTableVersion" => self.table_version(read(input)?).await,
            "GetTableVersions" => self.table_versions(read(input)?).await,
            "DeleteTableVersion" => self.delete_table_version(read(input)?).await,
            "BatchDeleteTableVersion" => self.batch_delete_table_version(read(input)?).await,

            "CreatePartition" => self.create_partition(read(input)?).await,
            "GetPartition" => self.partition(read(input)?).await,
            "GetPartitions" => self.partitions(read(input)?).await,
            "UpdatePartition" => self.update_partition(read(input)?).await,
            "DeletePartition" => self.delete_partition(read(input)?).await,
            "BatchCreatePartition" => self.batch_create_partition(read(input)?).await,
            "BatchGetPartition" => self.batch_get_partition(read(input)?).await,
            "BatchUpdatePartition" => self.batch_update_partition(read(input)?).await,
            "BatchDeletePartition" => self.batch_delete_partition(read(input)?).await,

            "CreatePartitionIndex" => self.create_partition_index(read(input)?).await,
            "GetPartitionIndexes" => self.partition_indexes(read(input)?).await,
            "DeletePartitionIndex" => self.delete_partition_index(read(input)?).await,

            "UpdateColumnStatisticsForTable" | "UpdateColumnStatisticsForPartition" => {
                self.update_column_statistics(read(input)?).await
            }
            "GetColumnStatisticsForTable" | "GetColumnStatisticsForPartition" => {
                self.column_statistics(read(input)?).await
            }
            "DeleteColumnStatisticsForTable" | "DeleteColumnStatisticsForPartition" => {
                self.delete_column_statistics(read(input)?).await
            }

            "CreateUserDefinedFunction" => self.create_function(read(input)?).await,
            "GetUserDefinedFunction" => self.function(read(input)?).await,
            "GetUserDefinedFunctions" => self.functions(read(input)?).await,
            "UpdateUserDefinedFunction" => self.update_function(read(input)?).await,
            "DeleteUserDefinedFunction" => self.delete_function(read(input)?).await,

            "TagResource" => self.tag_resource(read(input)?).await,
            "UntagResource" => self.untag_resource(read(input)?).await,
            "GetTags" => self.tags(read(input)?).await,

            "CreateCrawler" => self.create_crawler(read(input)?).await,
            "GetCrawler" => self.crawler(read(input)?).await,
            "GetCrawlers" => self.crawlers(read(input)?).await,
            "BatchGetCrawlers" => self.batch_get_crawlers(read(input)?).await,
            "ListCrawlers" => self.list_crawlers(read(input)?).await,
            "UpdateCrawler" => self.update_crawler(read(input)?).await,
            "DeleteCrawler" => self.delete_crawler(read(input)?).await,
            "StartCrawler" => self.start_crawler(read(input)?).await,
            "StopCrawler" => self.stop_crawler(read(input)?).await,
            "ListCrawls" => self.list_crawls(read(input)?).await,
            "GetCrawlerMetrics" => self.crawler_metrics(read(input)?).await,
            "StartCrawlerSchedule" => self.start_crawler_schedule(read(input)?).await,
            "StopCrawlerSchedule" => self.stop_crawler_schedule(read(input)?).await,
            "UpdateCrawlerSchedule" => self.update_crawler_schedule(read(input)?).await,

            "CreateClassifier" => self.create_classifier(read(input)?).await,
            "GetClassifier" => self.classifier(read(input)?).await,
            "GetClassifiers" => self.classifiers(read(input)?).await,
            "UpdateClassifier" => self.update_classifier(read(input)?).await,
            "DeleteClassifier" => self.delete_classifier(read(input)?).await,

            "GetCatalog" | "GetCatalogs" => settings::catalogs(operation),
            "GetConnection" => Err(AwsError::not_found("Connection not found.")),
            "GetConnections" => Ok(json!({"ConnectionList": []})),
            "GetDataCatalogEncryptionSettings" => Ok(settings::encryption()),
            "GetResourcePolicies" => Ok(json!({"GetResourcePoliciesResponseList": []})),
            "GetResourcePolicy" => Err(AwsError::not_found("Policy not found")),
            _ => Err(AwsError::unknown_operation(operation)),
        }
    }

    /// Empties the catalog but for the database that is always there.
    async fn reset(&self) -> Result<(), AwsError> {
        for database in self.catalog.databases().await? {
            if database.name != DEFAULT_DATABASE {
                self.catalog.drop_database(&database.name, true).await?;
                continue;
            }
            for table in self.catalog.table_summaries(Some(&database.name)).await? {
                self.catalog.drop_table(&table.name).await?;
            }
        }
        self.catalog.delete_all_documents().await?;
        Ok(())
    }
}

/// The name of a table in a database.
fn table_name(database: &str, table: &str) -> Result<TableName, AwsError> {
    Ok(TableName::new(database, table)?)
}

/// The answer of an operation that has nothing to say.
fn nothing() -> Answer {
    Ok(Value::Object(Map::new()))
}
