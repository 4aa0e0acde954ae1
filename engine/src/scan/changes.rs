//! The change data feed of a Delta table: the rows that its commits inserted, deleted and
//! changed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::{Session as PlanSession, TableProvider};
use datafusion::common::{DataFusionError, Result as DataFusionResult, ScalarValue};
use datafusion::datasource::TableType as ProviderType;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use deltalake::kernel::Action;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _};

use super::files::{ScanFile, partition_value};
use super::{DeltaSnapshot, LakeTable, Matching, Reading, Source, in_order_of, layout};
use crate::engine::Shared;
use crate::history::{History, constant, time_ms, version_number};
use crate::session::Session;
use crate::stores::{store_path, store_root};
use crate::{Error, ErrorKind, Result};

const CHANGE_TYPE: &str = "_change_type";
const COMMIT_VERSION: &str = "_commit_version";
const COMMIT_TIMESTAMP: &str = "_commit_timestamp";
const ENABLED: &str = "delta.enableChangeDataFeed";

/// The changes of a table between two versions.
#[derive(Debug)]
pub(crate) struct Changes {
    /// Files that were added or removed as they are.
    whole: LakeTable,
    /// Files of changes, which say of each row what became of it.
    told: LakeTable,
}

/// Files with what is the same for all their rows.
#[derive(Default)]
struct Found {
    whole: Vec<ScanFile>,
    told: Vec<ScanFile>,
}

/// A file of one commit, before its values are typed.
struct ChangedFile<'a> {
    path: &'a str,
    size: Option<i64>,
    values: Option<&'a HashMap<String, Option<String>>>,
    /// Where the file doesn't say it itself.
    change: Option<&'static str>,
}

impl Changes {
    /// The changes that `bounds` (one or two expressions: versions or timestamps) name.
    pub(crate) async fn open(
        session: &Session,
        state: &SessionState,
        name: &str,
        newest: Arc<DeltaSnapshot>,
        bounds: &str,
    ) -> Result<Self> {
        let shared = session.engine.shared();
        let history = History::of(shared, &newest).await?;
        let (first, last) = range(state, &history, &newest, bounds).await?;
        let tables = &shared.delta_tables;
        check_enabled(tables.at(shared, &newest, first).await?.as_ref(), first, name)?;
        let end = tables.at(shared, &newest, last).await?;
        let mut found = Found::default();
        for version in first..=last {
            let actions = history.actions(version).await?;
            let commit = Commit { snapshot: &end, version, time: history.time(version).await? };
            commit.add_files(shared, &actions, &mut found).await?;
        }
        let table = |files, is_told| table(session, name, &end, files, is_told);
        Ok(Self { whole: table(found.whole, false)?, told: table(found.told, true)? })
    }
}

/// The first and last version whose changes are wanted.
async fn range(
    state: &SessionState,
    history: &History,
    newest: &DeltaSnapshot,
    bounds: &str,
) -> Result<(u64, u64)> {
    let values = constant(state, &format!("struct({bounds})"))?;
    let ScalarValue::Struct(values) = values else {
        return Err(Error::internal("bounds are a struct"));
    };
    let bound = |index: usize| ScalarValue::try_from_array(values.column(index), 0);
    let is_time = |value: &ScalarValue| {
        let text = matches!(value, ScalarValue::Utf8(Some(text)) if text.parse::<u64>().is_err());
        text || value.data_type().is_temporal()
    };
    let first = match bound(0)? {
        // A time names the first commit at or after it.
        value if is_time(&value) => {
            let time = time_ms(state, value, bounds)?;
            match history.at(time.saturating_sub(1)).await {
                Ok(before) => before + 1,
                Err(error) if error.kind() == ErrorKind::NotFound => history.first(),
                Err(error) => return Err(error),
            }
        }
        value => history.checked(version_number(value, bounds)?)?,
    };
    let last = match (values.num_columns() > 1).then(|| bound(1)).transpose()? {
        None => newest.version,
        Some(value) if is_time(&value) => history.at(time_ms(state, value, bounds)?).await?,
        Some(value) => version_number(value, bounds)?.min(newest.version),
    };
    if first > last {
        return Err(Error::invalid(format!("the range ends before it begins: {first} to {last}"))
            .with_hint("The newest version's changes are table_changes(table, that version)."));
    }
    Ok((first, last))
}

