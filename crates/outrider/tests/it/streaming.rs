//! Bodies under way: first bytes at once, events, both directions together, bounded memory
//! (contract `http-api.md` 8.2, 8.4).

use std::time::Duration;

use outrider_testkit::{Gate, Mesh, RawApp, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{BIN, invoke, mesh};

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nTransfer-Encoding: chunked\r\n\r\n";

fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
}

#[tokio::test]
async fn the_first_bytes_are_there_while_the_app_holds_the_rest() {
    let mesh = mesh().await;
    let piece = "a".repeat(16 << 10);
    for caller in [&mesh.caller, &mesh.callee] {
        let gate = Gate::new();
        let script = Script::new().send(CHUNKED).chunk(&piece).wait(&gate);
        mesh.callee_app.answer_once(script.chunk("end").chunk(""));
        let mut client = caller.connect().await.unwrap();
        client.send(get(&mesh.target("x"), "")).await.unwrap();
        client.read_head().await.unwrap();
        let mut got = Vec::new();
        while got.len() < piece.len() {
            got.extend(client.read_chunk().await.unwrap());
        }
        assert_eq!(got, piece.as_bytes());
        gate.open();
        assert_eq!(client.read_chunk().await.unwrap(), b"end");
        assert_eq!(client.read_chunk().await.unwrap(), b"");
    }
}

#[tokio::test]
async fn the_head_is_there_before_any_body() {
    let mesh = mesh().await;
    for caller in [&mesh.caller, &mesh.callee] {
        let gate = Gate::new();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nX-A: 1\r\nContent-Length: 2\r\n\r\n";
        mesh.callee_app
            .answer_once(Script::new().send(head).wait(&gate).send("ok"));
        let mut client = caller.connect().await.unwrap();
        client.send(get(&mesh.target("x"), "")).await.unwrap();
        let (status, headers) = client.read_head().await.unwrap();
        assert_eq!(
            (status.as_str(), headers.get("x-a")),
            ("HTTP/1.1 200 OK", Some("1"))
        );
        gate.open();
        assert_eq!(client.read_chunk().await.unwrap(), b"ok");
    }
}

#[tokio::test]
async fn the_first_bytes_of_a_request_reach_the_app_at_once() {
    let apps = [(); 2].map(|()| RawApp::builder().answer_at_head().start(|_| Script::new()));
    let [a, b] = apps;
    let mesh = Mesh::builder(BIN)
        .caller_app(a.await.unwrap())
        .callee_app(b.await.unwrap())
        .start()
        .await
        .unwrap();
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        let gate = Gate::new();
        let script = Script::new().read_some(3).wait(&gate).read_body();
        app.answer_once(script.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        let mut client = mesh.caller.connect().await.unwrap();
        let target = invoke(id, "x");
        let head = "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        client
            .send(format!("POST {target} HTTP/1.1\r\n{head}3\r\nabc\r\n"))
            .await
            .unwrap();
        gate.reached().await.unwrap();
        gate.open();
        client.send("0\r\n\r\n").await.unwrap();
        assert_eq!(client.read_response().await.unwrap().status(), 200);
        assert_eq!(app.last_request().await.unwrap().body, b"abc");
    }
}

#[tokio::test]
async fn events_come_one_by_one() {
    let mesh = mesh().await;
    for (caller, remote) in [(&mesh.caller, true), (&mesh.callee, false)] {
        for accept in [
            "text/event-stream",
            "Text/Event-Stream",
            "text/event-stream, */*",
        ] {
            let gates = [Gate::new(), Gate::new()];
            let script = Script::new()
                .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
                .wait(&gates[0])
                .chunk("data: 1\n\n")
                .wait(&gates[1])
                .chunk("data: 2\n\n")
                .chunk("");
            mesh.callee_app.clear();
            mesh.callee_app.answer_once(script);
            let mut client = caller.connect().await.unwrap();
            let header = format!("Accept: {accept}\r\n");
            client.send(get(&mesh.target("x"), &header)).await.unwrap();
            gates[0].open();
            let (status, headers) = client.read_head().await.unwrap();
            assert_eq!(status, "HTTP/1.1 200 OK");
            assert_eq!(headers.all("content-type"), ["text/event-stream"]);
            assert_eq!(headers.get("x-a"), Some("1"));
            if remote && !accept.contains(',') {
                assert_eq!(headers.all("cache-control"), ["no-cache"]);
            }
            assert_eq!(client.read_chunk().await.unwrap(), b"data: 1\n\n");
            gates[1].open();
            assert_eq!(client.read_chunk().await.unwrap(), b"data: 2\n\n");
            assert_eq!(client.read_chunk().await.unwrap(), b"");
            let seen = mesh.callee_app.last_request().await.unwrap();
            assert_eq!(seen.headers.all("accept"), [accept]);
        }
    }
}

