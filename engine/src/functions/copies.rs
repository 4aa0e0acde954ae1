//! Lists as long as a number says: what `INTERSECT ALL` and `EXCEPT ALL` unnest.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion::common::cast::as_int64_array;
use datafusion::error::Result;

use super::scalar::{Kind, Scalar};
use crate::{Error, ErrorKind};

/// The name of the function.
pub(crate) const COPIES: &str = "row_copies";
/// How often one row may come, and how often those of a batch may.
const COPIES_MAX: usize = 10_000_000;

pub(super) fn list() -> Vec<Scalar> {
    vec![
        Scalar::new(
            COPIES,
            "row_copies(n)",
            "A list of n entries; INTERSECT ALL and EXCEPT ALL use it.",
            copies,
        )
        .takes(&[("n", Kind::Integer)])
        .returns(|_| DataType::List(entry())),
    ]
}

fn entry() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Boolean, true))
}

fn copies(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let Some(counts) = columns.first() else {
        return Err(Error::internal("row_copies() without a number").into());
    };
    let lengths: Vec<usize> = as_int64_array(counts)?
        .iter()
        .map(|count| usize::try_from(count.unwrap_or(0)).unwrap_or(0))
        .collect();
    let total = lengths.iter().try_fold(0_usize, |sum, length| sum.checked_add(*length));
    let Some(total) = total.filter(|total| *total <= COPIES_MAX) else {
        return Err(Error::new(
            ErrorKind::ResourcesExhausted,
            format!("INTERSECT ALL or EXCEPT ALL gives more than {COPIES_MAX} copies of a row"),
        )
        .with_hint("Count the rows of both sides with GROUP BY instead.")
        .into());
    };
    let entries = Arc::new(BooleanArray::from(vec![false; total]));
    Ok(Arc::new(ListArray::try_new(entry(), OffsetBuffer::from_lengths(lengths), entries, None)?))
}
