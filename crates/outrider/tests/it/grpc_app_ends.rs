//! gRPC apps that answer with an error, too late, too much or not at all (contract `grpc-api.md`
//! 4.5, 4.6, 5).

use std::collections::HashSet;

use h2::Reason;
use outrider_testkit::grpc::{Refusal, to_base64};
use outrider_testkit::{Gate, GrpcApp, GrpcScript, Sidecar, request};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::grpc_support::{
    DEADLINE, EXHAUSTED, GrpcMesh, HEALTH, INTERNAL, OK, PLAIN, UNAVAILABLE, any, details,
    echo_any, error_info, invoke_request, invoke_response, invoke_service, invoked, sidecar,
};
use crate::support::{closed_port, eventually, invoke};

async fn mesh() -> GrpcMesh {
    GrpcMesh::around(GrpcApp::start(echo_any).await.unwrap()).await
}

fn sidecars(mesh: &GrpcMesh) -> [(&'static str, &Sidecar); 2] {
    [("remote", &mesh.caller), ("own", &mesh.callee)]
}

#[tokio::test]
async fn each_status_of_the_app_has_its_http_status() {
    let mesh = mesh().await;
    for (code, status) in [
        (1, 408),
        (2, 500),
        (3, 400),
        (4, 504),
        (5, 404),
        (6, 409),
        (7, 403),
        (8, 429),
        (9, 400),
        (10, 409),
        (11, 400),
        (12, 501),
        (13, 500),
        (14, 503),
        (15, 500),
        (16, 401),
        (17, 500),
        (20, 500),
    ] {
        for (way, sidecar) in sidecars(&mesh) {
            mesh.app.answer_once(
                GrpcScript::new()
                    .read_all()
                    .initial(&[("x-a", "1")])
                    .status_with(code, "50 % of ü", &[("x-t", "1")]),
            );
            let rsp = sidecar
                .call("POST", &invoke(mesh.id(), "x"), &[], b"")
                .await
                .unwrap();
            assert_eq!(rsp.status(), status, "{way} {code}: {}", rsp.text());
            let body: Value = serde_json::from_str(&rsp.text()).unwrap();
            assert_eq!(body, json!({"code": code, "message": "50 % of ü"}), "{way}");
            assert!(!rsp.headers.has("x-t"), "{way} {code}");
        }
    }
    assert_eq!(mesh.app.calls().len(), 18 * 2, "nothing was repeated");
}

#[tokio::test]
async fn each_status_of_the_app_passes_to_a_grpc_caller() {
    let mesh = mesh().await;
    let info = error_info("BECAUSE", "app", &[("k", "v")]);
    for code in (1..=17).chain([20, 99]) {
        let bytes = details(code, "why: ü", std::slice::from_ref(&info));
        let fields = [
            ("x-t", "1"),
            ("grpc-status-details-bin", &to_base64(&bytes)),
        ];
        for (way, client) in mesh.ways() {
            for script in [
                GrpcScript::new()
                    .read_all()
                    .status_with(code, "why: ü", &fields),
                GrpcScript::refuse_with(code, "why: ü", &fields),
            ] {
                mesh.app.answer_once(script);
                let req = invoke_request(mesh.id(), "x", b"");
                let answer = invoke_service(client, &req, PLAIN).await;
                assert_eq!(answer.status(), (code, "why: ü"), "{way}");
                assert_eq!(answer.details.as_deref(), Some(&bytes[..]), "{way} {code}");
                assert_eq!(answer.trailing("x-t"), ["1"], "{way} {code}");
                assert!(answer.messages.is_empty(), "{way} {code}");
            }
        }
    }
}

#[tokio::test]
async fn details_are_shown_to_http_callers_as_json() {
    let mesh = mesh().await;
    let all = [
        error_info("BECAUSE", "app", &[("k", "v")]),
        error_info("AGAIN", "", &[]),
    ];
    let bytes = details(5, "gone", &all);
    for (way, sidecar) in sidecars(&mesh) {
        let fields = [("grpc-status-details-bin", to_base64(&bytes))];
        mesh.app
            .answer_once(GrpcScript::refuse_with(5, "gone", &fields));
        let rsp = sidecar
            .call("POST", &invoke(mesh.id(), "x"), &[], b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 404, "{way}: {}", rsp.text());
        let body: Value = serde_json::from_str(&rsp.text()).unwrap();
        let kind = "type.googleapis.com/google.rpc.ErrorInfo";
        let first = json!({
            "@type": kind, "reason": "BECAUSE", "domain": "app", "metadata": {"k": "v"}
        });
        let expected = json!({
            "code": 5, "message": "gone",
            "details": [first, {"@type": kind, "reason": "AGAIN"}],
        });
        assert_eq!(body, expected, "{way}");
    }
}

#[tokio::test]
async fn a_detail_that_nobody_knows_is_named_in_the_error() {
    let mesh = mesh().await;
    let kind = "type.googleapis.com/of.Nobody";
    let bytes = details(5, "gone", &[any(kind, b"\x08\x01")]);
    for (way, sidecar) in sidecars(&mesh) {
        let fields = [("grpc-status-details-bin", to_base64(&bytes))];
        mesh.app
            .answer_once(GrpcScript::refuse_with(5, "gone", &fields));
        let rsp = sidecar
            .call("POST", &invoke(mesh.id(), "x"), &[], b"")
            .await
            .unwrap();
        let body: Value = serde_json::from_str(&rsp.text()).unwrap();
        assert_eq!(
            (rsp.status(), &body["errorCode"]),
            (500, &json!("ERR_MALFORMED_RESPONSE")),
            "{way}"
        );
        // The library puts a space of one kind or the other behind its own name.
        let text = body["message"].as_str().unwrap().replace('\u{a0}', " ");
        let wanted = format!("google.protobuf.Any: unable to resolve \"{kind}\": not found");
        assert!(text.ends_with(&wanted), "{way}: {text}");
    }
}

#[tokio::test]
async fn an_app_that_cannot_be_reached_is_unavailable_and_found_again() {
    let mesh = mesh().await;
    for (way, client) in mesh.ways() {
        let req = invoke_request(mesh.id(), "x", b"");
        invoked(way, &invoke_service(client, &req, PLAIN).await);
    }
    let GrpcMesh {
        app,
        caller,
        callee,
        remote,
        own,
    } = mesh;
    let port = app.port();
    app.stop().await;
    let held = closed_port(port);
    let refused = format!("dial tcp 127.0.0.1:{port}: connect: connection refused\"");
    let req = invoke_request(callee.app_id(), "x", b"");
    let target = invoke(callee.app_id(), "x");
    for (way, client, sidecar) in [("remote", &remote, &caller), ("own", &own, &callee)] {
        // The first may still be caught by the end of the old connection.
        eventually("connection refused, gRPC", async || {
            let answer = invoke_service(client, &req, PLAIN).await;
            assert_eq!(answer.code, Some(UNAVAILABLE), "{way}: {answer:?}");
            answer.text.ends_with(&refused)
        })
        .await;
        eventually("connection refused, HTTP", async || {
            let rsp = sidecar.call("POST", &target, &[], b"").await.unwrap();
            assert_eq!(rsp.status(), 503, "{way}: {}", rsp.text());
            let body: Value = serde_json::from_str(&rsp.text()).unwrap();
            assert_eq!(body["code"], UNAVAILABLE, "{way}: {body}");
            body["message"].as_str().unwrap().ends_with(&refused)
        })
        .await;
    }
    drop(held);
    let app = GrpcApp::builder().port(port).start(echo_any).await.unwrap();
    for client in [&remote, &own] {
        eventually("the app is found again", async || {
            invoke_service(client, &req, PLAIN).await.code == Some(OK)
        })
        .await;
    }
    drop(app);
}

#[tokio::test]
async fn a_connection_that_was_cut_is_made_again() {
    let mesh = mesh().await;
    for round in 0..5 {
        for (way, client) in mesh.ways() {
            let req = invoke_request(mesh.id(), "x", b"");
            eventually("a call goes through", async || {
                let answer = invoke_service(client, &req, PLAIN).await;
                let code = answer.code;
                assert!(
                    code == Some(OK) || code == Some(UNAVAILABLE),
                    "{way} {round}: {answer:?}"
                );
                code == Some(OK)
            })
            .await;
        }
        mesh.app.cut();
    }
}

#[tokio::test]
async fn what_the_app_never_looked_at_is_sent_again_unseen() {
    for way in [0, 1] {
        let app = GrpcApp::builder().refuse_first(Refusal::GoAway);
        let mesh = GrpcMesh::around(app.start(echo_any).await.unwrap()).await;
        let (way, client) = mesh.ways()[way];
        let req = invoke_request(mesh.id(), "x", b"body");
        let rsp = invoked(way, &invoke_service(client, &req, PLAIN).await);
        assert_eq!(&rsp.data.unwrap().value[..], b"body", "{way}");
        mesh.app
            .answer_once(GrpcScript::new().reset(Reason::REFUSED_STREAM));
        invoked(way, &invoke_service(client, &req, PLAIN).await);
    }
}

#[tokio::test]
async fn a_failure_of_the_app_is_not_repeated() {
    let mesh = mesh().await;
    for (way, client) in mesh.ways() {
        for script in [
            GrpcScript::refuse(14, "busy"),
            GrpcScript::refuse(16, "who"),
            GrpcScript::new()
                .read_all()
                .initial(PLAIN)
                .reset(Reason::INTERNAL_ERROR),
        ] {
            mesh.app.answer_once(script);
            let req = invoke_request(mesh.id(), "x", b"");
            let answer = invoke_service(client, &req, PLAIN).await;
            assert!(
                answer.code.is_some_and(|code| code != OK),
                "{way}: {answer:?}"
            );
            assert_eq!(mesh.app.calls().len(), 1, "{way}: {answer:?}");
            mesh.app.clear();
        }
    }
}

#[tokio::test]
async fn a_hundred_and_fifty_calls_at_once_fit_an_app_that_allows_a_hundred() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = GrpcApp::builder().max_concurrent_streams(100);
    let app = app.start(move |_| {
        let script = GrpcScript::new().read_all().wait(&held);
        script.message(invoke_response(b"x", "")).ok()
    });
    let mesh = GrpcMesh::around(app.await.unwrap()).await;
    let mut calls = JoinSet::new();
    for i in 0..150 {
        let client = if i % 2 == 0 {
            mesh.remote.clone()
        } else {
            mesh.own.clone()
        };
        let req = invoke_request(mesh.id(), "x", b"");
        calls.spawn(async move { invoke_service(&client, &req, PLAIN).await.code });
    }
    gate.reached_times(150).await.unwrap();
    let used: HashSet<_> = mesh
        .app
        .calls()
        .iter()
        .map(|call| call.connection)
        .collect();
    assert!(used.len() >= 2, "{used:?}");
    gate.open();
    assert_eq!(calls.join_all().await, vec![Some(OK); 150]);
}

