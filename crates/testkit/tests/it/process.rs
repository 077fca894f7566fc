//! Process handling, tried on shell scripts instead of a sidecar.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use outrider_testkit::{SidecarBuilder, Signal, unique_id};

struct Program(PathBuf);

impl Program {
    fn new(text: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique_id("program"));
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("target directory is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        Self(path)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn flags_and_environment_reach_the_process() {
    let program =
        Program::new(r#"for a in "$@"; do echo "arg $a"; done; echo "$X $DAPR_HOST_IP" >&2"#);
    let builder = SidecarBuilder::new(&program.0)
        .app_id("me")
        .app_port(3000)
        .public_port()
        .flag("--log-as-json")
        .env("X", "1")
        .clear_env();
    let mut sidecar = builder.spawn().unwrap();
    assert_eq!(sidecar.wait_exit().await.unwrap(), 0);
    let lines = sidecar.lines();
    assert!(lines.contains(&"1 127.0.0.1".to_owned()));
    let args: Vec<_> = lines
        .iter()
        .filter_map(|l| l.strip_prefix("arg "))
        .collect();
    assert_eq!(args[..2], ["sidecar", "--app-id=me"]);
    assert_eq!(args.last(), Some(&"--log-as-json"));
    assert!(args.contains(&"--app-port=3000"));
    assert!(args.contains(&format!("--dapr-public-port={}", sidecar.ports().public).as_str()));

    let mut sidecar = builder.as_daprd().spawn().unwrap();
    sidecar.wait_exit().await.unwrap();
    assert_eq!(
        sidecar
            .lines()
            .iter()
            .find(|l| l.starts_with("arg"))
            .unwrap(),
        "arg --app-id=me"
    );
}

#[tokio::test]
async fn signals_and_exit_codes_are_seen() {
    let program =
        Program::new("trap 'echo bye; exit 3' TERM\necho up\nwhile :; do sleep 0.05; done");
    let mut sidecar = SidecarBuilder::new(&program.0).spawn().unwrap();
    sidecar.wait_line("up").await.unwrap();
    assert!(sidecar.resident().unwrap() > 0);
    sidecar.signal(Signal::Term).unwrap();
    assert_eq!(sidecar.wait_exit().await.unwrap(), 3);
    assert_eq!(sidecar.wait_line("by").await.unwrap(), "bye");
    assert!(sidecar.signal(Signal::Kill).is_err());

    let mut sidecar = SidecarBuilder::new(&program.0).spawn().unwrap();
    sidecar.signal(Signal::Kill).unwrap();
    assert_eq!(sidecar.wait_exit().await.unwrap(), 137);
}

#[tokio::test]
async fn a_process_that_ends_early_is_an_error_with_its_last_words() {
    let program = Program::new("echo fatal: no luck >&2; exit 7");
    let err = SidecarBuilder::new(&program.0)
        .start()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        err.contains("exit status: 7") && err.contains("fatal: no luck"),
        "{err}"
    );
}

#[tokio::test]
async fn a_taken_port_leads_to_another_start() {
    let count = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique_id("count"));
    let program = Program::new(&format!(
        "echo x >> {}; echo 'listen: address already in use'; exit 1",
        count.display()
    ));
    SidecarBuilder::new(&program.0).start().await.unwrap_err();
    assert_eq!(fs::read_to_string(&count).unwrap().lines().count(), 4);
    fs::remove_file(count).unwrap();
}

#[tokio::test]
async fn a_dropped_sidecar_is_killed() {
    let program = Program::new("echo up; exec sleep 60");
    let sidecar = SidecarBuilder::new(&program.0).spawn().unwrap();
    sidecar.wait_line("up").await.unwrap();
    let status = format!("/proc/{}/status", sidecar.pid());
    drop(sidecar);
    for _ in 0..500 {
        let gone = fs::read_to_string(&status).map_or(true, |s| s.contains("State:\tZ"));
        if gone {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("still running");
}
