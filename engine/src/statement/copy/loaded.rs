//! Which files a Delta table has loaded: its log keeps a transaction of each.
//!
//! The transactions are in the same commit as the rows, so a file is either loaded and known to
//! be, or neither; and of two commits of one file the second is refused.

use std::collections::HashSet;

use arrow::array::{Array, AsArray};
use bytes::Bytes;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::files::IDENTITY_PREFIX;
use crate::engine::Shared;
use crate::scan::DeltaSnapshot;
use crate::stores::store_path;
use crate::{Error, Result};

/// Commits that are read at once.
const COMMITS_AT_ONCE: usize = 16;

/// The identities of the files that a version of a table has loaded.
pub(super) async fn loaded(shared: &Shared, snapshot: &DeltaSnapshot) -> Result<HashSet<String>> {
    let store = shared.stores.store(&snapshot.url)?;
    let log = store_path(&snapshot.url)?.join("_delta_log");
    let found = LogFiles::list(store.as_ref(), &log, snapshot.version).await?;
    let mut loaded = HashSet::new();
    for path in &found.checkpoint {
        let bytes = store.get(path).await?.bytes().await?;
        match path.as_ref().ends_with(".json") {
            true => add_commit(&bytes, &mut loaded)?,
            false => add_checkpoint(bytes, &mut loaded)?,
        }
    }
    let jobs = found.commits.into_iter().map(|path| {
        let store = store.clone();
        async move { Ok::<_, Error>(store.get(&path).await?.bytes().await?) }
    });
    let mut commits = stream::iter(jobs).buffered(COMMITS_AT_ONCE);
    while let Some(bytes) = commits.try_next().await? {
        add_commit(&bytes, &mut loaded)?;
    }
    Ok(loaded)
}

/// The files that say all of a version: its newest checkpoint, and the commits after that.
struct LogFiles {
    checkpoint: Vec<Path>,
    commits: Vec<Path>,
}

impl LogFiles {
    async fn list(store: &dyn ObjectStore, log: &Path, version: u64) -> Result<Self> {
        let names: Vec<Path> =
            store.list(Some(log)).map_ok(|meta| meta.location).try_collect().await?;
        let mut commits: Vec<(u64, Path)> = Vec::new();
        let mut checkpoints: Vec<(u64, usize, Path)> = Vec::new();
        for path in names {
            match path.filename().and_then(log_name) {
                Some((number, LogName::Commit)) if number <= version => {
                    commits.push((number, path));
                }
                Some((number, LogName::Checkpoint { parts })) if number <= version => {
                    checkpoints.push((number, parts, path));
                }
                _ => {}
            }
        }
        let (after, checkpoint) = newest(&checkpoints);
        commits.retain(|(number, _)| after.is_none_or(|after| *number > after));
        commits.sort();
        let first = after.map_or(0, |after| after + 1);
        let is_whole = commits.iter().zip(first..).all(|((number, _), wanted)| *number == wanted);
        if !is_whole || first + commits.len() as u64 != version + 1 {
            return Err(Error::bad_data(format!(
                "the log \"{log}\" lacks commits of version {version}"
            ))
            .with_hint("Files of the log were removed; restore them."));
        }
        Ok(Self { checkpoint, commits: commits.into_iter().map(|(_, path)| path).collect() })
    }
}

/// The newest checkpoint of which all parts are there. Of those with ids of their own, one does.
fn newest(checkpoints: &[(u64, usize, Path)]) -> (Option<u64>, Vec<Path>) {
    let mut versions: Vec<(u64, usize)> =
        checkpoints.iter().map(|(number, parts, _)| (*number, *parts)).collect();
    versions.sort_unstable();
    versions.dedup();
    for (number, parts) in versions.into_iter().rev() {
        let mut found: Vec<Path> = checkpoints
            .iter()
            .filter(|(other, of, _)| *other == number && *of == parts)
            .map(|(_, _, path)| path.clone())
            .collect();
        found.truncate(parts);
        if found.len() == parts {
            return (Some(number), found);
        }
    }
    (None, Vec::new())
}

#[derive(Debug, PartialEq, Eq)]
enum LogName {
    Commit,
    /// In as many files.
    Checkpoint {
        parts: usize,
    },
}

