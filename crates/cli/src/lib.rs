//! Commands for people. They know sidecars through their APIs and the same-host registry only.

use std::process::ExitCode;

/// Runs the command line behind `outrider`.
pub fn main(_arguments: &[String], _version: &str) -> ExitCode {
    ExitCode::FAILURE
}
