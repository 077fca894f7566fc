//! Request headers on their way to the app, tokens included (contract `http-api.md` 6).

use outrider_testkit::{Mesh, RawRequest};

use crate::support::{BIN, invoke, mesh, taken};

const HEADERS: &[(&str, &str)] = &[
    ("x-single", "1"),
    ("X-Many", "a"),
    ("x-MANY", "b"),
    ("X-Many", "a"),
    ("x-empty", ""),
    ("Authorization", "Bearer t"),
    ("Cookie", "a=1; b=2"),
    ("Origin", "http://o"),
    ("Date", "today"),
    ("Accept", "application/json, */*"),
    ("Accept-Encoding", "br"),
    ("User-Agent", "me/1"),
    ("Forwarded", "for=1.2.3.4"),
    ("X-Forwarded-For", "1.2.3.4"),
    ("X-Forwarded-Host", "first"),
    ("x-forwarded-proto", "https"),
    ("dapr-app-id-2", "kept"),
    ("dapr-other", "kept"),
    ("dapr-api-token", "kept"),
    (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    ("tracestate", "a=b"),
    ("Content-Type", "text/special"),
    // Dropped or renamed.
    ("Connection", "keep-alive, X-Nominated"),
    ("X-Nominated", "gone"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "x"),
    ("Upgrade", "websocket"),
    ("TE", "trailers"),
    ("Trailer", "X-T"),
    ("Proxy-Authorization", "x"),
    ("Proxy-Authenticate", "x"),
    ("HTTP2-Settings", "x"),
    ("destination-app-id", "x"),
    ("x-bytes-bin", "AAAA"),
    ("X-Bytes-BIN", "AAAA"),
    ("grpc-trace-bin", "AAAA"),
    ("grpc-timeout", "1S"),
    ("GRPC-Custom", "v"),
];

/// What must arrive of [`HEADERS`] in any case: exactly these values, in this order.
const KEPT: &[(&str, &[&str])] = &[
    ("X-Single", &["1"]),
    ("X-Many", &["a", "b", "a"]),
    ("X-Empty", &[""]),
    ("Authorization", &["Bearer t"]),
    ("Cookie", &["a=1; b=2"]),
    ("Origin", &["http://o"]),
    ("Date", &["today"]),
    ("Accept", &["application/json, */*"]),
    ("Accept-Encoding", &["br"]),
    ("User-Agent", &["me/1"]),
    ("X-Forwarded-Proto", &["https"]),
    ("Dapr-App-Id-2", &["kept"]),
    ("Dapr-Other", &["kept"]),
    ("Dapr-Api-Token", &["kept"]),
    (
        "Traceparent",
        &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    ),
    ("Tracestate", &["a=b"]),
    ("Content-Type", &["text/special"]),
    ("Dapr-Grpc-Timeout", &["1S"]),
    ("Dapr-Grpc-Custom", &["v"]),
];

const GONE: &[&str] = &[
    "connection",
    "x-nominated",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "te",
    "trailer",
    "proxy-authorization",
    "proxy-authenticate",
    "http2-settings",
    "destination-app-id",
    "x-bytes-bin",
    "grpc-trace-bin",
    "dapr-grpc-trace-bin",
    "grpc-timeout",
    "grpc-custom",
    "transfer-encoding",
];

fn values<'a>(req: &'a RawRequest, exact: &str) -> Vec<&'a str> {
    let all = req.headers.iter();
    all.filter(|(n, _)| *n == exact).map(|(_, v)| v).collect()
}

#[tokio::test]
async fn headers_arrive_by_their_rules_own_and_remote() {
    let mesh = mesh().await;
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        let rsp = mesh
            .caller
            .call("POST", &invoke(id, "h"), HEADERS, b"body")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 200);
        let req = taken(app).await;
        for (name, expected) in KEPT {
            assert_eq!(values(&req, name), *expected, "{id} {name}: {req:?}");
            assert_eq!(req.headers.all(name), *expected, "{id} {name} in any case");
        }
        for name in GONE {
            assert!(!req.headers.has(name), "{id} {name}: {:?}", req.headers);
        }
        assert_eq!(req.headers.all("host"), [app.addr().to_string()]);
        assert_eq!(req.headers.all("content-length"), ["4"]);
        assert_eq!(req.body, b"body");
    }
}

