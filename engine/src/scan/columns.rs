//! Which column of a Parquet file is which column of its table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::common::Result as DataFusionResult;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use datafusion::physical_plan::PhysicalExpr;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::Error;

/// How a table's columns are found in its files. Types are widened and missing columns are NULL
/// either way.
#[derive(Clone, Debug)]
pub(crate) enum Matching {
    /// By name; where no name is the same, by a name that differs in case only.
    Name,
    /// By field id, as Iceberg's are; in a file without ids, by the names that are given.
    Id(Arc<FieldIds>),
}

/// The field ids of a table's columns.
#[derive(Debug, Default)]
pub(crate) struct FieldIds {
    /// By the column's name.
    pub(crate) of_columns: HashMap<String, i32>,
    /// By the name in files that have no ids.
    pub(crate) of_names: HashMap<String, i32>,
}

impl PhysicalExprAdapterFactory for Matching {
    fn create(
        &self,
        logical: SchemaRef,
        physical: SchemaRef,
    ) -> DataFusionResult<Arc<dyn PhysicalExprAdapter>> {
        let renamed = Arc::new(self.renamed(&logical, &physical)?);
        let inner = DefaultPhysicalExprAdapterFactory.create(logical, renamed)?;
        Ok(Arc::new(Adapter { inner, physical }))
    }
}

impl Matching {
    /// The file's columns under the table's names for them. One that the table doesn't have gets a
    /// name that no column has.
    fn renamed(&self, logical: &Schema, physical: &Schema) -> DataFusionResult<Schema> {
        let mut fields: Vec<Field> = physical
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| field.as_ref().clone().with_name(format!("\0{index}")))
            .collect();
        for column in logical.fields() {
            if let Some(index) = self.find(column, physical)? {
                fields[index] = fields[index]
                    .clone()
                    .with_name(column.name())
                    .with_metadata(column.metadata().clone());
            }
        }
        Ok(Schema::new(fields))
    }

    fn find(&self, column: &Field, physical: &Schema) -> DataFusionResult<Option<usize>> {
        match self {
            Self::Name => by_name(column.name(), physical),
            Self::Id(ids) => {
                let wanted = ids.of_columns.get(column.name());
                let has_ids = physical.fields().iter().any(|field| id_in_file(field).is_some());
                let id = |field: &FieldRef| match has_ids {
                    true => id_in_file(field),
                    false => ids.of_names.get(field.name()).copied(),
                };
                Ok(wanted.and_then(|wanted| {
                    physical.fields().iter().position(|field| id(field) == Some(*wanted))
                }))
            }
        }
    }
}

fn id_in_file(field: &FieldRef) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

fn by_name(name: &str, physical: &Schema) -> DataFusionResult<Option<usize>> {
    if let Ok(index) = physical.index_of(name) {
        return Ok(Some(index));
    }
    let folded = name.to_lowercase();
    let mut alike = physical
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| field.name().to_lowercase() == folded);
    let first = alike.next();
    match (first, alike.next()) {
        (Some((_, one)), Some((_, other))) => Err(Error::bad_data(format!(
            "column \"{name}\" may be \"{}\" or \"{}\" in a Parquet file",
            one.name(),
            other.name()
        ))
        .into()),
        _ => Ok(first.map(|(index, _)| index)),
    }
}

/// Finds columns in the file's schema under the table's names, and then calls them as the file
/// does.
#[derive(Debug)]
struct Adapter {
    inner: Arc<dyn PhysicalExprAdapter>,
    physical: SchemaRef,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let found = self.inner.rewrite(expr)?;
        found
            .transform(|expr| {
                let Some(column) = expr.downcast_ref::<Column>() else {
                    return Ok(Transformed::no(expr));
                };
                match self.physical.fields().get(column.index()) {
                    Some(field) if field.name() != column.name() => {
                        let named = Column::new(field.name(), column.index());
                        Ok(Transformed::yes(Arc::new(named) as Arc<dyn PhysicalExpr>))
                    }
                    _ => Ok(Transformed::no(expr)),
                }
            })
            .data()
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use datafusion::physical_expr::expressions::Literal;

    use super::*;

    fn schema(fields: &[(&str, DataType, Option<i32>)]) -> SchemaRef {
        let fields: Vec<Field> = fields
            .iter()
            .map(|(name, data_type, id)| {
                let id = id.map(|id| (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string()));
                Field::new(*name, data_type.clone(), true).with_metadata(id.into_iter().collect())
            })
            .collect();
        Arc::new(Schema::new(fields))
    }

    fn read(matching: &Matching, table: &SchemaRef, file: &SchemaRef, name: &str) -> String {
        let adapter = matching.create(table.clone(), file.clone()).unwrap();
        let column = Column::new_with_schema(name, table).unwrap();
        let read = adapter.rewrite(Arc::new(column)).unwrap();
        match read.downcast_ref::<Literal>() {
            Some(_) => "NULL".to_owned(),
            None => read.to_string(),
        }
    }

    #[test]
    fn names_may_differ_in_case() {
        let table = schema(&[("userid", DataType::Int64, None), ("n", DataType::Int32, None)]);
        let file = schema(&[("N", DataType::Int32, None), ("UserId", DataType::Int64, None)]);
        assert_eq!(read(&Matching::Name, &table, &file, "userid"), "UserId@1");
        assert_eq!(read(&Matching::Name, &table, &file, "n"), "N@0");
    }

    #[test]
    fn the_same_name_comes_before_one_in_another_case() {
        let table = schema(&[("n", DataType::Int32, None)]);
        let file = schema(&[("N", DataType::Int32, None), ("n", DataType::Int32, None)]);
        assert_eq!(read(&Matching::Name, &table, &file, "n"), "n@1");
    }

    #[test]
    fn two_names_in_another_case_are_an_error() {
        let table = schema(&[("user", DataType::Int32, None)]);
        let file = schema(&[("User", DataType::Int32, None), ("USER", DataType::Int32, None)]);
        let error = Matching::Name.create(table, file).unwrap_err();
        assert!(error.to_string().contains("\"USER\""), "{error}");
    }

    #[test]
    fn ids_find_columns_that_were_renamed_dropped_and_made_anew() {
        let ids = FieldIds {
            of_columns: [("b".to_owned(), 1), ("a".to_owned(), 3)].into(),
            of_names: [("a".to_owned(), 1)].into(),
        };
        let matching = Matching::Id(Arc::new(ids));
        let table = schema(&[("b", DataType::Int64, None), ("a", DataType::Int32, None)]);
        let file = schema(&[("a", DataType::Int32, Some(1)), ("c", DataType::Int32, Some(2))]);
        assert!(read(&matching, &table, &file, "b").contains("a@0"));
        assert_eq!(read(&matching, &table, &file, "a"), "NULL");
        let without_ids = schema(&[("a", DataType::Int64, None)]);
        assert_eq!(read(&matching, &table, &without_ids, "b"), "a@0");
    }
}
