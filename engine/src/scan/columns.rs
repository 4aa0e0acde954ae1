//! Which column of a Parquet file is which column of its table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DataFusionResult, ScalarValue};
use datafusion::functions::core::getfield::GetFieldFunc;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use datafusion::physical_plan::PhysicalExpr;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use super::relabel::Relabelled;
use crate::Error;

/// How a table's columns are found in its files. Types are widened and missing columns are NULL
/// either way.
#[derive(Clone, Debug)]
pub(crate) enum Matching {
    /// By name; where no name is the same, by a name that differs in case only.
    Name,
    /// By field id, as Iceberg's are; in a file without ids, by the names that are given.
    Id(Arc<FieldIds>),
    /// By the names or ids that a table says its files have, as Delta's column mapping does.
    Mapped(Arc<MappedFields>),
}

/// The field ids of a table's columns.
#[derive(Debug, Default)]
pub(crate) struct FieldIds {
    /// By the column's name.
    pub(crate) of_columns: HashMap<String, i32>,
    /// By the name in files that have no ids.
    pub(crate) of_names: HashMap<String, i32>,
}

/// The fields of a table whose files have other names for them, at any depth.
#[derive(Debug)]
pub(crate) struct MappedFields {
    /// Whether the ids in a file come before its names.
    pub(crate) by_id: bool,
    pub(crate) fields: Vec<MappedField>,
}

#[derive(Debug)]
pub(crate) struct MappedField {
    pub(crate) name: String,
    /// The name in files.
    pub(crate) physical: String,
    /// Fields have one; the parts of lists and maps don't.
    pub(crate) id: Option<i32>,
    /// The fields of a struct, the element of a list, or the key and value of a map.
    pub(crate) inner: Vec<MappedField>,
}

impl PhysicalExprAdapterFactory for Matching {
    fn create(
        &self,
        logical: SchemaRef,
        physical: SchemaRef,
    ) -> DataFusionResult<Arc<dyn PhysicalExprAdapter>> {
        let renamed = Arc::new(self.renamed(&logical, &physical)?);
        let inner = DefaultPhysicalExprAdapterFactory.create(logical, renamed.clone())?;
        Ok(Arc::new(Adapter { inner, physical, renamed }))
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
                    .with_data_type(self.relabelled(column.name(), fields[index].data_type()))
                    .with_metadata(column.metadata().clone());
            }
        }
        Ok(Schema::new(fields))
    }

    fn find(&self, column: &Field, physical: &Schema) -> DataFusionResult<Option<usize>> {
        match self {
            Self::Name => by_name(column.name(), physical),
            Self::Mapped(mapped) => {
                let field = mapped.field(column.name());
                Ok(field.and_then(|field| field.position(physical.fields(), mapped.by_id)))
            }
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

    /// A file's type for a column, with the table's names in it.
    fn relabelled(&self, column: &str, data_type: &DataType) -> DataType {
        match self {
            Self::Mapped(mapped) => match mapped.field(column) {
                Some(field) => field.logical_type(data_type, mapped.by_id),
                None => data_type.clone(),
            },
            _ => data_type.clone(),
        }
    }
}

impl MappedFields {
    /// The column of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&MappedField> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl MappedField {
    fn position(&self, fields: &Fields, by_id: bool) -> Option<usize> {
        let has_ids = by_id && fields.iter().any(|field| id_in_file(field).is_some());
        fields.iter().position(|field| match (has_ids, self.id) {
            (true, Some(id)) => id_in_file(field) == Some(id),
            _ => field.name() == &self.physical,
        })
    }

    fn logical_type(&self, data_type: &DataType, by_id: bool) -> DataType {
        let part = |field: &FieldRef, part: Option<&Self>| match part {
            Some(part) => {
                let inner = part.logical_type(field.data_type(), by_id);
                Arc::new(field.as_ref().clone().with_data_type(inner))
            }
            None => field.clone(),
        };
        match data_type {
            DataType::Struct(fields) => DataType::Struct(self.logical_fields(fields, by_id)),
            DataType::List(element) => DataType::List(part(element, self.inner.first())),
            DataType::LargeList(element) => DataType::LargeList(part(element, self.inner.first())),
            DataType::Map(entries, sorted) => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return data_type.clone();
                };
                let fields = fields.iter().zip(&self.inner).map(|(f, inner)| part(f, Some(inner)));
                let entries = entries.as_ref().clone();
                let entries = entries.with_data_type(DataType::Struct(fields.collect()));
                DataType::Map(Arc::new(entries), *sorted)
            }
            other => other.clone(),
        }
    }

    /// The fields of a file's struct under the table's names. One that the table doesn't have gets
    /// a name that no field has.
    fn logical_fields(&self, fields: &Fields, by_id: bool) -> Fields {
        let mut named: Vec<FieldRef> = fields
            .iter()
            .enumerate()
            .map(|(index, field)| Arc::new(field.as_ref().clone().with_name(format!("\0{index}"))))
            .collect();
        for inner in &self.inner {
            if let Some(index) = inner.position(fields, by_id) {
                let data_type = inner.logical_type(fields[index].data_type(), by_id);
                let field = Field::new(&inner.name, data_type, fields[index].is_nullable());
                named[index] = Arc::new(field);
            }
        }
        named.into()
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
    /// The file's schema under the table's names.
    renamed: SchemaRef,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        self.inner.rewrite(expr)?.transform_down(|expr| self.as_in_file(expr)).data()
    }
}

