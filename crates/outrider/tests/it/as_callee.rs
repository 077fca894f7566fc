//! The internal port, called by a hand-made peer (contract `sidecar-protocol.md` 3.2, 3.3, 5, 7).

use bytes::Bytes;
use h2::Reason;
use outrider_testkit::{RawApp, Script, Sidecar};
use outrider_wire::r#gen::internals;
use prost::Message;

use crate::peer::{
    Answer, STREAM, UNARY, any, call, framed, open, payload, request, request_message,
};
use crate::support::{sidecar, taken};

pub(crate) const OK: i32 = 0;
const UNKNOWN: i32 = 2;
pub(crate) const INVALID: i32 = 3;
const DEADLINE: i32 = 4;
pub(crate) const EXHAUSTED: i32 = 8;
const UNIMPLEMENTED: i32 = 12;
pub(crate) const INTERNAL: i32 = 13;

/// A callee with an echo app, and little room for a message.
pub(crate) async fn callee() -> (RawApp, Sidecar) {
    let app = RawApp::echo().await.unwrap();
    let sidecar = sidecar().app_port(app.port()).flag("--max-body-size=64Ki");
    let sidecar = sidecar.start().await.unwrap();
    (app, sidecar)
}

/// Calls in the streamed form.
pub(crate) async fn stream(sidecar: &Sidecar, messages: &[Bytes]) -> Answer {
    call(sidecar.ports().internal, STREAM, messages).await
}

/// Values of one entry of the map.
pub(crate) fn values(values: &[&str]) -> internals::ListStringValue {
    let values = values.iter().map(|v| (*v).to_owned()).collect();
    internals::ListStringValue { values }
}

#[tokio::test]
async fn an_answer_is_a_head_and_numbered_pieces() {
    let (app, sidecar) = callee().await;
    let body = vec![b'b'; 200_000];
    app.handle(move |_| {
        let headers = [
            ("Content-Type", "text/x"),
            ("x-many", "1"),
            ("X-Many", "2"),
            ("Connection", "X-Gone"),
            ("X-Gone", "1"),
        ];
        Script::answer("418 Teapot", &headers, &body)
    });
    let answer = stream(&sidecar, &[request_message(Some(request()), None)]).await;
    assert_eq!((answer.code, answer.reset), (Some(OK), None));
    let messages = answer.streamed();
    let head = messages[0].response.clone().unwrap();
    assert_eq!(head.status.unwrap().code, 418);
    assert_eq!(head.message.unwrap().content_type, "text/x");
    assert_eq!(head.headers["X-Many"].values, ["1", "2"]);
    for gone in ["X-Gone", "Connection", "Content-Length"] {
        assert!(!head.headers.contains_key(gone), "{gone}");
    }
    assert!(head.headers.values().all(|list| !list.values.is_empty()));
    for later in &messages[1..] {
        let empty = internals::InternalInvokeResponse::default();
        assert!(later.response.is_none() || later.response == Some(empty));
        assert!(later.payload.as_ref().unwrap().data.len() <= 64 << 10);
    }
    assert_eq!(answer.body(), vec![b'b'; 200_000]);
}

#[tokio::test]
async fn an_empty_answer_has_its_head_all_the_same() {
    let (app, sidecar) = callee().await;
    app.answer_once(Script::answer("204 No Content", &[], ""));
    let answer = stream(&sidecar, &[request_message(Some(request()), None)]).await;
    assert_eq!(answer.code, Some(OK));
    let head = answer.streamed()[0].response.clone().unwrap();
    assert_eq!(head.status.unwrap().code, 204);
    assert!(answer.body().is_empty());
}

#[tokio::test]
async fn a_body_may_come_in_any_pieces() {
    let (app, sidecar) = callee().await;
    let mut with_length = request();
    with_length
        .metadata
        .insert("Content-Length".into(), values(&["9"]));
    let mut discarded = request();
    discarded.message.as_mut().unwrap().data = any(b"not a body");
    let rest = [(1, "def"), (2, ""), (3, "ghi")]
        .map(|(seq, data)| request_message(None, payload(seq, data.as_bytes())));
    let empty = request_message(
        Some(internals::InternalInvokeRequest::default()),
        payload(1, b"def"),
    );
    let head = |req: &internals::InternalInvokeRequest, p| request_message(Some(req.clone()), p);
    let first = payload(0, b"abc");
    for (case, chunked, messages) in [
        (
            "all at once",
            false,
            vec![head(&request(), payload(0, b"abcdefghi"))],
        ),
        (
            "in pieces",
            true,
            [&[head(&request(), first.clone())], &rest[..]].concat(),
        ),
        (
            "with its length",
            false,
            [&[head(&with_length, first.clone())], &rest[..]].concat(),
        ),
        (
            "bytes in the head are none of it",
            true,
            [&[head(&discarded, first.clone())], &rest[..]].concat(),
        ),
        (
            "an empty request later is tolerated",
            true,
            [&[head(&request(), first.clone()), empty], &rest[1..]].concat(),
        ),
        (
            "none with the head",
            true,
            vec![
                head(&request(), None),
                request_message(None, payload(0, b"abcdefghi")),
            ],
        ),
    ] {
        let answer = stream(&sidecar, &messages).await;
        assert_eq!((answer.code, &*answer.text), (Some(OK), ""), "{case}");
        assert_eq!(answer.body(), b"abcdefghi", "{case}");
        let req = taken(&app).await;
        assert_eq!(req.body, b"abcdefghi", "{case}");
        if messages.len() > 1 && !chunked {
            assert_eq!(req.headers.get("content-length"), Some("9"), "{case}");
        }
    }
}

