//! What goes wrong on either side: apps that break, peers that vanish, clients that leave
//! (contract `sidecar-protocol.md` 3.2, 7, 8).

use std::time::Duration;

use outrider_testkit::{Ending, Gate, RawApp, RawClient, Script, Signal, request};
use tokio::time::timeout;

use crate::pair::{BOTH, Pair, Way};

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nTransfer-Encoding: chunked\r\n\r\n";
const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 100\r\n\r\n";

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_app_that_is_gone_is_told_in_the_same_words() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        let (target, addr) = (pair.target("x"), pair.app.addr());
        // The rest of the pair stays: an announcement that is dropped is withdrawn.
        pair.app.stop().await;
        let rsp = pair.caller.call("POST", &target, &[], b"hi").await.unwrap();
        let err = format!(
            "rpc error: code = Internal desc = error invoking app channel: Post \
             \\\"http://{addr}/x\\\": dial tcp {addr}: connect: connection refused"
        );
        let body = format!(
            r#"{{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: {}, err: {err}"}}"#,
            pair.callee.app_id()
        );
        assert_eq!((rsp.status(), rsp.text()), (500, body), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_app_that_closes_without_an_answer_is_told_in_the_same_words() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        pair.app.handle(|_| Script::new().close());
        let rsp = pair.call("POST", "x", &[], b"hi").await;
        let (id, addr) = (pair.callee.app_id(), pair.app.addr());
        let err = format!(
            "rpc error: code = Internal desc = error invoking app channel: Post \
             \\\"http://{addr}/x\\\": EOF"
        );
        let body = format!(
            r#"{{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: {id}, err: {err}"}}"#
        );
        assert_eq!((rsp.status(), rsp.text()), (500, body), "{way:?}");
    }
}

/// Reads the head and the first piece of a chunked answer.
async fn begun(pair: &Pair) -> RawClient {
    let mut client = pair.asked("x", "").await;
    let (status, _) = client.read_head().await.unwrap();
    assert!(status.contains(" 200 "), "{status}");
    assert_eq!(client.read_chunk().await.unwrap(), b"first");
    client
}

/// How a client sees that its answer is at an end.
async fn rest(mut client: RawClient) -> (String, Ending) {
    let read = async {
        let mut got = Vec::new();
        loop {
            match client.read_chunk().await {
                Ok(piece) if piece.is_empty() => return (got, Ending::Framing),
                Ok(piece) => got.extend(piece),
                Err(err) if err.kind() == std::io::ErrorKind::TimedOut => {
                    return (got, Ending::TimedOut);
                }
                Err(_) => return (got, Ending::Eof),
            }
        }
    };
    let (got, ending) = read.await;
    (String::from_utf8_lossy(&got).into_owned(), ending)
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_answer_that_breaks_off_ends_the_call() {
    // Daprd passes an early close on as an orderly end, and makes any break look complete to its
    // own client.
    type Break = (&'static str, fn(Script) -> Script, bool);
    let cases: [Break; 4] = [
        ("reset", Script::reset, true),
        ("closed between chunks", Script::close, false),
        (
            "closed inside a chunk",
            |s| s.send("5\r\nab").close(),
            false,
        ),
        ("bad chunk size", |s| s.send("zz\r\n").hang(), true),
    ];
    for way in BOTH {
        let pair = Pair::echo(way).await;
        for (case, end, seen) in cases {
            let gate = Gate::new();
            let script = Script::new().send(CHUNKED).chunk("first").wait(&gate);
            pair.app.answer_once(end(script));
            let client = begun(&pair).await;
            gate.open();
            let (got, ending) = rest(client).await;
            assert!("ab".starts_with(&got), "{way:?} {case}: {got:?}");
            match way {
                Way::OursToDaprd if seen => {
                    assert_eq!(ending, Ending::Eof, "{case}: looks complete")
                }
                _ => assert_ne!(ending, Ending::TimedOut, "{way:?} {case}"),
            }
            let rsp = pair.call("POST", "x", &[], b"next").await;
            assert_eq!((rsp.status(), rsp.text()), (200, "next".into()), "{way:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_body_shorter_than_declared_is_complete() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        pair.app
            .answer_once(Script::new().send(LENGTH).send("abc").close());
        let rsp = pair.call("GET", "x", &[], b"").await;
        assert_eq!((rsp.status(), rsp.text()), (200, "abc".into()), "{way:?}");
        assert!(rsp.complete, "{way:?}: {:?}", rsp.ending);
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_peer_that_is_killed_midway_ends_the_call() {
    for way in BOTH {
        let gate = Gate::new();
        let mut pair = Pair::echo(way).await;
        let script = Script::new().send(CHUNKED).chunk("first").wait(&gate);
        pair.app.answer_once(script.chunk(""));
        let client = begun(&pair).await;
        pair.callee.signal(Signal::Kill).unwrap();
        pair.callee.wait_exit().await.unwrap();
        let (got, ending) = rest(client).await;
        assert_eq!(got, "", "{way:?}");
        match way {
            Way::OursToDaprd => assert_eq!(ending, Ending::Eof, "looks complete"),
            Way::DaprdToOurs => assert_ne!(ending, Ending::TimedOut),
        }
        let alive = pair.caller.call("GET", "/v1.0/healthz", &[], b"").await;
        assert_eq!(alive.unwrap().status(), 204, "{way:?}");
    }
}

/// What the app has sent when the client leaves.
const STAGES: [(&str, &str); 3] = [
    ("before the answer", ""),
    (
        "after the head",
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\n",
    ),
    (
        "inside the answer",
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    ),
];

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_client_that_leaves_closes_the_connection_to_the_app() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        for (stage, answer) in STAGES {
            pair.app.clear();
            pair.app.answer_once(Script::new().send(answer).hang());
            let mut client = pair.caller.connect().await.unwrap();
            client
                .send(request("POST", &pair.target("x"), &[], b"body"))
                .await
                .unwrap();
            let req = pair.app.last_request().await.unwrap();
            if stage == "inside the answer" {
                client.read_head().await.unwrap();
            }
            drop(client);
            let closed = pair.app.wait_closed(req.connection);
            let soon = timeout(Duration::from_secs(3), closed).await;
            assert!(soon.is_ok_and(|it| it.is_ok()), "{way:?} {stage}");
        }
        let rsp = pair.call("POST", "x", &[], b"next").await;
        assert_eq!((rsp.status(), rsp.text()), (200, "next".into()), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_client_that_leaves_while_sending_breaks_the_request() {
    for way in BOTH {
        for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
            let app = RawApp::builder().answer_at_head();
            let gate = Gate::new();
            let script = Script::new().read_some(3).wait(&gate).read_body();
            let app = app.start(move |_| script.clone()).await.unwrap();
            gate.open();
            let pair = Pair::with(way, app).await;
            let mut client = pair.caller.connect().await.unwrap();
            let target = pair.target("x");
            let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n");
            client.send(format!("{head}3\r\nabc\r\n")).await.unwrap();
            gate.reached().await.unwrap();
            drop(client);
            let req = pair.app.last_request().await.unwrap();
            assert!(!req.complete(), "{way:?} {framing}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_event_stream_that_is_an_error_fails_with_the_pinned_text() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        pair.app
            .answer_once(Script::answer("404 Not Found", &[], "gone"));
        let headers = [("Accept", "text/event-stream")];
        let rsp = pair.call("GET", "x", &headers, b"").await;
        let text = "error invoking app channel: no response received from stream";
        assert_eq!(rsp.status(), 500, "{way:?}");
        assert!(rsp.text().contains(text), "{way:?}: {}", rsp.text());
    }
}
