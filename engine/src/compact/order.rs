//! Z-order: an order of rows in which rows that are alike in any of some columns lie near each
//! other.
//!
//! Each column's values are spread evenly over a range of whole numbers, and the bits of these
//! numbers are taken in turns, highest first.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::physical_plan::collect;

use crate::scan::LakeTable;
use crate::{Error, Result};

pub(super) const TABLE: &str = "t";
/// Bits of a key, which is a positive BIGINT.
const KEY_BITS: u32 = 62;
const COLUMN_BITS_MAX: u32 = 20;
const COLUMNS_MAX: usize = 8;

/// What to sort by: the column itself where there is one, else one key for all.
pub(super) async fn expressions(
    state: &SessionState,
    table: Arc<LakeTable>,
    columns: &[String],
) -> Result<Vec<Expr>> {
    let schema = DFSchema::try_from_qualified_schema(TABLE, &table.schema())?;
    check(&table, columns)?;
    let parse = |text: &str| -> Result<Expr> { Ok(state.create_logical_expr(text, &schema)?) };
    if let [column] = columns {
        return Ok(vec![parse(&quoted(column))?]);
    }
    let numbers: Vec<String> = numbers(state, &table, columns, &schema).await?;
    let bits = (KEY_BITS / u32::try_from(columns.len()).unwrap_or(1)).min(COLUMN_BITS_MAX);
    let mut key = Vec::new();
    for bit in 0..bits {
        for (index, number) in numbers.iter().enumerate() {
            let to = bit as usize * numbers.len() + numbers.len() - 1 - index;
            let from = COLUMN_BITS_MAX - bits + bit;
            key.push(format!("((({number} >> {from}) & 1) << {to})"));
        }
    }
    Ok(vec![parse(&balanced(&key))?])
}

/// The sum, nested no deeper than it must be.
fn balanced(terms: &[String]) -> String {
    match terms {
        [] => "0".to_owned(),
        [term] => term.clone(),
        terms => {
            let (left, right) = terms.split_at(terms.len() / 2);
            format!("({} | {})", balanced(left), balanced(right))
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn check(table: &LakeTable, columns: &[String]) -> Result<()> {
    if columns.len() > COLUMNS_MAX {
        return Err(Error::invalid(format!("ZORDER BY takes at most {COLUMNS_MAX} columns")));
    }
    for column in columns {
        let schema = table.schema();
        let Ok(field) = schema.field_with_name(column) else {
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(Error::invalid(format!("there is no column \"{column}\""))
                .with_word(column)
                .with_hint(format!("The columns are {}.", names.join(", "))));
        };
        if table.is_key(column) {
            return Err(Error::invalid(format!("\"{column}\" is a partition key"))
                .with_hint("Files of a partition share its value: order by other columns."));
        }
        if field.data_type().is_nested() || matches!(field.data_type(), DataType::BinaryView) {
            return Err(Error::invalid(format!("rows can't be ordered by \"{column}\""))
                .with_hint("Order by numbers, strings, dates and timestamps."));
        }
    }
    Ok(())
}

/// For each column an expression from 0 to 2^20 - 1.
async fn numbers(
    state: &SessionState,
    table: &Arc<LakeTable>,
    columns: &[String],
    schema: &DFSchema,
) -> Result<Vec<String>> {
    let bounds = bounds(state, table, columns, schema).await?;
    let top = (1_u32 << COLUMN_BITS_MAX) - 1;
    let mut numbers = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        let bound = |at: usize| -> Result<ScalarValue> {
            Ok(ScalarValue::try_from_array(bounds.column(at), 0)?)
        };
        let (min, max) = (bound(2 * index)?, bound(2 * index + 1)?);
        let (number, low, high) = match (text(&min), text(&max)) {
            (Some(min), Some(max)) => text_number(column, &min, &max),
            _ => (format!("CAST({} AS DOUBLE)", as_number(column, &min)), real(&min), real(&max)),
        };
        let span = high - low;
        numbers.push(match span > 0.0 && span.is_finite() {
            true => format!(
                "CAST(coalesce(greatest(least(({number} - {low:?}) / {span:?}, 1.0), 0.0), 0.0) * {top} AS BIGINT)"
            ),
            false => "CAST(0 AS BIGINT)".to_owned(),
        });
    }
    Ok(numbers)
}

/// The least and the greatest value of each column, in one row.
async fn bounds(
    state: &SessionState,
    table: &Arc<LakeTable>,
    columns: &[String],
    schema: &DFSchema,
) -> Result<RecordBatch> {
    let mut wanted = Vec::new();
    for column in columns {
        for function in ["min", "max"] {
            let text = format!("{function}({})", quoted(column));
            wanted.push(state.create_logical_expr(&text, schema)?);
        }
    }
    let source = provider_as_source(table.clone());
    let scan = LogicalPlanBuilder::scan(TABLE, source, None)?;
    let plan = scan.aggregate(Vec::<Expr>::new(), wanted)?.build()?;
    let plan = state.create_physical_plan(&plan).await?;
    let schema = plan.schema();
    Ok(concat_batches(&schema, &collect(plan, state.task_ctx()).await?)?)
}

fn text(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
            Some(text.clone().unwrap_or_default())
        }
        _ => None,
    }
}

/// A column's value as something that can become a DOUBLE.
fn as_number(column: &str, example: &ScalarValue) -> String {
    match example.data_type() {
        DataType::Date32 => format!("CAST({} AS INT)", quoted(column)),
        DataType::Timestamp(..) => format!("CAST({} AS BIGINT)", quoted(column)),
        DataType::Boolean => format!("CAST({} AS INT)", quoted(column)),
        _ => quoted(column),
    }
}

fn real(value: &ScalarValue) -> f64 {
    let whole = match value.data_type() {
        DataType::Date32 => value.cast_to(&DataType::Int32).ok(),
        DataType::Timestamp(..) => value.cast_to(&DataType::Int64).ok(),
        DataType::Boolean => value.cast_to(&DataType::Int32).ok(),
        _ => Some(value.clone()),
    };
    match whole.and_then(|value| value.cast_to(&DataType::Float64).ok()) {
        Some(ScalarValue::Float64(Some(number))) => number,
        _ => 0.0,
    }
}

/// A text by the three characters after what all texts begin with.
fn text_number(column: &str, min: &str, max: &str) -> (String, f64, f64) {
    let shared = min.chars().zip(max.chars()).take_while(|(a, b)| a == b).count();
    let code = |text: &str| {
        let mut chars = text.chars().skip(shared).map(|c| f64::from((c as u32).min(1023)));
        (0..3).fold(0.0, |number, _| number * 1024.0 + chars.next().unwrap_or(0.0))
    };
    let parts: Vec<String> = (1..=3)
        .zip(["1048576.0", "1024.0", "1.0"])
        .map(|(at, weight)| {
            let start = shared + at;
            let one = format!("substr({}, {start}, 1)", quoted(column));
            format!("CAST(least(coalesce(ascii({one}), 0), 1023) AS DOUBLE) * {weight}")
        })
        .collect();
    (format!("({})", parts.join(" + ")), code(min), code(max))
}
