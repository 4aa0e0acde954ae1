//! Partitions of tables.

use boathouse_catalog::glue::{
    PartitionInput, partition_shape as shape, partition_texts as texts, partition_values as values,
};
use boathouse_catalog::{
    DocumentKind, Error, PageRequest, PartitionCursor, PartitionEdit, PartitionFilter, Table,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::expression::{Expression, ExpressionError};
use super::{Answer, Glue, input, nothing, page, table_name};
use crate::aws::AwsError;

const PAGE_LIMIT: usize = 1000;
const CREATE_MAX: usize = 100;
const READ_MAX: usize = 1000;
const UPDATE_MAX: usize = 100;
const DELETE_MAX: usize = 25;
const SEGMENTS_MAX: u32 = 10;
/// How many partitions one answer looks at. A filter that the index can't use may let through few
/// of them; then the page is short, but its token goes on.
const LOOKED_AT_MAX: usize = 20_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreatePartition {
    database_name: String,
    table_name: String,
    partition_input: PartitionInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByPartition {
    database_name: String,
    table_name: String,
    partition_values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdatePartition {
    database_name: String,
    table_name: String,
    partition_value_list: Vec<String>,
    partition_input: PartitionInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Partitions {
    database_name: String,
    table_name: String,
    expression: Option<String>,
    segment: Option<Segment>,
    exclude_column_schema: Option<bool>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Segment {
    segment_number: u32,
    total_segments: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchCreate {
    database_name: String,
    table_name: String,
    partition_input_list: Vec<PartitionInput>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchGet {
    database_name: String,
    table_name: String,
    partitions_to_get: Vec<ValueList>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ValueList {
    values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchUpdate {
    database_name: String,
    table_name: String,
    entries: Vec<UpdateEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateEntry {
    partition_value_list: Vec<String>,
    partition_input: PartitionInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchDelete {
    database_name: String,
    table_name: String,
    partitions_to_delete: Vec<ValueList>,
}

/// A place in the partitions of a table: the state of the table that the first page saw, so that
/// all pages do, and where in it the page before ended.
#[derive(Deserialize, Serialize)]
struct Place {
    table: String,
    data_version: u64,
    after: PartitionCursor,
}

impl Glue {
    pub(super) async fn create_partition(&self, input: CreatePartition) -> Answer {
        let table = self.partitioned(&input.database_name, &input.table_name).await?;
        let partition = input.partition_input.into_partition(&table)?;
        self.edit_one(&table, PartitionEdit::Add(partition)).await
    }

    pub(super) async fn partition(&self, input: ByPartition) -> Answer {
        let table = self.partitioned(&input.database_name, &input.table_name).await?;
        let wanted = values(&table, input.partition_values)?;
        let found = self.catalog.partitions_of(&table, &[wanted]).await?;
        let found = found.first().ok_or_else(|| AwsError::not_found("Cannot find partition."))?;
        Ok(json!({"Partition": shape(&table, found, true)}))
    }

    pub(super) async fn update_partition(&self, input: UpdatePartition) -> Answer {
        let table = self.partitioned(&input.database_name, &input.table_name).await?;
        let edit = replacement(&table, input.partition_value_list, input.partition_input)?;
        self.edit_one(&table, edit).await
    }

    pub(super) async fn delete_partition(&self, input: ByPartition) -> Answer {
        let table = self.partitioned(&input.database_name, &input.table_name).await?;
        let gone = values(&table, input.partition_values)?;
        self.edit_one(&table, PartitionEdit::Remove(gone)).await
    }

    /// Those that can be made are made; the others are told.
    pub(super) async fn batch_create_partition(&self, input: BatchCreate) -> Answer {
        input::at_most(&input.partition_input_list, CREATE_MAX, "partitionInputList")?;
        let table = self.partitioned(&input.database_name, &input.table_name).await?;
        let edits = input
            .partition_input_list
            .into_iter()
            .map(|partition| Ok(PartitionEdit::Add(partition.into_partition(&table)?)))
            .collect::<Result<Vec<PartitionEdit>, AwsError>>()?;
        let errors = self.edit_many(&table, edits, "PartitionValues").await?;
        Ok(json!({"Errors": errors}))
    }

    /// Partitions that are not there are left out.
    pub(super) async fn batch_get_partition(&self, input: BatchGet) -> Answer {
        input::at_most(&input.partitions_to_get, READ_MAX, "partitionsToGet")?;
        let table = self.partitioned(&input.database_name, &input.table_name).await?;
        let wanted = input.partitions_to_get.into_iter().map(|list| values(&table, list.values));
        let wanted = wanted.collect::<Result<Vec<_>, Error>>()?;
        let found = self.catalog.partitions_of(&table, &wanted).await?;
        let found: Vec<Value> = found.iter().map(|one| shape(&table, one, true)).collect();
        Ok(json!({"Partitions": found, "UnprocessedKeys": []}))
    }

    pub(super) async fn batch_update_partition(&self, input: BatchUpdate) -> Answer {
        input::at_most(&input.entries, UPDATE_MAX, "entries")?;
        let table = self.partitioned(&input.database_name, &input.table_name).await?;
        let edits = input
            .entries
            .into_iter()
            .map(|entry| replacement(&table, entry.partition_value_list, entry.partition_input))
            .collect::<Result<Vec<PartitionEdit>, AwsError>>()?;
        let errors = self.edit_many(&table, edits, "PartitionValueList").await?;
        Ok(json!({"Errors": errors}))
    }

    pub(super) async fn batch_delete_partition(&self, input: BatchDelete) -> Answer {
        input::at_most(&input.partitions_to_delete, DELETE_MAX, "partitionsToDelete")?;
        let table = self.partitioned(&input.database_name, &input.table_name).await?;
        let edits = input
            .partitions_to_delete
            .into_iter()
            .map(|list| Ok(PartitionEdit::Remove(values(&table, list.values)?)))
            .collect::<Result<Vec<PartitionEdit>, AwsError>>()?;
        let errors = self.edit_many(&table, edits, "PartitionValues").await?;
        Ok(json!({"Errors": errors}))
    }

    /// Pages of the partitions that match an expression. All pages of one listing, and all segments
    /// whose first pages see the same table, are of one state of it.
    pub(super) async fn partitions(&self, input: Partitions) -> Answer {
        let size = page::size(input.max_results, PAGE_LIMIT)?;
        let segment = input.segment.map(segment).transpose()?;
        let place: Option<Place> = page::place(input.next_token.as_deref())?;
        let mut table = self.table_of(&input.database_name, &input.table_name).await?;
        let expression =
            Expression::parse(input.expression.as_deref(), &table.spec.partition_keys)?;
        if table.spec.partition_keys.is_empty() {
            return Ok(json!({"Partitions": []}));
        }
        if let Some(place) = &place {
            if place.table != table.id {
                return Err(AwsError::invalid_input("Invalid NextToken: it is of another table."));
            }
            table.data_version = place.data_version;
        }
        let after = place.map(|place| place.after);
        let request = PageRequest { after, limit: size, segment };
        let (found, after) = self.matching(&table, &expression, request).await?;
        let with_columns = input.exclude_column_schema != Some(true);
        let list: Vec<Value> = found.iter().map(|one| shape(&table, one, with_columns)).collect();
        let next = after.map(|after| {
            page::token(&Place { table: table.id.clone(), data_version: table.data_version, after })
        });
        Ok(page::with_token(json!({"Partitions": list}), next.transpose()?))
    }

    /// Partitions from `request` on that match, as many as fit its limit, and where to go on.
    async fn matching(
        &self,
        table: &Table,
        expression: &Expression,
        mut request: PageRequest,
    ) -> Result<(Vec<boathouse_catalog::Partition>, Option<PartitionCursor>), AwsError> {
        let filter: PartitionFilter = expression.filter();
        let wanted = request.limit;
        let mut found = Vec::new();
        let mut looked_at = 0;
        loop {
            request.limit = wanted - found.len();
            let page = self.catalog.partition_page(table, &filter, &request).await;
            let page = page.map_err(expired)?;
            looked_at += page.partitions.len();
            for partition in page.partitions {
                if expression.matches(&partition.values)? {
                    found.push(partition);
                }
            }
            request.after = page.next;
            let is_done = found.len() == wanted || LOOKED_AT_MAX <= looked_at;
            if is_done || request.after.is_none() {
                return Ok((found, request.after));
            }
        }
    }

    pub(super) async fn table_of(&self, database: &str, table: &str) -> Result<Table, AwsError> {
        Ok(self.catalog.table(&table_name(database, table)?).await?)
    }

    async fn partitioned(&self, database: &str, table: &str) -> Result<Table, AwsError> {
        let table = self.table_of(database, table).await?;
        if table.spec.partition_keys.is_empty() {
            return Err(AwsError::invalid_input(format!(
                "Table {} has no partition keys.",
                table.name.table()
            )));
        }
        Ok(table)
    }

    async fn edit_one(&self, table: &Table, edit: PartitionEdit) -> Answer {
        let removed = [self.forgotten(&edit)];
        let mut outcomes = self.catalog.edit_partitions(&table.name, &[edit]).await?;
        if let Some(Err(error)) = outcomes.pop() {
            return Err(error.into());
        }
        self.forget_statistics(table, removed.into_iter().flatten()).await?;
        nothing()
    }

    /// Makes the edits that can be made; the errors of the others, as Glue lists them.
    async fn edit_many(
        &self,
        table: &Table,
        edits: Vec<PartitionEdit>,
        values_member: &str,
    ) -> Result<Vec<Value>, AwsError> {
        let outcomes = self.catalog.edit_partitions(&table.name, &edits).await?;
        let mut errors = Vec::new();
        let mut removed = Vec::new();
        for (edit, outcome) in edits.iter().zip(outcomes) {
            match outcome {
                Ok(()) => removed.extend(self.forgotten(edit)),
                Err(error) => errors.push(json!({
                    values_member: texts(edit.values()),
                    "ErrorDetail": AwsError::from(error).detail(),
                })),
            }
        }
        self.forget_statistics(table, removed.into_iter()).await?;
        Ok(errors)
    }

    /// The values of a partition that goes, with what is known of its columns.
    fn forgotten(&self, edit: &PartitionEdit) -> Option<Vec<Option<String>>> {
        match edit {
            PartitionEdit::Remove(values) => Some(values.clone()),
            PartitionEdit::Add(_) | PartitionEdit::Replace(..) => None,
        }
    }

    async fn forget_statistics(
        &self,
        table: &Table,
        removed: impl Iterator<Item = Vec<Option<String>>>,
    ) -> Result<(), AwsError> {
        let kind = DocumentKind::PartitionStatistics;
        let removed: Vec<String> = removed.map(|values| json!(values).to_string()).collect();
        if removed.is_empty() {
            return Ok(());
        }
        for stored in self.catalog.documents(kind, &table.id).await? {
            let of = stored.name.rsplit_once('\n').map_or("", |(of, _)| of);
            if removed.iter().any(|values| values == of) {
                self.catalog.delete_document(kind, &table.id, &stored.name).await?;
            }
        }
        Ok(())
    }
}

fn replacement(
    table: &Table,
    old: Vec<String>,
    new: PartitionInput,
) -> Result<PartitionEdit, AwsError> {
    let old = values(table, old)?;
    let mut new = new;
    if new.values.as_ref().is_none_or(Vec::is_empty) {
        new.values = Some(texts(&old).into_iter().map(str::to_owned).collect());
    }
    Ok(PartitionEdit::Replace(old, new.into_partition(table)?))
}

fn segment(segment: Segment) -> Result<(u32, u32), AwsError> {
    let Segment { segment_number, total_segments } = segment;
    if !(1..=SEGMENTS_MAX).contains(&total_segments) {
        return Err(AwsError::validation(format!(
            "1 validation error detected: Value '{total_segments}' at 'segment.totalSegments' \
             failed to satisfy constraint: Member must have value between 1 and {SEGMENTS_MAX}"
        )));
    }
    if total_segments <= segment_number {
        return Err(AwsError::invalid_input(format!(
            "Segment {segment_number} of {total_segments} does not exist: the first is 0."
        )));
    }
    Ok((segment_number, total_segments))
}

/// What a state of the table that can no longer be read means to a client.
fn expired(error: Error) -> AwsError {
    match error {
        Error::NotFound { kind: boathouse_catalog::ObjectKind::Version, .. } => {
            AwsError::invalid_input("The NextToken has expired: start again without it.")
        }
        error => error.into(),
    }
}

impl From<ExpressionError> for AwsError {
    fn from(error: ExpressionError) -> Self {
        match error {
            ExpressionError::Invalid(text) => Self::invalid_input(text),
            ExpressionError::State(text) => Self::invalid_state(text),
        }
    }
}