fn check_enabled(snapshot: &DeltaSnapshot, version: u64, name: &str) -> Result<()> {
    let metadata = snapshot.metadata();
    let properties = metadata.configuration();
    let on = properties.get(ENABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !on {
        return Err(not_enabled(version, name));
    }
    if properties.get("delta.columnMapping.mode").is_some_and(|mode| mode != "none") {
        return Err(Error::unsupported("changes of a table with the Delta feature columnMapping"));
    }
    Ok(())
}

fn not_enabled(version: u64, name: &str) -> Error {
    Error::invalid(format!("table \"{name}\" kept no changes at version {version}")).with_hint(
        format!("Set the table property '{ENABLED}' = 'true': changes are kept from then on."),
    )
}

struct Commit<'a> {
    snapshot: &'a DeltaSnapshot,
    version: u64,
    time: i64,
}

impl Commit<'_> {
    async fn add_files(
        &self,
        shared: &Shared,
        actions: &[Action],
        found: &mut Found,
    ) -> Result<()> {
        self.check(actions)?;
        let has_told = actions.iter().any(|action| matches!(action, Action::Cdc(_)));
        for action in actions {
            let Some(file) = self.changed_file(action, has_told)? else { continue };
            let scan = self.scan_file(shared, &file).await?;
            match file.change {
                Some(_) => found.whole.push(scan),
                None => found.told.push(scan),
            }
        }
        Ok(())
    }

    fn check(&self, actions: &[Action]) -> Result<()> {
        for action in actions {
            let Action::Metadata(metadata) = action else { continue };
            let on = metadata.configuration().get(ENABLED);
            if !on.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
                return Err(not_enabled(self.version, self.snapshot.url.as_str()));
            }
        }
        Ok(())
    }

    fn changed_file<'a>(
        &self,
        action: &'a Action,
        has_told: bool,
    ) -> Result<Option<ChangedFile<'a>>> {
        let with_vector = match action {
            Action::Add(add) => add.deletion_vector.is_some(),
            Action::Remove(remove) => remove.deletion_vector.is_some(),
            _ => false,
        };
        let file = match action {
            Action::Cdc(cdc) => ChangedFile {
                path: &cdc.path,
                size: Some(cdc.size),
                values: Some(&cdc.partition_values),
                change: None,
            },
            Action::Add(add) if add.data_change && !has_told => ChangedFile {
                path: &add.path,
                size: Some(add.size),
                values: Some(&add.partition_values),
                change: Some("insert"),
            },
            Action::Remove(remove) if remove.data_change && !has_told => ChangedFile {
                path: &remove.path,
                size: remove.size,
                values: remove.partition_values.as_ref(),
                change: Some("delete"),
            },
            _ => return Ok(None),
        };
        if with_vector {
            return Err(Error::unsupported(format!(
                "the changes of version {}, which are told by deletion vectors alone",
                self.version
            ))
            .with_hint("Read the changes before and after that version."));
        }
        Ok(Some(file))
    }

    async fn scan_file(&self, shared: &Shared, file: &ChangedFile<'_>) -> Result<ScanFile> {
        let location = self.location(file.path)?;
        let mut values = Vec::new();
        for key in &self.snapshot.partition_columns {
            let field = self.snapshot.schema.field_with_name(key)?;
            let text = file.values.and_then(|values| values.get(key)?.as_deref());
            let text = text.filter(|text| !text.is_empty());
            values.push(partition_value(text, key, field.data_type(), file.path)?);
        }
        values.extend(file.change.map(|text| ScalarValue::Utf8View(Some(text.to_owned()))));
        values.push(ScalarValue::Int64(i64::try_from(self.version).ok()));
        let micros = self.time.saturating_mul(1000);
        values.push(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
        let size = match file.size.and_then(|size| u64::try_from(size).ok()) {
            Some(size) => size,
            None => shared.stores.store(&self.snapshot.url)?.head(&location).await?.size,
        };
        let last_modified = DateTime::from_timestamp_millis(self.time).unwrap_or_default();
        let meta = ObjectMeta { location, last_modified, size, e_tag: None, version: None };
        let (statistics, leaves, deletion) = (None, None, None);
        Ok(ScanFile { meta, partition_values: values.into(), statistics, leaves, deletion })
    }

    /// A log may only name files of its own table.
    fn location(&self, path: &str) -> Result<Path> {
        let is_outside = path.contains("://")
            || path.starts_with('/')
            || path.split('/').any(|part| part == "..");
        if is_outside {
            return Err(Error::bad_data(format!(
                "the Delta log of {} names a file outside of the table: \"{path}\"",
                self.snapshot.url
            )));
        }
        let path = Path::parse(path).unwrap_or_else(|_| Path::from(path));
        let root = store_path(&self.snapshot.url)?;
        Ok(Path::from_iter(root.parts().chain(path.parts())))
    }
}

