//! How a gRPC status ends a call of the API, and the details that go with it.

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response, header};
use outrider_wire::r#gen::google;
use prost::Message;

pub(super) use crate::call::grpc::GrpcStatus as Status;

impl Status {
    /// Adds an `ErrorInfo` as the reference makes it.
    pub(super) fn with_info(self, reason: &str, status: u16, message: &str) -> Self {
        let metadata = [
            ("http.code".to_owned(), status.to_string()),
            ("http.error_message".to_owned(), message.to_owned()),
        ];
        self.with(
            "ErrorInfo",
            &google::rpc::ErrorInfo {
                reason: reason.to_owned(),
                domain: "dapr.io".to_owned(),
                metadata: metadata.into_iter().collect(),
            },
        )
    }

    /// Adds a detail: a message of `google.rpc` and its name there.
    pub(super) fn with(mut self, name: &str, detail: &impl Message) -> Self {
        self.details.push(google::protobuf::Any {
            type_url: format!("type.googleapis.com/google.rpc.{name}"),
            value: detail.encode_to_vec().into(),
        });
        self
    }

    /// Ends a call that has not been answered yet; `headers` go with the status.
    pub(super) fn send_with(&self, respond: &mut SendResponse<Bytes>, headers: HeaderMap) {
        let mut rsp = Response::new(());
        *rsp.headers_mut() = headers;
        let headers = rsp.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        self.write(headers);
        // Failing means that the client has gone.
        let _ = respond.send_response(rsp, true);
    }
}
