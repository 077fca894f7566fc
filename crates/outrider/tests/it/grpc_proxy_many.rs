//! Many proxied streams at once: each keeps its own bytes, and none waits for another (contract
//! `grpc-api.md` 9.7; `dependencies` of HTTP/2 libraries on slow readers).

use std::collections::HashSet;

use outrider_testkit::{Gate, GrpcApp, GrpcClient, GrpcScript, GrpcStream};
use proptest::collection::vec;
use proptest::test_runner::{Config, TestRunner};
use tokio::task::JoinSet;

use crate::grpc_support::{GrpcMesh, METHOD, OK};

/// A message that no other stream and no other place has.
fn message(stream: usize, number: usize, len: usize) -> Vec<u8> {
    let mut bytes = format!("{stream}/{number}:").into_bytes();
    let seed = stream.wrapping_mul(31).wrapping_add(number);
    bytes.extend((0..len).map(|i| (i.wrapping_add(seed) % 251) as u8));
    bytes
}

/// Sends the messages of one stream, `ahead` before the first is read back, and checks each.
async fn exchange(mut call: GrpcStream, stream: usize, lens: Vec<usize>, ahead: usize) {
    for number in 0..lens.len() + ahead {
        if let Some(len) = lens.get(number) {
            call.tx.send(message(stream, number, *len)).await.unwrap();
        }
        let Some(back) = number.checked_sub(ahead) else {
            continue;
        };
        let got = call.rx.message().await.unwrap();
        let wanted = message(stream, back, lens[back]);
        assert!(
            got.as_deref() == Some(&wanted[..]),
            "stream {stream}, message {back}"
        );
    }
    call.tx.half_close();
    let answer = call.rx.finish().await.unwrap();
    assert_eq!(
        (answer.status(), answer.messages.len()),
        ((OK, ""), 0),
        "stream {stream}"
    );
}

#[tokio::test]
async fn a_storm_of_cancelled_calls_leaves_the_connection_to_the_others() {
    // The app answers just when callers give up, so that answers meet streams that are gone.
    let mesh = GrpcMesh::start(|call| match call.values("x-storm").is_empty() {
        true => GrpcScript::new().echo().ok(),
        false => GrpcScript::new().numbered(50, 200).hang(),
    })
    .await;
    for (way, client) in mesh.ways() {
        let mut beside = client.open(METHOD, &mesh.to()).await.unwrap();
        for round in 0..8 {
            let mut storm = Vec::new();
            for _ in 0..400 {
                let metadata = mesh.to_with(&[("x-storm", "1")]);
                storm.push(client.open(METHOD, &metadata).await.unwrap());
            }
            // Some have begun to get their answers, others have not.
            assert!(storm[0].rx.message().await.unwrap().is_some());
            drop(storm);
            beside.tx.send(format!("{round}")).await.unwrap();
            let back = beside.rx.message().await.unwrap();
            assert_eq!(
                back.as_deref(),
                Some(format!("{round}").as_bytes()),
                "{way}"
            );
        }
    }
}

#[test]
fn interleaved_streams_keep_their_own_bytes() {
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mesh = rt.block_on(GrpcMesh::echo());
    let len =
        proptest::prop_oneof![4 => 0..200_usize, 2 => 0..20_000_usize, 1 => 60_000..70_000_usize];
    let plans = vec((vec(len, 0..12), 0..4_usize), 1..40);
    let config = Config {
        cases: 16,
        failure_persistence: None,
        ..Config::default()
    };
    let run = TestRunner::new(config).run(&plans, |plan| {
        rt.block_on(async {
            let others = [
                mesh.caller.grpc().await.unwrap(),
                mesh.callee.grpc().await.unwrap(),
            ];
            let clients = [&mesh.remote, &mesh.own, &others[0], &others[1]];
            let mut streams = JoinSet::new();
            for (stream, (lens, ahead)) in plan.into_iter().enumerate() {
                let client = clients[stream % clients.len()];
                let call = client.open(METHOD, &mesh.to()).await.unwrap();
                streams.spawn(exchange(call, stream, lens, ahead));
            }
            // A panic of one is a panic here.
            streams.join_all().await;
        });
        Ok(())
    });
    run.unwrap();
}

#[tokio::test]
async fn a_thousand_streams_are_open_at_once() {
    let mesh = GrpcMesh::echo().await;
    for (way, client) in mesh.ways() {
        let mut open = Vec::new();
        for stream in 0..1000 {
            let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
            call.tx.send(message(stream, 0, 10)).await.unwrap();
            open.push(call);
        }
        for (stream, call) in open.iter_mut().enumerate() {
            let got = call.rx.message().await.unwrap();
            assert_eq!(got.as_deref(), Some(&message(stream, 0, 10)[..]), "{way}");
        }
        let calls = mesh.app.calls();
        assert!(
            calls.iter().all(|call| !call.half_closed),
            "{way}: all are open"
        );
        let mut streams = JoinSet::new();
        for (stream, call) in open.into_iter().enumerate() {
            streams.spawn(exchange(call, stream, vec![20; 5], 2));
        }
        streams.join_all().await;
        assert_eq!(mesh.app.wait_done(1000).await.unwrap().len(), 1000, "{way}");
        mesh.app.clear();
    }
}

