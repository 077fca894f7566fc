//! The HTTP/1 server byte by byte (contract `http-api.md` 1, 8.1).

use outrider_testkit::{Ending, RawClient, Script, Sidecar};

use crate::support::{mesh, sidecar};

const HEALTHZ: &str = "GET /v1.0/healthz HTTP/1.1\r\nHost: x\r\n\r\n";

async fn whole_answer(sidecar: &Sidecar, bytes: impl AsRef<[u8]>) -> (String, Ending) {
    let mut client = sidecar.connect().await.unwrap();
    client.send(bytes).await.unwrap();
    let (answer, ending) = client.read_to_end().await;
    (String::from_utf8_lossy(&answer).into_owned(), ending)
}

async fn assert_healthy(client: &mut RawClient) {
    client.send(HEALTHZ).await.unwrap();
    assert_eq!(client.read_response().await.unwrap().status(), 204);
}

#[tokio::test]
async fn bad_requests_are_refused_and_the_connection_closed() {
    let sidecar = sidecar().start().await.unwrap();
    let bad = "400 Bad Request";
    for (bytes, status, body) in [
        ("nonsense\r\n\r\n", "400 Bad Request", bad),
        ("GET /\r\n\r\n", "400 Bad Request", bad),
        ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request", bad),
        (
            "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
            "400 Bad Request",
            bad,
        ),
        (
            "GET /a%2 HTTP/1.1\r\nHost: x\r\n\r\n",
            "400 Bad Request",
            bad,
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
            "400 Bad Request",
            bad,
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
            "400 Bad Request",
            bad,
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
            "400 Bad Request: invalid header name",
            "400 Bad Request: invalid header name",
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
            "400 Bad Request",
            bad,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            "400 Bad Request",
            bad,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
            "400 Bad Request",
            bad,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "400 Bad Request",
            bad,
        ),
        (
            "GET / HTTP/1.1\r\n\r\n",
            "400 Bad Request: missing required Host header",
            "400 Bad Request: missing required Host header",
        ),
    ] {
        let (answer, ending) = whole_answer(&sidecar, bytes).await;
        let expected = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n{body}"
        );
        let (head, text) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let (want_head, want_text) = expected.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            head.lines().next(),
            want_head.lines().next(),
            "{bytes:?}: {answer}"
        );
        assert_eq!(text, want_text, "{bytes:?}");
        for line in want_head.lines() {
            assert!(
                head.lines().any(|l| l == line),
                "{bytes:?}: {line} in {head}"
            );
        }
        assert_eq!(ending, Ending::Eof, "{bytes:?}");
    }
    assert_healthy(&mut sidecar.connect().await.unwrap()).await;
}

#[tokio::test]
async fn unknown_codings_and_versions_are_refused() {
    let sidecar = sidecar().start().await.unwrap();
    for (bytes, status) in [
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
        ),
        ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
        ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    ] {
        let (answer, ending) = whole_answer(&sidecar, bytes).await;
        let line = answer.lines().next().unwrap_or_default();
        assert!(
            line.starts_with(&format!("HTTP/1.1 {status} ")),
            "{bytes:?}: {line}"
        );
        assert_eq!(ending, Ending::Eof, "{bytes:?}");
    }
}

/// A head of exactly `len` bytes.
fn head_of(len: usize) -> String {
    let start = "GET /v1.0/healthz HTTP/1.1\r\nHost: x\r\nX-Pad: ";
    let pad = len - start.len() - 4;
    format!("{start}{}\r\n\r\n", "p".repeat(pad))
}

#[tokio::test]
async fn a_head_of_exactly_the_limit_passes_and_one_byte_more_is_431() {
    for (flag, limit) in [
        (None, 4096 + 4096),
        (Some("--read-buffer-size=1Ki"), 1024 + 4096),
        (Some("--read-buffer-size=64Ki"), 65536 + 4096),
    ] {
        let builder = flag
            .into_iter()
            .fold(sidecar(), |builder, flag| builder.flag(flag));
        let sidecar = builder.start().await.unwrap();
        let mut client = sidecar.connect().await.unwrap();
        for _ in 0..2 {
            client.send(head_of(limit)).await.unwrap();
            assert_eq!(
                client.read_response().await.unwrap().status(),
                204,
                "{flag:?}"
            );
        }
        let (answer, _) = whole_answer(&sidecar, head_of(limit + 1)).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        assert_eq!(
            lines.next(),
            Some("HTTP/1.1 431 Request Header Fields Too Large")
        );
        assert!(head.contains("Content-Type: text/plain; charset=utf-8"));
        assert!(head.contains("Connection: close"));
        assert_eq!(body, "431 Request Header Fields Too Large");
    }
}

