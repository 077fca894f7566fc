//! A gRPC status with its details, and how it ends a call.

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response, header};
use outrider_core::base64;
use outrider_wire::{
    r#gen::{google, internals},
    grpc::{Code, encode_message},
};
use prost::Message;

/// What a call ended with, other than an answer.
#[derive(Clone, Debug)]
pub(super) struct Status {
    code: Code,
    message: String,
    details: Vec<google::protobuf::Any>,
}

impl Status {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

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

    /// Ends a call that has not been answered yet.
    pub(super) fn send(&self, respond: &mut SendResponse<Bytes>) {
        self.send_with(respond, HeaderMap::new());
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

    /// The trailers of this status.
    pub(super) fn write(&self, trailers: &mut HeaderMap) {
        trailers.insert("grpc-status", HeaderValue::from(self.code.number()));
        if let Ok(message) = HeaderValue::from_str(&encode_message(&self.message))
            && !self.message.is_empty()
        {
            trailers.insert("grpc-message", message);
        }
        if !self.details.is_empty() {
            // google.rpc.Status has the shape of the internal one.
            let status = internals::Status {
                code: self.code.number(),
                message: self.message.clone(),
                details: self.details.clone(),
            };
            let text = base64::encode_unpadded(&status.encode_to_vec());
            if let Ok(text) = HeaderValue::from_str(&text) {
                trailers.insert("grpc-status-details-bin", text);
            }
        }
    }
}
