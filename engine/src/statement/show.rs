//! SHOW: databases, tables, columns, partitions, settings, functions, a table's DDL.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use boathouse_catalog::{PartitionFilter, Table, TableName, TableType};
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementOptions,
};

use super::database::database_name;
use super::table_ddl::create_statement;
use super::{Command, describe, listing, text_batch, text_columns};
use crate::parse::name_parts;
use crate::query::Plan;
use crate::resolve::not_found;
use crate::session::Session;
use crate::system::own_database;
use crate::{Error, Result};

struct Show {
    schema: SchemaRef,
    what: What,
    like: Option<Like>,
}

enum What {
    Databases,
    Tables { database: Option<String>, views_only: bool },
    Columns(Vec<String>),
    Partitions(TableName),
    CreateTable(TableName),
    Setting(String),
    Settings,
    Functions,
}

/// A pattern on the listed name.
#[derive(Clone, Debug)]
struct Like {
    pattern: String,
    ignore_case: bool,
}

impl Like {
    fn of(options: &ShowStatementOptions) -> Result<Option<Self>> {
        match &options.filter_position {
            None => Ok(None),
            Some(
                ShowStatementFilterPosition::Infix(filter)
                | ShowStatementFilterPosition::Suffix(filter),
            ) => Self::from_filter(filter).map(Some),
        }
    }

    fn from_filter(filter: &ShowStatementFilter) -> Result<Self> {
        match filter {
            ShowStatementFilter::Like(pattern) | ShowStatementFilter::NoKeyword(pattern) => {
                Ok(Self { pattern: pattern.clone(), ignore_case: false })
            }
            ShowStatementFilter::ILike(pattern) => {
                Ok(Self { pattern: pattern.clone(), ignore_case: true })
            }
            ShowStatementFilter::Where(_) => {
                Err(Error::unsupported("WHERE in SHOW")
                    .with_hint("Query information_schema instead."))
            }
        }
    }

    fn matches(&self, name: &str) -> bool {
        let fold = |text: &str| match self.ignore_case {
            true => text.to_lowercase(),
            false => text.to_owned(),
        };
        let name: Vec<char> = fold(name).chars().collect();
        let pattern: Vec<char> = fold(&self.pattern).chars().collect();
        like(&name, &pattern)
    }
}

/// SQL's LIKE: `%` is any text, `_` any character, `\` quotes the next.
fn like(name: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['%', rest @ ..] => (0..=name.len()).any(|skip| like(&name[skip..], rest)),
        ['\\', quoted, rest @ ..] => name.first() == Some(quoted) && like(&name[1..], rest),
        ['_', rest @ ..] => !name.is_empty() && like(&name[1..], rest),
        [c, rest @ ..] => name.first() == Some(c) && like(&name[1..], rest),
    }
}

fn show(names: &[&str], what: What, like: Option<Like>) -> Plan {
    let schema = text_columns(names);
    listing(schema.clone(), Show { schema, what, like })
}

fn database_of(options: &ShowStatementOptions) -> Result<Option<String>> {
    let name = options.show_in.as_ref().and_then(|show_in| show_in.parent_name.as_ref());
    name.map(database_name).transpose()
}

pub(super) fn databases(_: &Session, options: &ShowStatementOptions, column: &str) -> Result<Plan> {
    Ok(show(&[column], What::Databases, Like::of(options)?))
}

pub(super) async fn tables(session: &Session, options: &ShowStatementOptions) -> Result<Plan> {
    let database = checked_database(session, options).await?;
    let what = What::Tables { database: Some(database), views_only: false };
    Ok(show(&["database_name", "table_name", "table_type"], what, Like::of(options)?))
}

pub(super) async fn views(session: &Session, options: &ShowStatementOptions) -> Result<Plan> {
    let database = checked_database(session, options).await?;
    let what = What::Tables { database: Some(database), views_only: true };
    Ok(show(&["database_name", "table_name", "table_type"], what, Like::of(options)?))
}

