//! The folders at a target, from one recursive listing.
//!
//! What is kept of a folder is small whatever it holds: counts, and a few files of each kind to be
//! sampled. Files are not kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use super::glob::Exclusions;
use crate::Format;

/// Folders that are kept of one target.
const FOLDERS_MAX: usize = 2_000_000;
/// Kinds of files that are told apart in one folder.
const KINDS_MAX: usize = 8;
/// The newest commits of a Delta log that may be looked at.
const COMMITS_MAX: usize = 64;

/// A folder's position in its [`Tree`].
pub(super) type FolderId = usize;

/// The folders below a base.
pub(super) struct Tree {
    pub(super) base: Path,
    /// What is left out, of `root`.
    exclusions: Arc<Exclusions>,
    /// The target, which may be above the base.
    root: Path,
    folders: Vec<Folder>,
    ids: HashMap<(FolderId, Box<str>), FolderId>,
    /// All objects that were listed.
    pub(super) objects: u64,
    /// Whether there were more folders than can be kept.
    pub(super) is_cut: bool,
}

/// What is known of a folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) name: Box<str>,
    pub(super) parent: Option<FolderId>,
    /// Its folders, sorted by name.
    pub(super) children: Vec<FolderId>,
    /// The data files that are directly in it, by kind.
    pub(super) kinds: Vec<Kind>,
    /// Data files and table logs in it and below.
    pub(super) files: u64,
    /// Files that a pattern leaves out, directly in it.
    pub(super) excluded_here: u64,
    /// Files that a pattern leaves out, in it and below.
    pub(super) excluded: u64,
    pub(super) empty_files: u64,
    pub(super) delta: Option<Box<DeltaLog>>,
    /// The newest metadata file of an Iceberg table, with its number.
    pub(super) iceberg: Option<Box<(u64, File)>>,
}

/// The commits of a Delta table that may be looked at.
#[derive(Debug, Default)]
pub(super) struct DeltaLog {
    pub(super) newest: BTreeSet<String>,
    pub(super) first: Option<String>,
}

/// Files of one folder with names of one ending.
#[derive(Debug)]
pub(super) struct Kind {
    /// The format that the name tells.
    pub(super) format: Option<Format>,
    /// The last part of the name, for a message.
    pub(super) ending: Box<str>,
    pub(super) count: u64,
    first: File,
    last: File,
    newest: File,
    newest_ms: i64,
}

/// A file that may be sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) name: Arc<str>,
    pub(super) size: u64,
}

impl Tree {
    /// A tree of what is below `base`, without what `exclusions` leave out of `root`.
    pub(super) fn new(base: Path, root: Path, exclusions: Arc<Exclusions>) -> Self {
        let (folders, ids) = (vec![Folder::default()], HashMap::new());
        Self { base, exclusions, root, folders, ids, objects: 0, is_cut: false }
    }

    /// Adds everything at `prefix`, which is the base or below, in one listing.
    pub(super) async fn list(
        &mut self,
        store: &dyn ObjectStore,
        prefix: &Path,
        listed: impl Fn(u64),
    ) -> object_store::Result<()> {
        let mut objects = store.list(Some(prefix));
        while let Some(meta) = objects.try_next().await? {
            self.add(&meta);
            if self.objects.is_multiple_of(10_000) {
                listed(self.objects);
            }
        }
        Ok(())
    }

    /// Puts the folders in order, once everything is added.
    pub(super) fn finish(&mut self) {
        for id in (1..self.folders.len()).rev() {
            let (files, excluded) = (self.folders[id].files, self.folders[id].excluded);
            if let Some(parent) = self.folders[id].parent {
                self.folders[parent].files += files;
                self.folders[parent].excluded += excluded;
            }
        }
        for id in 0..self.folders.len() {
            let mut children = std::mem::take(&mut self.folders[id].children);
            children.sort_by(|a, b| self.folders[*a].name.cmp(&self.folders[*b].name));
            self.folders[id].children = children;
        }
    }

    fn add(&mut self, meta: &ObjectMeta) {
        let Some(parts) = meta.location.prefix_match(&self.base) else { return };
        let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
        let Some((name, folders)) = parts.split_last() else { return };
        self.objects += 1;
        let log = folders.iter().position(|folder| folder == "_delta_log");
        let place = &folders[..log.unwrap_or(folders.len())];
        let is_visible = place.iter().all(|part| is_visible(part))
            && (log.is_some() || is_visible(name) && !is_junk(name));
        if !is_visible {
            return;
        }
        let Some(id) = self.folder(place) else { return };
        if self.is_excluded(&meta.location) {
            self.folders[id].excluded += 1;
            self.folders[id].excluded_here += 1;
        } else if let Some(at) = log {
            self.folders[id].add_log((at + 1 == folders.len()).then_some(name));
        } else if meta.size == 0 {
            self.folders[id].empty_files += 1;
        } else {
            self.add_file(id, name, meta);
        }
    }

