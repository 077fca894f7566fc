//! Answers that break off: what is lenient by contract stays whole, all else must not look whole
//! (contract `http-api.md` 7, 8.2, `sidecar-protocol.md` 3.2).

use outrider_testkit::{
    Ending, Gate, Mesh, RawApp, RawClient, RawResponse, Script, Sidecar, Signal,
};

use crate::support::{BIN, failed, mesh};

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nTransfer-Encoding: chunked\r\n\r\n";
const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 100\r\n\r\n";
const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\n\r\n";

/// A mesh whose called app answers by `script`, and both ways to it: by a peer, and its own.
async fn answering(script: Script) -> Mesh {
    let app = RawApp::start(move |_| script.clone()).await.unwrap();
    Mesh::builder(BIN).callee_app(app).start().await.unwrap()
}

fn ways(mesh: &Mesh) -> [(&'static str, &Sidecar); 2] {
    [("remote", &mesh.caller), ("own", &mesh.callee)]
}

async fn get(mesh: &Mesh, sidecar: &Sidecar) -> std::io::Result<RawResponse> {
    let mut client = sidecar.connect().await?;
    client.call("GET", &mesh.target("x"), &[], b"").await
}

#[tokio::test]
async fn a_body_shorter_than_declared_is_complete() {
    let mesh = answering(Script::new().send(LENGTH).send("abc").close()).await;
    for (way, sidecar) in ways(&mesh) {
        let rsp = get(&mesh, sidecar).await.unwrap();
        assert_eq!((rsp.status(), rsp.text().as_str()), (200, "abc"), "{way}");
        assert!(rsp.complete && rsp.chunked, "{way}: {:?}", rsp.ending);
        assert!(!rsp.headers.has("content-length"), "{way}");
    }
}

#[tokio::test]
async fn a_body_without_length_ends_with_the_connection() {
    let mesh = answering(Script::new().send(UNTIL_CLOSE).send("abc").close()).await;
    for (way, sidecar) in ways(&mesh) {
        let rsp = get(&mesh, sidecar).await.unwrap();
        assert_eq!((rsp.text().as_str(), rsp.complete), ("abc", true), "{way}");
    }
}

#[tokio::test]
async fn a_body_longer_than_declared_is_cut_there() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef";
    let mesh = answering(Script::new().send(answer)).await;
    for (way, sidecar) in ways(&mesh) {
        for _ in 0..2 {
            let rsp = get(&mesh, sidecar).await.unwrap();
            assert_eq!((rsp.text().as_str(), rsp.complete), ("abc", true), "{way}");
        }
    }
}

/// How a script ends.
type End = fn(Script) -> Script;

