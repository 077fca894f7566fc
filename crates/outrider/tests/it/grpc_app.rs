//! gRPC apps called by name of a method: `OnInvoke` for callers over HTTP and over `InvokeService`,
//! beside the caller and beside a peer (contract `grpc-api.md` 4.2, 5, `sidecar-protocol.md` 4, 5).

use outrider_testkit::grpc::{bin_values, to_base64, values};
use outrider_testkit::{GrpcApp, GrpcCall, GrpcScript, Sidecar};
use outrider_wire::r#gen::common;
use prost::Message;

use crate::grpc_support::{
    GrpcMesh, INTERNAL, OK, ON_INVOKE, PLAIN, any, echo_any, invoke_request, invoke_response,
    invoke_service, invoked, on_invoke,
};
use crate::support::invoke;

async fn mesh() -> GrpcMesh {
    GrpcMesh::around(GrpcApp::start(echo_any).await.unwrap()).await
}

/// Both sidecars, to be called over HTTP.
fn sidecars(mesh: &GrpcMesh) -> [(&'static str, &Sidecar); 2] {
    [("remote", &mesh.caller), ("own", &mesh.callee)]
}

fn extension(verb: common::http_extension::Verb, query: &str) -> common::HttpExtension {
    common::HttpExtension {
        verb: verb as i32,
        querystring: query.to_owned(),
    }
}

#[tokio::test]
async fn a_call_over_http_becomes_on_invoke() {
    use common::http_extension::Verb;
    let mesh = mesh().await;
    for (way, sidecar) in sidecars(&mesh) {
        for (verb, number, path, body, expected) in [
            ("POST", Verb::Post, "say/hello", "body", ("say/hello", "")),
            (
                "GET",
                Verb::Get,
                "a%20b?q=1&q=2%20x",
                "",
                ("a b", "q=1&q=2%20x"),
            ),
            ("PUT", Verb::Put, "UPPER", "put", ("UPPER", "")),
            ("DELETE", Verb::Delete, "x", "", ("x", "")),
            ("PATCH", Verb::Patch, "x.y-z_", "p", ("x.y-z_", "")),
            ("OPTIONS", Verb::Options, "x", "", ("x", "")),
            ("BREW", Verb::Post, "x", "", ("x", "")),
        ] {
            let fields: &[(&str, &str)] = match body {
                "" => &[],
                _ => &[("Content-Type", "text/x; a=b")],
            };
            let target = invoke(mesh.id(), path);
            let rsp = sidecar
                .call(verb, &target, fields, body.as_bytes())
                .await
                .unwrap();
            assert_eq!(
                (rsp.status(), &*rsp.text()),
                (200, body),
                "{way} {verb} {path}"
            );
            let call = mesh.app.take().await.unwrap();
            let req = on_invoke(&call);
            let query = req.http_extension.clone().unwrap();
            assert_eq!(query, extension(number, expected.1), "{way} {verb} {path}");
            assert_eq!(req.method, expected.0, "{way} {verb} {path}");
            let data = req.data.unwrap_or_default();
            assert_eq!(
                (&*data.value, &*data.type_url),
                (body.as_bytes(), ""),
                "{way}"
            );
            if !body.is_empty() {
                assert_eq!(req.content_type, "text/x; a=b", "{way}");
                assert_eq!(
                    rsp.headers.get("content-type"),
                    Some("text/x; a=b"),
                    "{way}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_call_by_invoke_service_is_handed_over_as_it_is() {
    use common::http_extension::Verb;
    let mesh = mesh().await;
    let full = common::InvokeRequest {
        method: "Say/Hello".into(),
        data: Some(any("type.googleapis.com/my.Type", b"\0\xff")),
        content_type: "application/x".into(),
        http_extension: Some(extension(Verb::Patch, "a=%20&b")),
    };
    let bare = common::InvokeRequest {
        method: "verb".into(),
        ..Default::default()
    };
    let slashed = common::InvokeRequest {
        method: "/slashed".into(),
        data: Some(any("", b"x")),
        ..Default::default()
    };
    let large = common::InvokeRequest {
        method: "large".into(),
        data: Some(any("t/large", &vec![b'l'; 3 << 20])),
        ..Default::default()
    };
    for (way, client) in mesh.ways() {
        for message in [&full, &bare, &slashed, &large] {
            let mut req = invoke_request(mesh.id(), "", b"");
            req.message = Some(message.clone());
            let answer = invoke_service(client, &req, PLAIN).await;
            let rsp = invoked(way, &answer);
            let seen = on_invoke(&mesh.app.take().await.unwrap());
            assert_eq!(seen.method, message.method, "{way}");
            assert_eq!(seen.content_type, message.content_type, "{way}");
            assert_eq!(seen.http_extension, message.http_extension, "{way}");
            let wanted = message.data.clone().unwrap_or_default();
            let seen = seen.data.unwrap_or_default();
            assert!(
                seen == wanted,
                "{way} {}: {}",
                message.method,
                seen.type_url
            );
            let rsp = rsp.data.unwrap_or_default();
            assert!(rsp == wanted, "{way} {}: {}", message.method, rsp.type_url);
        }
    }
}

#[tokio::test]
async fn methods_are_cleaned_and_never_get_or_lose_a_slash() {
    let mesh = mesh().await;
    for (way, client) in mesh.ways() {
        for (sent, expected) in [
            ("a/b", "a/b"),
            ("/a/b", "/a/b"),
            ("a//b", "a/b"),
            ("a/./b/", "a/b"),
            ("a/x/../b", "a/b"),
            ("../../a", "a"),
            ("a%2Fb%20c", "a%2Fb%20c"),
            ("verb|Method", "verb|Method"),
            ("ü ß", "ü ß"),
            ("", ""),
            (".", ""),
        ] {
            let answer = invoke_service(client, &invoke_request(mesh.id(), sent, b""), PLAIN).await;
            assert_eq!(answer.status(), (OK, ""), "{way} {sent}");
            let seen = on_invoke(&mesh.app.take().await.unwrap());
            assert_eq!(seen.method, expected, "{way} {sent}");
        }
        for bad in ["a#b", "a?b", "a\0b", "a\nb"] {
            let answer = invoke_service(client, &invoke_request(mesh.id(), bad, b""), PLAIN).await;
            let (code, text) = answer.status();
            assert_eq!(code, INTERNAL, "{way} {bad:?}");
            assert!(text.contains("invalid method: "), "{way} {bad:?}: {text}");
            assert!(mesh.app.calls().is_empty(), "{way} {bad:?}");
        }
    }
}

#[tokio::test]
async fn metadata_of_an_http_caller_is_lower_case_and_permanent_names_are_renamed() {
    let mesh = mesh().await;
    let sent = [
        ("X-Many", "b"),
        ("x-many", "a"),
        ("Accept", "a/b"),
        ("Cache-Control", "no-cache"),
        ("Cookie", "a=b"),
        ("From", "me"),
        ("Content-Type", "text/x"),
        ("Authorization", "Bearer t"),
        ("User-Agent", "tester/1"),
        ("Some-Bin", "AQID"),
    ];
    for (way, sidecar) in sidecars(&mesh) {
        let target = invoke(mesh.id(), "x");
        let rsp = sidecar.call("POST", &target, &sent, b"body").await.unwrap();
        assert_eq!(rsp.status(), 200, "{way}: {}", rsp.text());
        let call = mesh.app.take().await.unwrap();
        for (name, expected) in [
            ("x-many", vec!["b", "a"]),
            ("dapr-accept", vec!["a/b"]),
            ("dapr-cache-control", vec!["no-cache"]),
            ("dapr-cookie", vec!["a=b"]),
            ("dapr-from", vec!["me"]),
            ("dapr-content-type", vec!["text/x"]),
            ("dapr-content-length", vec!["4"]),
            ("authorization", vec!["Bearer t"]),
            ("accept", vec![]),
            ("cookie", vec![]),
            ("from", vec![]),
            ("content-length", vec![]),
            ("host", vec![]),
            ("dapr-app-id", vec![]),
            ("destination-app-id", vec![]),
            ("dapr-api-token", vec![]),
        ] {
            assert_eq!(call.values(name), expected, "{way} {name}");
        }
        assert_eq!(call.values("content-type"), ["application/grpc"], "{way}");
        // Of HTTP origin, so not base64: the letters are the bytes.
        assert_eq!(bin_values(&call.metadata, "some-bin"), [b"AQID"], "{way}");
        let agents = call.values("user-agent");
        assert_eq!(agents.len(), 1, "{way}: {agents:?}");
    }
}

#[tokio::test]
async fn metadata_of_a_grpc_caller_arrives_as_it_was() {
    let mesh = mesh().await;
    let bytes = to_base64(b"\0\xff\x01");
    let sent = [
        ("x-many", "b"),
        ("x-many", "a"),
        ("some-bin", &*bytes),
        ("some-bin", &*bytes),
        ("authorization", "Bearer t"),
        ("dapr-content-type", "mine"),
    ];
    for (way, client) in mesh.ways() {
        let req = invoke_request(mesh.id(), "x", b"");
        invoked(way, &invoke_service(client, &req, &sent).await);
        let call = mesh.app.take().await.unwrap();
        assert_eq!(call.values("x-many"), ["b", "a"], "{way}");
        assert_eq!(call.values("authorization"), ["Bearer t"], "{way}");
        let values = bin_values(&call.metadata, "some-bin");
        assert_eq!(values, [b"\0\xff\x01", b"\0\xff\x01"], "{way}");
        assert_eq!(call.values("content-type"), ["application/grpc"], "{way}");
        for name in ["dapr-app-id", "destination-app-id", "grpc-accept-encoding"] {
            let values = call.values(name);
            assert!(values.len() <= 1, "{way} {name}: {values:?}");
        }
    }
}

#[tokio::test]
async fn who_calls_is_told_on_the_way_and_not_beside_the_app() {
    let mesh = mesh().await;
    for over_http in [true, false] {
        let mut seen = Vec::new();
        for (sidecar, client) in [(&mesh.caller, &mesh.remote), (&mesh.callee, &mesh.own)] {
            if over_http {
                let claim = [("Dapr-Caller-App-Id", "somebody-else")];
                let target = invoke(mesh.id(), "x");
                sidecar.call("POST", &target, &claim, b"").await.unwrap();
            } else {
                let claim = [("dapr-caller-app-id", "somebody-else")];
                let req = invoke_request(mesh.id(), "x", b"");
                invoked("", &invoke_service(client, &req, &claim).await);
            }
            seen.push(mesh.app.take().await.unwrap());
        }
        let remote = &seen[0];
        assert_eq!(remote.values("dapr-caller-app-id"), [mesh.caller.app_id()]);
        assert_eq!(remote.values("dapr-callee-app-id"), [mesh.id()]);
        assert_eq!(remote.values("dapr-caller-namespace"), ["default"]);
        assert_eq!(remote.values("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(remote.values("forwarded").len(), 1);
        for name in [
            "dapr-callee-app-id",
            "dapr-caller-namespace",
            "x-forwarded-for",
        ] {
            assert!(seen[1].values(name).is_empty(), "{name}");
        }
    }
}

#[tokio::test]
async fn the_apps_token_is_set_for_it_alone() {
    let with = |name: &'static str| {
        move |sidecar: outrider_testkit::SidecarBuilder| sidecar.env(name, "of-app")
    };
    for token in [false, true] {
        let app = GrpcApp::start(echo_any).await.unwrap();
        let name = if token { "APP_API_TOKEN" } else { "UNUSED" };
        let mesh = GrpcMesh::with(app, |caller| caller, with(name)).await;
        let expected = if token { vec!["of-app"] } else { vec![] };
        for (way, client) in mesh.ways() {
            let req = invoke_request(mesh.id(), "x", b"");
            invoked(way, &invoke_service(client, &req, PLAIN).await);
            let call = mesh.app.take().await.unwrap();
            assert_eq!(call.values("dapr-api-token"), expected, "{way}");
        }
        for (way, sidecar) in sidecars(&mesh) {
            sidecar
                .call("POST", &invoke(mesh.id(), "x"), &[], b"")
                .await
                .unwrap();
            let call = mesh.app.take().await.unwrap();
            assert_eq!(call.values("dapr-api-token"), expected, "{way}");
        }
    }
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const IDS: &str = "0af7651916cd43dd8448eb211c80319c";

/// The trace id inside a binary trace context.
fn trace_id(call: &GrpcCall) -> String {
    let all = bin_values(&call.metadata, "grpc-trace-bin");
    assert_eq!(all.len(), 1, "{call:?}");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    all[0].get(2..18).map(hex).unwrap_or_default()
}

#[tokio::test]
async fn trace_context_is_passed_on_in_both_forms() {
    let mesh = mesh().await;
    for (way, sidecar) in sidecars(&mesh) {
        let fields = [("traceparent", PARENT), ("tracestate", "a=1")];
        let target = invoke(mesh.id(), "x");
        sidecar.call("POST", &target, &fields, b"").await.unwrap();
        let call = mesh.app.take().await.unwrap();
        assert!(call.values("traceparent")[0].contains(IDS), "{way}");
        assert_eq!(call.values("tracestate"), ["a=1"], "{way}");
        assert_eq!(trace_id(&call), IDS, "{way}");
        // Without one, the key is there all the same.
        sidecar.call("POST", &target, &[], b"").await.unwrap();
        trace_id(&mesh.app.take().await.unwrap());
    }
    let id: Vec<u8> = (0..16)
        .map(|i| u8::from_str_radix(&IDS[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    let binary = [&[0, 0], &id[..], &[1, 1, 2, 3, 4, 5, 6, 7, 8, 2, 1]].concat();
    for (way, client) in mesh.ways() {
        let req = invoke_request(mesh.id(), "x", b"");
        let sent = [("grpc-trace-bin", to_base64(&binary))];
        let answer = invoke_service(client, &req, &sent).await;
        invoked(way, &answer);
        let call = mesh.app.take().await.unwrap();
        assert_eq!(trace_id(&call), IDS, "{way}");
        assert!(call.values("traceparent")[0].contains(IDS), "{way}");
        assert_eq!(values(&answer.headers, "grpc-trace-bin").len(), 1, "{way}");
    }
}

#[tokio::test]
async fn an_answer_brings_its_metadata() {
    let bytes = to_base64(b"\0\xff");
    let fields = [
        ("x-a", "2".to_owned()),
        ("x-a", "1".into()),
        ("x-b-bin", bytes),
        ("cache-control", "no-cache".into()),
        ("grpc-odd", "1".into()),
    ];
    let trailers = [("x-t", "1"), ("x-t", "2")];
    let mesh = GrpcMesh::start(move |_| {
        GrpcScript::new()
            .read_all()
            .initial(&fields)
            .message(invoke_response(b"answer", "text/y"))
            .status_with(OK, "", &trailers)
    })
    .await;
    for (way, client) in mesh.ways() {
        let answer = invoke_service(client, &invoke_request(mesh.id(), "x", b""), PLAIN).await;
        let rsp = invoked(way, &answer);
        assert_eq!(rsp.content_type, "text/y", "{way}");
        assert_eq!(&rsp.data.unwrap().value[..], b"answer", "{way}");
        assert_eq!(answer.initial("x-a"), ["2", "1"], "{way}");
        assert_eq!(bin_values(&answer.headers, "x-b-bin"), [b"\0\xff"], "{way}");
        assert_eq!(answer.trailing("x-t"), ["1", "2"], "{way}");
        assert!(answer.initial("dapr-http-status").is_empty(), "{way}");
    }
    for (way, sidecar) in sidecars(&mesh) {
        let rsp = sidecar
            .call("POST", &invoke(mesh.id(), "x"), &[], b"")
            .await
            .unwrap();
        assert_eq!((rsp.status(), &*rsp.text()), (200, "answer"), "{way}");
        assert_eq!(rsp.headers.all("content-type"), ["text/y"], "{way}");
        assert_eq!(rsp.headers.all("x-a"), ["2", "1"], "{way}");
        assert_eq!(rsp.headers.all("cache-control"), ["no-cache"], "{way}");
        assert_eq!(rsp.headers.all("dapr-grpc-odd"), ["1"], "{way}");
        for name in ["x-b-bin", "x-t", "grpc-odd", "grpc-status", "trailer"] {
            assert!(!rsp.headers.has(name), "{way} {name}");
        }
    }
}

#[tokio::test]
async fn metadata_that_grpc_cannot_carry_fails_the_call() {
    let mesh = mesh().await;
    for (way, sidecar) in sidecars(&mesh) {
        let target = invoke(mesh.id(), "x");
        for (name, value, text) in [
            (
                "X-U",
                "ü",
                r#"header key \"x-u\" contains value with non-printable ASCII characters"#,
            ),
            (
                "X!Bang",
                "1",
                r#"header key \"x!bang\" contains illegal characters not in [0-9a-z-_.]"#,
            ),
        ] {
            let rsp = sidecar
                .call("POST", &target, &[(name, value)], b"")
                .await
                .unwrap();
            let body = format!(r#"{{"code":13,"message":"{text}"}}"#);
            let got = rsp.text().replace(", ", ",").replace(r#"": "#, r#"":"#);
            assert_eq!((rsp.status(), got), (500, body), "{way} {name}");
        }
        assert!(mesh.app.calls().is_empty(), "{way}");
        // It was that call's fault only.
        let rsp = sidecar.call("POST", &target, &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 200, "{way}");
        mesh.app.take().await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_the_apps_failure() {
    let mesh = GrpcMesh::start(|_| {
        GrpcScript::new()
            .read_all()
            .initial(&[("x-a", "1")])
            .message(b"\xff\xff\xff")
            .ok()
    })
    .await;
    for (way, client) in mesh.ways() {
        let answer = invoke_service(client, &invoke_request(mesh.id(), "x", b""), PLAIN).await;
        let (code, text) = answer.status();
        let begin = "grpc: failed to unmarshal the received message: ";
        assert!(text.starts_with(begin), "{way}: {text}");
        assert_eq!(
            (code, answer.initial("x-a")),
            (INTERNAL, vec!["1".into()]),
            "{way}"
        );
    }
    for (way, sidecar) in sidecars(&mesh) {
        let rsp = sidecar
            .call("POST", &invoke(mesh.id(), "x"), &[], b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 500, "{way}");
        let body: serde_json::Value = serde_json::from_str(&rsp.text()).unwrap();
        assert_eq!(body["code"], INTERNAL, "{way}");
    }
}

#[tokio::test]
async fn a_request_with_unknown_fields_is_served() {
    let mesh = mesh().await;
    let mut req = invoke_request(mesh.id(), "x", b"body").encode_to_vec();
    req.extend(b"\xa2\x06\x01z");
    for (way, client) in mesh.ways() {
        let answer = client
            .unary(crate::grpc_support::INVOKE_SERVICE, PLAIN, &req)
            .await
            .unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}");
        let call = mesh.app.take().await.unwrap();
        assert_eq!(
            (&*call.path, &*on_invoke(&call).method),
            (ON_INVOKE, "x"),
            "{way}"
        );
    }
}
