//! Response headers on their way back to the client (contract `http-api.md` 7).

use outrider_testkit::{Mesh, RawApp, Script};

use crate::support::{BIN, invoke, mesh};

const ANSWER: &str = "HTTP/1.1 200 OK\r\n\
    content-type: text/x\r\n\
    x-lower: 1\r\n\
    X-Many: a\r\n\
    X-Many: b\r\n\
    Set-Cookie: a=1\r\n\
    Set-Cookie: b=2\r\n\
    Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    Server: app\r\n\
    Location: /there\r\n\
    ETag: \"e\"\r\n\
    Content-Encoding: br\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
    dapr-app-id: app\r\n\
    Connection: X-Nominated\r\n\
    X-Nominated: gone\r\n\
    Keep-Alive: timeout=5\r\n\
    Upgrade: x\r\n\
    TE: x\r\n\
    Trailer: X-T\r\n\
    Proxy-Authenticate: x\r\n\
    destination-app-id: x\r\n\
    x-bytes-bin: AAAA\r\n\
    grpc-status: 0\r\n\
    Content-Length: 4\r\n\r\nbody";

async fn check(own: bool) {
    let app = RawApp::answering(ANSWER).await.unwrap();
    let mesh = Mesh::builder(BIN).callee_app(app).start().await.unwrap();
    let caller = if own { &mesh.callee } else { &mesh.caller };
    let rsp = caller
        .call("GET", &mesh.target("x"), &[], b"")
        .await
        .unwrap();
    let seen = (rsp.status_line.as_str(), rsp.text());
    assert_eq!(seen, ("HTTP/1.1 200 OK", "body".to_owned()));
    for (name, expected) in [
        ("Content-Type", &["text/x"][..]),
        ("X-Lower", &["1"]),
        ("X-Many", &["a", "b"]),
        ("Set-Cookie", &["a=1", "b=2"]),
        ("Date", &["Thu, 01 Jan 1970 00:00:00 GMT"]),
        ("Server", &["app"]),
        ("Location", &["/there"]),
        ("Etag", &["\"e\""]),
        ("Content-Encoding", &["br"]),
        (
            "Traceparent",
            &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        ),
        ("Dapr-Grpc-Status", &["0"]),
        ("Transfer-Encoding", &["chunked"]),
    ] {
        assert_eq!(rsp.headers.all(name), expected, "{name}: {:?}", rsp.headers);
        assert!(rsp.headers.exact(name).is_some(), "{name} as spelled");
    }
    for name in [
        "connection",
        "x-nominated",
        "keep-alive",
        "upgrade",
        "te",
        "trailer",
        "proxy-authenticate",
        "destination-app-id",
        "x-bytes-bin",
        "grpc-status",
        "content-length",
    ] {
        assert!(!rsp.headers.has(name), "{name}: {:?}", rsp.headers);
    }
}

#[tokio::test]
async fn headers_come_back_by_their_rules_from_a_peer() {
    check(false).await;
}

#[tokio::test]
async fn headers_come_back_by_their_rules_from_the_own_app() {
    check(true).await;
}

#[tokio::test]
async fn a_missing_type_is_found_in_the_first_bytes_of_a_success() {
    let mesh = mesh().await;
    for (status, body, kind) in [
        ("200 OK", "{\"a\":1}", "text/plain; charset=utf-8"),
        ("200 OK", "<html><body>", "text/html; charset=utf-8"),
        ("201 Created", "\u{1}\u{2}", "application/octet-stream"),
        ("302 Found", "%PDF-1", "application/pdf"),
        ("404 Not Found", "plain", "application/json"),
        ("500 Oops", "<html>", "application/json"),
    ] {
        for (app, id) in [
            (&mesh.callee_app, mesh.callee.app_id()),
            (&mesh.caller_app, mesh.caller.app_id()),
        ] {
            app.answer_once(Script::answer(status, &[], body));
            let rsp = mesh
                .caller
                .call("GET", &invoke(id, "x"), &[], b"")
                .await
                .unwrap();
            assert_eq!(rsp.text(), body);
            assert_eq!(
                rsp.headers.all("content-type"),
                [kind],
                "{id} {status} {body}"
            );
        }
    }
}

#[tokio::test]
async fn every_answer_but_health_carries_a_trace_parent() {
    let mesh = mesh().await;
    let rsp = mesh.call("GET", "x", &[], b"").await.unwrap();
    let trace = rsp.headers.get("traceparent").unwrap();
    assert_eq!((trace.len(), &trace[..3]), (55, "00-"), "{trace}");
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let rsp = mesh
        .call("GET", "x", &[("traceparent", sent)], b"")
        .await
        .unwrap();
    assert_eq!(rsp.headers.all("traceparent"), [sent]);
    let rsp = mesh
        .caller
        .call("GET", "/v1.0/healthz", &[], b"")
        .await
        .unwrap();
    assert!(!rsp.headers.has("traceparent"));
}

#[tokio::test]
async fn trailers_are_dropped_both_ways() {
    let mesh = mesh().await;
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        app.answer_once(Script::new().send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n\
             3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
        ));
        let mut client = mesh.caller.connect().await.unwrap();
        client
            .send(format!(
                "POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n\
                 2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",
                invoke(id, "x")
            ))
            .await
            .unwrap();
        let rsp = client.read_response().await.unwrap();
        assert_eq!((rsp.text().as_str(), rsp.complete), ("abc", true));
        assert!(rsp.trailers.is_empty() && !rsp.headers.has("trailer"));
        let req = crate::support::taken(app).await;
        assert_eq!((&req.body[..], req.chunked), (&b"hi"[..], true));
        assert!(req.trailers.is_empty() && !req.headers.has("x-t"));
    }
}

#[tokio::test]
async fn a_large_header_block_of_the_app_passes_and_a_bomb_fails_that_call_only() {
    let mesh = mesh().await;
    let cookie = format!("a={}", "x".repeat(8000));
    let bomb = "x".repeat(2 << 20);
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        let target = invoke(id, "x");
        app.answer_once(Script::answer("200 OK", &[("Set-Cookie", &cookie)], "ok"));
        let rsp = mesh.caller.call("GET", &target, &[], b"").await.unwrap();
        assert_eq!(rsp.headers.all("set-cookie"), [&*cookie], "{id}");

        app.answer_once(Script::answer("200 OK", &[("X-Bomb", &bomb)], "ok"));
        let rsp = mesh.caller.call("GET", &target, &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 500, "{id}");
        assert!(
            rsp.text().contains("server response headers exceeded"),
            "{}",
            rsp.text()
        );
        let rsp = mesh.caller.call("GET", &target, &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 200, "{id}");
    }
}
