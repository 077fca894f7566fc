//! The messages between two sidecars, encoded from and decoded into header lists directly
//! (contract `sidecar-protocol.md` 2 to 6).
//!
//! Hand-written because it runs four times per call: no maps, no string per header, one buffer.
//! Property tests hold it equal to [`crate::gen`]. It moves data and checks its form; which fields
//! must be present, what a status means and what a callee may see is decided elsewhere.

use bytes::Bytes;

use crate::fields::Fields;
use crate::r#gen::google::protobuf::Any;

mod decode;
mod encode;
mod group;
mod map;
mod read;
#[cfg(test)]
mod tests;
mod verb;
mod write;

pub use self::decode::{
    decode_request, decode_response, decode_unary_request, decode_unary_response,
};
pub use self::encode::{
    EncodeError, encode_payload, encode_request, encode_response, encode_unary_request,
    encode_unary_response, payload_header, request_header, response_header,
};
pub use self::read::DecodeError;
pub use self::verb::Verb;

/// The only version of the envelope there is.
pub const VERSION: i32 = 1;

/// What a call's first message says.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method without a leading slash, decoded.
    pub method: &'a str,
    /// The HTTP method's number, see [`Verb::number`]; gRPC callers send any. Sent only with
    /// [`RequestHead::http_extension`].
    pub verb: i32,
    /// The raw query without `?`; sent only with [`RequestHead::http_extension`].
    pub query: &'a str,
    /// Whether verb and query are sent at all. HTTP apps refuse a call without them.
    pub http_extension: bool,
    /// The body's content type.
    pub content_type: &'a str,
    /// Protobuf type of the body, if a gRPC caller named one.
    pub type_url: &'a str,
    /// The caller's headers.
    pub fields: &'a Fields,
    /// Whether names are written in Go's canonical form, as headers of HTTP origin must be.
    pub canonical: bool,
    /// Values that go behind those that `fields` has under the same name (`X-Forwarded-For`).
    pub appended: &'a [(&'a str, &'a str)],
    /// Entries that replace whatever `fields` has under the same name in any case; written as they
    /// are. Each name at most once.
    pub extra: &'a [(&'a str, &'a str)],
}

impl<'a> RequestHead<'a> {
    /// A head of HTTP origin without query, content type or further entries.
    pub fn new(method: &'a str, verb: Verb, fields: &'a Fields) -> Self {
        Self {
            method,
            verb: verb.number(),
            query: "",
            http_extension: true,
            content_type: "",
            type_url: "",
            fields,
            canonical: true,
            appended: &[],
            extra: &[],
        }
    }
}

/// What an answer's first message says.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// HTTP status from 100, gRPC code below.
    pub status: i32,
    /// The gRPC status message.
    pub status_message: &'a str,
    /// The gRPC status details.
    pub details: &'a [Any],
    /// The body's content type.
    pub content_type: &'a str,
    /// Protobuf type of the body, if a gRPC app named one.
    pub type_url: &'a str,
    /// The app's headers.
    pub fields: &'a Fields,
    /// The app's trailers, if it speaks gRPC.
    pub trailers: Option<&'a Fields>,
    /// Whether names are written in Go's canonical form, as headers of an HTTP app must be.
    pub canonical: bool,
}

impl<'a> ResponseHead<'a> {
    /// The head of an HTTP app's answer without content type.
    pub fn new(status: i32, fields: &'a Fields) -> Self {
        Self {
            status,
            status_message: "",
            details: &[],
            content_type: "",
            type_url: "",
            fields,
            trailers: None,
            canonical: true,
        }
    }
}

/// A piece of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// A view of the message's bytes.
    pub data: Bytes,
    /// Its number, from 0 in each direction.
    pub seq: u64,
}

/// A message of a streamed call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestMessage {
    /// The `request` part, if the message has one, be it empty.
    pub head: Option<RequestParts>,
    /// The `payload` part, if the message has one, be it empty.
    pub payload: Option<Payload>,
}

/// A decoded request: the whole of a unary one, the first message's part of a streamed one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestParts {
    /// Version of the envelope; [`VERSION`] or refused by the callee.
    pub ver: i32,
    /// The metadata map; names as sent, values of one entry in order.
    pub fields: Fields,
    /// Whether the map had any entry, be it one without values.
    pub has_metadata: bool,
    /// Whether the parts below were sent.
    pub has_message: bool,
    /// The method.
    pub method: String,
    /// The body's content type.
    pub content_type: String,
    /// Whether verb and query were sent.
    pub has_http_extension: bool,
    /// The verb's number; any number may come, see [`Verb::from_i32`].
    pub verb: i32,
    /// The raw query.
    pub query: String,
    /// Whether `data` was sent.
    pub has_data: bool,
    /// Protobuf type of the body.
    pub type_url: String,
    /// The body of a unary call, a view of the message's bytes; discarded by a streaming callee.
    pub data_value: Bytes,
}

impl RequestParts {
    /// Whether this may not stand in a later message of a stream.
    pub fn is_leading(&self) -> bool {
        self.has_metadata || self.has_message
    }
}

/// A message of a streamed answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseMessage {
    /// The `response` part, if the message has one, be it empty.
    pub head: Option<ResponseParts>,
    /// The `payload` part, if the message has one, be it empty.
    pub payload: Option<Payload>,
}

/// A decoded answer: the whole of a unary one, the first message's part of a streamed one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseParts {
    /// Whether the status was sent; an answer without it is refused.
    pub has_status: bool,
    /// HTTP status from 100, gRPC code below.
    pub status: i32,
    /// The gRPC status message.
    pub status_message: String,
    /// The gRPC status details.
    pub details: Vec<Any>,
    /// The app's headers; names as sent, values of one entry in order.
    pub fields: Fields,
    /// Whether the header map had any entry.
    pub has_headers: bool,
    /// The app's trailers.
    pub trailers: Fields,
    /// Whether the parts below were sent.
    pub has_message: bool,
    /// The body's content type.
    pub content_type: String,
    /// Whether `data` was sent.
    pub has_data: bool,
    /// Protobuf type of the body.
    pub type_url: String,
    /// The body of a unary answer, a view of the message's bytes.
    pub data_value: Bytes,
}

impl ResponseParts {
    /// Whether this may not stand in a later message of a stream.
    pub fn is_leading(&self) -> bool {
        self.has_status || self.has_headers || self.has_message
    }
}
