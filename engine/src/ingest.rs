//! Bulk load of Arrow batches into a table, as one commit.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use boathouse_catalog::{Error as CatalogError, TableName};
use futures::Stream;

use crate::scan::LakeTable;
use crate::session::Session;
use crate::statement::{TableDefinition, create_table};
use crate::write::{self, delta_schema};
use crate::{Error, ErrorKind, Result};

/// Where a bulk load goes.
#[derive(Clone, Debug)]
pub struct IngestTarget {
    /// The session's current database where there is none.
    pub database: Option<String>,
    /// The table's name.
    pub table: String,
    /// What to do where there is no such table.
    pub if_missing: IfMissing,
    /// What to do where there is one.
    pub if_exists: IfExists,
}

/// What a bulk load does where there is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// It fails.
    Fail,
    /// It makes one with the batches' columns.
    Create,
}

/// What a bulk load does where there is a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// It fails.
    Fail,
    /// It adds its rows; columns are matched by name.
    Append,
    /// It makes a new table in the place of the old one.
    Replace,
}

/// The batches of a bulk load.
pub type Batches = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

impl Session {
    /// Loads all of `batches`, whose schema is `schema`, as one commit. The number of rows
    /// comes back.
    pub async fn ingest(
        &self,
        target: IngestTarget,
        batches: Batches,
        schema: SchemaRef,
    ) -> Result<u64> {
        let session = self.clone();
        let engine = self.engine.clone();
        engine
            .on_own_thread(move || async move { ingest(&session, target, batches, schema).await })
            .await
    }
}

async fn ingest(
    session: &Session,
    target: IngestTarget,
    batches: Batches,
    schema: SchemaRef,
) -> Result<u64> {
    let database = target.database.clone().unwrap_or_else(|| session.database());
    let name = TableName::new(&database, &target.table)?;
    let table = match session.catalog().table(&name).await {
        Ok(table) => Some(table),
        Err(CatalogError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    match (table, target.if_exists, target.if_missing) {
        (Some(_), IfExists::Fail, _) => {
            Err(Error::new(ErrorKind::AlreadyExists, format!("table \"{name}\" already exists"))
                .with_hint("Append to it or replace it, or choose another name."))
        }
        (Some(table), IfExists::Append, _) => {
            let table = LakeTable::open(session, table).await?;
            append(session, &table, batches, &schema).await
        }
        (None, _, IfMissing::Fail) => Err(crate::resolve::not_found(
            session,
            &name,
            Error::new(ErrorKind::NotFound, format!("table \"{name}\" does not exist")),
        )
        .await),
        (existing, _, _) => {
            let definition = TableDefinition {
                name,
                schema: delta_schema(&schema)?,
                keys: Vec::new(),
                comment: None,
                properties: Default::default(),
                if_not_exists: false,
                or_replace: existing.is_some(),
            };
            create_table(session, &definition, batches).await
        }
    }
}

async fn append(
    session: &Session,
    table: &LakeTable,
    batches: Batches,
    schema: &SchemaRef,
) -> Result<u64> {
    use datafusion::catalog::TableProvider as _;
    use futures::TryStreamExt as _;
    let wanted = table.schema();
    for field in schema.fields() {
        if !wanted.fields().iter().any(|known| known.name().eq_ignore_ascii_case(field.name())) {
            let columns: Vec<&str> = wanted.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("table \"{}\" has no column \"{}\"", table.name, field.name()),
            )
            .with_hint(format!("Its columns are {}.", columns.join(", "))));
        }
    }
    let target = table.write_target().await?;
    let ordered = batches.and_then(move |batch| {
        let wanted = wanted.clone();
        async move { by_name(&batch, &wanted) }
    });
    write::insert(&session.engine, &target, ordered).await
}

/// The batch with the columns of `wanted`, in its order; those that are missing are NULL.
pub(crate) fn by_name(batch: &RecordBatch, wanted: &SchemaRef) -> Result<RecordBatch> {
    use arrow::array::new_null_array;
    use arrow::datatypes::{Field, Schema};
    let mut fields = Vec::with_capacity(wanted.fields().len());
    let mut columns = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        let schema = batch.schema();
        let found =
            schema.fields().iter().position(|f| f.name().eq_ignore_ascii_case(field.name()));
        let column = match found {
            Some(index) => batch.column(index).clone(),
            None => new_null_array(field.data_type(), batch.num_rows()),
        };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), columns)?)
}
