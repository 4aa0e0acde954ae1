//! Statements that change rows, against a model of the table in memory.

mod cancelled;
mod conflicts;
mod model;
mod parameters;
mod random;