#[tokio::test]
async fn the_concurrency_limit_holds_and_lets_a_lone_call_through() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = GrpcApp::start(move |_| {
        let script = GrpcScript::new().read_all().wait(&held);
        script.message(invoke_response(b"x", "")).ok()
    });
    let limit = |sidecar: outrider_testkit::SidecarBuilder| sidecar.flag("--app-max-concurrency=2");
    let mesh = GrpcMesh::with(app.await.unwrap(), |caller| caller, limit).await;
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        for (_, client) in mesh.ways() {
            let (client, req) = (client.clone(), invoke_request(mesh.id(), "x", b""));
            calls.spawn(async move { invoke_service(&client, &req, PLAIN).await.code });
        }
    }
    gate.reached_times(2).await.unwrap();
    // Health and metadata are answered meanwhile, so the sidecar had time to send a third.
    for _ in 0..20 {
        mesh.callee
            .call("GET", "/v1.0/metadata", &[], b"")
            .await
            .unwrap();
    }
    assert_eq!(mesh.app.calls().len(), 2);
    gate.open();
    assert_eq!(calls.join_all().await, vec![Some(OK); 6]);
    // A lone call does not wait for another; the reference's does.
    for (way, sidecar) in sidecars(&mesh) {
        let rsp = sidecar
            .call("POST", &invoke(mesh.id(), "x"), &[], b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 200, "{way}");
    }
}

