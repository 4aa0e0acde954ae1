//! Where settings come from, and which of several values wins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use toml::{Table, Value};

use super::{Config, DEFAULTS};
use crate::failure::{Failure, Result};
use crate::style::nearest;

/// A setting that is given as a flag.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// Its name in `boathouse.toml`.
    pub(crate) key: &'static str,
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// Its value.
    pub(crate) value: String,
}

/// Where a value was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// Nowhere else: it is the default.
    Default,
    /// A file.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
    /// The flag of this name.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Every setting with its value and where that was found, by names such as `engine.threads`.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The values.
    pub(crate) values: BTreeMap<String, (Value, Source)>,
    /// What the user should know about them.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// The defaults alone.
    pub(crate) fn defaults() -> Result<Self> {
        let defaults = parse(DEFAULTS, &Source::Default)?;
        let values = flatten(defaults).into_iter();
        let values = values.map(|(key, value)| (key, (value, Source::Default))).collect();
        Ok(Self { values, warnings: Vec::new() })
    }

    /// The defaults under the user's file, `./boathouse.toml`, the environment and `flags`.
    pub(crate) fn load(flags: Vec<Flag>) -> Result<Self> {
        let mut settings = Self::defaults()?;
        let user = etcetera::choose_base_strategy().ok();
        let user = user.map(|base| base.config_dir().join("boathouse").join("boathouse.toml"));
        for path in user.into_iter().chain([PathBuf::from("./boathouse.toml")]) {
            settings.lay_file(&path)?;
        }
        settings.lay_environment(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        }))?;
        for Flag { key, name, value } in flags {
            settings.set(key, Value::String(value), Source::Flag(name))?;
        }
        Ok(settings)
    }

    /// The values as the program uses them.
    pub(crate) fn config(&self) -> Result<Config> {
        self.table().try_into().map_err(|error: toml::de::Error| {
            Failure::Usage(format!("the settings do not fit together: {}", error.message()))
        })
    }

    fn lay_file(&mut self, path: &Path) -> Result<()> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(Failure::Usage(format!("could not read {}: {error}", path.display())));
            }
        };
        // The file that the defaults were compiled from, found in its own repository.
        if text == DEFAULTS {
            return Ok(());
        }
        let source = Source::File(path.to_owned());
        for (key, value) in flatten(parse(&text, &source)?) {
            if !self.values.contains_key(&key) {
                return Err(self.unknown(&key, &source));
            }
            self.set(&key, value, source.clone())?;
        }
        Ok(())
    }

    fn lay_environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<()> {
        let names: BTreeMap<String, String> =
            self.values.keys().map(|key| (variable(key), key.clone())).collect();
        for (name, text) in variables.filter(|(name, _)| name.starts_with("BOATHOUSE_")) {
            let Some(key) = names.get(&name) else {
                // Not an error: a container platform sets such variables for a service of our name.
                let hint = nearest(&name, names.keys().map(String::as_str));
                let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
                self.warnings.push(format!("{name} is not a setting{hint}"));
                continue;
            };
            let source = Source::Environment(name);
            let value = self.read(key, &text, &source)?;
            self.set(key, value, source)?;
        }
        Ok(())
    }

    /// `text` as a value of the same type as the setting `key` has.
    fn read(&self, key: &str, text: &str, source: &Source) -> Result<Value> {
        let like = self.values.get(key).map(|(value, _)| value);
        let value = match like {
            Some(Value::Integer(_)) => text.replace('_', "").parse().map(Value::Integer).ok(),
            Some(Value::Boolean(_)) => text.to_lowercase().parse().map(Value::Boolean).ok(),
            _ => Some(Value::String(text.to_owned())),
        };
        let wanted = like.map_or("value", type_name);
        value.ok_or_else(|| Failure::Usage(format!("{source}: {text:?} is not {wanted}")))
    }

    /// Sets a known `key`, if its value is one that the program can use.
    fn set(&mut self, key: &str, value: Value, source: Source) -> Result<()> {
        let earlier = self.values.insert(key.to_owned(), (value.clone(), source.clone()));
        if let Some((earlier, _)) = &earlier
            && earlier.type_str() != value.type_str()
        {
            let (found, wanted) = (type_name(&value), type_name(earlier));
            return Err(Failure::Usage(format!(
                "{source}: {key} is {found}, but should be {wanted}"
            )));
        }
        let checked: Result<Config, toml::de::Error> = self.table().try_into();
        checked.map(drop).map_err(|error| {
            Failure::Usage(format!("{source}: {key} = {value} is not valid: {}", error.message()))
        })
    }

    fn unknown(&self, key: &str, source: &Source) -> Failure {
        let known = self.values.keys().map(String::as_str);
        let hint = nearest(key, known.clone()).or_else(|| {
            // Right word, wrong section.
            let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
            let mut others = known.clone();
            others.find(|other| last(other) == last(key))
        });
        let hint = hint
            .map(|key| format!("; did you mean {key}?"))
            .unwrap_or_else(|| "; `boathouse config show` lists every setting".to_owned());
        Failure::Usage(format!("{source}: {key} is not a setting{hint}"))
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        for (key, (value, _)) in &self.values {
            let Some((section, key)) = key.split_once('.') else {
                table.insert(key.clone(), value.clone());
                continue;
            };
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                section.insert(key.to_owned(), value.clone());
            }
        }
        table
    }
}

