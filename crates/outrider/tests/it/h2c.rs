//! HTTP/2 without TLS on the API port (contract `http-api.md` 1).

use std::future::poll_fn;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use outrider_testkit::{Mesh, RawClient, Script};
use tokio::net::TcpStream;

use crate::support::{BIN, mesh, sidecar, taken};

async fn connect(port: u16) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    send.ready().await.unwrap()
}

fn request(method: &str, target: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://localhost{target}"))
}

async fn send(
    h2: &mut SendRequest<Bytes>,
    req: http::request::Builder,
    body: Option<&[u8]>,
) -> Response<RecvStream> {
    let req = req.body(()).unwrap();
    let (response, mut stream) = h2.send_request(req, body.is_none()).unwrap();
    if let Some(body) = body {
        stream.reserve_capacity(body.len());
        stream
            .send_data(Bytes::copy_from_slice(body), true)
            .unwrap();
    }
    response.await.unwrap()
}

async fn read(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut out = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        out.extend_from_slice(&data);
    }
    Ok(out)
}

#[tokio::test]
async fn calls_are_made_by_prior_knowledge() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        let mut h2 = connect(caller.ports().http).await;
        let rsp = send(&mut h2, request("GET", "/v1.0/healthz"), None).await;
        assert_eq!(rsp.status(), 204);
        assert!(rsp.headers().get("content-length").is_none());

        let req = request("POST", &mesh.target("a%20b?q=1"))
            .header("x-a", "1")
            .header("content-type", "text/x")
            .header("content-length", "4");
        let rsp = send(&mut h2, req, Some(b"body")).await;
        assert_eq!(rsp.status(), 200);
        assert_eq!(rsp.headers()["content-type"], "text/x");
        for name in ["connection", "transfer-encoding", "keep-alive"] {
            assert!(rsp.headers().get(name).is_none(), "{name}");
        }
        assert_eq!(read(rsp.into_body()).await.unwrap(), b"body");
        let seen = taken(&mesh.callee_app).await;
        assert_eq!(seen.line, "POST /a%20b?q=1 HTTP/1.1");
        assert_eq!(seen.headers.exact("X-A"), Some("1"));
        assert_eq!(seen.headers.all("content-length"), ["4"]);

        // A body without a length is a stream.
        let rsp = send(&mut h2, request("POST", &mesh.target("x")), Some(b"body")).await;
        assert_eq!(read(rsp.into_body()).await.unwrap(), b"body");
        let seen = taken(&mesh.callee_app).await;
        assert_eq!((seen.chunked, &seen.body[..]), (true, &b"body"[..]));

        let rsp = send(&mut h2, request("GET", "/nothing"), None).await;
        assert_eq!(rsp.status(), 404);
        let rsp = send(&mut h2, request("HEAD", &mesh.target("x")), None).await;
        assert_eq!(rsp.status(), 200);
        assert!(rsp.into_body().is_end_stream());
        taken(&mesh.callee_app).await;
    }
}

#[tokio::test]
async fn streams_of_one_connection_do_not_wait_for_each_other() {
    let mesh = mesh().await;
    let mut h2 = connect(mesh.caller.ports().http).await;
    let gate = outrider_testkit::Gate::new();
    let held = Script::new().wait(&gate);
    mesh.callee_app
        .answer_once(held.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld"));
    let req = request("GET", &mesh.target("held")).body(()).unwrap();
    let (held, _) = h2.send_request(req, true).unwrap();
    gate.reached().await.unwrap();
    let mut running = Vec::new();
    for i in 0..50 {
        let body = format!("body {i}").into_bytes();
        let mut h2 = h2.clone().ready().await.unwrap();
        let target = mesh.target("x");
        running.push(tokio::spawn(async move {
            let rsp = send(&mut h2, request("POST", &target), Some(&body)).await;
            assert_eq!(read(rsp.into_body()).await.unwrap(), body);
        }));
    }
    for call in running {
        call.await.unwrap();
    }
    gate.open();
    assert_eq!(
        read(held.await.unwrap().into_body()).await.unwrap(),
        b"held"
    );
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let mesh = mesh().await;
    let body = vec![b'l'; 3 << 20];
    let mut h2 = connect(mesh.caller.ports().http).await;
    let rsp = send(&mut h2, request("POST", &mesh.target("x")), Some(&body)).await;
    assert!(read(rsp.into_body()).await.unwrap() == body);
    let rsp = send(
        &mut h2,
        request("POST", &mesh.target("x")),
        Some(&vec![b'l'; 5 << 20]),
    )
    .await;
    assert_eq!(rsp.status(), 500, "over the limit of 4 MiB");
}

#[tokio::test]
async fn a_reset_cancels_the_call_and_a_broken_answer_is_a_reset() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        let mut h2 = connect(caller.ports().http).await;
        mesh.callee_app.clear();
        mesh.callee_app.answer_once(Script::new().hang());
        let req = request("GET", &mesh.target("x")).body(()).unwrap();
        let (response, mut stream) = h2.send_request(req, true).unwrap();
        let seen = mesh.callee_app.last_request().await.unwrap();
        stream.send_reset(Reason::CANCEL);
        mesh.callee_app.wait_closed(seen.connection).await.unwrap();
        drop(response);

        let head = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n";
        mesh.callee_app
            .answer_once(Script::new().send(head).chunk("part").close());
        let req = request("GET", &mesh.target("x")).body(()).unwrap();
        let (response, _) = h2.send_request(req, true).unwrap();
        if let Ok(rsp) = response.await {
            assert!(rsp.status() == 500 || read(rsp.into_body()).await.is_err());
        }
        let rsp = send(&mut h2, request("GET", "/v1.0/healthz"), None).await;
        assert_eq!(rsp.status(), 204, "the connection lives on");
    }
}

