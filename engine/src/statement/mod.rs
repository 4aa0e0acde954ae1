//! Statements: one file each. Planning one has no side effect; running it has.

mod alter_partitions;
mod alter_table;
mod analyze;
mod convert;
mod copy;
mod crawler;
mod create_external_table;
mod create_table;
mod database;
mod declared;
mod describe;
mod dml;
mod drop_table;
mod explain;
mod history;
mod insert;
mod maintenance;
mod optimize;
mod refresh_table;
mod restore;
mod rows;
mod set;
mod show;
mod table_ddl;
mod unload;
mod use_database;
mod vacuum;
mod view;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::Table;
use datafusion::common::ParamValues;
use datafusion::sql::parser::{ResetStatement, Statement};
use datafusion::sql::sqlparser::ast::{ObjectType, Statement as Sql};

use crate::parse::Parsed;
use crate::query::{Plan, QueryKind, RowsPlan, no_columns};
use crate::resolve::not_found;
use crate::session::Session;
use crate::{Error, Result};

pub(crate) use copy::{Reject, Rejects, one_byte};
pub(crate) use create_table::{TableDefinition, create_table};
pub(crate) use show::partition_text;

/// What running a planned statement does.
#[derive(Clone)]
pub(crate) enum Action {
    /// A physical plan gives the rows.
    Rows(Box<RowsPlan>),
    /// Our own code does it.
    Command(Arc<dyn Command>),
    /// Parameters are missing.
    Unbound,
}

/// A statement that isn't a physical plan. Each is planned as plain data.
#[async_trait(?Send)]
pub(crate) trait Command: Send + Sync {
    /// Does it, and gives batches of the schema that was planned. Dropping the future leaves
    /// either all of its effect or none.
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>>;
}

/// Plans a statement; `values` are those of its parameters.
pub(crate) async fn plan(
    session: &Session,
    parsed: &Parsed,
    values: Option<ParamValues>,
) -> Result<Plan> {
    let statement = match parsed {
        Parsed::Sql(statement) => statement.get(),
        Parsed::InsertOnce(statement, transaction) => {
            return rows::plan_once(session, statement.get(), transaction, values).await;
        }
        Parsed::ShowPartitions(name) => return show::partitions(session, name).await,
        Parsed::RefreshTable(name) => return refresh_table::plan(session, name).await,
        Parsed::AlterPartitions(alter) => return alter_partitions::plan(session, alter).await,
        Parsed::Crawler(statement) => return crawler::plan(session, statement).await,
        Parsed::CreateTable(create) => return create_table::plan(session, create.get()).await,
        Parsed::AlterTable(alter) => return alter_table::plan(session, alter).await,
        Parsed::Maintenance(statement) => return maintenance::plan(session, statement).await,
        Parsed::Copy(statement) => return copy::plan(session, statement),
        Parsed::Unload(statement) => return unload::plan(session, statement).await,
    };
    match statement {
        Statement::CreateExternalTable(create) => create_external_table::plan(session, create),
        Statement::Explain(explain) => explain::plan(session, explain).await,
        Statement::Reset(ResetStatement::Variable(name)) => set::plan_reset(session, name),
        Statement::CopyTo(_) => Err(Error::unsupported("COPY … TO").with_hint(
            "Write UNLOAD ('SELECT …') TO 'folder/' FORMAT PARQUET, or for one local file: \
             boathouse sql -c '…' --format parquet -o FILE",
        )),
        Statement::Statement(sql) => plan_sql(session, statement, sql, values).await,
    }
}

