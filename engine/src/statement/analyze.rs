//! ANALYZE TABLE: what is known of a table's columns, for the catalog and the optimizer.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use boathouse_catalog::{Column, DocumentKind, Table};
use chrono::Utc;
use datafusion::common::ScalarValue;
use datafusion::physical_plan::collect;
use serde_json::{Map, Value, json};

use super::maintenance::{batch_of, find_table, schema_of};
use super::{Action, Command, listing, rows};
use crate::analyzed::{NUMBER_OF_ROWS, WHOLE_TABLE};
use crate::interrupt::{Interrupt, interruptible};
use crate::parse::{Parsed, parse};
use crate::query::{Plan, QueryKind};
use crate::session::Session;
use crate::types::arrow_type;
use crate::{Error, Result};

/// Columns that are looked at in one pass over the table.
const COLUMNS_AT_ONCE: usize = 32;
/// Values that are asked for of each column.
const VALUES: usize = 5;

struct Analyze {
    table: Table,
    columns: Vec<(Column, DataType)>,
    schema: SchemaRef,
}

/// What a pass found of one column.
struct Found {
    rows: i64,
    /// Of them not NULL.
    values: i64,
    distinct: i64,
    min: ScalarValue,
    max: ScalarValue,
    /// The mean length of texts and binaries, the number of true booleans.
    extra: ScalarValue,
}

pub(super) async fn plan(session: &Session, name: &[String], columns: &[String]) -> Result<Plan> {
    let table = find_table(session, name).await?;
    if table.spec.view.is_some() {
        return Err(Error::invalid(format!("\"{}\" is a view", table.name))
            .with_hint("Analyze the tables that it reads."));
    }
    let columns = wanted(&table, columns)?;
    let schema = schema_of(&[
        ("column_name", DataType::Utf8),
        ("num_rows", DataType::Int64),
        ("num_nulls", DataType::Int64),
        ("num_distinct_values", DataType::Int64),
        ("min", DataType::Utf8),
        ("max", DataType::Utf8),
    ]);
    Ok(listing(schema.clone(), Analyze { table, columns, schema }))
}

/// The columns of these names, or all, as far as their types have statistics.
fn wanted(table: &Table, names: &[String]) -> Result<Vec<(Column, DataType)>> {
    let all: Vec<&Column> = table.spec.columns.iter().chain(&table.spec.partition_keys).collect();
    for name in names {
        if !all.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
            let known: Vec<&str> = all.iter().map(|column| column.name.as_str()).collect();
            let text = format!("table \"{}\" has no column \"{name}\"", table.name);
            return Err(Error::invalid(text)
                .with_word(name)
                .with_hint(format!("Its columns are {}.", known.join(", "))));
        }
    }
    let mut wanted = Vec::new();
    for column in all {
        let is_named = names.iter().any(|name| column.name.eq_ignore_ascii_case(name));
        let data_type = arrow_type(&column.data_type)?;
        if (names.is_empty() || is_named) && !data_type.is_nested() {
            wanted.push((column.clone(), data_type));
        }
    }
    Ok(wanted)
}

#[async_trait(?Send)]
impl Command for Analyze {
    async fn run(&self, session: &Session) -> Result<Vec<RecordBatch>> {
        let mut found = Vec::new();
        for columns in self.columns.chunks(COLUMNS_AT_ONCE) {
            found.extend(self.pass(session, columns).await?);
        }
        let rows = match found.first() {
            Some(first) => first.rows,
            None => self.pass(session, &[]).await?.first().map_or(0, |found| found.rows),
        };
        let now = Utc::now().timestamp_millis() as f64 / 1000.0;
        let whole = json!({NUMBER_OF_ROWS: rows, "AnalyzedTime": now});
        let mut documents = vec![(WHOLE_TABLE.to_owned(), whole)];
        for ((column, data_type), found) in self.columns.iter().zip(&found) {
            let document = json!({
                "ColumnName": column.name,
                "ColumnType": column.data_type,
                "AnalyzedTime": now,
                "StatisticsData": found.data(data_type),
            });
            documents.push((column.name.to_lowercase(), document));
        }
        let kind = DocumentKind::ColumnStatistics;
        session.catalog().put_documents(kind, &self.table.id, &documents).await?;
        self.listed(&found)
    }
}