#[tokio::test]
async fn an_event_stream_that_is_an_error_keeps_the_pinned_text() {
    let mesh = mesh().await;
    mesh.callee_app
        .answer_once(Script::answer("404 Not Found", &[], "gone"));
    let headers = [("Accept", "text/event-stream")];
    let rsp = mesh.call("GET", "x", &headers, b"").await.unwrap();
    let err = "rpc error: code = Internal desc = error invoking app channel: no response received from stream";
    let body = crate::support::failed(mesh.callee.app_id(), err);
    crate::support::assert_error("remote", &rsp, 500, &body);
    // The own app's is an ordinary answer.
    mesh.callee_app
        .answer_once(Script::answer("404 Not Found", &[], "gone"));
    let rsp = mesh
        .callee
        .call("GET", &mesh.target("x"), &headers, b"")
        .await
        .unwrap();
    assert_eq!((rsp.status(), rsp.text().as_str()), (404, "gone"));
}

/// An app that sends each byte back as it reads it, chunk by chunk.
async fn echo_while_reading() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

async fn serve_echo(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut buf = vec![0; 16 << 10];
            let mut seen = Vec::new();
            while !seen.windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read(&mut buf).await {
                    Ok(n) if n > 0 => seen.extend_from_slice(&buf[..n]),
                    _ => return,
                }
            }
            let head_end = seen.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
            if !seen.starts_with(b"POST") {
                let none =
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(none).await;
                return;
            }
            // The request is chunked, and so is the answer: its bytes are the same.
            stream.write_all(CHUNKED.as_bytes()).await.unwrap();
            let mut tail = seen.split_off(head_end);
            stream.write_all(&tail).await.unwrap();
            while !tail.ends_with(b"0\r\n\r\n") {
                let n = stream.read(&mut buf).await.unwrap();
                if n == 0 {
                    return;
                }
                stream.write_all(&buf[..n]).await.unwrap();
                tail.extend_from_slice(&buf[..n]);
                let surplus = tail.len().saturating_sub(16);
                tail.drain(..surplus);
            }
        });
    }
}

#[tokio::test]
async fn both_directions_run_at_once() {
    let listener = echo_while_reading().await;
    let app_port = listener.local_addr().unwrap().port();
    let app = tokio::spawn(serve_echo(listener));
    let caller = crate::support::sidecar()
        .flag("--max-body-size=16Mi")
        .start()
        .await
        .unwrap();
    let callee = crate::support::sidecar()
        .app_port(app_port)
        .start()
        .await
        .unwrap();
    let target = invoke(callee.app_id(), "x");
    for port in [caller.ports().http, callee.ports().http] {
        let own = port == callee.ports().http;
        let total: usize = if own { 3 << 20 } else { 8 << 20 };
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let sending = tokio::spawn(async move {
            write.write_all(head.as_bytes()).await.unwrap();
            let piece = [b"4000\r\n", &vec![b'z'; 0x4000][..], b"\r\n"].concat();
            for _ in 0..total / 0x4000 {
                write.write_all(&piece).await.unwrap();
            }
            write.write_all(b"0\r\n\r\n").await.unwrap();
            write
        });
        let counting = async {
            let (mut buf, mut zs, mut tail) = (vec![0; 64 << 10], 0, Vec::new());
            while !tail.ends_with(b"0\r\n\r\n") {
                let n = read.read(&mut buf).await.unwrap();
                assert!(n > 0, "closed after {zs} of {total}");
                zs += buf[..n].iter().filter(|b| **b == b'z').count();
                tail.extend_from_slice(&buf[..n]);
                tail.drain(..tail.len().saturating_sub(16));
            }
            zs
        };
        let zs = tokio::time::timeout(Duration::from_secs(15), counting).await;
        assert_eq!(zs, Ok(total), "a half-duplex hop would stand still");
        drop(sending.await.unwrap());
    }
    app.abort();
}

const MIB: u64 = 1 << 20;

