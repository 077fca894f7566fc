//! What stands before a body: verbs, targets, headers, statuses (contract
//! `sidecar-protocol.md` 4 to 6).

use outrider_testkit::Script;

use crate::pair::{BOTH, Pair, Way};

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn verb_and_target_reach_the_app() {
    let verbs = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    for way in BOTH {
        let pair = Pair::echo(way).await;
        for verb in verbs {
            for path in ["x", "a/b%20c/d?q=1&q=2&r=a%2Fb+c", "?only=query", ""] {
                pair.app.clear();
                let rsp = pair.call(verb, path, &[], b"").await;
                assert_eq!(rsp.status(), 200, "{way:?} {verb} {path}: {}", rsp.text());
                let req = pair.app.last_request().await.unwrap();
                assert_eq!(req.line, format!("{verb} /{path} HTTP/1.1"), "{way:?}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn request_headers_reach_the_app() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        let headers = [
            ("X-Many", "a"),
            ("x-many", "b, c"),
            ("Content-Type", "application/x-thing; a=b"),
            ("X-Empty", ""),
            ("Accept", "text/a"),
            ("Authorization", "Bearer b"),
            ("Cookie", "k=v; l=w"),
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "1"),
            ("Dapr-Caller-App-Id", "forged"),
        ];
        let rsp = pair.call("POST", "x", &headers, b"body").await;
        assert_eq!(rsp.status(), 200, "{way:?}: {}", rsp.text());
        let req = pair.app.last_request().await.unwrap();
        let all = |name: &str| req.headers.all(name);
        assert_eq!(all("x-many"), ["a", "b, c"], "{way:?}");
        assert_eq!(all("content-type"), ["application/x-thing; a=b"], "{way:?}");
        assert_eq!(all("x-empty"), [""], "{way:?}");
        assert_eq!(all("accept"), ["text/a"], "{way:?}");
        assert_eq!(all("authorization"), ["Bearer b"], "{way:?}");
        assert_eq!(all("cookie"), ["k=v; l=w"], "{way:?}");
        assert_eq!(all("content-length"), ["4"], "{way:?}");
        assert!(!req.headers.has("x-hop"), "{way:?}");
        let callers = all("dapr-caller-app-id");
        assert!(callers.contains(&pair.caller.app_id()), "{callers:?}");
        if way == Way::OursToDaprd {
            assert_eq!(callers.len(), 1, "daprd keeps the forged one, we do not");
        }
        assert_eq!(all("dapr-callee-app-id"), [pair.callee.app_id()], "{way:?}");
        assert_eq!(all("dapr-caller-namespace"), ["default"], "{way:?}");
        assert_eq!(all("x-forwarded-for"), ["127.0.0.1"], "{way:?}");
        assert!(!req.headers.has("destination-app-id"), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn the_app_sees_the_same_header_names_behind_both() {
    let headers = [("Content-Type", "a/b"), ("X-One", "1")];
    let mut seen = Vec::new();
    for way in BOTH {
        let pair = Pair::echo(way).await;
        pair.call("POST", "x", &headers, b"body").await;
        let req = pair.app.last_request().await.unwrap();
        let mut names: Vec<_> = req.headers.names().into_iter().map(str::to_owned).collect();
        // Go's client asks for compression by itself, and daprd begins traces.
        names.retain(|name| !["Accept-Encoding", "Traceparent"].contains(&name.as_str()));
        names.sort();
        seen.push(names);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn every_kind_of_status_comes_back_with_headers_and_body() {
    let statuses = [
        200, 201, 203, 301, 307, 400, 401, 403, 404, 409, 418, 429, 500, 501, 502, 503, 504, 599,
        999,
    ];
    let headers = [
        ("Content-Type", "text/x"),
        ("X-Many", "a"),
        ("X-Many", "b"),
        ("Location", "/elsewhere"),
    ];
    for way in BOTH {
        let pair = Pair::echo(way).await;
        for status in statuses {
            let line = format!("{status} Whatever");
            pair.app
                .answer_once(Script::answer(&line, &headers, "the body"));
            let rsp = pair.call("GET", "x", &[], b"").await;
            let got = (rsp.status(), rsp.text());
            assert_eq!(got, (status, "the body".to_owned()), "{way:?}");
            let all = |name: &str| rsp.headers.all(name);
            assert_eq!(all("x-many"), ["a", "b"], "{way:?} {status}");
            assert_eq!(all("content-type"), ["text/x"], "{way:?} {status}");
            assert_eq!(all("location"), ["/elsewhere"], "{way:?} {status}");
            assert!(rsp.complete, "{way:?} {status}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn answers_without_a_body_have_none() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        for status in [204, 304] {
            let answer = format!("HTTP/1.1 {status} Nothing\r\nX-A: 1\r\n\r\n");
            pair.app.answer_once(Script::new().send(answer));
            let rsp = pair.call("GET", "x", &[], b"").await;
            assert_eq!((rsp.status(), rsp.body_len), (status, 0), "{way:?}");
            assert_eq!(rsp.headers.get("x-a"), Some("1"), "{way:?} {status}");
        }
        let rsp = pair.call("HEAD", "x", &[], b"").await;
        assert_eq!((rsp.status(), rsp.body_len), (200, 0), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn the_namespace_may_be_named() {
    for way in BOTH {
        let pair = Pair::echo(way).await;
        let target = format!("/v1.0/invoke/{}.default/method/x", pair.callee.app_id());
        let rsp = pair.caller.call("POST", &target, &[], b"hi").await.unwrap();
        assert_eq!((rsp.status(), rsp.text()), (200, "hi".into()), "{way:?}");
    }
}
