//! What the gRPC subjects share: an app behind two sidecars, `InvokeService` and `OnInvoke`,
//! statuses with their details.

use std::path::PathBuf;

use bytes::Bytes;
use outrider_testkit::{
    GrpcAnswer, GrpcApp, GrpcCall, GrpcClient, GrpcScript, Sidecar, SidecarBuilder, unique_id,
};
use outrider_wire::r#gen::{common, google, internals, runtime};
use prost::Message;

use crate::support::BIN;

pub(crate) const OK: i32 = 0;
pub(crate) const CANCELED: i32 = 1;
pub(crate) const UNKNOWN: i32 = 2;
pub(crate) const INVALID: i32 = 3;
pub(crate) const DEADLINE: i32 = 4;
pub(crate) const DENIED: i32 = 7;
pub(crate) const EXHAUSTED: i32 = 8;
pub(crate) const UNIMPLEMENTED: i32 = 12;
pub(crate) const INTERNAL: i32 = 13;
pub(crate) const UNAVAILABLE: i32 = 14;
pub(crate) const UNAUTHENTICATED: i32 = 16;

/// A method of nobody but the app.
pub(crate) const METHOD: &str = "/pkg.Svc/Do";
pub(crate) const ON_INVOKE: &str = "/dapr.proto.runtime.v1.AppCallback/OnInvoke";
pub(crate) const HEALTH: &str = "/dapr.proto.runtime.v1.AppCallbackHealthCheck/HealthCheck";
pub(crate) const INVOKE_SERVICE: &str = "/dapr.proto.runtime.v1.Dapr/InvokeService";

/// No metadata of one's own.
pub(crate) const PLAIN: &[(&str, &str)] = &[];

/// A sidecar of the binary under test. `OUTRIDER_TEST_BINARY` names another one, to see whether it
/// does the same.
pub(crate) fn sidecar() -> SidecarBuilder {
    #[expect(clippy::disallowed_methods, reason = "the process entry of a test")]
    let other = std::env::var_os("OUTRIDER_TEST_BINARY");
    SidecarBuilder::new(other.map_or_else(|| PathBuf::from(BIN), PathBuf::from))
}

/// A gRPC app with its sidecar, and another sidecar without an app.
pub(crate) struct GrpcMesh {
    pub(crate) app: GrpcApp,
    pub(crate) caller: Sidecar,
    pub(crate) callee: Sidecar,
    /// To the sidecar of nobody: calls take all of the way.
    pub(crate) remote: GrpcClient,
    /// To the app's own sidecar.
    pub(crate) own: GrpcClient,
}

impl GrpcMesh {
    /// An app that does with each call what `handler` says at its head.
    pub(crate) async fn start(
        handler: impl Fn(&GrpcCall) -> GrpcScript + Send + Sync + 'static,
    ) -> Self {
        Self::around(GrpcApp::start(handler).await.unwrap()).await
    }

    /// An app that sends back what it is sent.
    pub(crate) async fn echo() -> Self {
        Self::around(GrpcApp::echo().await.unwrap()).await
    }

    pub(crate) async fn around(app: GrpcApp) -> Self {
        Self::with(app, |sidecar| sidecar, |sidecar| sidecar).await
    }

    /// With sidecars that are not the plain ones: caller, callee.
    pub(crate) async fn with(
        app: GrpcApp,
        caller: impl FnOnce(SidecarBuilder) -> SidecarBuilder,
        callee: impl FnOnce(SidecarBuilder) -> SidecarBuilder,
    ) -> Self {
        let caller = caller(sidecar().app_id(unique_id("caller")));
        let beside = sidecar().app_id(unique_id("callee")).app_port(app.port());
        let callee = callee(beside.app_protocol("grpc"));
        let (callee, caller) = tokio::try_join!(callee.start(), caller.start()).unwrap();
        Self {
            app,
            remote: caller.grpc().await.unwrap(),
            own: callee.grpc().await.unwrap(),
            caller,
            callee,
        }
    }

    /// Both ways to the app, with a name for failures.
    pub(crate) fn ways(&self) -> [(&'static str, &GrpcClient); 2] {
        [("remote", &self.remote), ("own", &self.own)]
    }

    /// The id of the app.
    pub(crate) fn id(&self) -> &str {
        self.callee.app_id()
    }

    /// The metadata that sends a call to the app.
    pub(crate) fn to(&self) -> [(&str, &str); 1] {
        [("dapr-app-id", self.id())]
    }

    /// That, and more.
    pub(crate) fn to_with<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&self.to()[..], more].concat()
    }
}

/// A request for `InvokeService`: POST, `data`, `text/x`.
pub(crate) fn invoke_request(id: &str, method: &str, data: &[u8]) -> runtime::InvokeServiceRequest {
    runtime::InvokeServiceRequest {
        id: id.to_owned(),
        message: Some(common::InvokeRequest {
            method: method.to_owned(),
            data: Some(any("", data)),
            content_type: "text/x".to_owned(),
            http_extension: Some(common::HttpExtension {
                verb: common::http_extension::Verb::Post as i32,
                querystring: String::new(),
            }),
        }),
    }
}

