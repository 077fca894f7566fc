//! Every way to call × every way an app may speak (contract `configuration.md` app-protocol,
//! `grpc-api.md` 4, 5, 9).

use outrider_testkit::grpc::{TlsFront, to_base64};
use outrider_testkit::{
    Gate, GrpcApp, GrpcCall, GrpcScript, RawApp, Script, Sidecar, request, unique_id,
};
use serde_json::Value;

use crate::grpc_support::{
    METHOD, OK, PLAIN, UNAVAILABLE, echo_any, invoke_request, invoke_service, invoked, sidecar,
};
use crate::support::invoke;

/// An echo app of one protocol, and what stands before it.
struct App {
    port: u16,
    http: Option<RawApp>,
    http2: Option<GrpcApp>,
    tls: Option<TlsFront>,
}

/// Answers a gRPC call as one, anything else with the body it came with.
fn echo_either(call: &GrpcCall) -> GrpcScript {
    let kind = call.values("content-type");
    if kind.iter().any(|kind| kind.starts_with("application/grpc")) {
        return echo_any(call);
    }
    GrpcScript::new().read_all().and_then(|call| {
        let kind = call
            .values("content-type")
            .first()
            .cloned()
            .unwrap_or_default();
        let head = GrpcScript::new().head(200, &[("content-type", kind)]);
        head.data(call.body.clone()).end()
    })
}

impl App {
    async fn start(protocol: &str) -> Self {
        let (http, http2) = match protocol {
            "http" | "https" => (Some(RawApp::echo().await.unwrap()), None),
            _ => (None, Some(GrpcApp::start(echo_either).await.unwrap())),
        };
        let behind = http.as_ref().map(RawApp::port);
        let behind = behind.or(http2.as_ref().map(GrpcApp::port)).unwrap();
        let tls = match protocol {
            "https" => Some(TlsFront::start(behind, &["http/1.1"]).await.unwrap()),
            "grpcs" => Some(TlsFront::start(behind, &["h2"]).await.unwrap()),
            _ => None,
        };
        Self {
            port: tls.as_ref().map_or(behind, TlsFront::port),
            http,
            http2,
            tls,
        }
    }
}

/// An app with its sidecar, and a sidecar of nobody.
struct Pair {
    app: App,
    caller: Sidecar,
    callee: Sidecar,
}

impl Pair {
    async fn start(protocol: &str) -> Self {
        let app = App::start(protocol).await;
        let callee = sidecar().app_id(unique_id("callee")).app_port(app.port);
        let callee = callee.app_protocol(protocol);
        let caller = sidecar().app_id(unique_id("caller"));
        let (callee, caller) = tokio::try_join!(callee.start(), caller.start()).unwrap();
        Self {
            app,
            caller,
            callee,
        }
    }

