//! Verbs (contract `http-api.md` 5).

use outrider_testkit::{RawApp, Script};

use crate::support::{NO_TARGET, assert_error, failed, invoke, mesh, taken};

#[tokio::test]
async fn known_verbs_are_forwarded_and_unknown_ones_become_post() {
    let mesh = mesh().await;
    let mut client = mesh.caller.connect().await.unwrap();
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        for (sent, seen) in [
            ("GET", "GET"),
            ("HEAD", "HEAD"),
            ("POST", "POST"),
            ("PUT", "PUT"),
            ("DELETE", "DELETE"),
            ("PATCH", "PATCH"),
            ("OPTIONS", "OPTIONS"),
            ("TRACE", "TRACE"),
            ("get", "GET"),
            ("Patch", "PATCH"),
            ("PROPFIND", "POST"),
            ("FOO", "POST"),
        ] {
            for body in [&b""[..], b"payload"] {
                let rsp = client
                    .call(sent, &invoke(id, "v"), &[], body)
                    .await
                    .unwrap();
                assert_eq!(rsp.status(), 200, "{sent}: {}", rsp.text());
                let req = taken(app).await;
                assert_eq!((req.method(), &req.body[..]), (seen, body), "{id} {sent}");
                assert!(req.complete());
                if sent != "HEAD" {
                    assert_eq!(rsp.body, body, "{id} {sent}");
                }
            }
        }
    }
}

#[tokio::test]
async fn verbs_without_meaning_are_refused() {
    let mesh = mesh().await;
    let err = "rpc error: code = InvalidArgument desc = invalid HTTP verb";
    for id in [mesh.caller.app_id(), mesh.callee.app_id()] {
        for verb in ["NONE", "none", "CONNECT"] {
            let rsp = mesh
                .caller
                .call(verb, &invoke(id, "x"), &[], b"")
                .await
                .unwrap();
            assert_eq!(rsp.status(), 500, "{verb}");
            let (start, end) = failed(id, err).split_once("rpc").map(owned).unwrap();
            // A remote one may be wrapped once.
            assert!(rsp.text().starts_with(&start), "{verb}: {}", rsp.text());
            assert!(rsp.text().ends_with(&end), "{verb}: {}", rsp.text());
        }
    }
    // An authority has no path.
    let rsp = mesh
        .caller
        .call("CONNECT", "example.com:443", &[], b"")
        .await
        .unwrap();
    assert_error("CONNECT", &rsp, 404, NO_TARGET);
    assert!(mesh.callee_app.requests().await.is_empty());
    assert!(mesh.caller_app.requests().await.is_empty());
}

fn owned((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nX-A: 1\r\nContent-Length: 999\r\n\r\n";
    let chunked = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n";
    let app = RawApp::start(move |req| match req.target() {
        "/length" => Script::new().send(answer),
        _ => Script::new().send(chunked),
    })
    .await
    .unwrap();
    let mesh = outrider_testkit::Mesh::builder(crate::support::BIN)
        .callee_app(app)
        .start()
        .await
        .unwrap();
    for caller in [&mesh.caller, &mesh.callee] {
        let mut client = caller.connect().await.unwrap();
        for round in 0..2 {
            let rsp = client
                .call("HEAD", &mesh.target("length"), &[], b"")
                .await
                .unwrap();
            assert_eq!(rsp.status(), 200, "round {round}");
            assert_eq!(rsp.headers.get("x-a"), Some("1"));
            assert_eq!(rsp.headers.get("content-type"), Some("text/x"));
            let rsp = client
                .call("HEAD", &mesh.target("chunked"), &[], b"")
                .await
                .unwrap();
            assert_eq!(rsp.status(), 404);
        }
        // Nothing stood behind the heads: the connection is in step.
        let rsp = client.call("GET", "/v1.0/healthz", &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 204);
    }
    assert!(mesh.callee_app.connections() <= 3);
}
