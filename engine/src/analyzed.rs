//! What the catalog knows of a table's columns: statistics as Glue has them, from ANALYZE or from
//! a Glue client, and how the optimizer gets them.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Schema};
use boathouse_catalog::{Catalog, DocumentKind, Table};
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};
use serde_json::{Map, Value};

use crate::Result;

/// The document beside those of the columns, which have names, that tells of the whole table.
pub(crate) const WHOLE_TABLE: &str = "";
pub(crate) const NUMBER_OF_ROWS: &str = "NumberOfRows";

/// The statistics of a table's columns.
#[derive(Debug)]
pub(crate) struct Analyzed {
    rows: Option<usize>,
    /// By name in lower case.
    columns: HashMap<String, Column>,
}

#[derive(Debug, Default)]
struct Column {
    nulls: Option<usize>,
    distinct: Option<usize>,
    min: Option<Value>,
    max: Option<Value>,
}

impl Analyzed {
    /// What the catalog has; `None` where that is nothing.
    pub(crate) async fn of(catalog: &Catalog, table: &Table) -> Result<Option<Self>> {
        let documents = catalog.documents(DocumentKind::ColumnStatistics, &table.id).await?;
        if documents.is_empty() {
            return Ok(None);
        }
        let mut found = Self { rows: None, columns: HashMap::new() };
        for document in documents {
            match document.name.as_str() {
                WHOLE_TABLE => found.rows = count(document.body.get(NUMBER_OF_ROWS)),
                name => {
                    found.columns.insert(name.to_lowercase(), Column::read(&document.body));
                }
            }
        }
        Ok(Some(found))
    }

    /// Fills in what files don't tell. It may be out of date, so it's never exact.
    pub(crate) fn complete(&self, statistics: &mut Statistics, schema: &Schema) {
        if let (Precision::Absent, Some(rows)) = (&statistics.num_rows, self.rows) {
            statistics.num_rows = Precision::Inexact(rows);
        }
        let rows = statistics.num_rows.get_value().copied().unwrap_or(usize::MAX);
        for (field, known) in schema.fields().iter().zip(&mut statistics.column_statistics) {
            let Some(column) = self.columns.get(&field.name().to_lowercase()) else { continue };
            fill(&mut known.distinct_count, column.distinct.map(|count| count.min(rows)));
            fill(&mut known.null_count, column.nulls.map(|count| count.min(rows)));
            let bound = |value: &Option<Value>| scalar(value.as_ref()?, field.data_type());
            fill(&mut known.min_value, bound(&column.min));
            fill(&mut known.max_value, bound(&column.max));
        }
    }
}

fn fill<T: std::fmt::Debug + Clone + PartialEq + Eq + PartialOrd>(
    known: &mut Precision<T>,
    value: Option<T>,
) {
    if let (Precision::Absent, Some(value)) = (&known, value) {
        *known = Precision::Inexact(value);
    }
}

impl Column {
    fn read(body: &Value) -> Self {
        let Some(data) = data(body) else { return Self::default() };
        Self {
            nulls: count(data.get("NumberOfNulls")),
            distinct: count(data.get("NumberOfDistinctValues")),
            min: data.get("MinimumValue").cloned(),
            max: data.get("MaximumValue").cloned(),
        }
    }
}

/// The member that the document's type names: `LongColumnStatisticsData` and its like.
fn data(body: &Value) -> Option<&Map<String, Value>> {
    let data = body.get("StatisticsData")?.as_object()?;
    data.iter().find(|(name, _)| name.ends_with("ColumnStatisticsData"))?.1.as_object()
}

fn count(value: Option<&Value>) -> Option<usize> {
    let value = value?;
    let count = value.as_u64().or_else(|| value.as_f64().map(|count| count as u64));
    count.and_then(|count| usize::try_from(count).ok())
}

/// A bound as a value of the column's type: whole and real numbers, and dates in seconds.
fn scalar(value: &Value, data_type: &DataType) -> Option<ScalarValue> {
    let number = value.as_f64()?;
    let scalar = match data_type {
        DataType::Date32 => {
            let days = (number / 86_400.0).floor();
            return Some(ScalarValue::Date32(Some(days as i32)));
        }
        data_type if data_type.is_integer() => {
            ScalarValue::Int64(Some(value.as_i64().unwrap_or(number as i64)))
        }
        DataType::Float32 | DataType::Float64 => ScalarValue::Float64(Some(number)),
        _ => return None,
    };
    scalar.cast_to(data_type).ok().filter(|scalar| !scalar.is_null())
}
