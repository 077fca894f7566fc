//! The end of a sidecar, and its life after SIGHUP (contract `lifecycle.md` 6, 7).

use std::time::{Duration, Instant};

use outrider_testkit::{Ending, Gate, Mesh, RawClient, Script, Sidecar, Signal, request};

use crate::support::{BIN, ConfigFile, eventually, mesh, sidecar};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A call that the app holds.
async fn held(mesh: &Mesh, sidecar: &Sidecar, script: Script) -> RawClient {
    mesh.callee_app.answer_once(script);
    let mut client = sidecar.connect().await.unwrap();
    client
        .send(request("GET", &mesh.target("held"), &[], b""))
        .await
        .unwrap();
    client
}

#[tokio::test]
async fn a_call_under_way_is_finished_and_then_nothing_is_served() {
    for (who, signal) in [
        ("own", Signal::Int),
        ("caller", Signal::Term),
        ("callee", Signal::Int),
    ] {
        let mut mesh = mesh().await;
        let gate = Gate::new();
        let script = Script::new().wait(&gate).send(OK);
        let asked = if who == "own" {
            &mesh.callee
        } else {
            &mesh.caller
        };
        let mut client = held(&mesh, asked, script).await;
        gate.reached().await.unwrap();
        let stopped = if who == "caller" {
            &mut mesh.caller
        } else {
            &mut mesh.callee
        };
        stopped.signal(signal).unwrap();
        let name = if signal == Signal::Int {
            "interrupt"
        } else {
            "terminated"
        };
        let line = format!("Received signal '{name}'; beginning shutdown");
        stopped.wait_line(&line).await.unwrap();
        gate.open();
        let rsp = client.read_response().await.unwrap();
        assert_eq!((rsp.status(), rsp.text().as_str()), (200, "ok"), "{who}");
        assert_eq!(stopped.wait_exit().await.unwrap(), 0, "{who}");
        stopped
            .wait_line("Daprd shutdown gracefully")
            .await
            .unwrap();
        let port = stopped.ports().http;
        assert!(RawClient::connect(port).await.is_err(), "{who}");
        if who == "callee" {
            let rsp = mesh.call("GET", "x", &[], b"").await.unwrap();
            assert_eq!(rsp.status(), 500);
        }
    }
}

#[tokio::test]
async fn a_call_longer_than_the_grace_is_cut() {
    let flag = "--dapr-graceful-shutdown-seconds=1";
    let mut mesh = Mesh::builder(BIN)
        .callee(|callee| callee.flag(flag))
        .start()
        .await
        .unwrap();
    let script = Script::new().hang();
    let mut own = held(&mesh, &mesh.callee, script.clone()).await;
    let mut remote = held(&mesh, &mesh.caller, script).await;
    mesh.callee_app.wait_requests(2).await.unwrap();
    let started = Instant::now();
    mesh.callee.signal(Signal::Term).unwrap();
    assert_eq!(mesh.callee.wait_exit().await.unwrap(), 1);
    let took = started.elapsed();
    let expected = Duration::from_millis(900)..Duration::from_secs(4);
    assert!(expected.contains(&took), "{took:?}");
    let text = "Graceful shutdown timeout exceeded, forcing shutdown";
    let line = mesh.callee.wait_line(text).await.unwrap();
    assert!(line.contains("level=fatal"), "{line}");
    let (bytes, ending) = own.read_to_end().await;
    assert_eq!(bytes, b"");
    assert_ne!(ending, Ending::TimedOut);
    // GET may be tried again elsewhere, but there is no elsewhere.
    let rsp = remote.read_response().await.unwrap();
    assert_eq!(rsp.status(), 500, "{}", rsp.text());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut mesh = mesh().await;
    let _client = held(&mesh, &mesh.callee, Script::new().hang()).await;
    mesh.callee_app.last_request().await.unwrap();
    mesh.callee.signal(Signal::Int).unwrap();
    mesh.callee.wait_line("beginning shutdown").await.unwrap();
    mesh.callee.signal(Signal::Term).unwrap();
    assert_eq!(mesh.callee.wait_exit().await.unwrap(), 1);
    let text = "Received signal 'terminated' during shutdown; exiting immediately";
    let line = mesh.callee.wait_line(text).await.unwrap();
    assert!(line.contains("level=fatal"), "{line}");
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    let mut mesh = mesh().await;
    // One to the API, one to the peer, one to the app, and one that never says a word.
    let mut kept = mesh.caller.connect().await.unwrap();
    kept.call("GET", &mesh.target("x"), &[], b"").await.unwrap();
    let _silent = mesh.caller.connect().await.unwrap();
    for sidecar in [&mut mesh.callee, &mut mesh.caller] {
        let started = Instant::now();
        sidecar.signal(Signal::Int).unwrap();
        assert_eq!(sidecar.wait_exit().await.unwrap(), 0);
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{:?}",
            started.elapsed()
        );
    }
}

