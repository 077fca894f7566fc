//! What a call survives: unprocessed streams, dead instances, peers that are not there
//! (contract `sidecar-protocol.md` 8).

use std::time::{Duration, Instant};

use h2::Reason;
use outrider_lookup::registry::Announcement;
use outrider_testkit::{Gate, RawApp, Script, Signal, request, unique_id};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::as_caller::{caller, get, head};
use crate::peer::{Act, Callee, announce};
use crate::support::{assert_error, closed_port, eventually, failed, invoke, sidecar};

#[tokio::test]
async fn a_stream_the_peer_did_not_look_at_is_sent_again() {
    let callee = Callee::start(|call, _| match call {
        0 => vec![Act::Reset(Reason::REFUSED_STREAM)],
        _ => vec![Act::Read, head(200, "second"), Act::End(0, "")],
    })
    .await;
    let caller = caller().await;
    let started = Instant::now();
    let rsp = caller
        .call("POST", &invoke(&callee.id, "x"), &[], b"body")
        .await
        .unwrap();
    assert_eq!((rsp.status(), rsp.text().as_str()), (200, "second"));
    assert!(started.elapsed() < Duration::from_millis(900), "no pause");
    assert_eq!(callee.seen().len(), 2);
    assert_eq!(
        &callee.seen()[1].streamed()[0]
            .payload
            .as_ref()
            .unwrap()
            .data[..],
        b"body"
    );
}

/// Plays an HTTP/2 server up to the first stream, which it has never heard of: GOAWAY, last stream
/// 0, with this error code.
async fn say_goodbye(mut stream: TcpStream, code: u8) -> std::io::Result<()> {
    const PREFACE: usize = 24;
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
    let mut preface = [0; PREFACE];
    stream.read_exact(&mut preface).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        stream.read_exact(&mut payload).await?;
        let (kind, is_ack) = (head[3], head[4] & 1 == 1);
        match kind {
            1 => break,
            4 if !is_ack => stream.write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0]).await?,
            6 if !is_ack => {
                stream.write_all(&[0, 0, 8, 6, 1, 0, 0, 0, 0]).await?;
                stream.write_all(&payload).await?;
            }
            _ => {}
        }
    }
    let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, code];
    stream.write_all(&goaway).await
}

/// A callee whose first connection says goodbye to whatever comes; `app` answers on later ones.
async fn goodbye_first(code: u8) -> (Announcement, String) {
    let real = RawApp::answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback");
    let real = real.await.unwrap();
    let behind = sidecar().app_port(real.port()).start().await.unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let id = unique_id("goodbye");
    let announcement = announce(&id, listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let _held = real;
        let (first, _) = listener.accept().await.unwrap();
        say_goodbye(first, code).await.unwrap();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let port = behind.ports().internal;
            tokio::spawn(async move {
                let mut to = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut to).await;
            });
        }
    });
    (announcement, id)
}

#[tokio::test]
async fn a_goodbye_that_leaves_the_stream_out_costs_nothing() {
    for code in [0, 11] {
        let (_announcement, id) = goodbye_first(code).await;
        let caller = caller().await;
        let started = Instant::now();
        let rsp = caller
            .call("POST", &invoke(&id, "x"), &[], b"body")
            .await
            .unwrap();
        assert_eq!((rsp.status(), rsp.text().as_str()), (200, "back"), "{code}");
        assert!(started.elapsed() < Duration::from_millis(900), "no pause");
    }
}

#[tokio::test]
async fn an_unavailable_peer_is_asked_again_where_that_does_no_harm() {
    let callee = Callee::start(|_, _| vec![Act::Read, Act::Refuse(14, "busy")]).await;
    let caller = caller().await;
    let started = Instant::now();
    let rsp = get(&caller, &callee).await;
    let took = started.elapsed();
    let err = format!(
        "failed to invoke target {} after 3 retries. Error: rpc error: code = Unavailable desc = busy",
        callee.id
    );
    assert_error("GET", &rsp, 500, &failed(&callee.id, &err));
    let expected = Duration::from_millis(2900)..Duration::from_millis(5000);
    assert!(expected.contains(&took), "{took:?}");
    let seen = callee.seen();
    assert_eq!(seen.len(), 4);
    for (at, seen) in seen.iter().enumerate() {
        let map = &seen.streamed()[0].request.clone().unwrap().metadata;
        assert_eq!(
            map["X-Forwarded-For"].values,
            ["127.0.0.1"],
            "attempt {at}: added once"
        );
    }
    // What may have been done is not done twice.
    let rsp = caller
        .call("POST", &invoke(&callee.id, "x"), &[], b"x")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 500);
    assert!(
        rsp.text().contains("code = Unavailable desc = busy"),
        "{}",
        rsp.text()
    );
    assert_eq!(callee.seen().len(), 5);
}

