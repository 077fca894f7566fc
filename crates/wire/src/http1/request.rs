//! Request heads as the reference's server reads them.

use super::{Framing, Version, content_length, list_words, with_field_slots};
use crate::Fields;

/// Why a request was refused before anybody looked at what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The head is not HTTP.
    Malformed,
    /// HTTP/1.1 without `Host`.
    MissingHost,
    /// More than one `Host`.
    TooManyHosts,
    /// A `Host` that can't be one.
    MalformedHost,
    /// A field name with bytes that no name has.
    InvalidName,
    /// A version other than 1.0 and 1.1.
    UnsupportedVersion,
    /// A transfer coding other than exactly one `chunked`.
    UnsupportedTransferCoding,
}

impl RequestError {
    /// Status code and body text of the answer; the connection is closed after it.
    pub fn answer(self) -> (u16, &'static str) {
        match self {
            Self::Malformed => (400, "400 Bad Request"),
            Self::MissingHost => (400, "400 Bad Request: missing required Host header"),
            Self::TooManyHosts => (400, "400 Bad Request"),
            Self::MalformedHost => (400, "400 Bad Request: malformed Host header"),
            Self::InvalidName => (400, "400 Bad Request: invalid header name"),
            Self::UnsupportedVersion => (
                505,
                "505 HTTP Version Not Supported: unsupported protocol version",
            ),
            Self::UnsupportedTransferCoding => (501, "Unsupported transfer encoding"),
        }
    }
}

/// What the client expects before it sends its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Nothing,
    /// `100-continue`.
    Continue,
    /// Something nobody can fulfil: answered with 417.
    Other,
}

/// A parsed request head.
///
/// `fields` has canonical names and lacks `Host`, `Transfer-Encoding` and `Trailer`, which belong
/// to this connection and never travel (contract `sidecar-protocol.md` 4.1).
#[derive(Debug)]
pub struct RequestHead {
    line: String,
    method: usize,
    /// Protocol version.
    pub version: Version,
    /// Header fields that travel.
    pub fields: Fields,
    /// How the body ends.
    pub framing: Framing,
    /// The connection may serve another request after this one.
    pub keep_alive: bool,
    /// The `Expect` field.
    pub expect: Expect,
}

impl RequestHead {
    /// The head of a request that came in over HTTP/2.
    pub fn of_http2(method: &str, target: &str, fields: Fields, framing: Framing) -> Self {
        Self {
            line: [method, target].concat(),
            method: method.len(),
            version: Version::Http11,
            fields,
            framing,
            keep_alive: true,
            expect: Expect::Nothing,
        }
    }

    /// The method as written.
    pub fn method(&self) -> &str {
        &self.line[..self.method]
    }

    /// The request target as written: origin form, absolute form, authority form or `*`.
    pub fn target(&self) -> &str {
        &self.line[self.method..]
    }
}

/// Parses a request head at the start of `input`; `None` while its end is missing.
/// Also says how many bytes the head takes.
pub fn parse_request(input: &[u8]) -> Result<Option<(RequestHead, usize)>, RequestError> {
    with_field_slots(input, |input, slots| {
        let mut req = httparse::Request::new(slots);
        Ok(match req.parse(input)? {
            httparse::Status::Partial => None,
            httparse::Status::Complete(len) => Some(read_head(&req).map(|head| (head, len))),
        })
    })
    .map_err(|error| match error {
        httparse::Error::Version if names_http(input) => RequestError::UnsupportedVersion,
        httparse::Error::HeaderName if has_bad_name(input) => RequestError::InvalidName,
        _ => RequestError::Malformed,
    })?
    .transpose()
}

/// True if the third word of the first line names some version of HTTP.
fn names_http(input: &[u8]) -> bool {
    let line = input.split(|b| *b == b'\n').next().unwrap_or_default();
    line.split(|b| *b == b' ')
        .nth(2)
        .is_some_and(|word| word.starts_with(b"HTTP/"))
}

/// True if the first line that is no field has at least a name in front of a colon.
fn has_bad_name(input: &[u8]) -> bool {
    let mut names = input.split(|b| *b == b'\n').skip(1).map(|line| {
        line.iter()
            .position(|b| *b == b':')
            .map(|colon| &line[..colon])
    });
    let is_bad =
        |name: &&[u8]| name.is_empty() || !name.iter().all(|b| crate::headers::is_token_byte(*b));
    let bad = names.find(|name| name.as_ref().is_none_or(is_bad));
    matches!(bad, Some(Some(name)) if !name.is_empty() && name.is_ascii())
}

