//! USE.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::sql::sqlparser::ast::Use;

use super::database::database_name;
use super::{Command, command};
use crate::query::Plan;
use crate::session::Session;
use crate::settings::CATALOG;
use crate::system::own_database;
use crate::{Error, Result};

struct UseDatabase {
    name: String,
}

pub(super) async fn plan(session: &Session, target: &Use) -> Result<Plan> {
    let name = match target {
        Use::Object(name) | Use::Database(name) | Use::Schema(name) => database_name(name)?,
        Use::Catalog(name) if database_name(name)?.eq_ignore_ascii_case(CATALOG) => {
            session.database()
        }
        Use::Default => "default".to_owned(),
        other => return Err(Error::unsupported(format!("\"{other}\""))),
    };
    if own_database(&name).is_none() {
        session.find_database(&name).await.map_err(|error| error.with_word(&name))?;
    }
    Ok(command(UseDatabase { name }))
}

#[async_trait(?Send)]
impl Command for UseDatabase {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        session.use_database(&self.name).await?;
        Ok(Vec::new())
    }
}