async fn checked_database(session: &Session, options: &ShowStatementOptions) -> Result<String> {
    match database_of(options)? {
        Some(name) if own_database(&name).is_some() => Ok(name.to_lowercase()),
        Some(name) => session.find_database(&name).await.map_err(|error| error.with_word(&name)),
        None => Ok(session.database()),
    }
}

pub(super) async fn columns(session: &Session, options: &ShowStatementOptions) -> Result<Plan> {
    let table = options.show_in.as_ref().and_then(|show_in| show_in.parent_name.clone());
    let Some(table) = table else {
        return Err(Error::invalid("SHOW COLUMNS needs a table")
            .with_hint("Write SHOW COLUMNS FROM table."));
    };
    // Wrong names are found now rather than when it runs.
    let table = name_parts(&table);
    describe::describe(session, &table).await?;
    let names = ["column_name", "data_type", "is_nullable", "comment"];
    Ok(show(&names, What::Columns(table), Like::of(options)?))
}

/// A table of the catalog, or the error with candidates.
async fn table(session: &Session, name: &[String]) -> Result<Table> {
    let name = session.table_name(name)?;
    match session.catalog().table(&name).await {
        Ok(table) => Ok(table),
        Err(error) => Err(not_found(session, &name, error.into()).await),
    }
}

pub(super) async fn partitions(session: &Session, name: &[String]) -> Result<Plan> {
    let table = table(session, name).await?;
    if table.spec.partition_keys.is_empty() {
        return Err(Error::invalid(format!("table \"{}\" is not partitioned", table.name)));
    }
    Ok(show(&["partition", "files", "rows", "bytes"], What::Partitions(table.name), None))
}

pub(super) async fn create_table(session: &Session, name: &ObjectName) -> Result<Plan> {
    let table = table(session, &name_parts(name)).await?;
    Ok(show(&["table_name", "create_statement"], What::CreateTable(table.name), None))
}

pub(super) fn functions(_: &Session, filter: Option<&ShowStatementFilter>) -> Result<Plan> {
    let like = filter.map(Like::from_filter).transpose()?;
    Ok(show(&["function_name", "kind"], What::Functions, like))
}

pub(super) fn variable(session: &Session, variable: &[Ident]) -> Result<Plan> {
    let words: Vec<String> = variable.iter().map(|ident| ident.value.to_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["all"] => Ok(show(&["name", "setting", "description"], What::Settings, None)),
        ["time", "zone"] => setting(session, "time_zone"),
        ["current_schema" | "current_database"] => Err(Error::unsupported("SHOW of this")
            .with_hint("SELECT current_database() tells the current one.")),
        [] => Err(Error::invalid("SHOW needs a name").with_hint("SHOW ALL lists the settings.")),
        words => setting(session, &words.join(".")),
    }
}

fn setting(session: &Session, name: &str) -> Result<Plan> {
    let name = session.setting_name(name).map_err(|error| error.with_word(name))?;
    Ok(show(&["name", "setting"], What::Setting(name), None))
}

#[async_trait(?Send)]
impl Command for Show {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let (rows, name_column) = match &self.what {
            What::Databases => (databases_rows(session).await?, 0),
            What::Tables { database, views_only } => {
                (tables_rows(session, database.as_deref(), *views_only).await?, 1)
            }
            What::Columns(name) => (describe::describe(session, name).await?, 0),
            What::Partitions(name) => (partition_rows(session, name).await?, 0),
            What::CreateTable(name) => {
                let table = session.catalog().table(name).await?;
                let ddl = create_statement(session, &table).await?;
                (vec![vec![Some(name.to_string()), Some(ddl)]], 0)
            }
            What::Setting(name) => (settings_rows(session, Some(name)), 0),
            What::Settings => (settings_rows(session, None), 0),
            What::Functions => (function_rows(session), 0),
        };
        let kept = rows.into_iter().filter(|row| match &self.like {
            Some(like) => row
                .get(name_column)
                .is_some_and(|name| name.as_deref().is_some_and(|name| like.matches(name))),
            None => true,
        });
        text_batch(&self.schema, kept.collect())
    }
}

