//! Answers of apps that are none, or odd ones, as callers hear of them (contract `grpc-api.md` 4.5, 5,
//! 9.7).

use h2::Reason;
use outrider_testkit::grpc::bin_values;
use outrider_testkit::{GrpcApp, GrpcScript, Sidecar};

use crate::grpc_support::{
    CANCELED, GrpcMesh, INTERNAL, METHOD, OK, PLAIN, UNAVAILABLE, UNIMPLEMENTED, UNKNOWN, echo_any,
    invoke_request, invoke_service,
};
use crate::support::invoke;

/// Both sidecars, to be called over HTTP.
fn sidecars(mesh: &GrpcMesh) -> [(&'static str, &Sidecar); 2] {
    [("remote", &mesh.caller), ("own", &mesh.callee)]
}

#[tokio::test]
async fn trailers_without_a_status_get_one_and_keep_what_they_have() {
    let mesh = GrpcMesh::echo().await;
    let unreadable = |status| [("x-t", "1"), ("grpc-status", status)];
    let prefix = "transport: malformed grpc-status: strconv.ParseInt: parsing";
    let no_number = format!(r#"{prefix} "x": invalid syntax"#);
    let too_large = format!(r#"{prefix} "4294967295": value out of range"#);
    for (fields, text) in [
        (&[("x-t", "1")][..], ""),
        (&unreadable("x"), no_number.as_str()),
        (&unreadable("4294967295"), too_large.as_str()),
    ] {
        for (way, client) in mesh.ways() {
            let script = GrpcScript::new().message("m").trailers(fields);
            mesh.app.answer_once(script);
            let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
            assert_eq!(answer.status(), (UNKNOWN, text), "{way}");
            assert_eq!(answer.trailing("x-t"), ["1"], "{way} {text}");
        }
    }
}

#[tokio::test]
async fn the_beginning_of_an_answer_that_is_no_grpc_is_told() {
    let mesh = GrpcMesh::echo().await;
    let text = "unexpected HTTP status code received from server: 503 (Service Unavailable); \
                transport: received unexpected content-type \"text/html\"";
    let long = "x".repeat(3000);
    let told = "x".repeat(1024);
    for (body, shown) in [
        ("", String::new()),
        ("<h1>\n", "\ndata: \"<h1>\\n\"".to_owned()),
        (&long, format!("\ndata: \"{told}\"")),
    ] {
        for (way, client) in mesh.ways() {
            let html = [("content-type", "text/html")];
            let script = GrpcScript::new().head(503, &html);
            let script = match body {
                "" => script.end(),
                body => script.data(body.to_owned()).end(),
            };
            mesh.app.answer_once(script.clone());
            let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
            let (code, message) = answer.status();
            assert_eq!(
                (code, message),
                (UNAVAILABLE, &*format!("{text}{shown}")),
                "{way}"
            );
        }
    }
}

#[tokio::test]
async fn an_app_that_is_no_grpc_server_is_quoted() {
    let mesh = GrpcMesh::start(|_| {
        GrpcScript::new()
            .read_all()
            .head(404, &[("content-type", "text/plain")])
            .data("404 page not found\n")
            .end()
    })
    .await;
    let wanted = "unexpected HTTP status code received from server: 404 (Not Found); transport: \
                  received unexpected content-type \"text/plain\"\n\
                  data: \"404 page not found\\n\"";
    for (way, client) in mesh.ways() {
        let answer = invoke_service(client, &invoke_request(mesh.id(), "x", b""), PLAIN).await;
        assert_eq!(answer.status(), (UNIMPLEMENTED, wanted), "{way}");
    }
}

#[tokio::test]
async fn a_negative_status_is_told_without_its_sign() {
    let mesh = GrpcMesh::start(|_| GrpcScript::refuse(-1, "no")).await;
    let (_, client) = mesh.ways()[1];
    let answer = invoke_service(client, &invoke_request(mesh.id(), "x", b""), PLAIN).await;
    assert_eq!(answer.trailing("grpc-status"), ["4294967295"]);
}

/// A trace context that can't be read is none: the app gets one it can go on from.
#[tokio::test]
async fn a_bad_trace_context_is_replaced() {
    let mesh = GrpcMesh::around(GrpcApp::start(echo_any).await.unwrap()).await;
    for (way, sidecar) in sidecars(&mesh) {
        let bad = [("traceparent", "x")];
        let rsp = sidecar
            .call("POST", &invoke(mesh.id(), "x"), &bad, b"")
            .await;
        assert_eq!(rsp.unwrap().status(), 200, "{way}");
        let call = mesh.app.take().await.unwrap();
        assert_eq!(call.values("traceparent").len(), 1, "{way}");
        assert_eq!(
            bin_values(&call.metadata, "grpc-trace-bin")[0].len(),
            29,
            "{way}"
        );
    }
}

/// As many fields as a map of them can hold: what we add finds no room.
#[tokio::test]
async fn an_answer_with_as_many_fields_as_there_can_be_is_an_answer() {
    let names: Vec<String> = (0..24_575).map(|n| format!("x-{n}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let script = GrpcScript::new().initial(&fields).message("m").ok();
    let mesh = GrpcMesh::echo().await;
    for (way, client) in mesh.ways() {
        mesh.app.answer_once(script.clone());
        let metadata = mesh.to_with(&[("baggage", "k=v")]);
        let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way}");
        assert!(answer.headers.len() >= fields.len(), "{way}");
    }
}

/// Part of a message, and then the end: what the app says of it counts, or what happened to it.
#[tokio::test]
async fn an_app_that_breaks_off_inside_a_message_is_told_by_its_own_word() {
    let mesh = GrpcMesh::echo().await;
    let part = || GrpcScript::new().message("m").data(&b"\0\0\0\0\x05abc"[..]);
    for (case, script, code) in [
        ("a status", part().status(8, "app says"), 8),
        ("none", part().ok(), INTERNAL),
        ("cut", part().cut(), UNAVAILABLE),
        ("reset", part().reset(Reason::CANCEL), CANCELED),
    ] {
        for (way, client) in mesh.ways() {
            mesh.app.answer_once(script.clone());
            let answer = client.unary(METHOD, &mesh.to(), "x").await.unwrap();
            assert_eq!(answer.code, Some(code), "{way} {case}: {answer:?}");
            mesh.app.answer_once(script.clone());
            let answer = invoke_service(client, &invoke_request(mesh.id(), "x", b""), PLAIN).await;
            assert_eq!(answer.code, Some(code), "{way} {case}: {answer:?}");
        }
    }
}

/// Some servers end an answer that has no message with an empty frame of data.
#[tokio::test]
async fn a_status_in_the_head_counts_if_there_is_no_other() {
    let mesh = GrpcMesh::echo().await;
    let fields = [("grpc-status", "5"), ("grpc-message", "gone")];
    for (case, script, status) in [
        (
            "alone",
            GrpcScript::new().initial(&fields).end(),
            (5, "gone"),
        ),
        (
            "and another",
            GrpcScript::new().initial(&fields).message("").ok(),
            (0, ""),
        ),
    ] {
        for (way, client) in mesh.ways() {
            mesh.app.answer_once(script.clone());
            let answer = invoke_service(client, &invoke_request(mesh.id(), "x", b""), PLAIN).await;
            assert_eq!(answer.status(), status, "{way} {case}");
        }
    }
}
