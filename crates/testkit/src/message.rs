//! Requests and responses as they stood on the wire.
//!
//! Parsing keeps what a test may want to compare (order, case, repeated lines) and judges nothing:
//! a line without a colon becomes a name with an empty value.

/// Header lines in the order and case in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    }

    /// Every value of `name`, whatever its case, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
            .collect()
    }

    /// The first value of the header spelled exactly `name`.
    pub fn exact(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Whether a header `name` is there, whatever its case.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names as spelled, in order, repeated ones included.
    pub fn names(&self) -> Vec<&str> {
        self.iter().map(|(n, _)| n).collect()
    }

    /// All lines in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no line at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push_line(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        self.0
            .push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }

    pub(crate) fn chunked(&self) -> bool {
        self.get("transfer-encoding")
            .is_some_and(|v| v.to_ascii_lowercase().contains("chunked"))
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.get("content-length").and_then(|v| v.parse().ok())
    }
}

/// Splits a head into its first line and its headers.
pub(crate) fn parse_head(head: &[u8]) -> (String, Headers) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l));
    let first = lines.next().unwrap_or_default().to_owned();
    let mut headers = Headers::default();
    lines
        .filter(|l| !l.is_empty())
        .for_each(|l| headers.push_line(l));
    (first, headers)
}

/// Why reading a body stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The framing said so: length reached, last chunk seen, or no body announced.
    Framing,
    /// The peer closed; for a body without framing this is its regular end.
    Eof,
    /// The connection was reset.
    Reset,
    /// The bytes are no valid chunked coding.
    Malformed,
    /// Nothing came for the time allowed.
    TimedOut,
}

/// One request as an app received it.
#[derive(Debug, Clone)]
pub struct RawRequest {
    /// The request line without its line end.
    pub line: String,
    /// Header lines in order and case.
    pub headers: Headers,
    /// The body, de-chunked; only its beginning if it is longer than the app keeps.
    pub body: Vec<u8>,
    /// Length of the whole body, kept or not.
    pub body_len: u64,
    /// Whether it came in chunked coding.
    pub chunked: bool,
    /// Trailer lines of a chunked body.
    pub trailers: Headers,
    /// How the body ended; `None` while it is still coming.
    pub ending: Option<Ending>,
    /// Number of the connection it came on, counted from 0 in order of acceptance.
    pub connection: usize,
    /// Every byte of it, chunk framing included; only the beginning if it is very long.
    pub raw: Vec<u8>,
}

impl RawRequest {
    /// The verb of the request line.
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// The target of the request line: path and query as written.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// Whether the whole body arrived.
    pub fn complete(&self) -> bool {
        self.ending == Some(Ending::Framing)
    }
}

/// One response as a client received it.
#[derive(Debug, Clone)]
pub struct RawResponse {
    /// The status line without its line end.
    pub status_line: String,
    /// Header lines in order and case.
    pub headers: Headers,
    /// The body, de-chunked; only its beginning if it is longer than the client keeps.
    pub body: Vec<u8>,
    /// Length of the whole body, kept or not.
    pub body_len: u64,
    /// Whether it came in chunked coding.
    pub chunked: bool,
    /// Trailer lines of a chunked body.
    pub trailers: Headers,
    /// Whether the body came to the end that its framing announced.
    pub complete: bool,
    /// How the body ended.
    pub ending: Ending,
    /// Every byte of it, chunk framing included; only the beginning if it is very long.
    pub raw: Vec<u8>,
}

impl RawResponse {
    /// The status code, 0 if the status line has none.
    pub fn status(&self) -> u16 {
        self.status_line
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or(0)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_order_and_case() {
        let (line, headers) = parse_head(b"GET / HTTP/1.1\r\nX-b: 1\r\nx-A:  2 \r\nX-B: 3\r\n\r\n");
        assert_eq!(line, "GET / HTTP/1.1");
        assert_eq!(headers.names(), ["X-b", "x-A", "X-B"]);
        assert_eq!(headers.all("x-b"), ["1", "3"]);
        assert_eq!(headers.exact("x-A"), Some("2"));
        assert_eq!(headers.exact("X-A"), None);
    }
}