type TextRows = Vec<Vec<Option<String>>>;

async fn databases_rows(session: &Session) -> Result<TextRows> {
    Ok(session.databases().await?.into_iter().map(|name| vec![Some(name)]).collect())
}

async fn tables_rows(
    session: &Session,
    database: Option<&str>,
    views_only: bool,
) -> Result<TextRows> {
    if let Some(own) = database.and_then(own_database) {
        let tables = crate::resolve::own_tables(false).await?;
        return Ok(tables
            .into_iter()
            .filter(|t| t.database == own)
            .map(|t| vec![Some(t.database), Some(t.name), Some(t.kind.as_str().to_owned())])
            .collect());
    }
    let tables = session.catalog().table_summaries(database).await?;
    let wanted = tables.into_iter().filter(|t| !views_only || t.table_type == TableType::View);
    Ok(wanted
        .map(|table| {
            vec![
                Some(table.name.database().to_owned()),
                Some(table.name.table().to_owned()),
                Some(type_word(table.table_type).to_owned()),
            ]
        })
        .collect())
}

fn type_word(table_type: TableType) -> &'static str {
    match table_type {
        TableType::External => "EXTERNAL TABLE",
        TableType::Managed => "TABLE",
        TableType::View => "VIEW",
    }
}

async fn partition_rows(session: &Session, name: &TableName) -> Result<TextRows> {
    let table = session.catalog().table(name).await?;
    if crate::scan::format_of(&table.spec) == Some(boathouse_catalog::Format::Delta) {
        return crate::scan::delta_partitions(session, &table).await;
    }
    let partitions = session.catalog().partitions(&table, &PartitionFilter::default()).await?;
    let keys: Vec<&str> = table.spec.partition_keys.iter().map(|key| key.name.as_str()).collect();
    Ok(partitions
        .into_iter()
        .map(|partition| {
            // Of files that aren't listed nothing is known, not even how many there are.
            let shown = Some(partition_text(&keys, &partition.values));
            let Some(files) = partition.files else { return vec![shown, None, None, None] };
            let rows: Option<u64> =
                files.iter().map(|file| file.statistics.as_ref().map(|s| s.rows)).sum();
            let bytes: u64 = files.iter().map(|file| file.size_bytes).sum();
            vec![
                shown,
                Some(files.len().to_string()),
                rows.map(|rows| rows.to_string()),
                Some(bytes.to_string()),
            ]
        })
        .collect())
}

/// `key=value/key=value`, as Hive names folders.
pub(crate) fn partition_text(keys: &[&str], values: &[Option<String>]) -> String {
    let parts: Vec<String> = keys
        .iter()
        .zip(values)
        .map(|(key, value)| {
            format!("{key}={}", value.as_deref().unwrap_or("__HIVE_DEFAULT_PARTITION__"))
        })
        .collect();
    parts.join("/")
}

fn settings_rows(session: &Session, only: Option<&str>) -> TextRows {
    let settings = session.settings().into_iter();
    settings
        .filter(|setting| only.is_none_or(|name| setting.name == name))
        .map(|setting| vec![Some(setting.name), Some(setting.value), Some(setting.description)])
        .collect()
}

fn function_rows(session: &Session) -> TextRows {
    let state = session.query_state();
    let mut rows: TextRows = Vec::new();
    let mut add = |names: Vec<String>, kind: &str| {
        rows.extend(names.into_iter().map(|name| vec![Some(name), Some(kind.to_owned())]));
    };
    add(state.scalar_functions().keys().cloned().collect(), "SCALAR");
    add(state.aggregate_functions().keys().cloned().collect(), "AGGREGATE");
    add(state.window_functions().keys().cloned().collect(), "WINDOW");
    add(state.table_functions().keys().cloned().collect(), "TABLE");
    rows.sort();
    rows
}