impl Analyze {
    /// One query for some columns; of none it counts the rows.
    async fn pass(&self, session: &Session, columns: &[(Column, DataType)]) -> Result<Vec<Found>> {
        let name = &self.table.name;
        let (database, table) = (quoted(name.database()), quoted(name.table()));
        let of_columns =
            columns.iter().flat_map(|(column, data_type)| values_of(&column.name, data_type));
        let wanted: Vec<String> = std::iter::once("count(*)".to_owned())
            .chain(of_columns)
            .enumerate()
            .map(|(index, value)| format!("{value} AS v{index}"))
            .collect();
        let sql = format!("SELECT {} FROM {database}.{table}", wanted.join(", "));
        let row = one_row(session, &sql).await?;
        let value = |at: usize| Ok::<_, Error>(ScalarValue::try_from_array(row.column(at), 0)?);
        let number = |at: usize| Ok::<_, Error>(whole(&value(at)?));
        let rows = number(0)?;
        if columns.is_empty() {
            let (min, max, extra) = (ScalarValue::Null, ScalarValue::Null, ScalarValue::Null);
            return Ok(vec![Found { rows, values: 0, distinct: 0, min, max, extra }]);
        }
        (0..columns.len())
            .map(|index| {
                let at = 1 + index * VALUES;
                Ok(Found {
                    rows,
                    values: number(at)?,
                    distinct: number(at + 1)?,
                    min: value(at + 2)?,
                    max: value(at + 3)?,
                    extra: value(at + 4)?,
                })
            })
            .collect()
    }

    fn listed(&self, found: &[Found]) -> Result<Vec<RecordBatch>> {
        let names = self.columns.iter().map(|(column, _)| Some(column.name.as_str()));
        let numbers = |pick: fn(&Found) -> i64| -> ArrayRef {
            Arc::new(found.iter().map(|found| Some(pick(found))).collect::<Int64Array>())
        };
        let texts = |pick: fn(&Found) -> &ScalarValue| -> ArrayRef {
            let text = |found: &Found| match pick(found).cast_to(&DataType::Utf8) {
                Ok(ScalarValue::Utf8(text)) => text,
                _ => None,
            };
            Arc::new(found.iter().map(text).collect::<StringArray>())
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(names.collect::<StringArray>()),
            numbers(|found| found.rows),
            numbers(|found| found.rows - found.values),
            numbers(|found| found.distinct),
            texts(|found| &found.min),
            texts(|found| &found.max),
        ];
        batch_of(&self.schema, columns)
    }
}

/// What is asked of a column: how many values, how many distinct ones, the least, the greatest,
/// and one more that depends on the type.
fn values_of(name: &str, data_type: &DataType) -> [String; VALUES] {
    let column = quoted(name);
    let comparable = match data_type {
        DataType::Utf8 | DataType::Binary | DataType::FixedSizeBinary(_) | DataType::Boolean => {
            column.clone()
        }
        data_type if data_type.is_integer() || data_type.is_temporal() => column.clone(),
        _ => format!("CAST({column} AS STRING)"),
    };
    let length = match data_type {
        DataType::Utf8 => Some(format!("octet_length({column})")),
        DataType::Binary | DataType::FixedSizeBinary(_) => {
            Some(format!("length(encode({column}, 'hex')) / 2"))
        }
        _ => None,
    };
    let (min, max, extra) = match (data_type, length) {
        (_, Some(length)) => match data_type {
            DataType::Utf8 => (
                format!("min({column})"),
                format!("max({column})"),
                format!("struct(max({length}), avg({length}))"),
            ),
            _ => (
                "NULL".to_owned(),
                "NULL".to_owned(),
                format!("struct(max({length}), avg({length}))"),
            ),
        },
        (DataType::Boolean, None) => (
            format!("bool_and({column})"),
            format!("bool_or({column})"),
            format!("count(*) FILTER (WHERE {column})"),
        ),
        _ => (format!("min({column})"), format!("max({column})"), "NULL".to_owned()),
    };
    let distinct = match data_type {
        DataType::Boolean => format!("count(DISTINCT {comparable})"),
        _ => format!("approx_distinct({comparable})"),
    };
    [format!("count({column})"), distinct, min, max, extra]
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn whole(value: &ScalarValue) -> i64 {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(number))) => number,
        _ => 0,
    }
}

