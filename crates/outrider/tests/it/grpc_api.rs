//! The gRPC API itself: token, allow and deny lists, methods that are not there, reflection, log,
//! odd inputs, Unix socket, HTTP/2 manners (contract `grpc-api.md` 1 to 4, 6, 7, 9.8).

use outrider_testkit::{GrpcApp, GrpcClient, RawApp, RawClient, SidecarBuilder, unique_id};
use outrider_wire::r#gen::runtime;
use prost::Message;
use serde_json::Value;

use crate::grpc_support::{
    DEADLINE, EXHAUSTED, GrpcMesh, INTERNAL, INVALID, INVOKE_SERVICE, METHOD, OK, ON_INVOKE, PLAIN,
    UNAUTHENTICATED, UNIMPLEMENTED, UNKNOWN, assert_info, echo_any, invoke_request, invoke_service,
    sidecar,
};
use crate::support::{ConfigFile, eventually};

const GET_METADATA: &str = "/dapr.proto.runtime.v1.Dapr/GetMetadata";
const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// `ServerReflectionRequest { list_services: "*" }`
const LIST_SERVICES: &[u8] = b"\x3a\x01*";

async fn mesh_with(callee: impl FnOnce(SidecarBuilder) -> SidecarBuilder) -> GrpcMesh {
    let app = GrpcApp::start(echo_any).await.unwrap();
    GrpcMesh::with(app, |caller| caller, callee).await
}

#[tokio::test]
async fn every_call_needs_the_token() {
    let mesh = mesh_with(|sidecar| sidecar.env("DAPR_API_TOKEN", "secret")).await;
    let invoke = invoke_request(mesh.id(), "x", b"").encode_to_vec();
    let missing = "missing api token in request metadata";
    let mismatch = "authentication error: api token mismatch";
    for (path, message) in [
        (INVOKE_SERVICE, &invoke[..]),
        (GET_METADATA, b""),
        (METHOD, b"x"),
        (REFLECTION[0], LIST_SERVICES),
        (REFLECTION[1], LIST_SERVICES),
        ("/TaskHubSidecarService/Hello", b""),
    ] {
        for (tokens, text) in [
            (&[][..], missing),
            (&["wrong"], mismatch),
            (&[""], mismatch),
            (&["secre"], mismatch),
            (&["SECRET"], mismatch),
            // The first value counts.
            (&["wrong", "secret"], mismatch),
        ] {
            let mut metadata = mesh.to().to_vec();
            metadata.extend(tokens.iter().map(|token| ("dapr-api-token", *token)));
            let answer = mesh.own.unary(path, &metadata, message).await.unwrap();
            let case = format!("{path} {tokens:?}");
            let fields = [("http.code", "401"), ("http.error_message", text)];
            assert_info(&case, &answer, (UNAUTHENTICATED, "Unauthorized"), &fields);
        }
        if path.starts_with("/TaskHub") {
            continue;
        }
        let right = [("dapr-api-token", "secret"), ("dapr-api-token", "wrong")];
        let metadata = mesh.to_with(&right);
        let answer = mesh.own.unary(path, &metadata, message).await.unwrap();
        assert_eq!(answer.code, Some(OK), "{path}: {answer:?}");
    }
    for call in mesh.app.calls() {
        assert!(call.values("dapr-api-token").is_empty(), "{call:?}");
    }
}

fn rules(kind: &str, rules: &[(&str, &str, &str)]) -> ConfigFile {
    let rule = |(name, version, protocol): &(&str, &str, &str)| {
        format!("      - name: {name}\n        version: {version}\n        protocol: {protocol}\n")
    };
    let lines: String = rules.iter().map(rule).collect();
    ConfigFile::new(&format!("  api:\n    {kind}:\n{lines}"))
}

