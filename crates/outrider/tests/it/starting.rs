//! From the command line to "ready" (contract `lifecycle.md` 1, 2, 4, 9).

use std::time::Duration;

use outrider_testkit::{RawApp, RawClient, Script, Signal, free_ports, unique_id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::support::{closed_port, eventually, failed, invoke, sidecar};

#[tokio::test]
async fn what_is_logged_on_the_way_is_what_tools_look_for() {
    let app = RawApp::echo().await.unwrap();
    let sidecar = sidecar().app_port(app.port()).start().await.unwrap();
    let ports = sidecar.ports();
    let lines = sidecar.lines();
    let mut from = 0;
    for text in [
        "Starting Dapr Runtime -- version 1.18.3 -- commit ".to_owned(),
        "Log level set to: debug".into(),
        "standalone mode configured".into(),
        format!("app id: {}", sidecar.app_id()),
        format!("HTTP server is running on port {}", ports.http),
        format!(
            "application protocol: http. waiting on port {}.  This will block until the app is listening on that port.",
            app.port()
        ),
        format!("application discovered on port {}", app.port()),
        "dapr initialized. Status: Running. Init Elapsed ".into(),
    ] {
        let found = lines[from..].iter().position(|line| line.contains(&text));
        from +=
            found.unwrap_or_else(|| panic!("{text:?} is missing or late:\n{}", lines.join("\n")));
    }
    for text in [
        format!("API gRPC server is running on port {}", ports.grpc),
        format!(
            "Internal gRPC server is running on 127.0.0.1:{}",
            ports.internal
        ),
    ] {
        assert!(lines.iter().any(|line| line.contains(&text)), "{text}");
    }
    for line in lines {
        assert!(
            line.starts_with("time=\"") && line.contains(" level="),
            "{line}"
        );
        assert!(
            line.contains(&format!("app_id={}", sidecar.app_id())),
            "{line}"
        );
    }
}

#[tokio::test]
async fn log_lines_can_be_json() {
    let sidecar = sidecar().flag("--log-as-json").start().await.unwrap();
    for line in sidecar.lines() {
        let value: serde_json::Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(value["app_id"], sidecar.app_id());
        for name in ["level", "msg", "scope", "time", "type", "ver", "instance"] {
            assert!(value[name].is_string(), "{name} in {line}");
        }
    }
}

#[tokio::test]
async fn while_the_app_is_awaited_only_calls_to_it_fail() {
    let other = RawApp::echo().await.unwrap();
    let callee = sidecar().app_port(other.port()).start().await.unwrap();
    let [port] = free_ports().unwrap();
    let builder = sidecar().app_port(port);
    let sidecar = builder.spawn().unwrap();
    let text = format!(
        "application protocol: http. waiting on port {port}.  This will block until the app is listening on that port."
    );
    sidecar.wait_line(&text).await.unwrap();

    let rsp = sidecar
        .call("GET", "/v1.0/healthz/outbound", &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 204);
    let rsp = sidecar
        .call("GET", "/v1.0/healthz", &[], b"")
        .await
        .unwrap();
    let start = r#"{"errorCode":"ERR_HEALTH_NOT_READY","message":"dapr is not ready: ["#;
    let text = rsp.text();
    assert_eq!(rsp.status(), 500);
    assert!(
        text.starts_with(start) && text.contains("runtime"),
        "{text}"
    );
    let rsp = sidecar
        .call("GET", "/v1.0/metadata", &[], b"")
        .await
        .unwrap();
    let text = rsp.text();
    assert!(text.contains(r#""runtimeStatus":"INITIALIZING""#), "{text}");
    let target = invoke(callee.app_id(), "x");
    assert_eq!(
        sidecar
            .call("GET", &target, &[], b"")
            .await
            .unwrap()
            .status(),
        200
    );
    let id = sidecar.app_id();
    let rsp = sidecar
        .call("GET", &invoke(id, "x"), &[], b"")
        .await
        .unwrap();
    let err = format!(
        r#"Get "http://127.0.0.1:{port}/x": dial tcp 127.0.0.1:{port}: connect: connection refused"#
    );
    assert_eq!((rsp.status(), rsp.text()), (500, failed(id, &err)));

    let app = RawApp::builder()
        .port(port)
        .start(|_| Script::answer("200 OK", &[], "late"));
    let _app = app.await.unwrap();
    sidecar
        .wait_line(&format!("application discovered on port {port}"))
        .await
        .unwrap();
    sidecar
        .wait_line("dapr initialized. Status: Running. Init Elapsed")
        .await
        .unwrap();
    eventually("health", async || {
        sidecar
            .call("GET", "/v1.0/healthz", &[], b"")
            .await
            .unwrap()
            .status()
            == 204
    })
    .await;
    let rsp = sidecar
        .call("GET", &invoke(id, "x"), &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.text(), "late");
}

#[tokio::test]
async fn a_long_wait_for_the_app_is_told_now_and_then() {
    let (_held, port) = closed_port(0);
    let sidecar = sidecar().app_port(port).spawn().unwrap();
    let text = format!("waiting for application to listen on port {port}");
    sidecar.wait_line(&text).await.unwrap();
}

#[tokio::test]
async fn the_api_can_be_a_socket_file() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique_id("s"));
    std::fs::create_dir(&folder).unwrap();
    // A file that a dead process has left is replaced.
    drop(UnixListener::bind(folder.join("dapr-socket-http.socket")).unwrap());
    let builder = sidecar()
        .app_id("socket")
        .flag(format!("--unix-domain-socket={}", folder.display()));
    let mut first = builder.spawn().unwrap();
    first.wait_line("dapr initialized").await.unwrap();
    let path = folder.join("dapr-socket-http.socket");
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let head = b"GET /v1.0/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 204 No Content\r\n"),
        "{answer}"
    );
    assert!(first.connect().await.is_err(), "instead of a port");

    let mut second = builder.spawn().unwrap();
    assert_eq!(second.wait_exit().await.unwrap(), 1);
    second.wait_line("already in use").await.unwrap();

    first.signal(Signal::Int).unwrap();
    assert_eq!(first.wait_exit().await.unwrap(), 0);
    assert!(!path.exists(), "removed at the end");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_signal_while_the_app_is_awaited_is_a_clean_end() {
    let (_held, port) = closed_port(0);
    for signal in [Signal::Int, Signal::Term] {
        let mut sidecar = sidecar().app_port(port).spawn().unwrap();
        sidecar.wait_line("waiting on port").await.unwrap();
        sidecar.signal(signal).unwrap();
        assert_eq!(sidecar.wait_exit().await.unwrap(), 0, "{signal:?}");
    }
}