    fn ways(&self) -> [(&'static str, &Sidecar); 2] {
        [("remote", &self.caller), ("own", &self.callee)]
    }
}

const PROTOCOLS: [&str; 5] = ["http", "https", "h2c", "grpc", "grpcs"];

#[tokio::test]
async fn every_form_of_call_reaches_every_kind_of_app() {
    for protocol in PROTOCOLS {
        let pair = Pair::start(protocol).await;
        let id = pair.callee.app_id();
        let basic = format!(
            "Basic {}",
            to_base64(format!("dapr-app-id:{id}").as_bytes())
        );
        let url = invoke(id, "some/path");
        for (way, sidecar) in pair.ways() {
            for (form, target, field) in [
                ("URL", &*url, None),
                ("header", "/some/path", Some(("dapr-app-id", id))),
                ("basic auth", "/some/path", Some(("Authorization", &*basic))),
            ] {
                let case = format!("{protocol}, {way}, {form}");
                let mut fields = vec![("Content-Type", "text/x")];
                fields.extend(field);
                let rsp = sidecar
                    .call("POST", target, &fields, b"body")
                    .await
                    .unwrap();
                assert_eq!((rsp.status(), &*rsp.text()), (200, "body"), "{case}");
                assert_eq!(rsp.headers.all("content-type"), ["text/x"], "{case}");
            }
            let case = format!("{protocol}, {way}, InvokeService");
            let client = sidecar.grpc().await.unwrap();
            let req = invoke_request(id, "some/path", b"body");
            let rsp = invoked(&case, &invoke_service(&client, &req, PLAIN).await);
            assert_eq!(&rsp.data.unwrap().value[..], b"body", "{case}");
            assert_eq!(rsp.content_type, "text/x", "{case}");

            let case = format!("{protocol}, {way}, proxied");
            let to = [("dapr-app-id", id)];
            let answer = client.unary(METHOD, &to, "message").await.unwrap();
            match protocol {
                // An app that speaks HTTP/2 is one, whatever it is called.
                "h2c" | "grpc" | "grpcs" => {
                    assert_eq!(answer.status(), (OK, ""), "{case}");
                    assert_eq!(answer.messages, ["message"], "{case}");
                }
                _ => assert_eq!(answer.code, Some(UNAVAILABLE), "{case}: {answer:?}"),
            }
        }
        seen_as(protocol, &pair.app).await;
        told_by(protocol, &pair.callee).await;
    }
}

/// What the app must have seen of the calls above.
async fn seen_as(protocol: &str, app: &App) {
    if let Some(http) = &app.http {
        let calls = http.requests().await;
        let calls = calls
            .iter()
            .filter(|call| call.line == "POST /some/path HTTP/1.1");
        assert_eq!(calls.count(), 8, "{protocol}: four forms, two ways");
    }
    if let Some(http2) = &app.http2 {
        let calls = http2.calls();
        let path = match protocol {
            "h2c" => "/some/path",
            _ => crate::grpc_support::ON_INVOKE,
        };
        let invoked = calls.iter().filter(|call| call.path == path);
        assert_eq!(invoked.count(), 8, "{protocol}: four forms, two ways");
    }
    if let Some(tls) = &app.tls {
        let handshakes = tls.handshakes();
        assert!(!handshakes.is_empty(), "{protocol}");
        if protocol == "grpcs" {
            let agreed = handshakes
                .iter()
                .filter(|h| h.protocol.as_deref() == Some("h2"));
            assert!(agreed.count() > 0, "{handshakes:?}");
        }
    }
}

/// What the metadata say.
async fn told_by(protocol: &str, sidecar: &Sidecar) {
    let rsp = sidecar
        .call("GET", "/v1.0/metadata", &[], b"")
        .await
        .unwrap();
    let seen: Value = serde_json::from_str(&rsp.text()).unwrap();
    assert_eq!(seen["appConnectionProperties"]["protocol"], protocol);
}

#[tokio::test]
async fn a_protocol_may_be_written_in_any_case_and_ssl_is_short_for_two() {
    for (flags, expected) in [
        (&["--app-protocol=GRPC"][..], "grpc"),
        (&["--app-protocol=H2c"], "h2c"),
        (&["--app-ssl"], "https"),
        (&["--app-protocol=grpc", "--app-ssl"], "grpcs"),
        (&["--app-protocol=h2c", "--app-ssl"], "h2c"),
    ] {
        let app = App::start(expected).await;
        let mut sidecar = sidecar().app_port(app.port);
        for flag in flags {
            sidecar = sidecar.flag(*flag);
        }
        let sidecar = sidecar.start().await.unwrap();
        told_by(expected, &sidecar).await;
        let target = invoke(sidecar.app_id(), "x");
        let fields = [("Content-Type", "text/x")];
        let rsp = sidecar
            .call("POST", &target, &fields, b"body")
            .await
            .unwrap();
        assert_eq!((rsp.status(), &*rsp.text()), (200, "body"), "{flags:?}");
    }
}

/// Sidecars around an app over HTTP/2 that does as it is told.
async fn h2c(script: impl Fn(&GrpcCall) -> GrpcScript + Send + Sync + 'static) -> (GrpcApp, Pair) {
    let app = GrpcApp::start(script).await.unwrap();
    let callee = sidecar().app_id(unique_id("callee")).app_port(app.port());
    let callee = callee.app_protocol("h2c");
    let caller = sidecar().app_id(unique_id("caller"));
    let (callee, caller) = tokio::try_join!(callee.start(), caller.start()).unwrap();
    let none = App {
        port: app.port(),
        http: None,
        http2: None,
        tls: None,
    };
    let app_of = Pair {
        app: none,
        caller,
        callee,
    };
    (app, app_of)
}

#[tokio::test]
async fn an_h2c_app_sees_an_ordinary_request() {
    let (app, pair) = h2c(|_| {
        let fields = [("x-a", "2"), ("x-a", "1"), ("content-type", "text/y")];
        GrpcScript::new()
            .read_all()
            .head(418, &fields)
            .data("tea")
            .end()
    })
    .await;
    for (way, sidecar) in pair.ways() {
        let target = invoke(pair.callee.app_id(), "a%20b?q=1%20");
        let fields = [("X-Many", "b"), ("x-many", "a"), ("Content-Type", "text/x")];
        let rsp = sidecar
            .call("PUT", &target, &fields, b"body")
            .await
            .unwrap();
        assert_eq!((rsp.status(), &*rsp.text()), (418, "tea"), "{way}");
        assert_eq!(rsp.headers.all("x-a"), ["2", "1"], "{way}");
        assert_eq!(rsp.headers.all("content-type"), ["text/y"], "{way}");
        let call = app.take().await.unwrap();
        assert_eq!(
            (&*call.method, &*call.path),
            ("PUT", "/a%20b?q=1%20"),
            "{way}"
        );
        assert_eq!(call.body, b"body", "{way}");
        assert_eq!(call.values("x-many"), ["b", "a"], "{way}");
        assert_eq!(call.values("content-type"), ["text/x"], "{way}");
        for name in ["connection", "transfer-encoding", "upgrade", "dapr-app-id"] {
            assert!(call.values(name).is_empty(), "{way} {name}");
        }
        // Without a body, and with an answer without one.
        app.answer_once(GrpcScript::new().read_all().head_only(204, PLAIN));
        let rsp = sidecar.call("GET", &target, &[], b"").await.unwrap();
        assert_eq!((rsp.status(), rsp.body_len), (204, 0), "{way}");
        let call = app.take().await.unwrap();
        assert_eq!((&*call.method, call.body.len()), ("GET", 0), "{way}");
    }
}

#[tokio::test]
async fn an_h2c_app_may_stream_both_ways() {
    let gate = Gate::new();
    let held = gate.clone();
    let (app, pair) = h2c(move |_| {
        GrpcScript::new()
            .head(200, &[("content-type", "text/x")])
            .data("early")
            .wait(&held)
            .echo()
            .end()
    })
    .await;
    for (way, sidecar) in pair.ways() {
        let mut client = sidecar.connect().await.unwrap();
        let target = invoke(pair.callee.app_id(), "x");
        let head =
            format!("POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(head + "3\r\none\r\n").await.unwrap();
        client.read_head().await.unwrap();
        assert_eq!(client.read_chunk().await.unwrap(), b"early", "{way}");
        gate.open();
        assert_eq!(client.read_chunk().await.unwrap(), b"one", "{way}");
        client.send("3\r\ntwo\r\n").await.unwrap();
        assert_eq!(client.read_chunk().await.unwrap(), b"two", "{way}");
        client.send("0\r\n\r\n").await.unwrap();
        assert_eq!(client.read_chunk().await.unwrap(), b"", "{way}");
        assert_eq!(app.take().await.unwrap().body, b"onetwo", "{way}");
    }
}

#[tokio::test]
async fn an_h2c_app_is_one_connection_for_many_calls_and_hears_of_clients_that_leave() {
    let gate = Gate::new();
    let held = gate.clone();
    let (app, pair) = h2c(move |call| match &*call.path {
        "/hang" => GrpcScript::new().read_all().hang(),
        _ => GrpcScript::new()
            .read_all()
            .wait(&held)
            .head(200, PLAIN)
            .data("x")
            .end(),
    })
    .await;
    for (way, sidecar) in pair.ways() {
        let target = invoke(pair.callee.app_id(), "hang");
        let mut client = sidecar.connect().await.unwrap();
        client
            .send(request("GET", &target, &[], b""))
            .await
            .unwrap();
        app.wait_call("the call", |call| call.half_closed)
            .await
            .unwrap();
        drop(client);
        assert!(
            app.wait_call("its end", |call| call.broken).await.is_ok(),
            "{way}"
        );
        app.clear();
    }
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = pair.callee.connect().await.unwrap();
        let target = invoke(pair.callee.app_id(), "x");
        client
            .send(request("GET", &target, &[], b""))
            .await
            .unwrap();
        clients.push(client);
    }
    gate.reached_times(50).await.unwrap();
    gate.open();
    for client in &mut clients {
        assert_eq!(client.read_response().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn an_https_app_is_an_http_app_behind_tls() {
    let app = RawApp::echo().await.unwrap();
    let front = TlsFront::start(app.port(), &["http/1.1"]).await.unwrap();
    let callee = sidecar().app_port(front.port()).app_protocol("https");
    let callee = callee.start().await.unwrap();
    let target = invoke(callee.app_id(), "a?q=1");
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let gate = Gate::new();
    app.answer_once(
        Script::new()
            .send(head)
            .chunk("early")
            .wait(&gate)
            .chunk("late")
            .send("0\r\n\r\n"),
    );
    let mut client = callee.connect().await.unwrap();
    client
        .send(request("POST", &target, &[], b"body"))
        .await
        .unwrap();
    client.read_head().await.unwrap();
    assert_eq!(client.read_chunk().await.unwrap(), b"early");
    gate.open();
    assert_eq!(client.read_chunk().await.unwrap(), b"late");
    let seen = app.last_request().await.unwrap();
    assert_eq!(seen.line, "POST /a?q=1 HTTP/1.1");
    assert_eq!(seen.body, b"body");
    // Connections are kept, as a handshake is dear.
    let before = front.handshakes().len();
    for _ in 0..5 {
        let rsp = callee.call("POST", &target, &[], b"body").await.unwrap();
        assert_eq!(rsp.status(), 200);
    }
    assert!(front.handshakes().len() <= before + 1);
}

#[tokio::test]
async fn a_plain_app_behind_a_tls_protocol_is_never_ready_and_a_wrong_one_fails_the_call() {
    // The port answers, and not with TLS.
    let app = RawApp::echo().await.unwrap();
    let plain = sidecar()
        .app_port(app.port())
        .app_protocol("https")
        .spawn()
        .unwrap();
    plain.wait_line("waiting").await.unwrap();
    // TLS, and not HTTP/2: gRPC over TLS needs its ALPN.
    let front = TlsFront::start(app.port(), &["http/1.1"]).await.unwrap();
    let callee = sidecar()
        .app_port(front.port())
        .app_protocol("grpcs")
        .spawn()
        .unwrap();
    callee.wait_line("application discovered").await.unwrap();
    let client = callee.grpc().await.unwrap();
    let req = invoke_request(callee.app_id(), "x", b"");
    let answer = invoke_service(&client, &req, PLAIN).await;
    assert_eq!(answer.code, Some(UNAVAILABLE), "{answer:?}");
    let found = plain
        .lines()
        .iter()
        .any(|line| line.contains("application discovered"));
    assert!(!found, "no handshake, no app");
}
