//! VACUUM: files in a Delta table's folder that no version within the retention has.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::{Format, Table};
use chrono::Utc;
use deltalake::protocol::DeltaOperation;
use deltalake::table::config::TablePropertiesExt as _;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use super::maintenance::{batch_of, find_table, schema_of};
use super::{Command, listing};
use crate::commit::commit;
use crate::query::Plan;
use crate::scan::{DeltaSnapshot, delta_table, format_of, location_of};
use crate::session::Session;
use crate::stores::{folder_url, location_url, object_url, store_path, store_root};
use crate::{Error, Result};

/// A run finds so many files; the next finds the rest.
const FILES_MAX: usize = 1_000_000;
/// The folder of the change data feed's files.
const CHANGES: &str = "_change_data";
const LOG: &str = "_delta_log";

struct Vacuum {
    table: Table,
    retention: Duration,
    dry_run: bool,
    schema: SchemaRef,
}

/// What VACUUM is asked for.
pub(super) struct Wish {
    pub(super) retain_hours: Option<f64>,
    pub(super) dry_run: bool,
}

/// A file that nobody needs.
struct Orphan {
    path: Path,
    bytes: u64,
}

pub(super) async fn plan(session: &Session, name: &[String], wish: Wish) -> Result<Plan> {
    let table = find_table(session, name).await?;
    let delta = delta_table(session, &table, "files to remove").await?;
    let retention = retention(session, &delta, wish.retain_hours).await?;
    let schema = match wish.dry_run {
        true => schema_of(&[("path", DataType::Utf8)]),
        false => {
            let columns = ["num_files_deleted", "bytes_deleted"];
            schema_of(&columns.map(|name| (name, DataType::Int64)))
        }
    };
    let vacuum = Vacuum { table, retention, dry_run: wish.dry_run, schema: schema.clone() };
    Ok(listing(schema, vacuum))
}

/// How old a file must be. Shorter than the table says only by the session's own risk.
async fn retention(
    session: &Session,
    delta: &DeltaSnapshot,
    hours: Option<f64>,
) -> Result<Duration> {
    let least = delta.table().await?.snapshot()?.table_config().deleted_file_retention_duration();
    let Some(hours) = hours else { return Ok(least) };
    let wanted = Duration::try_from_secs_f64(hours * 3600.0)
        .map_err(|_| Error::invalid(format!("{hours} is no number of hours")))?;
    if wanted < least && session.checks_retention() {
        return Err(Error::invalid(format!(
            "{hours} hours are less than the {} hours for which files that were removed are kept",
            least.as_secs() / 3600
        ))
        .with_hint(
            "Readers of older versions and writers that are not done yet would lose files. If \
             there are none: SET vacuum_retention_check = false.",
        ));
    }
    Ok(wanted)
}

#[async_trait(?Send)]
impl Command for Vacuum {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let delta = delta_table(session, &self.table, "files to remove").await?;
        let orphans = self
            .orphans(session, &delta)
            .await
            .map_err(|error| error.about(format!("table \"{}\"", self.table.name)))?;
        if self.dry_run {
            let root = store_root(&delta.url)?;
            let paths = orphans.iter().map(|orphan| Some(object_url(&root, &orphan.path)));
            return batch_of(&self.schema, vec![Arc::new(paths.collect::<StringArray>())]);
        }
        let (files, bytes) = self.remove(session, &delta, orphans).await?;
        let column = |number: u64| -> ArrayRef {
            Arc::new(Int64Array::from(vec![i64::try_from(number).ok()]))
        };
        batch_of(&self.schema, vec![column(files), column(bytes)])
    }
}

impl Vacuum {
    async fn orphans(&self, session: &Session, delta: &DeltaSnapshot) -> Result<Vec<Orphan>> {
        let cutoff = Utc::now()
            - chrono::Duration::from_std(self.retention).unwrap_or(chrono::Duration::MAX);
        let kept = Kept::read(delta, cutoff.timestamp_millis()).await?;
        let mut others = self.others(session, delta).await?;
        let root = store_path(&delta.url)?;
        let store = session.engine.shared().stores.store(&delta.url)?;
        let mut listed = store.list(Some(&root));
        let mut orphans = Vec::new();
        while let Some(meta) = listed.try_next().await? {
            let Some(relative) = relative(&meta.location, &root) else { continue };
            if let Some(folder) = table_within(&relative) {
                others.push(folder);
                continue;
            }
            let is_orphan =
                meta.last_modified <= cutoff && kept.may_go(&relative) && orphans.len() < FILES_MAX;
            if is_orphan {
                orphans.push(Orphan { path: meta.location, bytes: meta.size });
            }
        }
        orphans.retain(|orphan| {
            let path = relative(&orphan.path, &root).unwrap_or_default();
            !others.iter().any(|folder| path.starts_with(folder.as_str()))
        });
        orphans.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(orphans)
    }

    /// The folders of other tables within this one's, relative to it, with a slash at the end.
    async fn others(&self, session: &Session, delta: &DeltaSnapshot) -> Result<Vec<String>> {
        let own = delta.url.as_str();
        let mut folders = Vec::new();
        for table in session.catalog().all_tables().await? {
            let location = location_of(&table.spec).unwrap_or_default();
            let Ok(url) = location_url(&location).map(folder_url) else { continue };
            let is_other = url.as_str() != own;
            if let Some(within) = url.as_str().strip_prefix(own).filter(|_| is_other) {
                folders.push(decoded(&delta.url, within)?);
            }
            let has_own_files = format_of(&table.spec) != Some(Format::Delta);
            if own.starts_with(url.as_str()) && has_own_files && table.spec.view.is_none() {
                return Err(Error::invalid(format!(
                    "table \"{}\" has its files in the same folder",
                    table.name
                ))
                .with_hint("Files of it would be taken for left over: drop that table first."));
            }
        }
        Ok(folders)
    }

