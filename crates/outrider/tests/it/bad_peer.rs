//! Callers that break the protocol between sidecars: each is told why, and nothing else suffers
//! (contract `sidecar-protocol.md` 3.2, 4, 5).

use bytes::Bytes;
use outrider_testkit::{Ending, RawApp, RawClient, Sidecar};
use outrider_wire::r#gen::{common, internals};

use crate::as_callee::{EXHAUSTED, INTERNAL, INVALID, OK, callee, stream, values};
use crate::peer::{framed, payload, request, request_message};
use crate::support::taken;

#[tokio::test]
async fn what_is_missing_or_wrong_in_the_head_is_named() {
    let (app, sidecar) = callee().await;
    let missing = "parsing InternalInvokeRequest error: request does not contain the required fields in the leading chunk";
    let edit = |change: &dyn Fn(&mut internals::InternalInvokeRequest)| {
        let mut req = request();
        change(&mut req);
        Some(req)
    };
    let message = |change: &dyn Fn(&mut common::InvokeRequest)| {
        edit(&|req| change(req.message.as_mut().unwrap()))
    };
    let app_error = "error invoking app channel: rpc error: code = ";
    let version = |n: i32| format!("{app_error}Unimplemented desc = Unsupported spec version: {n}");
    let cases = [
        (None, INVALID, missing.to_owned()),
        (
            edit(&|req| req.metadata.clear()),
            INVALID,
            missing.to_owned(),
        ),
        (edit(&|req| req.message = None), INVALID, missing.to_owned()),
        (edit(&|req| req.ver = 0), INTERNAL, version(0)),
        (edit(&|req| req.ver = 2), INTERNAL, version(2)),
        (
            message(&|message| message.http_extension = None),
            INTERNAL,
            format!("{app_error}InvalidArgument desc = missing HTTP extension field"),
        ),
        (
            message(&|message| message.http_extension.as_mut().unwrap().verb = 0),
            INTERNAL,
            format!("{app_error}InvalidArgument desc = invalid HTTP verb"),
        ),
        (
            message(&|message| message.http_extension.as_mut().unwrap().verb = 6),
            INTERNAL,
            format!("{app_error}InvalidArgument desc = invalid HTTP verb"),
        ),
        (
            message(&|message| message.method = "a#b".into()),
            INVALID,
            r#"invalid method: method contains forbidden character: "a#b""#.to_owned(),
        ),
        (
            edit(&|req| {
                drop(
                    req.metadata
                        .insert("Content-Length".into(), values(&["abc"])),
                )
            }),
            INTERNAL,
            r#"error invoking app channel: strconv.ParseInt: parsing "abc": invalid syntax"#
                .to_owned(),
        ),
    ];
    for (req, code, text) in cases {
        let case = format!("{req:?}");
        let answer = stream(&sidecar, &[request_message(req, payload(0, b"x"))]).await;
        assert_eq!((answer.code, answer.text), (Some(code), text), "{case}");
        assert!(answer.messages.is_empty(), "{case}");
    }
    assert!(app.requests().await.is_empty());
}

#[tokio::test]
async fn an_unknown_verb_is_refused() {
    let (app, sidecar) = callee().await;
    for verb in [10, 99, -1] {
        let mut req = request();
        let message = req.message.as_mut().unwrap();
        message.http_extension.as_mut().unwrap().verb = verb;
        let answer = stream(&sidecar, &[request_message(Some(req), None)]).await;
        assert_eq!(answer.code, Some(INTERNAL), "{verb}");
    }
    assert!(app.requests().await.is_empty());
}

#[tokio::test]
async fn a_peer_cannot_write_another_request_into_ours() {
    let (app, sidecar) = callee().await;
    let evil = "x HTTP/1.1\r\nX-Evil: 1\r\n\r\n";
    let mut by_query = request();
    let message = by_query.message.as_mut().unwrap();
    message.http_extension.as_mut().unwrap().querystring = format!("a= b#{evil}");
    let mut by_type = request();
    by_type.message.as_mut().unwrap().content_type = "a/b\r\nX-Evil: 1".into();
    let mut by_value = request();
    by_value
        .metadata
        .insert("X-A".into(), values(&["b\r\nX-Evil: 1"]));
    for (case, req) in [("query", by_query), ("type", by_type), ("value", by_value)] {
        assert_harmless(case, req, (&app, &sidecar)).await;
    }
    let alive = stream(&sidecar, &[request_message(Some(request()), None)]).await;
    assert_eq!(alive.code, Some(OK));
}

#[tokio::test]
async fn a_peer_cannot_write_another_header_through_a_name() {
    let (app, sidecar) = callee().await;
    for name in [
        "X-A: b\r\nX-Evil",
        "X-Evil: 1\r\n",
        "X-A\0",
        "",
        " X-Evil",
        "X Evil",
        "X-Evil:",
    ] {
        let mut req = request();
        req.metadata.insert(name.into(), values(&["1"]));
        assert_harmless(name, req, (&app, &sidecar)).await;
    }
}

