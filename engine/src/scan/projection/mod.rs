//! Partition projection: partitions that follow from a table's parameters instead of being listed
//! in the catalog.

mod date_format;
mod key;

use std::collections::BTreeMap;
use std::ops::Bound;

use arrow::datatypes::{Field, Schema};
use boathouse_catalog::{KeyConstraint, KeyTest, Partition, Table, TableSpec};
use chrono::Utc;
use datafusion::catalog::Session as PlanSession;
use datafusion::common::ScalarValue;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::Expr;

use key::{Key, Value};

use super::external::constraints;
use super::files::{in_partitions, partition_value};
use super::partition_schema;
use super::storage::location_of;
use crate::{Error, Result};

/// Partitions that a query may read of a table.
const PARTITIONS_MAX: u64 = 1_000_000;

/// What a table's parameters say of its partitions.
#[derive(Debug)]
pub(crate) struct Projection {
    table: String,
    keys: Vec<Key>,
    /// The location of a partition, with `${key}` where a value goes.
    template: String,
}

/// One value of each key.
struct Combination {
    scalars: Vec<ScalarValue>,
    texts: Vec<Option<String>>,
    location: String,
}

/// What is asked of a table's partitions.
struct Query<'a> {
    state: &'a dyn PlanSession,
    layout: &'a TableSchema,
    filters: &'a [Expr],
}

impl Combination {
    fn new(template: &str) -> Self {
        Self { scalars: Vec::new(), texts: Vec::new(), location: template.to_owned() }
    }

    fn with(&self, placeholder: &str, scalar: &ScalarValue, value: &Value) -> Self {
        Self {
            scalars: [&self.scalars[..], std::slice::from_ref(scalar)].concat(),
            texts: [&self.texts[..], &[Some(value.text.clone())]].concat(),
            location: self.location.replace(placeholder, &value.in_path),
        }
    }
}

impl Projection {
    /// The projection of a table, if it has one.
    pub(crate) fn of(table: &Table) -> Result<Option<Self>> {
        let name = table.name.to_string();
        Self::parse(&name, &table.spec).map_err(|error| error.about(format!("table \"{name}\"")))
    }

    /// The projection that a table named `table` has.
    pub(crate) fn parse(table: &str, spec: &TableSpec) -> Result<Option<Self>> {
        let parameters: BTreeMap<String, String> = spec
            .parameters
            .iter()
            .map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        if !is_projected(&parameters) || spec.partition_keys.is_empty() {
            return Ok(None);
        }
        let now = Utc::now().naive_utc();
        let keys = spec
            .partition_keys
            .iter()
            .map(|column| Key::parse(column, &parameters, now))
            .collect::<Result<Vec<Key>>>()?;
        let location = location_of(spec).unwrap_or_default();
        let template = match parameters.get("storage.location.template") {
            Some(template) => template.clone(),
            None => hive_template(&location, &keys),
        };
        if let Some(key) = keys.iter().find(|key| !template.contains(&placeholder(&key.name))) {
            return Err(Error::invalid(format!(
                "storage.location.template has no ${{{}}}: {template}",
                key.name
            )));
        }
        let slash = if template.ends_with('/') { "" } else { "/" };
        Ok(Some(Self { table: table.to_owned(), keys, template: format!("{template}{slash}") }))
    }

    /// The partitions that `filters` match, and how many there are in all.
    pub(super) fn partitions(
        &self,
        state: &dyn PlanSession,
        layout: &TableSchema,
        filters: &[Expr],
    ) -> Result<(Vec<Partition>, u64)> {
        let query = Query { state, layout, filters };
        let constraints = constraints(layout, filters).constraints;
        let of_keys = self
            .keys
            .iter()
            .enumerate()
            .map(|(index, key)| self.values(index, key, &constraints))
            .collect::<Result<Vec<Vec<Value>>>>()?;
        let combinations = self.combinations(&query, self.few(&query, of_keys)?)?;
        let schema = partition_schema(layout);
        let matched = in_partitions(state, combinations, |found| &found.scalars, &schema, filters)?;
        let total = product(self.keys.iter().map(Key::count)).max(matched.len() as u64);
        let partitions = matched.into_iter().map(|found| Partition {
            values: found.texts,
            location: found.location,
            ..Partition::default()
        });
        Ok((partitions.collect(), total))
    }