    async fn remove(
        &self,
        session: &Session,
        delta: &DeltaSnapshot,
        orphans: Vec<Orphan>,
    ) -> Result<(u64, u64)> {
        if orphans.is_empty() {
            return Ok((0, 0));
        }
        let shared = session.engine.shared();
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let least =
            delta.table().await?.snapshot()?.table_config().deleted_file_retention_duration();
        let start = DeltaOperation::VacuumStart {
            retention_check_enabled: session.checks_retention(),
            specified_retention_millis: Some(millis(self.retention)),
            default_retention_millis: millis(least),
        };
        commit(shared, delta, Vec::new(), start).await?;
        let files = orphans.len() as u64;
        let bytes = orphans.iter().map(|orphan| orphan.bytes).sum();
        let store = shared.stores.store(&delta.url)?;
        let paths = stream::iter(orphans.into_iter().map(|orphan| Ok(orphan.path))).boxed();
        let mut removed = store.delete_stream(paths);
        while let Some(outcome) = removed.next().await {
            match outcome {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let newest = delta_table(session, &self.table, "files to remove").await?;
        let end = DeltaOperation::VacuumEnd { status: "COMPLETED".to_owned() };
        commit(shared, &newest, Vec::new(), end).await?;
        Ok((files, bytes))
    }
}

/// The files that the newest version and those within the retention have, relative to the table.
struct Kept {
    files: HashSet<String>,
    /// Files of deletion vectors aren't told apart: while there are any, all stay.
    vectors: bool,
    keys: Vec<String>,
}

impl Kept {
    async fn read(delta: &DeltaSnapshot, cutoff_ms: i64) -> Result<Self> {
        let table = delta.table().await?;
        let state = table.snapshot()?;
        let mut kept =
            Self { files: HashSet::new(), vectors: false, keys: delta.partition_columns.clone() };
        for view in state.snapshot().try_log_data()?.iter() {
            kept.vectors |= view.deletion_vector_descriptor().is_some();
            kept.files.insert(view.object_store_path().to_string());
        }
        let log = table.log_store();
        let mut gone = state.all_tombstones(log.as_ref());
        while let Some(tombstone) = gone.try_next().await? {
            if tombstone.deletion_timestamp().unwrap_or(0) >= cutoff_ms {
                let path = tombstone.path();
                let path = Path::parse(path.as_ref()).unwrap_or_else(|_| Path::from(path.as_ref()));
                kept.files.insert(path.to_string());
            }
        }
        Ok(kept)
    }

    /// Names that begin with `_` or `.` are others' business, except of partitions and changes.
    fn may_go(&self, relative: &str) -> bool {
        let is_partition = |part: &str| {
            self.keys.iter().any(|key| {
                part.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with('='))
            })
        };
        let is_hidden = relative.split('/').enumerate().any(|(depth, part)| {
            part.starts_with(['_', '.']) && !is_partition(part) && !(depth == 0 && part == CHANGES)
        });
        // Iceberg's metadata of the same files, where a writer keeps both.
        let is_hidden = is_hidden || relative.starts_with("metadata/");
        let name = relative.rsplit('/').next().unwrap_or_default();
        let is_vector = name.starts_with("deletion_vector_") && name.ends_with(".bin");
        !is_hidden && !self.files.contains(relative) && !(is_vector && self.vectors)
    }
}

fn relative(path: &Path, root: &Path) -> Option<String> {
    let rest = path.as_ref().strip_prefix(root.as_ref())?;
    Some(rest.trim_start_matches('/').to_owned()).filter(|rest| !rest.is_empty())
}

/// The folder of another table of Delta or Iceberg that this file is the log or metadata of.
fn table_within(relative: &str) -> Option<String> {
    let delta = format!("/{LOG}/");
    let end = relative.find(&delta).or_else(|| {
        let at = relative.find("/metadata/")?;
        relative.ends_with(".metadata.json").then_some(at)
    })?;
    relative.get(..=end).map(str::to_owned)
}

/// A part of a URL as the store's keys have it.
fn decoded(table: &Url, within: &str) -> Result<String> {
    let url = table.join(within).map_err(|error| Error::invalid(error.to_string()))?;
    let path = relative(&store_path(&url)?, &store_path(table)?).unwrap_or_default();
    Ok(format!("{path}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_nobody_has_may_go() {
        let files = HashSet::from(["day=1/a.parquet".to_owned()]);
        let mut kept = Kept { files, vectors: true, keys: vec!["day".into(), "_x".into()] };
        for stays in [
            "day=1/a.parquet",
            "_delta_log/00000000000000000000.json",
            "_delta_log/_last_checkpoint",
            ".hidden/a.parquet",
            "day=1/_temporary/a.parquet",
            "ab/deletion_vector_1.bin",
        ] {
            assert!(!kept.may_go(stays), "{stays}");
        }
        for goes in ["day=1/b.parquet", "_x=1/a.parquet", "_change_data/a.parquet", "notes.txt"] {
            assert!(kept.may_go(goes), "{goes}");
        }
        kept.vectors = false;
        assert!(kept.may_go("ab/deletion_vector_1.bin"));
    }

    #[test]
    fn tables_within_are_found_by_their_logs() {
        assert_eq!(table_within("b/_delta_log/00.json").as_deref(), Some("b/"));
        assert_eq!(table_within("b/c/metadata/v1.metadata.json").as_deref(), Some("b/c/"));
        assert_eq!(table_within("_delta_log/00.json"), None);
        assert_eq!(table_within("a.parquet"), None);
    }
}
