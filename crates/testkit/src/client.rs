//! A client that sends exactly the bytes it is given and shows exactly those it gets.
//!
//! It has no idea of HTTP beyond response framing; it never retries and never adds a header.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::LIMIT;
use crate::message::{Ending, Headers, RawResponse, parse_head};
use crate::wire::{BodyRead, Framing, Wire};

/// The bytes of a request; a non-empty body gets a `Content-Length`, nothing else is added but
/// `Host`.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// One TCP connection to a server on 127.0.0.1.
#[derive(Debug)]
pub struct RawClient {
    wire: Wire<TcpStream>,
    limit: Duration,
}

impl RawClient {
    /// Connects to `port` of 127.0.0.1.
    ///
    /// # Errors
    /// As the connection attempt ends.
    pub async fn connect(port: u16) -> io::Result<Self> {
        let stream = bounded(LIMIT, TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            wire: Wire::new(stream),
            limit: LIMIT,
        })
    }

    /// Waits at most this long in each following call.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The local port of the connection.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn local_port(&self) -> io::Result<u16> {
        Ok(self.wire.io.local_addr()?.port())
    }

    /// Writes these bytes.
    ///
    /// # Errors
    /// As the socket reports, `TimedOut` if the peer does not take them in time.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        bounded(self.limit, self.wire.io.write_all(bytes.as_ref())).await
    }

    /// Sends a request and reads the whole answer to it.
    ///
    /// # Errors
    /// As [`RawClient::send`] and [`RawClient::read_response`].
    pub async fn call(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<RawResponse> {
        self.send(request(method, target, headers, body)).await?;
        match method {
            "HEAD" => self.read_response_without_body().await,
            _ => self.read_response().await,
        }
    }

    /// Reads the next response, an interim one (1xx) included.
    ///
    /// # Errors
    /// `UnexpectedEof`, `ConnectionReset` or `TimedOut` if no whole head came. A body that breaks
    /// off is no error: see [`RawResponse::ending`].
    pub async fn read_response(&mut self) -> io::Result<RawResponse> {
        self.read(false).await
    }

    /// Reads the response to a HEAD request.
    ///
    /// # Errors
    /// As [`RawClient::read_response`].
    pub async fn read_response_without_body(&mut self) -> io::Result<RawResponse> {
        self.read(true).await
    }

    /// Reads a response head and leaves its body unread.
    ///
    /// # Errors
    /// As [`RawClient::read_response`].
    pub async fn read_head(&mut self) -> io::Result<(String, Headers)> {
        self.wire.take_raw();
        let head = bounded(self.limit, self.wire.head()).await?;
        let head = head.ok_or_else(|| {
            io::Error::new(io::ErrorKind::UnexpectedEof, "closed without a response")
        })?;
        Ok(parse_head(&head))
    }

    /// Reads one chunk of a chunked body, after [`RawClient::read_head`]; empty is the last one.
    ///
    /// # Errors
    /// If the connection or the framing breaks, or nothing comes in time.
    pub async fn read_chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut out = BodyRead::default();
        bounded(self.limit, self.wire.chunk(&mut out)).await?;
        Ok(out.bytes)
    }

    /// Reads at least `n` bytes as they stand on the wire, whatever they are.
    ///
    /// # Errors
    /// If the peer closes before, or they don't come in time.
    pub async fn read_at_least(&mut self, n: usize) -> io::Result<Vec<u8>> {
        bounded(self.limit, self.wire.at_least(n))
            .await
            .map(|b| b.to_vec())
    }

    /// Reads everything until the peer closes; says too how it ended.
    pub async fn read_to_end(&mut self) -> (Vec<u8>, Ending) {
        let mut out = Vec::new();
        match bounded(self.limit, self.wire.rest(&mut out)).await {
            Ok(()) => (out, Ending::Eof),
            Err(err) => (out, crate::wire::ending_of(&err)),
        }
    }

    /// Whether the peer closes within `wait` without sending anything more.
    pub async fn closed_within(&mut self, wait: Duration) -> bool {
        matches!(timeout(wait, self.wire.fill()).await, Ok(Ok(0) | Err(_)))
    }

    /// Ends the sending direction; answers can still be read.
    ///
    /// # Errors
    /// If the socket is gone.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.wire.io.shutdown().await
    }

    /// Closes the connection with a reset.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn reset(self) -> io::Result<()> {
        self.wire.io.set_zero_linger()
    }

    async fn read(&mut self, bodiless: bool) -> io::Result<RawResponse> {
        let (status_line, headers) = self.read_head().await?;
        let mut head_raw = self.wire.take_raw();
        let chunked = headers.chunked();
        let status = status_line.split(' ').nth(1).unwrap_or_default();
        let bodiless = bodiless || status.starts_with('1') || matches!(status, "204" | "304");
        let framing = match (bodiless, chunked, headers.length()) {
            (true, _, _) => Framing::None,
            (_, true, _) => Framing::Chunked,
            (_, _, Some(n)) => Framing::Length(n),
            (_, _, None) => Framing::UntilEof,
        };
        let mut body = BodyRead::default();
        let reading = timeout(self.limit, self.wire.body(framing, &mut body)).await;
        let ending = reading.unwrap_or(Ending::TimedOut);
        head_raw.extend(self.wire.take_raw());
        Ok(RawResponse {
            complete: ending == Ending::Framing
                || (framing == Framing::UntilEof && ending == Ending::Eof),
            status_line,
            headers,
            body: body.bytes,
            body_len: body.len,
            chunked,
            trailers: body.trailers,
            ending,
            raw: head_raw,
        })
    }
}

async fn bounded<T>(limit: Duration, what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(limit, what).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "peer was silent for too long",
        )),
    }
}
