//! Versions and features of Delta's protocol.

use std::collections::BTreeSet;

use deltalake::kernel::Protocol;
use serde::{Deserialize, Serialize};

use super::from_json;
use crate::{Error, Result};

/// Features that Boathouse sees to itself when it writes, and the Delta library refuses.
const OWN: [&str; 6] = [
    "allowColumnDefaults",
    "clustering",
    "domainMetadata",
    "identityColumns",
    "typeWidening",
    "typeWidening-preview",
];
/// Writer features that come with a version lower than 7.
const OF_WRITER_VERSIONS: [(i32, &str); 7] = [
    (2, "appendOnly"),
    (2, "invariants"),
    (3, "checkConstraints"),
    (4, "changeDataFeed"),
    (4, "generatedColumns"),
    (5, "columnMapping"),
    (6, "identityColumns"),
];
const READER_WITH_FEATURES: i32 = 3;
const WRITER_WITH_FEATURES: i32 = 7;

/// What a reader and a writer of a table must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    min_reader_version: i32,
    min_writer_version: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reader_features: Option<BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writer_features: Option<BTreeSet<String>>,
}

impl Default for Versions {
    fn default() -> Self {
        Self {
            min_reader_version: 1,
            min_writer_version: 2,
            reader_features: None,
            writer_features: None,
        }
    }
}

impl Versions {
    pub(super) fn of(protocol: &Protocol) -> Result<Self> {
        let value = serde_json::to_value(protocol)
            .map_err(|error| Error::internal(format!("a protocol as JSON: {error}")))?;
        from_json(value)
    }

    pub(super) fn action(&self) -> Result<Protocol> {
        let value = serde_json::to_value(self)
            .map_err(|error| Error::internal(format!("a protocol as JSON: {error}")))?;
        from_json(value)
    }

    /// Whether writers must know the feature.
    pub(super) fn has(&self, feature: &str) -> bool {
        self.writer_set().contains(feature)
    }

    /// Adds a feature where it isn't there; `reads` says whether readers must know it too. Lists
    /// of features take the place of version numbers then, so that no other is asked for.
    pub(super) fn require(&mut self, feature: &str, reads: bool) {
        if reads && !self.reader_set().contains(feature) {
            let mut features = self.reader_set();
            features.insert(feature.to_owned());
            self.reader_features = Some(features);
            self.min_reader_version = READER_WITH_FEATURES;
        }
        let lists_needed = self.min_reader_version == READER_WITH_FEATURES
            && self.min_writer_version < WRITER_WITH_FEATURES;
        if lists_needed || !self.writer_set().contains(feature) {
            let mut features = self.writer_set();
            features.insert(feature.to_owned());
            self.writer_features = Some(features);
            self.min_writer_version = WRITER_WITH_FEATURES;
        }
    }

    fn reader_set(&self) -> BTreeSet<String> {
        match &self.reader_features {
            Some(features) => features.clone(),
            None if self.min_reader_version == 2 => BTreeSet::from(["columnMapping".to_owned()]),
            None => BTreeSet::new(),
        }
    }

    fn writer_set(&self) -> BTreeSet<String> {
        match &self.writer_features {
            Some(features) => features.clone(),
            None => OF_WRITER_VERSIONS
                .iter()
                .filter(|(version, _)| *version <= self.min_writer_version)
                .map(|(_, feature)| (*feature).to_owned())
                .collect(),
        }
    }
}

/// `protocol` without the features of which the Delta library knows nothing and Boathouse does
/// what they ask for.
pub(crate) fn without_own_features(protocol: &Protocol) -> Result<Protocol> {
    let mut versions = Versions::of(protocol)?;
    let writer: BTreeSet<String> = versions.writer_set();
    if !writer.iter().any(|feature| OWN.contains(&feature.as_str())) {
        return Ok(protocol.clone());
    }
    let kept = |features: BTreeSet<String>| -> BTreeSet<String> {
        features.into_iter().filter(|feature| !OWN.contains(&feature.as_str())).collect()
    };
    if versions.min_reader_version == READER_WITH_FEATURES {
        versions.reader_features = Some(kept(versions.reader_set()));
    }
    versions.writer_features = Some(kept(writer));
    versions.min_writer_version = WRITER_WITH_FEATURES;
    versions.action()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_a_version_brings_changes_nothing() {
        let mut versions = Versions::default();
        versions.require("appendOnly", false);
        assert_eq!(versions, Versions::default());
    }

    #[test]
    fn a_new_feature_keeps_those_of_the_old_version() {
        let mut versions = Versions::default();
        versions.require("checkConstraints", false);
        let set = ["appendOnly", "checkConstraints", "invariants"].map(str::to_owned);
        assert_eq!(versions.writer_features, Some(BTreeSet::from(set)));
        assert_eq!((versions.min_reader_version, versions.min_writer_version), (1, 7));
        versions.require("columnMapping", true);
        assert_eq!(versions.min_reader_version, 3);
        let protocol = versions.action().unwrap();
        assert_eq!(Versions::of(&protocol).unwrap(), versions);
    }

    #[test]
    fn own_features_are_hidden_from_the_library() {
        let mut versions = Versions::default();
        versions.require("identityColumns", false);
        versions.require("typeWidening", true);
        let shown = without_own_features(&versions.action().unwrap()).unwrap();
        let shown = Versions::of(&shown).unwrap();
        assert!(!shown.has("identityColumns") && !shown.has("typeWidening"));
        assert!(shown.has("appendOnly"));
    }
}
