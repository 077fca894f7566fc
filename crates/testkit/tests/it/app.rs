//! Raw client against raw app.

use std::time::Duration;

use outrider_testkit::{Ending, Gate, RawApp, RawClient, Script};

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_request_is_recorded_as_it_stood_on_the_wire() {
    let app = RawApp::echo().await.unwrap();
    let mut client = RawClient::connect(app.port()).await.unwrap();
    let bytes = b"PoST /x?y HTTP/1.1\r\nhOsT: a\r\nX-b: 2\r\nX-A: 1\r\nX-b: 3\r\n\
        Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nX-T: z\r\n\r\n";
    client.send(bytes).await.unwrap();
    let rsp = client.read_response().await.unwrap();
    assert_eq!(
        (rsp.status(), rsp.text().as_str(), rsp.complete),
        (200, "abcd", true)
    );
    assert_eq!(rsp.headers.exact("Content-Length"), Some("4"));

    let req = app.last_request().await.unwrap();
    assert_eq!(
        (req.line.as_str(), req.method(), req.target()),
        ("PoST /x?y HTTP/1.1", "PoST", "/x?y")
    );
    assert_eq!(
        req.headers.names(),
        ["hOsT", "X-b", "X-A", "X-b", "Transfer-Encoding"]
    );
    assert_eq!(
        (req.body.as_slice(), req.chunked),
        (b"abcd".as_slice(), true)
    );
    assert_eq!(req.trailers.get("x-t"), Some("z"));
    assert_eq!(req.raw, bytes);
    assert!(req.complete());
}

#[tokio::test]
async fn connections_are_numbered_and_kept() {
    let app = RawApp::echo().await.unwrap();
    let mut first = RawClient::connect(app.port()).await.unwrap();
    first.call("GET", "/1", &[], b"").await.unwrap();
    first.call("POST", "/2", &[], b"x").await.unwrap();
    let mut second = RawClient::connect(app.port()).await.unwrap();
    second.call("HEAD", "/3", &[], b"").await.unwrap();
    let requests = app.wait_requests(3).await.unwrap();
    assert_eq!(
        requests.iter().map(|r| r.connection).collect::<Vec<_>>(),
        [0, 0, 1]
    );
    assert_eq!(app.connections(), 2);
    drop(second);
    app.wait_closed(1).await.unwrap();
}