impl Adapter {
    fn as_in_file(
        &self,
        expr: Arc<dyn PhysicalExpr>,
    ) -> DataFusionResult<Transformed<Arc<dyn PhysicalExpr>>> {
        if let Some(access) = self.access_in_file(&expr)? {
            return Ok(Transformed::new(access, true, TreeNodeRecursion::Jump));
        }
        let Some(column) = expr.downcast_ref::<Column>() else {
            return Ok(Transformed::no(expr));
        };
        let index = column.index();
        match (self.physical.fields().get(index), self.renamed.fields().get(index)) {
            (Some(field), Some(renamed)) if field.data_type() != renamed.data_type() => {
                let column = Arc::new(Column::new(field.name(), index));
                let relabelled = Arc::new(Relabelled::new(column, renamed.clone()));
                Ok(Transformed::new(relabelled, true, TreeNodeRecursion::Jump))
            }
            (Some(field), _) if field.name() != column.name() => {
                let named = Column::new(field.name(), index);
                Ok(Transformed::yes(Arc::new(named) as Arc<dyn PhysicalExpr>))
            }
            _ => Ok(Transformed::no(expr)),
        }
    }

    /// `get_field(column, 'a', 'b')` with the file's names, so that only that field is read.
    fn access_in_file(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
    ) -> DataFusionResult<Option<Arc<dyn PhysicalExpr>>> {
        let Some((column, path)) = field_access(expr) else { return Ok(None) };
        let fields = (self.physical.fields(), self.renamed.fields());
        let (Some(field), Some(renamed)) =
            (fields.0.get(column.index()), fields.1.get(column.index()))
        else {
            return Ok(None);
        };
        if field.data_type() == renamed.data_type() {
            return Ok(None);
        }
        let Some(names) = names_in_file(field.data_type(), renamed.data_type(), &path) else {
            return Ok(None);
        };
        let mut args: Vec<Arc<dyn PhysicalExpr>> =
            vec![Arc::new(Column::new(field.name(), column.index()))];
        args.extend(
            names.into_iter().map(|name| {
                Arc::new(Literal::new(ScalarValue::from(name))) as Arc<dyn PhysicalExpr>
            }),
        );
        let Some(call) = ScalarFunctionExpr::try_downcast_func::<GetFieldFunc>(expr.as_ref())
        else {
            return Ok(None);
        };
        let function = Arc::new(call.fun().clone());
        let options = Arc::new(call.config_options().clone());
        let call = ScalarFunctionExpr::try_new(function, args, &self.physical, options)?;
        Ok(Some(Arc::new(call)))
    }
}

