//! gRPC metadata and the peer's metadata map turned into each other (contract
//! `sidecar-protocol.md` 4.1, 4.4, 6, 13; `grpc-api.md` 4.2, 4.7, 5).
//!
//! | direction | function |
//! |---|---|
//! | metadata of `InvokeService` → map | [`from_caller`] |
//! | map → metadata of a call to a gRPC app | [`to_app`] |
//! | a gRPC app's initial or trailing metadata → map | [`from_app`] |
//! | map → initial, trailing metadata for the caller | [`to_caller`], [`to_caller_trailers`] |
//!
//! What belongs to one HTTP/2 connection or is gRPC's own ([`is_transport`]) never leaves here:
//! whoever sends the result adds its own `content-type`, `te`, `user-agent` and status, which then
//! stand there once. Nothing here is an HTTP header for an HTTP app; see [`crate::headers`].
//!
//! # Trace
//!
//! Which context goes on: of gRPC origin `grpc-trace-bin`, else a valid `traceparent`; of HTTP
//! origin only a valid `traceparent`. The other form is derived from it. With none, an empty
//! `grpc-trace-bin` is sent, as apps of the reference see with tracing off. Whether a sidecar's
//! span takes the place of a missing context is for whoever fills the map.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{binary, trace};
use crate::Fields;

mod permanent;
mod refusal;
#[cfg(test)]
mod tests;

pub use self::permanent::{is_permanent, is_transport};
pub use self::refusal::{MetadataError, can_carry};

/// The metadata of an incoming call as the peer map has it: lower-case names, binary values as
/// padded base64, `:authority` in front.
///
/// gRPC's own keys stay out; `drop_token` removes the API token too, which is wanted where this
/// sidecar asks for one. A binary value that is no base64 stays out as well.
pub fn from_caller(headers: &HeaderMap, authority: Option<&str>, drop_token: bool) -> Fields {
    let mut fields = Fields::with_capacity(512, headers.len() + 6);
    let host = || headers.get("host").map(HeaderValue::as_bytes);
    if let Some(authority) = authority.map(str::as_bytes).or_else(host) {
        fields.push(b":authority", authority);
    }
    for (name, value) in headers {
        match name.as_str() {
            "host" | "transfer-encoding" | "content-length" => {}
            "dapr-api-token" if drop_token => {}
            name => push(&mut fields, name, value.as_bytes()),
        }
    }
    fields
}

/// A gRPC app's initial or trailing metadata as the peer map has it: lower-case names, binary
/// values as padded base64, `content-type` and `grpc-status-details-bin` included, status and
/// message not.
pub fn from_app(headers: &HeaderMap) -> Fields {
    let mut fields = Fields::with_capacity(512, headers.len() + 4);
    for (name, value) in headers {
        push(&mut fields, name.as_str(), value.as_bytes());
    }
    fields
}

fn push(fields: &mut Fields, name: &str, value: &[u8]) {
    if permanent::is_consumed(name) {
        return;
    }
    if !name.ends_with(BIN) {
        return fields.push(name.as_bytes(), value);
    }
    // gRPC allows several values in one line.
    for part in value.split(|byte| *byte == b',') {
        if let Some(bytes) = binary::decode(part.trim_ascii()) {
            fields.push(name.as_bytes(), binary::encode_padded(&bytes).as_bytes());
        }
    }
}