/// Calls that must go through, whatever else is stuck.
async fn others_get_through(way: &str, mesh: &GrpcMesh, client: &GrpcClient) {
    for i in 0..100 {
        let answer = client.unary("/t/Other", &mesh.to(), "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}, call {i}");
        assert_eq!(answer.messages, ["x"], "{way}, call {i}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_stalls_nobody() {
    const N: u32 = 10_000;
    let mesh = GrpcMesh::start(|call| match &*call.path {
        "/t/Flood" => GrpcScript::new().numbered(N, 16).ok(),
        _ => GrpcScript::new().echo().ok(),
    })
    .await;
    for (way, client) in mesh.ways() {
        let mut stuck = Vec::new();
        for _ in 0..4 {
            let mut call = client.open("/t/Flood", &mesh.to()).await.unwrap();
            call.tx.half_close();
            call.rx.head().await.unwrap();
            stuck.push(call);
        }
        others_get_through(way, &mesh, client).await;
        for call in stuck {
            let answer = call.rx.finish().await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{way}");
            assert_eq!(answer.messages.len(), N as usize, "{way}");
            for (i, message) in (0..N).zip(&answer.messages) {
                assert_eq!(message[..4], i.to_be_bytes(), "{way}");
            }
        }
    }
}

#[tokio::test]
async fn an_app_that_does_not_read_stalls_nobody() {
    const N: usize = 10_000;
    for way in [0, 1] {
        let gate = Gate::new();
        let held = gate.clone();
        let mesh = GrpcMesh::start(move |call| match &*call.path {
            "/t/Deaf" => GrpcScript::new()
                .initial(&[("x", "1")])
                .wait(&held)
                .read_all()
                .ok(),
            _ => GrpcScript::new().echo().ok(),
        })
        .await;
        let (way, client) = mesh.ways()[way];
        let call = client.open("/t/Deaf", &mesh.to()).await.unwrap();
        let (mut tx, rx) = call.split();
        let sending = tokio::spawn(async move {
            for i in 0..N {
                tx.send(i.to_be_bytes()).await.unwrap();
            }
            tx.half_close();
            tx
        });
        gate.reached().await.unwrap();
        others_get_through(way, &mesh, client).await;
        gate.open();
        let _tx = sending.await.unwrap();
        assert_eq!(rx.finish().await.unwrap().status(), (OK, ""), "{way}");
        let calls = mesh.app.calls();
        let deaf = calls.iter().find(|call| call.path == "/t/Deaf").unwrap();
        let messages = deaf.messages();
        assert_eq!(messages.len(), N, "{way}");
        for (i, message) in messages.iter().enumerate() {
            assert_eq!(message[..], i.to_be_bytes(), "{way}");
        }
    }
}

#[tokio::test]
async fn back_pressure_reaches_the_app() {
    // Nobody reads: what is under way is bounded by windows, not by how much the app has.
    let mesh = GrpcMesh::start(|_| GrpcScript::new().numbered(64, 1 << 20).ok()).await;
    for (way, client) in mesh.ways() {
        let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
        call.tx.half_close();
        call.rx.head().await.unwrap();
        // Other calls give the stream time enough to run full, if it can.
        mesh.app.answer_once(GrpcScript::reply("x"));
        let answer = client.unary(METHOD, &mesh.to(), "").await.unwrap();
        assert_eq!(answer.messages, ["x"], "{way}");
        let flood = mesh.app.calls().into_iter().next().unwrap();
        assert!(!flood.done, "{way}: 64 MiB went out without a reader");
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(
            (answer.status(), answer.messages.len()),
            ((OK, ""), 64),
            "{way}"
        );
        mesh.app.clear();
    }
}

#[tokio::test]
async fn streams_beyond_what_the_app_allows_open_more_connections() {
    let app = GrpcApp::builder().max_concurrent_streams(100);
    let app = app.start(|_| GrpcScript::new().echo().ok()).await.unwrap();
    let mesh = GrpcMesh::around(app).await;
    for (way, client) in mesh.ways() {
        let mut open = Vec::new();
        for stream in 0..250 {
            let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
            call.tx.send(message(stream, 0, 10)).await.unwrap();
            open.push(call);
        }
        for (stream, call) in open.iter_mut().enumerate() {
            let got = call.rx.message().await.unwrap();
            assert_eq!(got.as_deref(), Some(&message(stream, 0, 10)[..]), "{way}");
        }
        let used: HashSet<_> = mesh
            .app
            .calls()
            .iter()
            .map(|call| call.connection)
            .collect();
        assert!(used.len() >= 3, "{way}: {used:?}");
        for call in &mut open {
            call.tx.half_close();
        }
        for call in open {
            assert_eq!(call.rx.finish().await.unwrap().status(), (OK, ""), "{way}");
        }
        mesh.app.wait_done(250).await.unwrap();
        mesh.app.clear();
    }
}

/// Another connection would have no place to give either.
#[tokio::test]
async fn an_app_that_takes_no_call_for_now_is_not_dialled_for_each() {
    let app = GrpcApp::builder().max_concurrent_streams(0);
    let app = app.start(|_| GrpcScript::reply("m")).await.unwrap();
    let mesh = GrpcMesh::around(app).await;
    for (way, client) in mesh.ways() {
        for _ in 0..4 {
            let metadata = mesh.to_with(&[("grpc-timeout", "50m")]);
            let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
            assert_eq!(answer.code, Some(4), "{way}: {answer:?}");
        }
    }
    // The first one only looked whether the port answers.
    assert!(mesh.app.connections() <= 2);
}
