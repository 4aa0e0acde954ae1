//! What DDL declares of columns and constraints, as a table's definition has it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, ColumnOption, ColumnOptionDef, DataType as SqlType, Ident, TimezoneInfo,
};
use deltalake::kernel::StructField;

use super::create_table::column_schema;
use crate::definition::{Check, ColumnRules, Constraint, Definition, Identity, Informational};
use crate::parse::{ColumnDefinition, ColumnType, ConstraintKind, CreateTable, TableConstraint};
use crate::rules::{Use, check_expression};
use crate::session::Session;
use crate::types::arrow_type;
use crate::write::{delta_columns, delta_schema};
use crate::{Error, Result};

/// Columns that were declared.
pub(super) struct DeclaredColumns {
    pub(super) schema: SchemaRef,
    pub(super) columns: Vec<StructField>,
}

impl DeclaredColumns {
    pub(super) async fn of(session: &Session, declared: &[ColumnDefinition]) -> Result<Self> {
        let mut fields = Vec::with_capacity(declared.len());
        for column in declared {
            fields.push(field(session, column).await?);
        }
        let schema = delta_schema(&Schema::new(fields))?;
        let mut columns = delta_columns(&schema)?;
        for (column, declared) in columns.iter_mut().zip(declared) {
            rules(declared).write(column);
        }
        Ok(Self { schema, columns })
    }
}

async fn field(session: &Session, column: &ColumnDefinition) -> Result<Field> {
    let sources = [column.default.is_some(), column.generated.is_some(), column.identity.is_some()];
    if sources.iter().filter(|source| **source).count() > 1 {
        return Err(Error::invalid(format!(
            "column \"{}\" can have one of DEFAULT, GENERATED AS and IDENTITY",
            column.name
        ))
        .with_word(&column.name));
    }
    let is_key = column.constraints.iter().any(|c| matches!(c.kind, ConstraintKind::PrimaryKey(_)));
    let mut data_type = arrow_type_of(session, &column.data_type).await?;
    if column.identity.is_some() {
        data_type = identity_type(column, &data_type)?;
    }
    let comment = column.comment.clone().map(|text| ("comment".to_owned(), text));
    let metadata: HashMap<String, String> = comment.into_iter().collect();
    let nullable = !column.not_null && !is_key;
    Ok(Field::new(&column.name, data_type, nullable).with_metadata(metadata))
}

/// Delta keeps identity columns as BIGINT.
fn identity_type(column: &ColumnDefinition, data_type: &DataType) -> Result<DataType> {
    match data_type {
        DataType::Int64 | DataType::Int32 | DataType::Int16 => Ok(DataType::Int64),
        _ => Err(Error::invalid(format!("identity column \"{}\" is no integer", column.name))
            .with_hint("Declare it as BIGINT.")),
    }
}

/// The Arrow type of a declared one.
pub(super) async fn arrow_type_of(session: &Session, data_type: &ColumnType) -> Result<DataType> {
    let sql = match data_type {
        ColumnType::Text(text) => return arrow_type(text),
        // Delta keeps times of a zone in UTC, whatever the session's zone is.
        ColumnType::Sql(SqlType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz)) => {
            return Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        }
        ColumnType::Sql(SqlType::TimestampNtz(_)) => {
            return Ok(DataType::Timestamp(TimeUnit::Microsecond, None));
        }
        ColumnType::Sql(sql) => sql,
    };
    let column = ColumnDef {
        name: Ident::new("c"),
        data_type: with_length(sql),
        options: vec![ColumnOptionDef { name: None, option: ColumnOption::Null }],
    };
    let schema = column_schema(&session.query_state(), &[column]).await?;
    Ok(schema.field(0).data_type().clone())
}

/// `VARCHAR(MAX)` is Redshift's longest text.
fn with_length(sql: &SqlType) -> SqlType {
    use datafusion::sql::sqlparser::ast::CharacterLength;
    match sql {
        SqlType::Varchar(Some(CharacterLength::Max)) => SqlType::Varchar(None),
        other => other.clone(),
    }
}

fn rules(column: &ColumnDefinition) -> ColumnRules {
    let identity = column.identity.map(|identity| Identity {
        start: identity.start,
        step: identity.step,
        allow_explicit: identity.allow_explicit,
        mark: None,
    });
    ColumnRules { default: column.default.clone(), generated: column.generated.clone(), identity }
}