/// The metadata of a call to a gRPC app.
///
/// Of a map of HTTP origin, permanent names get `dapr-` and `*-bin` values are taken as bytes; of
/// gRPC origin, names stay and binary values are decoded (those that are no base64 stay out).
/// `destination-app-id` stays out, the trace keys go on as [told above](self#trace), and `token`
/// takes the place of any `dapr-api-token`.
///
/// Left out, for the sender to set: `content-type`, `te`, `user-agent` (the reference sends only
/// its own; the caller's never reaches the app), `grpc-timeout`, `grpc-accept-encoding` (a promise
/// about who reads the answer), and what HTTP/2 forbids or counts itself. `content-length` of HTTP
/// origin arrives as `dapr-content-length`.
///
/// # Errors
///
/// If a name or value is none that gRPC can carry; the call must then fail as `Internal`.
pub fn to_app(fields: &Fields, token: Option<&str>) -> Result<HeaderMap, MetadataError> {
    let from_grpc = is_from_grpc(fields);
    let mut out = Metadata::for_fields(fields);
    let mut traces = Traces::default();
    for (name, value) in fields.iter() {
        if name.starts_with(b":") || traces.take(name, value) || is_destination(name) {
            continue;
        }
        let key = out.key(name, !from_grpc);
        refusal::check(key, value)?;
        if is_transport(key) || (token.is_some() && key == b"dapr-api-token") {
            continue;
        }
        out.put(value, from_grpc && name.ends_with(BIN.as_bytes()));
    }
    traces.write(&mut out.headers, from_grpc);
    if let Some(token) = token {
        refusal::check(b"dapr-api-token", token.as_bytes())?;
        if let Ok(mut value) = HeaderValue::from_str(token) {
            value.set_sensitive(true);
            let _ = out.headers.try_insert("dapr-api-token", value);
        }
    }
    Ok(out.headers)
}

/// An answer's headers as the initial metadata of `InvokeService`.
///
/// `http_status` is an HTTP app's status: then permanent names get `dapr-`, `*-bin` values are taken
/// as bytes and `dapr-http-status` is added. Without one they are a gRPC app's: names stay and
/// binary values are decoded. `grpc-trace-bin` is always there, if only empty. What gRPC cannot
/// carry is left out; [`can_carry`] tells beforehand. So is `grpc-status-details-bin`, which would
/// be taken for our own status in an answer without a message.
pub fn to_caller(fields: &Fields, http_status: Option<u16>) -> HeaderMap {
    let from_grpc = http_status.is_none();
    let mut out = Metadata::for_fields(fields);
    let mut traces = Traces::default();
    for (name, value) in fields.iter() {
        if traces.take(name, value) || is_destination(name) {
            continue;
        }
        let key = out.key(name, !from_grpc);
        let ours = key == b"dapr-http-status" && !from_grpc;
        if ours || is_transport(key) || key == DETAILS || !can_carry(key, value) {
            continue;
        }
        out.put(value, from_grpc && name.ends_with(BIN.as_bytes()));
    }
    if let Some(status) = http_status {
        let name = HeaderName::from_static("dapr-http-status");
        append(&mut out.headers, name, HeaderValue::from(status));
    }
    traces.write(&mut out.headers, from_grpc);
    out.headers
}

/// A gRPC app's trailing metadata as the caller gets it: names as they are, binary values decoded.
///
/// `grpc-status-details-bin` stays; a sender with details of its own must *replace* it. The
/// reference repeats the trace keys of the initial metadata here: see [`copy_trace`].
pub fn to_caller_trailers(fields: &Fields) -> HeaderMap {
    let mut out = Metadata::for_fields(fields);
    for (name, value) in fields.iter() {
        let key = out.key(name, false);
        if !is_transport(key) && !is_destination(key) && can_carry(key, value) {
            out.put(value, name.ends_with(BIN.as_bytes()));
        }
    }
    out.headers
}

/// Copies the trace keys of initial metadata to trailing metadata that lacks them.
pub fn copy_trace(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [TRACEPARENT, TRACESTATE, TRACE_BIN] {
        if let (Some(value), false) = (from.get(name), to.contains_key(name)) {
            append(to, HeaderName::from_static(name), value.clone());
        }
    }
}

/// Gives metadata for an app the trace context that `make` makes, if it has none
/// (contract `observability.md` 7.3).
pub fn fill_trace(headers: &mut HeaderMap, make: impl FnOnce() -> [u8; trace::TEXT_LEN]) {
    if headers.get(TRACE_BIN).is_some_and(HeaderValue::is_empty) {
        headers.remove(TRACE_BIN);
        let made = make();
        let traces = Traces {
            parent: Some(&made),
            ..Traces::default()
        };
        traces.write(headers, false);
    }
}

/// True for a map that a gRPC caller's metadata became (contract `sidecar-protocol.md` 4.2). The
/// case of the name matters: an HTTP caller's is `Content-Type`.
pub fn is_from_grpc(fields: &Fields) -> bool {
    fields
        .iter()
        .find(|(name, _)| *name == b"content-type")
        .is_some_and(|(_, value)| value.starts_with(b"application/grpc"))
}

