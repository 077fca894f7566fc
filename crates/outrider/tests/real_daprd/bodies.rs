//! Bodies of every size, both ways, whole and as they come (contract `sidecar-protocol.md` 3).

use std::time::Duration;

use outrider_testkit::{Gate, RawApp, RawClient, RawRequest, RawResponse, Script, request};

use crate::pair::{BOTH, Pair, Way};

/// Around the piece size of daprd, around our windows, and far beyond both.
const SIZES: [usize; 8] = [0, 1, 2047, 2048, 2049, 64 << 10, 1 << 20, 64 << 20];
const PATIENCE: Duration = Duration::from_secs(180);
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Bytes in which a lost, doubled or moved piece shows.
fn pattern(size: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
        .take(size)
        .collect()
}

/// What the kit keeps of a body, and so what the apps here can send back.
const KEPT: usize = 32 << 20;

fn is_body(got: &[u8], len: u64, body: &[u8]) -> bool {
    len == body.len() as u64 && got == &body[..body.len().min(KEPT)]
}

#[track_caller]
fn assert_echo(case: &str, rsp: &RawResponse, req: &RawRequest, body: &[u8]) {
    assert_eq!(rsp.status(), 200, "{case}: {}", rsp.text());
    assert!(req.complete(), "{case}: request {:?}", req.ending);
    let whole = is_body(&req.body, req.body_len, body);
    assert!(whole, "{case}: the app got {} bytes", req.body_len);
    assert!(rsp.complete, "{case}: response {:?}", rsp.ending);
    let whole = is_body(&rsp.body, rsp.body_len, &body[..body.len().min(KEPT)]);
    assert!(whole, "{case}: the client got {} bytes", rsp.body_len);
}