#[tokio::test]
async fn a_caller_that_accepts_events_gets_an_ordinary_answer() {
    // The reference loses every answer of a gRPC app to such a caller.
    let mesh = mesh().await;
    for (way, sidecar) in sidecars(&mesh) {
        let fields = [("Accept", "text/event-stream"), ("Content-Type", "text/x")];
        let rsp = sidecar
            .call("POST", &invoke(mesh.id(), "x"), &fields, b"body")
            .await
            .unwrap();
        assert_eq!((rsp.status(), &*rsp.text()), (200, "body"), "{way}");
    }
    for (way, client) in mesh.ways() {
        let req = invoke_request(mesh.id(), "x", b"");
        let accept = [("accept", "text/event-stream")];
        invoked(way, &invoke_service(client, &req, &accept).await);
    }
}

#[tokio::test]
async fn limits_hold_towards_the_app_and_from_it() {
    const LIMIT: usize = 2 << 20;
    let app = GrpcApp::start(|_| {
        GrpcScript::new()
            .read_all()
            .message(invoke_response(&vec![b'a'; LIMIT + 10], ""))
            .ok()
    });
    let limit = |sidecar: outrider_testkit::SidecarBuilder| sidecar.flag("--max-body-size=2Mi");
    let mesh = GrpcMesh::with(app.await.unwrap(), limit, limit).await;
    for (way, client) in mesh.ways() {
        let req = invoke_request(mesh.id(), "x", b"");
        let answer = invoke_service(client, &req, PLAIN).await;
        let (code, text) = answer.status();
        assert_eq!(code, EXHAUSTED, "{way}: {text}");
        let begin = "grpc: received message larger than max (";
        assert!(
            text.starts_with(begin) && text.ends_with("vs. 2097152)"),
            "{way}: {text}"
        );
    }
    for (way, sidecar) in sidecars(&mesh) {
        let rsp = sidecar
            .call("POST", &invoke(mesh.id(), "x"), &[], b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 429, "{way}: {}", rsp.text());
    }
    mesh.app.clear();
    for (way, client) in mesh.ways() {
        let req = invoke_request(mesh.id(), "x", &vec![b'r'; LIMIT + 10]);
        let answer = invoke_service(client, &req, PLAIN).await;
        assert_eq!(answer.code, Some(EXHAUSTED), "{way}: {answer:?}");
    }
    assert!(mesh.app.calls().is_empty());
}