#[tokio::test]
async fn rules_decide_which_methods_are_there() {
    let invoke = ("invoke", "v1", "grpc");
    let metadata = ("metadata", "v1", "grpc");
    for (case, config, open) in [
        (
            "nothing",
            rules("denied", &[("nothing", "v1", "grpc")]),
            [true; 4],
        ),
        (
            "deny invoke",
            rules("denied", &[invoke]),
            [false, true, true, true],
        ),
        (
            "deny both",
            rules("denied", &[invoke, metadata]),
            [false, false, true, true],
        ),
        (
            "allow invoke",
            rules("allowed", &[invoke]),
            [true, false, true, false],
        ),
        (
            "allow metadata",
            rules("allowed", &[metadata]),
            [false, true, true, false],
        ),
        (
            "rules for HTTP",
            rules("allowed", &[("metadata", "v1", "http")]),
            [true; 4],
        ),
        (
            "unknown version",
            rules("denied", &[("invoke", "v9", "grpc")]),
            [true; 4],
        ),
    ] {
        let mesh = mesh_with(|sidecar| sidecar.flag(config.flag())).await;
        let invoke = invoke_request(mesh.id(), "x", b"").encode_to_vec();
        for ((path, message), open) in [
            (INVOKE_SERVICE, &invoke[..]),
            (GET_METADATA, b""),
            (METHOD, b"x"),
            // Under the prefix of the API, but the app's.
            (ON_INVOKE, b""),
        ]
        .into_iter()
        .zip(open)
        {
            let answer = mesh.own.unary(path, &mesh.to(), message).await.unwrap();
            if open {
                assert_ne!(answer.text, "Not Implemented", "{case} {path}");
                continue;
            }
            let text = "requested endpoint is not available";
            let fields = [("http.code", "501"), ("http.error_message", text)];
            let case = format!("{case} {path}");
            assert_info(&case, &answer, (UNIMPLEMENTED, "Not Implemented"), &fields);
        }
    }
}

#[tokio::test]
async fn rules_come_before_the_token() {
    let config = rules("denied", &[("metadata", "v1", "grpc")]);
    let sidecar = sidecar()
        .flag(config.flag())
        .env("DAPR_API_TOKEN", "secret");
    let sidecar = sidecar.start().await.unwrap();
    let client = sidecar.grpc().await.unwrap();
    let answer = client.unary(GET_METADATA, PLAIN, "").await.unwrap();
    assert_eq!(answer.status(), (UNIMPLEMENTED, "Not Implemented"));
}

#[tokio::test]
async fn methods_of_building_blocks_that_are_not_there_say_so() {
    let mesh = mesh_with(|sidecar| sidecar).await;
    for method in [
        "PublishEvent",
        "BulkPublishEvent",
        "BulkPublishEventAlpha1",
        "SubscribeTopicEventsAlpha1",
        "InvokeBinding",
        "GetSecret",
        "GetBulkSecret",
        "RegisterActorTimer",
        "RegisterActorReminder",
        "GetActorState",
        "ExecuteActorStateTransaction",
        "InvokeActor",
        "GetConfiguration",
        "SubscribeConfigurationAlpha1",
        "TryLockAlpha1",
        "UnlockAlpha1",
        "SubtleEncryptAlpha1",
        "EncryptAlpha1",
        "StartWorkflowBeta1",
        "TerminateWorkflowAlpha1",
        "RaiseEventWorkflowBeta1",
        "ScheduleJobAlpha1",
        "DeleteJobsByPrefixAlpha1",
        "ListJobs",
        "ConverseAlpha1",
        "ConverseAlpha2",
        "OfAnotherVersion",
    ] {
        let path = format!("/dapr.proto.runtime.v1.Dapr/{method}");
        // Also for whoever adds a target by habit: it is no call of an app.
        for metadata in [vec![], mesh.to().to_vec()] {
            if method == "OfAnotherVersion" && !metadata.is_empty() {
                continue;
            }
            let answer = mesh.own.unary(&path, &metadata, "").await.unwrap();
            assert_eq!(answer.code, Some(UNIMPLEMENTED), "{method}: {answer:?}");
            assert!(answer.messages.is_empty(), "{method}");
        }
    }
    assert!(mesh.app.calls().is_empty());
}

