//! What the crawler makes of folders that are as people leave them.

mod changes;
mod events;
mod fixture;
mod formats;
mod grouping;
mod partitions;
mod runs;
mod scale;