#[tokio::test]
async fn a_header_bomb_is_431_and_costs_no_memory() {
    let sidecar = sidecar().start().await.unwrap();
    assert_healthy(&mut sidecar.connect().await.unwrap()).await;
    let before = sidecar.resident().unwrap();
    for line in [
        "X-A: y\r\n".to_owned(),
        format!("X: {}", "z".repeat(60_000)),
    ] {
        let mut client = sidecar.connect().await.unwrap();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        let mut sent = 0;
        // It stops reading us long before this.
        while sent < 8 << 20 && client.send(line.repeat(10)).await.is_ok() {
            sent += line.len() * 10;
        }
        // The answer may be lost in the reset, never delayed.
        if let Ok(rsp) = client.read_response().await {
            assert_eq!(rsp.status(), 431);
        }
    }
    assert_healthy(&mut sidecar.connect().await.unwrap()).await;
    let grown = sidecar.resident().unwrap().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown}");
}

#[tokio::test]
async fn a_request_with_length_and_chunks_is_answered_and_the_connection_closed() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        let target = mesh.target("x");
        let smuggled = "POST /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
        for fields in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 300\r\n",
        ] {
            let bytes = format!(
                "POST {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n{smuggled}"
            );
            let (answer, ending) = whole_answer(caller, bytes).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert_eq!(
                answer.matches("HTTP/1.1").count(),
                1,
                "one answer: {answer}"
            );
            assert!(answer.contains("hello") && answer.contains("Connection: close"));
            assert_eq!(ending, Ending::Eof);
            let req = crate::support::taken(&mesh.callee_app).await;
            assert_eq!((&req.body[..], req.chunked), (&b"hello"[..], true));
            assert!(!req.headers.has("content-length"));
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_chunked_coding_is_refused_and_the_connection_closed() {
    let mesh = mesh().await;
    for body in [
        "zz\r\nabc\r\n",
        "3\r\nabcde\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "fffffffffffffffff\r\n",
    ] {
        let target = mesh.target("x");
        let head = "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let bytes = format!("POST {target} HTTP/1.1\r\n{head}{body}");
        let (answer, _) = whole_answer(&mesh.caller, bytes).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(!first.contains(" 200 "), "{body:?}: {answer}");
        assert!(
            answer.matches("HTTP/1.1").count() <= 1,
            "{body:?}: {answer}"
        );
    }
    let whole = mesh
        .callee_app
        .requests()
        .await
        .into_iter()
        .filter(|r| r.complete());
    assert_eq!(whole.count(), 0);
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it_when_the_body_is_read() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        let mut client = caller.connect().await.unwrap();
        for round in 0..2 {
            let target = mesh.target("x");
            let head = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
            client
                .send(format!("POST {target} HTTP/1.1\r\n{head}"))
                .await
                .unwrap();
            let rsp = client.read_response().await.unwrap();
            assert_eq!(rsp.status_line, "HTTP/1.1 100 Continue", "round {round}");
            client.send("body").await.unwrap();
            let rsp = client.read_response().await.unwrap();
            assert_eq!((rsp.status(), rsp.text().as_str()), (200, "body"));
        }
    }
    // Where nobody reads the body, nobody asks for it.
    let mut client = mesh.caller.connect().await.unwrap();
    let head = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client
        .send(format!("POST /nothing HTTP/1.1\r\n{head}"))
        .await
        .unwrap();
    assert_eq!(client.read_response().await.unwrap().status(), 404);
}

