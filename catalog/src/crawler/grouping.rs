//! Grouping: which folders are one table, and why.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::StreamExt as _;
use object_store::path::Path;
use url::Url;

use super::codec::Codec;
use super::keys::{self, Level};
use super::lakes::{self, LakeTable};
use super::listing::{File, FolderId, Tree, below, by_name, is_data};
use super::notes::Notes;
use super::sample::Sampler;
use super::schema::{Clash, Shape};
use super::spec::{folder_url_of, url_of};
use crate::partition::identity;
use crate::{Column, DataFile, Format, MAX_VALUES_BYTES};

/// Folders of a table that are sampled.
const FOLDERS_SAMPLED: usize = 10;
/// Files of one folder that are sampled.
const FILES_SAMPLED: usize = 2;
/// Samples that are read at once.
const AT_ONCE: usize = 8;
/// Files of unlike schemas in one folder that become a table each.
const FILE_TABLES_MAX: u64 = 32;
/// Folders of unlike schemas that become a table each where their names are values.
const SPLIT_MAX: usize = 100;
/// The share of the sampled folders that must be alike to be one table.
const MAJORITY: f64 = 0.7;
/// Files that a table keeps a list of.
const LISTED_FILES_MAX: usize = 100_000;
/// What is read of one commit of a Delta log, and of Iceberg metadata.
const COMMIT_MAX: u64 = 4 << 20;
const METADATA_MAX: u64 = 32 << 20;

/// A table that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) location: String,
    /// The name of its folder or file, then those of the folders around it.
    pub(super) names: Vec<String>,
    pub(super) shape: Shape,
    pub(super) keys: Vec<Column>,
    /// Where its files are; `None` if the table itself knows.
    pub(super) places: Option<Vec<Place>>,
    pub(super) clashes: Vec<Clash>,
    pub(super) parameters: BTreeMap<String, String>,
    /// Why it is a table.
    pub(super) reason: String,
}

/// One partition that was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) values: Vec<Option<String>>,
    pub(super) location: String,
    pub(super) files: Option<Vec<DataFile>>,
}

/// What a grouping may do.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Whether sibling folders are one table whatever their names.
    pub(super) combines: bool,
    pub(super) dates: bool,
    /// The locations of partitions that need not be sampled if others are there.
    pub(super) known: &'a HashSet<String>,
}

/// The work on one target.
pub(super) struct Grouping<'a> {
    pub(super) tree: &'a Tree,
    pub(super) sampler: &'a Sampler,
    /// Any URL of the target's store.
    pub(super) url: &'a Url,
    pub(super) rules: Rules<'a>,
    pub(super) notes: &'a mut Notes,
    pub(super) found: Vec<Found>,
    /// Listings of single folders.
    pub(super) listings: u64,
}

/// The folders in a folder, by what their names are.
#[derive(Default)]
struct Members {
    keyed: BTreeMap<String, Vec<FolderId>>,
    valued: Vec<FolderId>,
    named: Vec<FolderId>,
}

/// A folder with files in a partitioned table.
struct Leaf {
    folder: FolderId,
    values: Vec<Option<String>>,
}

/// What was sampled of a leaf.
struct Sample {
    leaf: usize,
    shapes: Vec<Shape>,
}

/// What became of folders that may be the partitions of one table.
enum Outcome {
    /// They are, or were left out; these below are tables of their own.
    Done(Vec<FolderId>),
    /// They are not.
    Apart,
}

