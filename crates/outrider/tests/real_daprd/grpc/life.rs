//! Sidecars that end in the middle of open streams, and come back (contract `grpc-api.md` 9.5,
//! `sidecar-protocol.md` 8, 9, 14).

use outrider_testkit::{Gate, GrpcApp, GrpcScript, GrpcStream, Signal};
use tokio::task::JoinSet;

use super::{GrpcPair, client_of, eventually};
use crate::grpc_support::{
    METHOD, OK, PLAIN, UNAVAILABLE, echo_any, invoke_request, invoke_service,
};
use crate::pair::{BOTH, Way};

/// Streams that are open while something happens to the sidecars.
const OPEN: usize = 20;

/// Each has had one message there and back.
async fn open_streams(pair: &GrpcPair) -> Vec<GrpcStream> {
    let client = client_of(pair).await;
    let mut open = Vec::new();
    for number in 0..OPEN {
        let mut call = client.open(METHOD, &pair.to()).await.unwrap();
        call.tx.send(number.to_string()).await.unwrap();
        let got = call.rx.message().await.unwrap().unwrap();
        assert_eq!(got, number.to_string());
        open.push(call);
    }
    open
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_callee_that_is_killed_ends_its_streams_and_is_called_again_once_it_is_back() {
    for way in BOTH {
        let mut pair = GrpcPair::start(way, echo_any).await;
        let client = client_of(&pair).await;
        for round in 0..2 {
            let open = open_streams(&pair).await;
            pair.restart_callee().await;
            for call in open {
                let answer = call.rx.finish().await.unwrap();
                let case = format!("{way:?} {round}: {answer:?}");
                assert_eq!(answer.code, Some(UNAVAILABLE), "{case}");
            }
            let mut tries = 0;
            eventually("the callee is called again", async || {
                tries += 1;
                let answer = client.unary(METHOD, &pair.to(), "x").await.unwrap();
                assert!([Some(OK), Some(UNAVAILABLE)].contains(&answer.code));
                answer.code == Some(OK)
            })
            .await;
            if way == Way::OursToDaprd {
                assert_eq!(tries, 1, "{round}: it was back for all to see");
            }
            let req = invoke_request(pair.callee.app_id(), "x", b"hi");
            let answer = invoke_service(&client, &req, PLAIN).await;
            assert_eq!(answer.status(), (OK, ""), "{way:?} {round}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_caller_that_is_killed_ends_its_streams_at_the_app() {
    for way in BOTH {
        let mut pair = GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await;
        let _open = open_streams(&pair).await;
        pair.caller.signal(Signal::Kill).unwrap();
        pair.caller.wait_exit().await.unwrap();
        let ended = pair.app.wait_done(OPEN).await.unwrap();
        assert_eq!(ended.len(), OPEN, "{way:?}");
        let broken = ended.iter().filter(|call| call.broken && !call.half_closed);
        assert_eq!(broken.count(), OPEN, "{way:?}: taken for an orderly end");
        // The callee goes on without it.
        let own = pair.callee.grpc().await.unwrap();
        let answer = own.unary(METHOD, &pair.to(), "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_callee_that_stops_lets_its_streams_finish() {
    for way in BOTH {
        let mut pair = GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await;
        let mut open = open_streams(&pair).await;
        pair.callee.signal(Signal::Term).unwrap();
        pair.callee.wait_line("beginning shutdown").await.unwrap();
        for (number, call) in open.iter_mut().enumerate() {
            let text = format!("late {number}");
            call.tx.send(&text).await.unwrap();
            let got = call.rx.message().await.unwrap();
            assert_eq!(got.as_deref(), Some(text.as_bytes()), "{way:?}");
            call.tx.half_close();
        }
        for call in open {
            let answer = call.rx.finish().await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{way:?}");
        }
        assert_eq!(pair.callee.wait_exit().await.unwrap(), 0, "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_caller_that_stops_lets_its_streams_finish() {
    for way in BOTH {
        let mut pair = GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await;
        let mut open = open_streams(&pair).await;
        pair.caller.signal(Signal::Term).unwrap();
        pair.caller.wait_line("beginning shutdown").await.unwrap();
        for call in &mut open {
            call.tx.send("late").await.unwrap();
            let got = call.rx.message().await.unwrap();
            assert_eq!(got.as_deref(), Some(&b"late"[..]), "{way:?}");
            call.tx.half_close();
        }
        for call in open {
            let answer = call.rx.finish().await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{way:?}");
        }
        assert_eq!(pair.caller.wait_exit().await.unwrap(), 0, "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn calls_under_way_while_the_callee_is_killed_all_come_to_an_end() {
    for way in BOTH {
        let gate = Gate::new();
        let held = gate.clone();
        let mut pair = GrpcPair::start(way, move |_| {
            GrpcScript::new().read_all().wait(&held).message("m").ok()
        })
        .await;
        let client = client_of(&pair).await;
        let mut calls = JoinSet::new();
        for _ in 0..50 {
            let client = client.clone();
            let to = [("dapr-app-id", pair.callee.app_id().to_owned())];
            calls.spawn(async move { client.unary(METHOD, &to, "x").await });
        }
        gate.reached_times(50).await.unwrap();
        pair.callee.signal(Signal::Kill).unwrap();
        pair.callee.wait_exit().await.unwrap();
        for answer in calls.join_all().await {
            let answer = answer.unwrap();
            assert_eq!(answer.code, Some(UNAVAILABLE), "{way:?}: {answer:?}");
        }
        assert_eq!(pair.app.calls().len(), 50, "{way:?}: repeated");
    }
}
