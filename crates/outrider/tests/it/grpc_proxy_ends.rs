//! Proxied gRPC calls that end badly or early: deadlines, cancellation, limits, errors, broken
//! connections, calls for others (contract `grpc-api.md` 9.5 to 9.7, `sidecar-protocol.md` 12).

use h2::Reason;
use outrider_testkit::grpc::Refusal;
use outrider_testkit::{Gate, GrpcApp, GrpcClient, GrpcScript, RawApp, Sidecar, Signal};

use crate::grpc_support::{
    CANCELED, DEADLINE, DENIED, EXHAUSTED, GrpcMesh, INTERNAL, INVALID, METHOD, OK, PLAIN,
    UNAVAILABLE, UNIMPLEMENTED, UNKNOWN, millis, sidecar,
};
use crate::peer::announce;
use crate::support::{closed_port, eventually};

#[tokio::test]
async fn what_is_left_of_a_deadline_is_told_to_the_app() {
    let mesh = GrpcMesh::echo().await;
    for (way, client) in mesh.ways() {
        for sent in ["100S", "90000m", "95000000u", "2M"] {
            let metadata = mesh.to_with(&[("grpc-timeout", sent)]);
            let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{way} {sent}");
            let seen = mesh.app.take().await.unwrap().values("grpc-timeout");
            assert_eq!(seen.len(), 1, "{way} {sent}");
            let (left, sent) = (millis(&seen[0]), millis(sent));
            assert!(
                left <= sent && left > sent - 60_000,
                "{way}: {left} of {sent}"
            );
        }
        let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}");
        let seen = mesh.app.take().await.unwrap();
        assert!(seen.values("grpc-timeout").is_empty(), "{way}: {seen:?}");
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_the_app_hears_of_it() {
    let mesh = GrpcMesh::start(|_| GrpcScript::new().hang()).await;
    for (way, client) in mesh.ways() {
        for script in [
            GrpcScript::new().hang(),
            GrpcScript::new().message("begun").hang(),
            GrpcScript::new().read_all().hang(),
        ] {
            mesh.app.clear();
            mesh.app.answer_once(script);
            let metadata = mesh.to_with(&[("grpc-timeout", "300m")]);
            let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
            assert_eq!(answer.code, Some(DEADLINE), "{way}: {answer:?}");
            let seen = mesh.app.wait_call("given up", |call| call.broken).await;
            assert!(seen.is_ok(), "{way}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_cancels_or_vanishes_ends_the_call_at_the_app() {
    let mesh = GrpcMesh::start(|_| GrpcScript::new().hang()).await;
    let caller = mesh.caller.ports().grpc;
    let own = mesh.callee.ports().grpc;
    for (way, port) in [("remote", caller), ("own", own)] {
        for vanishes in [false, true] {
            for script in [
                GrpcScript::new().hang(),
                GrpcScript::new().message("begun").hang(),
                GrpcScript::new().read_all(),
            ] {
                mesh.app.clear();
                mesh.app.answer_once(script);
                let client = GrpcClient::connect(port).await.unwrap();
                let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
                call.tx.send("x").await.unwrap();
                mesh.app.wait_call("any", |_| true).await.unwrap();
                if !vanishes {
                    call.tx.reset(Reason::CANCEL);
                }
                let kept = (!vanishes).then_some((client, call));
                let seen = mesh.app.wait_call("given up", |call| call.broken).await;
                assert!(seen.is_ok(), "{way} vanishes: {vanishes}");
                drop(kept);
            }
        }
    }
    // Nothing else of the connections is hurt.
    mesh.app.handle(|_| GrpcScript::reply("x"));
    for (way, client) in mesh.ways() {
        let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}");
    }
}

#[tokio::test]
async fn the_message_limit_holds_both_ways() {
    const LIMIT: usize = 2 << 20;
    let app = GrpcApp::start(|call| {
        let size: usize = call.path[3..].parse().unwrap();
        GrpcScript::new().read_all().message(vec![b'a'; size]).ok()
    });
    let limit = |sidecar: outrider_testkit::SidecarBuilder| sidecar.flag("--max-body-size=2Mi");
    let mesh = GrpcMesh::with(app.await.unwrap(), limit, limit).await;
    let over = format!(
        "grpc: received message larger than max ({} vs. {LIMIT})",
        LIMIT + 1
    );
    for (way, client) in mesh.ways() {
        for (request, response, expected) in [
            (LIMIT, 0, (OK, "")),
            (0, LIMIT, (OK, "")),
            (LIMIT + 1, 0, (EXHAUSTED, &*over)),
            (0, LIMIT + 1, (EXHAUSTED, &*over)),
        ] {
            let path = format!("/s/{response}");
            let message = vec![b'r'; request];
            let answer = client.unary(&path, &mesh.to(), message).await.unwrap();
            assert_eq!(answer.status(), expected, "{way} {request} {response}");
            if expected.0 == OK {
                assert_eq!(answer.messages[0].len(), response, "{way}");
            }
        }
        // It is for a message, not for a call.
        let mut call = client.open("/s/1", &mesh.to()).await.unwrap();
        for _ in 0..3 {
            call.tx.send(vec![b'r'; LIMIT / 2]).await.unwrap();
        }
        call.tx.half_close();
        assert_eq!(call.rx.finish().await.unwrap().status(), (OK, ""), "{way}");
    }
}

#[tokio::test]
async fn a_call_that_cannot_be_routed_says_why() {
    let app = GrpcApp::echo().await.unwrap();
    let mesh = GrpcMesh::around(app).await;
    let missing = "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata";
    let required =
        "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found";
    let callback = "/dapr.proto.runtime.v1.AppCallback/OnInvoke";
    for (way, client) in mesh.ways() {
        for (path, metadata, expected) in [
            (METHOD, PLAIN, (UNKNOWN, missing)),
            ("/grpc.health.v1.Health/Check", PLAIN, (UNKNOWN, missing)),
            (callback, PLAIN, (UNKNOWN, required)),
            (METHOD, &[("dapr-app-id", "")], (UNKNOWN, "app id is empty")),
            (
                METHOD,
                &[("dapr-app-id", "a.b.c")],
                (UNKNOWN, "invalid app id a.b.c"),
            ),
            (
                "/x",
                &mesh.to(),
                (UNIMPLEMENTED, "malformed method name: \"/x\""),
            ),
        ] {
            let answer = client.unary(path, metadata, "x").await.unwrap();
            assert_eq!(answer.status(), expected, "{way} {path} {metadata:?}");
            assert!(answer.messages.is_empty(), "{way} {path}");
        }
        let path = "/pkg.Svc/Do?x";
        let answer = client.unary(path, &mesh.to(), "x").await.unwrap();
        let text = "invalid method: method contains forbidden character: \"/pkg.Svc/Do?x\"";
        assert_eq!(answer.status(), (INVALID, text), "{way}");
    }
    assert!(mesh.app.calls().is_empty());
}

#[tokio::test]
async fn an_app_that_nobody_knows_is_named_in_the_error() {
    let nobody = outrider_testkit::unique_id("nobody");
    let sidecar = sidecar().start().await.unwrap();
    let client = sidecar.grpc().await.unwrap();
    let answer = client.unary(METHOD, &[("dapr-app-id", &nobody)], "x").await;
    let answer = answer.unwrap();
    let (code, text) = answer.status();
    assert_eq!(code, UNKNOWN, "{text}");
    assert!(text.contains(&nobody), "{text}");
}

fn refused(port: u16) -> String {
    format!(
        "connection error: desc = \"transport: Error while dialing: dial tcp 127.0.0.1:{port}: \
         connect: connection refused\""
    )
}

#[tokio::test]
async fn an_app_that_cannot_be_reached_is_unavailable_until_it_is_back() {
    let mesh = GrpcMesh::echo().await;
    let GrpcMesh {
        app,
        remote,
        own,
        callee,
        ..
    } = &mesh;
    let port = app.port();
    let to = [("dapr-app-id", callee.app_id())];
    for client in [remote, own] {
        client.unary(METHOD, &to, "x").await.unwrap();
    }
    let GrpcMesh {
        app,
        remote,
        own,
        callee,
        caller,
    } = mesh;
    let to = [("dapr-app-id", callee.app_id())];
    app.stop().await;
    let held = closed_port(port);
    for (way, client) in [("remote", &remote), ("own", &own)] {
        let mut last = String::new();
        // The first may still be caught by the end of the old connection.
        eventually("connection refused", async || {
            let answer = client.unary(METHOD, &to, "x").await.unwrap();
            assert_eq!(answer.code, Some(UNAVAILABLE), "{way}: {answer:?}");
            last = answer.text;
            last == refused(port)
        })
        .await;
    }
    drop(held);
    let app = GrpcApp::builder().port(port);
    let app = app.start(|_| GrpcScript::reply("back")).await.unwrap();
    for client in [&remote, &own] {
        eventually("the app is found again", async || {
            let answer = client.unary(METHOD, &to, "x").await.unwrap();
            answer.code == Some(OK) && answer.messages == ["back"]
        })
        .await;
    }
    drop((app, caller));
}

#[tokio::test]
async fn without_an_app_port_a_call_to_oneself_is_unavailable() {
    let sidecar = sidecar().start().await.unwrap();
    let client = sidecar.grpc().await.unwrap();
    let to = [("dapr-app-id", sidecar.app_id())];
    let answer = client.unary(METHOD, &to, "x").await.unwrap();
    assert_eq!(answer.status(), (UNAVAILABLE, &*refused(0)));
}

#[tokio::test]
async fn an_http_app_is_no_grpc_app() {
    let app = RawApp::echo().await.unwrap();
    let sidecar = sidecar().app_port(app.port()).start().await.unwrap();
    let client = sidecar.grpc().await.unwrap();
    let to = [("dapr-app-id", sidecar.app_id())];
    let answer = client.unary(METHOD, &to, "x").await.unwrap();
    let (code, text) = answer.status();
    assert_eq!(code, UNAVAILABLE, "{text}");
    let begin = "connection error: desc = \"error reading server preface: ";
    assert!(text.starts_with(begin), "{text}");
}

#[tokio::test]
async fn a_peer_that_cannot_be_reached_is_unavailable() {
    let (_held, port) = closed_port(0);
    let id = outrider_testkit::unique_id("gone");
    let _entry = announce(&id, port);
    let sidecar = sidecar().start().await.unwrap();
    let client = sidecar.grpc().await.unwrap();
    let answer = client
        .unary(METHOD, &[("dapr-app-id", &id)], "x")
        .await
        .unwrap();
    let (code, text) = answer.status();
    assert_eq!(code, UNAVAILABLE, "{text}");
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
}

#[tokio::test]
async fn a_peer_or_an_app_that_breaks_off_makes_the_call_unavailable() {
    let mesh = GrpcMesh::echo().await;
    for (way, client) in mesh.ways() {
        let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
        call.tx.send("x").await.unwrap();
        assert!(call.rx.message().await.unwrap().is_some());
        mesh.app.cut();
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(answer.code, Some(UNAVAILABLE), "{way}: {answer:?}");
        // And the next call finds a fresh connection.
        eventually("a fresh connection", async || {
            let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
            answer.code == Some(OK)
        })
        .await;
    }
    let mut call = mesh.remote.open(METHOD, &mesh.to()).await.unwrap();
    call.tx.send("x").await.unwrap();
    assert!(call.rx.message().await.unwrap().is_some());
    mesh.callee.signal(Signal::Kill).unwrap();
    let answer = call.rx.finish().await.unwrap();
    assert_eq!(answer.code, Some(UNAVAILABLE), "{answer:?}");
}

#[tokio::test]
async fn a_reset_by_the_app_becomes_a_status() {
    let mesh = GrpcMesh::echo().await;
    for (reason, code) in [
        (Reason::NO_ERROR, INTERNAL),
        (Reason::PROTOCOL_ERROR, INTERNAL),
        (Reason::INTERNAL_ERROR, INTERNAL),
        (Reason::CANCEL, CANCELED),
        (Reason::ENHANCE_YOUR_CALM, EXHAUSTED),
        (Reason::INADEQUATE_SECURITY, DENIED),
        (Reason::REFUSED_STREAM, UNAVAILABLE),
    ] {
        for (way, client) in mesh.ways() {
            // Behind a message that has arrived, so that nobody may try again.
            let gate = Gate::new();
            let script = GrpcScript::new().message("m").wait(&gate).reset(reason);
            mesh.app.answer_once(script);
            let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
            assert!(call.rx.message().await.unwrap().is_some(), "{way}");
            gate.open();
            let answer = call.rx.finish().await.unwrap();
            assert_eq!(answer.code, Some(code), "{way} {reason:?}: {answer:?}");
        }
    }
    assert_eq!(mesh.app.calls().len(), 7 * 2, "nothing was repeated");
}

#[tokio::test]
async fn a_bad_message_behind_good_ones_fails_the_call() {
    let mesh = GrpcMesh::echo().await;
    for (way, client) in mesh.ways() {
        for (bad, code) in [
            (&b"\x02\0\0\0\x01x"[..], INTERNAL),
            (b"\x01\0\0\0\x01x", INTERNAL),
            (b"\0\0\0\0\x05ab", INTERNAL),
        ] {
            let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
            call.tx.send("good").await.unwrap();
            call.tx.send_raw(bad).await.unwrap();
            call.tx.half_close();
            let answer = call.rx.finish().await.unwrap();
            assert_eq!(answer.code, Some(code), "{way} {bad:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn what_an_app_never_looked_at_is_sent_again_unseen() {
    for way in [0, 1] {
        let app = GrpcApp::builder().refuse_first(Refusal::GoAway);
        let app = app.start(|_| GrpcScript::new().echo().ok()).await.unwrap();
        let mesh = GrpcMesh::around(app).await;
        let (way, client) = mesh.ways()[way];
        let answer = client.unary(METHOD, &mesh.to(), "body").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}, goodbye");
        assert_eq!(answer.messages, ["body"], "{way}, goodbye");
        assert_eq!(mesh.app.take().await.unwrap().messages(), ["body"], "{way}");

        mesh.app
            .answer_once(GrpcScript::new().reset(Reason::REFUSED_STREAM));
        let answer = client.unary(METHOD, &mesh.to(), "body").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}, refused");
        assert_eq!(answer.messages, ["body"], "{way}, refused");
        assert_eq!(mesh.app.calls().len(), 2, "{way}: one refused, one served");
    }
}

#[tokio::test]
async fn an_app_that_says_goodbye_ends_what_it_has_and_gets_the_rest_anew() {
    let mesh = GrpcMesh::start(|_| GrpcScript::reply("new")).await;
    for (way, client) in mesh.ways() {
        mesh.app.answer_once(
            GrpcScript::new()
                .read_message()
                .message("a")
                .go_away(Reason::NO_ERROR)
                .echo()
                .ok(),
        );
        let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
        call.tx.send("x").await.unwrap();
        assert_eq!(call.rx.message().await.unwrap().as_deref(), Some(&b"a"[..]));
        for _ in 0..20 {
            let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{way}");
        }
        call.tx.send("y").await.unwrap();
        call.tx.half_close();
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}");
        assert_eq!(answer.messages, ["y"], "{way}");
    }
}

/// A client of the port for other sidecars.
async fn peer_of(sidecar: &Sidecar) -> GrpcClient {
    GrpcClient::connect(sidecar.ports().internal).await.unwrap()
}

#[tokio::test]
async fn peers_reach_the_own_app_by_either_name() {
    let mesh = GrpcMesh::echo().await;
    let peer = peer_of(&mesh.callee).await;
    let caller = ("dapr-caller-app-id", "old-peer");
    for name in ["dapr-callee-app-id", "dapr-app-id"] {
        let metadata = [(name, mesh.id()), caller, ("x-a", "1")];
        let answer = peer.unary(METHOD, &metadata, "x").await.unwrap();
        assert_eq!(
            (answer.status(), answer.messages.len()),
            ((OK, ""), 1),
            "{name}"
        );
        let seen = mesh.app.take().await.unwrap();
        assert_eq!(seen.values("dapr-caller-app-id"), ["old-peer"], "{name}");
        assert_eq!(seen.values("x-a"), ["1"], "{name}");
        assert!(seen.values("dapr-app-id").is_empty(), "{name}");
    }
    let answer = peer.unary(METHOD, PLAIN, "x").await.unwrap();
    assert_eq!(answer.code, Some(UNKNOWN), "{answer:?}");
    assert!(mesh.app.calls().is_empty());
}

/// Peers of the reference put their own name behind what their client says (contract `grpc-api.md`
/// 9.2, Weakness).
#[tokio::test]
async fn of_several_callers_the_app_hears_of_the_last() {
    let mesh = GrpcMesh::echo().await;
    let peer = peer_of(&mesh.callee).await;
    let named = |name| ("dapr-caller-app-id", name);
    let to = ("dapr-callee-app-id", mesh.id());
    let metadata = [named("forged"), to, named("forged-too"), named("old-peer")];
    let answer = peer.unary(METHOD, &metadata, "x").await.unwrap();
    assert_eq!(answer.status(), (OK, ""));
    let seen = mesh.app.take().await.unwrap();
    assert_eq!(seen.values("dapr-caller-app-id"), ["old-peer"]);
}

#[tokio::test]
async fn a_sidecar_is_no_relay_to_a_third() {
    let mesh = GrpcMesh::echo().await;
    let third = GrpcMesh::echo().await;
    let peer = peer_of(&mesh.callee).await;
    for metadata in [
        vec![("dapr-callee-app-id", third.id())],
        vec![("dapr-app-id", third.id())],
        // The callee's name decides.
        vec![
            ("dapr-app-id", mesh.id()),
            ("dapr-callee-app-id", third.id()),
        ],
    ] {
        let answer = peer.unary(METHOD, &metadata, "x").await.unwrap();
        assert_eq!(answer.code, Some(DENIED), "{metadata:?}: {answer:?}");
        assert!(answer.messages.is_empty(), "{metadata:?}");
    }
    // The way through the front door is open, so it is not for want of a way.
    let answer = mesh.own.unary(METHOD, &third.to(), "x").await.unwrap();
    assert_eq!(answer.status(), (OK, ""));
    assert_eq!((mesh.app.calls().len(), third.app.calls().len()), (0, 1));
}
