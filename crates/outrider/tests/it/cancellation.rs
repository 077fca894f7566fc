//! A client that leaves takes its call with it, down to the app (contract `http-api.md` 8.2).

use std::time::{Duration, Instant};

use outrider_testkit::{Mesh, RawApp, RawClient, Script, request};

use crate::support::{BIN, mesh};

/// Where a call stands when its client leaves.
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

async fn leave(client: RawClient, by_reset: bool) {
    match by_reset {
        true => client.reset().unwrap(),
        false => drop(client),
    }
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_connection_to_the_app() {
    let mesh = mesh().await;
    for (way, caller) in [("remote", &mesh.caller), ("own", &mesh.callee)] {
        for (stage, answer) in STAGES {
            for by_reset in [false, true] {
                mesh.callee_app.clear();
                mesh.callee_app
                    .answer_once(Script::new().send(answer).hang());
                let mut client = caller.connect().await.unwrap();
                let target = mesh.target("x");
                client
                    .send(request("POST", &target, &[], b"body"))
                    .await
                    .unwrap();
                let req = mesh.callee_app.last_request().await.unwrap();
                if !answer.is_empty() {
                    let head = client.read_head().await;
                    assert!(head.is_ok(), "{way} {stage} reset: {by_reset}: {head:?}");
                }
                let left = Instant::now();
                leave(client, by_reset).await;
                mesh.callee_app.wait_closed(req.connection).await.unwrap();
                let took = left.elapsed();
                assert!(took < Duration::from_secs(2), "{way} {stage}: {took:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_sending_breaks_the_request() {
    let app = RawApp::builder()
        .answer_at_head()
        .start(|_| Script::new().read_body());
    let own = RawApp::builder()
        .answer_at_head()
        .start(|_| Script::new().read_body());
    let mesh = Mesh::builder(BIN)
        .callee_app(app.await.unwrap())
        .caller_app(own.await.unwrap())
        .start()
        .await
        .unwrap();
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
            app.clear();
            let mut client = mesh.caller.connect().await.unwrap();
            let target = crate::support::invoke(id, "x");
            let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n");
            client.send(format!("{head}3\r\nabc\r\n")).await.unwrap();
            crate::support::eventually("the request's arrival", async || {
                !app.requests().await.is_empty()
            })
            .await;
            drop(client);
            let req = app.last_request().await.unwrap();
            assert!(!req.complete(), "{id} {framing}");
        }
    }
}

#[tokio::test]
async fn one_client_leaving_disturbs_no_other() {
    let mesh = mesh().await;
    mesh.callee_app.answer_once(Script::new().hang());
    let mut leaver = mesh.caller.connect().await.unwrap();
    leaver
        .send(request("GET", &mesh.target("hang"), &[], b""))
        .await
        .unwrap();
    let req = mesh.callee_app.last_request().await.unwrap();
    let gate = outrider_testkit::Gate::new();
    let slow = Script::new()
        .wait(&gate)
        .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    mesh.callee_app.answer_once(slow);
    let mut stayer = mesh.caller.connect().await.unwrap();
    stayer
        .send(request("GET", &mesh.target("slow"), &[], b""))
        .await
        .unwrap();
    gate.reached().await.unwrap();
    drop(leaver);
    mesh.callee_app.wait_closed(req.connection).await.unwrap();
    gate.open();
    let rsp = stayer.read_response().await.unwrap();
    assert_eq!((rsp.status(), rsp.text().as_str()), (200, "slow"));
}

#[tokio::test]
async fn a_client_that_ends_its_sending_side_is_taken_to_leave_or_is_served() {
    // Go's server cancels on the end of the stream; a complete answer is as good.
    let mesh = mesh().await;
    let mut client = mesh.caller.connect().await.unwrap();
    client
        .send(request("POST", &mesh.target("x"), &[], b"body"))
        .await
        .unwrap();
    client.half_close().await.unwrap();
    let (bytes, _) = client.read_to_end().await;
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.is_empty() || text.ends_with("body\r\n0\r\n\r\n"),
        "{text}"
    );
}