/// The name of the environment variable for `key`.
pub(crate) fn variable(key: &str) -> String {
    format!("BOATHOUSE_{}", key.replace('.', "_").to_ascii_uppercase())
}

fn parse(text: &str, source: &Source) -> Result<Table> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        Failure::Usage(format!("{source}{line}: {}", error.message()))
    })
}

fn flatten(table: Table) -> Vec<(String, Value)> {
    let mut values = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(section) => {
                let inner = flatten(section).into_iter();
                values.extend(inner.map(|(inner, value)| (format!("{key}.{inner}"), value)));
            }
            value => values.push((key, value)),
        }
    }
    values
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boathouse.toml");
        std::fs::write(&path, text).unwrap();
        let mut settings = Settings::defaults()?;
        settings.lay_file(&path)?;
        Ok(settings)
    }

    fn message<T: fmt::Debug>(result: Result<T>) -> String {
        match result.unwrap_err() {
            Failure::Usage(text) => text,
            other => panic!("{other:?}"),
        }
    }

    fn with_variable(name: &str, value: &str) -> Result<Settings> {
        let mut settings = Settings::defaults()?;
        settings.lay_environment([(name.to_owned(), value.to_owned())].into_iter())?;
        Ok(settings)
    }

    #[test]
    fn a_layer_changes_only_what_it_names() {
        let settings = with_file("[engine]\nthreads = 2").unwrap();
        let config = settings.config().unwrap();
        assert_eq!(config.engine.threads, 2);
        assert_eq!(config.engine.memory_limit_bytes, 0);
        assert_eq!(settings.values["engine.memory_limit_bytes"].1, Source::Default);
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_the_file_and_the_right_key() {
        let text = message(with_file("[engine]\nthread = 2"));
        assert!(text.contains("boathouse.toml: engine.thread is not a setting"), "{text}");
        assert!(text.ends_with("did you mean engine.threads?"), "{text}");
        let text = message(with_file("[server]\nallow_http = true"));
        assert!(text.ends_with("did you mean s3.allow_http?"), "{text}");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_an_error_that_names_the_key() {
        let text = message(with_file("[engine]\nthreads = \"two\""));
        let want = "engine.threads is text in quotes, but should be a whole number";
        assert!(text.ends_with(want), "{text}");
        let text = message(with_file("[engine]\nthreads = -1"));
        assert!(text.contains("engine.threads = -1 is not valid"), "{text}");
        let text = message(with_file("engine = 1"));
        assert!(text.contains("engine is not a setting"), "{text}");
        let text = message(with_file("[engine]\n\nthreads = = 1"));
        assert!(text.contains("boathouse.toml, line 3: "), "{text}");
    }

    #[test]
    fn a_variable_is_read_as_the_type_of_its_setting() {
        let config = with_variable("BOATHOUSE_ENGINE_SPILL_LIMIT_BYTES", "1_000").unwrap();
        assert_eq!(config.config().unwrap().engine.spill_limit_bytes, 1000);
        let config = with_variable("BOATHOUSE_S3_ALLOW_HTTP", "true").unwrap();
        assert!(config.config().unwrap().s3.allow_http);
        let text = message(with_variable("BOATHOUSE_ENGINE_THREADS", "four"));
        assert_eq!(text, "BOATHOUSE_ENGINE_THREADS: \"four\" is not a whole number");
    }

    #[test]
    fn an_unknown_variable_is_a_warning_that_names_the_nearest() {
        let settings = with_variable("BOATHOUSE_ENGINE_THREAD", "4").unwrap();
        let want =
            "BOATHOUSE_ENGINE_THREAD is not a setting; did you mean BOATHOUSE_ENGINE_THREADS?";
        assert_eq!(settings.warnings, [want]);
    }
}
