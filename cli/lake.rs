//! The lake that a run works on.

use std::path::{Path, PathBuf};

use boathouse_engine::Engine;
use tempfile::TempDir;

use crate::client::{Connection, Remote};
use crate::config::{self, Config};
use crate::failure::{Failure, Result};
use crate::statements::{literal, quoted};

/// How deep below a folder its first file is looked for: partitions nest.
const FOLDER_DEPTH_MAX: usize = 16;

/// A connection, with the engine behind it where that is in this process.
pub(crate) struct Lake {
    connection: Connection,
    engine: Option<Engine>,
}

impl Lake {
    /// The lake that is served at `url`, or the one that `config` names.
    pub(crate) async fn open(url: Option<&str>, config: &Config) -> Result<Self> {
        if let Some(url) = url {
            let connection = Connection::Remote(Remote::connect(url).await?);
            return Ok(Self { connection, engine: None });
        }
        let engine = Engine::open(config.engine()?).await?;
        let connection = Connection::Embedded(engine.session());
        Ok(Self { connection, engine: Some(engine) })
    }

    /// To run statements on it.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Ends everything that is running.
    pub(crate) async fn close(self) {
        self.connection.close().await;
        if let Some(engine) = self.engine {
            engine.close().await;
        }
    }
}

/// A fresh lake, which lives as long as the folder that comes back.
pub(crate) fn temporary_folder(config: &mut Config) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("boathouse-").tempdir();
    let folder = folder.map_err(|error| Failure::io("create a temporary folder", &error))?;
    config.data_dir = folder.path().to_owned();
    Ok(folder)
}

/// Whether `path` may be opened as a table, before a lake is made for it.
pub(crate) fn check_file(path: &Path) -> Result<()> {
    if !path.exists() {
        let verbs = ["sql", "serve", "demo", "config"];
        let nearest = path.to_str().and_then(|word| crate::style::nearest(word, verbs));
        let hint = nearest.map(|verb| format!("; did you mean `boathouse {verb}`?"));
        return Err(Failure::Usage(format!(
            "there is no file {path:?}{}",
            hint.unwrap_or_default()
        )));
    }
    data_format(path).map(drop)
}

/// Makes `path` a table that is named after it.
pub(crate) async fn open_file(connection: &Connection, path: &Path) -> Result<()> {
    let format = data_format(path)?;
    let name = table_name(path)?;
    let mut location = config::path_text(&config::absolute(path)?)?;
    if path.is_dir() && !location.ends_with('/') {
        location.push('/');
    }
    let sql = format!(
        "CREATE EXTERNAL TABLE IF NOT EXISTS {} STORED AS {format} LOCATION {}{}",
        quoted(&name),
        literal(&location),
        if format == "CSV" { " OPTIONS ('format.has_header' 'true')" } else { "" }
    );
    connection.prepare(&sql).await?.execute().await?;
    anstream::eprintln!("{} is the table {}", path.display(), quoted(&name));
    Ok(())
}

/// The word behind STORED AS for the data in `path`.
fn data_format(path: &Path) -> Result<&'static str> {
    let wanted = "wanted is a .parquet, .csv, .json, .ndjson or .jsonl file, or a folder of them";
    if !path.is_dir() {
        return format_of_name(path)
            .ok_or_else(|| Failure::Usage(format!("cannot open {path:?}: {wanted}")));
    }
    if path.join("_delta_log").is_dir() {
        return Ok("DELTA");
    }
    first_format(path, FOLDER_DEPTH_MAX)
        .ok_or_else(|| Failure::Usage(format!("cannot open {path:?}, which has no data: {wanted}")))
}

/// The format of the first data file below `folder`.
fn first_format(folder: &Path, depth: usize) -> Option<&'static str> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.iter().filter(|path| !is_hidden(path)).find_map(|path| match path.is_dir() {
        true => depth.checked_sub(1).and_then(|depth| first_format(path, depth)),
        false => format_of_name(path),
    })
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| name.starts_with(['.', '_']))
}

fn format_of_name(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "parquet" => Some("PARQUET"),
        "csv" => Some("CSV"),
        "json" | "ndjson" | "jsonl" => Some("JSON"),
        _ => None,
    }
}

/// The stem of a file's name as an SQL name.
fn table_name(path: &Path) -> Result<String> {
    let path = config::absolute(path)?;
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = name.unwrap_or_default();
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or_default();
    let mut name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_after_its_file() {
        let name = |path: &str| table_name(Path::new(path)).unwrap();
        assert_eq!(name("data/Flights-2013.csv.gz"), "flights_2013");
        assert_eq!(name("2013.parquet"), "_2013");
        assert_eq!(name("data/trips/"), "trips");
    }

    #[test]
    fn the_format_is_told_by_the_name_or_the_first_file() {
        assert_eq!(format_of_name(Path::new("A.PARQUET")), Some("PARQUET"));
        assert_eq!(format_of_name(Path::new("a.jsonl.zst")), Some("JSON"));
        assert_eq!(format_of_name(Path::new("a.txt")), None);

        let folder = tempfile::tempdir().unwrap();
        let day = folder.path().join("day=1");
        std::fs::create_dir(&day).unwrap();
        assert!(data_format(folder.path()).is_err());
        std::fs::write(folder.path().join("_SUCCESS.json"), "").unwrap();
        std::fs::write(day.join("a.csv"), "").unwrap();
        assert_eq!(data_format(folder.path()).unwrap(), "CSV");
        std::fs::create_dir(folder.path().join("_delta_log")).unwrap();
        assert_eq!(data_format(folder.path()).unwrap(), "DELTA");
    }

    #[test]
    fn a_misspelt_verb_is_noticed() {
        let Failure::Usage(text) = check_file(Path::new("serv")).unwrap_err() else { panic!() };
        assert_eq!(text, "there is no file \"serv\"; did you mean `boathouse serve`?");
    }
}