fn unary(data: &[u8]) -> internals::InternalInvokeRequest {
    let mut req = request();
    req.message.as_mut().unwrap().data = any(data);
    req
}

#[tokio::test]
async fn the_unary_form_is_served() {
    let (app, sidecar) = callee().await;
    let port = sidecar.ports().internal;
    let mut without_metadata = unary(b"body");
    without_metadata.metadata.clear();
    for req in [unary(b"body"), without_metadata] {
        let answer = call(port, UNARY, &[framed(&req.encode_to_vec())]).await;
        assert_eq!(answer.code, Some(OK), "{}", answer.text);
        let rsp = internals::InternalInvokeResponse::decode(&answer.messages[0][..]).unwrap();
        assert_eq!(rsp.status.unwrap().code, 200);
        assert_eq!(&rsp.message.unwrap().data.unwrap().value[..], b"body");
        assert_eq!(taken(&app).await.body, b"body");
    }
    let mut req = unary(b"body");
    req.message = None;
    let answer = call(port, UNARY, &[framed(&req.encode_to_vec())]).await;
    let text = "parsing InternalInvokeRequest error: field Message is nil";
    assert_eq!((answer.code, &*answer.text), (Some(INVALID), text));

    // The reference dies of this one.
    let mut req = unary(b"body");
    req.metadata
        .insert("Accept".into(), values(&["text/event-stream"]));
    let answer = call(port, UNARY, &[framed(&req.encode_to_vec())]).await;
    assert_eq!(answer.code, Some(OK), "{}", answer.text);

    app.answer_once(Script::answer("200 OK", &[], vec![b'l'; 100_000]));
    let answer = call(port, UNARY, &[framed(&unary(b"").encode_to_vec())]).await;
    assert!(
        answer.code == Some(EXHAUSTED) || answer.code == Some(OK),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_type_url_makes_the_body_a_protobuf_one() {
    let (app, sidecar) = callee().await;
    let mut req = unary(b"body");
    let message = req.message.as_mut().unwrap();
    message.data.as_mut().unwrap().type_url = "type.googleapis.com/x".into();
    message.content_type = "text/x".into();
    call(
        sidecar.ports().internal,
        UNARY,
        &[framed(&req.encode_to_vec())],
    )
    .await;
    let seen = taken(&app).await;
    assert_eq!(seen.headers.all("content-type"), ["application/x-protobuf"]);
}

#[tokio::test]
async fn what_is_not_served_is_unimplemented() {
    let (app, sidecar) = callee().await;
    for method in [
        "CallActor",
        "CallActorReminder",
        "CallActorStream",
        "Nothing",
    ] {
        let path = format!("/dapr.proto.internals.v1.ServiceInvocation/{method}");
        let message = framed(&request().encode_to_vec());
        let answer = call(sidecar.ports().internal, &path, &[message]).await;
        assert_eq!(
            answer.code,
            Some(UNIMPLEMENTED),
            "{method}: {}",
            answer.text
        );
    }
    for path in ["/", "/some.Service/Method", "/grpc.health.v1.Health/Check"] {
        let answer = call(sidecar.ports().internal, path, &[framed(b"")]).await;
        assert!(
            answer.code.is_some_and(|code| code != OK),
            "{path}: {answer:?}"
        );
    }
    assert!(app.requests().await.is_empty());
}

#[tokio::test]
async fn without_an_app_every_call_is_refused() {
    let sidecar = sidecar().start().await.unwrap();
    let answer = stream(&sidecar, &[request_message(Some(request()), None)]).await;
    assert_eq!(
        (answer.code, &*answer.text),
        (Some(INTERNAL), "app channel is not initialized")
    );
}

#[tokio::test]
async fn a_reset_cancels_the_request_to_the_app() {
    let (app, sidecar) = callee().await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 9\r\n\r\nhi";
    for answer in ["", head] {
        app.clear();
        app.answer_once(Script::new().send(answer).hang());
        let mut call = open(sidecar.ports().internal, STREAM, &[]).await;
        let message = request_message(Some(request()), None);
        call.send.send_data(message, true).unwrap();
        let req = app.last_request().await.unwrap();
        call.send.send_reset(Reason::CANCEL);
        app.wait_closed(req.connection).await.unwrap();
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call() {
    let (app, sidecar) = callee().await;
    app.answer_once(Script::new().hang());
    let mut call = open(
        sidecar.ports().internal,
        STREAM,
        &[("grpc-timeout", "150m")],
    )
    .await;
    let message = request_message(Some(request()), None);
    call.send.send_data(message, true).unwrap();
    let started = std::time::Instant::now();
    let answer = call.answer().await;
    assert_eq!(answer.code, Some(DEADLINE), "{answer:?}");
    assert!(started.elapsed() < std::time::Duration::from_secs(2));
    let req = app.last_request().await.unwrap();
    app.wait_closed(req.connection).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_an_error() {
    let (app, sidecar) = callee().await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n";
    app.answer_once(Script::new().send(head).chunk("part").close());
    let answer = stream(&sidecar, &[request_message(Some(request()), None)]).await;
    let failed =
        answer.reset.is_some() || answer.code == Some(UNKNOWN) || answer.code == Some(INTERNAL);
    assert!(failed, "{answer:?}");
    // Shorter than declared, but closed in order: whole by contract.
    app.answer_once(
        Script::new()
            .send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            .close(),
    );
    let answer = stream(&sidecar, &[request_message(Some(request()), None)]).await;
    assert_eq!((answer.code, answer.body()), (Some(OK), b"abc".to_vec()));
}
