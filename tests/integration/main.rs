//! The one integration test binary: each topic is a module, so all of them link once.

#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod cli;
mod commit;
mod copy;
mod dml;
mod door;
mod flight;
mod maintenance;
mod others;
mod slt;
mod support;
mod tpch;
