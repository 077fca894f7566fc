//! The routes that are no calls: health, metadata, public port, rules, API log
//! (contract `http-api.md` 11–13).

use std::time::Duration;

use outrider_testkit::{Mesh, RawClient, RawResponse, Script};
use serde_json::{Value, json};

use crate::support::{BIN, ConfigFile, NO_TARGET, assert_error, eventually, mesh, sidecar, taken};

fn parsed(rsp: &RawResponse) -> Value {
    assert_eq!(rsp.status(), 200);
    assert_eq!(rsp.headers.all("content-type"), ["application/json"]);
    let text = rsp.text();
    assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn health_is_204_for_this_app_only() {
    let mesh = mesh().await;
    let id = mesh.caller.app_id();
    for query in [
        "",
        "?other=1",
        &format!("?appid={id}"),
        &format!("?x=1&appid={id}"),
    ] {
        let target = format!("/v1.0/healthz{query}");
        let rsp = mesh.caller.call("GET", &target, &[], b"").await.unwrap();
        assert_eq!((rsp.status(), rsp.body_len), (204, 0), "{query}");
        for name in ["content-length", "content-type", "traceparent"] {
            assert!(!rsp.headers.has(name), "{query} {name}");
        }
    }
    for query in ["?appid=other", "?appid=", &format!("?appid={id}x")] {
        let target = format!("/v1.0/healthz{query}");
        let rsp = mesh.caller.call("GET", &target, &[], b"").await.unwrap();
        let body =
            r#"{"errorCode":"ERR_HEALTH_APPID_NOT_MATCH","message":"dapr app-id does not match"}"#;
        assert_error(query, &rsp, 500, body);
    }
    for path in [
        "/v1.0//healthz",
        "/v1.0/healthz/",
        "/x/../v1.0/healthz/outbound",
    ] {
        let rsp = mesh.caller.call("GET", path, &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 204, "{path} is cleaned before it is routed");
    }
}

#[tokio::test]
async fn metadata_tells_what_this_sidecar_is() {
    let mesh = mesh().await;
    let rsp = mesh
        .caller
        .call("GET", "/v1.0/metadata", &[], b"")
        .await
        .unwrap();
    let seen = parsed(&rsp);
    assert_eq!(seen["id"], mesh.caller.app_id());
    assert_eq!(seen["runtimeVersion"], "1.18.3");
    assert_eq!(seen["extended"]["daprRuntimeVersion"], "1.18.3");
    let app = &seen["appConnectionProperties"];
    let expected = json!({
        "port": mesh.caller_app.port(), "protocol": "http", "channelAddress": "127.0.0.1"
    });
    assert_eq!(*app, expected);
    assert_eq!(seen["actorRuntime"]["runtimeStatus"], "DISABLED");
    assert_eq!(seen["actorRuntime"]["hostReady"], false);
    for absent in [
        "components",
        "subscriptions",
        "httpEndpoints",
        "resiliencies",
    ] {
        assert!(seen.get(absent).is_none(), "{absent}");
    }
    let order: Vec<_> = [
        "\"id\"",
        "\"runtimeVersion\"",
        "\"extended\"",
        "\"appConnectionProperties\"",
        "\"actorRuntime\"",
    ]
    .iter()
    .map(|name| rsp.text().find(name).unwrap())
    .collect();
    assert!(order.is_sorted(), "{}", rsp.text());
}

#[tokio::test]
async fn metadata_values_can_be_put() {
    let sidecar = sidecar().start().await.unwrap();
    let mut client = sidecar.connect().await.unwrap();
    for (key, value) in [
        ("cliPID", "123"),
        ("cliPID", "124"),
        ("a%20b+c", "with spaces"),
        ("a%2Fb", "<&>"),
        ("%E2%82%AC", ""),
        ("daprRuntimeVersion", "mine"),
    ] {
        let target = format!("/v1.0/metadata/{key}");
        let rsp = client
            .call("PUT", &target, &[], value.as_bytes())
            .await
            .unwrap();
        assert_eq!((rsp.status(), rsp.body_len), (204, 0), "{key}");
    }
    let rsp = client
        .call("GET", "/v1.0/metadata", &[], b"")
        .await
        .unwrap();
    let expected = json!({
        "cliPID": "124", "a b c": "with spaces", "a/b": "<&>", "€": "",
        "daprRuntimeVersion": "1.18.3",
    });
    assert_eq!(parsed(&rsp)["extended"], expected);
    let rsp = client
        .call("PUT", "/v1.0/metadata/a/b", &[], b"x")
        .await
        .unwrap();
    assert_error("two segments", &rsp, 404, NO_TARGET);
}

#[tokio::test]
async fn the_public_port_has_health_and_metadata_and_nothing_else() {
    let app = outrider_testkit::RawApp::echo().await.unwrap();
    let sidecar = sidecar()
        .app_port(app.port())
        .public_port()
        .env("DAPR_API_TOKEN", "secret")
        .start()
        .await
        .unwrap();
    let port = sidecar.ports().public;
    let mut client = RawClient::connect(port).await.unwrap();
    for target in ["/v1.0/healthz", "/v1.0/healthz/outbound"] {
        let rsp = client.call("GET", target, &[], b"").await.unwrap();
        assert_eq!(rsp.status(), 204, "{target}");
    }
    let rsp = client
        .call("PUT", "/v1.0/metadata/k", &[], b"v")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 204);
    let rsp = client
        .call("GET", "/v1.0/metadata", &[], b"")
        .await
        .unwrap();
    assert_eq!(parsed(&rsp)["extended"]["k"], "v");
    let invoke = crate::support::invoke(sidecar.app_id(), "x");
    for (verb, target, status, text) in [
        ("GET", "/", 404, "404 page not found\n"),
        ("GET", "/v1.0/nothing", 404, "404 page not found\n"),
        ("GET", &*invoke, 404, "404 page not found\n"),
        ("POST", "/v1.0/shutdown", 404, "404 page not found\n"),
        ("POST", "/v1.0/metadata", 405, ""),
        ("DELETE", "/v1.0/healthz", 405, ""),
    ] {
        let headers = [("dapr-app-id", sidecar.app_id())];
        let rsp = client.call(verb, target, &headers, b"").await.unwrap();
        assert_eq!(
            (rsp.status(), &*rsp.text()),
            (status, text),
            "{verb} {target}"
        );
    }
    assert!(app.requests().await.is_empty());
}

