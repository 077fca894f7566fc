//! The public SDKs, unmodified, as caller and as callee: the apps of `tests/sdk/`.
//!
//! Only what needs no other toolchain; `tests/sdk/README.md` has the other languages.

use std::process::Command;

use crate::{
    BIN,
    needs::{self, Need, sdks},
    process::Process,
    repository,
};

/// Each caller, against each app side, goes through all its steps, and the sidecar it ends ends well.
#[track_caller]
fn assert_pairs(callers: &[&str], callees: &[&str]) {
    let mut command = Command::new("python3");
    command
        .arg(repository("tests/sdk/pairs"))
        .args(["--no-build", "--sidecar", BIN])
        .args(["--callers", &callers.join(",")])
        .args(["--callees", &callees.join(",")])
        .env("SDK_BUILT", sdks())
        // Sidecars find each other in the registry, and nothing goes to the network.
        .env("OUTRIDER_MDNS", "false");
    let mut pairs = Process::start(&mut command);
    assert_eq!(pairs.end(), Some(0), "{:#?}", pairs.seen);
    let wanted = callers.len() * callees.len();
    assert_eq!(pairs.count(": ok, "), wanted, "{:#?}", pairs.seen);
}

#[test]
fn the_python_sdk_works_unmodified() {
    let needs = [Need::Python, Need::Sdk("python")];
    if needs::all("the_python_sdk_works_unmodified", &needs) {
        assert_pairs(&["python"], &["python"]);
    }
}

#[test]
fn the_javascript_sdk_works_unmodified() {
    let needs = [Need::Node, Need::Python, Need::Sdk("javascript")];
    if needs::all("the_javascript_sdk_works_unmodified", &needs) {
        assert_pairs(&["javascript", "javascript-http"], &["javascript"]);
    }
}

#[test]
fn the_two_sdks_call_each_other() {
    let needs = [
        Need::Node,
        Need::Python,
        Need::Sdk("javascript"),
        Need::Sdk("python"),
    ];
    if needs::all("the_two_sdks_call_each_other", &needs) {
        assert_pairs(&["python"], &["javascript"]);
        assert_pairs(&["javascript"], &["python"]);
    }
}