#[tokio::test]
async fn a_port_that_is_closed_is_tried_for_three_seconds() {
    let (_held, port) = closed_port(0);
    let id = unique_id("closed");
    let _announcement = announce(&id, port);
    let caller = caller().await;
    eventually("being found", async || {
        caller.call("GET", "/v1.0/healthz", &[], b"").await.is_ok()
    })
    .await;
    let started = Instant::now();
    let rsp = caller
        .call("POST", &invoke(&id, "x"), &[], b"x")
        .await
        .unwrap();
    let took = started.elapsed();
    let net = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
    let err = format!(
        r#"failed to invoke target {id} after 3 retries. Error: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: {net}""#
    );
    assert_error("closed", &rsp, 500, &failed(&id, &err));
    let expected = Duration::from_millis(2900)..Duration::from_millis(5000);
    assert!(expected.contains(&took), "{took:?}");

    // A stream of unknown length is not kept for a second try.
    let mut client = caller.connect().await.unwrap();
    let head = "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let target = invoke(&id, "x");
    let started = Instant::now();
    client
        .send(format!("POST {target} HTTP/1.1\r\n{head}"))
        .await
        .unwrap();
    let rsp = client.read_response().await.unwrap();
    assert_eq!(rsp.status(), 500);
    assert!(
        !rsp.text().contains("retries") && rsp.text().contains(&net),
        "{}",
        rsp.text()
    );
    assert!(started.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn a_dead_instance_beside_a_living_one_fails_no_call() {
    let app = RawApp::echo().await.unwrap();
    let living = sidecar().app_port(app.port()).start().await.unwrap();
    let caller = caller().await;
    let (_held, port) = closed_port(0);
    let _dead = announce(living.app_id(), port);
    let target = invoke(living.app_id(), "x");
    let started = Instant::now();
    for i in 0..60 {
        let verb = if i % 2 == 0 { "GET" } else { "POST" };
        let rsp = caller.call(verb, &target, &[], b"x").await.unwrap();
        assert_eq!(rsp.status(), 200, "call {i}: {}", rsp.text());
    }
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn something_that_is_no_peer_is_an_error() {
    let web = RawApp::answering(
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let web = web.await.unwrap();
    let id = unique_id("web");
    let _announcement = announce(&id, web.port());
    let caller = caller().await;
    let mut client = caller.connect().await.unwrap();
    let rsp = client
        .call("POST", &invoke(&id, "x"), &[], b"x")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 500, "{}", rsp.text());
    let rsp = client.call("GET", "/v1.0/healthz", &[], b"").await;
    assert!(rsp.is_ok_and(|rsp| rsp.status() == 204));
}

#[tokio::test]
async fn a_killed_instance_fails_no_call_that_may_be_repeated() {
    let gate = Gate::new();
    let held = Script::new().wait(&gate);
    let first = RawApp::start(move |req| match req.target() {
        "/held" => held.clone(),
        _ => Script::answer("200 OK", &[], "first"),
    });
    let (first, second) = (first.await.unwrap(), RawApp::echo().await.unwrap());
    let mut doomed = sidecar().app_port(first.port()).start().await.unwrap();
    let caller = caller().await;
    let target = invoke(doomed.app_id(), "x");
    let rsp = caller.call("GET", &target, &[], b"").await.unwrap();
    assert_eq!(rsp.text(), "first");
    let mut client = caller.connect().await.unwrap();
    let held = invoke(doomed.app_id(), "held");
    client.send(request("GET", &held, &[], b"")).await.unwrap();
    gate.reached().await.unwrap();
    let builder = sidecar().app_id(doomed.app_id());
    let _other = builder.app_port(second.port()).start().await.unwrap();
    eventually("the second instance", async || {
        caller.call("POST", &target, &[], b"x").await.unwrap();
        !second.requests().await.is_empty()
    })
    .await;
    doomed.signal(Signal::Kill).unwrap();
    doomed.wait_exit().await.unwrap();
    let rsp = client.read_response().await.unwrap();
    assert_eq!(rsp.status(), 200, "moved over: {}", rsp.text());
    for _ in 0..20 {
        let rsp = caller.call("POST", &target, &[], b"x").await.unwrap();
        assert_eq!((rsp.status(), rsp.text().as_str()), (200, "x"));
    }
}

#[tokio::test]
async fn a_peer_that_accepts_and_says_nothing_is_not_waited_for_for_ever() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let id = unique_id("silent");
    let _announcement = announce(&id, silent.local_addr().unwrap().port());
    let app = RawApp::echo().await.unwrap();
    let builder = sidecar().app_id(&id).app_port(app.port());
    let _living = builder.start().await.unwrap();
    let caller = caller().await;
    let started = Instant::now();
    for _ in 0..4 {
        let rsp = caller.call("POST", &invoke(&id, "x"), &[], b"x").await;
        let rsp = rsp.unwrap();
        assert_eq!(rsp.status(), 200, "{}", rsp.text());
    }
    assert!(started.elapsed() < Duration::from_secs(10), "once at most");
}
