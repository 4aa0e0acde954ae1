//! Whether Enter runs what is typed, or begins a new line.

use reedline::{ValidationResult, Validator};

use super::commands;
use crate::statements;

/// Statements end with a semicolon, commands with their line.
pub(super) struct Semicolon;

impl Validator for Semicolon {
    fn validate(&self, line: &str) -> ValidationResult {
        match commands::is_command(line) || statements::is_complete(line) {
            true => ValidationResult::Complete,
            false => ValidationResult::Incomplete,
        }
    }
}
