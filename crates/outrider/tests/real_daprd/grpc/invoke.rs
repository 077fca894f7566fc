//! gRPC apps called by name of a method, over `InvokeService` and over HTTP (contract `grpc-api.md`
//! 4.2, 4.5, 5, `sidecar-protocol.md` 4 to 6).

use outrider_testkit::grpc::{bin_values, to_base64};
use outrider_testkit::{GrpcApp, GrpcScript};
use outrider_wire::r#gen::common::{InvokeRequest, http_extension::Verb};
use serde_json::{Value, json};

use super::{GrpcPair, client_of};
use crate::grpc_support::{
    EXHAUSTED, OK, PLAIN, UNAVAILABLE, any, details, echo_any, error_info, invoke_request,
    invoke_response, invoke_service, invoked, on_invoke,
};
use crate::pair::{BOTH, Pair, Way};

async fn echo(way: Way) -> GrpcPair {
    GrpcPair::start(way, echo_any).await
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_request_and_its_answer_are_handed_over_as_they_are() {
    for way in BOTH {
        let pair = echo(way).await;
        let client = client_of(&pair).await;
        for (method, url, data, kind, verb, query) in [
            (
                "Say/Hello",
                "type.googleapis.com/my.Type",
                vec![0, 255],
                "application/x",
                Verb::Patch,
                "a=%20&b",
            ),
            ("/slashed", "", b"x".to_vec(), "text/x; a=b", Verb::Get, ""),
            ("empty", "", vec![], "", Verb::None, ""),
            ("ü", "t/l", vec![b'l'; 3 << 20], "", Verb::Post, ""),
        ] {
            let mut req = invoke_request(pair.callee.app_id(), method, b"");
            let sent = req.message.as_mut().unwrap();
            sent.data = Some(any(url, &data));
            kind.clone_into(&mut sent.content_type);
            let extension = sent.http_extension.as_mut().unwrap();
            extension.verb = verb as i32;
            query.clone_into(&mut extension.querystring);
            let sent = sent.clone();
            let answer = invoke_service(&client, &req, PLAIN).await;
            let rsp = invoked(&format!("{way:?} {method}"), &answer);
            let seen = on_invoke(&pair.app.take().await.unwrap());
            assert_eq!(seen.method, method, "{way:?}");
            assert_eq!(seen.content_type, kind, "{way:?} {method}");
            assert_eq!(seen.http_extension, sent.http_extension, "{way:?}");
            let got = seen.data.unwrap_or_default();
            let same = got.value == data && got.type_url == url;
            assert!(same, "{way:?} {method}: {} bytes", got.value.len());
            let back = rsp.data.unwrap_or_default();
            let same = back.value == data && back.type_url == url;
            assert!(same, "{way:?} {method}: {} back", back.value.len());
            assert_eq!(rsp.content_type, kind, "{way:?} {method}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_bare_request_needs_no_extension_and_no_data() {
    for way in BOTH {
        let pair = echo(way).await;
        let mut req = invoke_request(pair.callee.app_id(), "", b"");
        req.message = Some(InvokeRequest {
            method: "bare".to_owned(),
            ..InvokeRequest::default()
        });
        let answer = invoke_service(&client_of(&pair).await, &req, PLAIN).await;
        invoked(&format!("{way:?}"), &answer);
        let seen = on_invoke(&pair.app.take().await.unwrap());
        assert_eq!((&*seen.method, &*seen.content_type), ("bare", ""));
        assert!(seen.data.unwrap_or_default().value.is_empty(), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_call_over_http_becomes_on_invoke() {
    for way in BOTH {
        let pair = echo(way).await;
        for (verb, number, path, body, method, query) in [
            ("POST", Verb::Post, "say/hello", "body", "say/hello", ""),
            (
                "GET",
                Verb::Get,
                "a%20b?q=1&q=2%20x",
                "",
                "a b",
                "q=1&q=2%20x",
            ),
            ("PUT", Verb::Put, "UPPER", "put", "UPPER", ""),
            ("DELETE", Verb::Delete, "x", "", "x", ""),
        ] {
            let fields = [("Content-Type", "text/x; a=b")];
            let rsp = pair.call(verb, path, &fields, body.as_bytes()).await;
            let got = (rsp.status(), rsp.text());
            assert_eq!(got, (200, body.to_owned()), "{way:?} {verb}");
            assert_eq!(rsp.headers.all("content-type"), ["text/x; a=b"], "{way:?}");
            let seen = on_invoke(&pair.app.take().await.unwrap());
            assert_eq!(
                (&*seen.method, &*seen.content_type),
                (method, "text/x; a=b")
            );
            let extension = seen.http_extension.unwrap();
            assert_eq!(extension.verb, number as i32, "{way:?} {verb}");
            assert_eq!(extension.querystring, query, "{way:?} {verb}");
            assert_eq!(seen.data.unwrap_or_default().value, body, "{way:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn metadata_of_a_grpc_caller_arrives_with_who_calls() {
    let bytes = to_base64(b"\0\xff\x01");
    let sent = [
        ("x-many", "b"),
        ("x-many", "a"),
        ("some-bin", &*bytes),
        ("some-bin", "AQI"),
        ("authorization", "Bearer t"),
        ("x-empty", ""),
        ("cache-control", "no-cache"),
    ];
    for way in BOTH {
        let pair = echo(way).await;
        let client = client_of(&pair).await;
        let req = invoke_request(pair.callee.app_id(), "x", b"");
        invoked("", &invoke_service(&client, &req, &sent).await);
        let call = pair.app.take().await.unwrap();
        for (name, expected) in [
            ("x-many", vec!["b", "a"]),
            ("authorization", vec!["Bearer t"]),
            ("x-empty", vec![""]),
            ("dapr-caller-app-id", vec![pair.caller.app_id()]),
            ("dapr-callee-app-id", vec![pair.callee.app_id()]),
            ("dapr-caller-namespace", vec!["default"]),
            ("x-forwarded-for", vec!["127.0.0.1"]),
            ("destination-app-id", vec![]),
            ("dapr-api-token", vec![]),
            ("content-type", vec!["application/grpc"]),
        ] {
            assert_eq!(call.values(name), expected, "{way:?} {name}");
        }
        let values = bin_values(&call.metadata, "some-bin");
        assert_eq!(values, [&b"\0\xff\x01"[..], b"\x01\x02"], "{way:?}");
        // A lower-case name is none of the list.
        assert_eq!(call.values("cache-control"), ["no-cache"], "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn metadata_of_an_http_caller_is_lower_case_and_permanent_names_are_renamed() {
    let sent = [
        ("X-Many", "b"),
        ("x-many", "a"),
        ("accept", "a/b"),
        ("Cookie", "a=b"),
        ("Content-Type", "text/x"),
        ("Authorization", "Bearer t"),
        ("Some-Bin", "AQID"),
    ];
    for way in BOTH {
        let pair = echo(way).await;
        let rsp = pair.call("POST", "x", &sent, b"body").await;
        assert_eq!(rsp.status(), 200, "{way:?}: {}", rsp.text());
        let call = pair.app.take().await.unwrap();
        for (name, expected) in [
            ("x-many", vec!["b", "a"]),
            ("dapr-accept", vec!["a/b"]),
            ("dapr-cookie", vec!["a=b"]),
            ("dapr-content-type", vec!["text/x"]),
            ("dapr-content-length", vec!["4"]),
            ("authorization", vec!["Bearer t"]),
            ("dapr-caller-app-id", vec![pair.caller.app_id()]),
            ("accept", vec![]),
            ("cookie", vec![]),
            ("content-length", vec![]),
            ("host", vec![]),
        ] {
            assert_eq!(call.values(name), expected, "{way:?} {name}");
        }
        // No base64 of its own, as it is of HTTP origin.
        let values = bin_values(&call.metadata, "some-bin");
        assert_eq!(values, [b"AQID"], "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_answer_brings_its_metadata() {
    let bytes = to_base64(b"\0\xff");
    for way in BOTH {
        let bytes = bytes.clone();
        let pair = GrpcPair::start(way, move |_| {
            let fields = [("x-a", "2"), ("x-a", "1"), ("x-b-bin", &*bytes)];
            GrpcScript::new()
                .read_all()
                .initial(&fields)
                .message(invoke_response(b"answer", "text/y"))
                .status_with(OK, "", &[("x-t", "1"), ("x-t", "2"), ("x-u-bin", &bytes)])
        })
        .await;
        let client = client_of(&pair).await;
        let req = invoke_request(pair.callee.app_id(), "x", b"");
        let answer = invoke_service(&client, &req, PLAIN).await;
        invoked(&format!("{way:?}"), &answer);
        assert_eq!(answer.initial("x-a"), ["2", "1"], "{way:?}");
        let values = bin_values(&answer.headers, "x-b-bin");
        assert_eq!(values, [b"\0\xff"], "{way:?}");
        assert_eq!(answer.trailing("x-t"), ["1", "2"], "{way:?}");
        let values = bin_values(&answer.trailers, "x-u-bin");
        assert_eq!(values, [b"\0\xff"], "{way:?}");
        assert!(answer.initial("dapr-http-status").is_empty(), "{way:?}");
        let rsp = pair.call("POST", "x", &[], b"").await;
        assert_eq!((rsp.status(), rsp.text()), (200, "answer".into()));
        assert_eq!(rsp.headers.all("content-type"), ["text/y"], "{way:?}");
        assert_eq!(rsp.headers.all("x-a"), ["2", "1"], "{way:?}");
        for name in ["x-b-bin", "x-t", "grpc-status"] {
            assert!(!rsp.headers.has(name), "{way:?} {name}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn each_status_passes_with_message_details_and_metadata() {
    let info = error_info("BECAUSE", "app", &[("k", "v")]);
    let odd = any("type.googleapis.com/nobody.Knows", b"\x0a\x01x");
    for way in BOTH {
        let pair = echo(way).await;
        let client = client_of(&pair).await;
        let req = invoke_request(pair.callee.app_id(), "x", b"");
        for code in (1..=17).chain([20, 99]) {
            let bytes = details(code, "50 % of ü", &[info.clone(), odd.clone()]);
            let fields = [
                ("x-t", "1"),
                ("grpc-status-details-bin", &to_base64(&bytes)),
            ];
            let behind = GrpcScript::new()
                .read_all()
                .initial(&[("x-a", "1")])
                .status_with(code, "50 % of ü", &fields);
            let alone = GrpcScript::refuse_with(code, "50 % of ü", &fields);
            let plain = GrpcScript::refuse(code, "50 % of ü");
            for (script, initial, more) in [
                (behind, vec!["1"], true),
                (alone, vec![], true),
                (plain, vec![], false),
            ] {
                pair.app.answer_once(script);
                let answer = invoke_service(&client, &req, PLAIN).await;
                assert_eq!(answer.status(), (code, "50 % of ü"), "{way:?}");
                assert!(answer.messages.is_empty(), "{way:?} {code}");
                assert_eq!(answer.initial("x-a"), initial, "{way:?} {code}");
                let expected = more.then_some(&bytes);
                assert_eq!(answer.details.as_ref(), expected, "{way:?} {code}");
                let expected = if more { vec!["1"] } else { vec![] };
                assert_eq!(answer.trailing("x-t"), expected, "{way:?} {code}");
            }
        }
        assert_eq!(pair.app.calls().len(), 19 * 3, "{way:?}: repeated");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn each_status_has_its_http_status_and_details_are_json() {
    let bytes = |code| {
        details(
            code,
            "50 % of ü",
            &[error_info("BECAUSE", "app", &[("k", "v")])],
        )
    };
    let shown = json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "BECAUSE", "domain": "app", "metadata": {"k": "v"}
    }]);
    for way in BOTH {
        let pair = echo(way).await;
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
            (20, 500),
        ] {
            let fields = [("grpc-status-details-bin", to_base64(&bytes(code)))];
            pair.app
                .answer_once(GrpcScript::refuse_with(code, "50 % of ü", &fields));
            let rsp = pair.call("POST", "x", &[], b"").await;
            assert_eq!(rsp.status(), status, "{way:?} {code}: {}", rsp.text());
            let body: Value = serde_json::from_str(&rsp.text()).unwrap();
            let wanted = json!({"code": code, "message": "50 % of ü", "details": shown});
            assert_eq!(body, wanted, "{way:?} {code}");
        }
        assert_eq!(pair.app.calls().len(), 17, "{way:?}: repeated");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn an_app_that_is_gone_is_unavailable_in_the_same_words() {
    for way in BOTH {
        let pair = echo(way).await;
        let client = client_of(&pair).await;
        let (id, port) = (pair.callee.app_id().to_owned(), pair.app.port());
        pair.app.stop().await;
        let expected = format!(
            "connection error: desc = \"transport: Error while dialing: dial tcp \
             127.0.0.1:{port}: connect: connection refused\""
        );
        let req = invoke_request(&id, "x", b"");
        super::eventually("connection refused", async || {
            let answer = invoke_service(&client, &req, PLAIN).await;
            let (code, text) = answer.status();
            assert_eq!(code, UNAVAILABLE, "{way:?}: {text}");
            text == expected
        })
        .await;
        // The announcement is still there: only the app is gone.
        let target = format!("/v1.0/invoke/{id}/method/x");
        let rsp = pair.caller.call("POST", &target, &[], b"").await.unwrap();
        let body: Value = serde_json::from_str(&rsp.text()).unwrap();
        assert_eq!(rsp.status(), 503, "{way:?}");
        assert_eq!(body, json!({"code": 14, "message": expected}), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn answers_beyond_the_limit_are_refused_by_the_side_that_has_it() {
    for way in BOTH {
        let app = GrpcApp::start(|_| {
            GrpcScript::new()
                .read_all()
                .message(invoke_response(&vec![b'x'; 3 << 20], ""))
                .ok()
        });
        let app = app.await.unwrap();
        let port = app.port();
        let pair = Pair::between(
            way,
            app,
            port,
            |caller| caller,
            |callee| callee.app_protocol("grpc").flag("--max-body-size=2Mi"),
        )
        .await;
        let req = invoke_request(pair.callee.app_id(), "x", b"");
        let answer = invoke_service(&client_of(&pair).await, &req, PLAIN).await;
        let (code, text) = answer.status();
        assert_eq!(code, EXHAUSTED, "{way:?}: {text}");
        let begin = "grpc: received message larger than max (";
        assert!(text.starts_with(begin), "{way:?}: {text}");
        assert!(text.ends_with(" vs. 2097152)"), "{way:?}: {text}");
    }
}