#[tokio::test]
async fn reflection_tells_the_services_of_the_sidecar() {
    let mesh = mesh_with(|sidecar| sidecar).await;
    for path in REFLECTION {
        // The reference answers only if there is a target, whichever.
        for metadata in [mesh.to().to_vec(), vec![("dapr-app-id", "nobody")], vec![]] {
            let mut call = mesh.own.open(path, &metadata).await.unwrap();
            call.tx.send(LIST_SERVICES).await.unwrap();
            let listed = call.rx.message().await.unwrap();
            let listed = listed.unwrap_or_else(|| panic!("{path} {metadata:?}: no answer"));
            let listed = String::from_utf8_lossy(&listed).into_owned();
            assert!(
                listed.contains("dapr.proto.runtime.v1.Dapr"),
                "{path}: {listed}"
            );

            // `ServerReflectionRequest { file_containing_symbol }`
            let symbol = b"dapr.proto.runtime.v1.Dapr";
            let mut ask = vec![0x22, u8::try_from(symbol.len()).unwrap()];
            ask.extend(symbol);
            call.tx.send(ask).await.unwrap();
            let file = call.rx.message().await.unwrap().unwrap();
            let file = String::from_utf8_lossy(&file).into_owned();
            assert!(file.contains("InvokeService"), "{path}: {file}");

            call.tx.send(b"\x22\x07of.Nobo").await.unwrap();
            let none = call.rx.message().await.unwrap().unwrap();
            // `error_response` is field 7.
            assert!(none.contains(&0x3a), "{path}: {none:?}");
            call.tx.half_close();
            let answer = call.rx.finish().await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{path}");
        }
    }
    assert!(mesh.app.calls().is_empty());
}

#[tokio::test]
async fn metadata_is_that_of_the_http_api() {
    let mesh = mesh_with(|sidecar| sidecar.flag("--app-max-concurrency=7")).await;
    let set = |key: &str, value: &str| {
        runtime::SetMetadataRequest {
            key: key.to_owned(),
            value: value.to_owned(),
        }
        .encode_to_vec()
    };
    for (key, value) in [
        ("a", "1"),
        ("a", "2"),
        ("", "x"),
        ("daprRuntimeVersion", "mine"),
    ] {
        let path = "/dapr.proto.runtime.v1.Dapr/SetMetadata";
        let answer = mesh.own.unary(path, PLAIN, set(key, value)).await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{key}");
    }
    mesh.callee
        .call("PUT", "/v1.0/metadata/b", &[], b"3")
        .await
        .unwrap();
    let answer = mesh.own.unary(GET_METADATA, PLAIN, "").await.unwrap();
    assert_eq!(answer.status(), (OK, ""));
    let seen = runtime::GetMetadataResponse::decode(&answer.messages[0][..]).unwrap();
    assert_eq!((&*seen.id, &*seen.runtime_version), (mesh.id(), "1.18.3"));
    assert_eq!(seen.extended_metadata["a"], "2");
    assert_eq!(seen.extended_metadata["b"], "3");
    assert_eq!(seen.extended_metadata["daprRuntimeVersion"], "1.18.3");
    assert_eq!(seen.extended_metadata.len(), 3);
    let app = seen.app_connection_properties.unwrap();
    assert_eq!(app.port, i32::from(mesh.app.port()));
    assert_eq!(
        (&*app.protocol, &*app.channel_address),
        ("grpc", "127.0.0.1")
    );
    assert_eq!(app.max_concurrency, 7);
    let rsp = mesh
        .callee
        .call("GET", "/v1.0/metadata", &[], b"")
        .await
        .unwrap();
    let over_http: Value = serde_json::from_str(&rsp.text()).unwrap();
    assert_eq!(over_http["extended"]["a"], "2");
    assert_eq!(over_http["appConnectionProperties"]["protocol"], "grpc");
}

#[tokio::test]
async fn a_shutdown_by_grpc_is_graceful_unless_forced() {
    for (metadata, code) in [(PLAIN, 0), (&[("dapr-force-shutdown", "True")], 1)] {
        let mut sidecar = sidecar().start().await.unwrap();
        let client = sidecar.grpc().await.unwrap();
        let path = "/dapr.proto.runtime.v1.Dapr/Shutdown";
        let answer = client.unary(path, metadata, "").await.unwrap();
        assert_eq!(answer.status(), (OK, ""));
        assert_eq!(sidecar.wait_exit().await.unwrap(), code, "{metadata:?}");
    }
}

