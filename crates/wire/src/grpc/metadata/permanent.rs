//! Names that mean something to HTTP or to gRPC itself. All comparisons ignore ASCII case.

/// Names that mean something to HTTP itself and travel under `dapr-` in gRPC (contract
/// `grpc-api.md` 4.4).
const PERMANENT: [&str; 28] = [
    "accept",
    "accept-charset",
    "accept-language",
    "accept-ranges",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-schedule-tag-match",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-connection",
    "referer",
    "transfer-encoding",
    "upgrade",
    "via",
    "warning",
];

/// gRPC's own keys that a receiver consumes: they are no metadata.
const CONSUMED: [&str; 6] = [
    "grpc-encoding",
    "grpc-message",
    "grpc-message-type",
    "grpc-status",
    "grpc-timeout",
    "te",
];

/// Names that each sender sets by itself, or that HTTP/2 does not let through.
const TRANSPORT: [&str; 10] = [
    "connection",
    "content-length",
    "content-type",
    "grpc-accept-encoding",
    "host",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// True for a name that travels in gRPC under `dapr-` if it came from HTTP.
pub fn is_permanent(name: &[u8]) -> bool {
    is_one_of(&PERMANENT, name)
}

/// True for a name that no conversion lets out, because the sender or HTTP/2 sets it.
pub fn is_transport(name: &[u8]) -> bool {
    is_one_of(&TRANSPORT, name) || is_one_of(&CONSUMED, name)
}

/// True for a name that is consumed on receipt.
pub(super) fn is_consumed(name: &str) -> bool {
    is_one_of(&CONSUMED, name.as_bytes())
}

fn is_one_of(names: &[&str], name: &[u8]) -> bool {
    names
        .iter()
        .any(|known| known.len() == name.len() && name.eq_ignore_ascii_case(known.as_bytes()))
}