#[tokio::test]
async fn the_app_is_asked_for_its_configuration_once() {
    let app = RawApp::builder()
        .serve_internal()
        .start(|_| Script::answer("200 OK", &[], r#"{"entities":[]}"#))
        .await
        .unwrap();
    let sidecar = sidecar()
        .app_port(app.port())
        .env("APP_API_TOKEN", "token")
        .start()
        .await
        .unwrap();
    sidecar
        .wait_line("Application configuration loaded")
        .await
        .unwrap();
    let req = app.last_request().await.unwrap();
    assert_eq!(req.line, "GET /dapr/config HTTP/1.1");
    assert_eq!(req.headers.all("Dapr-App-Id"), [sidecar.app_id()]);
    assert_eq!(req.headers.all("Content-Type"), ["application/json"]);
    assert_eq!(req.headers.all("Dapr-Api-Token"), ["token"]);
    assert_eq!(app.requests().await.len(), 1);
}

#[tokio::test]
async fn the_question_can_be_switched_off() {
    let app = RawApp::builder()
        .serve_internal()
        .start(|_| Script::answer("200 OK", &[], "{}"))
        .await
        .unwrap();
    let sidecar = sidecar()
        .app_port(app.port())
        .flag("--disable-init-endpoints=config")
        .start()
        .await
        .unwrap();
    sidecar
        .wait_line("Skipping programmatic dapr configuration loading")
        .await
        .unwrap();
    let rsp = sidecar
        .call("GET", &invoke(sidecar.app_id(), "x"), &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 200);
    let asked = app.requests().await;
    assert!(asked.iter().all(|req| req.target() == "/x"), "{asked:?}");
}

#[tokio::test]
async fn an_app_that_never_answers_the_question_holds_nothing_up() {
    let app = RawApp::builder()
        .serve_internal()
        .start(|req| match req.target() {
            "/dapr/config" => Script::new().hang(),
            _ => Script::answer("200 OK", &[], "ok"),
        })
        .await
        .unwrap();
    let sidecar = sidecar().app_port(app.port()).start().await.unwrap();
    let rsp = sidecar
        .call("GET", &invoke(sidecar.app_id(), "x"), &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.text(), "ok");
}

#[tokio::test]
async fn wrong_flags_end_with_2_and_say_why_last() {
    for (flag, last) in [
        ("--bogus", "unknown flag: --bogus"),
        (
            "--dapr-http-port",
            "flag needs an argument: --dapr-http-port",
        ),
    ] {
        let mut sidecar = sidecar().flag(flag).spawn().unwrap();
        assert_eq!(sidecar.wait_exit().await.unwrap(), 2, "{flag}");
        let lines = sidecar.lines();
        assert!(lines.iter().any(|line| line.contains(last)), "{lines:?}");
    }
}

#[tokio::test]
async fn wrong_values_are_named() {
    for (flag, parts) in [
        ("--dapr-http-port=abc", ["dapr-http-port", "abc"]),
        (
            "--max-body-size=wrong",
            ["max-body-size", "quantities must match"],
        ),
        ("--app-protocol=ftp", ["app-protocol", "ftp"]),
        (
            "--config=/nonexistent/config.yaml",
            ["/nonexistent/config.yaml", "no such file"],
        ),
    ] {
        let mut sidecar = sidecar().flag(flag).spawn().unwrap();
        let code = sidecar.wait_exit().await.unwrap();
        assert!(code == 1 || code == 2, "{flag}: {code}");
        let text = sidecar.lines().join("\n");
        for part in parts {
            assert!(text.contains(part), "{flag}: {part} in {text}");
        }
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[tokio::test]
async fn a_version_is_all_that_is_printed() {
    let mut sidecar = sidecar().as_daprd().flag("--version").spawn().unwrap();
    assert_eq!(sidecar.wait_exit().await.unwrap(), 0);
    assert_eq!(sidecar.lines(), ["1.18.3"]);
}

#[tokio::test]
async fn a_port_in_use_is_waited_for_and_then_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let freed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let later = freed.local_addr().unwrap().port();
    let mut failing = sidecar()
        .flag(format!("--dapr-http-port={port}"))
        .spawn()
        .unwrap();
    let waiting = sidecar()
        .flag(format!("--dapr-http-port={later}"))
        .spawn()
        .unwrap();
    waiting.wait_line("in use").await.unwrap();
    drop(freed);
    waiting.wait_line("dapr initialized").await.unwrap();
    let mut client = RawClient::connect(later)
        .await
        .unwrap()
        .limit(Duration::from_secs(2));
    let rsp = client.call("GET", "/v1.0/healthz", &[], b"").await.unwrap();
    assert_eq!(rsp.status(), 204);
    assert_eq!(failing.wait_exit().await.unwrap(), 1);
    let text = failing.lines().join("\n");
    let port = port.to_string();
    for part in [
        "failed to start HTTP server: could not listen on any endpoint",
        "address already in use",
        &port,
        "level=fatal",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