impl Grouping<'_> {
    /// Finds the tables at the base and below, sorted by location.
    pub(super) async fn run(&mut self, progress: impl Fn(usize)) {
        let mut queue = vec![0];
        while let Some(folder) = queue.pop() {
            let mut next = self.visit(folder).await;
            next.reverse();
            queue.extend(next);
            progress(self.found.len());
        }
        self.found.sort_by(|a, b| a.location.cmp(&b.location));
    }

    /// Finds the tables of one folder; returns the folders in it that are to be visited.
    async fn visit(&mut self, id: FolderId) -> Vec<FolderId> {
        if self.tree.get(id).delta.is_some() {
            self.delta(id).await;
            return Vec::new();
        }
        if self.tree.get(id).iceberg.is_some() && self.iceberg(id).await {
            return Vec::new();
        }
        let mut members = self.members(id);
        if self.rules.combines && members.keyed.is_empty() {
            let all: Vec<FolderId> = members.valued.iter().chain(&members.named).copied().collect();
            let all: Vec<FolderId> = all.into_iter().filter(|id| !self.is_lake(*id)).collect();
            if all.len() > 1
                && let Outcome::Done(mut nested) = self.partitions(id, &all, true).await
            {
                self.note_files_beside(id);
                nested.extend(members.named.iter().filter(|id| self.is_lake(**id)));
                return nested;
            }
        }
        let is_partitioned = self.partition_groups(id, &mut members).await;
        if is_partitioned {
            self.note_files_beside(id);
        } else if self.tree.get(id).files_here() > 0 {
            self.files(id).await;
        }
        if members.named.len() > 1 && !self.rules.combines {
            self.note_apart(id, &members.named);
        }
        members.named
    }

    fn members(&self, id: FolderId) -> Members {
        let mut members = Members::default();
        for child in self.tree.with_data(id) {
            match keys::level(&self.tree.get(child).name).0 {
                _ if self.is_lake(child) => members.named.push(child),
                Level::Key(key) => members.keyed.entry(key).or_default().push(child),
                Level::Value => members.valued.push(child),
                Level::Name => members.named.push(child),
            }
        }
        members
    }

    fn is_lake(&self, id: FolderId) -> bool {
        self.tree.get(id).delta.is_some() || self.tree.get(id).iceberg.is_some()
    }

    /// Makes a table of the folders whose names are keys or values; says whether there is one.
    /// What else is to be visited goes to the named.
    async fn partition_groups(&mut self, id: FolderId, members: &mut Members) -> bool {
        let largest = members.keyed.iter().max_by_key(|(_, folders)| folders.len());
        let Some(key) = largest.map(|(key, _)| key.clone()) else {
            let valued = std::mem::take(&mut members.valued);
            return !valued.is_empty() && self.value_group(id, valued, members).await;
        };
        let folders = members.keyed.remove(&key).unwrap_or_default();
        let others = members.keyed.values().flatten().chain(&members.valued);
        for other in others.copied().collect::<Vec<_>>() {
            let text = format!("left out: it is beside folders named {key}=…");
            self.note(other, text + " and would be no partition of their table");
        }
        if let Outcome::Done(nested) = self.partitions(id, &folders, false).await {
            members.named.extend(nested);
        }
        true
    }

    async fn value_group(
        &mut self,
        id: FolderId,
        valued: Vec<FolderId>,
        members: &mut Members,
    ) -> bool {
        match self.partitions(id, &valued, false).await {
            Outcome::Done(nested) => {
                members.named.extend(nested);
                true
            }
            Outcome::Apart if valued.len() <= SPLIT_MAX => {
                members.named.extend(valued);
                false
            }
            Outcome::Apart => {
                let count = valued.len();
                self.note(
                    id,
                    format!("left out: its {count} folders are too many to be a table each"),
                );
                true
            }
        }
    }

    /// Makes one table of `members` and what is below them, if they are alike.
    async fn partitions(&mut self, id: FolderId, members: &[FolderId], any: bool) -> Outcome {
        let (groups, nested) = self.leaves(members, any);
        let is_keyed = members
            .iter()
            .any(|member| matches!(keys::level(&self.tree.get(*member).name).0, Level::Key(_)));
        let chosen = groups
            .iter()
            .filter(|(levels, _)| !levels.contains(&Level::Name))
            .max_by_key(|(levels, leaves)| (leaves.len(), std::cmp::Reverse((*levels).clone())))
            .map(|(levels, _)| levels.clone());
        let Some(levels) = chosen else {
            if !is_keyed && !groups.is_empty() {
                return Outcome::Apart;
            }
            self.note_levels(&groups, None);
            return Outcome::Done(nested);
        };
        let mut groups = groups;
        let leaves = groups.remove(&levels).unwrap_or_default();
        let leaves = self.without_nested(leaves);
        if !is_keyed && self.share_of_one_format(&leaves) < MAJORITY {
            self.note(id, "not one table: its folders have files of several formats".into());
            return Outcome::Apart;
        }
        let (format, leaves) = self.of_one_format(leaves);
        let samples = self.sample(&leaves, format).await;
        let needs_likeness = !is_keyed;
        let Some((shape, clashes, strangers)) = self.merge(&leaves, &samples, needs_likeness)
        else {
            if needs_likeness && !samples.is_empty() && !leaves.is_empty() {
                return Outcome::Apart;
            }
            self.note(id, "left out: no file of its folders could be recognised".into());
            return Outcome::Done(nested);
        };
        self.note_levels(&groups, Some(&levels));
        let leaves: Vec<Leaf> = leaves
            .into_iter()
            .enumerate()
            .filter(|(index, _)| !strangers.contains(index))
            .map(|(_, leaf)| leaf)
            .collect();
        self.push_partitioned(id, &levels, leaves, samples.len(), (shape, clashes));
        Outcome::Done(nested)
    }

    /// The folders with files below `members`, by the levels that lead to them; and the tables of
    /// their own among them.
    fn leaves(
        &self,
        members: &[FolderId],
        any: bool,
    ) -> (BTreeMap<Vec<Level>, Vec<Leaf>>, Vec<FolderId>) {
        let mut groups: BTreeMap<Vec<Level>, Vec<Leaf>> = BTreeMap::new();
        let mut lakes = Vec::new();
        let mut stack: Vec<(FolderId, Vec<Level>, Vec<Option<String>>)> =
            members.iter().rev().map(|member| (*member, Vec::new(), Vec::new())).collect();
        while let Some((folder, mut levels, mut values)) = stack.pop() {
            if self.is_lake(folder) {
                lakes.push(folder);
                continue;
            }
            let (level, value) = keys::level(&self.tree.get(folder).name);
            levels.push(if any && level == Level::Name { Level::Value } else { level });
            values.push(value);
            let children: Vec<FolderId> = self.tree.with_data(folder).collect();
            for child in children.into_iter().rev() {
                stack.push((child, levels.clone(), values.clone()));
            }
            if self.tree.get(folder).files_here() > 0 {
                groups.entry(levels).or_default().push(Leaf { folder, values });
            }
        }
        (groups, lakes)
    }

    /// Leaves without those that have folders with files: these would be read with them.
    fn without_nested(&mut self, leaves: Vec<Leaf>) -> Vec<Leaf> {
        let (nested, plain): (Vec<Leaf>, Vec<Leaf>) =
            leaves.into_iter().partition(|leaf| self.tree.has_below(leaf.folder));
        for leaf in nested {
            let text = "left out: it has files and folders with files, which queries would mix";
            self.note(leaf.folder, text.into());
        }
        plain
    }

    /// The share of the leaves whose files are mostly of one format, of the commonest.
    fn share_of_one_format(&self, leaves: &[Leaf]) -> f64 {
        let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for leaf in leaves {
            if let Some((format, _)) = self.tree.get(leaf.folder).formats().first() {
                *counts.entry(format.map(Format::as_str)).or_default() += 1;
            }
        }
        let most = counts.values().copied().max().unwrap_or(0);
        most as f64 / leaves.len().max(1) as f64
    }

    /// The format that most leaves have files of, and these leaves.
    fn of_one_format(&mut self, leaves: Vec<Leaf>) -> (Option<Format>, Vec<Leaf>) {
        let mut counts: BTreeMap<&str, (usize, Option<Format>)> = BTreeMap::new();
        for leaf in &leaves {
            if let Some((format, _)) = self.tree.get(leaf.folder).formats().first() {
                counts.entry(format.map_or("", Format::as_str)).or_insert((0, *format)).0 += 1;
            }
        }
        let format = counts.into_values().max_by_key(|(count, _)| *count).and_then(|(_, f)| f);
        let has =
            |leaf: &Leaf| self.tree.get(leaf.folder).kinds.iter().any(|kind| kind.format == format);
        let (kept, others): (Vec<Leaf>, Vec<Leaf>) = leaves.into_iter().partition(has);
        for leaf in others {
            let name = format.map_or("nameless", Format::as_str);
            self.note(leaf.folder, format!("left out: it has no {name} files, as others have"));
        }
        (format, kept)
    }

    async fn sample(&mut self, leaves: &[Leaf], format: Option<Format>) -> Vec<Sample> {
        let chosen = self.chosen(leaves);
        let mut jobs = Vec::new();
        for leaf in chosen {
            let folder = self.tree.get(leaves[leaf].folder);
            let path = self.tree.path(leaves[leaf].folder);
            let kinds = folder.kinds.iter().filter(|kind| kind.format == format);
            let files = kinds.flat_map(|kind| kind.samples()).take(FILES_SAMPLED);
            jobs.extend(files.map(|file| (leaf, below(&path, [&*file.name]), file.size)));
        }
        let mut samples: BTreeMap<usize, Sample> = BTreeMap::new();
        for (leaf, path, shape) in self.shapes(jobs).await {
            match shape {
                Ok(shape) => {
                    let new = || Sample { leaf, shapes: Vec::new() };
                    samples.entry(leaf).or_insert_with(new).shapes.push(shape);
                }
                Err(fault) => self.note_file(&path, &format!("not recognised: {fault}")),
            }
        }
        samples.into_values().collect()
    }

    /// The leaves to sample: of those that aren't known the first, the last, some between and the
    /// newest.
    fn chosen(&self, leaves: &[Leaf]) -> BTreeSet<usize> {
        let is_known = |leaf: &Leaf| {
            !self.rules.known.is_empty() && self.rules.known.contains(&self.folder_url(leaf.folder))
        };
        let mut among: Vec<usize> =
            (0..leaves.len()).filter(|index| !is_known(&leaves[*index])).collect();
        if among.is_empty() {
            among = (0..leaves.len().min(1)).collect();
        }
        let newest = among
            .iter()
            .copied()
            .max_by_key(|index| (self.tree.get(leaves[*index].folder).newest_ms(), *index));
        let count = among.len().min(FOLDERS_SAMPLED - 1);
        let spread = (0..count).map(|n| match count {
            1 => among[0],
            _ => among[n * (among.len() - 1) / (count - 1)],
        });
        spread.chain(newest).collect()
    }

    async fn shapes<T: Send>(
        &self,
        jobs: Vec<(T, Path, u64)>,
    ) -> Vec<(T, Path, Result<Shape, String>)> {
        let jobs: Vec<_> = jobs
            .into_iter()
            .map(|(tag, path, size)| async move {
                let shape = self.sampler.shape(&path, size).await;
                (tag, path, shape)
            })
            .collect();
        futures::stream::iter(jobs).buffered(AT_ONCE).collect().await
    }

    /// One shape of all samples, what didn't fit, and the leaves that are of another table.
    /// `None` if there are no samples, or if too many are unlike.
    fn merge(
        &mut self,
        leaves: &[Leaf],
        samples: &[Sample],
        needs_likeness: bool,
    ) -> Option<(Shape, Vec<Clash>, BTreeSet<usize>)> {
        let mut clusters: Vec<(&Shape, Vec<usize>)> = Vec::new();
        for (index, sample) in samples.iter().enumerate() {
            let shape = sample.shapes.first()?;
            let fits = |known: &Shape| match needs_likeness {
                true => known.is_compatible(shape).is_ok(),
                false => reads_alike(known, shape),
            };
            match clusters.iter_mut().find(|(known, _)| fits(known)) {
                Some((_, members)) => members.push(index),
                None => clusters.push((shape, vec![index])),
            }
        }
        let largest = clusters.iter().map(|(_, members)| members.len()).max()?;
        let at = clusters.iter().position(|(_, members)| members.len() == largest)?;
        let (model, members) = clusters.swap_remove(at);
        let share = members.len() as f64 / samples.len() as f64;
        for (other, strangers) in &clusters {
            let why = model.is_compatible(other).err().unwrap_or_default();
            for stranger in strangers {
                let folder = leaves[samples[*stranger].leaf].folder;
                let text = match needs_likeness && share < MAJORITY {
                    true => format!("not one table with the folders beside it: {why}"),
                    false => format!("left out: it is unlike most folders beside it: {why}"),
                };
                self.note(folder, text);
            }
        }
        if needs_likeness && share < MAJORITY {
            return None;
        }
        let (shape, clashes) = self.join(leaves, members.iter().map(|index| &samples[*index]));
        let strangers = clusters.iter().flat_map(|(_, strangers)| strangers);
        let strangers = strangers.map(|index| samples[*index].leaf).collect();
        Some((shape?, clashes, strangers))
    }

    fn join<'s>(
        &self,
        leaves: &[Leaf],
        samples: impl Iterator<Item = &'s Sample>,
    ) -> (Option<Shape>, Vec<Clash>) {
        let mut merged: Option<Shape> = None;
        let mut clashes = Vec::new();
        for sample in samples {
            let location = self.folder_url(leaves[sample.leaf].folder);
            for shape in &sample.shapes {
                match &mut merged {
                    None => merged = Some(shape.clone()),
                    Some(known) if reads_alike(known, shape) => {
                        clashes.extend(known.merge(shape, &location, self.rules.dates));
                    }
                    Some(_) => {}
                }
            }
        }
        (merged, clashes)
    }

    fn push_partitioned(
        &mut self,
        id: FolderId,
        levels: &[Level],
        leaves: Vec<Leaf>,
        sampled: usize,
        (mut shape, clashes): (Shape, Vec<Clash>),
    ) {
        let leaves = self.with_one_value_each(leaves);
        let keys = keys::keys(levels, leaves.iter().map(|leaf| leaf.values.as_slice()));
        let names: HashSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        if names.len() < keys.len() || leaves.is_empty() {
            self.note(id, "left out: two levels of its folders have the same key".into());
            return;
        }
        let is_key = |column: &Column| names.contains(column.name.to_lowercase().as_str());
        match shape.csv.is_some() {
            // Columns of CSV are read by position, so all must stay.
            true => shape
                .columns
                .iter_mut()
                .filter(|column| is_key(column))
                .for_each(|column| column.name.push_str("_in_file")),
            false => shape.columns.retain(|column| !is_key(column)),
        }
        let shown: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        let reason = format!(
            "{} folders of {} files are its partitions by {} ({sampled} sampled)",
            leaves.len(),
            shape.format,
            shown.join(", "),
        );
        let places = leaves.into_iter().map(|leaf| Place {
            location: self.folder_url(leaf.folder),
            values: leaf.values,
            files: None,
        });
        let places = Some(places.collect());
        let (location, names) = (self.folder_url(id), self.names(id));
        self.remark(&location, &shape, &reason);
        let parameters = BTreeMap::new();
        self.found.push(Found {
            location,
            names,
            shape,
            keys,
            places,
            clashes,
            parameters,
            reason,
        });
    }

    /// Leaves without those whose values another has, or that no catalog keeps.
    fn with_one_value_each(&mut self, leaves: Vec<Leaf>) -> Vec<Leaf> {
        let mut seen = HashSet::new();
        let mut kept = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let identity = identity(&leaf.values);
            let has_nul = leaf.values.iter().flatten().any(|value| value.contains('\0'));
            if has_nul || identity.len() > MAX_VALUES_BYTES {
                self.note(leaf.folder, "left out: its value is too long or is no text".into());
            } else if !seen.insert(identity) {
                self.note(leaf.folder, "left out: another folder has the same values".into());
            } else {
                kept.push(leaf);
            }
        }
        kept
    }

    /// Makes tables of the files that are directly in a folder.
    async fn files(&mut self, id: FolderId) {
        let path = self.tree.path(id);
        let kinds = &self.tree.get(id).kinds;
        let jobs = kinds.iter().enumerate().flat_map(|(index, kind)| {
            let path = path.clone();
            let files = kind.samples().into_iter();
            files.map(move |file| (index, below(&path, [&*file.name]), file.size))
        });
        let mut shapes: Vec<(usize, Shape)> = Vec::new();
        for (kind, path, shape) in self.shapes(jobs.collect()).await {
            match shape {
                Ok(shape) => shapes.push((kind, shape)),
                Err(fault) => self.note_file(&path, &format!("not recognised: {fault}")),
            }
        }
        let Some((_, model)) = shapes.first() else { return };
        let unlike = shapes.iter().find_map(|(_, shape)| model.is_compatible(shape).err());
        let Some(why) = unlike else {
            self.push_folder(id, shapes).await;
            return;
        };
        if self.tree.get(id).files_here() <= FILE_TABLES_MAX {
            self.note(id, format!("its files are a table each: {why}"));
            self.file_tables(id).await;
        } else {
            self.largest_format(id, shapes, &why).await;
        }
    }

    /// Makes one table of the format that most files of a folder have, if these are alike.
    async fn largest_format(&mut self, id: FolderId, shapes: Vec<(usize, Shape)>, why: &str) {
        let folder = self.tree.get(id);
        let format =
            folder.formats().into_iter().map(|(format, _)| format).find(|format| {
                shapes.iter().any(|(kind, _)| folder.kinds[*kind].format == *format)
            });
        let kinds = &folder.kinds;
        let shapes: Vec<(usize, Shape)> =
            shapes.into_iter().filter(|(kind, _)| Some(kinds[*kind].format) == format).collect();
        let is_alike = shapes
            .first()
            .is_some_and(|(_, model)| shapes.iter().all(|(_, s)| model.is_compatible(s).is_ok()));
        if !is_alike {
            let text = "left out: its files are unlike and too many to be a table each";
            self.note(id, format!("{text}: {why}"));
            return;
        }
        self.note(id, format!("only its {} files are a table: {why}", shapes[0].1.format));
        self.push_folder(id, shapes).await;
    }

    /// Makes one table of the files that are directly in a folder.
    async fn push_folder(&mut self, id: FolderId, shapes: Vec<(usize, Shape)>) {
        let location = self.folder_url(id);
        let folder = self.tree.get(id);
        let formats: Vec<Option<Format>> =
            shapes.iter().map(|(kind, _)| folder.kinds[*kind].format).collect();
        let count: u64 = folder
            .kinds
            .iter()
            .filter(|kind| formats.contains(&kind.format))
            .map(|kind| kind.count)
            .sum();
        // Queries of the folder would read what is left out, and the folders in it.
        let files = match self.tree.has_below(id) || folder.excluded_here > 0 {
            false => None,
            true => match self.listed(id, &formats).await {
                Some(files) => Some(files),
                None => return,
            },
        };
        let sampled = shapes.len();
        let mut shapes = shapes.into_iter().map(|(_, shape)| shape);
        let Some(mut shape) = shapes.next() else { return };
        let mut clashes = Vec::new();
        for other in shapes {
            clashes.extend(shape.merge(&other, &location, self.rules.dates));
        }
        let reason = format!("{count} {} files of alike schemas ({sampled} sampled)", shape.format);
        self.push(id, location, (shape, clashes), files, reason);
    }

    fn push(
        &mut self,
        id: FolderId,
        location: String,
        (shape, clashes): (Shape, Vec<Clash>),
        files: Option<Vec<DataFile>>,
        reason: String,
    ) {
        self.remark(&location, &shape, &reason);
        self.found.push(Found {
            places: Some(vec![Place { values: Vec::new(), location: location.clone(), files }]),
            location,
            names: self.names(id),
            shape,
            keys: Vec::new(),
            clashes,
            parameters: BTreeMap::new(),
            reason,
        });
    }

    /// The data files directly in a folder, of formats that their names tell.
    async fn listed(&mut self, id: FolderId, formats: &[Option<Format>]) -> Option<Vec<DataFile>> {
        let metas = self.list_folder(id).await?;
        if metas.len() > LISTED_FILES_MAX {
            self.note(id, "left out: too many files beside folders with files".into());
            return None;
        }
        let is_of = |name: &str| formats.contains(&by_name(name).0);
        let files = metas.into_iter().filter(|meta| meta.location.filename().is_some_and(is_of));
        let files = files.map(|meta| DataFile {
            path: url_of(self.url, &meta.location).to_string(),
            size_bytes: meta.size,
            etag: meta.e_tag,
            modified_at_ms: meta.last_modified.timestamp_millis(),
            statistics: None,
        });
        Some(files.collect())
    }

    /// The data files directly in a folder, sorted by name; a listing of its own.
    async fn list_folder(&mut self, id: FolderId) -> Option<Vec<object_store::ObjectMeta>> {
        self.listings += 1;
        let path = self.tree.path(id);
        match self.sampler.store.list_with_delimiter(Some(&path)).await {
            Ok(listed) => {
                let mut files: Vec<_> = listed.objects;
                files.retain(|meta| is_data(meta) && !self.tree.is_excluded(&meta.location));
                files.sort_by(|a, b| a.location.cmp(&b.location));
                Some(files)
            }
            Err(error) => {
                self.note(id, format!("left out: it cannot be listed: {}", crate::chain(&error)));
                None
            }
        }
    }

    /// Makes a table of each file that is directly in a folder.
    async fn file_tables(&mut self, id: FolderId) {
        let Some(metas) = self.list_folder(id).await else { return };
        let jobs = metas.into_iter().map(|meta| ((), meta.location, meta.size)).collect();
        for ((), path, shape) in self.shapes(jobs).await {
            match shape {
                Ok(shape) => self.push_file(id, &path, shape),
                // It was noted if it was sampled before, and once is enough.
                Err(fault) => self.note_file(&path, &format!("not recognised: {fault}")),
            }
        }
    }

    /// Finds the table that the target is, which is one file.
    pub(super) async fn file(&mut self, path: &Path, size: u64) {
        match self.sampler.shape(path, size).await {
            Ok(shape) => self.push_file(0, path, shape),
            Err(fault) => self.note_file(path, &format!("not recognised: {fault}")),
        }
    }

    /// Makes a table of one file.
    fn push_file(&mut self, id: FolderId, path: &Path, shape: Shape) {
        let location = url_of(self.url, path).to_string();
        let reason = format!("one {} file", shape.format);
        self.push(id, location, (shape, Vec::new()), None, reason);
        let name = path.filename().unwrap_or_default();
        let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or(name).to_owned();
        if let Some(found) = self.found.last_mut() {
            found.names.insert(0, stem);
        }
    }

    async fn delta(&mut self, id: FolderId) {
        let Some(log) = &self.tree.get(id).delta else { return };
        let folder = below(&self.tree.path(id), ["_delta_log"]);
        let mut table = None;
        let mut is_first = false;
        for commit in log.newest.iter().rev().chain(&log.first) {
            let path = below(&folder, [commit.as_str()]);
            let Ok(bytes) = self.sampler.read(&path, 0, COMMIT_MAX).await else { continue };
            table = lakes::delta_metadata(&String::from_utf8_lossy(&bytes));
            if table.is_some() {
                is_first = !log.newest.contains(commit);
                break;
            }
        }
        if table.is_none() {
            self.note(id, "its columns are in no commit that was read; its log has them".into());
        } else if is_first {
            self.note(
                id,
                "its columns are those of its first commit; its log may have more".into(),
            );
        }
        let unknown = || LakeTable { shape: Shape::new(Format::Delta, vec![]), keys: vec![] };
        let table = table.unwrap_or_else(unknown);
        self.push_lake(id, table, BTreeMap::new(), "a folder _delta_log is in it".into());
    }

    async fn iceberg(&mut self, id: FolderId) -> bool {
        let Some(newest) = &self.tree.get(id).iceberg else { return false };
        let File { name, size } = &newest.1;
        let path = below(&self.tree.path(id), ["metadata", name]);
        let table = match self.sampler.read(&path, 0, (*size).min(METADATA_MAX)).await {
            Ok(bytes) => Codec::of(&bytes)
                .decompress(&bytes, METADATA_MAX as usize)
                .and_then(|text| lakes::iceberg_metadata(&text)),
            Err(_) => None,
        };
        let Some(table) = table else {
            self.note_file(&path, "not recognised: it is no Iceberg metadata");
            return false;
        };
        let parameters = BTreeMap::from([
            ("table_type".to_owned(), "ICEBERG".to_owned()),
            ("metadata_location".to_owned(), url_of(self.url, &path).to_string()),
        ]);
        let reason = format!("the newest Iceberg metadata in it is {name}");
        self.push_lake(id, table, parameters, reason);
        true
    }

    fn push_lake(
        &mut self,
        id: FolderId,
        table: LakeTable,
        parameters: BTreeMap<String, String>,
        reason: String,
    ) {
        self.found.push(Found {
            location: self.folder_url(id),
            names: self.names(id),
            shape: table.shape,
            keys: table.keys,
            places: None,
            clashes: Vec::new(),
            parameters,
            reason,
        });
    }

    fn folder_url(&self, id: FolderId) -> String {
        folder_url_of(self.url, &self.tree.path(id)).to_string()
    }

    /// The name of a folder and those around it, innermost first.
    fn names(&self, id: FolderId) -> Vec<String> {
        let path = self.tree.path(id);
        let mut names: Vec<String> = path.parts().map(|part| part.as_ref().to_owned()).collect();
        names.reverse();
        names.extend(self.url.host_str().map(str::to_owned));
        names
    }

    fn note(&mut self, id: FolderId, text: String) {
        let location = self.folder_url(id);
        self.notes.add(location, text);
    }

    fn note_file(&mut self, path: &Path, text: &str) {
        self.notes.add(url_of(self.url, path).to_string(), text.to_owned());
    }

    fn remark(&mut self, location: &str, shape: &Shape, reason: &str) {
        self.notes.add(location.to_owned(), format!("one table: {reason}"));
        if let Some(remark) = &shape.remark {
            self.notes.add(location.to_owned(), remark.clone());
        }
    }

    fn note_files_beside(&mut self, id: FolderId) {
        let count = self.tree.get(id).files_here();
        if count > 0 {
            let text = "left out: files beside folders that are partitions";
            self.note(id, format!("{text} ({count}); move them into a partition"));
        }
    }

    fn note_apart(&mut self, id: FolderId, named: &[FolderId]) {
        let names: Vec<&str> =
            named.iter().take(5).map(|folder| &*self.tree.get(*folder).name).collect();
        let more = if named.len() > names.len() { ", …" } else { "" };
        let text = format!(
            "its folders {}{more} are tables apart, since their names are no partition values; to \
             make alike ones one table, set Grouping to CombineCompatibleSchemas",
            names.join(", ")
        );
        self.note(id, text);
    }

    /// Says which folders have other levels than those of the table.
    fn note_levels(&mut self, groups: &BTreeMap<Vec<Level>, Vec<Leaf>>, table: Option<&[Level]>) {
        for (levels, leaves) in groups {
            let Some(first) = leaves.first() else { continue };
            let mut text = format!("left out: it is at {}", shown(levels));
            match table {
                Some(table) => text.push_str(&format!(", the table is at {}", shown(table))),
                None => text.push_str(", where names are no partition values"),
            }
            if leaves.len() > 1 {
                text.push_str(&format!("; so are {} more folders", leaves.len() - 1));
            }
            self.note(first.folder, text);
        }
    }
}

/// Whether one reader reads both.
fn reads_alike(a: &Shape, b: &Shape) -> bool {
    let csv = match (&a.csv, &b.csv) {
        (Some(a), Some(b)) => a.delimiter == b.delimiter && a.has_header == b.has_header,
        _ => true,
    };
    a.format == b.format && a.is_json_array == b.is_json_array && csv
}

fn shown(levels: &[Level]) -> String {
    let shown: Vec<String> = levels
        .iter()
        .map(|level| match level {
            Level::Key(key) => format!("{key}=…"),
            Level::Value => "VALUE".to_owned(),
            Level::Name => "NAME".to_owned(),
        })
        .collect();
    shown.join("/")
}
