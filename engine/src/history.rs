//! The history of a Delta table: which versions its log can still tell, and when each was
//! committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, SecondsFormat};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::utils::collect_columns;
use deltalake::kernel::Action;
use deltalake::logstore::get_actions;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use serde_json::{Map, Value};
use url::Url;

use crate::engine::Shared;
use crate::parse::AsOf;
use crate::scan::DeltaSnapshot;
use crate::stores::store_path;
use crate::{Error, ErrorKind, Result};

const LOG: &str = "_delta_log";
/// A log's files are named by their version with this many digits.
const VERSION_DIGITS: usize = 20;

/// The commits of a log as its folder lists them.
pub(crate) struct History {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    /// When each commit's file was written, in milliseconds, strictly ascending.
    commits: BTreeMap<u64, i64>,
    /// The first version that can be read.
    first: u64,
    last: u64,
    /// Commits say themselves when they were made.
    in_commit_times: bool,
}

impl History {
    /// Lists the log of the table that `newest` is the newest version of.
    pub(crate) async fn of(shared: &Shared, newest: &DeltaSnapshot) -> Result<Self> {
        let store = shared.stores.store(&newest.url)?;
        let folder = log_folder(&newest.url)?;
        let last = newest.version;
        let properties = newest.metadata().configuration();
        let in_commit = properties.get("delta.enableInCommitTimestamps");
        let listed = store.list_with_delimiter(Some(&folder)).await?;
        let mut commits = BTreeMap::new();
        let mut checkpoints = Vec::new();
        for meta in &listed.objects {
            match log_file(meta.location.filename().unwrap_or_default()) {
                Some((version, LogFile::Commit)) if version <= last => {
                    commits.insert(version, meta.last_modified.timestamp_millis());
                }
                Some((version, LogFile::Checkpoint)) => checkpoints.push(version),
                _ => {}
            }
        }
        ascending(&mut commits);
        let first = first_version(&commits, &checkpoints, last);
        let in_commit_times = in_commit.is_some_and(|value| value == "true");
        Ok(Self { store, folder, commits, first, last, in_commit_times })
    }