async fn send_chunked(client: &mut RawClient, target: &str, body: &[u8]) {
    let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(head).await.unwrap();
    for piece in body.chunks(50_000) {
        client.send(format!("{:x}\r\n", piece.len())).await.unwrap();
        client.send(piece).await.unwrap();
        client.send("\r\n").await.unwrap();
    }
    client.send("0\r\n\r\n").await.unwrap();
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn bodies_with_a_length_come_back_whole() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        for size in SIZES {
            let case = format!("{way:?} {size}");
            let body = pattern(size);
            pair.app.clear();
            let mut client = pair.caller.connect().await.unwrap().limit(PATIENCE);
            client
                .send(request("POST", &pair.target("x"), &[], &body))
                .await
                .unwrap();
            let rsp = client.read_response().await;
            let rsp = rsp.unwrap_or_else(|err| panic!("{case}: {err}"));
            let req = pair.app.last_request().await.unwrap();
            assert_echo(&case, &rsp, &req, &body);
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn chunked_bodies_come_back_whole() {
    for way in BOTH {
        let app = RawApp::start(|req| {
            let script = Script::new().send(CHUNKED);
            let pieces = req.body.chunks(70_000);
            pieces.fold(script, Script::chunk).chunk("")
        });
        let pair = Pair::with(way, app.await.unwrap()).await;
        for size in SIZES {
            let case = format!("{way:?} {size}");
            let body = pattern(size);
            pair.app.clear();
            let mut client = pair.caller.connect().await.unwrap().limit(PATIENCE);
            send_chunked(&mut client, &pair.target("x"), &body).await;
            let rsp = client.read_response().await;
            let rsp = rsp.unwrap_or_else(|err| panic!("{case}: {err}"));
            let req = pair.app.last_request().await.unwrap();
            // Go sends a body that turns out to be empty without chunks.
            assert!(req.chunked || size == 0, "{case}");
            assert_echo(&case, &rsp, &req, &body);
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_long_answer_to_a_short_request_comes_whole() {
    const PIECE: usize = 1 << 20;
    for way in BOTH {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 * PIECE);
        let script = Script::new().send(head).repeat(pattern(PIECE), 64);
        let app = RawApp::start(move |_| script.clone()).await.unwrap();
        let pair = Pair::with(way, app).await;
        let mut client = pair.asked("x", "").await.limit(PATIENCE);
        let rsp = client.read_response().await.unwrap();
        assert!(rsp.complete, "{way:?}: {:?}", rsp.ending);
        assert_eq!(rsp.body_len, 64 * PIECE as u64, "{way:?}");
        let piece = pattern(PIECE);
        let good = rsp.body.chunks(PIECE).all(|got| got == piece);
        assert!(good, "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn the_first_bytes_of_an_answer_are_there_while_the_app_holds_the_rest() {
    for way in BOTH {
        let gate = Gate::new();
        let script = Script::new().send(CHUNKED).chunk("first").wait(&gate);
        let pair = Pair::with(way, RawApp::echo().await.unwrap()).await;
        pair.app.answer_once(script.chunk("end").chunk(""));
        let mut client = pair.asked("x", "").await;
        let (status, headers) = client.read_head().await.unwrap();
        assert_eq!(status, "HTTP/1.1 200 OK", "{way:?}");
        assert_eq!(headers.get("content-type"), Some("text/x"), "{way:?}");
        assert_eq!(client.read_chunk().await.unwrap(), b"first", "{way:?}");
        gate.open();
        assert_eq!(client.read_chunk().await.unwrap(), b"end", "{way:?}");
        assert_eq!(client.read_chunk().await.unwrap(), b"", "{way:?}");
    }
}

async fn app_at_head() -> RawApp {
    let app = RawApp::builder().answer_at_head();
    app.start(|_| Script::new().read_body()).await.unwrap()
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn the_first_bytes_of_a_request_reach_the_app_at_once() {
    for way in BOTH {
        let pair = Pair::with(way, app_at_head().await).await;
        let gate = Gate::new();
        let script = Script::new().read_some(3).wait(&gate).read_body();
        pair.app
            .answer_once(script.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        let mut client = pair.caller.connect().await.unwrap();
        let target = pair.target("x");
        let head = "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        client
            .send(format!("POST {target} HTTP/1.1\r\n{head}3\r\nabc\r\n"))
            .await
            .unwrap();
        gate.reached().await.unwrap();
        gate.open();
        client.send("2\r\nde\r\n0\r\n\r\n").await.unwrap();
        assert_eq!(client.read_response().await.unwrap().status(), 200);
        let req = pair.app.last_request().await.unwrap();
        assert_eq!(
            (req.body.as_slice(), req.complete()),
            (b"abcde".as_slice(), true)
        );
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_answer_is_read_while_the_request_is_still_sent() {
    // The other way daprd reads no answer before it has sent the whole request.
    let pair = Pair::with(Way::OursToDaprd, app_at_head().await).await;
    let script = Script::new().send(CHUNKED).chunk("early");
    pair.app.answer_once(script.read_body().chunk(""));
    let mut client = pair.caller.connect().await.unwrap();
    let target = pair.target("x");
    let head = "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    client
        .send(format!("POST {target} HTTP/1.1\r\n{head}3\r\nabc\r\n"))
        .await
        .unwrap();
    client.read_head().await.unwrap();
    assert_eq!(client.read_chunk().await.unwrap(), b"early");
    client.send("2\r\nde\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(client.read_chunk().await.unwrap(), b"");
    assert_eq!(pair.app.last_request().await.unwrap().body, b"abcde");
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn events_come_one_by_one() {
    for way in BOTH {
        let gates = [Gate::new(), Gate::new()];
        let script = Script::new()
            .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
            .wait(&gates[0])
            .chunk("data: 1\n\n")
            .wait(&gates[1])
            .chunk("data: 2\n\n")
            .chunk("");
        let pair = Pair::echo(way).await;
        pair.app.answer_once(script);
        let mut client = pair.asked("x", "Accept: text/event-stream\r\n").await;
        gates[0].open();
        let (status, headers) = client.read_head().await.unwrap();
        assert_eq!(status, "HTTP/1.1 200 OK", "{way:?}");
        let kind = headers.get("content-type");
        assert_eq!(kind, Some("text/event-stream"), "{way:?}");
        assert_eq!(headers.get("x-a"), Some("1"), "{way:?}");
        assert_eq!(client.read_chunk().await.unwrap(), b"data: 1\n\n");
        gates[1].open();
        assert_eq!(client.read_chunk().await.unwrap(), b"data: 2\n\n");
        assert_eq!(client.read_chunk().await.unwrap(), b"");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn many_calls_at_once_keep_their_bodies_apart() {
    for way in BOTH {
        let pair = std::sync::Arc::new(Pair::echo(way).await);
        let calls = (0..300_usize).map(|number| {
            let pair = std::sync::Arc::clone(&pair);
            tokio::spawn(async move {
                let body = format!("{number} ").repeat(1 + number * 7);
                let rsp = pair.call("POST", "x", &[], body.as_bytes()).await;
                assert_eq!((rsp.status(), rsp.text()), (200, body));
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
    }
}
