//! `list`, `stop`, `invoke`, `logs`, `version` and `completions` as a person or a script calls
//! them, against real sidecars.
//!
//! Nothing here ends or lists more than its own sidecars: others of the machine run on.

#![allow(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a failed test"
)]

#[path = "commands/grpc_app.rs"]
mod grpc_app;
#[path = "commands/invoke.rs"]
mod invoke;
#[path = "commands/invoke_grpc.rs"]
mod invoke_grpc;
#[path = "commands/list.rs"]
mod list;
#[path = "commands/logs.rs"]
mod logs;
#[path = "commands/shells.rs"]
mod shells;
#[path = "commands/stop.rs"]
mod stop;

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use outrider_testkit::{Sidecar, SidecarBuilder};

/// The binary under test.
const BIN: &str = env!("CARGO_BIN_EXE_outrider");

/// A sidecar of the binary under test.
fn sidecar() -> SidecarBuilder {
    SidecarBuilder::new(BIN).env("DAPR_API_TOKEN", "")
}

/// What a command did.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `outrider` with these arguments.
async fn outrider(arguments: &[&str]) -> Done {
    with(arguments, &[], "").await
}

/// The same with variables of the environment and something to read. Off the test's thread, which
/// serves the apps.
async fn with(arguments: &[&str], env: &[(&str, &str)], stdin: &str) -> Done {
    let mut command = Command::new(BIN);
    command
        .args(arguments)
        .env_remove("DAPR_API_TOKEN")
        .env("OUTRIDER_MDNS", "false")
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let stdin = stdin.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        // It may not read at all.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    Done {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Writes metadata, as a `run` does.
async fn tell(sidecar: &Sidecar, key: &str, value: &str) {
    let target = format!("/v1.0/metadata/{key}");
    let answer = sidecar.call("PUT", &target, &[], value.as_bytes()).await;
    assert_eq!(answer.unwrap().status(), 204);
}