/// The constraints of CREATE TABLE, each with a name.
pub(super) fn constraints(
    definition: &Definition,
    create: &CreateTable,
    table: &str,
) -> Result<Vec<Constraint>> {
    let mut named = definition.clone();
    let mut found = Vec::new();
    let of_columns = create.columns.iter().flat_map(|column| {
        column.constraints.iter().map(|constraint| (constraint, Some(column.name.as_str())))
    });
    let of_table = create.constraints.iter().map(|constraint| (constraint, None));
    for (declared, column) in of_columns.chain(of_table) {
        let constraint = constraint(&named, declared, table, column)?;
        named.add_constraint(&constraint)?;
        found.push(constraint);
    }
    Ok(found)
}

/// A constraint with its name, or with one that tells what it is for.
pub(super) fn constraint(
    definition: &Definition,
    declared: &TableConstraint,
    table: &str,
    column: Option<&str>,
) -> Result<Constraint> {
    let list = |names: &[String]| -> Result<String> {
        let names = names
            .iter()
            .map(|name| Ok(super::table_ddl::quoted(&definition.column(name)?.name)))
            .collect::<Result<Vec<String>>>()?;
        Ok(names.join(", "))
    };
    let (kind, sql) = match &declared.kind {
        ConstraintKind::Check(sql) => ("check", sql.clone()),
        ConstraintKind::PrimaryKey(names) => ("pkey", format!("PRIMARY KEY ({})", list(names)?)),
        ConstraintKind::Unique(names) => ("key", format!("UNIQUE ({})", list(names)?)),
        ConstraintKind::ForeignKey { columns, table, referred } => {
            ("fkey", foreign_key(&list(columns)?, table, referred))
        }
    };
    let base = match column.filter(|_| kind != "pkey") {
        Some(column) => format!("{table}_{column}_{kind}"),
        None => format!("{table}_{kind}"),
    };
    let name = match &declared.name {
        Some(name) => name.clone(),
        None => definition.free_constraint_name(&base.to_lowercase()),
    };
    Ok(match kind {
        "check" => Constraint::Check(Check { name, sql }),
        _ => Constraint::Informational(Informational { name, sql }),
    })
}

fn foreign_key(columns: &str, table: &[String], referred: &[String]) -> String {
    let quoted = |names: &[String], between: &str| {
        let names: Vec<String> = names.iter().map(|name| super::table_ddl::quoted(name)).collect();
        names.join(between)
    };
    let referred = match referred.is_empty() {
        true => String::new(),
        false => format!(" ({})", quoted(referred, ", ")),
    };
    format!("FOREIGN KEY ({columns}) REFERENCES {}{referred}", quoted(table, "."))
}

/// Whether all expressions of the definition can be evaluated, and make sense together.
pub(super) fn check(session: &Session, definition: &Definition, schema: &SchemaRef) -> Result<()> {
    let mut base = Vec::new();
    for (column, field) in definition.columns.iter().zip(schema.fields()) {
        let rules = ColumnRules::of(column)?;
        if rules.generated.is_none() {
            base.push(field.clone());
        }
        if definition.keys.contains(&column.name) && rules.identity.is_some() {
            return Err(Error::invalid(format!(
                "identity column \"{}\" can't be a partition key",
                column.name
            ))
            .with_hint("Each row would be a partition of its own."));
        }
    }
    // A generated column is computed from others, which are not computed themselves.
    let base = DFSchema::try_from(Schema::new(base))?;
    let all = DFSchema::try_from(schema.as_ref().clone())?;
    let state = &session.engine.shared().base_state;
    for (column, field) in definition.columns.iter().zip(schema.fields()) {
        let rules = ColumnRules::of(column)?;
        let about = |error: Error| error.about(format!("column \"{}\"", column.name));
        if let Some(sql) = &rules.default {
            check_expression(state, Use::Default, sql, &all, field.data_type()).map_err(about)?;
        }
        if let Some(sql) = &rules.generated {
            check_expression(state, Use::Generated, sql, &base, field.data_type())
                .map_err(about)?;
        }
    }
    for constraint in definition.checks() {
        check_expression(state, Use::Check, &constraint.sql, &all, &DataType::Boolean)
            .map_err(|error| error.about(format!("constraint \"{}\"", constraint.name)))?;
    }
    Ok(())
}

/// The schema of a definition's columns.
pub(super) fn arrow_schema(definition: &Definition) -> Result<SchemaRef> {
    use deltalake::kernel::StructType;
    use deltalake::kernel::engine::arrow_conversion::TryIntoArrow as _;
    let columns = StructType::try_new(definition.columns.iter().cloned())
        .map_err(|error| Error::invalid(error.to_string()))?;
    let schema: Schema = (&columns).try_into_arrow()?;
    let fields = schema.fields().iter().map(|field| {
        let comment = field.metadata().get("comment").cloned();
        let metadata = comment.map(|text| ("comment".to_owned(), text)).into_iter().collect();
        field.as_ref().clone().with_metadata(metadata)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}