/// The client got the beginning and can tell that this was not all.
#[track_caller]
fn assert_cut(case: &str, rsp: &RawResponse, beginning: &str) {
    assert_eq!(rsp.status(), 200, "{case}");
    assert!(rsp.text().starts_with(beginning), "{case}: {}", rsp.text());
    assert!(!rsp.complete, "{case}: looks complete");
    let cut = matches!(rsp.ending, Ending::Reset | Ending::Eof);
    assert!(cut, "{case}: {:?}", rsp.ending);
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_complete() {
    let piece = "x".repeat(1000);
    let cases: [(&str, &str, End); 6] = [
        ("chunked, reset", CHUNKED, |s| s.reset()),
        ("chunked, closed between chunks", CHUNKED, |s| s.close()),
        ("chunked, closed inside a chunk", CHUNKED, |s| {
            s.send("5\r\nab").close()
        }),
        ("chunked, bad chunk size", CHUNKED, |s| {
            s.send("zz\r\n").hang()
        }),
        ("length, reset", LENGTH, |s| s.reset()),
        ("until close, reset", UNTIL_CLOSE, |s| s.reset()),
    ];
    for (case, head, end) in cases {
        let gate = Gate::new();
        let first = match head {
            CHUNKED => Script::new().send(head).chunk(&piece),
            LENGTH => Script::new().send(head).send(&piece[..50]),
            _ => Script::new().send(head).send(&*piece),
        };
        let mesh = answering(end(first.wait(&gate))).await;
        let mut clients = Vec::new();
        for (way, sidecar) in ways(&mesh) {
            let mut client = sidecar.connect().await.unwrap();
            let target = mesh.target("x");
            client
                .send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
                .await
                .unwrap();
            clients.push((way, client));
        }
        // The break comes after the beginning has been sent on its way.
        gate.reached_times(2).await.unwrap();
        gate.open();
        for (way, mut client) in clients {
            match client.read_response().await {
                Ok(rsp) if rsp.status() == 200 => assert_cut(&format!("{case}, {way}"), &rsp, ""),
                // A break before the answer has been begun may be told as an error.
                Ok(rsp) => assert_eq!(rsp.status(), 500, "{case}, {way}"),
                Err(_) => {}
            }
        }
    }
}

/// Reads the head and the first piece of a chunked answer.
async fn begun(client: &mut RawClient, target: &str) {
    client
        .send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .await
        .unwrap();
    let (status, _) = client.read_head().await.unwrap();
    assert!(status.contains(" 200 "), "{status}");
    assert_eq!(client.read_chunk().await.unwrap(), b"first");
}

/// What comes until the end has no last chunk.
async fn assert_no_end(case: &str, client: &mut RawClient) {
    let (rest, ending) = client.read_to_end().await;
    let text = String::from_utf8_lossy(&rest);
    assert!(!text.contains("0\r\n\r\n"), "{case}: {text:?}");
    assert_ne!(ending, Ending::TimedOut, "{case}");
}

#[tokio::test]
async fn a_break_after_the_client_has_the_beginning_is_seen() {
    for (case, end) in [
        ("reset", Script::reset as fn(Script) -> Script),
        ("closed", Script::close),
    ] {
        let gate = Gate::new();
        let script = Script::new().send(CHUNKED).chunk("first").wait(&gate);
        let mesh = answering(end(script)).await;
        let mut remote = mesh.caller.connect().await.unwrap();
        let mut own = mesh.callee.connect().await.unwrap();
        begun(&mut remote, &mesh.target("x")).await;
        begun(&mut own, &mesh.target("x")).await;
        gate.open();
        assert_no_end(case, &mut remote).await;
        assert_no_end(case, &mut own).await;
    }
}

#[tokio::test]
async fn a_peer_that_is_killed_midway_is_seen() {
    let gate = Gate::new();
    let script = Script::new()
        .send(CHUNKED)
        .chunk("first")
        .wait(&gate)
        .chunk("");
    let mut mesh = answering(script).await;
    let mut client = mesh.caller.connect().await.unwrap();
    begun(&mut client, &mesh.target("x")).await;
    mesh.callee.signal(Signal::Kill).unwrap();
    mesh.callee.wait_exit().await.unwrap();
    assert_no_end("killed", &mut client).await;
    let rsp = mesh
        .caller
        .call("GET", "/v1.0/healthz", &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 204, "the caller lives on");
}

#[tokio::test]
async fn an_http10_client_sees_a_reset_instead_of_an_end() {
    let gate = Gate::new();
    let mesh = answering(
        Script::new()
            .send(CHUNKED)
            .chunk("first")
            .wait(&gate)
            .close(),
    )
    .await;
    for (way, sidecar) in ways(&mesh) {
        let mut client = sidecar.connect().await.unwrap();
        let target = mesh.target("x");
        client
            .send(format!("GET {target} HTTP/1.0\r\n\r\n"))
            .await
            .unwrap();
        let (status, headers) = client.read_head().await.unwrap();
        assert!(
            status.contains(" 200 ") && !headers.has("transfer-encoding"),
            "{way} {status}"
        );
        assert_eq!(client.read_at_least(5).await.unwrap(), b"first");
        gate.open();
        assert_eq!(
            client.read_to_end().await,
            (Vec::new(), Ending::Reset),
            "{way}"
        );
    }
}

#[tokio::test]
async fn an_app_that_closes_without_an_answer_is_an_error() {
    let mesh = answering(Script::new().close()).await;
    let app = mesh.callee_app.addr();
    for (way, sidecar) in ways(&mesh) {
        let rsp = get(&mesh, sidecar).await.unwrap();
        let inner = format!(r#"Get "http://{app}/x": EOF"#);
        let err = match way {
            "own" => inner,
            _ => format!("rpc error: code = Internal desc = error invoking app channel: {inner}"),
        };
        assert_eq!(
            (rsp.status(), rsp.text()),
            (500, failed(mesh.callee.app_id(), &err)),
            "{way}"
        );
    }
}

#[tokio::test]
async fn no_http_from_the_app_is_an_error_for_that_call_only() {
    let mesh = mesh().await;
    let nonsense = [
        "HTTP/1.1 042 Low\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 Short\r\n\r\n",
        "HTTP/1.1 2000 Long\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "SSH-2.0-server\r\n\r\n",
        "\0\u{1}\u{2}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ];
    for bytes in nonsense {
        for caller in [&mesh.caller, &mesh.callee] {
            mesh.callee_app
                .answer_once(Script::new().send(bytes).close());
            let rsp = caller
                .call("GET", &mesh.target("x"), &[], b"")
                .await
                .unwrap();
            assert_eq!(
                rsp.status(),
                500,
                "{bytes:?}: {} {}",
                rsp.status_line,
                rsp.text()
            );
            assert!(
                rsp.text()
                    .starts_with(r#"{"errorCode":"ERR_DIRECT_INVOKE""#),
                "{bytes:?}"
            );
            let rsp = caller
                .call("GET", &mesh.target("x"), &[], b"")
                .await
                .unwrap();
            assert_eq!(rsp.status(), 200, "after {bytes:?}");
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_app_closed_costs_no_idempotent_call() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        for verb in ["GET", "PUT", "DELETE"] {
            // The app answers, keeps the connection, and closes it at the next request.
            mesh.callee_app
                .answer_once(Script::answer("200 OK", &[], "1"));
            caller
                .call(verb, &mesh.target("x"), &[], b"")
                .await
                .unwrap();
            mesh.callee_app.answer_once(Script::new().close());
            let rsp = caller
                .call(verb, &mesh.target("x"), &[], b"")
                .await
                .unwrap();
            assert_eq!(rsp.status(), 200, "{verb}: {}", rsp.text());
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_no_call_at_all() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        for verb in ["POST", "PATCH", "GET"] {
            mesh.callee_app.clear();
            let script = Script::answer("200 OK", &[], "1").close();
            mesh.callee_app.answer_once(script);
            let rsp = caller.call(verb, &mesh.target("x"), &[], b"b").await;
            assert_eq!(rsp.unwrap().status(), 200, "{verb}");
            let number = mesh.callee_app.last_request().await.unwrap().connection;
            mesh.callee_app.wait_closed(number).await.unwrap();
            let rsp = caller.call(verb, &mesh.target("x"), &[], b"b").await;
            let rsp = rsp.unwrap();
            assert_eq!(rsp.status(), 200, "{verb}: {}", rsp.text());
        }
    }
}

#[tokio::test]
async fn a_request_body_that_breaks_off_does_not_look_complete_to_the_app() {
    let mesh = mesh().await;
    for (way, app, id) in [
        ("remote", &mesh.callee_app, mesh.callee.app_id()),
        ("own", &mesh.caller_app, mesh.caller.app_id()),
    ] {
        for (how, framing, part) in [
            ("length", "Content-Length: 1000", "x".repeat(500)),
            (
                "chunked",
                "Transfer-Encoding: chunked",
                "3\r\nabc\r\n".into(),
            ),
            (
                "chunked, inside",
                "Transfer-Encoding: chunked",
                "a\r\nabc".into(),
            ),
        ] {
            let mut client = mesh.caller.connect().await.unwrap();
            let target = crate::support::invoke(id, "x");
            client
                .send(format!(
                    "POST {target} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{part}"
                ))
                .await
                .unwrap();
            client.half_close().await.unwrap();
            // An app that has seen the head sees the break too.
            let (answer, _) = client.read_to_end().await;
            let text = String::from_utf8_lossy(&answer);
            assert!(!text.starts_with("HTTP/1.1 200"), "{way} {how}: {text}");
        }
        let whole = app.requests().await.into_iter().filter(|r| r.complete());
        assert_eq!(whole.count(), 0, "{way}");
    }
}