#[tokio::test]
async fn what_sidecars_ask_on_their_own_is_not_recorded() {
    let app = RawApp::echo().await.unwrap();
    let mut client = RawClient::connect(app.port()).await.unwrap();
    for path in ["/dapr/config", "/healthz"] {
        assert_eq!(
            client.call("GET", path, &[], b"").await.unwrap().status(),
            404
        );
    }
    assert_eq!(
        client
            .call("POST", "/healthz", &[], b"x")
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(app.requests().await.len(), 1);

    let app = RawApp::builder()
        .serve_internal()
        .start(|_| ok("mine"))
        .await
        .unwrap();
    let mut client = RawClient::connect(app.port()).await.unwrap();
    assert_eq!(
        client
            .call("GET", "/dapr/config", &[], b"")
            .await
            .unwrap()
            .text(),
        "mine"
    );
    assert_eq!(app.requests().await.len(), 1);
}

#[tokio::test]
async fn a_gate_holds_the_answer_until_it_is_opened() {
    let gate = Gate::new();
    let app = RawApp::echo().await.unwrap();
    app.answer_once(
        Script::new()
            .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .chunk("first")
            .wait(&gate)
            .chunk("second")
            .chunk(""),
    );
    let mut client = RawClient::connect(app.port()).await.unwrap();
    client.send("GET / HTTP/1.1\r\n\r\n").await.unwrap();
    client.read_head().await.unwrap();
    assert_eq!(client.read_chunk().await.unwrap(), b"first");
    gate.reached().await.unwrap();
    assert!(!client.closed_within(SHORT).await);
    gate.open();
    assert_eq!(client.read_chunk().await.unwrap(), b"second");
    assert!(client.read_chunk().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_app_at_the_head_answers_before_the_body_is_there() {
    let gate = Gate::new();
    let script = Script::new()
        .read_some(4)
        .wait(&gate)
        .send("HTTP/1.1 200 OK\r\n")
        .read_body();
    let script = script.send("Content-Length: 0\r\n\r\n");
    let app = RawApp::builder()
        .answer_at_head()
        .start(move |_| script.clone())
        .await
        .unwrap();
    let mut client = RawClient::connect(app.port()).await.unwrap();
    client
        .send("POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\nabcd")
        .await
        .unwrap();
    gate.reached().await.unwrap();
    assert_eq!(app.requests().await[0].ending, None);
    gate.open();
    assert_eq!(
        client.read_at_least(17).await.unwrap(),
        b"HTTP/1.1 200 OK\r\n"
    );
    client.send("efgh").await.unwrap();
    client.read_at_least(21).await.unwrap();
    let req = app.last_request().await.unwrap();
    assert_eq!(
        (req.body.as_slice(), req.complete()),
        (b"abcdefgh".as_slice(), true)
    );
}

#[tokio::test]
async fn ends_of_connections_are_told_apart() {
    let app = RawApp::echo().await.unwrap();
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    for (script, ending) in [
        (Script::new().send(half).close(), Ending::Eof),
        (Script::new().send(half).half_close().hang(), Ending::Eof),
        (Script::new().send(half).hang(), Ending::TimedOut),
        (Script::answer("200 OK", &[], "whole"), Ending::Framing),
    ] {
        app.answer_once(script);
        let mut client = RawClient::connect(app.port()).await.unwrap().limit(SHORT);
        let rsp = client.call("GET", "/", &[], b"").await.unwrap();
        assert_eq!(
            (rsp.ending, rsp.complete),
            (ending, ending == Ending::Framing)
        );
    }
    // A reset may overtake the bytes before it, so it stands behind a gate.
    let gate = Gate::new();
    app.answer_once(Script::new().send(half).wait(&gate).reset());
    let mut client = RawClient::connect(app.port()).await.unwrap();
    client.send("GET / HTTP/1.1\r\n\r\n").await.unwrap();
    client.read_head().await.unwrap();
    client.read_at_least(4).await.unwrap();
    gate.open();
    assert_eq!(client.read_to_end().await.1, Ending::Reset);
}

#[tokio::test]
async fn a_client_that_leaves_midway_is_on_record() {
    let app = RawApp::echo().await.unwrap();
    let head = "POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\nabc";
    let mut client = RawClient::connect(app.port()).await.unwrap();
    client.send(head).await.unwrap();
    client.half_close().await.unwrap();
    let req = app.last_request().await.unwrap();
    assert_eq!(
        (req.ending, req.body.as_slice()),
        (Some(Ending::Eof), b"abc".as_slice())
    );

    let gate = Gate::new();
    app.answer_once(Script::new().wait(&gate).hang());
    let mut client = RawClient::connect(app.port()).await.unwrap();
    client.send("GET / HTTP/1.1\r\n\r\n").await.unwrap();
    gate.reached().await.unwrap();
    client.reset().unwrap();
    app.wait_closed(1).await.unwrap();
}

#[tokio::test]
async fn a_client_that_waits_for_leave_gets_it() {
    let app = RawApp::echo().await.unwrap();
    let mut client = RawClient::connect(app.port()).await.unwrap();
    client
        .send("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(client.read_response().await.unwrap().status(), 100);
    client.send("ok").await.unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "ok");
}

#[tokio::test]
async fn a_stopped_app_frees_its_port_for_another() {
    let app = RawApp::echo().await.unwrap();
    let port = app.port();
    let mut client = RawClient::connect(port).await.unwrap();
    client.call("GET", "/", &[], b"").await.unwrap();
    app.stop().await;
    assert!(client.closed_within(Duration::from_secs(5)).await);
    assert!(RawClient::connect(port).await.is_err());
    let again = RawApp::builder()
        .port(port)
        .start(|_| ok("again"))
        .await
        .unwrap();
    let mut client = RawClient::connect(again.port()).await.unwrap();
    assert_eq!(
        client.call("GET", "/", &[], b"").await.unwrap().text(),
        "again"
    );
}

#[tokio::test]
async fn long_bodies_are_counted_and_not_all_kept() {
    let piece = vec![b'x'; 1 << 20];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 40 << 20);
    let app = RawApp::echo().await.unwrap();
    app.answer_once(Script::new().send(head).repeat(piece, 40));
    let mut client = RawClient::connect(app.port()).await.unwrap();
    let rsp = client.call("GET", "/", &[], b"").await.unwrap();
    assert_eq!(
        (rsp.body_len, rsp.body.len(), rsp.complete),
        (40 << 20, 32 << 20, true)
    );
}

fn ok(body: &str) -> Script {
    Script::answer("200 OK", &[], body)
}
