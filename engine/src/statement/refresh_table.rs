//! REFRESH TABLE (and MSCK REPAIR TABLE): an external table's files, looked at again.

use std::collections::HashSet;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use boathouse_catalog::{Format, PartitionFilter, TableName, TableType, Update};

use super::create_external_table::rediscover;
use super::{Command, command};
use crate::definition::follow;
use crate::query::Plan;
use crate::resolve::not_found;
use crate::scan::{Projection, format_of};
use crate::session::Session;
use crate::{Error, ErrorKind, Result};

struct Refresh {
    name: TableName,
}

pub(super) async fn plan(session: &Session, name: &[String]) -> Result<Plan> {
    let name = session.table_name(name)?;
    let table = match session.catalog().table(&name).await {
        Ok(table) => table,
        Err(error) => return Err(not_found(session, &name, error.into()).await),
    };
    if table.spec.table_type == TableType::View {
        return Err(Error::invalid(format!("\"{name}\" is a view"))
            .with_hint("A view always shows its tables as they are."));
    }
    Ok(command(Refresh { name }))
}

#[async_trait(?Send)]
impl Command for Refresh {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let catalog = session.catalog();
        let table = catalog.table(&self.name).await?;
        let format = format_of(&table.spec);
        if format == Some(Format::Delta) {
            let snapshot = super::alter_table::snapshot(session, &table).await?;
            let shared = session.engine.shared();
            follow(shared, &table, &snapshot, None).await?;
            return Ok(Vec::new());
        }
        if format == Some(Format::Iceberg) || Projection::of(&table)?.is_some() {
            // Every query reads the newest version of its log, or lists its folders.
            return Ok(Vec::new());
        }
        let (spec, partitions) = rediscover(session, &table)
            .await
            .map_err(|error| error.about(format!("table \"{}\"", self.name)))?;
        let conflict = || {
            Error::new(
                ErrorKind::Conflict,
                format!("table \"{}\" was changed by others meanwhile", self.name),
            )
            .with_hint("Run REFRESH TABLE again.")
        };
        let found: HashSet<_> = partitions.iter().map(|p| p.values.clone()).collect();
        let known = catalog.partitions(&table, &PartitionFilter::default()).await?;
        let gone = known.iter().map(|p| p.values.clone()).filter(|v| !found.contains(v)).collect();
        let changed: Vec<_> =
            partitions.into_iter().filter(|partition| !known.contains(partition)).collect();
        let table = match catalog.commit_partitions(&table, changed, gone).await? {
            Update::Done(table) => table,
            Update::Conflict { .. } => return Err(conflict()),
        };
        if spec != table.spec
            && let Update::Conflict { .. } = catalog.update_table(&table, spec).await?
        {
            return Err(conflict());
        }
        Ok(Vec::new())
    }
}
