//! The apps of `examples/` and `tests/sdk/` end to end: real Python, Node, Redis and SDKs.
//!
//! Needs what a machine with Rust may not have. Then a test says so and passes; under `.ci/run`,
//! which installs all of it, it fails.

#![allow(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a failed test"
)]

mod needs;
mod orders;
mod process;
mod redis;
mod sdk;

use std::path::{Path, PathBuf};

/// The binary under test.
const BIN: &str = env!("CARGO_BIN_EXE_outrider");

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}