#[tokio::test]
async fn a_remote_call_names_its_way() {
    let mesh = mesh().await;
    mesh.call("GET", "h", HEADERS, b"").await.unwrap();
    let req = taken(&mesh.callee_app).await;
    let host = values(&req, "X-Forwarded-Host")[1].to_owned();
    assert_eq!(values(&req, "X-Forwarded-For"), ["1.2.3.4", "127.0.0.1"]);
    assert_eq!(values(&req, "X-Forwarded-Host")[0], "first");
    assert_eq!(
        values(&req, "Forwarded"),
        [
            "for=1.2.3.4",
            &format!("for=127.0.0.1;by=127.0.0.1;host={host}")
        ]
    );
    let (caller, callee) = (mesh.caller.app_id(), mesh.callee.app_id());
    assert_eq!(req.headers.all("dapr-caller-app-id"), [caller]);
    assert_eq!(req.headers.all("dapr-callee-app-id"), [callee]);
    assert_eq!(req.headers.all("dapr-caller-namespace"), ["default"]);
}

#[tokio::test]
async fn identity_headers_of_a_client_are_not_believed() {
    let mesh = mesh().await;
    let forged = [
        ("Dapr-Caller-App-Id", "admin"),
        ("dapr-caller-app-id", "admin"),
        ("dapr-caller-namespace", "root"),
        ("DAPR-CALLEE-APP-ID", "x"),
        ("Destination-App-Id", "x"),
    ];
    mesh.call("GET", "h", &forged, b"").await.unwrap();
    let req = taken(&mesh.callee_app).await;
    assert_eq!(
        req.headers.all("dapr-caller-app-id"),
        [mesh.caller.app_id()]
    );
    assert_eq!(
        req.headers.all("dapr-callee-app-id"),
        [mesh.callee.app_id()]
    );
    assert_eq!(req.headers.all("dapr-caller-namespace"), ["default"]);
    assert!(!req.headers.has("destination-app-id"));
}

#[tokio::test]
async fn identity_headers_of_a_client_are_not_believed_on_a_call_to_oneself() {
    let mesh = mesh().await;
    let forged = [
        ("Dapr-Caller-App-Id", "admin"),
        ("dapr-caller-namespace", "root"),
        ("DAPR-CALLEE-APP-ID", "x"),
        ("Destination-App-Id", "x"),
    ];
    let own = invoke(mesh.caller.app_id(), "h");
    mesh.caller.call("GET", &own, &forged, b"").await.unwrap();
    let req = taken(&mesh.caller_app).await;
    for (name, _) in forged {
        assert!(!req.headers.has(name), "{name} on a call to oneself");
    }
}

#[tokio::test]
async fn absent_headers_stay_absent() {
    let mesh = mesh().await;
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        let target = invoke(id, "h");
        mesh.caller.call("GET", &target, &[], b"").await.unwrap();
        let req = taken(app).await;
        for name in [
            "content-type",
            "content-length",
            "transfer-encoding",
            "cookie",
            "range",
        ] {
            assert!(!req.headers.has(name), "{id} {name}");
        }
        // No type is made up for a body without one either.
        mesh.caller.call("POST", &target, &[], b"x").await.unwrap();
        let req = taken(app).await;
        assert!(!req.headers.has("content-type"), "{id}");
    }
}

#[tokio::test]
async fn only_the_first_content_type_and_baggage_count() {
    let mesh = mesh().await;
    let headers = [
        ("Content-Type", "a/b"),
        ("Content-Type", "c/d"),
        ("baggage", "k=v"),
        ("baggage", "k2=v2"),
    ];
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        let rsp = mesh
            .caller
            .call("POST", &invoke(id, "h"), &headers, b"x")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 200, "{}", rsp.text());
        let req = taken(app).await;
        assert_eq!(req.headers.all("content-type"), ["a/b"]);
        let baggage = req.headers.all("baggage");
        assert_eq!(baggage.len(), 1, "{baggage:?}");
        assert!(baggage[0].starts_with("k=v"), "{baggage:?}");
        assert!(rsp.headers.get("baggage").is_some(), "baggage is repeated");
    }
    let rsp = mesh
        .call("GET", "h", &[("baggage", "no equals sign")], b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 400);
    let text = rsp.text();
    assert!(text.starts_with("invalid baggage header: "), "{text}");
    assert!(text.ends_with('\n'));
    assert_eq!(rsp.headers.get("x-content-type-options"), Some("nosniff"));
    assert!(mesh.callee_app.requests().await.is_empty());
}

