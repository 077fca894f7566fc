//! What a gRPC app says beside header fields and body, and how an HTTP client hears it
//! (contract `grpc-api.md` 4.5, `http-api.md` 10).

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use outrider_wire::{
    Fields,
    r#gen::google::protobuf::Any,
    grpc::{Code, details, encode_message, status::http_from_code},
};
use prost::DecodeError;
use tokio::time::Instant;

use super::{Body, Reply, fault::error_body, request::Status};

/// What a caller hears whose deadline has passed.
pub(crate) const TOO_LATE: &str = "context deadline exceeded";

/// A gRPC status.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GrpcStatus {
    /// Its code; apps use others than the specification's, too.
    pub code: i32,
    /// Its message.
    pub message: String,
    /// Its details.
    pub details: Vec<Any>,
}

impl GrpcStatus {
    /// A status without details.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: code.number(),
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// The status of a call whose deadline has passed.
    pub(crate) fn too_late() -> Self {
        Self::new(Code::DeadlineExceeded, TOO_LATE)
    }

    /// Puts it into trailers, or into the head of an answer that has nothing else. A map that is full
    /// is left as it is, because whoever filled it came from outside.
    pub(crate) fn write(&self, trailers: &mut HeaderMap) {
        let mut put = |name, value| drop(trailers.try_insert(name, value));
        put("grpc-status", HeaderValue::from(self.code.cast_unsigned()));
        if !self.message.is_empty()
            && let Ok(message) = HeaderValue::from_str(&encode_message(&self.message))
        {
            put("grpc-message", message);
        }
        if !self.details.is_empty()
            && let Some(details) = details::encode(self.code, &self.message, &self.details)
        {
            put("grpc-status-details-bin", details);
        }
    }

    /// Whether the call went well.
    pub(crate) fn is_ok(&self) -> bool {
        self.code == Code::Ok.number()
    }
}

/// The clocks of two processes that give up at the same time differ by less.
const SAME_TIME: Duration = Duration::from_millis(20);

/// Whether a call that was cancelled by the far end was cancelled for its deadline: both ends know
/// it, and the other one may be faster.
pub(crate) fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() + SAME_TIME >= deadline)
}

/// What Go's protobuf says of bytes that are no message.
pub(crate) fn go_text(error: &DecodeError) -> &'static str {
    // There is no other way to ask.
    match error.to_string().contains("UTF-8") {
        true => "string field contains invalid UTF-8",
        false => "proto: cannot parse invalid wire-format data",
    }
}

/// How a gRPC app ended a call.
#[derive(Debug, Default)]
pub(crate) struct GrpcEnd {
    /// Its status.
    pub status: GrpcStatus,
    /// Trailing metadata as it travels between sidecars.
    pub trailers: Fields,
    /// Content type of the body.
    pub content_type: String,
    /// Protobuf type of the body.
    pub type_url: String,
    /// The app could not be reached, so it surely has not seen the call.
    pub unreached: bool,
}

/// Content type of a body whose protobuf type is named.
pub(crate) const PROTOBUF: &str = "application/x-protobuf";

/// The answer of a gRPC app as one of an HTTP app: what HTTP clients get.
pub(crate) fn as_http(reply: Reply) -> Reply {
    let end = match reply.status {
        Status::Http(_) => return reply,
        Status::Grpc(end) => end,
    };
    let mut fields = reply.fields;
    // What it says is how the message travelled.
    fields.remove("content-type");
    if end.status.is_ok() {
        let content_type = match end.type_url.is_empty() {
            true => end.content_type.as_str(),
            false => PROTOBUF,
        };
        if !content_type.is_empty() {
            fields.push(b"Content-Type", content_type.as_bytes());
        }
        return Reply {
            status: Status::Http(200),
            fields,
            body: reply.body,
        };
    }
    let told = &end.status;
    match details::status_json(told.code, &told.message, &told.details) {
        Ok(text) => Reply {
            status: Status::Http(http_from_code(told.code)),
            fields,
            body: Body::whole(text.into()),
        },
        Err(error) => {
            let mut fields = Fields::default();
            fields.push(b"Content-Type", b"application/json");
            let body = error_body("ERR_MALFORMED_RESPONSE", &error.to_string());
            Reply {
                status: Status::Http(500),
                fields,
                body: Body::whole(body.into()),
            }
        }
    }
}