const BIN: &str = "-bin";
const DETAILS: &[u8] = b"grpc-status-details-bin";
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const TRACE_BIN: &str = "grpc-trace-bin";

fn is_destination(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"destination-app-id")
}

/// Metadata under construction.
struct Metadata {
    headers: HeaderMap,
    /// The name at hand: lower case, maybe prefixed. Kept for its memory.
    key: Vec<u8>,
}

impl Metadata {
    fn for_fields(fields: &Fields) -> Self {
        Self {
            // More names than a header map can hold come only from a hostile peer.
            headers: HeaderMap::try_with_capacity(fields.len() + 4).unwrap_or_default(),
            key: Vec::with_capacity(64),
        }
    }

    /// Takes up a name; permanent ones get their prefix if `rename`.
    fn key(&mut self, name: &[u8], rename: bool) -> &[u8] {
        self.key.clear();
        if rename && is_permanent(name) {
            self.key.extend_from_slice(b"dapr-");
        }
        self.key.extend_from_slice(name);
        self.key.make_ascii_lowercase();
        &self.key
    }

    /// Appends a value under the name last taken up. A binary name's value is the base64 of a peer
    /// map if `coded`, else bytes. What is not fit for a header is left out.
    fn put(&mut self, value: &[u8], coded: bool) {
        let Ok(name) = HeaderName::from_bytes(&self.key) else {
            return;
        };
        let value = if !self.key.ends_with(BIN.as_bytes()) {
            HeaderValue::from_bytes(value).ok()
        } else if coded {
            binary::decode(value).and_then(|bytes| binary_value(&bytes))
        } else {
            binary_value(value)
        };
        if let Some(value) = value {
            append(&mut self.headers, name, value);
        }
    }
}

/// Unlike `HeaderMap::append`, does not panic when the map is full.
fn append(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    // More fields than the map can hold are beyond any limit of the far side.
    let _ = headers.try_append(name, value);
}

fn binary_value(bytes: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from(binary::encode(bytes)).ok()
}

/// The first of each trace key of a map.
#[derive(Default)]
struct Traces<'a> {
    parent: Option<&'a [u8]>,
    state: Option<&'a [u8]>,
    binary: Option<&'a [u8]>,
}

impl<'a> Traces<'a> {
    /// True if the field was one of them.
    fn take(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let place = match name.len() {
            11 if is(TRACEPARENT) => &mut self.parent,
            10 if is(TRACESTATE) => &mut self.state,
            14 if is(TRACE_BIN) => &mut self.binary,
            _ => return false,
        };
        place.get_or_insert(value);
        true
    }

    fn write(&self, headers: &mut HeaderMap, from_grpc: bool) {
        let mut put = |name, value: Option<HeaderValue>| {
            if let Some(value) = value {
                append(headers, HeaderName::from_static(name), value);
            }
        };
        let sent = self.binary.filter(|text| from_grpc && !text.is_empty());
        if let Some(bytes) = sent.and_then(binary::decode) {
            if let Some(text) = trace::to_text(&bytes) {
                put(TRACEPARENT, HeaderValue::from_bytes(&text).ok());
            }
            return put(TRACE_BIN, binary_value(&bytes));
        }
        let Some(bytes) = self.parent.and_then(trace::to_binary) else {
            return put(TRACE_BIN, Some(HeaderValue::from_static("")));
        };
        if let Some(text) = trace::to_text(&bytes) {
            put(TRACEPARENT, HeaderValue::from_bytes(&text).ok());
        }
        let state = self.state.filter(|state| {
            (1..=MAX_TRACESTATE).contains(&state.len()) && can_carry(TRACESTATE.as_bytes(), state)
        });
        put(
            TRACESTATE,
            state.and_then(|state| HeaderValue::from_bytes(state).ok()),
        );
        put(TRACE_BIN, binary_value(&bytes));
    }
}

/// A longer one is not passed on (contract `observability.md` 7.1).
const MAX_TRACESTATE: usize = 512;
