//! COPY: rows of files into a table, each file once.

mod chunks;
mod files;
mod json;
mod loaded;
mod moments;
mod options;
mod rejects;
mod rows;
mod text;
mod values;

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::{FieldRef, Schema};
use async_trait::async_trait;
use boathouse_catalog::TableName;
use deltalake::kernel::Transaction;
use futures::{StreamExt, TryStreamExt};

use super::create_table::count_schema;
use super::{Action, Command};
use crate::commit::commit_once;
use crate::ingest::by_name;
use crate::loads::{LoadRecord, Loaded};
use crate::parse::CopyStatement;
use crate::query::{Plan, QueryKind};
use crate::rules::Allotment;
use crate::scan::{DeltaSnapshot, LakeTable};
use crate::session::Session;
use crate::write::{Target, append_operation, new_files};
use crate::{Error, ErrorKind, Result};
use files::{Files, LoadFile};
use options::CopyOptions;
use rows::Load;

pub(crate) use options::one_byte;
pub(crate) use rejects::{Reject, Rejects};

/// How often files are read anew because others loaded some of them meanwhile.
const ATTEMPTS: usize = 10;

struct Copy {
    table: TableName,
    columns: Option<Vec<String>>,
    from: String,
    options: CopyOptions,
}

pub(super) fn plan(session: &Session, statement: &CopyStatement) -> Result<Plan> {
    let copy = Copy {
        table: session.table_name(&statement.table)?,
        columns: statement.columns.clone(),
        from: statement.from.clone(),
        options: CopyOptions::parse(&statement.options)?,
    };
    Ok(Plan {
        kind: QueryKind::RowCount,
        schema: count_schema(),
        parameters: Vec::new(),
        action: Action::Command(Arc::new(copy)),
    })
}

#[async_trait(?Send)]
impl Command for Copy {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let snapshot = self.snapshot(session).await?;
        let rejects = Arc::new(Rejects::new(self.options.errors_max));
        let record = LoadRecord::start(session.catalog(), &self.table, &self.from).await?;
        let outcome = self.load(session, snapshot, rejects.clone()).await;
        record.end(session.catalog(), &outcome, &rejects).await;
        let rows = outcome.map_err(|error| error.about(format!("COPY {}", self.table)))?.rows;
        let count = Arc::new(UInt64Array::from(vec![rows]));
        Ok(vec![RecordBatch::try_new(count_schema(), vec![count])?])
    }
}

impl Copy {
    /// The table as it is now.
    async fn snapshot(&self, session: &Session) -> Result<Arc<DeltaSnapshot>> {
        let table = match session.catalog().table(&self.table).await {
            Ok(table) => table,
            Err(error) => {
                return Err(crate::resolve::not_found(session, &self.table, error.into()).await);
            }
        };
        if table.spec.view.is_some() {
            return Err(Error::invalid(format!("\"{}\" is a view", self.table))
                .with_hint("Load the table under it."));
        }
        match LakeTable::open(session, table).await?.write_target().await? {
            Target::Delta(snapshot) => Ok(snapshot),
            Target::External(_) => Err(Error::unsupported(format!(
                "COPY into \"{}\", which is no Delta table: there is no log that keeps which files \
                 were loaded",
                self.table
            ))
            .with_hint("Use INSERT INTO … SELECT * FROM 'files', or make a table in the lake.")),
        }
    }

    async fn load(
        &self,
        session: &Session,
        snapshot: Arc<DeltaSnapshot>,
        rejects: Arc<Rejects>,
    ) -> Result<Loaded> {
        let columns = self.wanted(&snapshot.schema)?;
        let files = self.find(session).await?;
        let keys = files.keys(&columns)?;
        let all = files.load_files(&keys)?;
        let load = Load {
            session,
            options: &self.options,
            files: &files,
            columns,
            keys,
            columns_named: self.columns.is_some(),
            rejects,
        };
        self.attempts(&load, snapshot, &all).await
    }

