//! Tables.

use std::time::{Duration, Instant};

use boathouse_catalog::glue::{TableInput, table_shape as shape};
use boathouse_catalog::{Archive, DocumentKind, Table, TableName, Update};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::indexes::{IndexInput, checked_indexes};
use super::{Answer, Glue, input, nothing, page, table_name};
use crate::aws::AwsError;

const PAGE_LIMIT: usize = 100;
const SEARCH_PAGE_LIMIT: usize = 1000;
const BATCH_MAX: usize = 100;
const EXPRESSION_MAX: usize = 2048;
/// How long an unconditional update is tried while others change the same table.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateTable {
    database_name: String,
    table_input: Option<TableInput>,
    partition_indexes: Option<Vec<IndexInput>>,
    open_table_format_input: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByTable {
    database_name: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tables {
    database_name: String,
    expression: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateTable {
    database_name: String,
    name: Option<String>,
    table_input: Option<TableInput>,
    skip_archive: Option<bool>,
    version_id: Option<String>,
    update_open_table_format_input: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchDeleteTable {
    database_name: String,
    tables_to_delete: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SearchTables {
    search_text: Option<String>,
    filters: Option<Vec<PropertyPredicate>>,
    sort_criteria: Option<Vec<SortCriterion>>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PropertyPredicate {
    key: Option<String>,
    value: Option<String>,
    comparator: Option<Comparator>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Comparator {
    Equals,
    GreaterThan,
    LessThan,
    GreaterThanEquals,
    LessThanEquals,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SortCriterion {
    field_name: Option<String>,
    sort: Option<Sort>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Sort {
    Asc,
    Desc,
}

impl Glue {
    pub(super) async fn create_table(&self, input: CreateTable) -> Answer {
        refuse_open_format(input.open_table_format_input.as_ref())?;
        let table = required(input.table_input)?;
        let name = table_name(&input.database_name, &table.name)?;
        let spec = table.into_spec(name.database())?;
        let indexes = checked_indexes(input.partition_indexes.unwrap_or_default(), &spec)?;
        if !indexes.is_empty() {
            self.must_be_own("PartitionIndexes")?;
        }
        let table = self.catalog.create_table(&name, spec, Vec::new()).await?;
        if !indexes.is_empty() {
            let kind = DocumentKind::PartitionIndex;
            self.catalog.put_documents(kind, &table.id, &indexes).await?;
        }
        nothing()
    }

    pub(super) async fn table(&self, input: ByTable) -> Answer {
        let table = self.catalog.table(&table_name(&input.database_name, &input.name)?).await?;
        Ok(json!({"Table": shape(&table)}))
    }

    pub(super) async fn tables(&self, input: Tables) -> Answer {
        let size = page::size(input.max_results, PAGE_LIMIT)?;
        let pattern = input.expression.as_deref().filter(|text| !text.is_empty());
        let pattern = pattern.map(name_pattern).transpose()?;
        let database = self.catalog.database(&input.database_name).await?.name;
        let after: Option<String> = page::place(input.next_token.as_deref())?;
        let summaries = self.catalog.table_summaries(Some(&database)).await?;
        let mut names = summaries
            .iter()
            .map(|summary| summary.name.table())
            .filter(|name| after.as_deref().is_none_or(|after| after < *name))
            .filter(|name| pattern.as_ref().is_none_or(|pattern| pattern.is_match(name)));
        let wanted: Vec<String> = names.by_ref().take(size).map(str::to_owned).collect();
        let next = match (names.next(), wanted.last()) {
            (Some(_), Some(last)) => Some(page::token(last)?),
            _ => None,
        };
        let tables = self.catalog.tables_named(&database, &wanted).await?;
        let list: Vec<Value> = tables.iter().map(shape).collect();
        Ok(page::with_token(json!({"TableList": list}), next))
    }

    /// Replaces the whole definition. With a `VersionId` only if that is the current one.
    pub(super) async fn update_table(&self, input: UpdateTable) -> Answer {
        refuse_open_format(input.update_open_table_format_input.as_ref())?;
        let table = required(input.table_input)?;
        let name = input.name.as_deref().unwrap_or(&table.name);
        if name.to_lowercase() != table.name.to_lowercase() {
            return Err(AwsError::invalid_input("A table cannot be renamed."));
        }
        let name = table_name(&input.database_name, &table.name)?;
        let spec = table.into_spec(name.database())?;
        let archive = match input.skip_archive {
            Some(true) => Archive::Skip,
            _ => Archive::Keep,
        };
        let start = Instant::now();
        loop {
            let stored = self.catalog.table(&name).await?;
            check_version(&stored, input.version_id.as_deref())?;
            let updated = self.catalog.update_table_keeping(&stored, spec.clone(), archive).await?;
            match updated {
                Update::Done(_) => return nothing(),
                Update::Conflict { .. }
                    if input.version_id.is_some() || PATIENCE < start.elapsed() =>
                {
                    return Err(changed(&name));
                }
                Update::Conflict { .. } => {}
            }
        }
    }

    pub(super) async fn delete_table(&self, input: ByTable) -> Answer {
        self.drop_table(&table_name(&input.database_name, &input.name)?).await?;
        nothing()
    }

    pub(super) async fn batch_delete_table(&self, input: BatchDeleteTable) -> Answer {
        input::at_most(&input.tables_to_delete, BATCH_MAX, "tablesToDelete")?;
        let database = self.catalog.database(&input.database_name).await?.name;
        let mut errors = Vec::new();
        for table in input.tables_to_delete {
            let dropped = match table_name(&database, &table) {
                Ok(name) => self.drop_table(&name).await,
                Err(error) => Err(error),
            };
            if let Err(error) = dropped {
                errors.push(json!({"TableName": table, "ErrorDetail": error.detail()}));
            }
        }
        Ok(json!({"Errors": errors}))
    }

    async fn drop_table(&self, name: &TableName) -> Result<(), AwsError> {
        self.catalog.drop_table(name).await?;
        self.delete_tags(&format!("table/{}/{}", name.database(), name.table())).await
    }

    /// Finds text in names, descriptions and columns. Without AWS's ranking: the order is that of
    /// the names unless another is asked for.
    pub(super) async fn search_tables(&self, input: SearchTables) -> Answer {
        let text = input.search_text.as_deref().map(str::to_lowercase);
        let filters = input.filters.unwrap_or_default();
        let mut found: Vec<Table> = self.catalog.all_tables().await?;
        found.retain(|table| {
            text.as_deref().is_none_or(|text| mentions(table, text))
                && filters.iter().all(|filter| filter.passes(table))
        });
        if let Some(criterion) = input.sort_criteria.unwrap_or_default().first() {
            criterion.sort(&mut found);
        }
        let size = page::size(input.max_results, SEARCH_PAGE_LIMIT)?;
        let skipped: usize = page::place(input.next_token.as_deref())?.unwrap_or(0);
        let page: Vec<Value> = found.iter().skip(skipped).take(size).map(shape).collect();
        let end = skipped.saturating_add(page.len());
        let next = (end < found.len()).then(|| page::token(&end)).transpose()?;
        Ok(page::with_token(json!({"TableList": page}), next))
    }
}

/// A pattern for names: a regular expression that the whole name matches, in any case; or, as Hive
/// has it and clients send it, a text in which `*` stands for anything.
pub(super) fn name_pattern(text: &str) -> Result<Regex, AwsError> {
    if EXPRESSION_MAX < text.chars().count() {
        return Err(AwsError::invalid_input(format!(
            "The expression is longer than {EXPRESSION_MAX} characters."
        )));
    }
    let glob: Vec<String> = text.split('*').map(regex::escape).collect();
    let glob = glob.join(".*").replace("\\|", "|");
    let build = |pattern: &str| {
        RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 20).build()
    };
    build(&format!("^(?:(?:{text})|(?:{glob}))$"))
        .or_else(|fault| match text.contains('*') {
            true => build(&format!("^(?:{glob})$")),
            false => Err(fault),
        })
        .map_err(|fault| AwsError::invalid_input(format!("Invalid expression: {fault}")))
}

fn required(table: Option<TableInput>) -> Result<TableInput, AwsError> {
    table.ok_or_else(|| {
        AwsError::validation(
            "1 validation error detected: Value null at 'tableInput' failed to satisfy \
             constraint: Member must not be null",
        )
    })
}

fn refuse_open_format(given: Option<&Value>) -> Result<(), AwsError> {
    match given {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(AwsError::invalid_input(
            "OpenTableFormatInput is not supported: write the Iceberg metadata and give its \
             location in TableInput.Parameters.metadata_location.",
        )),
    }
}

fn check_version(stored: &Table, wanted: Option<&str>) -> Result<(), AwsError> {
    match wanted {
        Some(wanted) if wanted != stored.version.to_string() => Err(changed(&stored.name)),
        _ => Ok(()),
    }
}

fn changed(name: &TableName) -> AwsError {
    AwsError::concurrent_modification(format!(
        "Table {} was updated by somebody else: its VersionId is another one.",
        name.table()
    ))
}

fn mentions(table: &Table, text: &str) -> bool {
    let has = |field: &str| field.to_lowercase().contains(text);
    let columns = table.spec.columns.iter().chain(&table.spec.partition_keys);
    has(table.name.table())
        || has(table.name.database())
        || table.spec.comment.as_deref().is_some_and(has)
        || columns
            .into_iter()
            .any(|column| has(&column.name) || column.comment.as_deref().is_some_and(has))
}

/// What a search can filter and sort by.
fn property(table: &Table, key: &str) -> Option<String> {
    let name = &table.name;
    match key.to_ascii_lowercase().as_str() {
        "name" | "tablename" => Some(name.table().to_owned()),
        "databasename" => Some(name.database().to_owned()),
        "description" => table.spec.comment.clone(),
        "tabletype" => Some(table.spec.table_type.as_str().to_owned()),
        "createtime" => Some(format!("{:020}", table.created_at_ms)),
        "updatetime" | "lastaccesstime" => Some(format!("{:020}", table.updated_at_ms)),
        _ => table.spec.parameters.get(key).cloned(),
    }
}

impl PropertyPredicate {
    fn passes(&self, table: &Table) -> bool {
        let (Some(key), Some(wanted)) = (&self.key, &self.value) else { return true };
        let Some(found) = property(table, key) else { return false };
        let (found, wanted) = (found.to_lowercase(), wanted.to_lowercase());
        match self.comparator.unwrap_or(Comparator::Equals) {
            Comparator::Equals => found == wanted,
            Comparator::GreaterThan => found > wanted,
            Comparator::LessThan => found < wanted,
            Comparator::GreaterThanEquals => found >= wanted,
            Comparator::LessThanEquals => found <= wanted,
        }
    }
}

impl SortCriterion {
    fn sort(&self, tables: &mut [Table]) {
        let Some(key) = &self.field_name else { return };
        tables.sort_by_cached_key(|table| property(table, key));
        if self.sort == Some(Sort::Desc) {
            tables.reverse();
        }
    }
}
