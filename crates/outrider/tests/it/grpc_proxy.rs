//! Proxied gRPC calls that go well: kinds of streams, metadata, statuses (contract `grpc-api.md`
//! 9.2, 9.3, 9.7).

use outrider_testkit::grpc::{bin_values, to_base64, values};
use outrider_testkit::{Gate, GrpcApp, GrpcCall, GrpcClient, GrpcScript};

use crate::grpc_support::{
    GrpcMesh, INTERNAL, INVALID, METHOD, OK, PLAIN, UNAUTHENTICATED, UNKNOWN, details, error_info,
};

#[tokio::test]
async fn a_unary_call_arrives_as_it_was_sent() {
    let mesh = GrpcMesh::start(|_| GrpcScript::reply("answer")).await;
    for (way, client) in mesh.ways() {
        let message = [0, 0xff, b'x'].repeat(1000);
        let answer = client.unary(METHOD, &mesh.to(), &message).await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}");
        assert_eq!(answer.messages, ["answer"], "{way}");
        assert_eq!((answer.http_status, &answer.rest[..]), (200, &b""[..]));
        let kind = answer.initial("content-type");
        assert!(kind[0].starts_with("application/grpc"), "{way}: {kind:?}");
        let seen = mesh.app.take().await.unwrap();
        assert_eq!((&*seen.method, &*seen.path), ("POST", METHOD), "{way}");
        assert_eq!(seen.messages(), [message], "{way}");
        assert!(seen.half_closed, "{way}");
    }
}

#[tokio::test]
async fn paths_of_any_service_are_proxied_as_they_are() {
    let mesh = GrpcMesh::echo().await;
    for path in [
        "/a/b",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/dapr.proto.runtime.v1.AppCallback/OnInvoke",
        "/dapr.proto.runtime.v1.AppCallbackHealthCheck/HealthCheck",
        "/pkg.Svc/do%20it",
        "/pkg.Svc/A/../B",
        "/pkg.Svc//B",
    ] {
        for (way, client) in mesh.ways() {
            let answer = client.unary(path, &mesh.to(), "x").await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{way} {path}");
            assert_eq!(mesh.app.take().await.unwrap().path, path, "{way}");
        }
    }
}

#[tokio::test]
async fn a_server_may_stream() {
    let mesh = GrpcMesh::start(|_| GrpcScript::new().read_all().numbered(300, 700).ok()).await;
    for (way, client) in mesh.ways() {
        let answer = client.unary(METHOD, &mesh.to(), "").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}");
        assert_eq!(answer.messages.len(), 300, "{way}");
        for (i, message) in answer.messages.iter().enumerate() {
            let number = u32::try_from(i).unwrap().to_be_bytes();
            assert_eq!((message.len(), &message[..4]), (700, &number[..]), "{way}");
        }
    }
}

#[tokio::test]
async fn a_client_may_stream_and_its_half_close_is_forwarded() {
    let mesh = GrpcMesh::start(|_| {
        GrpcScript::new()
            .read_all()
            .and_then(|call| GrpcScript::new().message(call.messages().len().to_string()))
            .ok()
    })
    .await;
    for (way, client) in mesh.ways() {
        let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
        for i in 0..200 {
            call.tx.send(vec![b'm'; i]).await.unwrap();
        }
        mesh.app
            .wait_call("all", |call| call.messages().len() == 200)
            .await
            .unwrap();
        assert!(!mesh.app.calls()[0].half_closed, "{way}");
        call.tx.half_close();
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(
            (answer.code, &answer.messages[..]),
            (Some(OK), &["200".into()][..])
        );
        let seen = mesh.app.take().await.unwrap();
        let lengths = seen.messages().iter().map(|m| m.len()).collect::<Vec<_>>();
        assert_eq!(lengths, (0..200).collect::<Vec<_>>(), "{way}");
    }
}

