//! Who may call and who is called: names, tokens, calls for somebody else (contract `grpc-api.md` 6,
//! 9.1, `sidecar-protocol.md` 12).

use outrider_testkit::{GrpcApp, SidecarBuilder};

use super::{GrpcPair, client_of};
use crate::grpc_support::{
    DENIED, METHOD, OK, PLAIN, UNAUTHENTICATED, UNKNOWN, assert_info, echo_any, invoke_request,
    invoke_service,
};
use crate::pair::{BOTH, Pair, Way};

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_target_may_be_named_with_its_namespace_or_as_callee() {
    for way in BOTH {
        let pair = GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await;
        let client = client_of(&pair).await;
        let id = pair.callee.app_id();
        let long = format!("{id}.default");
        for metadata in [
            vec![("dapr-app-id", &*long)],
            vec![("dapr-callee-app-id", id)],
            vec![("dapr-app-id", "nobody"), ("dapr-callee-app-id", id)],
        ] {
            let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{way:?} {metadata:?}");
            let seen = pair.app.take().await.unwrap();
            let callee = seen.values("dapr-callee-app-id");
            assert_eq!(callee.last().map(String::as_str), Some(id), "{way:?}");
            assert!(seen.values("dapr-app-id").is_empty(), "{way:?}");
        }
        let req = invoke_request(&long, "x", b"");
        pair.app.handle(echo_any);
        let answer = invoke_service(&client, &req, PLAIN).await;
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_call_of_daprd_for_another_app_than_ours_is_refused() {
    let app = GrpcApp::start(echo_any).await.unwrap();
    let pair = GrpcPair::grpc(Way::DaprdToOurs, app).await;
    let client = client_of(&pair).await;
    // The same host to daprd's resolver, and another app: case counts in ids.
    for other in ["LOCALHOST", "LocalHost.default"] {
        let to = [("dapr-app-id", other)];
        let answer = client.unary(METHOD, &to, "x").await.unwrap();
        let (code, text) = answer.status();
        assert_eq!(code, DENIED, "{other}: {text}");
        let named = text.contains("localhost") && text.contains(&other[..9]);
        assert!(named, "{other}: {text}");
        assert!(answer.messages.is_empty(), "{other}");
        let mut call = client.open(METHOD, &to).await.unwrap();
        // Refused at its head, whatever may follow.
        let end = call.rx.message().await.unwrap();
        assert_eq!(end, None, "{other}");
    }
    assert!(pair.app.calls().is_empty(), "it was let through");
    let answer = client.unary(METHOD, &pair.to(), "x").await.unwrap();
    assert_eq!(answer.status(), (OK, ""), "and ours is served still");
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn a_call_without_a_target_is_told_in_the_same_words() {
    for way in BOTH {
        let pair = GrpcPair::grpc(way, GrpcApp::echo().await.unwrap()).await;
        // The sidecars' own ports, for clients and for peers, say the same.
        let client = client_of(&pair).await;
        let peer = pair.callee.ports().internal;
        let peer = outrider_testkit::GrpcClient::connect(peer).await.unwrap();
        for client in [client, peer] {
            for (path, text) in [
                (
                    METHOD,
                    "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata",
                ),
                (
                    "/dapr.proto.runtime.v1.AppCallback/OnInvoke",
                    "failed to proxy request: required metadata dapr-callee-app-id or \
                     dapr-app-id not found",
                ),
            ] {
                let answer = client.unary(path, PLAIN, "x").await.unwrap();
                assert_eq!(answer.status(), (UNKNOWN, text), "{way:?} {path}");
            }
        }
        assert!(pair.app.calls().is_empty(), "{way:?}");
    }
}

async fn with_tokens(way: Way, api: bool, app_token: bool) -> GrpcPair {
    let app = GrpcApp::start(echo_any).await.unwrap();
    let port = app.port();
    let token = |sidecar: SidecarBuilder, wanted: bool, name: &str, value: &str| match wanted {
        true => sidecar.env(name, value),
        false => sidecar,
    };
    let caller = |sidecar| {
        // Its own app's token is nobody else's.
        let sidecar = token(sidecar, app_token, "APP_API_TOKEN", "of-caller");
        token(sidecar, api, "DAPR_API_TOKEN", "secret")
    };
    let callee = |sidecar: SidecarBuilder| {
        let sidecar = sidecar.app_protocol("grpc");
        // Asked of clients, not of other sidecars.
        let sidecar = token(sidecar, api, "DAPR_API_TOKEN", "other");
        token(sidecar, app_token, "APP_API_TOKEN", "of-app")
    };
    Pair::between(way, app, port, caller, callee).await
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn the_app_gets_its_own_token_and_no_other() {
    for way in BOTH {
        for (api, of_app) in [(false, false), (true, false), (false, true), (true, true)] {
            let case = format!("{way:?} {api} {of_app}");
            let pair = with_tokens(way, api, of_app).await;
            let client = client_of(&pair).await;
            let sent = match api {
                true => vec![("dapr-api-token", "secret")],
                false => vec![],
            };
            let expected = if of_app { vec!["of-app"] } else { vec![] };
            let metadata = pair.to_with(&sent);
            let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
            assert_eq!(answer.status(), (OK, ""), "{case}");
            let seen = pair.app.take().await.unwrap().values("dapr-api-token");
            assert_eq!(seen, expected, "{case}, proxied");
            let req = invoke_request(pair.callee.app_id(), "x", b"");
            let answer = invoke_service(&client, &req, &sent).await;
            assert_eq!(answer.status(), (OK, ""), "{case}");
            let seen = pair.app.take().await.unwrap().values("dapr-api-token");
            assert_eq!(seen, expected, "{case}, InvokeService");
            let rsp = pair.call("POST", "x", &sent, b"").await;
            assert_eq!(rsp.status(), 200, "{case}");
            let seen = pair.app.take().await.unwrap().values("dapr-api-token");
            assert_eq!(seen, expected, "{case}, HTTP");
        }
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn without_the_right_token_nothing_gets_past_the_caller() {
    let missing = "missing api token in request metadata";
    let mismatch = "authentication error: api token mismatch";
    for way in BOTH {
        let pair = with_tokens(way, true, true).await;
        let client = client_of(&pair).await;
        let req = invoke_request(pair.callee.app_id(), "x", b"");
        for (sent, why) in [
            (vec![], missing),
            (vec![("dapr-api-token", "")], mismatch),
            (vec![("dapr-api-token", "Secret")], mismatch),
            (
                vec![("dapr-api-token", "no"), ("dapr-api-token", "secret")],
                mismatch,
            ),
        ] {
            let metadata = pair.to_with(&sent);
            let proxied = client.unary(METHOD, &metadata, "x").await.unwrap();
            let invoked = invoke_service(&client, &req, &sent).await;
            for (form, answer) in [("proxied", proxied), ("InvokeService", invoked)] {
                let case = format!("{way:?} {form} {sent:?}");
                let fields = [("http.code", "401"), ("http.error_message", why)];
                let wanted = (UNAUTHENTICATED, "Unauthorized");
                assert_info(&case, &answer, wanted, &fields);
            }
        }
        assert!(pair.app.calls().is_empty(), "{way:?}");
    }
}
