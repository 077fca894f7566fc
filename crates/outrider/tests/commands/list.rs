//! `outrider list`.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{outrider, sidecar, tell, with};

/// The row of a process, from `list -o json`.
async fn row(pid: i32, env: &[(&str, &str)]) -> Value {
    let done = with(&["list", "-o", "json"], env, "").await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let rows: Vec<Value> = serde_json::from_str(&done.stdout).unwrap();
    let mut of_pid = rows.into_iter().filter(|it| it["daprdPid"] == pid);
    let row = of_pid.next().unwrap();
    assert!(of_pid.next().is_none(), "listed twice: {row}");
    row
}

#[tokio::test]
async fn sidecars_inside_and_outside_of_the_registry_are_listed() {
    let inside = sidecar().start().await.unwrap();
    let outside = sidecar()
        .as_daprd()
        .flag("--same-host-registry=false")
        .app_port(7)
        .spawn()
        .unwrap();
    for (sidecar, app_port) in [(&inside, 0), (&outside, 7)] {
        let row = row(sidecar.pid(), &[]).await;
        assert_eq!(row["appId"], sidecar.app_id());
        assert_eq!(row["httpPort"], sidecar.ports().http);
        assert_eq!(row["grpcPort"], sidecar.ports().grpc);
        assert_eq!(row["appPort"], app_port);
        assert_eq!(row["metricsPort"], sidecar.ports().metrics);
    }
}

#[tokio::test]
async fn what_a_run_wrote_is_shown_in_every_form() {
    let sidecar = sidecar().start().await.unwrap();
    tell(&sidecar, "cliPID", "7654321").await;
    tell(&sidecar, "appPID", "7654322").await;
    tell(&sidecar, "appCommand", "python -m app: 1").await;
    tell(&sidecar, "runTemplatePath", "/x/dapr.yaml").await;
    let row = row(sidecar.pid(), &[]).await;
    assert_eq!(
        (&row["cliPid"], &row["appPid"]),
        (&7654321.into(), &7654322.into())
    );
    assert_eq!(row["command"], "python -m app: 1");
    assert_eq!(row["runTemplatePath"], "/x/dapr.yaml");
    let yaml = outrider(&["list", "--output", "yaml"]).await.stdout;
    assert!(yaml.contains("  command: \"python -m app: 1\"\n"), "{yaml}");
    let table = outrider(&["list"]).await.stdout;
    let line = table.lines().find(|line| line.contains(sidecar.app_id()));
    let line = line.unwrap();
    assert!(
        line.contains("  python -m app: 1") && line.ends_with("  7654322"),
        "{line}"
    );
    assert!(table.lines().next().unwrap().contains("CLI PID"), "{table}");
}

#[tokio::test]
async fn a_hung_sidecar_is_listed_and_named_within_the_limit() {
    let sidecar = sidecar().start().await.unwrap();
    tell(&sidecar, "appCommand", "python").await;
    let pid = Pid::from_raw(sidecar.pid()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let started = Instant::now();
    let done = outrider(&["list"]).await;
    let took = started.elapsed();
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(done.code, Some(0));
    assert!(done.stdout.contains(sidecar.app_id()), "{done:?}");
    let id = sidecar.app_id();
    let silent = format!(
        "{id} (pid {}): 127.0.0.1:{} was silent",
        sidecar.pid(),
        sidecar.ports().http
    );
    assert!(done.stderr.contains(&silent), "{done:?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    let row = row(sidecar.pid(), &[]).await;
    assert_eq!(row["command"], "python");
}

#[tokio::test]
async fn the_token_of_the_environment_opens_the_metadata() {
    let sidecar = sidecar()
        .env("DAPR_API_TOKEN", "secret")
        .start()
        .await
        .unwrap();
    let token = [("dapr-api-token", "secret")];
    let put = sidecar.call("PUT", "/v1.0/metadata/appCommand", &token, b"node app.js");
    assert_eq!(put.await.unwrap().status(), 204);
    assert_eq!(row(sidecar.pid(), &[]).await["command"], "");
    let told = outrider(&["list"]).await.stderr;
    let line = format!(
        "{} (pid {}): it asks for a token",
        sidecar.app_id(),
        sidecar.pid()
    );
    assert!(told.contains(&line), "{told}");
    let env = [("DAPR_API_TOKEN", "secret")];
    assert_eq!(row(sidecar.pid(), &env).await["command"], "node app.js");
}

#[tokio::test]
async fn an_unknown_form_is_a_usage_error() {
    let done = outrider(&["list", "-o", "xml"]).await;
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.ends_with("it must be table, json or yaml\n"),
        "{done:?}"
    );
}