fn read_head(req: &httparse::Request<'_, '_>) -> Result<RequestHead, RequestError> {
    let method = req.method.unwrap_or_default();
    let target = req.path.unwrap_or_default();
    let version = match req.version {
        Some(0) => Version::Http10,
        _ => Version::Http11,
    };
    let mut line = String::with_capacity(method.len() + target.len());
    line.push_str(method);
    line.push_str(target);
    let mut own = OwnFields::default();
    let text: usize = req
        .headers
        .iter()
        .map(|h| h.name.len() + h.value.len())
        .sum();
    // Room for what the call adds on its way, so that the buffer is allocated once.
    let mut fields = Fields::with_capacity(text + 256, req.headers.len() + 8);
    for header in req.headers.iter() {
        if own.take(header.name, header.value)? {
            fields.push_canonical(header.name.as_bytes(), header.value);
        }
    }
    own.check_host(version)?;
    let (framing, ambiguous) = own.framing(version, &mut fields)?;
    Ok(RequestHead {
        line,
        method: method.len(),
        version,
        framing,
        keep_alive: own.keep_alive(version) && !ambiguous,
        expect: own.expect,
        fields,
    })
}

/// The fields that say something about this connection and message.
struct OwnFields {
    hosts: usize,
    codings: usize,
    chunked: bool,
    length: Option<u64>,
    close: bool,
    keep: bool,
    expect: Expect,
}

impl Default for OwnFields {
    fn default() -> Self {
        Self {
            hosts: 0,
            codings: 0,
            chunked: false,
            length: None,
            close: false,
            keep: false,
            expect: Expect::Nothing,
        }
    }
}

/// Bytes of a host: RFC 3986 3.2.2 with a port, loosely.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=@[]_~".contains(&byte)
}