    pub(super) fn is_excluded(&self, path: &Path) -> bool {
        let relative = path.as_ref().strip_prefix(self.root.as_ref());
        relative.is_some_and(|path| self.exclusions.matches(path.trim_start_matches('/')))
    }

    fn add_file(&mut self, id: FolderId, name: &str, meta: &ObjectMeta) {
        let folder = &mut self.folders[id];
        folder.files += 1;
        let file = File { name: name.into(), size: meta.size };
        let is_metadata = &*folder.name == "metadata";
        let root = folder.parent.filter(|_| is_metadata);
        if let (Some(root), Some(number)) = (root, metadata_number(name)) {
            let root = &mut self.folders[root];
            let newer = root
                .iceberg
                .as_ref()
                .is_none_or(|known| (known.0, &known.1.name) < (number, &file.name));
            if newer {
                root.iceberg = Some(Box::new((number, file.clone())));
            }
        }
        self.folders[id].add(file, meta.last_modified.timestamp_millis());
    }

    /// The folder of this path, made if it isn't there; `None` if there are too many.
    fn folder(&mut self, parts: &[String]) -> Option<FolderId> {
        let mut id = 0;
        for part in parts {
            let key = (id, part.as_str().into());
            id = match self.ids.get(&key) {
                Some(known) => *known,
                None if self.folders.len() >= FOLDERS_MAX => {
                    self.is_cut = true;
                    return None;
                }
                None => {
                    let new = self.folders.len();
                    let name = part.as_str().into();
                    self.folders.push(Folder { name, parent: Some(id), ..Folder::default() });
                    self.folders[id].children.push(new);
                    self.ids.insert(key, new);
                    new
                }
            };
        }
        Some(id)
    }

    pub(super) fn get(&self, id: FolderId) -> &Folder {
        &self.folders[id]
    }

    pub(super) fn folder_count(&self) -> u64 {
        self.folders.len() as u64 - 1
    }

    /// The folder at `path` of the store, if there is anything in it.
    pub(super) fn find(&self, path: &Path) -> Option<&Folder> {
        let mut id = 0;
        for part in path.prefix_match(&self.base)? {
            id = *self.ids.get(&(id, part.as_ref().into()))?;
        }
        Some(&self.folders[id])
    }

    /// The folders below that have data, sorted by name.
    pub(super) fn with_data(&self, id: FolderId) -> impl Iterator<Item = FolderId> + '_ {
        let children = &self.folders[id].children;
        children.iter().copied().filter(|child| self.folders[*child].files > 0)
    }

    /// Whether any folder below has objects, those left out too.
    pub(super) fn has_below(&self, id: FolderId) -> bool {
        let children = &self.folders[id].children;
        children.iter().any(|child| {
            let child = &self.folders[*child];
            child.files + child.excluded > 0
        })
    }

    pub(super) fn path(&self, id: FolderId) -> Path {
        let mut names: Vec<&str> = Vec::new();
        let mut at = id;
        while let Some(parent) = self.folders[at].parent {
            names.push(&self.folders[at].name);
            at = parent;
        }
        names.reverse();
        below(&self.base, names)
    }
}

/// The path of `names` below `base`; they are raw, as they were listed.
pub(super) fn below<'a>(base: &Path, names: impl IntoIterator<Item = &'a str>) -> Path {
    let mut text = base.as_ref().to_owned();
    for name in names {
        text.push('/');
        text.push_str(name);
    }
    // What was listed is a path; only an empty name is not.
    Path::parse(&text).unwrap_or_else(|_| base.clone())
}

impl Folder {
    fn add_log(&mut self, name: Option<&String>) {
        self.files += 1;
        let log = self.delta.get_or_insert_default();
        let is_commit = |name: &&String| {
            name.strip_suffix(".json")
                .is_some_and(|stem| stem.len() == 20 && stem.bytes().all(|b| b.is_ascii_digit()))
        };
        let Some(commit) = name.filter(is_commit) else { return };
        if log.first.as_ref().is_none_or(|first| commit < first) {
            log.first = Some(commit.clone());
        }
        log.newest.insert(commit.clone());
        if log.newest.len() > COMMITS_MAX {
            log.newest.pop_first();
        }
    }

    fn add(&mut self, file: File, modified_ms: i64) {
        let (format, ending) = by_name(&file.name);
        let known = self.kinds.iter().position(|kind| *kind.ending == *ending);
        let at = known.or_else(|| (self.kinds.len() >= KINDS_MAX).then_some(KINDS_MAX - 1));
        let Some(at) = at else {
            self.kinds.push(Kind {
                format,
                ending: ending.into(),
                count: 1,
                last: file.clone(),
                newest: file.clone(),
                first: file,
                newest_ms: modified_ms,
            });
            return;
        };
        self.kinds[at].add(file, modified_ms);
    }