#[tokio::test]
async fn both_sides_may_stream_at_once() {
    let mesh = GrpcMesh::echo().await;
    for (way, client) in mesh.ways() {
        for stream in [PLAIN, &[("dapr-stream", "true")]] {
            let metadata = mesh.to_with(stream);
            let mut call = client.open(METHOD, &metadata).await.unwrap();
            for text in ["one", "", "three", "", ""] {
                call.tx.send(text).await.unwrap();
                let back = call.rx.message().await.unwrap();
                assert_eq!(back.as_deref(), Some(text.as_bytes()), "{way}");
            }
            call.tx.half_close();
            let answer = call.rx.finish().await.unwrap();
            assert_eq!(
                (answer.status(), answer.messages.len()),
                ((OK, ""), 0),
                "{way}"
            );
            let seen = mesh.app.take().await.unwrap();
            let told = stream.iter().map(|(_, value)| *value).collect::<Vec<_>>();
            assert_eq!(seen.values("dapr-stream"), told, "{way}");
        }
    }
}

#[tokio::test]
async fn messages_travel_whole_however_they_were_cut() {
    let mesh = GrpcMesh::echo().await;
    for (way, client) in mesh.ways() {
        let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
        let bytes = b"\0\0\0\0\x03abc\0\0\0\0\0\0\0\0\0\x02de";
        for byte in bytes {
            call.tx.send_raw(vec![*byte]).await.unwrap();
        }
        call.tx.half_close();
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}");
        assert_eq!(answer.messages, ["abc", "", "de"], "{way}");
    }
}

#[tokio::test]
async fn an_answer_may_go_on_behind_a_half_close_and_end_before_one() {
    let gate = Gate::new();
    let held = gate.clone();
    let mesh = GrpcMesh::start(move |call| match &*call.path {
        "/t/Late" => GrpcScript::new()
            .read_all()
            .message("a")
            .wait(&held)
            .message("b")
            .ok(),
        _ => GrpcScript::new()
            .read_message()
            .message("early")
            .status(9, "enough"),
    })
    .await;
    for (way, client) in mesh.ways() {
        let mut call = client.open("/t/Late", &mesh.to()).await.unwrap();
        call.tx.half_close();
        assert_eq!(
            call.rx.message().await.unwrap().as_deref(),
            Some(&b"a"[..]),
            "{way}"
        );
        gate.open();
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(
            (answer.code, &answer.messages[..]),
            (Some(OK), &["b".into()][..]),
            "{way}"
        );

        let mut call = client.open("/t/Early", &mesh.to()).await.unwrap();
        call.tx.send("one").await.unwrap();
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(answer.status(), (9, "enough"), "{way}");
        assert_eq!(answer.messages, ["early"], "{way}");
    }
}

/// One call with this metadata, as the app saw it.
async fn seen_with(mesh: &GrpcMesh, client: &GrpcClient, more: &[(&str, &str)]) -> GrpcCall {
    let answer = client
        .unary(METHOD, &mesh.to_with(more), "x")
        .await
        .unwrap();
    assert_eq!(answer.status(), (OK, ""), "{more:?}");
    mesh.app.take().await.unwrap()
}

#[tokio::test]
async fn an_app_sees_who_calls_and_no_more_than_that() {
    let mesh = GrpcMesh::echo().await;
    let seen = seen_with(&mesh, &mesh.remote, PLAIN).await;
    assert_eq!(seen.values("dapr-caller-app-id"), [mesh.caller.app_id()]);
    assert_eq!(seen.values("dapr-callee-app-id"), [mesh.id()]);
    let own = seen_with(&mesh, &mesh.own, PLAIN).await;
    for name in ["dapr-caller-app-id", "dapr-callee-app-id"] {
        assert!(own.values(name).is_empty(), "{name}");
    }
    for seen in [seen, own] {
        for name in [
            "dapr-app-id",
            "destination-app-id",
            "dapr-caller-namespace",
            "x-forwarded-for",
            "x-forwarded-host",
            "forwarded",
            "dapr-api-token",
        ] {
            assert!(seen.values(name).is_empty(), "{name}: {seen:?}");
        }
        assert!(seen.values("content-type")[0].starts_with("application/grpc"));
        assert_eq!(seen.values("te"), ["trailers"]);
        assert_eq!(seen.values("user-agent").len(), 1);
        assert!(seen.values("grpc-encoding").is_empty());
    }
}