impl OwnFields {
    /// Notes a field; true if it also travels on.
    fn take(&mut self, name: &str, value: &[u8]) -> Result<bool, RequestError> {
        // The length tells most names apart from all of these without a comparison.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => {
                self.hosts += 1;
                if !value.iter().all(|b| is_host_byte(*b)) {
                    return Err(RequestError::MalformedHost);
                }
                return Ok(false);
            }
            6 if name.eq_ignore_ascii_case("expect") => {
                self.expect = match value {
                    b"" => Expect::Nothing,
                    v if v.eq_ignore_ascii_case(b"100-continue") => Expect::Continue,
                    _ => Expect::Other,
                };
            }
            7 if name.eq_ignore_ascii_case("trailer") => return Ok(false),
            10 if name.eq_ignore_ascii_case("connection") => {
                for word in list_words(value) {
                    self.close |= word.eq_ignore_ascii_case(b"close");
                    self.keep |= word.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if name.eq_ignore_ascii_case("content-length") => self.take_length(value)?,
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                self.codings += 1;
                self.chunked = value.eq_ignore_ascii_case(b"chunked");
                return Ok(false);
            }
            _ => {}
        }
        Ok(true)
    }

    /// Equal repeats are one value; differing ones would let two readers see two messages.
    fn take_length(&mut self, value: &[u8]) -> Result<(), RequestError> {
        let value = content_length(value.trim_ascii()).ok_or(RequestError::Malformed)?;
        match self.length.replace(value) {
            Some(earlier) if earlier != value => Err(RequestError::Malformed),
            _ => Ok(()),
        }
    }

    fn check_host(&self, version: Version) -> Result<(), RequestError> {
        match self.hosts {
            0 if version == Version::Http11 => Err(RequestError::MissingHost),
            0 | 1 => Ok(()),
            _ => Err(RequestError::TooManyHosts),
        }
    }

    /// The framing, and whether the message carried both kinds (RFC 9112 6.1: the connection is
    /// closed after the answer). HTTP/1.0 knows no transfer codings and ignores the field.
    fn framing(
        &self,
        version: Version,
        fields: &mut Fields,
    ) -> Result<(Framing, bool), RequestError> {
        // HTTP/1.0 has no codings: who sends one cannot be followed any further.
        let both = self.codings > 0 && (self.length.is_some() || version == Version::Http10);
        if self.codings > 0 && version == Version::Http11 {
            if self.codings > 1 || !self.chunked {
                return Err(RequestError::UnsupportedTransferCoding);
            }
            fields.remove("content-length");
            return Ok((Framing::Chunked, both));
        }
        Ok(match self.length {
            Some(0) | None => (Framing::Empty, both),
            Some(n) => {
                // Equal repeats travel as one.
                if fields.get_all(b"content-length").nth(1).is_some() {
                    let mut digits = Vec::with_capacity(20);
                    super::push_decimal(&mut digits, n);
                    fields.set(b"Content-Length", &digits);
                }
                (Framing::Length(n), both)
            }
        })
    }

    fn keep_alive(&self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.close,
            Version::Http10 => self.keep && !self.close,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(text: &str) -> RequestHead {
        let (head, len) = parse_request(text.as_bytes()).unwrap().unwrap();
        assert_eq!(len, text.len());
        head
    }

    fn error(text: &str) -> RequestError {
        parse_request(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn own_fields_stay_behind_and_names_become_canonical() {
        let head = head(
            "POST /a?b HTTP/1.1\r\nhost: x\r\nx-fOO: 1\r\ntransfer-encoding: chunked\r\ntrailer: t\r\n\r\n",
        );
        assert_eq!((head.method(), head.target()), ("POST", "/a?b"));
        assert_eq!(
            head.fields.iter().collect::<Vec<_>>(),
            [(&b"X-Foo"[..], &b"1"[..])]
        );
        assert_eq!(head.framing, Framing::Chunked);
        assert!(head.keep_alive);
    }

    #[test]
    fn both_length_and_chunked_is_chunked_and_closes() {
        let head = head(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        assert_eq!(head.framing, Framing::Chunked);
        assert!(!head.keep_alive);
        assert!(!head.fields.contains("content-length"));
    }

    #[test]
    fn lengths_that_disagree_or_are_no_number_are_refused() {
        for lengths in [
            "Content-Length: 3\r\nContent-Length: 4",
            "Content-Length: +3",
            "Content-Length: 9223372036854775808",
            "Content-Length: 3, 3",
            "Content-Length: ",
        ] {
            assert_eq!(
                error(&format!("POST / HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n")),
                RequestError::Malformed
            );
        }
        let head =
            head("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\n");
        assert_eq!(head.framing, Framing::Length(3));
        assert_eq!(head.fields.get_all(b"Content-Length").count(), 1);
    }

    #[test]
    fn refusals_have_their_own_answers() {
        assert_eq!(
            error("GET / HTTP/1.1\r\n\r\n").answer().1,
            "400 Bad Request: missing required Host header"
        );
        assert_eq!(
            error("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            RequestError::TooManyHosts
        );
        assert_eq!(error("GET / HTTP/3.1\r\nHost: a\r\n\r\n").answer().0, 505);
        assert_eq!(
            error("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")
                .answer()
                .0,
            501
        );
        assert_eq!(
            error("GET / HTTP/1.1\r\nHost: a\r\nB d: x\r\n\r\n"),
            RequestError::InvalidName
        );
        assert_eq!(error("\0\r\n\r\n"), RequestError::Malformed);
    }

    #[test]
    fn http_1_0_closes_unless_asked_and_knows_no_codings() {
        let plain = head("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!((plain.framing, plain.keep_alive), (Framing::Empty, false));
        assert!(head("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n").keep_alive);
        assert!(!head("GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n").keep_alive);
    }

    #[test]
    fn more_fields_than_usual_fit() {
        let mut text = String::from("GET / HTTP/1.1\r\nHost: a\r\n");
        for n in 0..500 {
            text.push_str(&format!("A{n}: {n}\r\n"));
        }
        text.push_str("\r\n");
        assert_eq!(head(&text).fields.len(), 500);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(input: Vec<u8>) {
            let _ = parse_request(&input);
        }

        #[test]
        fn a_head_is_partial_until_its_last_byte(cut in 1usize..30) {
            let text = b"GET /abc HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
            prop_assert!(parse_request(&text[..text.len() - cut]).unwrap().is_none());
        }
    }
}