#[tokio::test]
async fn a_deadline_and_a_client_that_leaves_reach_the_app() {
    // The reference lets the app work on.
    let mesh = GrpcMesh::start(|_| GrpcScript::new().read_all().hang()).await;
    for (way, client) in mesh.ways() {
        let req = invoke_request(mesh.id(), "x", b"");
        let answer = invoke_service(client, &req, &[("grpc-timeout", "300m")]).await;
        assert_eq!(answer.code, Some(DEADLINE), "{way}: {answer:?}");
        let seen = mesh.app.wait_call("given up", |call| call.broken).await;
        assert!(seen.is_ok(), "{way}, deadline");
        mesh.app.clear();
    }
    for (way, sidecar) in sidecars(&mesh) {
        let mut client = sidecar.connect().await.unwrap();
        client
            .send(request("POST", &invoke(mesh.id(), "x"), &[], b"x"))
            .await
            .unwrap();
        mesh.app
            .wait_call("read", |call| call.half_closed)
            .await
            .unwrap();
        drop(client);
        let seen = mesh.app.wait_call("given up", |call| call.broken).await;
        assert!(seen.is_ok(), "{way}, client that left");
        mesh.app.clear();
    }
}

#[tokio::test]
async fn health_is_asked_over_grpc_and_any_error_is_unhealthy() {
    let app = GrpcApp::start(|call| match &*call.path {
        HEALTH => GrpcScript::reply(""),
        _ => echo_any(call),
    })
    .await
    .unwrap();
    let health = |sidecar: outrider_testkit::SidecarBuilder| {
        sidecar
            .env("APP_API_TOKEN", "of-app")
            .flag("--enable-app-health-check")
            .flag("--app-health-probe-interval=1")
            .flag("--app-health-probe-timeout=500")
            .flag("--app-health-threshold=1")
    };
    let mesh = GrpcMesh::with(app, |caller| caller, health).await;
    let probe = mesh
        .app
        .wait_call("a probe", |call| call.path == HEALTH && call.done);
    let probe = probe.await.unwrap();
    assert_eq!((probe.body.len(), probe.messages().len()), (5, 1));
    for name in ["dapr-api-token", "dapr-app-id", "traceparent"] {
        assert!(probe.values(name).is_empty(), "{name}");
    }
    let req = invoke_request(mesh.id(), "x", b"");
    eventually("healthy", async || {
        invoke_service(&mesh.own, &req, PLAIN).await.code == Some(OK)
    })
    .await;
    for code in [UNAVAILABLE, 12] {
        mesh.app.handle(move |call| match &*call.path {
            HEALTH => GrpcScript::refuse(code, "not now"),
            _ => echo_any(call),
        });
        let text = "app is not in a healthy state";
        eventually("unhealthy", async || {
            let answer = invoke_service(&mesh.own, &req, PLAIN).await;
            assert!(
                [Some(OK), Some(INTERNAL)].contains(&answer.code),
                "{answer:?}"
            );
            answer.text.ends_with(text)
        })
        .await;
        let target = invoke(mesh.id(), "x");
        let rsp = mesh.callee.call("POST", &target, &[], b"").await.unwrap();
        assert!(
            rsp.status() == 500 && rsp.text().contains(text),
            "{}",
            rsp.text()
        );
        // Proxied calls are not gated.
        let answer = mesh.own.unary("/a/b", &mesh.to(), "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""));
        mesh.app.handle(|call| match &*call.path {
            HEALTH => GrpcScript::reply(""),
            _ => echo_any(call),
        });
        eventually("healthy again", async || {
            invoke_service(&mesh.own, &req, PLAIN).await.code == Some(OK)
        })
        .await;
    }
}

#[tokio::test]
async fn an_app_that_comes_late_is_waited_for() {
    let (held, port) = closed_port(0);
    let late = sidecar()
        .app_port(port)
        .app_protocol("grpc")
        .spawn()
        .unwrap();
    late.wait_line("waiting").await.unwrap();
    drop(held);
    let app = GrpcApp::builder().port(port).start(echo_any).await.unwrap();
    late.wait_line(&format!("application discovered on port {port}"))
        .await
        .unwrap();
    let req = invoke_request(late.app_id(), "x", b"");
    eventually("the app answers", async || match late.grpc().await {
        Ok(client) => invoke_service(&client, &req, PLAIN).await.code == Some(OK),
        Err(_) => false,
    })
    .await;
    drop(app);
}
