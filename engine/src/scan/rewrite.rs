//! A Delta table as statements read it that change its rows: each row with its place, and of the
//! files only those that are wanted.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use boathouse_catalog::Format;
use datafusion::catalog::Session as PlanSession;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::Expr;
use parquet::arrow::RowNumber;

use super::{LakeTable, ScanFile, Source, files, partition_schema};
use crate::scan::DeltaSnapshot;
use crate::write::Target;
use crate::{Error, Result};

/// The number of a row's file in the list of the snapshot's files.
pub(crate) const FILE: &str = "__boathouse_file";
/// The number of a row in its file.
pub(crate) const ROW: &str = "__boathouse_row";

/// The files of one version of a Delta table whose rows can be changed.
#[derive(Clone)]
pub(crate) struct DeltaFiles {
    pub(crate) delta: Arc<DeltaSnapshot>,
    /// As the snapshot lists them.
    pub(crate) files: Arc<Vec<ScanFile>>,
}

impl LakeTable {
    /// The files, where `statement` may change rows in them.
    pub(crate) fn changeable(&self, statement: &str) -> Result<DeltaFiles> {
        let refused = |why: String| {
            Err(Error::unsupported(format!("{statement} table \"{}\", {why}", self.name))
                .with_hint(
                    "Rows of Delta tables can be changed. Make one of it: CREATE TABLE … AS SELECT.",
                ))
        };
        match &self.source {
            Source::Files { files, delta: Some(delta) } => {
                Target::delta(delta.clone())?;
                self.check_properties(statement, delta)?;
                Ok(DeltaFiles { delta: delta.clone(), files: files.clone() })
            }
            Source::Files { delta: None, .. } if self.format == Format::Iceberg => {
                refused("which is an Iceberg table".to_owned())
            }
            Source::Files { delta: None, .. } | Source::Catalog(_) => {
                refused(format!("whose files are {}", self.format.as_str().to_uppercase()))
            }
        }
    }

    /// Refuses what the table's properties don't allow.
    fn check_properties(&self, statement: &str, delta: &DeltaSnapshot) -> Result<()> {
        if is_on(delta, "delta.appendOnly") {
            return Err(Error::invalid(format!(
                "{statement} table \"{}\": it is append-only",
                self.name
            ))
            .with_hint("Its property delta.appendOnly is true: rows can only be added."));
        }
        Ok(())
    }

    /// The table with the columns [`FILE`] and [`ROW`]; of its files those that `wanted` names.
    pub(crate) fn placed(&self, of: &DeltaFiles, wanted: impl Fn(u32) -> bool) -> Result<Self> {
        let keys = self.layout.table_partition_cols().iter().cloned();
        let keys: Vec<FieldRef> = keys.chain([Arc::new(file_field())]).collect();
        let layout = TableSchema::builder(self.layout.file_schema().clone())
            .with_table_partition_cols(keys)
            .with_virtual_columns(vec![Arc::new(row_field())])
            .build();
        let fields = self.schema.fields().iter().cloned();
        let fields = fields.chain([Arc::new(file_field()), Arc::new(row_field())]);
        let mut placed = Vec::new();
        for (number, file) in (0..).zip(of.files.iter()) {
            if wanted(number) {
                let values = file.partition_values.iter().cloned();
                let values = values.chain([ScalarValue::UInt32(Some(number))]).collect();
                let statistics = Some(with_place(file, number, self.layout.file_schema()));
                placed.push(ScanFile { partition_values: values, statistics, ..file.clone() });
            }
        }
        Ok(Self {
            name: self.name.clone(),
            engine: self.engine.clone(),
            schema: Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>())),
            layout,
            format: self.format,
            reading: self.reading.clone(),
            matching: self.matching.clone(),
            root: self.root.clone(),
            source: Source::Files { files: Arc::new(placed), delta: Some(of.delta.clone()) },
            read: self.read.clone(),
            rules: self.rules.clone(),
            analyzed: None,
            leaves: self.leaves.clone(),
        })
    }

    /// The numbers of the files all of whose rows satisfy `filter`; `None` if it depends on more
    /// than the partition.
    pub(crate) fn whole_files(
        &self,
        state: &dyn PlanSession,
        of: &DeltaFiles,
        filter: &Expr,
    ) -> Result<Option<Vec<u32>>> {
        if !self.is_partition_filter(filter) {
            return Ok(None);
        }
        let numbered: Vec<(u32, &ScanFile)> = (0..).zip(of.files.iter()).collect();
        let keys: SchemaRef = partition_schema(&self.layout);
        let values = |file: &(u32, &ScanFile)| file.1.partition_values.clone();
        let owned: Vec<_> = numbered.iter().map(|file| (file.0, values(file))).collect();
        let filters = std::slice::from_ref(filter);
        let found = files::in_partitions(state, owned, |file| &file.1, &keys, filters)?;
        Ok(Some(found.into_iter().map(|(number, _)| number).collect()))
    }
}

impl DeltaFiles {
    /// Whether commits tell what became of each row.
    pub(crate) fn has_change_feed(&self) -> bool {
        is_on(&self.delta, "delta.enableChangeDataFeed")
    }

    /// The rows in a file, where the log says it.
    pub(crate) fn rows(&self, number: u32) -> Option<u64> {
        use datafusion::common::stats::Precision;
        let file = self.files.get(number as usize)?;
        match file.statistics.as_ref()?.num_rows {
            Precision::Exact(rows) => Some(rows as u64),
            _ => None,
        }
    }
}

/// Whether a property of the table is true.
fn is_on(delta: &DeltaSnapshot, property: &str) -> bool {
    let value = delta.metadata().configuration().get(property);
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// How many of a layout's keys the table itself has.
pub(super) fn own_keys(layout: &TableSchema) -> usize {
    layout.table_partition_cols().iter().filter(|key| key.name() != FILE).count()
}

/// What is known of a file's columns, its partition's values and its rows' places.
fn with_place(file: &ScanFile, number: u32, columns: &SchemaRef) -> Arc<Statistics> {
    let known = file.statistics.as_deref().cloned();
    let mut all = known.unwrap_or_else(|| Statistics::new_unknown(columns));
    if all.column_statistics.len() == columns.fields().len() {
        all = files::with_keys(&all, &file.partition_values);
    }
    let number = files::key_statistics(&ScalarValue::UInt32(Some(number)), all.num_rows);
    all.column_statistics.extend([number, ColumnStatistics::new_unknown()]);
    Arc::new(all)
}

fn file_field() -> Field {
    Field::new(FILE, DataType::UInt32, false)
}

fn row_field() -> Field {
    Field::new(ROW, DataType::Int64, true).with_extension_type(RowNumber)
}
