//! The rules of a table: which values its rows get, and which conditions they meet. Every row
//! that is written passes [`Rules::apply`].

mod expression;
mod identity;
mod row;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, make_comparator,
};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{CastOptions, SortOptions, cast_with_options, is_null};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;

pub(crate) use expression::{Use, check_expression, columns_in, parsed_default, spelled};
pub(crate) use identity::{Allotment, insert_with_identity, marked};
pub(crate) use row::shown;

use crate::definition::{Check, ColumnRules, invariant_of};
use crate::hidden::Hidden;
use crate::scan::DeltaSnapshot;
use crate::{Error, Result};

/// What a table asks of the rows that are written to it.
pub(crate) struct Rules {
    /// The rows' columns.
    pub(crate) schema: SchemaRef,
    /// What an INSERT without a value for the column gives it.
    defaults: Hidden<HashMap<String, Expr>>,
    generated: Vec<Generated>,
    pub(crate) identity: Vec<IdentityColumn>,
    checks: Vec<Condition>,
}

/// A column that is computed from others.
struct Generated {
    index: usize,
    sql: String,
    expression: Arc<dyn PhysicalExpr>,
}

/// A column whose values are allotted.
#[derive(Clone, Debug)]
pub(crate) struct IdentityColumn {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) identity: crate::definition::Identity,
}

/// A condition that is true or NULL for each row.
struct Condition {
    /// `CHECK constraint "name" (sql)`.
    name: String,
    expression: Arc<dyn PhysicalExpr>,
}