    fn values(&self, index: usize, key: &Key, constraints: &[KeyConstraint]) -> Result<Vec<Value>> {
        let tests: Vec<&KeyTest> =
            constraints.iter().filter(|c| c.key == index).map(|c| &c.test).collect();
        if key.is_injected() && !tests.iter().any(|test| matches!(test, KeyTest::In(_))) {
            return Err(Error::invalid(format!(
                "table \"{}\": a query must say which values of partition key \"{}\" it reads",
                self.table, key.name
            ))
            .with_hint(format!("Add WHERE {0} = '…' or {0} IN ('…', '…').", key.name)));
        }
        key.values(&tests, PARTITIONS_MAX).ok_or_else(|| self.too_many())
    }

    /// The keys' values, of which there are not too many combinations. Where there are many, each
    /// key's are filtered by what the filters say of that key alone.
    fn few(&self, query: &Query, of_keys: Vec<Vec<Value>>) -> Result<Vec<Vec<Value>>> {
        let count = |of_keys: &[Vec<Value>]| product(of_keys.iter().map(|v| v.len() as u64));
        if count(&of_keys) <= PARTITIONS_MAX {
            return Ok(of_keys);
        }
        let filtered = of_keys
            .into_iter()
            .enumerate()
            .map(|(index, values)| self.filtered(query, index, values))
            .collect::<Result<Vec<Vec<Value>>>>()?;
        if count(&filtered) <= PARTITIONS_MAX { Ok(filtered) } else { Err(self.too_many()) }
    }

    /// The values of one key that the filters on that key alone match.
    fn filtered(&self, query: &Query, index: usize, values: Vec<Value>) -> Result<Vec<Value>> {
        let field = &query.layout.table_partition_cols()[index];
        let is_own = |filter: &&Expr| filter.column_refs().iter().all(|c| &c.name == field.name());
        let own: Vec<Expr> = query.filters.iter().filter(is_own).cloned().collect();
        let typed = values
            .into_iter()
            .map(|value| Ok(([self.scalar(field, &value)?], value)))
            .collect::<Result<Vec<([ScalarValue; 1], Value)>>>()?;
        let schema = Schema::new(vec![field.clone()]);
        let kept = in_partitions(query.state, typed, |(scalar, _)| scalar, &schema.into(), &own)?;
        Ok(kept.into_iter().map(|(_, value)| value).collect())
    }

    /// All combinations of the keys' values.
    fn combinations(&self, query: &Query, of_keys: Vec<Vec<Value>>) -> Result<Vec<Combination>> {
        let mut found = vec![Combination::new(&self.template)];
        let fields = query.layout.table_partition_cols();
        for ((key, values), field) in self.keys.iter().zip(of_keys).zip(fields) {
            let placeholder = placeholder(&key.name);
            let typed = values
                .into_iter()
                .map(|value| Ok((self.scalar(field, &value)?, value)))
                .collect::<Result<Vec<(ScalarValue, Value)>>>()?;
            let mut longer = Vec::with_capacity(found.len() * typed.len());
            for start in &found {
                longer.extend(typed.iter().map(|(s, value)| start.with(&placeholder, s, value)));
            }
            found = longer;
        }
        Ok(found)
    }

    fn scalar(&self, field: &Field, value: &Value) -> Result<ScalarValue> {
        partition_value(Some(&value.text), field.name(), field.data_type(), &self.template)
    }

    fn too_many(&self) -> Error {
        let keys: Vec<&str> = self.keys.iter().map(|key| key.name.as_str()).collect();
        Error::invalid(format!(
            "table \"{}\": the query reads more than {PARTITIONS_MAX} projected partitions",
            self.table
        ))
        .with_hint(format!("Add a filter on {}.", keys.join(" or ")))
    }
}

/// Whether parameters, whose names are in lower case, say that partitions are projected.
pub(crate) fn is_projected(parameters: &BTreeMap<String, String>) -> bool {
    parameters
        .get("projection.enabled")
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

fn placeholder(key: &str) -> String {
    format!("${{{key}}}")
}

fn product(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(1, u64::saturating_mul)
}

/// Folders named `key=value` under the table's location.
fn hive_template(location: &str, keys: &[Key]) -> String {
    let folders: Vec<String> = keys.iter().map(|key| format!("{0}=${{{0}}}/", key.name)).collect();
    let slash = if location.ends_with('/') { "" } else { "/" };
    format!("{location}{slash}{}", folders.concat())
}

/// What a range test says of values that have an order, as numbers.
fn bounds<T: Copy>(
    low: &Bound<String>,
    high: &Bound<String>,
    parse: impl Fn(&str) -> Option<T>,
) -> (Option<T>, Option<T>) {
    let parse = |bound: &Bound<String>| match bound {
        Bound::Included(text) | Bound::Excluded(text) => parse(text),
        Bound::Unbounded => None,
    };
    (parse(low), parse(high))
}