/// The column and the names below it of an access to a field of a struct.
pub(crate) fn field_access(expr: &Arc<dyn PhysicalExpr>) -> Option<(&Column, Vec<&str>)> {
    let call = ScalarFunctionExpr::try_downcast_func::<GetFieldFunc>(expr.as_ref())?;
    let (source, keys) = call.args().split_first()?;
    let path = keys
        .iter()
        .map(|key| key.downcast_ref::<Literal>()?.value().try_as_str().flatten())
        .collect::<Option<Vec<&str>>>()?;
    (!keys.is_empty()).then_some((source.downcast_ref::<Column>()?, path))
}

/// What a file calls the fields of `path`, if the last of them has the table's names in it.
fn names_in_file<'a>(
    physical: &'a DataType,
    renamed: &DataType,
    path: &[&str],
) -> Option<Vec<&'a str>> {
    let Some((name, rest)) = path.split_first() else {
        return (physical == renamed).then(Vec::new);
    };
    let (DataType::Struct(physical), DataType::Struct(renamed)) = (physical, renamed) else {
        return None;
    };
    let index = renamed.iter().position(|field| field.name() == name)?;
    let field = physical.get(index)?;
    let mut names = vec![field.name().as_str()];
    names.extend(names_in_file(field.data_type(), renamed.get(index)?.data_type(), rest)?);
    Some(names)
}

#[cfg(test)]
mod tests {
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

    fn mapped(name: &str, physical: &str, id: i32, inner: Vec<MappedField>) -> MappedField {
        MappedField { name: name.into(), physical: physical.into(), id: Some(id), inner }
    }

    fn point(x: &str, y: &str) -> DataType {
        let field = |name: &str, id: &str| {
            let id = (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_owned());
            Field::new(name, DataType::Int32, true).with_metadata([id].into())
        };
        DataType::Struct(vec![field(x, "3"), field(y, "4")].into())
    }

    #[test]
    fn mapped_names_are_found_at_any_depth() {
        let inner = vec![mapped("y", "c4", 4, vec![]), mapped("x", "c3", 3, vec![])];
        let fields = vec![mapped("n", "c1", 1, vec![]), mapped("p", "c2", 2, inner)];
        let plain = |names: [&str; 2]| {
            let fields = names.map(|name| Field::new(name, DataType::Int32, true));
            DataType::Struct(fields.to_vec().into())
        };
        let table = schema(&[("n", DataType::Int64, None), ("p", plain(["y", "x"]), None)]);
        let by_name = schema(&[("p", point("c3", "c4"), None), ("c2", point("c3", "c4"), None)]);
        let matching = Matching::Mapped(Arc::new(MappedFields { by_id: false, fields }));
        assert_eq!(read(&matching, &table, &by_name, "n"), "NULL");
        assert!(read(&matching, &table, &by_name, "p").contains("c2@1"));
        let renamed = matching.renamed(&table, &by_name).unwrap();
        assert_eq!(renamed.field(1).data_type(), &plain(["x", "y"]));
    }

    #[test]
    fn ids_come_before_names_where_a_mapping_says_so() {
        let fields = vec![mapped("n", "c1", 1, vec![])];
        let matching = Matching::Mapped(Arc::new(MappedFields { by_id: true, fields }));
        let table = schema(&[("n", DataType::Int32, None)]);
        let file = schema(&[("c1", DataType::Int32, Some(7)), ("z", DataType::Int32, Some(1))]);
        assert_eq!(read(&matching, &table, &file, "n"), "z@1");
        let without_ids = schema(&[("c1", DataType::Int32, None)]);
        assert_eq!(read(&matching, &table, &without_ids, "n"), "c1@0");
    }
}
