//! A live-audio app's data, made up: creators, their shows and episodes, users, and what users do.
//!
//! The same [`Amp`] gives the same rows in the same batches, on every platform and in any order
//! of reading. Events are as imperfect as in life: some come late, some come twice.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::NaiveDate;

use crate::{Result, files};

mod columns;
mod dice;
mod dimensions;
mod events;
mod raw;
mod session;
mod words;
mod world;

pub use raw::INGEST_DATE;

use columns::{Batches, Column};
use world::World;

/// Rows of a batch, but for a table's last.
pub const BATCH_ROWS: usize = 8192;

/// How many events in a thousand arrive [`LATE_SECONDS_MIN`] or more after they happened.
pub const LATE_PER_MILLE: u64 = 20;

/// The least delay of a late event. Others first arrive within ten seconds.
pub const LATE_SECONDS_MIN: i64 = 300;

/// How many events in a thousand arrive twice: the same in all but `ingest_time`.
pub const DUPLICATE_PER_MILLE: u64 = 5;

const USERS_AT_SCALE_1: f64 = 20_000.0;
const DAYS: u32 = 30;
const START: NaiveDate = NaiveDate::from_ymd_opt(2024, 1, 1).expect("the first of a month");

/// Which data to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amp {
    /// Another seed is another world.
    pub seed: u64,
    /// Users at the end of the last day. There are as many creators and shows as they keep busy.
    pub users: u64,
    /// Days with episodes. On average a user listens five times a fortnight.
    pub days: u32,
    /// The first of these days, in UTC.
    pub start: NaiveDate,
}

impl Amp {
    /// Thirty days from the first of 2024; scale 1 has 20,000 users and about 300,000 listens.
    pub fn new(seed: u64, scale: f64) -> Self {
        Self { seed, users: (USERS_AT_SCALE_1 * scale) as u64, days: DAYS, start: START }
    }

    /// All tables, those that are referred to before those that refer to them.
    pub fn tables(&self) -> Vec<AmpTable> {
        let world = Arc::new(World::new(self));
        let table = |spec: &'static Spec| AmpTable {
            name: spec.name,
            comment: spec.comment,
            partition_by: None,
            spec,
            world: world.clone(),
        };
        SPECS.iter().map(table).collect()
    }

    /// Writes every table to `dir` as [`files::write_table`] lays it out.
    pub fn write_parquet(&self, dir: &Path) -> Result<()> {
        for table in self.tables() {
            files::write_table(dir, table.name, table.schema(), table.batches())?;
        }
        Ok(())
    }
}

/// A table of [`Amp::tables`].
#[derive(Clone)]
pub struct AmpTable {
    /// The table's name.
    pub name: &'static str,
    /// What one row is.
    pub comment: &'static str,
    /// The column to partition by, where that is worth while.
    pub partition_by: Option<&'static str>,
    spec: &'static Spec,
    world: Arc<World>,
}

impl AmpTable {
    /// The columns. The metadata of a field has what it means as `comment`.
    pub fn schema(&self) -> SchemaRef {
        columns::schema(self.spec.columns)
    }

    /// The rows, made as they are asked for: of a table of any size, little more than one batch
    /// is in memory.
    pub fn batches(&self) -> Box<dyn Iterator<Item = RecordBatch> + Send> {
        (self.spec.batches)(&self.world, self.schema())
    }
}

/// What sets a table apart.
struct Spec {
    name: &'static str,
    comment: &'static str,
    columns: &'static [Column],
    batches: fn(&Arc<World>, SchemaRef) -> Batches,
}

static SPECS: [Spec; 11] = [
    dimensions::CREATORS,
    dimensions::SHOWS,
    dimensions::EPISODES,
    dimensions::USERS,
    dimensions::POLLS,
    dimensions::PROMOTIONS,
    events::LISTENS,
    events::LIKES,
    events::FOLLOWS,
    events::CHAT_MESSAGES,
    events::POLL_VOTES,
];

#[cfg(test)]
mod tests;