async fn ruled(spec: &str) -> (Mesh, ConfigFile) {
    let config = ConfigFile::new(spec);
    let mesh = Mesh::builder(BIN).caller(|caller| caller.flag(config.flag()));
    (mesh.start().await.unwrap(), config)
}

#[tokio::test]
async fn a_denied_route_is_none() {
    let (mesh, _config) = ruled(
        "  api:\n    denied:\n      - name: metadata\n        version: v1.0\n        protocol: http\n      - name: shutdown\n        version: v1\n        protocol: HTTP\n      - name: healthz\n        version: v1\n        protocol: http\n      - name: invoke\n        version: v1.0\n        protocol: grpc",
    )
    .await;
    for (verb, target) in [
        ("GET", "/v1.0/metadata"),
        ("PUT", "/v1.0/metadata/k"),
        ("POST", "/v1.0/shutdown"),
    ] {
        let rsp = mesh.caller.call(verb, target, &[], b"").await.unwrap();
        assert_error(target, &rsp, 404, NO_TARGET);
    }
    let rsp = mesh
        .caller
        .call("GET", "/v1.0/healthz", &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 204, "health cannot be denied");
    assert_eq!(mesh.call("GET", "x", &[], b"").await.unwrap().status(), 200);
    // No route any more, so it can be called in an app.
    let header = [("dapr-app-id", mesh.callee.app_id())];
    let rsp = mesh
        .caller
        .call("GET", "/v1.0/metadata", &header, b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 200);
    assert!(!mesh.callee_app.requests().await.is_empty());
}

