//! `outrider stop`. Each sidecar is a child of the test or of a shell that the test started.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use outrider_testkit::{RawClient, free_ports, unique_id};
use rustix::process::{Pid, Signal, kill_process};

use super::{BIN, outrider, sidecar, tell};

#[tokio::test]
async fn all_instances_of_an_id_end() {
    let id = unique_id("twins");
    let mut one = sidecar().app_id(&id).start().await.unwrap();
    let mut other = sidecar()
        .app_id(&id)
        .as_daprd()
        .flag("--same-host-registry=false")
        .start()
        .await
        .unwrap();
    let done = outrider(&["stop", &id]).await;
    assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
    for pid in [one.pid(), other.pid()] {
        let line = format!("app stopped successfully: {id} (sidecar {pid})\n");
        assert!(done.stdout.contains(&line), "{done:?}");
    }
    assert_eq!(one.wait_exit().await.unwrap(), 0);
    assert_eq!(other.wait_exit().await.unwrap(), 0);
}

#[tokio::test]
async fn an_id_without_a_sidecar_fails_and_the_others_end() {
    let mut known = sidecar().start().await.unwrap();
    let unknown = unique_id("nobody");
    let done = outrider(&["stop", &unknown, known.app_id()]).await;
    assert_eq!(done.code, Some(1));
    assert_eq!(
        done.stderr,
        format!("failed to stop app id {unknown}: couldn't find app id {unknown}\n")
    );
    assert_eq!(
        done.stdout,
        format!("app stopped successfully: {}\n", known.app_id())
    );
    known.wait_exit().await.unwrap();
}

#[tokio::test]
async fn one_that_does_not_end_is_told_and_can_be_forced() {
    let mut sidecar = sidecar().start().await.unwrap();
    let (id, pid) = (sidecar.app_id().to_owned(), sidecar.pid());
    kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    let done = outrider(&["stop", &id, "--timeout", "100ms"]).await;
    assert_eq!(done.code, Some(1));
    assert_eq!(
        done.stderr,
        format!(
            "failed to stop app id {id}: the sidecar (pid {pid}) still runs after 100ms; \
             'outrider stop --force {id}' kills it\n"
        )
    );
    let done = outrider(&["stop", "--force", "--app-id", &id]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(sidecar.wait_exit().await.unwrap(), 128 + 9);
}

#[tokio::test]
async fn a_wish_that_says_nothing_is_a_usage_error() {
    let done = outrider(&["stop"]).await;
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("name an app id"), "{done:?}");
}

/// A shell in the place of `run`: it starts sidecars and apps, and tells who ended when.
struct Run {
    shell: Child,
    stdout: BufReader<ChildStdout>,
    ids: [String; 2],
    ports: [u16; 2],
    apps: Vec<String>,
}

