//! `percentile_disc(p) WITHIN GROUP (ORDER BY value)`: a value that is there, of any type that
//! has an order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::compute::{SortOptions, concat, filter, is_not_null, sort_to_indices};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, DocSection, Documentation, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;

use crate::Error;

/// Pieces of a group that are kept apart before they are put together.
const PIECES_MAX: usize = 64;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct PercentileDisc {
    signature: Signature,
    documentation: Documentation,
}

impl Default for PercentileDisc {
    fn default() -> Self {
        let section = DocSection { include: true, label: "Boathouse", description: None };
        let documentation = Documentation::builder(
            section,
            "The first value, in order, at or below which the fraction p of all values lies.",
            "percentile_disc(p) WITHIN GROUP (ORDER BY value)",
        );
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: documentation.build(),
        }
    }
}

impl AggregateUDFImpl for PercentileDisc {
    fn name(&self) -> &str {
        "percentile_disc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [value, fraction] if fraction.is_numeric() => {
                Ok(vec![value.clone(), DataType::Float64])
            }
            _ => Err(Error::invalid("percentile_disc() takes a fraction and an order")
                .with_hint("Write percentile_disc(0.5) WITHIN GROUP (ORDER BY value).")
                .into()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let value = types.first().cloned();
        Ok(value.ok_or_else(|| Error::internal("percentile_disc() without a value"))?)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let value = self.return_type(
            &args.input_fields.iter().map(|field| field.data_type().clone()).collect::<Vec<_>>(),
        )?;
        let list = DataType::List(Arc::new(Field::new_list_field(value, true)));
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "values"), list, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let value = args.expr_fields.first().map(|field| field.data_type().clone());
        let descending = args.order_bys.first().is_some_and(|order| order.options.descending);
        Ok(Box::new(Values {
            data_type: value.ok_or_else(|| Error::internal("percentile_disc() without a value"))?,
            fraction: fraction(&args)?,
            descending,
            distinct: args.is_distinct,
            pieces: Vec::new(),
        }))
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

fn fraction(args: &AccumulatorArgs) -> Result<f64> {
    let literal = args.exprs.get(1).and_then(|expr| expr.downcast_ref::<Literal>());
    match literal.map(Literal::value) {
        Some(ScalarValue::Float64(Some(fraction))) if (0.0..=1.0).contains(fraction) => {
            Ok(*fraction)
        }
        Some(ScalarValue::Float64(Some(other))) => Err(Error::invalid(format!(
            "{other} is no fraction for percentile_disc(): it is between 0 and 1"
        ))
        .into()),
        _ => Err(Error::invalid("the fraction of percentile_disc() must be a constant").into()),
    }
}

/// The values of a group that aren't NULL.
#[derive(Debug)]
struct Values {
    data_type: DataType,
    fraction: f64,
    descending: bool,
    distinct: bool,
    pieces: Vec<ArrayRef>,
}

impl Values {
    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        let values = match values.null_count() {
            0 => values.clone(),
            _ => filter(values, &is_not_null(values)?)?,
        };
        if !values.is_empty() {
            self.pieces.push(values);
        }
        if self.pieces.len() > PIECES_MAX {
            self.pieces = vec![self.all()?];
        }
        Ok(())
    }

    fn all(&self) -> Result<ArrayRef> {
        let pieces: Vec<&dyn Array> = self.pieces.iter().map(AsRef::as_ref).collect();
        match pieces.is_empty() {
            true => Ok(new_empty_array(&self.data_type)),
            false => Ok(concat(&pieces)?),
        }
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        match columns.first() {
            Some(values) => self.add(values),
            None => Ok(()),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first() else { return Ok(()) };
        for values in lists.as_list::<i32>().iter().flatten() {
            self.add(&values)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![SingleRowListArrayBuilder::new(self.all()?).build_list_scalar()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let values = self.all()?;
        if values.is_empty() {
            return Ok(ScalarValue::try_from(&self.data_type)?);
        }
        let order = SortOptions { descending: self.descending, nulls_first: false };
        let indices = sort_to_indices(&values, Some(order), None)?;
        let mut indices: Vec<usize> = indices.values().iter().map(|i| *i as usize).collect();
        if self.distinct {
            let same = arrow::array::make_comparator(&values, &values, SortOptions::default())?;
            indices.dedup_by(|a, b| same(*a, *b).is_eq());
        }
        // The smallest k with k / n ≥ fraction, as PostgreSQL computes it.
        let nth = (self.fraction * indices.len() as f64).ceil() as usize;
        let nth = nth.clamp(1, indices.len()) - 1;
        let index = indices.get(nth).copied().unwrap_or(0);
        ScalarValue::try_from_array(&values, index)
    }

    fn size(&self) -> usize {
        let values: usize = self.pieces.iter().map(slice_bytes).sum();
        size_of::<Self>() + values
    }
}

/// A slice counts for itself: what it is cut from belongs to the batch it came in.
fn slice_bytes(values: &ArrayRef) -> usize {
    let size = values.to_data().get_slice_memory_size();
    size.unwrap_or_else(|_| values.get_array_memory_size())
}