#[tokio::test]
async fn denied_calls_leave_a_plain_404() {
    let (mesh, _config) = ruled(
        "  api:\n    denied:\n      - name: invoke\n        version: v1\n        protocol: http",
    )
    .await;
    let header = [("dapr-app-id", mesh.callee.app_id())];
    for (target, headers) in [(mesh.target("x"), &[][..]), ("/x".into(), &header)] {
        let rsp = mesh
            .caller
            .call("GET", &target, headers, b"")
            .await
            .unwrap();
        assert_eq!(
            (rsp.status(), &*rsp.text()),
            (404, "404 page not found\n"),
            "{target}"
        );
        assert_eq!(rsp.headers.get("x-content-type-options"), Some("nosniff"));
    }
    let rsp = mesh
        .caller
        .call("POST", "/v1.0/healthz", &[], b"")
        .await
        .unwrap();
    assert_eq!((rsp.status(), rsp.body_len), (405, 0));
    assert_eq!(rsp.headers.all("allow"), ["GET"]);
    let target = "/v1.0/state/s/k";
    let rsp = mesh.caller.call("POST", target, &[], b"").await.unwrap();
    assert_eq!((rsp.status(), rsp.body_len), (405, 0));
    assert_eq!(rsp.headers.all("allow"), ["GET", "DELETE"]);
    assert!(mesh.callee_app.requests().await.is_empty());
}

#[tokio::test]
async fn errors_are_counted_by_code_if_asked_for() {
    let spec = "  metrics:\n    enabled: true\n    recordErrorCodes: true";
    let (mesh, _config) = ruled(spec).await;
    mesh.callee_app.handle(|req| {
        let status = req.target().trim_start_matches('/');
        Script::answer(&format!("{status} x"), &[], "")
    });
    for target in ["200", "304", "404", "500"].map(|status| mesh.target(status)) {
        mesh.caller.call("GET", &target, &[], b"").await.unwrap();
    }
    for target in ["/nowhere", "/v1.0/healthz?appid=other"] {
        mesh.caller.call("GET", target, &[], b"").await.unwrap();
    }
    let metrics = mesh.caller.ports().metrics;
    let id = mesh.caller.app_id();
    let count = |category: &str, code: &str, n: u64| {
        format!(
            "dapr_error_code_total{{app_id=\"{id}\",category=\"{category}\",error_code=\"{code}\"}} {n}\n"
        )
    };
    let expected = [
        count("health", "ERR_HEALTH_APPID_NOT_MATCH", 1),
        count("service-invocation", "ERR_DIRECT_INVOKE", 3),
    ];
    eventually("counts", async || {
        let mut client = RawClient::connect(metrics).await.unwrap();
        let page = client.call("GET", "/metrics", &[], b"").await.unwrap();
        let page = page.text();
        expected.iter().all(|line| page.contains(line))
    })
    .await;
}

#[tokio::test]
async fn an_allow_list_leaves_the_rest_out() {
    let (mesh, _config) = ruled(
        "  api:\n    allowed:\n      - name: invoke\n        version: v1.0\n        protocol: http",
    )
    .await;
    assert_eq!(mesh.call("GET", "x", &[], b"").await.unwrap().status(), 200);
    let rsp = mesh
        .caller
        .call("GET", "/v1.0/metadata", &[], b"")
        .await
        .unwrap();
    assert_error("metadata", &rsp, 404, NO_TARGET);
    let rsp = mesh
        .caller
        .call("GET", "/v1.0/healthz", &[], b"")
        .await
        .unwrap();
    assert_eq!(rsp.status(), 204);
}

#[tokio::test]
async fn each_request_is_logged_if_asked_for() {
    let mesh = Mesh::builder(BIN)
        .caller(|caller| {
            caller
                .flag("--enable-api-logging=true")
                .flag("--log-level=error")
        })
        .start()
        .await
        .unwrap();
    let agent = [("User-Agent", "tester/1")];
    let target = mesh.target("a%20b?secret=1");
    mesh.caller
        .call("POST", &target, &agent, b"12345")
        .await
        .unwrap();
    let path = format!("POST /v1.0/invoke/{}/method/a b", mesh.callee.app_id());
    let line = mesh.caller.wait_line(&path).await.unwrap();
    for part in [
        "level=info",
        "msg=\"HTTP API Called\"",
        "scope=dapr.runtime.http-info",
        "code=200",
        "size=5",
        "useragent=tester/1",
        "duration=",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains("secret"), "{line}");
    mesh.caller
        .call("GET", "/v1.0/healthz?marked", &[], b"")
        .await
        .unwrap();
    mesh.caller
        .wait_line("method=\"GET /v1.0/healthz\"")
        .await
        .unwrap();
}

