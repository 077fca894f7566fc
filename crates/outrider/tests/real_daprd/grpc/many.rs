//! Many messages and many streams at once; slow ones stall nobody (contract `grpc-api.md` 9.5, 9.7).

use outrider_testkit::{Gate, GrpcApp, GrpcClient, GrpcScript, GrpcStream};
use tokio::task::JoinSet;

use super::{GrpcPair, client_of, message};
use crate::grpc_support::{METHOD, OK, PLAIN, echo_any, invoke_request, invoke_service, invoked};
use crate::pair::{BOTH, Pair};

/// Sends `lens.len()` messages, `ahead` before the first is read back, and checks each.
async fn exchange(mut call: GrpcStream, stream: usize, lens: Vec<usize>, ahead: usize) {
    for number in 0..lens.len() + ahead {
        if let Some(len) = lens.get(number) {
            call.tx.send(message(stream, number, *len)).await.unwrap();
        }
        let Some(back) = number.checked_sub(ahead) else {
            continue;
        };
        let got = call.rx.message().await.unwrap();
        let same = got.as_deref() == Some(&message(stream, back, lens[back])[..]);
        assert!(same, "stream {stream}, message {back}: {got:?}");
    }
    call.tx.half_close();
    let answer = call.rx.finish().await.unwrap();
    let end = (answer.status(), answer.messages.len());
    assert_eq!(end, ((OK, ""), 0), "stream {stream}");
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn thousands_of_messages_arrive_in_order() {
    const N: u32 = 5000;
    for way in BOTH {
        let pair = GrpcPair::start(way, |call| match &*call.path {
            "/t/Down" => GrpcScript::new().read_all().numbered(N, 40).ok(),
            "/t/Up" => GrpcScript::reply("all"),
            _ => GrpcScript::new().echo().ok(),
        })
        .await;
        let client = client_of(&pair).await;
        let answer = client.unary("/t/Down", &pair.to(), "").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
        assert_eq!(answer.messages.len(), N as usize, "{way:?}");
        for (i, message) in (0..N).zip(&answer.messages) {
            assert_eq!(message[..4], i.to_be_bytes(), "{way:?}");
        }
        pair.app.clear();
        let mut call = client.open("/t/Up", &pair.to()).await.unwrap();
        for i in 0..N {
            call.tx.send(i.to_be_bytes()).await.unwrap();
        }
        call.tx.half_close();
        assert_eq!(call.rx.finish().await.unwrap().messages, ["all"], "{way:?}");
        let seen = pair.app.take().await.unwrap().messages();
        assert_eq!(seen.len(), N as usize, "{way:?}");
        let ordered = (0..N).zip(&seen).all(|(i, got)| got[..] == i.to_be_bytes());
        assert!(ordered, "{way:?}");
        let call = client.open("/t/Both", &pair.to()).await.unwrap();
        let lens = (0..N as usize).map(|n| n % 300).collect();
        exchange(call, 3, lens, 64).await;
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn large_messages_follow_each_other() {
    for way in BOTH {
        let pair = GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await;
        let client = client_of(&pair).await;
        let mut streams = JoinSet::new();
        for stream in 0..4 {
            let call = client.open(METHOD, &pair.to()).await.unwrap();
            let lens = vec![1 << 20, 3 << 20, 0, 65_535, 65_536, 4_000_000];
            // One at a time, as the app writes before it reads on.
            streams.spawn(exchange(call, stream, lens, 0));
        }
        streams.join_all().await;
    }
}

/// 200 streams that are all open at once and then interleave.
async fn two_hundred(case: &str, pair: &GrpcPair, client: &GrpcClient) {
    let mut open = Vec::new();
    for stream in 0..200 {
        let mut call = client.open(METHOD, &pair.to()).await.unwrap();
        call.tx.send(message(stream, 0, 10)).await.unwrap();
        open.push(call);
    }
    for (stream, call) in open.iter_mut().enumerate() {
        let got = call.rx.message().await.unwrap();
        let same = got.as_deref() == Some(&message(stream, 0, 10)[..]);
        assert!(same, "{case} {stream}: {got:?}");
    }
    let calls = pair.app.calls();
    let running = calls.iter().filter(|call| !call.half_closed).count();
    assert_eq!(running, 200, "{case}");
    let mut streams = JoinSet::new();
    for (stream, call) in open.into_iter().enumerate() {
        let lens = (0..20).map(|n| (n * 37 + stream * 101) % 3000).collect();
        streams.spawn(exchange(call, stream, lens, stream % 8));
    }
    streams.join_all().await;
    let done = pair.app.wait_done(200).await.unwrap();
    assert_eq!(done.len(), 200, "{case}");
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn two_hundred_streams_keep_their_own_bytes() {
    for way in BOTH {
        let unlimited = GrpcApp::builder();
        let hundred = GrpcApp::builder().max_concurrent_streams(100);
        for (kind, app) in [("any number", unlimited), ("a hundred", hundred)] {
            let app = app.start(|_| GrpcScript::new().echo().ok()).await.unwrap();
            let pair = GrpcPair::grpc(way, app).await;
            let client = client_of(&pair).await;
            two_hundred(&format!("{way:?}, {kind}"), &pair, &client).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn two_hundred_calls_by_name_at_once_are_all_answered() {
    for way in BOTH {
        let gate = Gate::new();
        let held = gate.clone();
        let app = GrpcApp::builder().max_concurrent_streams(100);
        let app = app.start(move |call| {
            let held = held.clone();
            let call = echo_any(call);
            GrpcScript::new()
                .wait(&held)
                .and_then(move |_| call.clone())
        });
        let pair = GrpcPair::grpc(way, app.await.unwrap()).await;
        let client = client_of(&pair).await;
        let mut calls = JoinSet::new();
        for number in 0..200 {
            let client = client.clone();
            let body = message(number, 0, number * 50);
            let req = invoke_request(pair.callee.app_id(), "x", &body);
            calls.spawn(async move {
                let answer = invoke_service(&client, &req, PLAIN).await;
                let rsp = invoked(&number.to_string(), &answer);
                assert!(rsp.data.unwrap().value == body, "{number}");
            });
        }
        gate.reached_times(200).await.unwrap();
        gate.open();
        calls.join_all().await;
    }
}

/// Calls that must go through, whatever else is stuck.
async fn others_get_through(case: &str, pair: &GrpcPair, client: &GrpcClient) {
    for i in 0..100 {
        let answer = client.unary("/t/Other", &pair.to(), "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{case}, call {i}");
        assert_eq!(answer.messages, ["x"], "{case}, call {i}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_client_that_does_not_read_stalls_nobody() {
    const N: u32 = 10_000;
    for way in BOTH {
        let pair = GrpcPair::start(way, |call| match &*call.path {
            "/t/Flood" => GrpcScript::new().numbered(N, 16).ok(),
            _ => GrpcScript::new().echo().ok(),
        })
        .await;
        let client = client_of(&pair).await;
        let mut stuck = Vec::new();
        for _ in 0..4 {
            let mut call = client.open("/t/Flood", &pair.to()).await.unwrap();
            call.tx.half_close();
            call.rx.head().await.unwrap();
            stuck.push(call);
        }
        others_get_through(&format!("{way:?}"), &pair, &client).await;
        for call in stuck {
            let answer = call.rx.finish().await.unwrap();
            let end = (answer.status(), answer.messages.len());
            assert_eq!(end, ((OK, ""), N as usize), "{way:?}");
            for (i, message) in (0..N).zip(&answer.messages) {
                assert_eq!(message[..4], i.to_be_bytes(), "{way:?}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_app_that_does_not_read_stalls_nobody() {
    const N: usize = 10_000;
    for way in BOTH {
        let gate = Gate::new();
        let held = gate.clone();
        let pair = GrpcPair::start(way, move |call| match &*call.path {
            "/t/Deaf" => GrpcScript::new().wait(&held).read_all().ok(),
            _ => GrpcScript::new().echo().ok(),
        })
        .await;
        let client = client_of(&pair).await;
        let call = client.open("/t/Deaf", &pair.to()).await.unwrap();
        let (mut tx, rx) = call.split();
        let sending = tokio::spawn(async move {
            for i in 0..N {
                tx.send(i.to_be_bytes()).await.unwrap();
            }
            tx.half_close();
            tx
        });
        gate.reached().await.unwrap();
        others_get_through(&format!("{way:?}"), &pair, &client).await;
        gate.open();
        let _tx = sending.await.unwrap();
        assert_eq!(rx.finish().await.unwrap().status(), (OK, ""), "{way:?}");
        let calls = pair.app.calls();
        let deaf = calls.iter().find(|call| call.path == "/t/Deaf").unwrap();
        let seen = deaf.messages();
        assert_eq!(seen.len(), N, "{way:?}");
        let ordered = (0..N).zip(&seen).all(|(i, got)| got[..] == i.to_be_bytes());
        assert!(ordered, "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn calls_of_every_form_share_the_way() {
    for way in BOTH {
        let app = GrpcApp::start(echo_any).await.unwrap();
        let pair = std::sync::Arc::new(Pair::grpc(way, app).await);
        let client = client_of(&pair).await;
        let mut calls = JoinSet::new();
        for number in 0..150 {
            let (pair, client) = (std::sync::Arc::clone(&pair), client.clone());
            calls.spawn(async move {
                let body = message(number, 1, number * 200);
                let case = format!("{way:?} {number}");
                match number % 3 {
                    0 => {
                        let rsp = pair.call("POST", "x", &[], &body).await;
                        assert_eq!(rsp.status(), 200, "{case}");
                        assert!(rsp.body == body, "{case}");
                    }
                    1 => {
                        let req = invoke_request(pair.callee.app_id(), "x", &body);
                        let answer = invoke_service(&client, &req, PLAIN).await;
                        assert!(invoked(&case, &answer).data.unwrap().value == body);
                    }
                    _ => {
                        let answer = client.unary(METHOD, &pair.to(), &body).await.unwrap();
                        assert_eq!(answer.status(), (OK, ""), "{case}");
                        assert!(answer.messages == [&body[..]], "{case}");
                    }
                }
            });
        }
        calls.join_all().await;
    }
}