#[tokio::test]
async fn calls_are_logged_if_asked_for() {
    let mesh =
        mesh_with(|sidecar| sidecar.flag("--enable-api-logging").flag("--log-as-json")).await;
    let agent = [("user-agent", "tester/1")];
    let nowhere = [("dapr-app-id", "a.b.c")];
    for (path, metadata, message, code) in [
        (GET_METADATA, agent.to_vec(), &b""[..], OK),
        (METHOD, mesh.to_with(&agent), b"x", OK),
        (
            "/pkg.Svc/Nowhere",
            [&nowhere[..], &agent[..]].concat(),
            b"x",
            UNKNOWN,
        ),
    ] {
        let answer = mesh.own.unary(path, &metadata, message).await.unwrap();
        assert_eq!(answer.code, Some(code), "{path}");
        let line = mesh
            .callee
            .wait_line(&format!("\"method\":\"{path}\""))
            .await
            .unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["msg"], "gRPC API Called", "{line}");
        assert_eq!(line["scope"], "dapr.runtime.grpc.api-info", "{line}");
        assert_eq!(line["level"], "info", "{line}");
        let agent = line["useragent"].as_str().unwrap();
        assert!(agent.starts_with("tester/1"), "{line}");
        // Numbers, or their text: log formatters differ.
        let number = |name: &str| line[name].to_string().trim_matches('"').parse::<i64>();
        assert_eq!(number("code"), Ok(i64::from(code)), "{line}");
        assert!(number("duration").is_ok_and(|took| took >= 0), "{line}");
    }
}