#[tokio::test]
async fn nobody_can_claim_to_be_another_caller() {
    let mesh = GrpcMesh::echo().await;
    let claim = [("dapr-caller-app-id", "somebody-else")];
    let seen = seen_with(&mesh, &mesh.remote, &claim).await;
    // The reference puts the true one last; an app reads the first.
    let callers = seen.values("dapr-caller-app-id");
    assert_eq!(callers[0], mesh.caller.app_id(), "{callers:?}");
}

#[tokio::test]
async fn a_target_may_be_named_with_its_namespace_or_as_callee() {
    let mesh = GrpcMesh::echo().await;
    let full = format!("{}.default", mesh.id());
    for (way, client) in mesh.ways() {
        for name in ["dapr-app-id", "dapr-callee-app-id"] {
            for id in [mesh.id(), &full] {
                let answer = client.unary(METHOD, &[(name, id)], "x").await.unwrap();
                assert_eq!(answer.status(), (OK, ""), "{way} {name} {id}");
            }
        }
        // The callee's name wins, unless it is what this app was called by: then it was copied.
        let both = [("dapr-app-id", "nobody"), ("dapr-callee-app-id", mesh.id())];
        let answer = client.unary(METHOD, &both, "x").await.unwrap();
        let code = if way == "own" { UNKNOWN } else { OK };
        assert_eq!(answer.status().0, code, "{way}");
        let twice = [("dapr-app-id", mesh.id()), ("dapr-app-id", "nobody")];
        let answer = client.unary(METHOD, &twice, "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}: the first value counts");
    }
}

