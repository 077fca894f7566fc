//! HTTP/1.1 framing (RFC 9112) without I/O: heads in, heads out, bodies in steps.
//!
//! Whoever owns a socket feeds bytes and gets values back. What counts as an error is what the
//! reference's server and client refuse (contract `http-api.md` 1 and 8); anything ambiguous about
//! where a message ends is refused outright, because two readers that disagree about it let one
//! caller speak for another. Nothing here decides about keep-alive pools or time.

mod body;
mod request;
mod response;
mod status;
mod write;

pub use body::{BadChunk, Decoder, Step};
pub use request::{Expect, RequestError, RequestHead, parse_request};
pub use response::{MAX_FIELDS, ResponseError, ResponseHead, parse_response};
pub use status::reason;
pub use write::{finish_head, push_chunk, push_decimal, push_field, push_status_line};

/// The protocol version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, closed after the answer unless asked otherwise.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How the end of a message's body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// Exactly that many bytes follow.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// The body ends with the connection (responses only).
    UntilClose,
}

/// Opens every HTTP/2 connection; where an HTTP/1 request line is expected it announces h2c.
pub const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Most heads have fewer fields than this and are parsed without an allocation for the parser.
const USUAL_FIELDS: usize = 64;

/// Runs `parse` with room for the usual number of fields and again with more while it asks for more.
/// The head itself is bounded by the caller, so the number of fields is too.
fn with_field_slots<'i, R>(
    input: &'i [u8],
    mut parse: impl FnMut(&'i [u8], &mut [httparse::Header<'i>]) -> Result<R, httparse::Error>,
) -> Result<R, httparse::Error> {
    let mut usual = [httparse::EMPTY_HEADER; USUAL_FIELDS];
    match parse(input, &mut usual) {
        Err(httparse::Error::TooManyHeaders) => {
            // A field takes at least four bytes on the wire: `a:` and the line end.
            let mut many = vec![httparse::EMPTY_HEADER; input.len() / 4 + 1];
            parse(input, &mut many)
        }
        other => other,
    }
}

/// Reads a `Content-Length` value: digits only, as RFC 9110 8.6 has it.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    let length = value.iter().try_fold(0u64, |sum, byte| match byte {
        b'0'..=b'9' => Some(sum * 10 + u64::from(byte - b'0')),
        _ => None,
    });
    // As the reference counts: with a sign.
    length.filter(|length| i64::try_from(*length).is_ok())
}

/// The comma-separated words of a list-valued field, trimmed, empty ones left out.
fn list_words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|word| !word.is_empty())
}
