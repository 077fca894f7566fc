//! Cross-origin requests (contract `http-api.md` 13).

use outrider_testkit::{Mesh, Script, Sidecar};

use crate::support::{BIN, mesh};

async fn with_origins(origins: &str) -> Mesh {
    let flag = format!("--allowed-origins={origins}");
    let mesh = Mesh::builder(BIN).caller(|caller| caller.flag(flag).env("DAPR_API_TOKEN", "t"));
    mesh.start().await.unwrap()
}

const VARY: [&str; 3] = [
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
];

async fn preflight(sidecar: &Sidecar, origin: &str, method: &str) -> outrider_testkit::RawResponse {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        ("Access-Control-Request-Headers", "x-a, X-b"),
    ];
    let rsp = sidecar
        .call("OPTIONS", "/v1.0/invoke/x/method/y", &headers, b"")
        .await
        .unwrap();
    assert_eq!((rsp.status(), rsp.body_len), (200, 0));
    assert_eq!(rsp.headers.all("vary"), VARY);
    rsp
}

#[tokio::test]
async fn without_the_flag_there_is_no_cors() {
    let mesh = mesh().await;
    let headers = [
        ("Origin", "http://o"),
        ("Access-Control-Request-Method", "GET"),
    ];
    let rsp = mesh.call("OPTIONS", "x", &headers, b"").await.unwrap();
    assert_eq!(rsp.status(), 200);
    assert!(!rsp.headers.has("vary") && !rsp.headers.has("access-control-allow-origin"));
    let seen = mesh.callee_app.last_request().await.unwrap();
    assert_eq!(
        (seen.method(), seen.headers.get("origin")),
        ("OPTIONS", Some("http://o"))
    );
}

#[tokio::test]
async fn a_preflight_is_answered_before_the_token() {
    for (origins, origin, allowed) in [
        ("*", "http://any", Some("*")),
        (
            "http://a.com,http://b.com",
            "http://b.com",
            Some("http://b.com"),
        ),
        (
            "http://a.com,http://b.com",
            "HTTP://B.com",
            Some("HTTP://B.com"),
        ),
        (
            "https://*.x.com",
            "https://deep.x.com",
            Some("https://deep.x.com"),
        ),
        ("http://a.com", "http://evil.com", None),
        ("http://a.com,*", "http://evil.com", Some("*")),
    ] {
        let mesh = with_origins(origins).await;
        let rsp = preflight(&mesh.caller, origin, "PUT").await;
        let case = format!("{origins} {origin}");
        assert_eq!(
            rsp.headers.get("access-control-allow-origin"),
            allowed,
            "{case}"
        );
        let methods = rsp.headers.get("access-control-allow-methods");
        assert_eq!(methods, allowed.map(|_| "PUT"), "{case}");
        let headers = rsp.headers.get("access-control-allow-headers");
        assert_eq!(headers, allowed.map(|_| "X-A, X-B"), "{case}");
        for name in ["access-control-max-age", "access-control-allow-credentials"] {
            assert!(!rsp.headers.has(name));
        }
    }
}

#[tokio::test]
async fn an_actual_request_is_served_whatever_its_origin() {
    let mesh = with_origins("http://a.com").await;
    for (origin, allowed) in [
        (Some("http://a.com"), Some("http://a.com")),
        (Some("http://evil.com"), None),
        (None, None),
    ] {
        let mut headers = vec![("dapr-api-token", "t")];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        let rsp = mesh.call("GET", "x", &headers, b"").await.unwrap();
        assert_eq!(rsp.status(), 200);
        assert_eq!(rsp.headers.all("vary"), ["Origin"], "{origin:?}");
        assert_eq!(
            rsp.headers.get("access-control-allow-origin"),
            allowed,
            "{origin:?}"
        );
        // A refusal for want of a token says so too.
        let rsp = mesh.call("GET", "x", &headers[1..], b"").await.unwrap();
        assert_eq!(rsp.status(), 401);
        assert_eq!(rsp.headers.all("vary"), ["Origin"], "{origin:?}");
    }
    // What the app says stands beside ours.
    let own = [("Access-Control-Allow-Origin", "app"), ("Vary", "Origin")];
    mesh.callee_app
        .answer_once(Script::answer("200 OK", &own, "x"));
    let headers = [("dapr-api-token", "t"), ("Origin", "http://a.com")];
    let rsp = mesh.call("GET", "x", &headers, b"").await.unwrap();
    assert_eq!(rsp.headers.all("vary"), ["Origin", "Origin"]);
    assert_eq!(rsp.headers.all("access-control-allow-origin").len(), 2);
}

#[tokio::test]
async fn a_blank_in_the_list_belongs_to_the_origin() {
    let mesh = with_origins("http://a.com, http://b.com").await;
    let rsp = preflight(&mesh.caller, "http://b.com", "PUT").await;
    assert!(!rsp.headers.has("access-control-allow-origin"));
}