    async fn attempts(
        &self,
        load: &Load<'_>,
        mut snapshot: Arc<DeltaSnapshot>,
        all: &[Arc<LoadFile>],
    ) -> Result<Loaded> {
        let shared = load.session.engine.shared();
        for _ in 0..ATTEMPTS {
            let todo = self.todo(load, &snapshot, all).await?;
            match self.load_files(load, &snapshot, &todo).await {
                Ok(rows) => return Ok(self.outcome(rows, all, &todo)),
                // Others committed. Files of a commit that may yet have come through are not
                // removed; if it has, none of ours is left to do.
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    load.rejects.forget();
                    snapshot = shared.delta_tables.newest(shared, &snapshot.url).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Conflict, "others changed the table again and again meanwhile")
            .with_hint("Run the statement again."))
    }

    fn outcome(&self, rows: u64, all: &[Arc<LoadFile>], todo: &[Arc<LoadFile>]) -> Loaded {
        Loaded {
            rows,
            files: todo.len() as u64,
            files_skipped: (all.len() - todo.len()) as u64,
            bytes: todo.iter().map(|file| file.meta.size).sum(),
            check_only: self.options.check_only,
        }
    }

    async fn find(&self, session: &Session) -> Result<Files> {
        let stores = &session.engine.shared().stores;
        match self.options.manifest {
            true => files::of_manifest(stores, &self.from, self.options.format).await,
            false => files::find(stores, &self.from, self.options.format).await,
        }
    }

    /// The columns to load, in the statement's order.
    fn wanted(&self, schema: &Schema) -> Result<Schema> {
        let Some(names) = &self.columns else { return Ok(schema.clone()) };
        let mut fields: Vec<FieldRef> = Vec::new();
        for name in names {
            let known =
                schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
            let Some(field) = known else {
                let columns: Vec<&str> =
                    schema.fields().iter().map(|f| f.name().as_str()).collect();
                let text = format!("table \"{}\" has no column \"{name}\"", self.table);
                return Err(Error::new(ErrorKind::NotFound, text)
                    .with_hint(format!("Its columns are {}.", columns.join(", ")))
                    .with_word(name));
            };
            if fields.iter().any(|other| other.name() == field.name()) {
                return Err(Error::invalid(format!("column \"{name}\" is named twice")));
            }
            fields.push(field.clone());
        }
        Ok(Schema::new(fields))
    }

    /// The files that the table hasn't loaded.
    async fn todo(
        &self,
        load: &Load<'_>,
        snapshot: &DeltaSnapshot,
        all: &[Arc<LoadFile>],
    ) -> Result<Vec<Arc<LoadFile>>> {
        if self.options.force {
            return Ok(all.to_vec());
        }
        let loaded = loaded::loaded(load.session.engine.shared(), snapshot).await?;
        Ok(all.iter().filter(|file| !loaded.contains(&file.identity())).cloned().collect())
    }

    /// Writes the files' rows and commits them with the files' identities.
    async fn load_files(
        &self,
        load: &Load<'_>,
        snapshot: &DeltaSnapshot,
        todo: &[Arc<LoadFile>],
    ) -> Result<u64> {
        if todo.is_empty() {
            return Ok(0);
        }
        let shared = load.session.engine.shared();
        let rules = snapshot.rules(shared)?;
        let (kept, state) = (rules.clone(), load.session.query_state());
        let rows = load.rows(todo).await?.map(move |batch| {
            let batch = by_name(&batch?, &kept.schema, Some(&kept), &state)?;
            kept.check_given(&batch).map(|()| batch)
        });
        if self.options.check_only {
            let rules = &rules;
            let count = rows.try_fold(0, |count, batch| async move {
                let mut allotment = Allotment::new(&rules.identity);
                Ok(count + rules.apply(&batch, &mut allotment)?.num_rows() as u64)
            });
            return count.await;
        }
        let written = new_files(shared, snapshot, rows).await?;
        let count = written.rows;
        let actions = written.actions(shared, snapshot).await?;
        let now = chrono::Utc::now().timestamp_millis();
        let transactions = todo
            .iter()
            .map(|file| Transaction::new_with_last_update(file.identity(), 1, Some(now)))
            .collect();
        commit_once(shared, snapshot, actions, append_operation(snapshot), transactions).await?;
        Ok(count)
    }
}
