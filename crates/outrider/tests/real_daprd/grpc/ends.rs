//! Calls passed through that end early or badly: limits, deadlines, cancellation, resets (contract
//! `grpc-api.md` 9.2, 9.5 to 9.7).

use h2::Reason;
use outrider_testkit::{Gate, GrpcApp, GrpcClient, GrpcScript, SidecarBuilder};

use super::{GrpcPair, client_of, eventually};
use crate::grpc_support::{
    CANCELED, DEADLINE, DENIED, EXHAUSTED, INTERNAL, METHOD, OK, UNAVAILABLE, invoke_request,
    invoke_service, millis,
};
use crate::pair::{BOTH, Pair, Way};

const MIB: usize = 1 << 20;

/// An app that answers `/s/<n>` with a message of `n` bytes, between sidecars with these limits.
async fn limited(way: Way, caller: &'static str, callee: &'static str) -> GrpcPair {
    let app = GrpcApp::start(|call| {
        let size: usize = call.path[3..].parse().unwrap();
        GrpcScript::new().read_all().message(vec![b'a'; size]).ok()
    });
    let app = app.await.unwrap();
    let port = app.port();
    let limit = |sidecar: SidecarBuilder, size: &str| match size {
        "" => sidecar,
        _ => sidecar.flag(format!("--max-body-size={size}")),
    };
    Pair::between(
        way,
        app,
        port,
        |sidecar| limit(sidecar, caller),
        |sidecar| limit(sidecar.app_protocol("grpc"), callee),
    )
    .await
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn messages_pass_up_to_the_limit_of_each_hop_and_no_further() {
    for way in BOTH {
        for (caller, callee, limit) in [
            ("", "", 4 * MIB),
            ("2Mi", "", 2 * MIB),
            ("", "2Mi", 2 * MIB),
            ("16Mi", "16Mi", 16 * MIB),
        ] {
            let pair = limited(way, caller, callee).await;
            let client = client_of(&pair).await;
            let over = format!(
                "grpc: received message larger than max ({} vs. {limit})",
                limit + 1
            );
            for (request, response, expected) in [
                (limit, 0, (OK, "")),
                (0, limit, (OK, "")),
                (limit, limit, (OK, "")),
                (limit + 1, 0, (EXHAUSTED, &*over)),
                (0, limit + 1, (EXHAUSTED, &*over)),
                (1, 1, (OK, "")),
            ] {
                let case = format!("{way:?} {caller} {callee}: {request} {response}");
                pair.app.clear();
                let path = format!("/s/{response}");
                let message = vec![b'r'; request];
                let answer = client.unary(&path, &pair.to(), message).await.unwrap();
                assert_eq!(answer.status(), expected, "{case}");
                if expected.0 == OK {
                    assert_eq!(answer.messages[0].len(), response, "{case}");
                    let seen = pair.app.take().await.unwrap().messages();
                    assert_eq!((seen.len(), seen[0].len()), (1, request), "{case}");
                }
            }
            // It is for a message, not for a call.
            let mut call = client.open("/s/1", &pair.to()).await.unwrap();
            for _ in 0..3 {
                call.tx.send(vec![b'r'; limit / 2]).await.unwrap();
            }
            call.tx.half_close();
            let answer = call.rx.finish().await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{way:?} {caller} {callee}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn what_is_left_of_a_deadline_is_told_to_the_app() {
    for way in BOTH {
        let pair = GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await;
        let client = client_of(&pair).await;
        for sent in ["100S", "90000m", "95000000u", "2M"] {
            let metadata = pair.to_with(&[("grpc-timeout", sent)]);
            let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{way:?} {sent}");
            let seen = pair.app.take().await.unwrap().values("grpc-timeout");
            assert_eq!(seen.len(), 1, "{way:?} {sent}");
            let (left, sent) = (millis(&seen[0]), millis(sent));
            let less = left <= sent && left > sent - 60_000;
            assert!(less, "{way:?}: {left} of {sent}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_deadline_ends_the_call_on_both_ends() {
    for way in BOTH {
        let pair = GrpcPair::start(way, |_| GrpcScript::new().hang()).await;
        let client = client_of(&pair).await;
        for script in [
            GrpcScript::new().hang(),
            GrpcScript::new().message("begun").hang(),
            GrpcScript::new().read_all().hang(),
        ] {
            pair.app.clear();
            pair.app.answer_once(script);
            let metadata = pair.to_with(&[("grpc-timeout", "1500m")]);
            let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
            match way {
                Way::OursToDaprd => assert_eq!(answer.code, Some(DEADLINE), "{answer:?}"),
                // Daprd resets the stream, or says either.
                Way::DaprdToOurs => {
                    let ends = [None, Some(DEADLINE), Some(CANCELED)];
                    assert!(ends.contains(&answer.code), "{answer:?}");
                }
            }
            let seen = pair.app.wait_call("given up", |call| call.broken).await;
            assert!(seen.is_ok(), "{way:?}: {seen:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_deadline_ends_a_call_by_name() {
    for way in BOTH {
        let pair = GrpcPair::start(way, |_| GrpcScript::new().read_all().hang()).await;
        let client = client_of(&pair).await;
        let req = invoke_request(pair.callee.app_id(), "x", b"body");
        let timeout = [("grpc-timeout", "1500m")];
        let answer = invoke_service(&client, &req, &timeout).await;
        match way {
            Way::OursToDaprd => assert_eq!(answer.code, Some(DEADLINE), "{answer:?}"),
            // Daprd as a callee lets the app go on; we do not.
            Way::DaprdToOurs => {
                let seen = pair.app.wait_call("given up", |call| call.broken).await;
                assert!(seen.is_ok(), "{way:?}: {seen:?}");
            }
        }
        assert_eq!(pair.app.calls().len(), 1, "{way:?}: repeated");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_client_that_cancels_or_vanishes_ends_the_call_at_the_app() {
    for way in BOTH {
        let pair = GrpcPair::start(way, |_| GrpcScript::reply("x")).await;
        let client = client_of(&pair).await;
        client.unary(METHOD, &pair.to(), "x").await.unwrap();
        let before = pair.app.take().await.unwrap().connection;
        for vanishes in [false, true] {
            for script in [
                GrpcScript::new().hang(),
                GrpcScript::new().message("begun").hang(),
                GrpcScript::new().read_all(),
            ] {
                pair.app.clear();
                pair.app.answer_once(script);
                let client: GrpcClient = client_of(&pair).await;
                let mut call = client.open(METHOD, &pair.to()).await.unwrap();
                call.tx.send("x").await.unwrap();
                pair.app.wait_call("any", |_| true).await.unwrap();
                if !vanishes {
                    call.tx.reset(Reason::CANCEL);
                }
                let kept = (!vanishes).then_some((client, call));
                let seen = pair.app.wait_call("given up", |call| call.broken).await;
                assert!(seen.is_ok(), "{way:?} vanishes: {vanishes}");
                drop(kept);
            }
        }
        // Nothing else of the connections is hurt.
        pair.app.clear();
        let answer = client.unary(METHOD, &pair.to(), "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
        let after = pair.app.take().await.unwrap().connection;
        assert_eq!(after, before, "{way:?}: it was made anew");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_reset_by_the_app_becomes_a_status() {
    for way in BOTH {
        let pair = GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await;
        let client = client_of(&pair).await;
        for (reason, code) in [
            (Reason::NO_ERROR, INTERNAL),
            (Reason::PROTOCOL_ERROR, INTERNAL),
            (Reason::INTERNAL_ERROR, INTERNAL),
            (Reason::CANCEL, CANCELED),
            (Reason::ENHANCE_YOUR_CALM, EXHAUSTED),
            (Reason::INADEQUATE_SECURITY, DENIED),
            (Reason::REFUSED_STREAM, UNAVAILABLE),
        ] {
            // Behind a message that has arrived, so that nobody may try again.
            let gate = Gate::new();
            let script = GrpcScript::new().message("m").wait(&gate).reset(reason);
            pair.app.answer_once(script);
            let mut call = client.open(METHOD, &pair.to()).await.unwrap();
            assert!(call.rx.message().await.unwrap().is_some(), "{way:?}");
            gate.open();
            let answer = call.rx.finish().await.unwrap();
            assert_eq!(answer.code, Some(code), "{way:?} {reason:?}: {answer:?}");
        }
        assert_eq!(pair.app.calls().len(), 7, "{way:?}: repeated");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_app_that_breaks_off_makes_the_call_unavailable_and_is_found_again() {
    for way in BOTH {
        let pair = GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await;
        let client = client_of(&pair).await;
        let mut call = client.open(METHOD, &pair.to()).await.unwrap();
        call.tx.send("x").await.unwrap();
        assert!(call.rx.message().await.unwrap().is_some());
        pair.app.cut();
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(answer.code, Some(UNAVAILABLE), "{way:?}: {answer:?}");
        eventually("a fresh connection", async || {
            let answer = client.unary(METHOD, &pair.to(), "x").await.unwrap();
            answer.code == Some(OK)
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_app_that_is_gone_is_unavailable_until_it_is_back() {
    for way in BOTH {
        let pair = GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await;
        let client = client_of(&pair).await;
        let port = pair.app.port();
        client.unary(METHOD, &pair.to(), "x").await.unwrap();
        let to = [("dapr-app-id", pair.callee.app_id().to_owned())];
        pair.app.stop().await;
        let expected = format!(
            "connection error: desc = \"transport: Error while dialing: dial tcp \
             127.0.0.1:{port}: connect: connection refused\""
        );
        eventually("connection refused", async || {
            let answer = client.unary(METHOD, &to, "x").await.unwrap();
            assert_eq!(answer.code, Some(UNAVAILABLE), "{way:?}: {answer:?}");
            answer.text == expected
        })
        .await;
        let app = GrpcApp::builder().port(port);
        let _app = app.start(|_| GrpcScript::reply("back")).await.unwrap();
        eventually("the app is found again", async || {
            let answer = client.unary(METHOD, &to, "x").await.unwrap();
            answer.code == Some(OK) && answer.messages == ["back"]
        })
        .await;
    }
}
