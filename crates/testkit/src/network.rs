//! A network of a test's own: tests that send multicast run where nobody else hears it.
//!
//! The test program starts itself again, for the one test, in a fresh network namespace that has a
//! loopback interface and nothing else. Works as root and where users may make namespaces.

use std::env;
use std::fs;
use std::io::{Write as _, stderr};
use std::process::Command;

/// True inside a network of the test's own: the test goes on. False outside: it has then been run
/// inside by this call, or has been skipped, which is told aloud.
///
/// `test` is the name as the test program lists it.
///
/// # Panics
/// If it was run inside and failed, or had to be skipped where the variable `CI` is set.
pub fn in_own_network(test: &str) -> bool {
    if is_own() {
        return true;
    }
    let Some(way) = WAYS.iter().find(|way| works(way)) else {
        skipped(test);
        return false;
    };
    let program = env::current_exe().expect("a running program has a path");
    let status = inside(way)
        .arg(program)
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .status();
    let passed = status.as_ref().is_ok_and(|status| status.success());
    assert!(passed, "{test} failed in a network of its own: {status:?}");
    false
}

/// The second way is that of ordinary users.
const WAYS: [&[&str]; 2] = [&["-n"], &["-rn"]];

/// Multicast on loopback needs flag and route for programs that look for them, such as daprd.
const PREPARE: &str = "ip link set lo up multicast on && ip route add 224.0.0.0/4 dev lo && \
                       { ip -6 route add ff00::/8 dev lo table local || true; } 2>/dev/null && \
                       exec \"$0\" \"$@\"";

fn inside(way: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(way).args(["sh", "-c", PREPARE]);
    command
}

fn works(way: &[&str]) -> bool {
    let tried = inside(way).arg("true").output();
    tried.is_ok_and(|output| output.status.success())
}

/// Nobody else has a network with nothing but loopback, and if somebody has, it does no harm.
fn is_own() -> bool {
    let devices = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let mut names = devices.lines().skip(2).map(|line| line.trim_start());
    !devices.is_empty() && names.all(|name| name.starts_with("lo:"))
}

/// Told past the test harness, which keeps what a passing test prints. A failure where the variable
/// `CI` is set.
fn skipped(test: &str) {
    let said =
        format!("skipped: {test} needs unshare and ip, and the right to make a network namespace");
    #[expect(
        clippy::disallowed_methods,
        reason = "the one switch that makes a skip a failure"
    )]
    let is_ci = env::var_os("CI").is_some_and(|it| !it.is_empty());
    assert!(!is_ci, "{said}");
    // Nothing can be done about a closed stderr.
    let _ = stderr().write_all(format!("\n{said}\n").as_bytes());
}
