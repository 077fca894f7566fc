//! Response heads as the reference's client reads them.

use super::{Framing, Version, content_length, list_words, with_field_slots};
use crate::Fields;

/// Why an answer can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// Not an HTTP head; holds its first line for the message.
    Malformed(String),
    /// A status below 100.
    BadStatus(u16),
    /// `Content-Length` values that are no number or disagree.
    BadLength(String),
    /// A transfer coding other than `chunked`.
    UnsupportedTransferCoding(String),
    /// More header fields than anything downstream has to take.
    TooManyFields(usize),
}

/// Header fields of an answer; the rest of the way has room for as many.
pub const MAX_FIELDS: usize = 1000;

impl std::fmt::Display for ResponseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(line) => write!(f, "malformed HTTP response {line:?}"),
            Self::BadStatus(status) => write!(f, "malformed HTTP status code \"{status:03}\""),
            Self::BadLength(value) => write!(f, "bad Content-Length {value:?}"),
            Self::TooManyFields(n) => {
                write!(
                    f,
                    "the answer has {n} header fields, more than {MAX_FIELDS} are not relayed"
                )
            }
            Self::UnsupportedTransferCoding(value) => {
                write!(f, "unsupported transfer encoding: {value:?}")
            }
        }
    }
}

impl std::error::Error for ResponseError {}

/// A parsed response head. `fields` has canonical names and lacks `Transfer-Encoding`.
#[derive(Debug)]
pub struct ResponseHead {
    /// Status code, 100–999.
    pub status: u16,
    /// Protocol version.
    pub version: Version,
    /// Header fields.
    pub fields: Fields,
    /// How the body ends, if the request was not HEAD.
    pub framing: Framing,
    /// The connection may carry another request after this answer.
    pub keep_alive: bool,
}

impl ResponseHead {
    /// True for 1xx answers that another one follows; 101 ends the exchange.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// Parses a response head at the start of `input`; `None` while its end is missing.
/// Also says how many bytes the head takes.
pub fn parse_response(input: &[u8]) -> Result<Option<(ResponseHead, usize)>, ResponseError> {
    let config = {
        let mut config = httparse::ParserConfig::default();
        config.allow_spaces_after_header_name_in_responses(true);
        config.allow_obsolete_multiline_headers_in_responses(true);
        config
    };
    with_field_slots(input, |input, slots| {
        let mut rsp = httparse::Response::new(slots);
        Ok(match config.parse_response(&mut rsp, input)? {
            httparse::Status::Partial => None,
            httparse::Status::Complete(len) => Some(read_head(&rsp).map(|head| (head, len))),
        })
    })
    .map_err(|_| ResponseError::Malformed(first_line(input)))?
    .transpose()
}

/// The first line, cut to what a message can bear.
fn first_line(input: &[u8]) -> String {
    let line = input.split(|b| *b == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(&line.trim_ascii_end()[..line.trim_ascii_end().len().min(100)])
        .into_owned()
}

fn read_head(rsp: &httparse::Response<'_, '_>) -> Result<ResponseHead, ResponseError> {
    let status = rsp.code.unwrap_or_default();
    if status < 100 {
        return Err(ResponseError::BadStatus(status));
    }
    let version = match rsp.version {
        Some(0) => Version::Http10,
        _ => Version::Http11,
    };
    if rsp.headers.len() > MAX_FIELDS {
        return Err(ResponseError::TooManyFields(rsp.headers.len()));
    }
    let text: usize = rsp
        .headers
        .iter()
        .map(|h| h.name.len() + h.value.len())
        .sum();
    let mut fields = Fields::with_capacity(text + 128, rsp.headers.len() + 4);
    let (mut length, mut chunked, mut close, mut keep) = (None, false, false, false);
    for header in rsp.headers.iter() {
        let (name, value) = (header.name, header.value);
        match name.len() {
            10 if name.eq_ignore_ascii_case("connection") => {
                for word in list_words(value) {
                    close |= word.eq_ignore_ascii_case(b"close");
                    keep |= word.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                length = Some(read_length(length, value)?);
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    let value = String::from_utf8_lossy(value).into_owned();
                    return Err(ResponseError::UnsupportedTransferCoding(value));
                }
                chunked = version == Version::Http11;
                continue;
            }
            _ => {}
        }
        fields.push_canonical(name.as_bytes(), value);
    }
    let framing = match (status, chunked, length) {
        (100..=199 | 204 | 304, ..) => Framing::Empty,
        (_, true, _) => Framing::Chunked,
        (_, false, Some(n)) => Framing::Length(n),
        (_, false, None) => Framing::UntilClose,
    };
    let keep_alive = framing != Framing::UntilClose
        && !(chunked && length.is_some())
        && match version {
            Version::Http11 => !close,
            Version::Http10 => keep && !close,
        };
    Ok(ResponseHead {
        status,
        version,
        fields,
        framing,
        keep_alive,
    })
}

fn read_length(earlier: Option<u64>, value: &[u8]) -> Result<u64, ResponseError> {
    let bad = || ResponseError::BadLength(String::from_utf8_lossy(value).into_owned());
    let length = content_length(value.trim_ascii()).ok_or_else(bad)?;
    match earlier {
        Some(earlier) if earlier != length => Err(bad()),
        _ => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(text: &str) -> ResponseHead {
        parse_response(text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn framing_follows_status_and_fields() {
        assert_eq!(
            head("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n").framing,
            Framing::Length(3)
        );
        assert_eq!(
            head("HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n").framing,
            Framing::Empty
        );
        assert_eq!(head("HTTP/1.1 200\r\n\r\n").framing, Framing::UntilClose);
        let chunked = head("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n");
        assert_eq!(chunked.framing, Framing::Chunked);
        assert!(chunked.keep_alive && chunked.fields.is_empty());
    }

    #[test]
    fn a_length_beside_chunked_is_not_reused() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n";
        assert!(!head(text).keep_alive);
    }

    #[test]
    fn statuses_outside_http_are_errors_for_this_answer_only() {
        let error = parse_response(b"HTTP/1.1 042 Odd\r\n\r\n").unwrap_err();
        assert_eq!(error.to_string(), "malformed HTTP status code \"042\"");
        assert_eq!(head("HTTP/1.1 999 Odd\r\n\r\n").status, 999);
        assert!(head("HTTP/1.1 103 Hints\r\n\r\n").is_interim());
        assert!(!head("HTTP/1.1 101 Switch\r\n\r\n").is_interim());
    }

    #[test]
    fn garbage_is_named() {
        let error = parse_response(b"SSH-2.0-OpenSSH\r\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "malformed HTTP response \"SSH-2.0-OpenSSH\""
        );
    }

    proptest! {
        #[test]
        fn garbage_never_panics(input: Vec<u8>) {
            let _ = parse_response(&input);
        }
    }
}