    /// The first version that can be read.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The versions whose commits are there, newest first.
    pub(crate) fn versions(&self) -> impl Iterator<Item = u64> + '_ {
        self.commits.keys().rev().copied()
    }

    /// The version, if the log can still tell it.
    pub(crate) fn checked(&self, version: u64) -> Result<u64> {
        if (self.first..=self.last).contains(&version) {
            return Ok(version);
        }
        let text = match version > self.last {
            true => format!("there is no version {version}"),
            false => format!("version {version} is no longer in the log"),
        };
        Err(Error::new(ErrorKind::NotFound, text).with_hint(format!(
            "There are versions {} to {}: DESCRIBE HISTORY lists them.",
            self.first, self.last
        )))
    }

    /// The newest version that was committed at or before a time.
    pub(crate) async fn at(&self, time_ms: i64) -> Result<u64> {
        let versions: Vec<u64> = self.commits.range(self.first..).map(|(v, _)| *v).collect();
        let (mut low, mut high) = (0, versions.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(version) = versions.get(middle) else { break };
            match self.time(*version).await? <= time_ms {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        match low.checked_sub(1).and_then(|index| versions.get(index)) {
            Some(version) => Ok(*version),
            None => Err(self.too_early(time_ms, versions.first().copied()).await),
        }
    }

    async fn too_early(&self, time_ms: i64, first: Option<u64>) -> Error {
        let text = format!("there is no version from {} or before", time_text(time_ms));
        let first = first.unwrap_or(self.first);
        let hint = match self.time(first).await {
            Ok(time) => format!("The first is version {first} of {}.", time_text(time)),
            Err(_) => format!("The first is version {first}."),
        };
        Error::new(ErrorKind::NotFound, text).with_hint(hint)
    }

    /// When a version was committed, in milliseconds.
    pub(crate) async fn time(&self, version: u64) -> Result<i64> {
        let written = self.commits.get(&version).copied();
        if self.in_commit_times {
            let info = self.commit_info(version).await?;
            let said = info.get("inCommitTimestamp").and_then(Value::as_i64);
            return said.or(written).ok_or_else(|| self.gone(version));
        }
        written.ok_or_else(|| self.gone(version))
    }

    fn gone(&self, version: u64) -> Error {
        Error::new(ErrorKind::NotFound, format!("commit {version} is no longer in the log"))
    }

    /// What a commit says of itself; nothing where it doesn't.
    pub(crate) async fn commit_info(&self, version: u64) -> Result<Map<String, Value>> {
        let bytes = self.bytes(version).await?;
        let lines = bytes.split(|byte| *byte == b'\n');
        for line in lines.filter(|line| line.starts_with(b"{\"commitInfo\"")) {
            let line: Value = serde_json::from_slice(line)
                .map_err(|error| Error::bad_data(format!("commit {version}: {error}")))?;
            if let Some(info) = line.get("commitInfo").and_then(Value::as_object) {
                return Ok(info.clone());
            }
        }
        Ok(Map::new())
    }

    /// What a commit does.
    pub(crate) async fn actions(&self, version: u64) -> Result<Vec<Action>> {
        Ok(get_actions(version, &self.bytes(version).await?)?)
    }

    async fn bytes(&self, version: u64) -> Result<bytes::Bytes> {
        let path = self.folder.clone().join(format!("{version:0VERSION_DIGITS$}.json"));
        match self.store.get(&path).await {
            Ok(found) => Ok(found.bytes().await?),
            Err(object_store::Error::NotFound { .. }) => Err(self.gone(version)),
            Err(error) => Err(error.into()),
        }
    }
}

fn log_folder(url: &Url) -> Result<Path> {
    Ok(store_path(url)?.join(LOG))
}

enum LogFile {
    Commit,
    Checkpoint,
}

/// `VERSION.json`, `VERSION.checkpoint.parquet`, `VERSION.checkpoint.PART.PARTS.parquet`, …
fn log_file(name: &str) -> Option<(u64, LogFile)> {
    let (digits, rest) = name.split_once('.')?;
    let version = digits.parse().ok().filter(|_| digits.len() == VERSION_DIGITS)?;
    match rest {
        "json" => Some((version, LogFile::Commit)),
        rest if rest.starts_with("checkpoint.") => Some((version, LogFile::Checkpoint)),
        _ => None,
    }
}

/// Where files were copied or clocks differ, a later commit still counts as later.
fn ascending(commits: &mut BTreeMap<u64, i64>) {
    let mut before = i64::MIN;
    for time in commits.values_mut() {
        *time = (*time).max(before.saturating_add(1));
        before = *time;
    }
}

/// The first version that checkpoints and the commits up to the newest can tell.
fn first_version(commits: &BTreeMap<u64, i64>, checkpoints: &[u64], last: u64) -> u64 {
    let mut oldest = last.saturating_add(1);
    for version in commits.keys().rev() {
        if version.checked_add(1) != Some(oldest) {
            break;
        }
        oldest = *version;
    }
    if oldest == 0 {
        return 0;
    }
    let usable = checkpoints.iter().filter(|version| **version + 1 >= oldest && **version <= last);
    usable.min().copied().unwrap_or(last)
}

pub(crate) fn time_text(time_ms: i64) -> String {
    match DateTime::from_timestamp_millis(time_ms) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{time_ms} ms"),
    }
}

/// The version that a reference wants, checked against the log.
pub(crate) async fn version_of(
    shared: &Shared,
    state: &SessionState,
    newest: &DeltaSnapshot,
    wanted: &AsOf,
) -> Result<u64> {
    match wanted {
        AsOf::Newest | AsOf::Changes(_) => Ok(newest.version),
        AsOf::Version(text) => {
            let version = version_number(constant(state, text)?, text)?;
            if version == newest.version {
                return Ok(version);
            }
            History::of(shared, newest).await?.checked(version)
        }
        AsOf::Timestamp(text) => {
            let time = time_ms(state, constant(state, text)?, text)?;
            History::of(shared, newest).await?.at(time).await
        }
    }
}

