//! A choice of rows, by file and by number within it, and the SQL function that asks for it.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, UInt32Type};
use datafusion::common::{Column, Result as DataFusionResult, ScalarValue, TableReference};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use futures::TryStreamExt;
use roaring::RoaringTreemap;

use crate::scan::{FILE, ROW};
use crate::{Error, Result};

/// Rows of a table's files. It is counted against the memory that queries may hold.
pub(super) struct Selection {
    files: BTreeMap<u32, RoaringTreemap>,
    rows: u64,
    memory: MemoryReservation,
}

impl Selection {
    pub(super) fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        let memory = MemoryConsumer::new("rows to change").register(pool);
        Self { files: BTreeMap::new(), rows: 0, memory }
    }

    /// The rows that `stream` names with its columns [`FILE`] and [`ROW`].
    pub(super) async fn of(
        mut stream: SendableRecordBatchStream,
        pool: &Arc<dyn MemoryPool>,
    ) -> Result<Self> {
        let mut selection = Self::new(pool);
        while let Some(batch) = stream.try_next().await? {
            for place in places(&batch)?.into_iter().flatten() {
                selection.add(place);
            }
            selection.account()?;
        }
        Ok(selection)
    }

    /// Whether the row wasn't chosen yet.
    pub(super) fn add(&mut self, (file, row): (u32, u64)) -> bool {
        let added = self.files.entry(file).or_default().insert(row);
        self.rows += u64::from(added);
        added
    }

    /// Takes the memory that it has come to need.
    pub(super) fn account(&mut self) -> Result<()> {
        let bytes: usize = self.files.values().map(RoaringTreemap::serialized_size).sum();
        Ok(self.memory.try_resize(bytes)?)
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn files(&self) -> impl Iterator<Item = u32> {
        self.files.keys().copied()
    }

    pub(super) fn has_file(&self, file: u32) -> bool {
        self.files.contains_key(&file)
    }

    /// How many rows of a file are chosen.
    pub(super) fn rows_of(&self, file: u32) -> u64 {
        self.files.get(&file).map_or(0, RoaringTreemap::len)
    }

    pub(super) fn has(&self, (file, row): (u32, u64)) -> bool {
        self.files.get(&file).is_some_and(|rows| rows.contains(row))
    }
}

/// The places of a batch's rows; `None` for a row that is in no file.
pub(super) fn places(batch: &RecordBatch) -> Result<Vec<Option<(u32, u64)>>> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| Error::internal(format!("no column {name}")))
    };
    let (files, rows) = (column(FILE)?, column(ROW)?);
    let no_place = || Error::internal("the place of a row has another type");
    let files = files.as_primitive_opt::<UInt32Type>().ok_or_else(no_place)?;
    let rows = rows.as_primitive_opt::<Int64Type>().ok_or_else(no_place)?;
    let place = |(file, row): (Option<u32>, Option<i64>)| Some((file?, row?.cast_unsigned()));
    Ok(files.iter().zip(rows.iter()).map(place).collect())
}

/// Whether the row at [`FILE`] and [`ROW`] is chosen, as an expression over `table`.
pub(super) fn is_selected(selection: &Arc<Selection>, table: &str) -> Expr {
    let function = IsSelected {
        selection: selection.clone(),
        signature: Signature::exact(vec![DataType::UInt32, DataType::Int64], Volatility::Immutable),
    };
    let column = |name: &str| Expr::Column(Column::new(Some(TableReference::bare(table)), name));
    ScalarUDF::from(function).call(vec![column(FILE), column(ROW)])
}

struct IsSelected {
    selection: Arc<Selection>,
    signature: Signature,
}

impl fmt::Debug for IsSelected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IsSelected({} rows)", self.selection.rows)
    }
}

impl PartialEq for IsSelected {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.selection, &other.selection)
    }
}

impl Eq for IsSelected {}

impl Hash for IsSelected {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.selection).hash(state);
    }
}

impl ScalarUDFImpl for IsSelected {
    fn name(&self) -> &str {
        "is_selected"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [files, rows] = arrays.as_slice() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
        };
        let (files, rows) = (files.as_primitive::<UInt32Type>(), rows.as_primitive::<Int64Type>());
        let chosen: BooleanArray = (0..files.len())
            .map(|i| {
                let known = files.is_valid(i) && rows.is_valid(i);
                let place = || (files.value(i), rows.value(i).cast_unsigned());
                Some(known && self.selection.has(place()))
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(chosen)))
    }
}