#[tokio::test]
async fn a_header_that_is_no_text_is_refused_on_the_way_to_a_peer_only() {
    let mesh = mesh().await;
    let raw = |target: &str| {
        let mut bytes = format!("GET {target} HTTP/1.1\r\nHost: x\r\nX-Latin: caf").into_bytes();
        bytes.extend_from_slice(b"\xe9\r\n\r\n");
        bytes
    };
    let mut client = mesh.caller.connect().await.unwrap();
    client.send(raw(&mesh.target("h"))).await.unwrap();
    let rsp = client.read_response().await.unwrap();
    assert_eq!(rsp.status(), 500);
    assert!(
        rsp.text().contains("string field contains invalid UTF-8"),
        "{}",
        rsp.text()
    );
    client
        .send(raw(&invoke(mesh.caller.app_id(), "h")))
        .await
        .unwrap();
    assert_eq!(client.read_response().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_api_token_is_demanded_and_kept_from_the_app() {
    let mesh = Mesh::builder(BIN)
        .caller(|caller| caller.env("DAPR_API_TOKEN", "secret"))
        .start()
        .await
        .unwrap();
    let target = mesh.target("x");
    for headers in [
        &[][..],
        &[("dapr-api-token", "")],
        &[("dapr-api-token", "Secret")],
        &[("dapr-api-token", "secret ,")],
        &[("dapr-api-token", "wrong"), ("dapr-api-token", "secret")],
    ] {
        for target in [&*target, "/v1.0/metadata", "/unknown", "/v1.0/healthz/x"] {
            let rsp = mesh.caller.call("GET", target, headers, b"").await.unwrap();
            let seen = (rsp.status(), rsp.text());
            assert_eq!(
                seen,
                (401, "invalid api token\n".into()),
                "{target} {headers:?}"
            );
            let kind = rsp.headers.all("content-type");
            assert_eq!(kind, ["text/plain; charset=utf-8"]);
            assert_eq!(rsp.headers.get("x-content-type-options"), Some("nosniff"));
        }
    }
    for target in [
        "/v1.0/healthz",
        "/v1.0/healthz/outbound",
        "/v1.0/healthz/?x=1",
    ] {
        let rsp = mesh.caller.call("GET", target, &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 204, "{target} is open");
    }
    let rsp = mesh
        .caller
        .call("POST", "/v1.0/healthz", &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 401, "only GET is open");
    assert!(mesh.callee_app.requests().await.is_empty());

    let token = [("Dapr-Api-Token", "secret")];
    for (app, id) in [
        (&mesh.callee_app, mesh.callee.app_id()),
        (&mesh.caller_app, mesh.caller.app_id()),
    ] {
        let rsp = mesh
            .caller
            .call("GET", &invoke(id, "x"), &token, b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 200);
        assert!(!taken(app).await.headers.has("dapr-api-token"), "{id}");
    }
}

#[tokio::test]
async fn the_app_token_is_that_of_the_apps_own_sidecar() {
    let mesh = Mesh::builder(BIN)
        .caller(|caller| caller.env("APP_API_TOKEN", "of-caller"))
        .callee(|callee| callee.env("APP_API_TOKEN", "of-callee"))
        .start()
        .await
        .unwrap();
    for headers in [&[][..], &[("dapr-api-token", "of-client")]] {
        for (app, id, token) in [
            (&mesh.callee_app, mesh.callee.app_id(), "of-callee"),
            (&mesh.caller_app, mesh.caller.app_id(), "of-caller"),
        ] {
            mesh.caller
                .call("GET", &invoke(id, "x"), headers, b"")
                .await
                .unwrap();
            assert_eq!(taken(app).await.headers.all("dapr-api-token"), [token]);
        }
    }
}
