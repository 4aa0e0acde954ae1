//! Bulk loads: record batches straight into a table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use boathouse_engine as engine;
use boathouse_engine::{AppTransaction, CATALOG, IfExists, IfMissing, IngestTarget};
use futures::{StreamExt, stream};
use tonic::Status;

use super::no_transaction;
use crate::plain::{conform, plain_schema};
use crate::session::Session;
use crate::status::{status, upload_error};
use crate::upload::Upload;

/// Loads what the client sends, in one commit. The number of rows comes back.
pub(super) async fn ingest(
    session: &Session,
    command: CommandStatementIngest,
    upload: Upload,
) -> Result<i64, Status> {
    let target = target(command)?;
    let sent = upload.schema().cloned();
    let sent = sent.ok_or_else(|| Status::invalid_argument("the upload has no schema"))?;
    let schema = plain_schema(&sent);
    let plain = Arc::clone(&schema);
    let batches = stream::unfold(upload, |mut upload| async move {
        let batch = upload.next().await?;
        Some((batch, upload))
    });
    let batches = batches.map(move |batch| {
        let batch = batch.map_err(|status| upload_error(&status))?;
        conform_upload(&batch, &plain)
    });
    let load = session.engine.ingest(target, batches.boxed(), schema);
    let rows = session.unless_ended(async { load.await.map_err(status) }).await?;
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}

fn conform_upload(
    batch: &RecordBatch,
    schema: &arrow::datatypes::SchemaRef,
) -> engine::Result<RecordBatch> {
    conform(batch, schema)
        .map_err(|error| engine::Error::new(engine::ErrorKind::InvalidArgument, error.to_string()))
}

fn target(command: CommandStatementIngest) -> Result<IngestTarget, Status> {
    no_transaction(command.transaction_id.as_ref())?;
    if command.temporary {
        return Err(Status::unimplemented(
            "temporary tables are not supported\n\
             Hint: Load into a table, and drop it when it is no longer needed.",
        ));
    }
    if let Some(catalog) = command.catalog.filter(|name| !name.is_empty() && name != CATALOG) {
        return Err(Status::not_found(format!(
            "catalog \"{catalog}\" does not exist\nHint: The one catalog is \"{CATALOG}\"."
        )));
    }
    if command.table.is_empty() {
        return Err(Status::invalid_argument("the ingest names no table"));
    }
    let (if_missing, if_exists) = modes(command.table_definition_options)?;
    let database = command.schema.filter(|name| !name.is_empty());
    let transaction = transaction(&command.options)?;
    Ok(IngestTarget { database, table: command.table, if_missing, if_exists, transaction })
}

/// The options `txn_app` and `txn_version`, as an INSERT has them.
fn transaction(options: &HashMap<String, String>) -> Result<Option<AppTransaction>, Status> {
    match (options.get("txn_app"), options.get("txn_version")) {
        (Some(app), Some(version)) => AppTransaction::parse(app, version).map(Some).map_err(status),
        (None, None) => Ok(None),
        _ => Err(Status::invalid_argument("txn_app and txn_version go together")),
    }
}

fn modes(options: Option<TableDefinitionOptions>) -> Result<(IfMissing, IfExists), Status> {
    let options = options.unwrap_or_default();
    let missing = match options.if_not_exist() {
        TableNotExistOption::Create => IfMissing::Create,
        TableNotExistOption::Fail => IfMissing::Fail,
        TableNotExistOption::Unspecified => return Err(unspecified("if_not_exist")),
    };
    let exists = match options.if_exists() {
        TableExistsOption::Fail => IfExists::Fail,
        TableExistsOption::Append => IfExists::Append,
        TableExistsOption::Replace => IfExists::Replace,
        TableExistsOption::Unspecified => return Err(unspecified("if_exists")),
    };
    Ok((missing, exists))
}

fn unspecified(option: &str) -> Status {
    Status::invalid_argument(format!("the ingest does not say its {option} option"))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn command() -> CommandStatementIngest {
        CommandStatementIngest {
            table: "hits".into(),
            table_definition_options: Some(TableDefinitionOptions {
                if_not_exist: TableNotExistOption::Create as i32,
                if_exists: TableExistsOption::Append as i32,
            }),
            ..CommandStatementIngest::default()
        }
    }

    #[test]
    fn empty_names_mean_none() {
        let target = target(CommandStatementIngest {
            schema: Some(String::new()),
            catalog: Some(String::new()),
            ..command()
        });
        let target = target.unwrap();
        assert_eq!((target.database, target.if_exists), (None, IfExists::Append));
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let temporary = target(CommandStatementIngest { temporary: true, ..command() });
        assert_eq!(temporary.unwrap_err().code(), Code::Unimplemented);
        let elsewhere =
            target(CommandStatementIngest { catalog: Some("other".into()), ..command() });
        assert_eq!(elsewhere.unwrap_err().code(), Code::NotFound);
        let mode = target(CommandStatementIngest { table_definition_options: None, ..command() });
        assert_eq!(mode.unwrap_err().code(), Code::InvalidArgument);
    }
}
