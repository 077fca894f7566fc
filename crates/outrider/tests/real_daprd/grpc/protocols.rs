//! Apps of every protocol beside our sidecar, called through daprd (contract `configuration.md`
//! app-protocol, `grpc-api.md` 4, 5, 9).

use outrider_testkit::grpc::{TlsFront, to_base64};
use outrider_testkit::{GrpcApp, GrpcCall, GrpcScript, RawApp};

use super::client_of;
use crate::grpc_support::{
    METHOD, OK, ON_INVOKE, PLAIN, UNAVAILABLE, echo_any, invoke_request, invoke_service, invoked,
};
use crate::pair::{Pair, Way};

/// An echo app of one protocol.
struct App {
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
        let kind = call.values("content-type").concat();
        let head = GrpcScript::new().head(200, &[("content-type", kind)]);
        head.data(call.body.clone()).end()
    })
}

async fn beside_ours(protocol: &str) -> Pair<App> {
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
    let port = tls.as_ref().map_or(behind, TlsFront::port);
    let app = App { http, http2, tls };
    let callee = |sidecar: outrider_testkit::SidecarBuilder| sidecar.app_protocol(protocol);
    Pair::between(Way::DaprdToOurs, app, port, |caller| caller, callee).await
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn every_form_of_call_reaches_every_kind_of_app() {
    for protocol in ["http", "https", "h2c", "grpc", "grpcs"] {
        let pair = beside_ours(protocol).await;
        let id = pair.callee.app_id();
        let basic = to_base64(format!("dapr-app-id:{id}").as_bytes());
        let basic = format!("Basic {basic}");
        let url = pair.target("some/path");
        for (form, target, field) in [
            ("URL", &*url, None),
            ("header", "/some/path", Some(("dapr-app-id", id))),
            ("basic auth", "/some/path", Some(("Authorization", &*basic))),
        ] {
            let mut fields = vec![("Content-Type", "text/x")];
            fields.extend(field);
            let rsp = pair.caller.call("POST", target, &fields, b"body").await;
            let rsp = rsp.unwrap();
            let got = (rsp.status(), rsp.text());
            assert_eq!(got, (200, "body".to_owned()), "{protocol}, {form}");
            let kind = rsp.headers.all("content-type");
            assert_eq!(kind, ["text/x"], "{protocol}, {form}");
        }
        let client = client_of(&pair).await;
        let req = invoke_request(id, "some/path", b"body");
        let rsp = invoked(protocol, &invoke_service(&client, &req, PLAIN).await);
        assert_eq!(rsp.data.unwrap().value, "body", "{protocol}");
        assert_eq!(rsp.content_type, "text/x", "{protocol}");
        let answer = client.unary(METHOD, &pair.to(), "m").await.unwrap();
        match protocol {
            // An app that speaks HTTP/2 is one, whatever it is called.
            "h2c" | "grpc" | "grpcs" => {
                assert_eq!(answer.status(), (OK, ""), "{protocol}");
                assert_eq!(answer.messages, ["m"], "{protocol}");
            }
            _ => assert_eq!(answer.code, Some(UNAVAILABLE), "{protocol}: {answer:?}"),
        }
        seen_as(protocol, &pair.app).await;
    }
}

/// What the app must have seen of the calls above.
async fn seen_as(protocol: &str, app: &App) {
    if let Some(http) = &app.http {
        let calls = http.requests().await;
        let line = "POST /some/path HTTP/1.1";
        let calls = calls.iter().filter(|call| call.line == line);
        assert_eq!(calls.count(), 4, "{protocol}");
    }
    if let Some(http2) = &app.http2 {
        let path = match protocol {
            "h2c" => "/some/path",
            _ => ON_INVOKE,
        };
        let calls = http2.calls();
        let calls = calls.iter().filter(|call| call.path == path);
        assert_eq!(calls.count(), 4, "{protocol}");
    }
    if let Some(tls) = &app.tls {
        assert!(!tls.handshakes().is_empty(), "{protocol}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn streams_pass_an_app_behind_tls() {
    let pair = beside_ours("grpcs").await;
    let client = client_of(&pair).await;
    let mut call = client.open(METHOD, &pair.to()).await.unwrap();
    for number in 0..40 {
        let sent = super::message(1, number, number * 2500);
        call.tx.send(&sent).await.unwrap();
        let got = call.rx.message().await.unwrap();
        assert!(got.as_deref() == Some(&sent[..]), "{number}");
    }
    call.tx.half_close();
    assert_eq!(call.rx.finish().await.unwrap().status(), (OK, ""));
}
