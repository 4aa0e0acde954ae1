//! The crawler: from files in object storage to tables in the catalog.
//!
//! A crawl lists its targets, samples files, groups folders into tables and compares these with the
//! catalog. What comes out is a [`CrawlPlan`]: changes with their reasons, columns that are not
//! what the catalog says, and notes on every decision. Making a plan writes nothing; applying it is
//! one transaction.
//!
//! - A target is listed once, recursively, whatever number of folders it has. Of files only footers
//!   and the first megabyte are read, of a few files in a few folders of each table.
//! - Folders become one table only if their names say so (`key=value`), or if their names are
//!   numbers or dates and their schemas alike. What doesn't fit is left out, and a note says why.
//! - What people changed stays: see [`CrawlPlan::drift`]. Nothing is deleted because a target is
//!   empty or cannot be reached.
//!
//! ```text
//! scan.rs      the way from a crawler to its plan
//! listing.rs   objects -> a tree of folders            events.rs  messages -> what to list
//! sample.rs    a file -> its format and columns        csv, json, avro, orc, lakes
//! grouping.rs  folders -> tables                       keys.rs, schema.rs, types.rs
//! reconcile.rs tables and the catalog -> steps         columns.rs, definition.rs, scope.rs
//! crawl.rs     runs and their record               schedule.rs  when they are due
//! ```

mod avro;
mod codec;
mod columns;
mod crawl;
mod csv;
mod definition;
mod error;
mod events;
mod glob;
mod grouping;
mod json;
mod keys;
mod lakes;
mod listing;
mod notes;
mod orc;
mod plan;
mod reconcile;
mod sample;
mod scan;
mod schedule;
mod schema;
mod scope;
mod spec;
#[cfg(test)]
mod tests;
mod types;

pub use crawl::{ChangeRecord, Crawl, CrawlState, Listed, crawls, delete, run};
pub use error::{Error, Result};
pub use notes::Note;
pub use plan::{Action, Counts, CrawlPlan, Drift, Outcome, Phase, Progress, Step};
pub use scan::plan;
pub use spec::{CrawlerSpec, OnChange, OnDelete, Recrawl, Stores, Target};
