//! CREATE VIEW and DROP VIEW.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use boathouse_catalog::{
    Column, Error as CatalogError, TableName, TableSpec, TableType, Update, View,
};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{CreateView, ObjectName, Statement as Sql};

use super::{Action, Command, command, rows};
use crate::parse::{as_written, name_parts};
use crate::query::{Plan, QueryKind};
use crate::session::Session;
use crate::types::type_string;
use crate::{Error, Result};

struct Create {
    name: TableName,
    spec: TableSpec,
    or_replace: bool,
    if_not_exists: bool,
}

struct Drop {
    names: Vec<TableName>,
    if_exists: bool,
}

pub(super) async fn plan_create(session: &Session, create: &CreateView) -> Result<Plan> {
    if create.materialized {
        return Err(Error::unsupported("materialized views")
            .with_hint("Use CREATE TABLE … AS SELECT, or a plain view."));
    }
    if create.temporary {
        return Err(Error::unsupported("temporary views").with_hint("Leave out TEMPORARY."));
    }
    let name = session.table_name(&name_parts(&create.name))?;
    let sql = view_sql(create);
    // Planning it finds wrong names now, and tells its columns.
    let query = Statement::Statement(Box::new(Sql::Query(create.query.clone())));
    let planned = rows::plan(session, &query, QueryKind::Rows, None).await?;
    let Action::Rows(rows) = &planned.action else {
        return Err(Error::invalid("a view can't have parameters"));
    };
    if rows.sources.has_view(&name) {
        return Err(Error::invalid(format!("view \"{name}\" would refer to itself"))
            .with_hint("Choose another name, or replace the views that it reads first."));
    }
    let mut columns = planned
        .schema
        .fields()
        .iter()
        .map(|field| {
            Ok(Column {
                name: field.name().clone(),
                data_type: type_string(field.data_type())?,
                nullable: field.is_nullable(),
                comment: None,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    if !create.columns.is_empty() {
        if create.columns.len() != columns.len() {
            return Err(Error::invalid(format!(
                "view \"{name}\" names {} columns, and its query has {}",
                create.columns.len(),
                columns.len()
            )));
        }
        for (column, named) in columns.iter_mut().zip(&create.columns) {
            column.name = crate::parse::fold(&named.name);
        }
    }
    let spec = TableSpec {
        table_type: TableType::View,
        format: None,
        location: None,
        columns,
        partition_keys: Vec::new(),
        comment: create.comment.clone(),
        parameters: Default::default(),
        view: Some(View { sql, database: session.database() }),
        details: Default::default(),
    };
    let (or_replace, if_not_exists) = (create.or_replace, create.if_not_exists);
    Ok(command(Create { name, spec, or_replace, if_not_exists }))
}

/// The query, with the view's own column names around it where it has them.
fn view_sql(create: &CreateView) -> String {
    let query = as_written(&create.query);
    if create.columns.is_empty() {
        return query.to_string();
    }
    let names: Vec<String> = create.columns.iter().map(|column| column.name.to_string()).collect();
    format!("SELECT * FROM ({query}) AS v ({})", names.join(", "))
}

pub(super) fn plan_drop(session: &Session, names: &[ObjectName], if_exists: bool) -> Result<Plan> {
    let names = names
        .iter()
        .map(|name| session.table_name(&name_parts(name)))
        .collect::<Result<Vec<_>>>()?;
    Ok(command(Drop { names, if_exists }))
}

#[async_trait(?Send)]
impl Command for Create {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let catalog = session.catalog();
        let made = catalog.create_table(&self.name, self.spec.clone(), Vec::new()).await;
        match made {
            Ok(_) => return Ok(Vec::new()),
            Err(CatalogError::AlreadyExists { .. }) if self.if_not_exists => return Ok(Vec::new()),
            Err(CatalogError::AlreadyExists { .. }) if self.or_replace => {}
            Err(error) => return Err(error.into()),
        }
        loop {
            let current = catalog.table(&self.name).await?;
            if current.spec.table_type != TableType::View {
                return Err(Error::new(
                    crate::ErrorKind::AlreadyExists,
                    format!("\"{}\" is a table, not a view", self.name),
                )
                .with_hint("Choose another name, or drop the table first."));
            }
            if let Update::Done(_) = catalog.update_table(&current, self.spec.clone()).await? {
                return Ok(Vec::new());
            }
        }
    }
}

#[async_trait(?Send)]
impl Command for Drop {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        for name in &self.names {
            match session.catalog().table(name).await {
                Ok(table) if table.spec.table_type != TableType::View => {
                    return Err(Error::invalid(format!("\"{name}\" is a table"))
                        .with_hint(format!("Use DROP TABLE {name}.")));
                }
                Ok(_) => {
                    session.catalog().drop_table(name).await?;
                }
                Err(CatalogError::NotFound { .. }) if self.if_exists => {}
                Err(CatalogError::NotFound { .. }) => {
                    return Err(Error::new(
                        crate::ErrorKind::NotFound,
                        format!("view \"{name}\" does not exist"),
                    )
                    .with_hint("SHOW VIEWS lists them."));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Vec::new())
    }
}
