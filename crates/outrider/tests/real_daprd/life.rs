//! Connections over time: silence, orderly ends, peers that come back (contract
//! `sidecar-protocol.md` 1, 9, 14).

use std::time::Duration;

use outrider_testkit::{Gate, Script, Signal};

use crate::pair::{BOTH, Pair};

/// Three keep-alive rounds of a peer: too many or unanswered pings end the connection by then.
const SILENCE: Duration = Duration::from_secs(35);
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_call_that_is_silent_for_long_survives() {
    let one = |way| async move {
        let pair = Pair::echo(way).await;
        let gates = [Gate::new(), Gate::new()];
        let before = Script::new().wait(&gates[0]);
        pair.app
            .answer_once(before.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"));
        let mut waiting = pair.asked("x", "").await;
        gates[0].reached().await.unwrap();
        let inside = Script::new().send(CHUNKED).chunk("first").wait(&gates[1]);
        pair.app.answer_once(inside.chunk("last").chunk(""));
        let mut reading = pair.asked("y", "").await;
        reading.read_head().await.unwrap();
        assert_eq!(reading.read_chunk().await.unwrap(), b"first", "{way:?}");
        tokio::time::sleep(SILENCE).await;
        gates.iter().for_each(Gate::open);
        let rsp = waiting.read_response().await.unwrap();
        assert_eq!((rsp.status(), rsp.text()), (200, "late".into()), "{way:?}");
        assert_eq!(reading.read_chunk().await.unwrap(), b"last", "{way:?}");
        assert_eq!(reading.read_chunk().await.unwrap(), b"", "{way:?}");
        let rsp = pair.call("POST", "x", &[], b"next").await;
        assert_eq!((rsp.status(), rsp.text()), (200, "next".into()), "{way:?}");
    };
    let [first, second] = BOTH.map(one);
    tokio::join!(first, second);
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_callee_that_stops_lets_the_call_finish() {
    for way in BOTH {
        let mut pair = Pair::echo(way).await;
        let gate = Gate::new();
        let script = Script::new().send(CHUNKED).chunk("first").wait(&gate);
        pair.app.answer_once(script.chunk("last").chunk(""));
        let mut client = pair.asked("x", "").await;
        client.read_head().await.unwrap();
        assert_eq!(client.read_chunk().await.unwrap(), b"first", "{way:?}");
        pair.callee.signal(Signal::Term).unwrap();
        pair.callee.wait_line("beginning shutdown").await.unwrap();
        gate.open();
        assert_eq!(client.read_chunk().await.unwrap(), b"last", "{way:?}");
        assert_eq!(client.read_chunk().await.unwrap(), b"", "{way:?}");
        assert_eq!(pair.callee.wait_exit().await.unwrap(), 0, "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn calls_go_on_while_connections_are_reused() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        let mut client = pair.caller.connect().await.unwrap();
        let target = pair.target("x");
        for number in 0..500 {
            let body = format!("call {number}");
            let rsp = client.call("POST", &target, &[], body.as_bytes()).await;
            let rsp = rsp.unwrap();
            assert_eq!((rsp.status(), rsp.text()), (200, body), "{way:?}");
        }
        let requests = pair.app.requests().await;
        let mut used: Vec<_> = requests.iter().map(|req| req.connection).collect();
        used.sort_unstable();
        used.dedup();
        // Daprd ends its request in a frame of its own, which the app's answer may overtake; that
        // may cost a connection, but seldom.
        assert!(used.len() <= 3, "{way:?}: {} connections", used.len());
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_callee_that_was_killed_is_called_again_once_it_is_back() {
    for way in BOTH {
        let mut pair = Pair::echo(way).await;
        for round in 0..2 {
            let rsp = pair.call("POST", "x", &[], b"before").await;
            assert_eq!(rsp.status(), 200, "{way:?} {round}: {}", rsp.text());
            pair.restart_callee().await;
            let rsp = pair.call("POST", "x", &[], b"after").await;
            let got = (rsp.status(), rsp.text());
            assert_eq!(got, (200, "after".into()), "{way:?} {round}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_callee_that_is_away_is_an_error_after_the_built_in_retries() {
    for way in BOTH {
        let mut pair = Pair::echo(way).await;
        let rsp = pair.call("POST", "x", &[], b"before").await;
        assert_eq!(rsp.status(), 200, "{way:?}: {}", rsp.text());
        pair.callee.signal(Signal::Kill).unwrap();
        pair.callee.wait_exit().await.unwrap();
        let rsp = pair.call("POST", "x", &[], b"after").await;
        assert_eq!(rsp.status(), 500, "{way:?}: {}", rsp.text());
        assert!(
            rsp.text().contains(r#""errorCode":"ERR_DIRECT_INVOKE""#)
                && rsp.text().contains("after 3 retries"),
            "{way:?}: {}",
            rsp.text()
        );
    }
}