impl Rules {
    /// Types and NOT NULL alone.
    pub(crate) fn of_schema(schema: SchemaRef) -> Self {
        Self {
            schema,
            defaults: Hidden::new(HashMap::new()),
            generated: Vec::new(),
            identity: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Those of a Delta table. One that can't be understood is an error: nothing may be written
    /// then.
    pub(crate) fn of_delta(state: &SessionState, snapshot: &DeltaSnapshot) -> Result<Self> {
        let mut rules = Self::of_schema(snapshot.schema.clone());
        let mut checks = crate::definition::checks_of(snapshot.metadata().configuration());
        let mut defaults = HashMap::new();
        let schema = DFSchema::try_from(snapshot.schema.as_ref().clone())?;
        for (index, column) in snapshot.columns().fields().enumerate() {
            let found = ColumnRules::of(column)?;
            let data_type = snapshot.schema.field(index).data_type();
            if let Some(sql) = found.default {
                let default = expression::default(state, &sql, data_type)
                    .map_err(|error| unusable(error, &format!("default of \"{}\"", column.name)))?;
                defaults.insert(column.name.clone(), default);
            }
            if let Some(sql) = found.generated {
                let expression = expression::generation(state, &sql, &schema, data_type)
                    .map_err(|error| unusable(error, &format!("generated \"{}\"", column.name)))?;
                rules.generated.push(Generated { index, sql, expression });
            }
            if let Some(identity) = found.identity {
                let name = column.name.clone();
                rules.identity.push(IdentityColumn { index, name, identity });
            }
            if let Some(sql) = invariant_of(column) {
                checks.push(Check { name: format!("invariant of {}", column.name), sql });
            }
        }
        rules.defaults = Hidden::new(defaults);
        rules.checks = conditions(state, checks, &schema)?;
        Ok(rules)
    }

    /// Whether columns get values when rows are written.
    pub(crate) fn has_computed_columns(&self) -> bool {
        !self.generated.is_empty() || !self.identity.is_empty()
    }

    /// What an INSERT that leaves the column out gives it.
    pub(crate) fn default_of(&self, column: &str) -> Option<&Expr> {
        self.defaults.get().get(column)
    }

    /// What rows get that come without the column: its default, or NULL.
    pub(crate) fn default_column(
        &self,
        state: &SessionState,
        column: &str,
        rows: usize,
    ) -> Result<Option<ArrayRef>> {
        match self.default_of(column) {
            Some(default) => expression::evaluate(state, default, rows).map(Some),
            None => Ok(None),
        }
    }

    /// The rows as they are written: columns matched by position and cast, identity values
    /// allotted and columns computed where they are NULL, and all conditions checked.
    pub(crate) fn apply(
        &self,
        batch: &RecordBatch,
        allotment: &mut Allotment,
    ) -> Result<RecordBatch> {
        let mut columns = self.cast(batch)?;
        allotment.fill(&self.identity, &mut columns)?;
        let rows = batch.num_rows();
        self.generate(&mut columns, rows)?;
        self.check_nulls(&columns)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        self.check(&batch)?;
        Ok(batch)
    }

    /// Refuses values for columns that are always allotted.
    pub(crate) fn check_given(&self, batch: &RecordBatch) -> Result<()> {
        for column in &self.identity {
            let given = batch.num_columns() > column.index
                && batch.column(column.index).null_count() < batch.num_rows()
                && batch.column(column.index).data_type() != &DataType::Null;
            if given && !column.identity.allow_explicit {
                return Err(Error::invalid(format!(
                    "column \"{}\" is GENERATED ALWAYS AS IDENTITY, and a value came",
                    column.name
                ))
                .with_hint("Leave the column out of the INSERT, or write DEFAULT for it."));
            }
        }
        Ok(())
    }

    fn cast(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        if batch.num_columns() != self.schema.fields().len() {
            return Err(Error::invalid(format!(
                "the table has {} columns, and rows with {} came",
                self.schema.fields().len(),
                batch.num_columns()
            )));
        }
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let pairs = batch.columns().iter().zip(self.schema.fields());
        pairs
            .map(|(column, field)| {
                if column.data_type() == field.data_type() {
                    return Ok(column.clone());
                }
                cast_with_options(column, field.data_type(), &options).map_err(|error| {
                    Error::from(error).about(format!("column \"{}\"", field.name()))
                })
            })
            .collect()
    }

    /// Computes what is generated, one column after the other: none depends on another.
    fn generate(&self, columns: &mut [ArrayRef], rows: usize) -> Result<()> {
        if self.generated.is_empty() {
            return Ok(());
        }
        let nullable = row::nullable(&self.schema);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(nullable, columns.to_vec(), &options)?;
        for generated in &self.generated {
            let computed = generated.expression.evaluate(&batch)?.into_array(rows)?;
            let given = &columns[generated.index];
            if given.null_count() < rows {
                self.check_generated(generated, &batch, &computed)?;
            }
            columns[generated.index] = computed;
        }
        Ok(())
    }

    /// A value that was given for a generated column is the one that is computed.
    fn check_generated(
        &self,
        generated: &Generated,
        batch: &RecordBatch,
        computed: &ArrayRef,
    ) -> Result<()> {
        let given = batch.column(generated.index);
        // NULL stands for no value.
        let given = zip(&is_null(given)?, computed, given)?;
        let compare = make_comparator(&given, computed, SortOptions::default())?;
        let differs = |row: &usize| compare(*row, *row) != Ordering::Equal;
        let Some(row) = (0..given.len()).find(differs) else { return Ok(()) };
        let name = self.schema.field(generated.index).name();
        Err(Error::invalid(format!(
            "column \"{name}\" is generated as {}, which is {}, and the row {} came",
            generated.sql,
            row::value(computed, row),
            shown(batch, row)
        ))
        .with_hint(format!("Leave \"{name}\" out of the INSERT, or write DEFAULT for it.")))
    }

    fn check_nulls(&self, columns: &[ArrayRef]) -> Result<()> {
        for (column, field) in columns.iter().zip(self.schema.fields()) {
            if field.is_nullable() || column.null_count() == 0 {
                continue;
            }
            let nulls = is_null(column)?;
            let row = first_true(&nulls).unwrap_or(0);
            let batch = RecordBatch::try_new(row::nullable(&self.schema), columns.to_vec())?;
            return Err(Error::invalid(format!(
                "column \"{}\" is NOT NULL, and the row {} came",
                field.name(),
                shown(&batch, row)
            )));
        }
        Ok(())
    }

    fn check(&self, batch: &RecordBatch) -> Result<()> {
        for condition in &self.checks {
            let result = condition.expression.evaluate(batch)?.into_array(batch.num_rows())?;
            let Some(result) = result.as_boolean_opt() else { continue };
            let violates = |row: &usize| result.is_valid(*row) && !result.value(*row);
            if let Some(row) = (0..result.len()).find(violates) {
                return Err(Error::invalid(format!(
                    "{} is violated by the row {}",
                    condition.name,
                    shown(batch, row)
                )));
            }
        }
        Ok(())
    }
}

fn first_true(values: &BooleanArray) -> Option<usize> {
    (0..values.len()).find(|row| values.is_valid(*row) && values.value(*row))
}

fn conditions(
    state: &SessionState,
    checks: Vec<Check>,
    schema: &DFSchema,
) -> Result<Vec<Condition>> {
    let condition = |check: Check| {
        let expression = expression::condition(state, &check.sql, schema)
            .map_err(|error| unusable(error, &format!("constraint \"{}\"", check.name)))?;
        Ok(Condition {
            name: format!("CHECK constraint \"{}\" ({})", check.name, check.sql),
            expression,
        })
    };
    checks.into_iter().map(condition).collect()
}

/// The table has a rule that Boathouse can't keep.
fn unusable(error: Error, rule: &str) -> Error {
    Error::unsupported(format!("writing to the table, since its {rule} isn't understood: {error}"))
        .with_hint("It can be read. Write to it with the tool that made it, or drop that rule.")
}
