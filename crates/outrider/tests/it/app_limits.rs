//! What stands between a call and its app: health and the number of calls at once
//! (contract `lifecycle.md` 3, 5).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outrider_testkit::{Gate, Mesh, RawApp, Script, request};

use crate::support::{BIN, assert_error, eventually, failed, invoke};

/// An app whose `/healthz` answers as the switch says.
async fn app_with_switch() -> (RawApp, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(true));
    let healthy = Arc::clone(&switch);
    let app = RawApp::builder()
        .serve_internal()
        .start(move |req| match req.target() {
            "/healthz" if !healthy.load(Ordering::SeqCst) => Script::answer("503 Down", &[], ""),
            "/dapr/config" => Script::answer("404 Not Found", &[], ""),
            _ => Script::answer("200 OK", &[], "ok"),
        })
        .await
        .unwrap();
    (app, switch)
}

#[tokio::test]
async fn an_unhealthy_app_is_not_called_until_it_recovers() {
    let (app, healthy) = app_with_switch().await;
    let mesh = Mesh::builder(BIN)
        .callee_app(app)
        .callee(|callee| {
            callee
                .flag("--enable-app-health-check=true")
                .flag("--app-health-probe-interval=1")
                .flag("--app-health-threshold=1")
                .env("APP_API_TOKEN", "token")
        })
        .start()
        .await
        .unwrap();
    mesh.callee
        .wait_line("App health probes starting")
        .await
        .unwrap();
    mesh.callee
        .wait_line("App entered healthy status")
        .await
        .unwrap();
    let id = mesh.callee.app_id();
    let ok = mesh.call("GET", "x", &[], b"").await.unwrap();
    assert_eq!(ok.status(), 200);

    let probes = mesh.callee_app.requests().await;
    let probe = probes
        .iter()
        .find(|req| req.target() == "/healthz")
        .unwrap();
    assert_eq!(probe.line, "GET /healthz HTTP/1.1");
    for name in probe.headers.names() {
        let known = ["Host", "User-Agent", "Accept-Encoding"].contains(&name);
        assert!(known, "{name} in a probe");
    }
    assert_eq!(probe.headers.get("user-agent"), Some("Go-http-client/1.1"));

    for _ in 0..2 {
        healthy.store(false, Ordering::SeqCst);
        let inner = "rpc error: code = Internal desc = app is not in a healthy state";
        eventually("the app to be seen as unhealthy", async || {
            mesh.call("GET", "x", &[], b"").await.unwrap().status() == 500
        })
        .await;
        let rsp = mesh
            .callee
            .call("GET", &invoke(id, "x"), &[], b"")
            .await
            .unwrap();
        assert_error("own", &rsp, 500, &failed(id, inner));
        let rsp = mesh.call("GET", "x", &[], b"").await.unwrap();
        let err = format!("rpc error: code = Internal desc = error invoking app channel: {inner}");
        assert_error("remote", &rsp, 500, &failed(id, &err));
        let rsp = mesh
            .callee
            .call("GET", "/v1.0/healthz", &[], b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 204, "the sidecar itself is well");
        // Its own calls go on.
        let other = invoke(mesh.caller.app_id(), "x");
        let rsp = mesh.callee.call("GET", &other, &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 200);

        healthy.store(true, Ordering::SeqCst);
        eventually("the app to be seen as healthy", async || {
            mesh.call("GET", "x", &[], b"").await.unwrap().status() == 200
        })
        .await;
    }
    let line = "App entered un-healthy status: Health check failed with status code: 503";
    mesh.callee.wait_line(line).await.unwrap();
}

#[tokio::test]
async fn health_settings_are_in_the_metadata() {
    let (app, _) = app_with_switch().await;
    let sidecar = crate::support::sidecar()
        .app_port(app.port())
        .flag("--enable-app-health-check=true")
        .flag("--app-health-check-path=well")
        .start()
        .await
        .unwrap();
    let rsp = sidecar
        .call("GET", "/v1.0/metadata", &[], b"")
        .await
        .unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&rsp.body).unwrap();
    let expected = serde_json::json!({
        "healthCheckPath": "/well", "healthProbeInterval": "5s",
        "healthProbeTimeout": "500ms", "healthThreshold": 3,
    });
    assert_eq!(seen["appConnectionProperties"]["health"], expected);
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_their_turn_and_can_leave() {
    let mesh = Mesh::builder(BIN)
        .callee(|callee| callee.flag("--app-max-concurrency=1"))
        .start()
        .await
        .unwrap();
    mesh.callee
        .wait_line("app max concurrency set to 1")
        .await
        .unwrap();
    for caller in [&mesh.caller, &mesh.callee] {
        mesh.callee_app.clear();
        let gate = Gate::new();
        // The answer under way holds the slot until its last byte.
        let head = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n";
        let script = Script::new().send(head).chunk("a").wait(&gate).chunk("");
        mesh.callee_app.answer_once(script);
        let mut clients = Vec::new();
        for path in ["first", "second", "third"] {
            let mut client = caller.connect().await.unwrap();
            client
                .send(request("GET", &mesh.target(path), &[], b""))
                .await
                .unwrap();
            if path == "first" {
                gate.reached().await.unwrap();
            }
            clients.push(client);
        }
        let mut third = clients.pop().unwrap();
        let second = clients.pop().unwrap();
        let mut first = clients.pop().unwrap();
        // Enough time for a call that does not wait.
        assert!(
            !third
                .closed_within(std::time::Duration::from_millis(200))
                .await
        );
        assert_eq!(mesh.callee_app.requests().await.len(), 1);
        drop(second);
        gate.open();
        assert!(first.read_response().await.unwrap().complete);
        assert_eq!(third.read_response().await.unwrap().status(), 200);
        let seen: Vec<_> = mesh.callee_app.requests().await;
        let seen: Vec<_> = seen.iter().map(|req| req.target()).collect();
        assert!(
            seen == ["/first", "/third"] || seen == ["/first", "/second", "/third"],
            "{seen:?}"
        );
        // The slot of the one that left is free again.
        let rsp = caller
            .call("GET", &mesh.target("fourth"), &[], b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 200);
    }
}
