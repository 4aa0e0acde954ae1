//! What SET and SHOW see: the session's own settings and DataFusion's, under one set of rules.

use std::time::Duration;

use datafusion::common::config::{ConfigExtension, ConfigField};
use datafusion::common::extensions_options;
use datafusion::execution::config::SessionConfig;

use crate::names::did_you_mean;
use crate::{Error, ErrorKind, Result};

/// The name of the one catalog, as in `boathouse.db.table`.
pub const CATALOG: &str = "boathouse";

extensions_options! {
    /// Settings of a session that are Boathouse's own.
    pub(crate) struct SessionSettings {
        /// How long a statement may run, in seconds; 0 is as long as it likes.
        pub statement_timeout_seconds: u64, default = 0

        /// Results may hold Arrow's view types (Utf8View, BinaryView); clients must know them.
        pub view_types: bool, default = false

        /// VACUUM refuses to remove files that are younger than the table's retention
        pub vacuum_retention_check: bool, default = true
    }
}

impl ConfigExtension for SessionSettings {
    const PREFIX: &'static str = "session";
}

/// One setting and its value.
#[derive(Clone, Debug)]
pub struct Setting {
    /// As SET takes it.
    pub name: String,
    /// Its value in this session; empty where there is none.
    pub value: String,
    /// What it does, one line.
    pub description: String,
}

/// The settings that each session starts with.
pub(crate) fn defaults(threads: usize, timeout: Option<Duration>) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, "default")
        .with_information_schema(false);
    let session = SessionSettings {
        statement_timeout_seconds: timeout.map_or(0, |timeout| timeout.as_secs()),
        ..SessionSettings::default()
    };
    let options = config.options_mut();
    options.extensions.insert(session);
    options.sql_parser.collect_spans = true;
    options.execution.collect_statistics = true;
    config
}

pub(crate) fn session_settings(config: &SessionConfig) -> SessionSettings {
    config.options().extensions.get::<SessionSettings>().cloned().unwrap_or_default()
}

/// Names that users know from elsewhere.
const ALIASES: [(&str, &str); 5] = [
    ("timezone", "datafusion.execution.time_zone"),
    ("time_zone", "datafusion.execution.time_zone"),
    ("statement_timeout_seconds", "session.statement_timeout_seconds"),
    ("vacuum_retention_check", "session.vacuum_retention_check"),
    ("spark.databricks.delta.retentiondurationcheck.enabled", "session.vacuum_retention_check"),
];

/// Settings that belong to the process or that the engine relies on: not a session's to change.
const FIXED: [&str; 4] = [
    "datafusion.runtime.",
    "datafusion.catalog.",
    "datafusion.sql_parser.",
    "datafusion.execution.listing_table",
];

pub(crate) fn list(config: &SessionConfig) -> Vec<Setting> {
    let mut settings: Vec<Setting> = config
        .options()
        .entries()
        .into_iter()
        .filter(|entry| !is_fixed(&entry.key))
        .map(|entry| Setting {
            // Entries of an extension come without its prefix.
            name: match entry.key.contains('.') {
                true => entry.key,
                false => format!("{}.{}", SessionSettings::PREFIX, entry.key),
            },
            value: entry.value.unwrap_or_default(),
            description: entry.description.split('\n').next().unwrap_or_default().to_owned(),
        })
        .collect();
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    settings
}

fn is_fixed(name: &str) -> bool {
    FIXED.iter().any(|prefix| name.starts_with(prefix))
}

/// The full name of the setting that `name` means.
pub(crate) fn full_name(config: &SessionConfig, name: &str) -> Result<String> {
    let name = name.to_lowercase();
    if let Some((_, full)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return Ok((*full).to_owned());
    }
    let known = list(config);
    let found = known.iter().find(|s| s.name == name || s.name == format!("datafusion.{name}"));
    if let Some(setting) = found {
        return Ok(setting.name.clone());
    }
    if is_fixed(&name) {
        return Err(Error::unsupported(format!(
            "setting \"{name}\" can't be changed by a session"
        ))
        .with_hint("Memory, spill and storage are set in boathouse.toml."));
    }
    let names: Vec<&str> = known.iter().map(|s| s.name.as_str()).collect();
    let error = Error::new(ErrorKind::NotFound, format!("there is no setting \"{name}\""));
    Err(error.with_hint(
        did_you_mean(&name, &names).unwrap_or_else(|| "SHOW ALL lists the settings.".into()),
    ))
}

pub(crate) fn set(config: &mut SessionConfig, name: &str, value: &str) -> Result<()> {
    let full = full_name(config, name)?;
    config.options_mut().set(&full, value).map_err(|error| {
        let reason = Error::from(error);
        Error::invalid(format!("\"{value}\" is no value for setting \"{full}\": {reason}"))
    })
}

/// Puts a setting back to what `defaults` says.
pub(crate) fn reset(
    config: &mut SessionConfig,
    defaults: &SessionConfig,
    name: &str,
) -> Result<()> {
    let full = full_name(config, name)?;
    let default = list(defaults).into_iter().find(|setting| setting.name == full);
    match default {
        Some(setting) if !setting.value.is_empty() => set(config, &full, &setting.value),
        _ => {
            let key = full.strip_prefix("datafusion.").unwrap_or(&full);
            Ok(config.options_mut().reset(key)?)
        }
    }
}
