//! Trace context and baggage of a client (contract `grpc-api.md` 8, 9.2, `sidecar-protocol.md` 13).

use outrider_testkit::GrpcCall;
use outrider_testkit::grpc::{bin_values, to_base64};

use super::{GrpcPair, client_of};
use crate::grpc_support::{INVALID, METHOD, OK, echo_any, invoke_request, invoke_service};
use crate::pair::BOTH;

const ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The same in binary.
fn binary() -> Vec<u8> {
    let hex = |text: &str| -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        (0..text.len() / 2).map(byte).collect()
    };
    [
        &[0, 0][..],
        &hex(ID),
        &[1],
        &hex("b7ad6b7169203331"),
        &[2, 1],
    ]
    .concat()
}

fn first_of(call: &GrpcCall, name: &str) -> String {
    call.values(name).into_iter().next().unwrap_or_default()
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn trace_context_of_the_client_reaches_the_app() {
    let bytes = to_base64(&binary());
    for way in BOTH {
        let pair = GrpcPair::start(way, echo_any).await;
        let client = client_of(&pair).await;
        let sent = [
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("grpc-trace-bin", &bytes),
        ];
        let metadata = pair.to_with(&sent);
        let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
        let call = pair.app.take().await.unwrap();
        // Sidecars add theirs behind it.
        assert_eq!(first_of(&call, "traceparent"), PARENT, "{way:?}");
        assert_eq!(first_of(&call, "tracestate"), "a=1", "{way:?}");
        let seen = bin_values(&call.metadata, "grpc-trace-bin");
        assert_eq!(seen[0], binary(), "{way:?}");

        let req = invoke_request(pair.callee.app_id(), "x", b"");
        let answer = invoke_service(&client, &req, &sent[2..]).await;
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
        let call = pair.app.take().await.unwrap();
        let seen = bin_values(&call.metadata, "grpc-trace-bin");
        assert_eq!(seen.len(), 1, "{way:?}");
        assert_eq!(seen[0][2..18], binary()[2..18], "{way:?}");
        assert!(first_of(&call, "traceparent").contains(ID), "{way:?}");

        let fields = [("Traceparent", PARENT), ("Tracestate", "a=1")];
        let rsp = pair.call("POST", "x", &fields, b"").await;
        assert_eq!(rsp.status(), 200, "{way:?}");
        let call = pair.app.take().await.unwrap();
        let seen = bin_values(&call.metadata, "grpc-trace-bin");
        assert_eq!(seen[0][2..18], binary()[2..18], "{way:?}");
        assert!(first_of(&call, "traceparent").contains(ID), "{way:?}");
        assert_eq!(first_of(&call, "tracestate"), "a=1", "{way:?}");
    }
}

#[tokio::test]
#[ignore = "needs a real daprd: set OUTRIDER_TEST_DAPRD to its path"]
async fn baggage_is_passed_on_and_checked() {
    for way in BOTH {
        let pair = GrpcPair::start(way, echo_any).await;
        let client = client_of(&pair).await;
        let metadata = pair.to_with(&[("baggage", "k=v")]);
        let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
        assert_eq!(answer.status(), (OK, ""), "{way:?}");
        let call = pair.app.take().await.unwrap();
        assert_eq!(call.values("baggage"), ["k=v"], "{way:?}");
        assert_eq!(answer.initial("baggage")[0], "k=v", "{way:?}");
        let metadata = pair.to_with(&[("baggage", "=")]);
        let answer = client.unary(METHOD, &metadata, "x").await.unwrap();
        let (code, text) = answer.status();
        assert_eq!(code, INVALID, "{way:?}: {text}");
        let begin = "invalid baggage header: ";
        assert!(text.starts_with(begin), "{way:?}: {text}");
        assert!(pair.app.calls().is_empty(), "{way:?}");
    }
}