pub(crate) fn any(type_url: &str, value: &[u8]) -> google::protobuf::Any {
    google::protobuf::Any {
        type_url: type_url.to_owned(),
        value: Bytes::copy_from_slice(value),
    }
}

/// Calls `InvokeService`.
pub(crate) async fn invoke_service<V: AsRef<[u8]>>(
    client: &GrpcClient,
    req: &runtime::InvokeServiceRequest,
    metadata: &[(&str, V)],
) -> GrpcAnswer {
    let answer = client.unary(INVOKE_SERVICE, metadata, req.encode_to_vec());
    answer.await.unwrap()
}

/// The one message of a successful `InvokeService`.
#[track_caller]
pub(crate) fn invoked(case: &str, answer: &GrpcAnswer) -> common::InvokeResponse {
    assert_eq!(answer.status(), (OK, ""), "{case}");
    assert_eq!(answer.messages.len(), 1, "{case}");
    common::InvokeResponse::decode(&answer.messages[0][..]).unwrap()
}

/// An answer of `OnInvoke`.
pub(crate) fn invoke_response(data: &[u8], content_type: &str) -> Vec<u8> {
    let rsp = common::InvokeResponse {
        data: Some(any("", data)),
        content_type: content_type.to_owned(),
    };
    rsp.encode_to_vec()
}

/// What an app was asked by `OnInvoke`.
pub(crate) fn on_invoke(call: &GrpcCall) -> common::InvokeRequest {
    assert_eq!(call.path, ON_INVOKE);
    let messages = call.messages();
    assert_eq!(messages.len(), 1, "{call:?}");
    common::InvokeRequest::decode(&messages[0][..]).unwrap()
}

/// Answers `OnInvoke` with what it was sent, and any other call with its messages as they come.
pub(crate) fn echo_any(call: &GrpcCall) -> GrpcScript {
    if call.path != ON_INVOKE {
        return GrpcScript::new().echo().ok();
    }
    GrpcScript::new().read_all().and_then(|call| {
        let req = on_invoke(call);
        let data = req.data.unwrap_or_default();
        let rsp = common::InvokeResponse {
            data: Some(data),
            content_type: req.content_type,
        };
        GrpcScript::new().message(rsp.encode_to_vec()).ok()
    })
}

/// Status details as they travel in `grpc-status-details-bin`.
pub(crate) fn details(code: i32, message: &str, details: &[google::protobuf::Any]) -> Vec<u8> {
    // Same fields, same numbers as `google.rpc.Status`.
    let status = internals::Status {
        code,
        message: message.to_owned(),
        details: details.to_vec(),
    };
    status.encode_to_vec()
}

/// An `ErrorInfo` among details.
pub(crate) fn error_info(
    reason: &str,
    domain: &str,
    fields: &[(&str, &str)],
) -> google::protobuf::Any {
    let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    let info = google::rpc::ErrorInfo {
        reason: reason.to_owned(),
        domain: domain.to_owned(),
        metadata: fields.iter().map(pair).collect(),
    };
    any(
        "type.googleapis.com/google.rpc.ErrorInfo",
        &info.encode_to_vec(),
    )
}

/// Fails unless the answer has this status and this one `ErrorInfo` of domain `dapr.io`.
#[track_caller]
pub(crate) fn assert_info(
    case: &str,
    answer: &GrpcAnswer,
    (code, text): (i32, &str),
    fields: &[(&str, &str)],
) {
    assert_eq!(answer.status(), (code, text), "{case}");
    let found = answer.details.as_deref().map(internals::Status::decode);
    let found = found.unwrap_or_else(|| panic!("{case}: no details: {answer:?}"));
    let found = found.unwrap();
    assert_eq!((found.code, &*found.message), (code, text), "{case}");
    assert_eq!(found.details.len(), 1, "{case}");
    let wanted = error_info(text, "dapr.io", fields);
    assert_eq!(found.details[0].type_url, wanted.type_url, "{case}");
    let info = google::rpc::ErrorInfo::decode(&found.details[0].value[..]).unwrap();
    let wanted = google::rpc::ErrorInfo::decode(&wanted.value[..]).unwrap();
    assert_eq!(info, wanted, "{case}");
}

/// Milliseconds of a `grpc-timeout`.
pub(crate) fn millis(value: &str) -> u64 {
    let (number, unit) = value.split_at(value.len() - 1);
    let number: u64 = number.parse().unwrap();
    match unit {
        "n" => number / 1_000_000,
        "u" => number / 1000,
        "m" => number,
        "S" => number * 1000,
        "M" => number * 60_000,
        _ => number * 3_600_000,
    }
}
