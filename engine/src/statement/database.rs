//! CREATE and DROP DATABASE (or SCHEMA).

use arrow::array::RecordBatch;
use async_trait::async_trait;
use boathouse_catalog::{Database, Error as CatalogError};
use datafusion::sql::sqlparser::ast::{ObjectName, SchemaName};

use super::drop_table::remove_data;
use super::{Command, command};
use crate::parse::{fold, name_parts};
use crate::query::Plan;
use crate::session::{Session, no_such_catalog};
use crate::settings::CATALOG;
use crate::system::own_database;
use crate::{Error, Result};

struct Create {
    name: String,
    if_not_exists: bool,
}

struct Drop {
    names: Vec<String>,
    if_exists: bool,
    cascade: bool,
}

/// `database` or `boathouse.database`.
pub(super) fn database_name(name: &ObjectName) -> Result<String> {
    let parts = name_parts(name);
    match parts.as_slice() {
        [database] => Ok(database.clone()),
        [catalog, database] if catalog.eq_ignore_ascii_case(CATALOG) => Ok(database.clone()),
        [catalog, _] => Err(no_such_catalog(catalog)),
        _ => Err(Error::invalid(format!("\"{name}\" is no database name"))),
    }
}

pub(super) fn plan_create(_: &Session, name: &ObjectName, if_not_exists: bool) -> Result<Plan> {
    let name = database_name(name)?;
    if let Some(own) = own_database(&name) {
        return Err(Error::invalid(format!("\"{own}\" is a database already")));
    }
    Ok(command(Create { name, if_not_exists }))
}

pub(super) fn plan_create_schema(
    session: &Session,
    name: &SchemaName,
    if_not_exists: bool,
) -> Result<Plan> {
    match name {
        SchemaName::Simple(name) | SchemaName::NamedAuthorization(name, _) => {
            plan_create(session, name, if_not_exists)
        }
        SchemaName::UnnamedAuthorization(user) => {
            Ok(command(Create { name: fold(user), if_not_exists }))
        }
    }
}

pub(super) fn plan_drop(
    _: &Session,
    names: &[ObjectName],
    if_exists: bool,
    cascade: bool,
) -> Result<Plan> {
    let names = names.iter().map(database_name).collect::<Result<Vec<_>>>()?;
    Ok(command(Drop { names, if_exists, cascade }))
}

#[async_trait(?Send)]
impl Command for Create {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let database = Database {
            name: self.name.clone(),
            comment: None,
            location: None,
            parameters: Default::default(),
            created_at_ms: 0,
        };
        match session.catalog().create_database(database).await {
            Ok(_) => Ok(Vec::new()),
            Err(CatalogError::AlreadyExists { .. }) if self.if_not_exists => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait(?Send)]
impl Command for Drop {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        for name in &self.names {
            match session.catalog().drop_database(name, self.cascade).await {
                Ok(tables) => {
                    for table in tables {
                        remove_data(session, &table).await;
                    }
                    if session.database() == name.to_lowercase() {
                        session.use_database("default").await?;
                    }
                }
                Err(CatalogError::NotFound { .. }) if self.if_exists => {}
                Err(CatalogError::NotFound { .. }) => {
                    session.find_database(name).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Vec::new())
    }
}