#[tokio::test]
async fn any_other_expectation_is_417() {
    let mesh = mesh().await;
    let head = "Host: x\r\nExpect: coffee\r\nContent-Length: 0\r\n\r\n";
    let target = mesh.target("x");
    let (answer, ending) =
        whole_answer(&mesh.caller, format!("POST {target} HTTP/1.1\r\n{head}")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 417 Expectation Failed\r\n"),
        "{head}"
    );
    assert!(head.contains("Connection: close"), "{head}");
    assert_eq!((body, ending), ("", Ending::Eof));
    assert!(mesh.callee_app.requests().await.is_empty());
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let mesh = mesh().await;
    let mut client = mesh.caller.connect().await.unwrap();
    let mut bytes = String::new();
    for i in 0..20 {
        let target = mesh.target(&i.to_string());
        let body = format!("body {i}");
        match i % 2 {
            0 => {
                bytes += &format!(
                    "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            _ => {
                bytes += &format!(
                    "POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                    body.len()
                )
            }
        }
        // An empty line too many between requests is tolerated.
        bytes += if i % 3 == 0 { "\r\n" } else { "" };
    }
    client.send(bytes).await.unwrap();
    for i in 0..20 {
        let rsp = client.read_response().await.unwrap();
        assert_eq!((rsp.status(), rsp.text()), (200, format!("body {i}")));
    }
    let paths: Vec<_> = mesh.callee_app.requests().await;
    let paths: Vec<_> = paths.iter().map(|req| req.target().to_owned()).collect();
    let expected: Vec<_> = (0..20).map(|i| format!("/{i}")).collect();
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn connections_are_kept_as_the_version_and_the_client_say() {
    let sidecar = sidecar().start().await.unwrap();
    for (version, fields, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: X-A, CLOSE\r\n", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: close\r\n", false),
    ] {
        let mut client = sidecar.connect().await.unwrap();
        let head = format!("GET /v1.0/healthz HTTP/{version}\r\nHost: x\r\n{fields}\r\n");
        client.send(head).await.unwrap();
        let rsp = client.read_response().await.unwrap();
        assert_eq!(rsp.status(), 204, "{version} {fields}");
        if kept {
            let said = rsp.headers.get("connection");
            let expected = (version == "1.0").then_some("keep-alive");
            assert_eq!(said, expected, "{version} {fields}");
            assert_healthy(&mut client).await;
        } else {
            assert_eq!(client.read_to_end().await.0, b"", "{version} {fields}");
        }
    }
}

#[tokio::test]
async fn an_http10_client_gets_the_body_raw_until_the_close() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        let script = Script::new().send(
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        );
        mesh.callee_app.answer_once(script);
        let target = mesh.target("x");
        let (answer, ending) = whole_answer(caller, format!("GET {target} HTTP/1.0\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1."), "{answer}");
        assert!(answer.ends_with("\r\n\r\nabcde"), "{answer}");
        assert!(
            !answer.to_lowercase().contains("transfer-encoding"),
            "{answer}"
        );
        assert_eq!(ending, Ending::Eof);
    }
}

#[tokio::test]
async fn options_of_the_server_itself_are_empty() {
    let sidecar = sidecar().start().await.unwrap();
    let mut client = sidecar.connect().await.unwrap();
    let rsp = client.call("OPTIONS", "*", &[], b"").await.unwrap();
    assert_eq!((rsp.status(), rsp.body_len), (200, 0));
    assert_eq!(rsp.headers.get("content-length"), Some("0"));
    assert_healthy(&mut client).await;
}

#[tokio::test]
async fn a_request_cut_in_pieces_is_put_together() {
    let mesh = mesh().await;
    let mut client = mesh.caller.connect().await.unwrap();
    let target = mesh.target("x");
    let bytes = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    for byte in bytes.as_bytes() {
        client.send([*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(client.read_response().await.unwrap().text(), "body");
}

#[tokio::test]
async fn an_unread_body_does_not_spoil_the_next_request() {
    let sidecar = sidecar().start().await.unwrap();
    let mut client = sidecar.connect().await.unwrap();
    // Nobody reads the body of what names no app.
    let rsp = client
        .call("POST", "/nothing", &[], &[b'x'; 50_000])
        .await
        .unwrap();
    assert_eq!(rsp.status(), 404);
    assert_healthy(&mut client).await;
    let body = "6\r\nunread\r\n0\r\n\r\n";
    let head = "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}{body}")).await.unwrap();
    assert_eq!(client.read_response().await.unwrap().status(), 404);
    assert_healthy(&mut client).await;
}