/// Growth of both sidecars while `work` runs, in MiB.
async fn growth(mesh: &Mesh, work: impl Future<Output = ()>) -> [u64; 2] {
    // A first call has everything loaded that any call needs.
    mesh.call("POST", "warm", &[], &[b'w'; 100_000])
        .await
        .unwrap();
    let sidecars = [&mesh.caller, &mesh.callee];
    let before = sidecars.map(|sidecar| sidecar.resident().unwrap());
    let mut most = before;
    let mut work = std::pin::pin!(work);
    loop {
        let done = tokio::time::timeout(Duration::from_millis(20), &mut work).await;
        for (most, sidecar) in most.iter_mut().zip(sidecars) {
            *most = (*most).max(sidecar.resident().unwrap());
        }
        if done.is_ok() {
            break;
        }
    }
    [0, 1].map(|i| (most[i] - before[i]) / MIB)
}

#[tokio::test]
async fn a_long_answer_to_a_slow_reader_stays_small() {
    let body = vec![b'x'; 1 << 20];
    let app = RawApp::start(move |req| match req.target() {
        "/long" => Script::new()
            .send("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
            .repeat(body.clone(), 64),
        _ => Script::answer("200 OK", &[], ""),
    });
    let mesh = Mesh::builder(BIN).callee_app(app.await.unwrap()).start();
    let mesh = mesh.await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", mesh.caller.ports().http))
        .await
        .unwrap();
    let read = async {
        stream
            .write_all(get(&mesh.target("long"), "").as_bytes())
            .await
            .unwrap();
        let (mut buf, mut total, mut pauses) = (vec![0; 256 << 10], 0u64, 0);
        while total < 64 * MIB {
            let n = stream.read(&mut buf).await.unwrap();
            assert!(n > 0, "closed after {total}");
            total += n as u64;
            if total >> 22 > pauses {
                // Slow on purpose: whatever can pile up has the time to.
                pauses = total >> 22;
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }
    };
    let grown = growth(&mesh, read).await;
    assert!(
        grown.iter().all(|mib| *mib <= 12),
        "caller, callee: {grown:?} MiB"
    );
}

#[tokio::test]
async fn a_long_request_to_a_slow_app_stays_small() {
    let script = |req: &outrider_testkit::RawRequest| {
        let mut script = Script::new();
        if req.target() == "/long" {
            for _ in 0..16 {
                script = script.read_some(4 << 20);
            }
        }
        script
            .read_body()
            .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    };
    let app = RawApp::builder()
        .answer_at_head()
        .start(script)
        .await
        .unwrap();
    let mesh = Mesh::builder(BIN)
        .caller(|caller| caller.flag("--max-body-size=0"))
        .caller(|caller| caller.flag("--max-body-size=80Mi"))
        .callee_app(app)
        .start()
        .await
        .unwrap();
    let gate = Gate::new();
    mesh.call("POST", "warm", &[], b"w").await.unwrap();
    let held = Script::new().read_some(MIB).wait(&gate).read_body();
    let port = mesh.caller.ports().http;
    let target = mesh.target("long");
    let write = async {
        mesh.callee_app
            .answer_once(held.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            64 * MIB
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'y'; 1 << 20];
        let (mut read, mut write) = stream.split();
        let sending = async {
            for _ in 0..64 {
                write.write_all(&piece).await.unwrap();
            }
        };
        let opening = async {
            gate.reached().await.unwrap();
            // The app stands still and everything in between fills up.
            tokio::time::sleep(Duration::from_millis(300)).await;
            gate.open();
        };
        tokio::join!(sending, opening);
        let mut answer = vec![0; 1024];
        let n = read.read(&mut answer).await.unwrap();
        assert!(answer[..n].starts_with(b"HTTP/1.1 200 OK"));
    };
    let mesh = &mesh;
    let sidecars = [&mesh.caller, &mesh.callee];
    let before = sidecars.map(|sidecar| sidecar.resident().unwrap());
    let mut most = before;
    let mut write = std::pin::pin!(write);
    while tokio::time::timeout(Duration::from_millis(20), &mut write)
        .await
        .is_err()
    {
        for (most, sidecar) in most.iter_mut().zip(sidecars) {
            *most = (*most).max(sidecar.resident().unwrap());
        }
    }
    let grown = [0, 1].map(|i| (most[i] - before[i]) / MIB);
    assert!(
        grown.iter().all(|mib| *mib <= 12),
        "caller, callee: {grown:?} MiB"
    );
}