#[tokio::test]
async fn log_lines_can_hide_paths_and_health() {
    let config = ConfigFile::new(
        "  logging:\n    apiLogging:\n      enabled: true\n      obfuscateURLs: true\n      omitHealthChecks: true",
    );
    let mesh = Mesh::builder(BIN).caller(|caller| caller.flag(config.flag()));
    let mesh = mesh.start().await.unwrap();
    mesh.call("GET", "secret", &[], b"").await.unwrap();
    mesh.caller
        .call("GET", "/v1.0/healthz", &[], b"")
        .await
        .unwrap();
    mesh.caller
        .call("GET", "/v1.0/metadata", &[], b"")
        .await
        .unwrap();
    let line = format!("method=InvokeService/{}", mesh.callee.app_id());
    mesh.caller.wait_line(&line).await.unwrap();
    mesh.caller.wait_line("method=GetMetadata").await.unwrap();
    for line in mesh.caller.lines() {
        let api = line.contains("HTTP API Called");
        assert!(
            !(api && (line.contains("secret") || line.contains("ealthz"))),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_shutdown_by_api_is_graceful() {
    let mut sidecar = sidecar().start().await.unwrap();
    let rsp = sidecar
        .call("POST", "/v1.0/shutdown", &[], b"")
        .await
        .unwrap();
    assert_eq!((rsp.status(), rsp.body_len), (204, 0));
    assert_eq!(sidecar.wait_exit().await.unwrap(), 0);
    for text in ["Shutdown requested via API", "Daprd shutdown gracefully"] {
        sidecar.wait_line(text).await.unwrap();
    }
}

#[tokio::test]
async fn a_forced_shutdown_waits_for_nothing() {
    for value in ["true", "TRUE"] {
        let mut mesh = mesh().await;
        mesh.callee_app.answer_once(Script::new().hang());
        let mut client = mesh.callee.connect().await.unwrap();
        let target = mesh.target("x");
        client
            .send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await
            .unwrap();
        mesh.callee_app.last_request().await.unwrap();
        let headers = [("dapr-force-shutdown", value)];
        let started = std::time::Instant::now();
        let rsp = mesh
            .callee
            .call("POST", "/v1.0/shutdown", &headers, b"")
            .await
            .unwrap();
        assert_eq!(rsp.status(), 204);
        assert_eq!(mesh.callee.wait_exit().await.unwrap(), 1);
        assert!(started.elapsed() < Duration::from_secs(2));
        let text = "Force shutdown requested, exiting immediately without graceful shutdown";
        mesh.callee.wait_line(text).await.unwrap();
    }
}

/// Otherwise a client that sets a target for all its requests would take what an app says to it for
/// an answer of ours.
#[tokio::test]
async fn building_blocks_that_are_not_there_are_not_taken_for_calls() {
    let mesh = mesh().await;
    let text = r#"{"errorCode":"ERR_API_UNIMPLEMENTED","message":"this API is currently not implemented"}"#;
    let to = [("dapr-app-id", mesh.callee.app_id())];
    for fields in [&to[..], &[]] {
        for (method, path) in [
            ("POST", "/v1.0/publish/pubsub/topic"),
            ("PUT", "/v1.0/bindings/queue"),
            ("GET", "/v1.0/secrets/store/key"),
            ("PUT", "/v1.0/actors/cart/1/method/add"),
            ("POST", "/v1.0/workflows/dapr/w/start"),
        ] {
            let rsp = mesh.caller.call(method, path, fields, b"x").await.unwrap();
            assert_eq!((rsp.status(), &*rsp.text()), (501, text), "{method} {path}");
        }
    }
    let rsp = mesh.caller.call("GET", "/v1.0/publish/a/b", &to, b"");
    assert_eq!(rsp.await.unwrap().status(), 200);
    assert_eq!(taken(&mesh.callee_app).await.target(), "/v1.0/publish/a/b");
}
