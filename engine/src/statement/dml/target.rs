//! The table whose rows a statement changes: found by its name, and put into queries about it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemorySchemaProvider,
    SchemaProvider as _, TableProvider,
};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, ObjectName, TableAlias, TableFactor, TableWithJoins, VisitMut,
    visit_expressions_mut,
};

use super::update::null;
use crate::definition::ColumnRules;
use crate::names::did_you_mean;
use crate::parse::{fold, name_parts};
use crate::rules::parsed_default;
use crate::scan::{DeltaFiles, LakeTable};
use crate::settings::CATALOG;
use crate::{Error, ErrorKind, Result};

/// The catalog, schema and name under which queries find the target with its rows' places.
const PLACE: [&str; 3] = ["__boathouse", "rows", "target"];

/// A Delta table whose rows are changed, at one version.
pub(super) struct TargetTable {
    pub(super) name: String,
    pub(super) files: DeltaFiles,
    /// What the statement calls it.
    pub(super) alias: String,
    provider: Arc<dyn TableProvider>,
}

/// A table as a statement names its target.
pub(super) struct Named<'a> {
    pub(super) name: &'a ObjectName,
    pub(super) alias: Option<&'a TableAlias>,
}

impl<'a> Named<'a> {
    /// The one table of `FROM` or `UPDATE`.
    pub(super) fn of(table: &'a TableWithJoins, statement: &str) -> Result<Self> {
        if !table.joins.is_empty() {
            return Err(Error::unsupported(format!("{statement} of a join"))
                .with_hint("Use MERGE INTO … USING …, or a subquery in WHERE."));
        }
        Self::of_factor(&table.relation, statement)
    }

    pub(super) fn of_factor(table: &'a TableFactor, statement: &str) -> Result<Self> {
        match table {
            TableFactor::Table { name, alias, args: None, version: None, sample: None, .. }
                if alias.as_ref().is_none_or(|alias| alias.columns.is_empty()) =>
            {
                Ok(Self { name, alias: alias.as_ref() })
            }
            other => Err(Error::invalid(format!("{statement} takes a table's name, not {other}"))),
        }
    }

    /// The name that the statement's expressions use for it.
    fn alias(&self) -> String {
        match self.alias {
            Some(alias) => fold(&alias.name),
            None => name_parts(self.name).pop().unwrap_or_default(),
        }
    }
}

impl TargetTable {
    /// Looks the target up among the tables that `state` was given when names were resolved.
    pub(super) async fn find(
        state: &SessionState,
        named: &Named<'_>,
        statement: &str,
    ) -> Result<Self> {
        let (name, provider) = table(state, named.name).await?;
        if provider.table_type() == TableType::View {
            return Err(Error::invalid(format!("\"{name}\" is a view"))
                .with_hint("Change the rows of the table under it."));
        }
        let Some(lake) = provider.downcast_ref::<LakeTable>() else {
            return Err(Error::unsupported(format!("{statement} \"{name}\"")));
        };
        let files = lake.changeable(statement)?;
        Ok(Self { name, files, alias: named.alias(), provider })
    }

    fn lake(&self) -> Result<&LakeTable> {
        let lake = self.provider.downcast_ref::<LakeTable>();
        lake.ok_or_else(|| Error::internal("the target is no table of the lake"))
    }

    /// Its columns as scans give them.
    pub(super) fn schema(&self) -> SchemaRef {
        self.provider.schema()
    }

    /// What the column at `position` gets where a statement gives it no value, or `DEFAULT`.
    pub(super) fn default_of(&self, position: usize) -> Result<SqlExpr> {
        match self.column_rules()?.get(position).and_then(|rules| rules.default.as_deref()) {
            Some(sql) => parsed_default(sql),
            None => Ok(null()),
        }
    }

    /// The positions of the columns that are computed from others.
    pub(super) fn generated(&self) -> Result<Vec<usize>> {
        let rules = self.column_rules()?.into_iter().enumerate();
        Ok(rules.filter(|(_, rules)| rules.generated.is_some()).map(|(index, _)| index).collect())
    }

    fn column_rules(&self) -> Result<Vec<ColumnRules>> {
        let schema = self.files.delta.columns();
        schema.fields().map(ColumnRules::of).collect()
    }

    /// The position of a column that the statement names.
    pub(super) fn column(&self, name: &Ident) -> Result<usize> {
        let folded = fold(name);
        let schema = self.schema();
        schema.index_of(&folded).map_err(|_| {
            let text = format!("table \"{}\" has no column \"{folded}\"", self.name);
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            let hint = did_you_mean(&folded, &names)
                .unwrap_or_else(|| format!("Its columns are {}.", names.join(", ")));
            Error::new(ErrorKind::NotFound, text).with_word(&name.value).with_hint(hint)
        })
    }