fn real(value: &ScalarValue) -> Option<f64> {
    match value.cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(Some(number))) if number.is_finite() => Some(number),
        _ => None,
    }
}

async fn one_row(session: &Session, sql: &str) -> Result<RecordBatch> {
    let Parsed::Sql(statement) = parse(sql)? else {
        return Err(Error::internal("SELECT is a statement"));
    };
    let planned = rows::plan(session, statement.get(), QueryKind::Rows, None).await?;
    let Action::Rows(plan) = planned.action else {
        return Err(Error::internal("SELECT is a physical plan"));
    };
    let physical = interruptible(plan.physical.clone(), &Interrupt::default())?;
    session.work.run(&physical);
    let batches = collect(physical, plan.context.clone())
        .await
        .map_err(|error| plan.sources.name(error.into()))?;
    Ok(concat_batches(&plan.physical.schema(), &batches)?)
}

impl Found {
    /// In one of the shapes that Glue has.
    fn data(&self, data_type: &DataType) -> Value {
        let (kind, member) = kind(data_type);
        let mut data = Map::new();
        data.insert("NumberOfNulls".into(), json!(self.rows - self.values));
        if !matches!(kind, "BOOLEAN" | "BINARY") {
            data.insert("NumberOfDistinctValues".into(), json!(self.distinct));
        }
        match kind {
            "BOOLEAN" => {
                let trues = whole(&self.extra);
                data.insert("NumberOfTrues".into(), json!(trues));
                data.insert("NumberOfFalses".into(), json!(self.values - trues));
            }
            "STRING" | "BINARY" => {
                let (max, mean) = self.lengths();
                data.insert("MaximumLength".into(), json!(max));
                data.insert("AverageLength".into(), json!(mean));
            }
            _ => {
                for (name, bound) in [("MinimumValue", &self.min), ("MaximumValue", &self.max)] {
                    data.extend(bound_of(bound, data_type).map(|bound| (name.to_owned(), bound)));
                }
            }
        }
        json!({"Type": kind, member: data})
    }

    fn lengths(&self) -> (i64, f64) {
        let ScalarValue::Struct(lengths) = &self.extra else { return (0, 0.0) };
        let value = |at: usize| ScalarValue::try_from_array(lengths.column(at), 0).ok();
        let mean = value(1).as_ref().and_then(real).unwrap_or(0.0);
        (value(0).as_ref().map_or(0, whole), mean)
    }
}

/// Glue's word for the statistics of a type, and the member that holds them.
fn kind(data_type: &DataType) -> (&'static str, &'static str) {
    match data_type {
        DataType::Boolean => ("BOOLEAN", "BooleanColumnStatisticsData"),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            ("DOUBLE", "DoubleColumnStatisticsData")
        }
        DataType::Date32 | DataType::Date64 => ("DATE", "DateColumnStatisticsData"),
        DataType::Utf8 => ("STRING", "StringColumnStatisticsData"),
        DataType::Binary | DataType::FixedSizeBinary(_) => ("BINARY", "BinaryColumnStatisticsData"),
        data_type if data_type.is_decimal() => ("DECIMAL", "DecimalColumnStatisticsData"),
        _ => ("LONG", "LongColumnStatisticsData"),
    }
}

/// A bound as a number, where Glue has one: whole and real numbers, and dates in seconds.
fn bound_of(bound: &ScalarValue, data_type: &DataType) -> Option<Value> {
    match data_type {
        DataType::Date32 => {
            let ScalarValue::Date32(Some(days)) = bound else { return None };
            Some(json!(i64::from(*days) * 86_400))
        }
        data_type if data_type.is_integer() => match bound.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(number))) => Some(json!(number)),
            _ => None,
        },
        data_type if data_type.is_floating() => Some(json!(real(bound)?)),
        _ => None,
    }
}