#[tokio::test]
async fn the_end_can_be_put_off() {
    let flag = "--dapr-block-shutdown-duration=1s";
    let mut mesh = Mesh::builder(BIN)
        .caller(|sidecar| sidecar.flag(flag))
        .callee(|sidecar| sidecar.flag(flag))
        .start()
        .await
        .unwrap();
    let started = Instant::now();
    mesh.callee.signal(Signal::Int).unwrap();
    let text = "Blocking graceful shutdown for 1s or until app reports unhealthy...";
    mesh.callee.wait_line(text).await.unwrap();
    assert_eq!(mesh.call("GET", "x", &[], b"").await.unwrap().status(), 200);
    let health = mesh.callee.call("GET", "/v1.0/healthz", &[], b"").await;
    let health = health.unwrap();
    let text = r#"{"errorCode":"ERR_HEALTH_NOT_READY","message":"dapr is not ready: [security-provider]"}"#;
    assert_eq!((health.status(), &*health.text()), (500, text));
    let outbound = mesh.callee.call("GET", "/v1.0/healthz/outbound", &[], b"");
    assert_eq!(outbound.await.unwrap().status(), 204);
    assert_eq!(mesh.callee.wait_exit().await.unwrap(), 0);
    assert!(started.elapsed() >= Duration::from_secs(1));
    let text = "Block shutdown period expired, entering shutdown...";
    mesh.callee.wait_line(text).await.unwrap();
    // By the API there is no such wait.
    let started = Instant::now();
    mesh.caller
        .call("POST", "/v1.0/shutdown", &[], b"")
        .await
        .unwrap();
    assert_eq!(mesh.caller.wait_exit().await.unwrap(), 0);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn hangup_reads_everything_anew_in_the_same_process() {
    let config = ConfigFile::new("  logging:\n    apiLogging:\n      enabled: true");
    let mesh = Mesh::builder(BIN).caller(|caller| caller.flag(config.flag()));
    let mut mesh = mesh.start().await.unwrap();
    mesh.call("GET", "before", &[], b"").await.unwrap();
    mesh.caller.wait_line("method/before").await.unwrap();
    config.change("  logging:\n    apiLogging:\n      enabled: true\n      obfuscateURLs: true");
    mesh.caller.signal(Signal::Hup).unwrap();
    mesh.caller
        .wait_line("Received signal 'hangup'; restarting")
        .await
        .unwrap();
    let pid = mesh.caller.pid();
    let times = |sidecar: &Sidecar| {
        let lines = sidecar.lines();
        lines
            .iter()
            .filter(|line| line.contains("dapr initialized"))
            .count()
    };
    eventually("the second start", async || times(&mesh.caller) == 2).await;
    mesh.caller.wait_ready().await.unwrap();
    assert_eq!(
        mesh.call("GET", "after", &[], b"").await.unwrap().status(),
        200
    );
    mesh.caller
        .wait_line("method=InvokeService/")
        .await
        .unwrap();
    assert!(
        !mesh
            .caller
            .lines()
            .iter()
            .any(|line| line.contains("method/after"))
    );
    assert!(
        !mesh
            .caller
            .lines()
            .iter()
            .any(|line| line.contains("shutdown gracefully"))
    );
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());

    // Calls come in again, too.
    let own = crate::support::invoke(mesh.caller.app_id(), "back");
    eventually("being found again", async || {
        mesh.callee
            .call("GET", &own, &[], b"")
            .await
            .unwrap()
            .status()
            == 200
    })
    .await;
    mesh.caller.signal(Signal::Int).unwrap();
    assert_eq!(mesh.caller.wait_exit().await.unwrap(), 0);
}

#[tokio::test]
async fn a_sidecar_that_ends_is_no_longer_found() {
    let mut mesh = mesh().await;
    mesh.call("GET", "x", &[], b"").await.unwrap();
    mesh.callee.signal(Signal::Int).unwrap();
    assert_eq!(mesh.callee.wait_exit().await.unwrap(), 0);
    let none = format!("couldn't find service: {}", mesh.callee.app_id());
    eventually("the end to be known", async || {
        let rsp = mesh.call("GET", "x", &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 500);
        rsp.text().contains(&none)
    })
    .await;
    // One that is started anew is.
    let again = sidecar()
        .app_id(mesh.callee.app_id())
        .app_port(mesh.callee_app.port())
        .start()
        .await
        .unwrap();
    eventually("the new one", async || {
        mesh.call("GET", "x", &[], b"").await.unwrap().status() == 200
    })
    .await;
    drop(again);
}