/// What a file of a log is, by its name: `VERSION.json`, `VERSION.checkpoint.parquet`,
/// `VERSION.checkpoint.PART.PARTS.parquet` or `VERSION.checkpoint.ID.(parquet|json)`.
fn log_name(name: &str) -> Option<(u64, LogName)> {
    let parts: Vec<&str> = name.split('.').collect();
    let number = |text: &str| (text.len() >= 10).then(|| text.parse::<u64>().ok()).flatten();
    let version = number(parts.first()?)?;
    let kind = match parts.as_slice() {
        [_, "json"] => LogName::Commit,
        [_, "checkpoint", "parquet"] | [_, "checkpoint", _, "parquet" | "json"] => {
            LogName::Checkpoint { parts: 1 }
        }
        [_, "checkpoint", _, of, "parquet"] => {
            LogName::Checkpoint { parts: usize::try_from(number(of)?).ok()? }
        }
        _ => return None,
    };
    Some((version, kind))
}

/// The identities in the lines of a commit.
fn add_commit(bytes: &[u8], loaded: &mut HashSet<String>) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Line {
        txn: Option<Txn>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Txn {
        app_id: String,
    }
    for line in bytes.split(|byte| *byte == b'\n') {
        // Most lines are about files.
        if !line.starts_with(b"{\"txn\"") && memchr::memmem::find(line, b"\"txn\"").is_none() {
            continue;
        }
        let line: Line = serde_json::from_slice(line)
            .map_err(|error| Error::bad_data(format!("a commit of the Delta log: {error}")))?;
        let id = line.txn.map(|txn| txn.app_id);
        loaded.extend(id.filter(|id| id.starts_with(IDENTITY_PREFIX)));
    }
    Ok(())
}

/// The identities in a file of a checkpoint.
fn add_checkpoint(bytes: Bytes, loaded: &mut HashSet<String>) -> Result<()> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let columns = builder.parquet_schema().columns().iter();
    let leaf = columns
        .enumerate()
        .find(|(_, column)| column.path().parts() == ["txn", "appId"])
        .map(|(index, _)| index);
    let Some(leaf) = leaf else { return Ok(()) };
    let mask = ProjectionMask::leaves(builder.parquet_schema(), [leaf]);
    for batch in builder.with_projection(mask).build()? {
        let batch = batch?;
        let Some(txn) = batch.column(0).as_struct_opt() else { continue };
        let ids = arrow::compute::cast(txn.column(0), &arrow::datatypes::DataType::Utf8)?;
        let ids = ids.as_string::<i32>();
        for row in (0..ids.len()).filter(|row| txn.is_valid(*row) && ids.is_valid(*row)) {
            if ids.value(row).starts_with(IDENTITY_PREFIX) {
                loaded.insert(ids.value(row).to_owned());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_files_of_a_log_are() {
        let checkpoint = |parts| LogName::Checkpoint { parts };
        for (name, kind) in [
            ("00000000000000000007.json", Some(LogName::Commit)),
            ("00000000000000000007.checkpoint.parquet", Some(checkpoint(1))),
            ("00000000000000000007.checkpoint.0000000001.0000000003.parquet", Some(checkpoint(3))),
            ("00000000000000000007.checkpoint.80a083e8-7026.parquet", Some(checkpoint(1))),
            ("00000000000000000007.00000000000000000009.compacted.json", None),
            ("00000000000000000007.crc", None),
            ("_last_checkpoint", None),
        ] {
            assert_eq!(log_name(name), kind.map(|kind| (7, kind)), "{name}");
        }
    }

    #[test]
    fn a_checkpoint_counts_when_all_of_it_is_there() {
        let of = |number, parts, name: &str| (number, parts, Path::from(name));
        let whole = [of(10, 1, "a"), of(20, 2, "b"), of(20, 2, "c")];
        assert_eq!(newest(&whole).0, Some(20));
        assert_eq!(newest(&whole[..2]), (Some(10), vec![Path::from("a")]));
        assert_eq!(newest(&[]), (None, Vec::new()));
    }

    #[test]
    fn identities_are_found_in_commits() {
        let mut loaded = HashSet::new();
        let commit = b"{\"add\":{\"path\":\"\\\"txn\\\"\"}}\n{\"txn\":{\"appId\":\"copy:1\",\"version\":1}}\n\
                       {\"txn\":{\"appId\":\"other\",\"version\":1}}";
        add_commit(commit, &mut loaded).unwrap();
        assert_eq!(loaded, HashSet::from(["copy:1".to_owned()]));
    }
}