async fn plan_sql(
    session: &Session,
    statement: &Statement,
    sql: &Sql,
    values: Option<ParamValues>,
) -> Result<Plan> {
    match sql {
        sql if dml::is_dml(sql) => dml::plan(session, statement, values).await,
        Sql::Query(_) => rows::plan(session, statement, QueryKind::Rows, values).await,
        Sql::Insert(_) => insert::plan(session, statement, values).await,
        Sql::CreateDatabase { db_name, if_not_exists, .. } => {
            database::plan_create(session, db_name, *if_not_exists)
        }
        Sql::CreateSchema { schema_name, if_not_exists, .. } => {
            database::plan_create_schema(session, schema_name, *if_not_exists)
        }
        Sql::CreateTable(create) if create.external => {
            Err(Error::unsupported("CREATE EXTERNAL TABLE without STORED AS and LOCATION"))
        }
        Sql::CreateTable(_) => Err(Error::unsupported("TEMPORARY tables")
            .with_hint("Use a WITH clause, or a table that is dropped afterwards.")),
        Sql::CreateView(create) => view::plan_create(session, create).await,
        Sql::Drop { object_type, if_exists, names, cascade, .. } => match object_type {
            ObjectType::Schema | ObjectType::Database => {
                database::plan_drop(session, names, *if_exists, *cascade)
            }
            ObjectType::Table => drop_table::plan(session, names, *if_exists),
            ObjectType::View => view::plan_drop(session, names, *if_exists),
            other => Err(Error::unsupported(format!("DROP {other}"))),
        },
        Sql::ExplainTable { table_name, .. } => describe::plan(session, table_name).await,
        Sql::Use(target) => use_database::plan(session, target).await,
        Sql::Set(set) => set::plan(session, set),
        Sql::Reset(reset) => set::plan_reset_statement(session, reset),
        Sql::ShowDatabases { show_options, .. } => {
            show::databases(session, show_options, "database_name")
        }
        Sql::ShowSchemas { show_options, .. } => {
            show::databases(session, show_options, "schema_name")
        }
        Sql::ShowTables { show_options, .. } => show::tables(session, show_options).await,
        Sql::ShowViews { show_options, .. } => show::views(session, show_options).await,
        Sql::ShowColumns { show_options, .. } => show::columns(session, show_options).await,
        Sql::ShowCreate { obj_name, .. } => show::create_table(session, obj_name).await,
        Sql::ShowVariable { variable } => show::variable(session, variable),
        Sql::ShowFunctions { filter } => show::functions(session, filter.as_ref()),
        Sql::StartTransaction { .. } | Sql::Commit { .. } | Sql::Rollback { .. } => {
            Err(Error::unsupported("transactions of several statements")
                .with_hint("Each statement is a transaction of its own: send it alone."))
        }
        other => Err(Error::unsupported(format!("{} statements", kind_of(other)))
            .with_hint("README.md lists the statements there are.")),
    }
}

/// A table or view of the catalog, or the error with candidates.
async fn existing_table(session: &Session, name: &[String]) -> Result<Table> {
    let name = session.table_name(name)?;
    match session.catalog().table(&name).await {
        Ok(table) => Ok(table),
        Err(error) => Err(not_found(session, &name, error.into()).await),
    }
}

/// The first words of a statement that there is no support for.
fn kind_of(statement: &Sql) -> String {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    let second_is_keyword =
        words.get(1).is_some_and(|word| word.chars().all(|c| c.is_ascii_uppercase()));
    match words.as_slice() {
        [first, second] if second_is_keyword => format!("{first} {second}"),
        [first, ..] => (*first).to_owned(),
        [] => "such".to_owned(),
    }
}

/// A plan for a command that gives nothing back.
fn command(command: impl Command + 'static) -> Plan {
    Plan {
        kind: QueryKind::Command,
        schema: no_columns(),
        parameters: Vec::new(),
        action: Action::Command(Arc::new(command)),
    }
}

/// A plan for a command that gives rows of text.
fn listing(schema: SchemaRef, command: impl Command + 'static) -> Plan {
    Plan {
        kind: QueryKind::Rows,
        schema,
        parameters: Vec::new(),
        action: Action::Command(Arc::new(command)),
    }
}

/// A schema of text columns.
fn text_columns(names: &[&str]) -> SchemaRef {
    let fields: Vec<Field> =
        names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    Arc::new(Schema::new(fields))
}

/// Rows of text as one batch.
fn text_batch(schema: &SchemaRef, rows: Vec<Vec<Option<String>>>) -> Result<Vec<RecordBatch>> {
    let columns: Vec<ArrayRef> = (0..schema.fields().len())
        .map(|column| {
            let values = rows.iter().map(|row| row.get(column).and_then(Option::as_deref));
            Arc::new(values.collect::<StringArray>()) as ArrayRef
        })
        .collect();
    Ok(vec![RecordBatch::try_new(schema.clone(), columns)?])
}