impl Run {
    /// With two apps.
    async fn start() -> Self {
        let [a, b, c, d, e, f, g, h] = free_ports().unwrap();
        let ids = [unique_id("first"), unique_id("second")];
        let sidecar = |id: &str, [http, grpc, internal, metrics]: [u16; 4]| {
            format!(
                "{BIN} sidecar --app-id {id} --dapr-http-port {http} --dapr-grpc-port {grpc} \
                 --dapr-internal-grpc-port {internal} --metrics-port {metrics} --log-level error \
                 --dapr-listen-addresses 127.0.0.1 --metrics-listen-address 127.0.0.1 \
                 --dapr-internal-grpc-listen-address 127.0.0.1 >/dev/null 2>&1 & "
            )
        };
        // `cat` waits for as long as the test holds the other end.
        let script = format!(
            "exec 3<&0; {} s1=$!; {} s2=$!; cat <&3 & a1=$!; cat <&3 & a2=$!\n\
             trap 'kill $a1 $a2; wait $a1 $a2; kill $s1 $s2; wait $s1 $s2; echo ended; exit 0' TERM\n\
             echo $a1 $a2; while :; do wait; done",
            sidecar(&ids[0], [a, b, c, d]),
            sidecar(&ids[1], [e, f, g, h]),
        );
        let mut shell = Command::new("/bin/sh")
            .args(["-c", &script])
            .env("DAPR_API_TOKEN", "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It complains of processes that were ended before it got to them.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(shell.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let apps = line.split_whitespace().map(str::to_owned).collect();
        let run = Self {
            shell,
            stdout,
            ids,
            ports: [a, e],
            apps,
        };
        for at in 0..2 {
            run.tell(at, "cliPID", &run.shell.id().to_string()).await;
            run.tell(at, "appPID", &run.apps[at]).await;
            run.tell(at, "appCommand", "cat").await;
        }
        run
    }

    async fn tell(&self, at: usize, key: &str, value: &str) {
        let target = format!("/v1.0/metadata/{key}");
        // Its port opens soon after it started.
        let until = std::time::Instant::now() + outrider_testkit::LIMIT;
        loop {
            if let Ok(mut client) = RawClient::connect(self.ports[at]).await {
                let answer = client.call("PUT", &target, &[], value.as_bytes()).await;
                assert_eq!(answer.unwrap().status(), 204);
                return;
            }
            assert!(
                std::time::Instant::now() < until,
                "the sidecar does not listen"
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Reads to the end of its output; the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut said = String::new();
        self.stdout.read_line(&mut said).unwrap();
        (said, self.shell.wait().unwrap().code())
    }
}

#[tokio::test]
async fn an_app_among_several_ends_with_its_sidecar_alone_and_all_of_them_by_their_run() {
    let run = Run::start().await;
    let one = outrider(&["stop", &run.ids[0]]).await;
    let still = outrider(&["list", "-o", "ids"]).await.stdout;
    assert_eq!((one.code, &*one.stderr), (Some(0), ""), "{one:?}");
    let listed = |id: &str| still.lines().any(|line| line == id);
    assert_eq!(run.ids.each_ref().map(|id| listed(id)), [false, true]);
    // The second is the only one that is left of the run.
    let both = outrider(&["stop", &run.ids[1]]).await;
    assert_eq!((both.code, &*both.stderr), (Some(0), ""), "{both:?}");
    assert_eq!(run.end(), ("ended\n".to_owned(), Some(0)));
}

#[tokio::test]
async fn a_run_is_found_by_its_file_whatever_link_leads_to_it() {
    let folder = tempfile();
    let file = folder.join("dapr.yaml");
    fs::write(&file, "version: 1\n").unwrap();
    let link = folder.join("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let run = Run::start().await;
    for at in 0..2 {
        run.tell(at, "runTemplatePath", file.to_str().unwrap())
            .await;
    }
    let done = outrider(&["stop", "-f", link.to_str().unwrap()]).await;
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
    assert_eq!(done.stdout, "Dapr and app processes stopped successfully\n");
    assert_eq!(run.end(), ("ended\n".to_owned(), Some(0)));
}

#[tokio::test]
async fn a_file_that_is_not_there_or_started_nothing_fails() {
    let done = outrider(&["stop", "-f", "/nowhere/dapr.yaml"]).await;
    assert_eq!(done.code, Some(1));
    let told = "Failed to get run file path: /nowhere/dapr.yaml: ";
    assert!(done.stderr.starts_with(told), "{done:?}");
    let folder = tempfile();
    let file = folder.join("dapr.yaml");
    fs::write(&file, "version: 1\n").unwrap();
    let done = outrider(&["stop", "-f", file.to_str().unwrap()]).await;
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(done.code, Some(1));
    let told = "Failed to stop Dapr and app processes: couldn't find apps with run file ";
    assert!(done.stderr.starts_with(told), "{done:?}");
}

#[tokio::test]
async fn a_process_that_metadata_only_claims_is_left_alone() {
    // No child of that `run`, and another program than the command.
    let mut other = Command::new("/bin/cat")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut sidecar = sidecar().start().await.unwrap();
    let pid = other.id().to_string();
    tell(&sidecar, "appPID", &pid).await;
    tell(&sidecar, "cliPID", &pid).await;
    tell(&sidecar, "appCommand", "python app.py").await;
    let done = outrider(&["stop", sidecar.app_id()]).await;
    let runs = matches!(other.try_wait(), Ok(None));
    let _ = other.kill();
    other.wait().unwrap();
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(runs, "{done:?}");
    assert!(done.stderr.contains("is left alone"), "{done:?}");
    assert_eq!(sidecar.wait_exit().await.unwrap(), 0);
}

/// A folder of the test's own.
fn tempfile() -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique_id("stop"));
    fs::create_dir_all(&folder).unwrap();
    folder
}