/// Type, flags, stream and payload of the next frame.
async fn frame(client: &mut RawClient, buf: &mut Vec<u8>) -> (u8, u8, u32, Vec<u8>) {
    while buf.len() < 9 {
        buf.extend(client.read_at_least(1).await.unwrap());
    }
    let len = usize::from(buf[0]) << 16 | usize::from(buf[1]) << 8 | usize::from(buf[2]);
    while buf.len() < 9 + len {
        buf.extend(client.read_at_least(1).await.unwrap());
    }
    let rest = buf.split_off(9 + len);
    let all = std::mem::replace(buf, rest);
    let stream = u32::from_be_bytes([all[5], all[6], all[7], all[8]]);
    (all[3], all[4], stream, all[9..].to_vec())
}

const UPGRADE: &str = "Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";

#[tokio::test]
async fn an_http1_request_can_go_on_in_http2() {
    let mesh = mesh().await;
    let mut client = mesh.caller.connect().await.unwrap();
    let target = mesh.target("up");
    client
        .send(format!("GET {target} HTTP/1.1\r\n{UPGRADE}"))
        .await
        .unwrap();
    let (status, headers) = client.read_head().await.unwrap();
    assert_eq!(status, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(headers.get("connection"), Some("Upgrade"));
    assert_eq!(headers.get("upgrade"), Some("h2c"));
    client
        .send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut buf = Vec::new();
    let (kind, flags, ..) = frame(&mut client, &mut buf).await;
    assert_eq!((kind, flags), (4, 0), "settings come first");
    // The answer to the first request is that of stream 1.
    let head = loop {
        let (kind, _, stream, payload) = frame(&mut client, &mut buf).await;
        if kind == 1 {
            assert_eq!(stream, 1);
            break payload;
        }
    };
    assert_eq!(head[0], 0x88, ":status 200 of the static table");
    assert_eq!(taken(&mesh.callee_app).await.target(), "/up");
}

#[tokio::test]
async fn http2_can_be_switched_off_and_is_not_on_the_public_port() {
    for value in ["true", " YES ", "1"] {
        let off = sidecar()
            .env("DAPR_HTTP_DISABLE_H2C", value)
            .start()
            .await
            .unwrap();
        let mut client = off.connect().await.unwrap();
        client
            .send(format!("GET /v1.0/healthz HTTP/1.1\r\n{UPGRADE}"))
            .await
            .unwrap();
        let rsp = client.read_response().await.unwrap();
        assert_eq!(rsp.status(), 204, "{value:?}: an upgrade may be ignored");
        assert_no_http2(off.ports().http).await;
    }
    let public = sidecar().public_port().start().await.unwrap();
    assert_no_http2(public.ports().public).await;
}

async fn assert_no_http2(port: u16) {
    let mut client = RawClient::connect(port).await.unwrap();
    client
        .send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0")
        .await
        .unwrap();
    let (bytes, _) = client.read_to_end().await;
    let http2 = bytes.len() >= 4 && bytes[3] == 4;
    assert!(!http2, "{bytes:?}");
}

#[tokio::test]
async fn the_token_is_demanded_here_too() {
    let mesh = Mesh::builder(BIN)
        .caller(|caller| caller.env("DAPR_API_TOKEN", "secret"))
        .start()
        .await
        .unwrap();
    let mut h2 = connect(mesh.caller.ports().http).await;
    let rsp = send(&mut h2, request("GET", &mesh.target("x")), None).await;
    assert_eq!(rsp.status(), 401);
    let req = request("GET", &mesh.target("x")).header("dapr-api-token", "secret");
    assert_eq!(send(&mut h2, req, None).await.status(), 200);
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        let mut h2 = connect(caller.ports().http).await;
        let req = request("POST", &mesh.target("x")).header("expect", "100-continue");
        let (mut response, mut stream) = h2.send_request(req.body(()).unwrap(), false).unwrap();
        let asked = poll_fn(|cx| response.poll_informational(cx)).await;
        assert_eq!(asked.unwrap().unwrap().status(), 100);
        stream.send_data(Bytes::from_static(b"body"), true).unwrap();
        let rsp = response.await.unwrap();
        assert_eq!(rsp.status(), 200);
        assert_eq!(read(rsp.into_body()).await.unwrap(), b"body");
        let seen = taken(&mesh.callee_app).await;
        assert!(seen.headers.all("expect").is_empty());
    }
}

#[tokio::test]
async fn crumbs_of_cookies_are_one_field() {
    let mesh = mesh().await;
    let mut h2 = connect(mesh.caller.ports().http).await;
    let req = request("GET", &mesh.target("x"))
        .header("cookie", "a=b")
        .header("cookie", "c=d");
    assert_eq!(send(&mut h2, req, None).await.status(), 200);
    let seen = taken(&mesh.callee_app).await;
    assert_eq!(seen.headers.all("cookie"), ["a=b; c=d"]);
}

#[tokio::test]
async fn an_app_that_switches_protocols_spoils_no_connection() {
    let mesh = mesh().await;
    let mut h2 = connect(mesh.caller.ports().http).await;
    mesh.callee_app.answer_once(
        Script::new()
            .send("HTTP/1.1 101 Switching Protocols\r\n\r\n")
            .close(),
    );
    let rsp = send(&mut h2, request("GET", &mesh.target("x")), None).await;
    assert_eq!(rsp.status(), 200);
    assert_eq!(read(rsp.into_body()).await.unwrap(), b"");
    let rsp = send(&mut h2, request("GET", &mesh.target("x")), None).await;
    assert_eq!(rsp.status(), 200);
}