    /// `state` with the target in it, under the name that [`TargetTable::from`] uses.
    pub(super) fn register(&self, state: &mut SessionState) -> Result<()> {
        let placed = Arc::new(self.lake()?.placed(&self.files, |_| true)?);
        let schema = Arc::new(MemorySchemaProvider::new());
        schema.register_table(PLACE[2].to_owned(), placed)?;
        let catalog = Arc::new(MemoryCatalogProvider::new());
        catalog.register_schema(PLACE[1], schema)?;
        let inner = state.catalog_list().clone();
        state.register_catalog_list(Arc::new(WithTarget { inner, catalog }));
        Ok(())
    }

    /// What stands after FROM for the target with its rows' places.
    pub(super) fn from(&self) -> String {
        let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        format!("{} AS {}", PLACE.map(quote).join("."), quote(&self.alias))
    }

    /// All files' numbers.
    pub(super) fn all_files(&self) -> Vec<u32> {
        (0..).zip(self.files.files.iter()).map(|(number, _)| number).collect()
    }

    /// Its columns, without the rows' places, as expressions.
    pub(super) fn columns(&self) -> Vec<Expr> {
        let schema = self.schema();
        schema.fields().iter().map(|field| self.column_expr(field.name())).collect()
    }

    pub(super) fn column_expr(&self, name: &str) -> Expr {
        let table = TableReference::bare(self.alias.as_str());
        Expr::Column(Column::new(Some(table), name))
    }

    /// A scan of the wanted files under the statement's name for the table.
    pub(super) fn scan(&self, wanted: impl Fn(u32) -> bool) -> Result<LogicalPlan> {
        let source = provider_as_source(Arc::new(self.lake()?.placed(&self.files, wanted)?));
        let place = TableReference::full(PLACE[0], PLACE[1], PLACE[2]);
        let scan = LogicalPlanBuilder::scan(place, source, None)?;
        Ok(scan.alias(TableReference::bare(self.alias.as_str()))?.build()?)
    }

    /// The files that `filter`, over the target's columns, takes as a whole; `None` if it looks
    /// at more than the partition.
    pub(super) fn whole_files(
        &self,
        state: &SessionState,
        filter: &Expr,
    ) -> Result<Option<Vec<u32>>> {
        self.lake()?.whole_files(state, &self.files, filter)
    }
}

/// The table of this name, with the name in full.
async fn table(
    state: &SessionState,
    name: &ObjectName,
) -> Result<(String, Arc<dyn TableProvider>)> {
    let parts = name_parts(name);
    let reference = match parts.as_slice() {
        [table] => TableReference::bare(table.as_str()),
        [database, table] => TableReference::partial(database.as_str(), table.as_str()),
        [catalog, database, table] => {
            TableReference::full(catalog.as_str(), database.as_str(), table.as_str())
        }
        _ => return Err(Error::invalid(format!("\"{name}\" has too many parts for a table"))),
    };
    let database = state.config_options().catalog.default_schema.clone();
    let full = reference.resolve(CATALOG, &database);
    let text = format!("{}.{}", full.schema, full.table);
    let schema = state.catalog_list().catalog(&full.catalog).and_then(|c| c.schema(&full.schema));
    let table = match schema {
        Some(schema) => schema.table(&full.table).await?,
        None => None,
    };
    let missing = || Error::new(ErrorKind::NotFound, format!("table \"{text}\" does not exist"));
    Ok((text.clone(), table.ok_or_else(missing)?))
}

/// Lets expressions name a table's columns by its full name where it has no alias: queries know
/// the table by the last part of it.
pub(super) fn shorten_columns(of: &mut impl VisitMut, named: &Named<'_>) {
    if named.alias.is_some() {
        return;
    }
    let full = name_parts(named.name);
    let Some((last, before)) = full.split_last() else { return };
    let _ = visit_expressions_mut(of, |expr| {
        if let SqlExpr::CompoundIdentifier(parts) = expr
            && parts.len() > full.len()
            && !before.is_empty()
            && parts.iter().zip(&full).all(|(part, name)| &fold(part) == name)
        {
            parts.drain(..before.len());
            if let Some(first) = parts.first_mut() {
                *first = Ident::with_quote('"', last);
            }
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
}

/// A query's catalogs, and one more with the target.
#[derive(Debug)]
struct WithTarget {
    inner: Arc<dyn CatalogProviderList>,
    catalog: Arc<MemoryCatalogProvider>,
}

impl CatalogProviderList for WithTarget {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        self.inner.catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        match name == PLACE[0] {
            true => Some(self.catalog.clone()),
            false => self.inner.catalog(name),
        }
    }
}
