//! Bodies whole: framing on both legs, sizes, limits (contract `http-api.md` 8.1, 8.3).

use outrider_testkit::{Mesh, RawClient, RawResponse, Script, request};

use crate::support::{BIN, failed, invoke, mesh, taken};

/// A request in chunked coding, in pieces of `piece` bytes.
fn chunked(target: &str, body: &[u8], piece: usize) -> Vec<u8> {
    let mut bytes =
        format!("POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            .into_bytes();
    for piece in body.chunks(piece.max(1)) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Bytes that tell their place, so that mixed up pieces are noticed.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

async fn exchange(port: u16, bytes: Vec<u8>) -> RawResponse {
    let mut client = RawClient::connect(port).await.unwrap();
    // A refusal may come, and close, while we are still sending.
    let _ = client.send(bytes).await;
    client.read_response().await.unwrap()
}

#[tokio::test]
async fn bodies_of_every_size_arrive_as_they_were() {
    let mesh = Mesh::builder(BIN)
        .caller(|caller| caller.flag("--max-body-size=5Mi"))
        .callee(|callee| callee.flag("--max-body-size=64Ki"))
        .start()
        .await
        .unwrap();
    let port = mesh.caller.ports().http;
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        let target = invoke(id, "x");
        for size in [
            0,
            1,
            2047,
            2048,
            2049,
            16 << 10,
            65_535,
            65_536,
            70_001,
            1 << 20,
            5 << 20,
        ] {
            let body = pattern(size);
            for by_length in [true, false] {
                let case = format!("{id} {size} by length: {by_length}");
                let bytes = match by_length {
                    true => request("POST", &target, &[], &body),
                    false => chunked(&target, &body, 10_000),
                };
                let rsp = exchange(port, bytes).await;
                assert_eq!(rsp.status(), 200, "{case}: {}", rsp.text());
                assert!(rsp.complete, "{case}");
                assert!(rsp.body == body, "{case}: answer differs");
                let req = taken(app).await;
                assert!(req.body == body, "{case}: request differs");
                if size > 0 {
                    assert_eq!(req.chunked, !by_length, "{case}");
                    let length = size.to_string();
                    let declared = req.headers.get("content-length");
                    assert_eq!(declared, by_length.then_some(&*length), "{case}");
                }
                // An answer with a body is chunked, one without says so.
                assert_eq!(rsp.chunked, size > 0, "{case}");
                let declared = rsp.headers.get("content-length");
                assert_eq!(declared, (size == 0).then_some("0"), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_without_a_body_says_nothing_or_zero() {
    let mesh = mesh().await;
    let mut client = mesh.caller.connect().await.unwrap();
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        for verb in ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"] {
            for headers in [&[][..], &[("Content-Length", "0")]] {
                client
                    .call(verb, &invoke(id, "x"), headers, b"")
                    .await
                    .unwrap();
                let req = taken(app).await;
                assert!(!req.chunked && req.body.is_empty(), "{verb}");
                let length = req.headers.get("content-length");
                let has_body_by_nature = matches!(verb, "POST" | "PUT" | "PATCH");
                let expected = has_body_by_nature.then_some("0");
                assert!(
                    length == expected || length == Some("0"),
                    "{verb} {length:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn errors_of_the_app_are_sent_with_their_length() {
    let mesh = mesh().await;
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        let app_error = Script::new().send(
            "HTTP/1.1 503 Down\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        );
        app.answer_once(app_error.clone());
        let port = mesh.caller.ports().http;
        let target = invoke(id, "x");
        let rsp = exchange(port, request("POST", &target, &[], b"x")).await;
        assert_eq!((rsp.status(), &rsp.body[..]), (503, &b"abcde"[..]), "{id}");
        assert_eq!(rsp.headers.get("content-length"), Some("5"));
        // A request of unknown length gets it as it comes.
        app.answer_once(app_error);
        let rsp = exchange(port, chunked(&target, b"x", 1)).await;
        assert_eq!((rsp.status(), &rsp.body[..]), (503, &b"abcde"[..]), "{id}");
        assert!(rsp.chunked && rsp.complete, "{id}");
    }
}

const LIMIT: usize = 64 << 10;

async fn limited() -> Mesh {
    let limit = |sidecar: outrider_testkit::SidecarBuilder| sidecar.flag("--max-body-size=64Ki");
    let mesh = Mesh::builder(BIN).caller(limit).callee(limit);
    mesh.start().await.unwrap()
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_passes() {
    let mesh = limited().await;
    let body = pattern(LIMIT);
    for id in [mesh.callee.app_id(), mesh.caller.app_id()] {
        let target = invoke(id, "x");
        for bytes in [
            request("POST", &target, &[], &body),
            chunked(&target, &body, 999),
        ] {
            let rsp = exchange(mesh.caller.ports().http, bytes).await;
            assert_eq!(rsp.status(), 200, "{id}: {}", rsp.text());
            assert!(rsp.body == body, "{id}");
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let mesh = limited().await;
    let app = mesh.caller_app.addr();
    let remote = failed(mesh.callee.app_id(), "stream too large");
    let err = format!(r#"Post "http://{app}/x": stream too large"#);
    let own = failed(mesh.caller.app_id(), &err);
    for (id, text) in [(mesh.callee.app_id(), remote), (mesh.caller.app_id(), own)] {
        let target = invoke(id, "x");
        for over in [1, 2, 3 * LIMIT] {
            let body = pattern(LIMIT + over);
            for (how, bytes) in [
                ("length", request("POST", &target, &[], &body)),
                ("chunked", chunked(&target, &body, 1000)),
            ] {
                let rsp = exchange(mesh.caller.ports().http, bytes).await;
                assert_eq!(rsp.text(), text, "{id} +{over} {how}");
                assert_eq!(rsp.status(), 500, "{id} +{over} {how}");
                assert_eq!(rsp.headers.get("connection"), Some("close"), "{id} {how}");
            }
        }
    }
    for app in [&mesh.callee_app, &mesh.caller_app] {
        let whole = app.requests().await.into_iter().filter(|r| r.complete());
        assert_eq!(whole.count(), 0, "no app took one of them for whole");
    }
}

#[tokio::test]
async fn zero_takes_the_limit_away_for_the_own_app() {
    let mesh = Mesh::builder(BIN)
        .caller(|caller| caller.flag("--max-body-size=0"))
        .start()
        .await
        .unwrap();
    let body = pattern(6 << 20);
    let target = invoke(mesh.caller.app_id(), "x");
    let rsp = exchange(
        mesh.caller.ports().http,
        request("POST", &target, &[], &body),
    )
    .await;
    assert_eq!(rsp.status(), 200, "{}", rsp.text());
    assert!(rsp.body == body);
}

#[tokio::test]
async fn a_large_answer_passes_whatever_the_limit() {
    let mesh = limited().await;
    let body = pattern(2 << 20);
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        app.answer_once(Script::answer("200 OK", &[], &body));
        let rsp = exchange(
            mesh.caller.ports().http,
            request("GET", &invoke(id, "x"), &[], b""),
        )
        .await;
        assert!(rsp.body == body && rsp.complete, "{id}");
        app.answer_once(Script::answer("500 Oops", &[], &body));
        let rsp = exchange(
            mesh.caller.ports().http,
            request("GET", &invoke(id, "x"), &[], b""),
        )
        .await;
        assert_eq!(rsp.status(), 500);
        assert!(rsp.body == body && rsp.complete, "{id}");
    }
}

#[tokio::test]
async fn a_metadata_value_over_the_limit_is_refused_too() {
    let mesh = limited().await;
    for (size, status) in [(LIMIT, 204), (LIMIT + 1, 400)] {
        let post = chunked("/v1.0/metadata/key", &pattern(size), 5000);
        let put = [&b"PUT"[..], &post[4..]].concat();
        let rsp = exchange(mesh.caller.ports().http, put).await;
        assert_eq!(rsp.status(), status, "{size}: {}", rsp.text());
        if status == 400 {
            assert_eq!(
                rsp.text(),
                r#"{"errorCode":"ERR_BODY_READ","message":"failed to read request body: stream too large"}"#
            );
        }
    }
}
