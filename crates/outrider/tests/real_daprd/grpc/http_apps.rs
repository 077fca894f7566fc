//! HTTP apps called by `InvokeService` (contract `grpc-api.md` 4.2 to 4.6, `sidecar-protocol.md` 5).

use outrider_testkit::Script;

use super::client_of;
use crate::grpc_support::{
    EXHAUSTED, INTERNAL, OK, PLAIN, any, assert_info, invoke_request, invoke_service, invoked,
};
use crate::pair::{BOTH, Pair};

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn the_app_sees_an_ordinary_request() {
    use outrider_wire::r#gen::common::http_extension::Verb;
    let sent = [
        ("x-many", "b"),
        ("x-many", "a"),
        ("authorization", "Bearer t"),
        ("gone-bin", "AQI="),
    ];
    for way in BOTH {
        let pair = Pair::echo(way).await;
        let client = client_of(&pair).await;
        for (verb, method, query, target) in [
            (Verb::Post, "a/b", "", "/a/b"),
            (Verb::Put, "/a", "q=1&q=%20", "/a?q=1&q=%20"),
            (Verb::Get, "x", "only", "/x?only"),
            (Verb::Delete, "", "", "/"),
            (Verb::Patch, "a//b/../c", "", "/a/c"),
        ] {
            let mut req = invoke_request(pair.callee.app_id(), method, b"body");
            let message = req.message.as_mut().unwrap();
            let extension = message.http_extension.as_mut().unwrap();
            extension.verb = verb as i32;
            query.clone_into(&mut extension.querystring);
            pair.app.clear();
            let answer = invoke_service(&client, &req, &sent).await;
            let case = format!("{way:?} {verb:?}");
            let rsp = invoked(&case, &answer);
            assert_eq!(rsp.data.unwrap_or_default().value, "body", "{case}");
            assert_eq!(rsp.content_type, "text/x", "{case}");
            assert_eq!(answer.initial("dapr-http-status"), ["200"], "{case}");
            let seen = pair.app.last_request().await.unwrap();
            let line = format!("{} {target} HTTP/1.1", verb.as_str_name());
            assert_eq!(seen.line, line, "{case}");
            assert_eq!(seen.body, b"body", "{case}");
            let all = |name: &str| seen.headers.all(name);
            assert_eq!(all("x-many"), ["b", "a"], "{case}");
            assert_eq!(all("authorization"), ["Bearer t"], "{case}");
            assert_eq!(all("content-type"), ["text/x"], "{case}");
            assert_eq!(all("dapr-caller-app-id"), [pair.caller.app_id()], "{case}");
            assert_eq!(all("dapr-callee-app-id"), [pair.callee.app_id()], "{case}");
            for name in ["gone-bin", "te", "grpc-accept-encoding", ":authority"] {
                assert!(!seen.headers.has(name), "{case} {name}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn data_with_a_type_is_protobuf_to_the_app() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        let mut req = invoke_request(pair.callee.app_id(), "x", b"");
        let message = req.message.as_mut().unwrap();
        message.data = Some(any("type.googleapis.com/my.Type", b"\0\xff"));
        let answer = invoke_service(&client_of(&pair).await, &req, PLAIN).await;
        let rsp = invoked(&format!("{way:?}"), &answer);
        let data = rsp.data.unwrap_or_default();
        assert_eq!((&data.value[..], &*data.type_url), (&b"\0\xff"[..], ""));
        let seen = pair.app.last_request().await.unwrap();
        let kind = seen.headers.all("content-type");
        assert_eq!(kind, ["application/x-protobuf"], "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn headers_of_the_answer_come_as_metadata() {
    let headers = [
        ("Content-Type", "text/y"),
        ("X-Many", "b"),
        ("x-many", "a"),
        ("Cache-Control", "no-cache"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
    ];
    for way in BOTH {
        let pair = Pair::echo(way).await;
        let client = client_of(&pair).await;
        let req = invoke_request(pair.callee.app_id(), "x", b"");
        for (line, status) in [("206 Some", "206"), ("404 Not Found", "404")] {
            pair.app
                .answer_once(Script::answer(line, &headers, "answer"));
            let answer = invoke_service(&client, &req, PLAIN).await;
            for (name, expected) in [
                ("x-many", vec!["b", "a"]),
                ("dapr-content-type", vec!["text/y"]),
                ("dapr-cache-control", vec!["no-cache"]),
                ("dapr-http-status", vec![status]),
                ("cache-control", vec![]),
                ("x-hop", vec![]),
                ("dapr-content-length", vec![]),
                ("content-type", vec!["application/grpc"]),
            ] {
                assert_eq!(answer.initial(name), expected, "{way:?} {status} {name}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn each_http_status_has_its_grpc_status() {
    let body = "x".repeat(100);
    for way in BOTH {
        let pair = Pair::echo(way).await;
        let client = client_of(&pair).await;
        let req = invoke_request(pair.callee.app_id(), "x", b"");
        for status in [200, 201, 204, 299] {
            let line = format!("{status} Fine");
            pair.app.answer_once(Script::answer(&line, &[], ""));
            let answer = invoke_service(&client, &req, PLAIN).await;
            assert_eq!(answer.status(), (OK, ""), "{way:?} {status}");
            let told = answer.initial("dapr-http-status");
            assert_eq!(told, [status.to_string()], "{way:?}");
        }
        for (status, code, text) in [
            (301, 2, "Moved Permanently"),
            (400, 13, "Bad Request"),
            (401, 16, "Unauthorized"),
            (403, 7, "Forbidden"),
            (404, 5, "Not Found"),
            (408, 1, "Request Timeout"),
            (409, 6, "Conflict"),
            (418, 2, "I'm a teapot"),
            (429, 8, "Too Many Requests"),
            (500, 2, "Internal Server Error"),
            (501, 12, "Not Implemented"),
            (502, 2, "Bad Gateway"),
            (503, 14, "Service Unavailable"),
            (504, 4, "Gateway Timeout"),
            (599, 2, ""),
        ] {
            let line = format!("{status} Whatever");
            let elsewhere = [("Location", "/elsewhere")];
            pair.app
                .answer_once(Script::answer(&line, &elsewhere, &body));
            let answer = invoke_service(&client, &req, PLAIN).await;
            let told = status.to_string();
            let fields = [
                ("http.code", &*told),
                ("http.error_message", &"x".repeat(63)),
            ];
            let case = format!("{way:?} {status}");
            assert_info(&case, &answer, (code, text), &fields);
            assert_eq!(answer.initial("dapr-http-status"), [told], "{way:?}");
        }
        assert_eq!(pair.app.requests().await.len(), 4 + 15, "{way:?}: repeated");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn what_an_http_app_cannot_be_asked_is_told_in_the_same_words() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        let client = client_of(&pair).await;
        let plain = invoke_request(pair.callee.app_id(), "x", b"");
        let mut bare = plain.clone();
        bare.message.as_mut().unwrap().http_extension = None;
        let mut none = plain.clone();
        let message = none.message.as_mut().unwrap();
        message.http_extension.as_mut().unwrap().verb = 0;
        let mut forbidden = plain.clone();
        "a?b".clone_into(&mut forbidden.message.as_mut().unwrap().method);
        let mut empty = plain.clone();
        empty.message = None;
        for (req, text) in [
            (bare, "missing HTTP extension field"),
            (none, "invalid HTTP verb"),
            (forbidden, "method contains forbidden character: \"a?b\""),
            (empty, "request does not contain the required fields"),
        ] {
            let answer = invoke_service(&client, &req, PLAIN).await;
            let (code, got) = answer.status();
            assert_eq!(code, INTERNAL, "{way:?} {text}: {got}");
            let begin = format!("failed to invoke, id: {}, err: ", pair.callee.app_id());
            assert!(got.starts_with(&begin), "{way:?}: {got}");
            assert!(got.contains(text), "{way:?}: {got}");
        }
        assert!(pair.app.requests().await.is_empty(), "{way:?}");
        let answer = invoke_service(&client, &plain, PLAIN).await;
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_app_that_is_gone_is_told_in_the_same_words() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        let client = client_of(&pair).await;
        let (id, addr) = (pair.callee.app_id().to_owned(), pair.app.addr());
        pair.app.stop().await;
        let req = invoke_request(&id, "x", b"");
        let answer = invoke_service(&client, &req, PLAIN).await;
        let text = format!(
            "failed to invoke, id: {id}, err: rpc error: code = Internal desc = error invoking \
             app channel: Post \"http://{addr}/x\": dial tcp {addr}: connect: connection refused"
        );
        assert_eq!(answer.status(), (INTERNAL, &*text), "{way:?}");
        assert!(answer.details.is_none(), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn bodies_come_whole_up_to_the_limit_of_the_client() {
    for way in BOTH {
        let app = outrider_testkit::RawApp::echo().await.unwrap();
        let port = app.port();
        // Without the larger limit of other callers.
        let pair = Pair::between(way, app, port, |caller| caller, |callee| callee).await;
        let client = client_of(&pair).await;
        for size in [0, 1, 2048, 100_000, 4_000_000] {
            let body = super::message(1, 2, size);
            let req = invoke_request(pair.callee.app_id(), "x", &body);
            let answer = invoke_service(&client, &req, PLAIN).await;
            let rsp = invoked(&format!("{way:?} {size}"), &answer);
            let same = rsp.data.unwrap_or_default().value == body;
            assert!(same, "{way:?} {size}");
        }
        let body = vec![b'x'; 5 << 20];
        pair.app
            .answer_once(Script::answer("200 OK", &[("X-A", "1")], body));
        let req = invoke_request(pair.callee.app_id(), "x", b"");
        let answer = invoke_service(&client, &req, PLAIN).await;
        let (code, text) = answer.status();
        assert_eq!(code, EXHAUSTED, "{way:?}: {text}");
        let begin = "grpc: trying to send message larger than max (";
        assert!(text.starts_with(begin), "{way:?}: {text}");
        assert!(text.ends_with("4194304)"), "{way:?}: {text}");
        assert_eq!(answer.initial("x-a"), ["1"], "{way:?}");
    }
}
