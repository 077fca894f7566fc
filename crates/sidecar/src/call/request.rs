//! What a call asks for and what comes back, free of any protocol's framing.

use outrider_wire::{Fields, envelope::Verb, headers::to_http};

use super::{Body, Target};

/// A call on its way down: from any door, to any app.
#[derive(Debug)]
pub(crate) struct Call {
    /// Who is called.
    pub target: Target,
    /// Method path as it is dispatched and as access control would see it: decoded and cleaned.
    pub method: String,
    /// HTTP verb.
    pub verb: Verb,
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
    /// Content type of the body.
    pub(crate) fn content_type(&self) -> &[u8] {
        match &self.grpc {
            Some(grpc) if !grpc.type_url.is_empty() => b"application/x-protobuf",
            Some(grpc) => grpc.content_type.as_bytes(),
            None => self.fields.get("content-type").unwrap_or_default(),
        }
    }

    /// The caller asks for server-sent events and nothing else (contract `http-api.md` 8.4).
    pub(crate) fn wants_events(&self) -> bool {
        self.fields.get("accept").is_some_and(|value| {
            value
                .trim_ascii()
                .eq_ignore_ascii_case(b"text/event-stream")
        })
    }

    /// Sending it twice does no more than sending it once (RFC 9110 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(
            self.verb,
            Verb::Get | Verb::Head | Verb::Options | Verb::Trace | Verb::Put | Verb::Delete
        )
    }
}

/// What the app, or a sidecar on its behalf, answered.
#[derive(Debug)]
pub(crate) struct Reply {
    /// HTTP status code, 100–999.
    pub status: u16,
    /// Header fields under canonical names; hop-by-hop ones and lengths are already gone.
    pub fields: Fields,
    /// The body.
    pub body: Body,
}

/// The fields of an answer as they reach the caller (contract `http-api.md` 7).
pub(crate) fn relayed(fields: &Fields, content_type: &[u8]) -> Fields {
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
