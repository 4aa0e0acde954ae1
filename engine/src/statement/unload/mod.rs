//! UNLOAD: a query's result as files.

mod encode;
mod options;
mod slice;
mod target;

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlanProperties as _, execute_stream};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as Sql;
use futures::StreamExt;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde_json::json;
use tokio::task::JoinSet;

use super::create_table::count_schema;
use super::{Action, Command, rows};
use crate::engine::panic_text;
use crate::interrupt::{Interrupt, interruptible};
use crate::parse::{Parsed, UnloadStatement, parse};
use crate::query::{Plan, QueryKind, RowsPlan};
use crate::rows::Edge;
use crate::scan::in_parallel;
use crate::session::Session;
use crate::types::type_string;
use crate::{Error, ErrorKind, Result};
use encode::Unloaded;
use options::{Manifest, UnloadOptions};
use slice::{Layout, Slice};
use target::Target;

struct Unload {
    rows: RowsPlan,
    to: String,
    keys: Vec<String>,
    keys_included: bool,
    options: UnloadOptions,
}

pub(super) async fn plan(session: &Session, statement: &UnloadStatement) -> Result<Plan> {
    let options = UnloadOptions::parse(&statement.options)?;
    let query = query(&statement.query)?;
    let planned = rows::plan(session, query.get(), QueryKind::Rows, None)
        .await
        .map_err(|error| error.in_statement(&statement.query))?;
    let Action::Rows(rows) = planned.action else {
        return Err(Error::invalid("the query of UNLOAD has parameters")
            .with_hint("Write the values into the query."));
    };
    let unload = Unload {
        rows: *rows,
        to: statement.to.clone(),
        keys: statement.keys.clone(),
        keys_included: statement.keys_included,
        options,
    };
    unload.layout_of(&planned.schema)?;
    Ok(Plan {
        kind: QueryKind::RowCount,
        schema: count_schema(),
        parameters: Vec::new(),
        action: Action::Command(Arc::new(unload)),
    })
}

fn query(text: &str) -> Result<crate::hidden::Hidden<Statement>> {
    match parse(text)? {
        Parsed::Sql(statement) if is_query(statement.get()) => Ok(statement),
        _ => Err(Error::invalid("what UNLOAD is given is no query")
            .with_hint("Write UNLOAD ('SELECT …') TO 'folder/'.")),
    }
}

fn is_query(statement: &Statement) -> bool {
    matches!(statement, Statement::Statement(sql) if matches!(sql.as_ref(), Sql::Query(_)))
}

/// Which columns are keys, which are in the files, and the files' schema.
struct Columns {
    keys: Vec<usize>,
    in_files: Vec<usize>,
    schema: SchemaRef,
}

#[async_trait(?Send)]
impl Command for Unload {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let shared = session.engine.shared();
        let target = Target::new(shared, &self.to, !self.keys.is_empty())?;
        let old = target.check(shared, self.options.existing).await?;
        let columns = self.layout_of(&self.rows.physical.schema())?;
        let layout = Arc::new(Layout {
            target,
            options: self.options.clone(),
            keys: self.keys.clone(),
            key_columns: columns.keys,
            columns: columns.in_files,
            schema: columns.schema,
        });
        let mut written = self.write(&layout).await?;
        written.sort_by(|a, b| a.path.cmp(&b.path));
        let mut new: Vec<Path> = written.iter().map(|file| file.path.clone()).collect();
        new.push(layout.target.path(MANIFEST)?);
        if self.options.manifest == Manifest::No {
            new.pop();
        }
        layout.target.remove(old, &new).await?;
        self.write_manifest(&layout, &written).await?;
        let rows = written.iter().map(|file| file.rows).sum::<u64>();
        let count = Arc::new(UInt64Array::from(vec![rows]));
        Ok(vec![RecordBatch::try_new(count_schema(), vec![count])?])
    }
}

/// A run of the query, which ends when this is dropped.
#[derive(Default)]
struct Running(Interrupt);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// The name of the manifest, after the prefix.
const MANIFEST: &str = "manifest";

impl Unload {
    fn layout_of(&self, result: &SchemaRef) -> Result<Columns> {
        let schema = Edge::new(result, false).schema;
        let mut keys = Vec::new();
        for key in &self.keys {
            keys.push(key_column(&schema, key)?);
        }
        let is_in_file = |column: &usize| self.keys_included || !keys.contains(column);
        let in_files: Vec<usize> = (0..schema.fields().len()).filter(is_in_file).collect();
        if in_files.is_empty() {
            return Err(Error::invalid("all columns are partition keys")
                .with_hint("Add INCLUDE to keep them in the files."));
        }
        let fields: Vec<_> = in_files.iter().map(|column| schema.field(*column).clone()).collect();
        Ok(Columns { keys, in_files, schema: Arc::new(Schema::new(fields)) })
    }