#[tokio::test]
async fn metadata_of_the_client_arrives_with_repeats_and_in_order() {
    let mesh = GrpcMesh::echo().await;
    let long = "l".repeat(6000);
    let bytes = to_base64(b"\0\xff\n");
    let padless = to_base64(b"four").trim_end_matches('=').to_owned();
    let sent = [
        ("x-one", "1"),
        ("x-many", "b"),
        ("x-many", "a"),
        ("x-many", "b"),
        ("x-empty", ""),
        ("x-odd", " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        ("x-long", &long),
        ("some-bin", &bytes),
        ("some-bin", &padless),
        ("authorization", "Bearer t"),
        ("cookie", "a=b"),
        ("accept", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("dapr-anything", "mine"),
    ];
    for (way, client) in mesh.ways() {
        let seen = seen_with(&mesh, client, &sent).await;
        for (name, _) in sent {
            if name.ends_with("-bin") {
                continue;
            }
            let wanted = sent.iter().filter(|(other, _)| *other == name);
            let wanted = wanted.map(|(_, value)| value.trim()).collect::<Vec<_>>();
            let got = seen.values(name);
            let got = got.iter().map(|value| value.trim()).collect::<Vec<_>>();
            assert_eq!(got, wanted, "{way} {name}");
        }
        let wanted = [b"\0\xff\n".to_vec(), b"four".to_vec()];
        assert_eq!(bin_values(&seen.metadata, "some-bin"), wanted, "{way}");
    }
}

#[tokio::test]
async fn trace_context_of_the_client_comes_first() {
    let mesh = GrpcMesh::echo().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut binary = vec![0, 0];
    binary.extend([7; 16]);
    binary.push(1);
    binary.extend([8; 8]);
    binary.extend([2, 1]);
    let sent = [
        ("traceparent", parent),
        ("tracestate", "a=1"),
        ("grpc-trace-bin", &to_base64(&binary)),
    ];
    for (way, client) in mesh.ways() {
        let seen = seen_with(&mesh, client, &sent).await;
        assert_eq!(seen.values("traceparent")[0], parent, "{way}");
        assert_eq!(seen.values("tracestate")[0], "a=1", "{way}");
        let first = &bin_values(&seen.metadata, "grpc-trace-bin")[0];
        assert_eq!(*first, binary, "{way}");
    }
}

#[tokio::test]
async fn baggage_is_passed_on_and_checked() {
    let mesh = GrpcMesh::echo().await;
    for (way, client) in mesh.ways() {
        let seen = seen_with(&mesh, client, &[("baggage", "a=1,b=2;p=3")]).await;
        assert_eq!(seen.values("baggage"), ["a=1,b=2;p=3"], "{way}");
        let metadata = mesh.to_with(&[("baggage", "no baggage at all")]);
        let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
        let (code, text) = answer.status();
        assert!(
            text.starts_with("invalid baggage header: "),
            "{way}: {text}"
        );
        assert_eq!(code, INVALID, "{way}");
        assert!(mesh.app.calls().is_empty(), "{way}");
    }
}

#[tokio::test]
async fn tokens_end_at_whoever_they_are_for() {
    let client_token = [("dapr-api-token", "of-client")];
    for (case, caller, callee, sent, expected) in [
        ("none anywhere", None, None, None, None),
        ("client's, nobody asks", None, None, Some("of-client"), None),
        (
            "app's",
            None,
            Some(("APP_API_TOKEN", "of-app")),
            None,
            Some("of-app"),
        ),
        (
            "app's beside the client's",
            None,
            Some(("APP_API_TOKEN", "of-app")),
            Some("of-client"),
            Some("of-app"),
        ),
        (
            "caller asks",
            Some(("DAPR_API_TOKEN", "of-client")),
            None,
            Some("of-client"),
            None,
        ),
        (
            "caller's app token stays at home",
            Some(("APP_API_TOKEN", "of-other-app")),
            None,
            None,
            None,
        ),
        (
            "callee's token is nothing to peers",
            None,
            Some(("DAPR_API_TOKEN", "secret")),
            None,
            None,
        ),
    ] {
        let env = |pair: Option<(&'static str, &'static str)>| {
            move |sidecar: outrider_testkit::SidecarBuilder| match pair {
                Some((name, value)) => sidecar.env(name, value),
                None => sidecar,
            }
        };
        let app = GrpcApp::echo().await.unwrap();
        let mesh = GrpcMesh::with(app, env(caller), env(callee)).await;
        let sent = sent.map_or(PLAIN, |_| &client_token);
        let seen = seen_with(&mesh, &mesh.remote, sent).await;
        let expected = expected.map_or(vec![], |token| vec![token]);
        assert_eq!(seen.values("dapr-api-token"), expected, "{case}");
        if callee.is_none_or(|(name, _)| name == "APP_API_TOKEN") {
            let seen = seen_with(&mesh, &mesh.own, sent).await;
            assert_eq!(seen.values("dapr-api-token"), expected, "{case}, own");
        } else {
            let answer = mesh.own.unary(METHOD, &mesh.to(), "x").await.unwrap();
            assert_eq!(answer.code, Some(UNAUTHENTICATED), "{case}, own");
        }
    }
}

#[tokio::test]
async fn metadata_of_the_answer_arrives_with_repeats_and_in_order() {
    let bytes = to_base64(b"\0\xff");
    let fields = [
        ("x-a", "2".to_owned()),
        ("x-a", "1".into()),
        ("x-b-bin", bytes),
    ];
    let mesh = GrpcMesh::start(move |_| {
        GrpcScript::new()
            .initial(&fields)
            .read_all()
            .message("m")
            .status_with(OK, "", &fields)
    })
    .await;
    for (way, client) in mesh.ways() {
        let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}");
        for fields in [&answer.headers, &answer.trailers] {
            assert_eq!(values(fields, "x-a"), ["2", "1"], "{way}");
            assert_eq!(bin_values(fields, "x-b-bin"), [b"\0\xff"], "{way}");
        }
        for name in ["grpc-encoding", "dapr-app-id", "connection"] {
            assert!(answer.initial(name).is_empty(), "{way} {name}");
        }
    }
}

#[tokio::test]
async fn initial_metadata_does_not_wait_for_a_message() {
    // The reference keeps it until the first message, and loses it if none comes.
    let gate = Gate::new();
    let held = gate.clone();
    let mesh = GrpcMesh::start(move |_| {
        let script = GrpcScript::new().initial(&[("x-a", "1")]).wait(&held);
        script.status_with(5, "none of it", &[("x-t", "2")])
    })
    .await;
    for (way, client) in mesh.ways() {
        let mut call = client.open(METHOD, &mesh.to()).await.unwrap();
        let head = call.rx.head().await.unwrap();
        assert_eq!(values(&head, "x-a"), ["1"], "{way}");
        gate.open();
        let answer = call.rx.finish().await.unwrap();
        assert_eq!(answer.status(), (5, "none of it"), "{way}");
        assert_eq!(answer.trailing("x-t"), ["2"], "{way}");
    }
}

#[tokio::test]
async fn statuses_pass_untouched() {
    let mesh = GrpcMesh::echo().await;
    let longest = "long ".repeat(400);
    for (code, text) in [
        (1, "canceled by the app"),
        (2, "50 % of ü, line\nbreak\ttab"),
        (4, ""),
        (7, "%41%"),
        (13, "日本"),
        (14, "unavailable app"),
        (16, "who?"),
        (17, "first beyond"),
        (20, "teapot"),
        (999, longest.trim()),
    ] {
        for (way, client) in mesh.ways() {
            for script in [
                GrpcScript::new()
                    .read_all()
                    .status_with(code, text, &[("x-t", "1")]),
                GrpcScript::new()
                    .message("m")
                    .status_with(code, text, &[("x-t", "1")]),
                GrpcScript::refuse_with(code, text, &[("x-t", "1")]),
            ] {
                mesh.app.answer_once(script);
                let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
                assert_eq!(answer.status(), (code, text), "{way}");
                assert_eq!(answer.trailing("x-t"), ["1"], "{way} {code}");
                assert_eq!(answer.details, None, "{way} {code}");
            }
        }
    }
    assert_eq!(mesh.app.calls().len(), 10 * 2 * 3, "nothing was repeated");
}

#[tokio::test]
async fn details_pass_untouched_whatever_they_are() {
    let mesh = GrpcMesh::echo().await;
    let info = error_info("BECAUSE", "app", &[("k", "v")]);
    let unknown = outrider_wire::r#gen::google::protobuf::Any {
        type_url: "type.googleapis.com/of.Nobody".into(),
        value: b"\x08\x01".as_slice().into(),
    };
    for (case, bytes) in [
        ("known", details(5, "gone", &[info])),
        ("unknown", details(5, "gone", &[unknown])),
        ("another text", details(5, "not the same", &[])),
        ("no protobuf", b"\xff\xff\xff".to_vec()),
    ] {
        for (way, client) in mesh.ways() {
            let field = to_base64(&bytes);
            let field = field.trim_end_matches('=');
            let fields = [("grpc-status-details-bin", field)];
            for script in [
                GrpcScript::new()
                    .message("m")
                    .status_with(5, "gone", &fields),
                GrpcScript::refuse_with(5, "gone", &fields),
            ] {
                mesh.app.answer_once(script);
                let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
                assert_eq!(answer.code, Some(5), "{way} {case}");
                assert_eq!(answer.details.as_deref(), Some(&bytes[..]), "{way} {case}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_becomes_a_status() {
    let mesh = GrpcMesh::echo().await;
    for (case, script, code) in [
        (
            "no trailers",
            GrpcScript::new().message("m").end(),
            INTERNAL,
        ),
        (
            "no status",
            GrpcScript::new().message("m").trailers(&[("x", "1")]),
            UNKNOWN,
        ),
        (
            "HTTP 401",
            GrpcScript::new().head_only(401, PLAIN),
            UNAUTHENTICATED,
        ),
        ("HTTP 403", GrpcScript::new().head_only(403, PLAIN), 7),
        ("HTTP 404", GrpcScript::new().head_only(404, PLAIN), 12),
        ("HTTP 429", GrpcScript::new().head_only(429, PLAIN), 14),
        ("HTTP 503", GrpcScript::new().head_only(503, PLAIN), 14),
        (
            "HTTP 400",
            GrpcScript::new().head_only(400, PLAIN),
            INTERNAL,
        ),
        ("HTTP 500", GrpcScript::new().head_only(500, PLAIN), 2),
        (
            "another type",
            GrpcScript::new().head_only(200, &[("content-type", "text/plain")]),
            2,
        ),
    ] {
        for (way, client) in mesh.ways() {
            mesh.app.answer_once(script.clone());
            let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
            assert_eq!(answer.code, Some(code), "{way} {case}: {answer:?}");
        }
    }
}