/// The call is answered somehow, and the app sees no header of the peer's making.
async fn assert_harmless(
    case: &str,
    req: internals::InternalInvokeRequest,
    (app, sidecar): (&RawApp, &Sidecar),
) {
    app.clear();
    let answer = stream(sidecar, &[request_message(Some(req), None)]).await;
    assert!(answer.code.is_some(), "{case:?}");
    for req in app.requests().await {
        let text = String::from_utf8_lossy(&req.raw);
        assert!(
            !text.to_lowercase().contains("\nx-evil"),
            "{case:?}: {text}"
        );
        assert_eq!(req.line.split(' ').count(), 3, "{case:?}: {}", req.line);
        for name in req.headers.names() {
            let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            assert!(
                !name.is_empty() && name.bytes().all(fine),
                "{case:?}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn empty_value_lists_are_tolerated() {
    let (app, sidecar) = callee().await;
    let mut req = request();
    for name in [
        "content-type",
        "traceparent",
        "Traceparent",
        "grpc-trace-bin",
        "Accept",
        "X-None",
        "Connection",
    ] {
        req.metadata.insert(name.into(), values(&[]));
    }
    let answer = stream(&sidecar, &[request_message(Some(req), None)]).await;
    assert_eq!(answer.code, Some(OK), "{}", answer.text);
    let req = taken(&app).await;
    assert!(!req.headers.has("x-none") && !req.headers.has("content-type"));
}

#[tokio::test]
async fn a_body_that_breaks_its_order_is_named() {
    let (app, sidecar) = callee().await;
    let url = format!(
        r#"error invoking app channel: Post "http://{}/x": "#,
        app.addr()
    );
    let first = request_message(Some(request()), payload(0, b"abc"));
    for (later, text) in [
        (
            request_message(None, payload(5, b"x")),
            "invalid sequence number received: 5 (expected: 1)",
        ),
        (
            request_message(None, payload(0, b"x")),
            "invalid sequence number received: 0 (expected: 1)",
        ),
        (
            request_message(Some(request()), None),
            "request metadata found in non-leading chunk",
        ),
        (
            request_message(Some(request()), payload(1, b"x")),
            "request metadata found in non-leading chunk",
        ),
    ] {
        let answer = stream(&sidecar, &[first.clone(), later]).await;
        assert_eq!(
            (answer.code, answer.text),
            (Some(INTERNAL), format!("{url}{text}"))
        );
    }
    let wrong = request_message(Some(request()), payload(3, b"x"));
    let answer = stream(&sidecar, &[wrong]).await;
    let text = "invalid sequence number received: 3 (expected: 0)";
    assert_eq!(answer.code, Some(INTERNAL));
    assert!(answer.text.ends_with(text), "{}", answer.text);
    let whole = app
        .requests()
        .await
        .into_iter()
        .filter(|req| req.complete());
    assert_eq!(whole.count(), 0, "no app took one of them for whole");
}

#[tokio::test]
async fn bytes_that_are_no_message_end_that_call_only() {
    let (app, sidecar) = callee().await;
    let good = request_message(Some(request()), None);
    let too_long = request_message(Some(request()), payload(0, &vec![b'x'; 1_100_000]));
    let size = too_long.len() - 5;
    let compressed = [&[1], &good[1..]].concat();
    let flagged = [&[7], &good[1..]].concat();
    let half = good.slice(..good.len() - 3);
    let huge = Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
    for (case, bytes, code, part) in [
        (
            "no protobuf",
            framed(b"\xff\xff\xff\xff"),
            INTERNAL,
            "unmarshal",
        ),
        ("cut varint", framed(&[0x0a, 0x80]), INTERNAL, "unmarshal"),
        (
            "length beyond the end",
            framed(&[0x0a, 0x7f, 1]),
            INTERNAL,
            "unmarshal",
        ),
        (
            "not UTF-8",
            framed(&[0x0a, 0x06, 0x1a, 0x04, 0x0a, 0x02, 0xff, 0xfe]),
            INTERNAL,
            "unmarshal",
        ),
        ("compressed", compressed.into(), INTERNAL, ""),
        ("unknown flag", flagged.into(), INTERNAL, ""),
        ("half a message", half, INTERNAL, ""),
        (
            "over the limit",
            too_long,
            EXHAUSTED,
            &*format!("received message larger than max ({size} vs. 1048576)"),
        ),
        (
            "announced over the limit",
            huge,
            EXHAUSTED,
            "received message larger than max",
        ),
    ] {
        let answer = stream(&sidecar, &[bytes]).await;
        assert_eq!(answer.code, Some(code), "{case}: {}", answer.text);
        assert!(answer.text.contains(part), "{case}: {}", answer.text);
    }
    let nothing = stream(&sidecar, &[]).await;
    assert!(nothing.code.is_some_and(|code| code != OK), "{nothing:?}");
    assert!(app.requests().await.is_empty());
    assert_eq!(stream(&sidecar, &[good]).await.code, Some(OK));
}

#[tokio::test]
async fn a_connection_of_something_else_ends_alone() {
    let (_app, sidecar) = callee().await;
    let port = sidecar.ports().internal;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut client = RawClient::connect(port).await.unwrap();
        client.send(bytes).await.unwrap();
        let (_, ending) = client.read_to_end().await;
        assert_ne!(ending, Ending::TimedOut, "{bytes:?}");
    }
    let alive = stream(&sidecar, &[request_message(Some(request()), None)]).await;
    assert_eq!(alive.code, Some(OK));
}