    /// Writes the slices at once. Where one fails, the files of all are removed.
    async fn write(&self, layout: &Arc<Layout>) -> Result<Vec<Unloaded>> {
        let running = Running::default();
        let mut slices = JoinSet::new();
        for (number, stream) in self.streams(&running.0)?.into_iter().enumerate() {
            let mut slice = Slice::new(layout.clone(), number);
            let edge = Edge::new(&stream.schema(), false);
            let stream = self.rows.sources.name_in_errors(stream);
            let rows = stream.map(move |batch| edge.apply(batch?));
            slices.spawn(async move {
                let outcome = slice.write_all(rows).await;
                (slice.written, outcome)
            });
        }
        let (mut written, mut failure) = (Vec::new(), None);
        while let Some(ended) = slices.join_next().await {
            let outcome = match ended {
                Ok((files, outcome)) => {
                    written.extend(files);
                    outcome
                }
                Err(error) => Err(Error::internal(panic_text(error))),
            };
            failure = failure.or(outcome.err());
        }
        let Some(failure) = failure else { return Ok(written) };
        for file in written {
            if let Err(error) = layout.target.store.delete(&file.path).await {
                tracing::warn!(%error, path = %file.path, "a file of a failed UNLOAD stays behind");
            }
        }
        Err(failure)
    }

    /// The result in parts; in one where its order matters.
    fn streams(&self, interrupt: &Interrupt) -> Result<Vec<SendableRecordBatchStream>> {
        let context = &self.rows.context;
        // A prepared statement may run again.
        let plan = reset_plan_states(self.rows.physical.clone())?;
        let plan = interruptible(plan, interrupt)?;
        if !self.options.parallel {
            return Ok(vec![execute_stream(plan, context.clone())?]);
        }
        let plan = in_parallel(plan, context.session_config().options())?;
        let partitions = plan.output_partitioning().partition_count();
        let streams = (0..partitions).map(|number| Ok(plan.execute(number, context.clone())?));
        streams.collect()
    }

    /// Written last: where it is, all files that it names are.
    async fn write_manifest(&self, layout: &Layout, written: &[Unloaded]) -> Result<()> {
        let is_verbose = match self.options.manifest {
            Manifest::No => return Ok(()),
            Manifest::Files => false,
            Manifest::Verbose => true,
        };
        let entries = written
            .iter()
            .map(|file| {
                let mut meta = json!({"content_length": file.bytes});
                if is_verbose {
                    meta["record_count"] = json!(file.rows);
                }
                Ok(json!({"url": layout.target.url(&file.path)?, "meta": meta}))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut manifest = json!({ "entries": entries });
        if is_verbose {
            manifest["schema"] = json!({"elements": elements(&layout.schema)?});
            manifest["meta"] = json!({
                "content_length": written.iter().map(|file| file.bytes).sum::<u64>(),
                "record_count": written.iter().map(|file| file.rows).sum::<u64>(),
            });
            manifest["author"] = json!({"name": "Boathouse", "version": env!("CARGO_PKG_VERSION")});
        }
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Error::internal(error.to_string()))?;
        layout.target.store.put(&layout.target.path(MANIFEST)?, text.into()).await?;
        Ok(())
    }
}

fn key_column(schema: &Schema, key: &str) -> Result<usize> {
    let found = schema.fields().iter().position(|field| field.name() == key);
    let Some(column) = found else {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("the query's result has no column \"{key}\" to partition by"),
        )
        .with_hint(format!("Its columns are {}.", names.join(", ")))
        .with_word(key));
    };
    let data_type = schema.field(column).data_type();
    if data_type.is_nested() || matches!(data_type, DataType::Binary | DataType::LargeBinary) {
        return Err(Error::invalid(format!("column \"{key}\" can't be a partition key"))
            .with_hint("Keys are numbers, strings, booleans, dates and timestamps."));
    }
    Ok(column)
}

fn elements(schema: &Schema) -> Result<Vec<serde_json::Value>> {
    let element = |field: &Arc<arrow::datatypes::Field>| {
        let base = type_string(field.data_type()).unwrap_or_else(|_| field.data_type().to_string());
        Ok(json!({"name": field.name(), "type": {"base": base}}))
    };
    schema.fields().iter().map(element).collect()
}
