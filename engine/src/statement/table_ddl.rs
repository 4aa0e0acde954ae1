//! DDL that makes a table again: what SHOW CREATE TABLE gives.

use std::sync::Arc;

use boathouse_catalog::{Column, Format, Table, TableType};

use crate::Result;
use crate::definition::{ColumnRules, Definition, comment_of};
use crate::scan::{DeltaSnapshot, format_of};
use crate::session::Session;
use crate::settings::CATALOG;
use crate::types::type_string;

/// The statement that makes the table again.
pub(super) async fn create_statement(session: &Session, table: &Table) -> Result<String> {
    let spec = &table.spec;
    let is_lake = spec.table_type == TableType::Managed && format_of(spec) == Some(Format::Delta);
    if !is_lake {
        return Ok(from_record(table));
    }
    let snapshot = super::alter_table::snapshot(session, table).await?;
    let definition = Definition::of(session.engine.shared(), &snapshot).await?;
    from_definition(table, &definition, &snapshot)
}

fn from_definition(
    table: &Table,
    definition: &Definition,
    snapshot: &Arc<DeltaSnapshot>,
) -> Result<String> {
    let mut lines = Vec::new();
    for (column, field) in definition.columns.iter().zip(snapshot.schema.fields()) {
        let mut line = format!("{} {}", quoted(&column.name), type_string(field.data_type())?);
        if !column.nullable {
            line.push_str(" NOT NULL");
        }
        line.push_str(&rules_ddl(&ColumnRules::of(column)?));
        if let Some(comment) = comment_of(column) {
            line.push_str(&format!(" COMMENT {}", text(&comment)));
        }
        lines.push(line);
    }
    for check in definition.checks() {
        lines.push(format!("CONSTRAINT {} CHECK ({})", quoted(&check.name), check.sql));
    }
    for key in definition.informational() {
        lines.push(format!("CONSTRAINT {} {}", quoted(&key.name), key.sql));
    }
    let mut ddl = format!("CREATE TABLE {CATALOG}.{} (\n  {}\n)", table.name, lines.join(",\n  "));
    ddl.push_str(&names_clause("PARTITIONED BY", &definition.keys));
    ddl.push_str(&names_clause("CLUSTER BY", &definition.clustering));
    if let Some(comment) = &definition.comment {
        ddl.push_str(&format!("\nCOMMENT {}", text(comment)));
    }
    let properties: Vec<String> = definition
        .plain_properties()
        .filter(|(key, _)| *key != "delta.columnMapping.maxColumnId")
        .map(|(key, value)| format!("{} = {}", text(key), text(value)))
        .collect();
    if !properties.is_empty() {
        ddl.push_str(&format!("\nTBLPROPERTIES ({})", properties.join(", ")));
    }
    Ok(ddl)
}

fn names_clause(clause: &str, names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    if names.is_empty() { String::new() } else { format!("\n{clause} ({})", names.join(", ")) }
}

fn rules_ddl(rules: &ColumnRules) -> String {
    let mut ddl = String::new();
    if let Some(sql) = &rules.default {
        ddl.push_str(&format!(" DEFAULT {sql}"));
    }
    if let Some(sql) = &rules.generated {
        ddl.push_str(&format!(" GENERATED ALWAYS AS ({sql})"));
    }
    if let Some(identity) = &rules.identity {
        let kind = if identity.allow_explicit { "BY DEFAULT" } else { "ALWAYS" };
        ddl.push_str(&format!(
            " GENERATED {kind} AS IDENTITY (START WITH {} INCREMENT BY {})",
            identity.start, identity.step
        ));
    }
    ddl
}

/// As the catalog's record alone has it.
fn from_record(table: &Table) -> String {
    let name = format!("{CATALOG}.{}", table.name);
    let spec = &table.spec;
    if let Some(view) = &spec.view {
        return format!("CREATE VIEW {name} AS {}", view.sql);
    }
    let columns: Vec<String> =
        spec.columns.iter().chain(&spec.partition_keys).map(column_ddl).collect();
    let keys: Vec<String> = spec.partition_keys.iter().map(|key| key.name.clone()).collect();
    let external = spec.table_type == TableType::External;
    let mut ddl = format!("CREATE {}TABLE {name}", if external { "EXTERNAL " } else { "" });
    let format = spec.format.map_or("delta", Format::as_str);
    // A Delta table has its columns and keys in its log.
    let listed = !(external && format == "delta");
    if listed {
        ddl.push_str(&format!(" (\n  {}\n)", columns.join(",\n  ")));
    }
    if external {
        ddl.push_str(&format!("\nSTORED AS {}", format.to_uppercase()));
    }
    if listed {
        ddl.push_str(&names_clause("PARTITIONED BY", &keys));
    }
    if external {
        ddl.push_str(&external_clauses(table));
    }
    if let Some(comment) = &spec.comment {
        ddl.push_str(&format!("\nCOMMENT {}", text(comment)));
    }
    ddl
}

fn external_clauses(table: &Table) -> String {
    let options: Vec<String> = table
        .spec
        .parameters
        .iter()
        .map(|(key, value)| format!("'{key}' {}", text(value)))
        .collect();
    let options = match options.is_empty() {
        true => String::new(),
        false => format!("\nOPTIONS ({})", options.join(", ")),
    };
    let location = table.spec.location.as_deref().unwrap_or_default();
    format!("{options}\nLOCATION {}", text(location))
}

fn column_ddl(column: &Column) -> String {
    let mut ddl = format!("{} {}", quoted(&column.name), column.data_type.to_uppercase());
    if !column.nullable {
        ddl.push_str(" NOT NULL");
    }
    if let Some(comment) = &column.comment {
        ddl.push_str(&format!(" COMMENT {}", text(comment)));
    }
    ddl
}

/// A name as SQL needs it.
pub(super) fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_reserved(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Names that begin something else in a list of columns.
fn is_reserved(name: &str) -> bool {
    matches!(name, "check" | "constraint" | "foreign" | "like" | "primary" | "unique")
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
