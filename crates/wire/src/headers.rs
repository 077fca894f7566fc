//! Header names: Go's canonical form, hop-by-hop names, and what of a peer's metadata map becomes
//! an HTTP header (contract `sidecar-protocol.md` 4.1 and 4.3).
//!
//! Works on byte strings and ignores ASCII case. Values are never changed. Trace context is handed
//! back, not emitted, because whose span it names is not for this module to decide.

use bytes::BufMut;

use crate::fields::Fields;

mod nominated;
#[cfg(test)]
mod tests;

use self::nominated::Nominated;

/// Names that concern one connection only, lower case.
pub const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "te",
    "trailer",
    "proxy-authorization",
    "proxy-authenticate",
];

/// True for a name that concerns one connection only.
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    HOP_BY_HOP
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// True for a header name; anything else could be read as more than a name.
pub fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| is_token_byte(*byte))
}

/// True for a byte that may stand in a header name (RFC 9110 `tchar`).
pub const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 256 {
        // The index stays below 256.
        let byte = i as u8;
        table[i] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        i += 1;
    }
    table
};

/// Appends the name in Go's canonical form: `x-one` as `X-One`. A name with a byte that is no
/// token byte is appended as it is.
pub fn canonicalize(name: &[u8], out: &mut impl BufMut) {
    with_canonical(b"", name, |name| out.put_slice(name));
}

/// Turns the name into Go's canonical form; see [`canonicalize`].
pub fn canonicalize_in_place(name: &mut [u8]) {
    if !name.iter().all(|&byte| is_token_byte(byte)) {
        return;
    }
    let mut upper = true;
    for byte in name {
        *byte = if upper {
            byte.to_ascii_uppercase()
        } else {
            byte.to_ascii_lowercase()
        };
        upper = *byte == b'-';
    }
}

/// True if [`canonicalize`] would not change the name.
pub fn is_canonical(name: &[u8]) -> bool {
    let mut upper = true;
    let mut as_wanted = true;
    for &byte in name {
        if !is_token_byte(byte) {
            return true;
        }
        as_wanted &= if upper {
            !byte.is_ascii_lowercase()
        } else {
            !byte.is_ascii_uppercase()
        };
        upper = byte == b'-';
    }
    as_wanted
}

/// The trace context found among the fields; the first value of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace<'a> {
    /// W3C `traceparent`.
    pub traceparent: Option<&'a [u8]>,
    /// W3C `tracestate`.
    pub tracestate: Option<&'a [u8]>,
    /// gRPC's binary form, base64.
    pub grpc_trace_bin: Option<&'a [u8]>,
}

/// Hands to `sink` the HTTP headers that a peer's metadata becomes, names in canonical form and
/// fields in order; returns the trace context, which is not handed to `sink`.
///
/// Not emitted either: content type and length, which have their own places in a message.
pub fn to_http<'a>(fields: &'a Fields, mut sink: impl FnMut(&[u8], &[u8])) -> Trace<'a> {
    let nominated = Nominated::of(fields);
    let mut trace = Trace::default();
    let mut baggage_seen = false;
    for (name, value) in fields.iter() {
        let prefix: &[u8] = match Rule::of(name) {
            Rule::Traceparent => {
                trace.traceparent.get_or_insert(value);
                continue;
            }
            Rule::Tracestate => {
                trace.tracestate.get_or_insert(value);
                continue;
            }
            Rule::GrpcTraceBin => {
                trace.grpc_trace_bin.get_or_insert(value);
                continue;
            }
            Rule::Baggage if baggage_seen => continue,
            Rule::Baggage => {
                baggage_seen = true;
                with_canonical(b"", name, |name| sink(name, value));
                continue;
            }
            Rule::Drop => continue,
            Rule::Pass => b"",
            Rule::Pseudo | Rule::Grpc => b"dapr-",
        };
        if nominated.contains(name) {
            continue;
        }
        // `:method` becomes `dapr-method`.
        let name = if prefix.is_empty() {
            name
        } else {
            name.strip_prefix(b":").unwrap_or(name)
        };
        if !is_field_name(name) {
            // A peer may send any text as a key.
            continue;
        }
        with_canonical(prefix, name, |name| sink(name, value));
    }
    trace
}

/// Removes hop-by-hop fields and those that `Connection` names.
pub fn strip_hop_by_hop(fields: &mut Fields) {
    let nominated = nominated::uncommon(fields);
    fields.retain(|name, _| {
        !is_hop_by_hop(name)
            && (nominated.is_empty() || !nominated.contains(&name.to_ascii_lowercase()))
    });
}

/// What happens to a field on its way to HTTP, by its name.
enum Rule {
    Traceparent,
    Tracestate,
    GrpcTraceBin,
    Baggage,
    Drop,
    /// Gets `dapr-` for its colon.
    Pseudo,
    /// Gets `dapr-` in front.
    Grpc,
    Pass,
}

impl Rule {
    fn of(name: &[u8]) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            11 if is("traceparent") => Self::Traceparent,
            10 if is("tracestate") => Self::Tracestate,
            14 if is("grpc-trace-bin") => Self::GrpcTraceBin,
            7 if is("baggage") => Self::Baggage,
            18 if is("destination-app-id") => Self::Drop,
            // Whoever sends the message says for whom it is.
            4 if is("host") => Self::Drop,
            12 if is("content-type") => Self::Drop,
            14 if is("content-length") => Self::Drop,
            _ if ends_with_bin(name) || is_hop_by_hop(name) => Self::Drop,
            _ if [":method", ":scheme", ":path", ":authority"]
                .iter()
                .any(|known| is(known)) =>
            {
                Self::Pseudo
            }
            5.. if name[..5].eq_ignore_ascii_case(b"grpc-") => Self::Grpc,
            _ => Self::Pass,
        }
    }
}

fn ends_with_bin(name: &[u8]) -> bool {
    name.last_chunk::<4>()
        .is_some_and(|end| end.eq_ignore_ascii_case(b"-bin"))
}

/// Calls `with` with prefix and name in canonical form. Allocates only for very long names.
fn with_canonical<R>(prefix: &[u8], name: &[u8], with: impl FnOnce(&[u8]) -> R) -> R {
    if prefix.is_empty() && is_canonical(name) {
        return with(name);
    }
    let len = prefix.len() + name.len();
    let mut short = [0; 96];
    let mut long;
    let room = match short.get_mut(..len) {
        Some(room) => room,
        None => {
            long = vec![0; len];
            &mut long[..]
        }
    };
    room[..prefix.len()].copy_from_slice(prefix);
    room[prefix.len()..].copy_from_slice(name);
    canonicalize_in_place(room);
    with(room)
}