/// The value of an expression without columns.
pub(crate) fn constant(state: &SessionState, text: &str) -> Result<ScalarValue> {
    let wrong = |error: Error| {
        Error::invalid(format!("\"{text}\" is no constant: {error}")).with_hint(
            "Write a number, a text, CAST(… AS TIMESTAMP), or now() - INTERVAL '1 hour'.",
        )
    };
    let evaluate = || -> Result<ScalarValue> {
        let schema = DFSchema::empty();
        let expr = state.create_logical_expr(text, &schema)?;
        // What follows from the clock is a constant only when it's simplified.
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(state.config_options().clone())
            .with_query_execution_start_time(state.execution_props().query_execution_start_time)
            .build();
        let expr = ExprSimplifier::new(context).simplify(expr)?;
        let expr = state.create_physical_expr(expr, &schema)?;
        if !collect_columns(&expr).is_empty() {
            return Err(Error::invalid("it names a column"));
        }
        let row = arrow::array::RecordBatch::try_new_with_options(
            Arc::new(arrow::datatypes::Schema::empty()),
            Vec::new(),
            &arrow::array::RecordBatchOptions::new().with_row_count(Some(1)),
        )?;
        Ok(ScalarValue::try_from_array(expr.evaluate(&row)?.into_array(1)?.as_ref(), 0)?)
    };
    evaluate().map_err(wrong)
}

/// A constant as a version's number.
pub(crate) fn version_number(value: ScalarValue, text: &str) -> Result<u64> {
    let number = value.cast_to(&DataType::UInt64);
    let is_number = value.data_type().is_integer() || matches!(value, ScalarValue::Utf8(Some(_)));
    match number {
        Ok(ScalarValue::UInt64(Some(version))) if is_number => Ok(version),
        _ => Err(Error::invalid(format!("\"{text}\" is no version"))
            .with_hint("Versions are whole numbers from 0: FOR VERSION AS OF 3.")),
    }
}

/// A constant as a time: texts, dates and timestamps without a zone are the session's local
/// time.
pub(crate) fn time_ms(state: &SessionState, value: ScalarValue, text: &str) -> Result<i64> {
    let wrong = || {
        Error::invalid(format!("\"{text}\" is no timestamp"))
            .with_hint("Write FOR TIMESTAMP AS OF '2026-01-31 12:00:00'.")
    };
    let zone = state.config_options().execution.time_zone.clone();
    let zone = Some(Arc::from(zone.unwrap_or_else(|| "UTC".to_owned())));
    let value = match value.data_type() {
        DataType::Date32 | DataType::Date64 => {
            value.cast_to(&DataType::Timestamp(TimeUnit::Millisecond, None))
        }
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Timestamp(..) => {
            Ok(value)
        }
        _ => return Err(wrong()),
    };
    let local =
        value.and_then(|value| value.cast_to(&DataType::Timestamp(TimeUnit::Millisecond, zone)));
    match local {
        Ok(ScalarValue::TimestampMillisecond(Some(time), _)) => Ok(time),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_log_files_are_told_apart() {
        let kind = |name| match log_file(name) {
            Some((version, LogFile::Commit)) => format!("commit {version}"),
            Some((version, LogFile::Checkpoint)) => format!("checkpoint {version}"),
            None => "other".to_owned(),
        };
        assert_eq!(kind("00000000000000000003.json"), "commit 3");
        assert_eq!(kind("00000000000000000010.checkpoint.parquet"), "checkpoint 10");
        for other in ["_last_checkpoint", "00000000000000000003.crc", "3.json", "x.json"] {
            assert_eq!(kind(other), "other", "{other}");
        }
    }

    #[test]
    fn the_first_version_is_a_checkpoint_where_commits_are_gone() {
        let commits = |range: std::ops::RangeInclusive<u64>| range.map(|v| (v, 0)).collect();
        assert_eq!(first_version(&commits(0..=5), &[], 5), 0);
        assert_eq!(first_version(&commits(3..=12), &[4, 10], 12), 4);
        assert_eq!(first_version(&commits(5..=12), &[4, 10], 12), 4);
        assert_eq!(first_version(&commits(11..=12), &[4, 10], 12), 10);
    }

    #[test]
    fn times_ascend() {
        let mut commits = BTreeMap::from([(0, 10), (1, 10), (2, 5), (3, 20)]);
        ascending(&mut commits);
        assert_eq!(commits.into_values().collect::<Vec<_>>(), [10, 11, 12, 20]);
    }
}
