//! DESCRIBE: the columns of a table.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::sql::sqlparser::ast::ObjectName;

use super::{Command, listing, rows, text_batch, text_columns};
use crate::parse::{Parsed, name_parts, parse};
use crate::query::{Plan, QueryKind};
use crate::session::Session;
use crate::types::type_string;
use crate::{Error, Result};

struct Describe {
    schema: SchemaRef,
    rows: Vec<Vec<Option<String>>>,
}

pub(super) fn columns() -> SchemaRef {
    text_columns(&["column_name", "data_type", "is_nullable", "comment"])
}

pub(super) async fn plan(session: &Session, name: &ObjectName) -> Result<Plan> {
    let rows = describe(session, &name_parts(name)).await?;
    let schema = columns();
    Ok(listing(schema.clone(), Describe { schema, rows }))
}

/// The columns of a table, a view or a file, as a query would see them.
pub(super) async fn describe(
    session: &Session,
    name: &[String],
) -> Result<Vec<Vec<Option<String>>>> {
    let parts: Vec<String> =
        name.iter().map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    let Parsed::Sql(statement) = parse(&format!("SELECT * FROM {}", parts.join(".")))? else {
        return Err(Error::internal("SELECT is a statement"));
    };
    let planned = rows::plan(session, statement.get(), QueryKind::Rows, None).await?;
    let comments = catalog_comments(session, name).await;
    planned
        .schema
        .fields()
        .iter()
        .map(|field| {
            let comment = comments
                .iter()
                .find(|(name, _)| name == field.name())
                .map(|(_, text)| text.clone())
                .or_else(|| field.metadata().get("comment").cloned());
            Ok(vec![
                Some(field.name().clone()),
                Some(type_string(field.data_type())?),
                Some(if field.is_nullable() { "YES" } else { "NO" }.to_owned()),
                comment,
            ])
        })
        .collect()
}

async fn catalog_comments(session: &Session, name: &[String]) -> Vec<(String, String)> {
    let Ok(name) = session.table_name(name) else { return Vec::new() };
    let Ok(table) = session.catalog().table(&name).await else { return Vec::new() };
    let columns = table.spec.columns.into_iter().chain(table.spec.partition_keys);
    columns.filter_map(|column| Some((column.name, column.comment?))).collect()
}

#[async_trait(?Send)]
impl Command for Describe {
    async fn run(&self, _: &Session) -> Result<Vec<RecordBatch>> {
        text_batch(&self.schema, self.rows.clone())
    }
}