    /// How many data files are directly in it.
    pub(super) fn files_here(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.count).sum()
    }

    pub(super) fn newest_ms(&self) -> i64 {
        self.kinds.iter().map(|kind| kind.newest_ms).max().unwrap_or(i64::MIN)
    }

    /// The formats that the names of its files tell, the most frequent first.
    pub(super) fn formats(&self) -> Vec<(Option<Format>, u64)> {
        let mut counts: BTreeMap<&str, (Option<Format>, u64)> = BTreeMap::new();
        for kind in &self.kinds {
            let name = kind.format.map_or("", Format::as_str);
            counts.entry(name).or_insert((kind.format, 0)).1 += kind.count;
        }
        let mut counts: Vec<_> = counts.into_values().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.is_none().cmp(&b.0.is_none())));
        counts
    }
}

impl Kind {
    fn add(&mut self, file: File, modified_ms: i64) {
        self.count += 1;
        if (self.newest_ms, &self.newest.name) < (modified_ms, &file.name) {
            self.newest_ms = modified_ms;
            self.newest = file.clone();
        }
        if file.name < self.first.name {
            self.first = file;
        } else if self.last.name < file.name {
            self.last = file;
        }
    }

    /// Some files that stand for all: the first, the newest and the last.
    pub(super) fn samples(&self) -> Vec<&File> {
        let mut samples = vec![&self.first];
        for file in [&self.newest, &self.last] {
            if !samples.contains(&file) {
                samples.push(file);
            }
        }
        samples
    }
}

/// Spark, Hive and Delta hide files and folders by their first character.
fn is_visible(name: &str) -> bool {
    !name.starts_with('.') && (!name.starts_with('_') || name.contains('='))
}

/// What tools leave behind.
fn is_junk(name: &str) -> bool {
    name.ends_with("_$folder$") || name.ends_with(".crc")
}

/// The number in `v3.metadata.json` or `00003-UUID.metadata.json`.
fn metadata_number(name: &str) -> Option<u64> {
    let bare = name.strip_suffix(".gz").unwrap_or(name);
    let stem = bare.strip_suffix(".metadata.json")?;
    let stem = stem.strip_suffix(".gz").unwrap_or(stem);
    let stem = stem.strip_prefix('v').unwrap_or(stem);
    let digits = stem.split('-').next().unwrap_or(stem);
    digits.parse().ok()
}

/// The format that a file's name tells, as queries take it, and the ending that does.
pub(super) fn by_name(name: &str) -> (Option<Format>, String) {
    const CODECS: [&str; 4] = [".gz", ".zst", ".bz2", ".xz"];
    let lower = name.to_ascii_lowercase();
    let codec = CODECS.iter().find(|ending| lower.ends_with(**ending)).copied().unwrap_or("");
    let bare = &lower[..lower.len() - codec.len()];
    let Some((_, ending)) = bare.rsplit_once('.') else { return (None, codec.to_owned()) };
    let format = match ending {
        "parquet" | "parq" => Some(Format::Parquet),
        "csv" => Some(Format::Csv),
        "json" | "ndjson" | "jsonl" => Some(Format::Json),
        "avro" => Some(Format::Avro),
        "orc" => Some(Format::Orc),
        _ => None,
    };
    // Random endings are no kinds.
    let is_word = ending.len() <= 12 && ending.bytes().any(|b| b.is_ascii_alphabetic());
    let ending = if is_word { format!(".{ending}{codec}") } else { codec.to_owned() };
    (format, ending)
}

/// Whether a file that is listed is a data file.
pub(super) fn is_data(meta: &ObjectMeta) -> bool {
    meta.size > 0 && meta.location.filename().is_some_and(|name| is_visible(name) && !is_junk(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[(&str, i64)]) -> Folder {
        let mut folder = Folder::default();
        for (name, modified) in names {
            folder.add(File { name: (*name).into(), size: 1 }, *modified);
        }
        folder
    }

    #[test]
    fn the_first_the_last_and_the_newest_file_are_kept_in_any_order() {
        let mut names = [("a.csv", 1), ("b.csv", 9), ("c.csv", 3), ("d.csv", 2)];
        for _ in 0..names.len() {
            names.rotate_left(1);
            let folder = folder(&names);
            let mut samples: Vec<&str> =
                folder.kinds[0].samples().iter().map(|file| &*file.name).collect();
            samples.sort_unstable();
            assert_eq!(samples, ["a.csv", "b.csv", "d.csv"]);
            assert_eq!((folder.files_here(), folder.newest_ms()), (4, 9));
        }
    }

    #[test]
    fn the_number_of_iceberg_metadata_is_in_its_name() {
        assert_eq!(metadata_number("v12.metadata.json"), Some(12));
        assert_eq!(metadata_number("00003-0a1b.gz.metadata.json"), Some(3));
        assert_eq!(metadata_number("00004-0a1b.metadata.json.gz"), Some(4));
        assert_eq!(metadata_number("snap-1.avro"), None);
    }
}