/// The files as a table with the columns that tell of the change.
fn table(
    session: &Session,
    name: &str,
    snapshot: &DeltaSnapshot,
    files: Vec<ScanFile>,
    is_told: bool,
) -> Result<LakeTable> {
    let is_key = |field: &FieldRef| snapshot.partition_columns.iter().any(|k| k == field.name());
    let mut columns: Vec<FieldRef> =
        snapshot.schema.fields().iter().filter(|field| !is_key(field)).map(nullable).collect();
    let mut keys = Vec::new();
    for key in &snapshot.partition_columns {
        keys.push(nullable(&Arc::new(snapshot.schema.field_with_name(key)?.clone())));
    }
    let change_type = Arc::new(Field::new(CHANGE_TYPE, DataType::Utf8View, true));
    if is_told { &mut columns } else { &mut keys }.push(change_type.clone());
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let version = Arc::new(Field::new(COMMIT_VERSION, DataType::Int64, true));
    let timestamp = Arc::new(Field::new(COMMIT_TIMESTAMP, time, true));
    keys.extend([version.clone(), timestamp.clone()]);
    let mut all: Vec<FieldRef> = snapshot.schema.fields().iter().cloned().collect();
    all.extend([change_type, version, timestamp]);
    let layout = layout(&Schema::new(columns), keys, boathouse_catalog::Format::Delta);
    let schema = in_order_of(layout.table_schema(), &Schema::new(all))?;
    Ok(LakeTable {
        name: name.to_owned(),
        engine: session.engine.clone(),
        schema,
        layout,
        format: boathouse_catalog::Format::Delta,
        reading: Reading::default(),
        matching: Matching::Name,
        root: store_root(&snapshot.url)?,
        source: Source::Files { files: Arc::new(files), delta: None },
        read: Arc::default(),
        rules: None,
        leaves: Arc::default(),
        analyzed: None,
    })
}

/// Columns that came later are missing in older files.
fn nullable(field: &FieldRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_nullable(true))
}

#[async_trait]
impl TableProvider for Changes {
    fn schema(&self) -> SchemaRef {
        self.whole.schema.clone()
    }

    fn table_type(&self) -> ProviderType {
        ProviderType::Base
    }

    async fn scan(
        &self,
        state: &dyn PlanSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let whole = self.whole.scan(state, projection, filters, limit).await?;
        let told = self.told.scan(state, projection, filters, limit).await?;
        UnionExec::try_new(vec![whole, told]).map_err(DataFusionError::from)
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