#[tokio::test]
async fn calls_are_not_logged_unasked() {
    let mesh = mesh_with(|sidecar| sidecar).await;
    mesh.own.unary(GET_METADATA, PLAIN, "").await.unwrap();
    mesh.own.unary(METHOD, &mesh.to(), "x").await.unwrap();
    let mut callee = mesh.callee;
    callee.signal(outrider_testkit::Signal::Term).unwrap();
    callee.wait_exit().await.unwrap();
    let lines = callee.lines();
    assert!(
        !lines.iter().any(|line| line.contains("gRPC API Called")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn messages_over_the_limit_are_refused() {
    let app = RawApp::echo().await.unwrap();
    let sidecar = sidecar().app_port(app.port()).flag("--max-body-size=1Mi");
    let sidecar = sidecar.start().await.unwrap();
    let client = sidecar.grpc().await.unwrap();
    let over = vec![b'x'; (1 << 20) + 1];
    let text = "grpc: received message larger than max (1048577 vs. 1048576)";
    for path in [INVOKE_SERVICE, GET_METADATA] {
        let answer = client.unary(path, PLAIN, &over).await.unwrap();
        assert_eq!(answer.status(), (EXHAUSTED, text), "{path}");
    }
    // A prefix alone is enough to know it.
    let mut call = client.open(INVOKE_SERVICE, PLAIN).await.unwrap();
    call.tx.send_raw(&b"\0\xff\xff\xff\xff"[..]).await.unwrap();
    let answer = call.rx.finish().await.unwrap();
    assert_eq!(answer.code, Some(EXHAUSTED), "{answer:?}");
    assert!(app.requests().await.is_empty());
}

#[tokio::test]
async fn odd_requests_are_told_what_is_odd_about_them() {
    let mesh = mesh_with(|sidecar| sidecar).await;
    let own = |inner: &str| format!("failed to invoke, id: {}, err: {inner}", mesh.id());
    let mut req = invoke_request(mesh.id(), "x", b"");
    req.message = None;
    let answer = invoke_service(&mesh.own, &req, PLAIN).await;
    assert_eq!(answer.status(), (INTERNAL, &*own("message is nil")));

    let begin = "grpc: error unmarshalling request: ";
    for (bytes, rest) in [
        (
            &b"\xff\xff\xff"[..],
            "proto: cannot parse invalid wire-format data",
        ),
        (b"\x0a\x01\xff", "string field contains invalid UTF-8"),
    ] {
        let answer = mesh.own.unary(INVOKE_SERVICE, PLAIN, bytes).await.unwrap();
        let (code, text) = answer.status();
        assert_eq!(code, INTERNAL, "{text}");
        // The library puts a space of one kind or the other behind its own name.
        let text = text.replace('\u{a0}', " ");
        assert!(text.starts_with(begin) && text.ends_with(rest), "{text}");
    }

    for (id, inner) in [("", "app id is empty"), ("a.b.c", "invalid app id a.b.c")] {
        let answer = invoke_service(&mesh.own, &invoke_request(id, "x", b""), PLAIN).await;
        let text = format!("failed to invoke, id: {id}, err: {inner}");
        assert_eq!(answer.status(), (INTERNAL, &*text));
        assert_eq!(answer.details, None, "{id}");
    }
    let text = "malformed method name: \"/nothing\"";
    let answer = mesh.own.unary("/nothing", PLAIN, "").await.unwrap();
    assert_eq!(answer.status(), (UNIMPLEMENTED, text));
    assert!(mesh.app.calls().is_empty());
}

/// `SetMetadata` of `k` to `v`, compressed with gzip by another program.
const PACKED: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 255, 227, 98, 204, 22, 98, 44, 3, 0, 33, 73, 193, 126, 6, 0, 0, 0,
];

#[tokio::test]
async fn a_request_may_be_compressed_with_gzip() {
    let mesh = mesh_with(|sidecar| sidecar).await;
    let mut message = vec![1, 0, 0, 0];
    message.push(u8::try_from(PACKED.len()).unwrap());
    message.extend_from_slice(PACKED);
    let path = "/dapr.proto.runtime.v1.Dapr/SetMetadata";
    let metadata = [("grpc-encoding", "gzip")];
    let mut call = mesh.own.open(path, &metadata).await.unwrap();
    call.tx.send_raw(message).await.unwrap();
    call.tx.half_close();
    assert_eq!(call.rx.finish().await.unwrap().status(), (OK, ""));
    let answer = mesh.own.unary(GET_METADATA, PLAIN, "").await.unwrap();
    let told = runtime::GetMetadataResponse::decode(&answer.messages[0][..]).unwrap();
    assert_eq!(told.extended_metadata["k"], "v");
}

#[tokio::test]
async fn what_is_no_grpc_never_reaches_a_method_or_an_app() {
    let mesh = mesh_with(|sidecar| sidecar).await;
    let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let grpc = field("content-type", "application/grpc");
    let to = field("dapr-app-id", mesh.id());
    for path in [GET_METADATA, METHOD] {
        for (method, fields, code, text) in [
            (
                "GET",
                vec![grpc.clone()],
                INTERNAL,
                "Received a HEADERS frame with :method \"GET\" which should be POST",
            ),
            (
                "POST",
                vec![field("content-type", "text/plain")],
                INVALID,
                "invalid gRPC request content-type \"text/plain\"",
            ),
            (
                "POST",
                vec![grpc.clone(), field("x-bin", "***")],
                INTERNAL,
                "malformed binary metadata \"***\" in header \"x-bin\": illegal base64 data at input byte 0",
            ),
            (
                "POST",
                vec![grpc.clone(), field("grpc-timeout", "0n")],
                DEADLINE,
                "context deadline exceeded",
            ),
        ] {
            let fields = [fields, vec![to.clone()]].concat();
            let mut call = mesh.own.request(method, path, &fields).await.unwrap();
            call.tx.half_close();
            let answer = call.rx.finish().await.unwrap();
            assert_eq!(answer.status(), (code, text), "{path}");
        }
    }
    assert!(mesh.app.calls().is_empty());
}

/// A compressed message of one byte, in an encoding that nobody has.
const SNAPPY: &[u8] = b"\x01\0\0\0\x01x";

#[tokio::test]
async fn encodings_that_are_unknown_are_named() {
    let mesh = mesh_with(|sidecar| sidecar).await;
    let metadata = [("grpc-encoding", "snappy")];
    let mut call = mesh.own.open(GET_METADATA, &metadata).await.unwrap();
    call.tx.send_raw(SNAPPY).await.unwrap();
    call.tx.half_close();
    let answer = call.rx.finish().await.unwrap();
    let text = "grpc: Decompressor is not installed for grpc-encoding \"snappy\"";
    assert_eq!(answer.status(), (UNIMPLEMENTED, text));
}

#[tokio::test]
async fn what_a_proxied_message_is_encoded_in_is_between_client_and_app() {
    // The reference takes messages apart, so it has to know the encoding.
    let mesh = mesh_with(|sidecar| sidecar).await;
    let metadata = mesh.to_with(&[("grpc-encoding", "snappy")]);
    let mut call = mesh.own.open(METHOD, &metadata).await.unwrap();
    call.tx.send_raw(SNAPPY).await.unwrap();
    call.tx.half_close();
    call.rx.finish().await.unwrap();
    let seen = &mesh.app.calls()[0];
    assert_eq!(seen.values("grpc-encoding"), ["snappy"]);
    assert_eq!(seen.body, SNAPPY);
}

#[tokio::test]
async fn a_unix_socket_stands_in_for_the_port() {
    let folder = tempfile::tempdir().unwrap();
    let id = unique_id("sock");
    let app = GrpcApp::start(echo_any).await.unwrap();
    let sidecar = sidecar()
        .app_id(&id)
        .app_port(app.port())
        .app_protocol("grpc")
        .flag(format!("--unix-domain-socket={}", folder.path().display()));
    let sidecar = sidecar.spawn().unwrap();
    let path = folder.path().join(format!("dapr-{id}-grpc.socket"));
    let mut client = None;
    eventually("the socket is there", async || {
        client = GrpcClient::connect_unix(&path).await.ok();
        client.is_some()
    })
    .await;
    let client = client.unwrap();
    let answer = client.unary(GET_METADATA, PLAIN, "").await.unwrap();
    assert_eq!(answer.status(), (OK, ""));
    sidecar.wait_line("application discovered").await.unwrap();
    let to = [("dapr-app-id", &*id)];
    eventually("the app is reached", async || {
        client.unary(METHOD, &to, "x").await.unwrap().code == Some(OK)
    })
    .await;
    eventually("the app is called", async || {
        invoke_service(&client, &invoke_request(&id, "x", b""), PLAIN)
            .await
            .code
            == Some(OK)
    })
    .await;
    assert!(sidecar.grpc().await.is_err(), "instead of a port");
    let internal = GrpcClient::connect(sidecar.ports().internal).await;
    assert!(internal.is_ok(), "peers come by TCP all the same");
}

#[tokio::test]
async fn settings_come_before_the_first_call_and_pings_are_answered() {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const MAX_HEADER_LIST: u16 = 6;
    let sidecar = sidecar().start().await.unwrap();
    for port in [sidecar.ports().grpc, sidecar.ports().internal] {
        let mut client = RawClient::connect(port).await.unwrap();
        client
            .send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
            .unwrap();
        // Clients that wait for a connection wait for this.
        let mut bytes = client.read_at_least(9).await.unwrap();
        assert_eq!(bytes[3..5], [SETTINGS, 0], "{bytes:?}");
        let len = usize::from(bytes[2]);
        while bytes.len() < 9 + len {
            bytes.extend(client.read_at_least(1).await.unwrap());
        }
        let pairs = bytes[9..9 + len].chunks(6).map(|six| {
            let value = u32::from_be_bytes([six[2], six[3], six[4], six[5]]);
            (u16::from_be_bytes([six[0], six[1]]), value)
        });
        let headers = pairs.into_iter().find(|(key, _)| *key == MAX_HEADER_LIST);
        assert!(headers.is_some_and(|(_, max)| max >= 16 << 10), "{bytes:?}");

        let ping = b"\0\0\x08\x06\0\0\0\0\0outrider";
        client.send(ping).await.unwrap();
        let answer = [&[0, 0, 8, PING, 1, 0, 0, 0, 0][..], b"outrider"].concat();
        while !bytes.windows(answer.len()).any(|part| part == answer) {
            bytes.extend(client.read_at_least(1).await.unwrap());
        }
    }
}
