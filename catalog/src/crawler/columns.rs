//! The columns of a table against those that were found.

use super::definition::{PINNED, WRITTEN, Written, written_of};
use super::grouping::Found;
use super::plan::{Drift, Outcome};
use super::schema::{is_text, settled};
use super::spec::OnChange;
use super::types::{Widening, wider};
use crate::{Column, Format, Table, TableSpec};

/// The columns of one table, while they are compared.
pub(super) struct Columns<'a> {
    /// The table as it is.
    pub(super) table: &'a Table,
    /// Its definition as it becomes.
    pub(super) spec: &'a mut TableSpec,
    pub(super) on_change: OnChange,
    pub(super) dates: bool,
    pub(super) drift: &'a mut Vec<Drift>,
}

impl Columns<'_> {
    /// Takes in what was found, as far as the policy and what people said allow.
    pub(super) fn merge(&mut self, found: &Found) {
        for clash in found.clashes.iter().filter(|clash| !clash.is_widened) {
            let (kept, found) = (clash.kept.clone(), clash.found.clone());
            self.report(&clash.column, &clash.location, (kept, found), Outcome::Quarantined);
            if let Some(last) = self.drift.last_mut() {
                last.reason.clone_from(&clash.reason);
            }
        }
        let shape = &found.shape;
        // An Iceberg or Delta table says itself what its columns are.
        let is_exact = matches!(shape.format, Format::Delta | Format::Iceberg);
        if is_exact && shape.columns.is_empty() {
            return;
        }
        if shape.csv.is_some() && !self.is_in_order(&shape.columns, &found.location) {
            return;
        }
        for column in &shape.columns {
            self.merge_column(column, found, is_exact);
        }
        if is_exact {
            self.remove_missing(&shape.columns, &found.location);
        }
    }

    /// Columns of CSV are read by position: new ones may only come at the end.
    fn is_in_order(&mut self, found: &[Column], location: &str) -> bool {
        let known = &self.table.spec.columns;
        let pair = known.iter().zip(found).find(|(a, b)| !a.name.eq_ignore_ascii_case(&b.name));
        let Some((kept, found)) = pair else { return true };
        // A person may rename the columns of CSV, since names are not read.
        if self.was_renamed(kept) {
            return false;
        }
        let types = (kept.data_type.clone(), found.data_type.clone());
        self.report(&found.name.clone(), location, types, Outcome::Quarantined);
        if let Some(last) = self.drift.last_mut() {
            last.reason = format!("columns of CSV are read by position, {} is here", kept.name);
        }
        false
    }

    fn was_renamed(&self, column: &Column) -> bool {
        let written = written(&self.table.spec).unwrap_or_default();
        !written.iter().any(|(name, ..)| *name == column.name)
    }

    fn merge_column(&mut self, column: &Column, found: &Found, is_exact: bool) {
        let location = found.location.as_str();
        let is_key = |key: &Column| key.name.eq_ignore_ascii_case(&column.name);
        if self.spec.partition_keys.iter().any(is_key) {
            return;
        }
        let known = self.spec.columns.iter().position(is_key);
        let Some(index) = known else {
            self.add(column, location);
            return;
        };
        let kept = self.spec.columns[index].data_type.clone();
        let widening = Widening { to_strings: is_text(found.shape.format), dates: self.dates };
        let wide = match is_exact {
            true => Some(column.data_type.clone()),
            false => wider(&kept, &column.data_type, widening),
        };
        let types = (kept.clone(), column.data_type.clone());
        match wide {
            Some(wide) if wide.eq_ignore_ascii_case(&kept) => {}
            None => self.report(&column.name, location, types, Outcome::Quarantined),
            Some(_) if self.is_pinned(&column.name) => {
                self.report(&column.name, location, types, Outcome::Pinned);
            }
            Some(_) if self.on_change != OnChange::Update => {
                self.report(&column.name, location, types, Outcome::Logged);
            }
            Some(wide) => {
                self.spec.columns[index].data_type = wide;
                self.write(index);
                self.report(&column.name, location, types, Outcome::Widened);
            }
        }
    }

    fn add(&mut self, column: &Column, location: &str) {
        let column = &Column { data_type: settled(&column.data_type), ..column.clone() };
        let types = (String::new(), column.data_type.clone());
        if self.is_pinned(&column.name) {
            self.report(&column.name, location, types, Outcome::Pinned);
        } else if self.on_change == OnChange::Log {
            self.report(&column.name, location, types, Outcome::Logged);
        } else {
            self.spec.columns.push(column.clone());
            self.write(self.spec.columns.len() - 1);
            self.report(&column.name, location, types, Outcome::Added);
        }
    }

    fn remove_missing(&mut self, found: &[Column], location: &str) {
        let is_found =
            |column: &Column| found.iter().any(|f| f.name.eq_ignore_ascii_case(&column.name));
        let missing: Vec<Column> =
            self.spec.columns.iter().filter(|column| !is_found(column)).cloned().collect();
        for column in missing {
            let types = (column.data_type.clone(), String::new());
            if self.is_pinned(&column.name) {
                self.report(&column.name, location, types, Outcome::Pinned);
            } else if self.on_change != OnChange::Update {
                self.report(&column.name, location, types, Outcome::Logged);
            } else {
                self.spec.columns.retain(|known| known.name != column.name);
                let written = written(self.spec).unwrap_or_default();
                let written = written.into_iter().filter(|(name, ..)| *name != column.name);
                self.keep_written(&written.collect::<Vec<_>>());
                self.report(&column.name, location, types, Outcome::Removed);
            }
        }
    }

    /// Gives a partition key a wider type.
    pub(super) fn widen_key(&mut self, index: usize, data_type: &str) {
        if let Some(key) = self.spec.partition_keys.get_mut(index) {
            key.data_type = data_type.to_owned();
            let written = written_of(key);
            self.write_one(written);
        }
    }

    /// Whether a person has said what a column is: by name, by changing what the crawler wrote of
    /// it, or by removing it.
    pub(super) fn is_pinned(&self, name: &str) -> bool {
        let pinned = self.table.spec.parameters.get(PINNED).map(String::as_str).unwrap_or_default();
        let is_named = pinned
            .split(',')
            .map(str::trim)
            .any(|pinned| pinned == "*" || pinned.eq_ignore_ascii_case(name));
        if is_named {
            return true;
        }
        let mut columns = self.table.spec.columns.iter().chain(&self.table.spec.partition_keys);
        let kept = columns.find(|column| column.name.eq_ignore_ascii_case(name));
        let written = written(&self.table.spec);
        let written_here = written
            .as_ref()
            .and_then(|written| written.iter().find(|(w, ..)| w.eq_ignore_ascii_case(name)));
        match (kept, written_here) {
            (Some(kept), Some(written)) => written_of(kept) != *written,
            (Some(_), None) => true,
            // A column that was written and isn't there was removed.
            (None, Some(_)) => true,
            (None, None) => false,
        }
    }

    fn write(&mut self, index: usize) {
        let written = written_of(&self.spec.columns[index]);
        self.write_one(written);
    }

    fn write_one(&mut self, column: Written) {
        let mut all = written(self.spec).unwrap_or_default();
        match all.iter_mut().find(|(name, ..)| name.eq_ignore_ascii_case(&column.0)) {
            Some(known) => *known = column,
            None => all.push(column),
        }
        self.keep_written(&all);
    }

    fn keep_written(&mut self, written: &[Written]) {
        let text = serde_json::json!(written).to_string();
        self.spec.parameters.insert(WRITTEN.into(), text);
    }

    fn report(
        &mut self,
        column: &str,
        location: &str,
        (kept, found): (String, String),
        outcome: Outcome,
    ) {
        let reason = match outcome {
            Outcome::Widened => "the new type holds both",
            Outcome::Added => "it is new",
            Outcome::Removed => "the table's own metadata has it no more",
            Outcome::Logged => "the crawler's policy leaves it",
            Outcome::Quarantined => "no type holds both without loss",
            Outcome::Pinned => "a person has said what it is",
        };
        self.drift.push(Drift {
            table: self.table.name.clone(),
            column: column.to_owned(),
            location: location.to_owned(),
            kept,
            found,
            outcome,
            reason: reason.to_owned(),
        });
    }

    /// What became of the columns of `before`, in words.
    pub(super) fn reasons(&self, before: &TableSpec) -> Vec<String> {
        let mut reasons = Vec::new();
        let find = |columns: &[Column], name: &str| {
            columns.iter().find(|column| column.name == name).map(|c| c.data_type.clone())
        };
        for column in &self.spec.columns {
            match find(&before.columns, &column.name) {
                None => reasons.push(format!("column {} is new", column.name)),
                Some(kept) if kept != column.data_type => {
                    reasons
                        .push(format!("{} becomes {}, was {kept}", column.name, column.data_type));
                }
                Some(_) => {}
            }
        }
        for column in &before.columns {
            if find(&self.spec.columns, &column.name).is_none() {
                reasons.push(format!("column {} is gone", column.name));
            }
        }
        reasons
    }
}

/// What the crawler last wrote, unless somebody has lost it.
fn written(spec: &TableSpec) -> Option<Vec<Written>> {
    serde_json::from_str(spec.parameters.get(WRITTEN)?).ok()
}
