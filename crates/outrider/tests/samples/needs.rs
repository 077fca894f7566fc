//! What a test needs of the machine, and what happens if it is not there.

use std::{
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Something that may be missing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// Node 18 or newer, the first with `fetch`.
    Node,
    Python,
    Redis,
    /// A folder of `target/sdk` that `tests/sdk/prepare` has filled.
    Sdk(&'static str),
}

/// Whether all of it is there. If not, says which test is left out and why; fails where the
/// variable `CI` is set.
pub(crate) fn all(test: &str, needs: &[Need]) -> bool {
    let Some(why) = needs.iter().find_map(Need::missing) else {
        return true;
    };
    let said = format!("skipped: {test}, because {why}");
    #[expect(
        clippy::disallowed_methods,
        reason = "the one switch that makes a skip a failure"
    )]
    let is_ci = std::env::var_os("CI").is_some_and(|it| !it.is_empty());
    assert!(!is_ci, "{said}");
    // Past the test harness, which keeps what a passing test prints.
    stderr()
        .write_all(format!("\n{said}\n").as_bytes())
        .unwrap();
    false
}

/// The folder of `tests/sdk/prepare`.
pub(crate) fn sdks() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.expect("a folder of target").join("sdk")
}

impl Need {
    /// Why it can't be used.
    fn missing(&self) -> Option<String> {
        match self {
            Self::Node => program("node", &["-e", "fetch"], "install Node 18 or newer"),
            Self::Python => program("python3", &["--version"], "install Python 3"),
            Self::Redis => program("redis-server", &["--version"], "install Redis"),
            Self::Sdk(folder) => {
                let path = sdks().join(folder);
                let why = || format!("{} is not there; run tests/sdk/prepare", path.display());
                // Written last.
                (!path.join("prepared-by").exists()).then(why)
            }
        }
    }
}

fn program(name: &str, arguments: &[&str], cure: &str) -> Option<String> {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null());
    let what = match command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => return None,
        Ok(status) => format!("it ended with {status}"),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "'{name} {}' does not work: {what}; {cure}",
        arguments.join(" ")
    ))
}
