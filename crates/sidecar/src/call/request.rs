//! What a call asks for and what comes back, free of any protocol's framing.

use outrider_wire::{Fields, envelope::Verb, headers::to_http};

use super::{Body, Target, grpc::GrpcEnd};

/// A call on its way down: from any door, to any app.
#[derive(Debug)]
pub(crate) struct Call {
    /// Who is called.
    pub target: Target,
    /// Method path as it is dispatched and as access control would see it: decoded and cleaned.
    pub method: String,
    /// Number of the HTTP verb; a gRPC caller may send any.
    pub verb: i32,
    /// Raw query, without `?`.
    pub query: String,
    /// Header fields under canonical names, hop-by-hop ones included: the callee drops those.
    pub fields: Fields,
    /// The body.
    pub body: Body,
    /// The length of the body was not declared up front: such a call is never repeated.
    pub unsized_body: bool,
    /// What a gRPC caller says beside its metadata; none for an HTTP caller.
    pub grpc: Option<GrpcOrigin>,
    /// When the caller gives up.
    pub deadline: Option<tokio::time::Instant>,
}

/// What a gRPC caller says about its body, which HTTP says in header fields.
#[derive(Debug)]
pub(crate) struct GrpcOrigin {
    /// Content type of the body.
    pub content_type: String,
    /// Protobuf type of the body.
    pub type_url: String,
    /// Verb and query were given.
    pub http_extension: bool,
}

impl Call {
    /// What is said of the body: content type, protobuf type, and whether verb and query count.
    pub(crate) fn described(&self) -> (&[u8], &str, bool) {
        match &self.grpc {
            Some(grpc) => (
                grpc.content_type.as_bytes(),
                grpc.type_url.as_str(),
                grpc.http_extension,
            ),
            None => {
                let content_type = self.fields.get("content-type");
                (content_type.unwrap_or_default(), "", true)
            }
        }
    }

    /// The caller asks for server-sent events and nothing else (contract `http-api.md` 8.4).
    pub(crate) fn wants_events(&self) -> bool {
        wants_events(&self.fields)
    }

    /// Sending it twice does no more than sending it once (RFC 9110 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        use Verb::{Delete, Get, Head, Options, Put, Trace};
        matches!(
            Verb::from_i32(self.verb),
            Some(Get | Head | Options | Trace | Put | Delete)
        )
    }
}

/// The fields ask for server-sent events and nothing else.
pub(crate) fn wants_events(fields: &Fields) -> bool {
    let accept = fields.get("accept").unwrap_or_default();
    accept
        .trim_ascii()
        .eq_ignore_ascii_case(b"text/event-stream")
}

/// What the app, or a sidecar on its behalf, answered.
#[derive(Debug)]
pub(crate) struct Reply {
    /// How the call went.
    pub status: Status,
    /// Header fields, or initial metadata, as they travel between sidecars; hop-by-hop ones and
    /// lengths are already gone.
    pub fields: Fields,
    /// The body.
    pub body: Body,
}

impl Reply {
    /// Content type of the body; empty if there is none.
    pub(crate) fn content_type(&self) -> &[u8] {
        match &self.status {
            Status::Http(_) => self.fields.get("content-type").unwrap_or_default(),
            Status::Grpc(end) => end.content_type.as_bytes(),
        }
    }
}

/// How a call went, in the words of the app's protocol.
#[derive(Debug)]
pub(crate) enum Status {
    /// HTTP status code, 100–999.
    Http(u16),
    /// The end of a gRPC call.
    Grpc(Box<GrpcEnd>),
}

impl Status {
    /// The number on the wire between sidecars: below 100 it is gRPC's.
    pub(crate) fn number(&self) -> i32 {
        match self {
            Self::Http(code) => i32::from(*code),
            Self::Grpc(end) => end.status.code,
        }
    }

    /// Whether an HTTP app says that all is well.
    pub(crate) fn is_http_success(&self) -> bool {
        matches!(self, Self::Http(200..300))
    }
}

/// The fields of an answer as they reach an HTTP client (contract `http-api.md` 7).
pub(crate) fn relayed(reply: &Reply) -> Fields {
    let (fields, content_type) = (&reply.fields, reply.content_type());
    let mut out = Fields::with_capacity(fields.text_len() + 128, fields.len() + 4);
    let trace = to_http(fields, |name, value| out.push(name, value));
    if let Some(traceparent) = trace.traceparent {
        out.push(b"Traceparent", traceparent);
        if let Some(tracestate) = trace.tracestate {
            out.push(b"Tracestate", tracestate);
        }
    }
    if !content_type.is_empty() {
        out.push(b"Content-Type", content_type);
    }
    out
}
