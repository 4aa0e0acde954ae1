//! Parquet files that a statement names itself: read like a table's, and known to no catalog.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use boathouse_catalog::Format;
use datafusion::catalog::{Session as PlanSession, TableProvider as _};
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::ExecutionPlan;

use super::columns::Matching;
use super::{Found, LakeTable, Reading, Source, external, in_parallel, layout};
use crate::Result;
use crate::session::Session;
use crate::stores::store_root;

/// Files with what was found of them.
pub(crate) struct GivenFiles {
    pub(crate) name: String,
    pub(crate) found: Found,
}

impl GivenFiles {
    /// The plan that reads all of them: columns, then the keys in their paths.
    pub(crate) async fn scan(
        self,
        session: &Session,
        state: &SessionState,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = self.table(session)?;
        let scan = table.scan(state as &dyn PlanSession, None, &[], None).await?;
        in_parallel(scan, state.config_options())
    }

    fn table(self, session: &Session) -> Result<LakeTable> {
        let layout = layout(&self.found.columns, self.found.keys, Format::Parquet);
        let files = external::scan_files(self.found.partitions, &layout)?;
        let schema: SchemaRef = layout.table_schema().clone();
        Ok(LakeTable {
            name: self.name,
            engine: session.engine.clone(),
            schema,
            layout,
            format: Format::Parquet,
            reading: Reading::default(),
            matching: Matching::Name,
            root: store_root(&self.found.location)?,
            source: Source::Files { files: Arc::new(files), delta: None },
            read: Arc::default(),
            rules: None,
            analyzed: None,
            leaves: Arc::default(),
        })
    }
}
