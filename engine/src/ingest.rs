//! Bulk load of Arrow batches into a table, as one commit.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use boathouse_catalog::{Error as CatalogError, Table, TableName};
use datafusion::execution::session_state::SessionState;
use futures::Stream;

use crate::commit::{AppTransaction, Append};
use crate::definition::Definition;
use crate::rules::Rules;
use crate::scan::LakeTable;
use crate::session::Session;
use crate::statement::{TableDefinition, create_table};
use crate::write::{self, delta_columns, delta_schema};
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
    /// The load is done once, if it has a number; 0 rows come back where the table has it already.
    pub transaction: Option<AppTransaction>,
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
            append(session, &table, target.transaction, batches, &schema).await
        }
        (None, _, IfMissing::Fail) => Err(crate::resolve::not_found(
            session,
            &name,
            Error::new(ErrorKind::NotFound, format!("table \"{name}\" does not exist")),
        )
        .await),
        (Some(table), ..) if has_done(session, &table, &target.transaction).await? => Ok(0),
        (existing, _, _) => {
            let schema = delta_schema(&schema)?;
            let definition = TableDefinition {
                name,
                definition: Definition::new(delta_columns(&schema)?, Vec::new()),
                schema,
                transaction: target.transaction,
                if_not_exists: false,
                or_replace: existing.is_some(),
            };
            create_table(session, &definition, batches).await
        }
    }
}

/// Whether a table that is to be replaced has the load already.
async fn has_done(
    session: &Session,
    table: &Table,
    transaction: &Option<AppTransaction>,
) -> Result<bool> {
    if transaction.is_none() {
        return Ok(false);
    }
    let how = Append { transaction: transaction.clone(), ..Append::default() };
    let target = LakeTable::open(session, table.clone()).await?.write_target().await?;
    target.is_done(session.engine.shared(), &how).await
}

async fn append(
    session: &Session,
    table: &LakeTable,
    transaction: Option<AppTransaction>,
    batches: Batches,
    schema: &SchemaRef,
) -> Result<u64> {
    use datafusion::catalog::TableProvider as _;
    use futures::StreamExt as _;
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
    let how = Append { transaction, ..Append::default() };
    target.check(&how, &table.name)?;
    let state = session.query_state();
    let ordered = batches.map(|batch| by_name(&batch?, &wanted, table.rules(), &state));
    write::insert(&session.engine, &target, &how, ordered)
        .await
        .map_err(|error| error.about(format!("table \"{}\"", table.name)))
}

/// The batch with the columns of `wanted`, in its order; those that are missing have their
/// default, or are NULL.
pub(crate) fn by_name(
    batch: &RecordBatch,
    wanted: &SchemaRef,
    rules: Option<&Rules>,
    state: &SessionState,
) -> Result<RecordBatch> {
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
            None => {
                let rows = batch.num_rows();
                let default = rules.map(|rules| rules.default_column(state, field.name(), rows));
                let default = default.transpose()?.flatten();
                default.unwrap_or_else(|| new_null_array(field.data_type(), rows))
            }
        };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), columns)?)
}
