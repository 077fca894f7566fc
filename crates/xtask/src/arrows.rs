//! `xtask arrows`: which of our crates may use which, read from `cargo metadata`.
//!
//! Only normal dependencies are arrows; development and build dependencies are not part of what
//! is shipped. Says nothing about crates from outside.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Each crate and what it may use. An arrow that is not here needs a decision record first.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("core", &[]),
    ("wire", &[]),
    ("telemetry", &["core"]),
    ("trust", &[]),
    ("config", &["core"]),
    ("lookup", &["core", "telemetry"]),
    ("state", &["core", "telemetry", "trust"]),
    (
        "sidecar",
        &[
            "core",
            "wire",
            "telemetry",
            "config",
            "lookup",
            "state",
            "trust",
        ],
    ),
    ("cli", &["core", "wire", "config", "telemetry", "lookup"]),
    (
        "outrider",
        &["sidecar", "cli", "config", "telemetry", "core"],
    ),
    (TESTKIT, &[]),
    ("xtask", &[]),
];

/// May use everything; nothing shipped may use it.
const TESTKIT: &str = "testkit";

/// Checks the workspace this runs in.
pub(crate) fn run() -> Result<String, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .map_err(|e| format!("cannot run cargo metadata: {e}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo metadata failed: {}", text.trim_end()));
    }
    let metadata = serde_json::from_slice(&output.stdout)
        .map_err(|e| format!("cargo metadata gave no JSON: {e}"))?;
    let faults = faults(&metadata);
    if faults.is_empty() {
        return Ok("all arrows are allowed".to_owned());
    }
    Err(format!(
        "{}\nallowed arrows: crates/xtask/src/arrows.rs",
        faults.join("\n")
    ))
}

/// One sentence per forbidden arrow or unknown crate.
fn faults(metadata: &Value) -> Vec<String> {
    let packages = list(&metadata["packages"]);
    let ours: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut faults = Vec::new();
    for package in packages {
        let from = short(package["name"].as_str().unwrap_or_default());
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == from) else {
            faults.push(format!("crate {from} has no row in the table of arrows"));
            continue;
        };
        for dependency in list(&package["dependencies"]) {
            let name = dependency["name"].as_str().unwrap_or_default();
            let normal = dependency["kind"].is_null();
            let to = short(name);
            if normal && ours.contains(name) && from != TESTKIT && !allowed.contains(&to) {
                faults.push(forbidden(from, to, allowed));
            }
        }
    }
    faults
}

fn forbidden(from: &str, to: &str, allowed: &[&str]) -> String {
    let cure = match (to, allowed) {
        (TESTKIT, _) => "testkit may only be a dev-dependency".to_owned(),
        (_, []) => format!("{from} may use none of our crates"),
        _ => format!("{from} may use only {}", allowed.join(", ")),
    };
    format!("forbidden arrow {from} -> {to}: {cure}")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The crate's noun: `outrider-wire` is `wire`.
fn short(package: &str) -> &str {
    package.strip_prefix("outrider-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace(from: &str, to: &str, kind: Option<&str>) -> Vec<String> {
        faults(&json!({ "packages": [
            { "name": from, "dependencies": [
                { "name": to, "kind": kind },
                { "name": "bytes", "kind": null },
            ] },
            { "name": to, "dependencies": [] },
        ] }))
    }

    #[test]
    fn listed_arrows_pass() {
        assert!(workspace("outrider-sidecar", "outrider-wire", None).is_empty());
        assert!(workspace("outrider", "outrider-sidecar", None).is_empty());
        assert!(workspace("outrider-testkit", "outrider-sidecar", None).is_empty());
    }

    #[test]
    fn a_forbidden_arrow_is_named_with_its_cure() {
        assert_eq!(
            workspace("outrider-lookup", "outrider-wire", None),
            ["forbidden arrow lookup -> wire: lookup may use only core, telemetry"]
        );
        assert_eq!(
            workspace("outrider-core", "outrider-wire", None),
            ["forbidden arrow core -> wire: core may use none of our crates"]
        );
    }

    #[test]
    fn testkit_is_for_tests_only() {
        assert!(workspace("outrider-sidecar", "outrider-testkit", Some("dev")).is_empty());
        assert!(workspace("outrider-sidecar", "outrider-testkit", Some("build")).is_empty());
        assert_eq!(
            workspace("outrider-sidecar", "outrider-testkit", None),
            ["forbidden arrow sidecar -> testkit: testkit may only be a dev-dependency"]
        );
    }

    #[test]
    fn a_new_crate_needs_a_row() {
        assert_eq!(
            workspace("outrider-authority", "outrider-core", None),
            ["crate authority has no row in the table of arrows"]
        );
    }
}
