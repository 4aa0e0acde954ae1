//! TPC-H: its eight tables at any scale, and its twenty-two queries.
//!
//! The rows are those of the TPC's own `dbgen`. Text columns are plain strings, which every
//! reader of Parquet understands.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow,
    RecordBatchIterator, RegionArrow, SupplierArrow,
};

use crate::{Error, Result, files};

/// The tables, the smallest first.
pub const TABLES: [&str; 8] =
    ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

/// The tables that the generator gives whole for every part.
const FIXED: [&str; 2] = ["region", "nation"];

/// The largest scale there is, about 100 TB.
pub const SCALE_MAX: f64 = 100_000.0;

/// Part `part` of `parts` (from 1) of a table at `scale`, where 1 is about 1 GB in all.
///
/// The parts in order are the whole table, and the number of parts changes no row. `None` when
/// there is no such table, scale or part. The first call in a process takes a second or so for
/// the text that all comments are cut from.
pub fn batches(
    table: &str,
    scale: f64,
    part: i32,
    parts: i32,
) -> Option<Box<dyn Iterator<Item = RecordBatch> + Send>> {
    if !is_scale(scale) || part < 1 || part > parts {
        return None;
    }
    let views = views(table, scale, part, parts)?;
    if part > 1 && FIXED.contains(&table) {
        return Some(Box::new(std::iter::empty()));
    }
    let schema = plain(views.schema());
    Some(Box::new(views.map(move |batch| with_plain_strings(&batch, &schema))))
}

/// The columns of a table, or `None` where there is no such table.
pub fn schema(table: &str) -> Option<SchemaRef> {
    Some(plain(views(table, 1.0, 1, 1)?.schema()))
}

/// Writes every table to `dir` as [`files::write_table`] lays it out.
pub fn write_parquet(dir: &Path, scale: f64) -> Result<()> {
    for table in TABLES {
        let (Some(schema), Some(batches)) = (schema(table), batches(table, scale, 1, 1)) else {
            return Err(Error::InvalidScale(scale));
        };
        files::write_table(dir, table, schema, batches)?;
    }
    Ok(())
}

/// Query `number` (1 to 22) with the parameters that TPC-H validates answers with.
///
/// One standard SELECT, without a semicolon; 15 names its view in a WITH.
pub fn query(number: u32) -> Option<&'static str> {
    QUERIES.get(usize::try_from(number).ok()?.checked_sub(1)?).map(|text| text.trim_end())
}

const QUERIES: [&str; 22] = [
    include_str!("../tpch/q01.sql"),
    include_str!("../tpch/q02.sql"),
    include_str!("../tpch/q03.sql"),
    include_str!("../tpch/q04.sql"),
    include_str!("../tpch/q05.sql"),
    include_str!("../tpch/q06.sql"),
    include_str!("../tpch/q07.sql"),
    include_str!("../tpch/q08.sql"),
    include_str!("../tpch/q09.sql"),
    include_str!("../tpch/q10.sql"),
    include_str!("../tpch/q11.sql"),
    include_str!("../tpch/q12.sql"),
    include_str!("../tpch/q13.sql"),
    include_str!("../tpch/q14.sql"),
    include_str!("../tpch/q15.sql"),
    include_str!("../tpch/q16.sql"),
    include_str!("../tpch/q17.sql"),
    include_str!("../tpch/q18.sql"),
    include_str!("../tpch/q19.sql"),
    include_str!("../tpch/q20.sql"),
    include_str!("../tpch/q21.sql"),
    include_str!("../tpch/q22.sql"),
];

fn is_scale(scale: f64) -> bool {
    scale > 0.0 && scale <= SCALE_MAX
}

/// The generator's own batches, whose strings are views.
fn views(table: &str, scale: f64, part: i32, parts: i32) -> Option<Box<dyn RecordBatchIterator>> {
    Some(match table {
        "region" => Box::new(RegionArrow::new(RegionGenerator::new(scale, part, parts))),
        "nation" => Box::new(NationArrow::new(NationGenerator::new(scale, part, parts))),
        "supplier" => Box::new(SupplierArrow::new(SupplierGenerator::new(scale, part, parts))),
        "customer" => Box::new(CustomerArrow::new(CustomerGenerator::new(scale, part, parts))),
        "part" => Box::new(PartArrow::new(PartGenerator::new(scale, part, parts))),
        "partsupp" => Box::new(PartSuppArrow::new(PartSuppGenerator::new(scale, part, parts))),
        "orders" => Box::new(OrderArrow::new(OrderGenerator::new(scale, part, parts))),
        "lineitem" => Box::new(LineItemArrow::new(LineItemGenerator::new(scale, part, parts))),
        _ => return None,
    })
}

fn plain(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8View => Field::new(field.name(), DataType::Utf8, field.is_nullable()),
        _ => field.as_ref().clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn with_plain_strings(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>();
    columns
        .and_then(|columns| RecordBatch::try_new(schema.clone(), columns))
        .expect("a batch of 8,000 views always fits in plain strings")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: &str, scale: f64, part: i32, parts: i32) -> usize {
        batches(table, scale, part, parts).unwrap().map(|batch| batch.num_rows()).sum()
    }

    #[test]
    fn tables_have_the_rows_of_dbgen() {
        let expected = [5, 25, 100, 1_500, 2_000, 8_000, 15_000, 60_175];
        for (table, expected) in TABLES.into_iter().zip(expected) {
            assert_eq!(rows(table, 0.01, 1, 1), expected, "{table}");
        }
    }

    #[test]
    fn parts_add_up_to_the_table() {
        let parts: Vec<_> = (1..=3).map(|part| rows("orders", 0.01, part, 3)).collect();
        assert!(parts.iter().all(|rows| *rows > 0));
        assert_eq!(parts.iter().sum::<usize>(), 15_000);
    }

    #[test]
    fn a_fixed_table_is_whole_in_the_first_part() {
        assert_eq!(rows("nation", 0.01, 1, 4), 25);
        assert_eq!(rows("nation", 0.01, 2, 4), 0);
    }

    #[test]
    fn strings_are_plain() {
        for table in TABLES {
            let schema = schema(table).unwrap();
            let batch = batches(table, 0.001, 1, 1).unwrap().next().unwrap();
            assert_eq!(batch.schema(), schema);
            assert!(schema.fields().iter().all(|field| *field.data_type() != DataType::Utf8View));
        }
    }

    #[test]
    fn what_does_not_exist_is_none() {
        assert!(batches("orderz", 1.0, 1, 1).is_none());
        assert!(batches("orders", f64::NAN, 1, 1).is_none());
        assert!(batches("orders", 0.0, 1, 1).is_none());
        assert!(batches("orders", 1.0, 2, 1).is_none());
        assert!(query(0).is_none());
        assert!(query(23).is_none());
    }

    #[test]
    fn each_of_the_22_queries_is_one_statement() {
        let mut seen = std::collections::HashSet::new();
        for number in 1..=22 {
            let text = query(number).unwrap();
            assert!(text.ends_with(|c: char| c != ';' && !c.is_whitespace()), "query {number}");
            assert!(!text.contains(';'), "query {number}");
            assert!(seen.insert(text), "query {number} is there twice");
        }
    }
}
