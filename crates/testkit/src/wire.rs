//! Reading HTTP/1.1 from a socket, byte by byte accounted for.
//!
//! Shared by the raw app and the raw client. Knows framing and nothing else: no verbs, no statuses.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::message::{Ending, Headers};

/// Bytes of one message that are kept; the rest is counted only, so that memory tests can move
/// hundreds of megabytes through the kit.
const KEPT: usize = 32 << 20;

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilEof,
}

/// A body while it is read; partial content survives a time-out.
#[derive(Debug, Default)]
pub(crate) struct BodyRead {
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: u64,
    pub(crate) trailers: Headers,
}

impl BodyRead {
    fn push(&mut self, piece: &[u8]) {
        self.len += piece.len() as u64;
        keep(&mut self.bytes, piece);
    }
}

fn keep(store: &mut Vec<u8>, piece: &[u8]) {
    let room = KEPT.saturating_sub(store.len()).min(piece.len());
    store.extend_from_slice(&piece[..room]);
}

/// A socket with the bytes read ahead and a record of those consumed.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    pub(crate) io: S,
    buf: BytesMut,
    raw: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Wire<S> {
    pub(crate) fn new(io: S) -> Self {
        Self {
            io,
            buf: BytesMut::with_capacity(64 << 10),
            raw: Vec::new(),
        }
    }

    /// Bytes consumed since the last call.
    pub(crate) fn take_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.raw)
    }

    /// Whether bytes wait that nobody has consumed.
    pub(crate) fn has_unread(&self) -> bool {
        !self.buf.is_empty()
    }

    /// Waits for more bytes; 0 means the peer closed. Nothing is lost if the future is dropped.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.buf.reserve(64 << 10);
        self.io.read_buf(&mut self.buf).await
    }

    /// Waits until the peer closes or resets, keeping what it sends meanwhile.
    pub(crate) async fn until_closed(&mut self) -> io::Result<()> {
        while self.fill().await? > 0 {}
        Ok(())
    }

    /// Consumes up to `n` bytes that are already here.
    pub(crate) fn consume(&mut self, n: usize) -> BytesMut {
        let piece = self.buf.split_to(n.min(self.buf.len()));
        keep(&mut self.raw, &piece);
        piece
    }

    /// Reads a head with its blank line; `None` if the peer closed before the first byte.
    pub(crate) async fn head(&mut self) -> io::Result<Option<BytesMut>> {
        loop {
            if let Some(end) = find(&self.buf, b"\r\n\r\n") {
                return Ok(Some(self.consume(end + 4)));
            }
            if self.fill().await? == 0 {
                return match self.buf.len() {
                    0 => Ok(None),
                    _ => Err(eof("closed inside a head")),
                };
            }
        }
    }

    /// Reads everything until the peer closes.
    pub(crate) async fn rest(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let piece = self.consume(usize::MAX);
            keep(out, &piece);
            if self.fill().await? == 0 {
                return Ok(());
            }
        }
    }

    /// Reads a body to its end and says how it ended; goes on where `out` stands.
    pub(crate) async fn body(&mut self, framing: Framing, out: &mut BodyRead) -> Ending {
        let read = match framing {
            Framing::None => Ok(()),
            Framing::Length(n) => self.length(n.saturating_sub(out.len), out).await,
            Framing::Chunked => self.chunks(out).await,
            Framing::UntilEof => self.length(u64::MAX, out).await,
        };
        match read {
            Ok(()) => Ending::Framing,
            Err(err) => ending_of(&err),
        }
    }

    async fn length(&mut self, mut left: u64, out: &mut BodyRead) -> io::Result<()> {
        while left > 0 {
            if self.buf.is_empty() && self.fill().await? == 0 {
                return Err(eof("closed inside a body"));
            }
            let piece = self.consume(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            out.push(&piece);
        }
        Ok(())
    }

    async fn chunks(&mut self, out: &mut BodyRead) -> io::Result<()> {
        while self.chunk(out).await? > 0 {}
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(());
            }
            out.trailers.push_line(&line);
        }
    }

    /// Reads one chunk; 0 is the last one, whose trailers follow.
    pub(crate) async fn chunk(&mut self, out: &mut BodyRead) -> io::Result<u64> {
        let line = self.line().await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| malformed("chunk size"))?;
        if size > 0 {
            self.length(size, out).await?;
            if !self.line().await?.is_empty() {
                return Err(malformed("chunk end"));
            }
        }
        Ok(size)
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buf, b"\r\n") {
                let line = self.consume(end + 2);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.buf.len() > KEPT {
                return Err(malformed("line end"));
            }
            if self.fill().await? == 0 {
                return Err(eof("closed inside a line"));
            }
        }
    }

    /// Consumes at least `n` bytes, as they stand.
    pub(crate) async fn at_least(&mut self, n: usize) -> io::Result<BytesMut> {
        while self.buf.len() < n {
            if self.fill().await? == 0 {
                return Err(eof("closed before enough bytes came"));
            }
        }
        Ok(self.consume(usize::MAX))
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}

fn eof(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}"))
}

pub(crate) fn ending_of(err: &io::Error) -> Ending {
    match err.kind() {
        io::ErrorKind::UnexpectedEof => Ending::Eof,
        io::ErrorKind::InvalidData => Ending::Malformed,
        io::ErrorKind::TimedOut => Ending::TimedOut,
        _ => Ending::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body_of(bytes: &[u8], framing: Framing) -> (BodyRead, Ending) {
        let mut out = BodyRead::default();
        let ending = Wire::new(bytes).body(framing, &mut out).await;
        (out, ending)
    }

    #[tokio::test]
    async fn chunks_are_joined_and_trailers_kept() {
        let wire = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\n";
        let (out, ending) = body_of(wire, Framing::Chunked).await;
        assert_eq!(
            (out.bytes.as_slice(), ending),
            (b"abcde".as_slice(), Ending::Framing)
        );
        assert_eq!(out.trailers.get("x-t"), Some("1"));
    }

    #[tokio::test]
    async fn a_missing_last_chunk_is_seen() {
        let (out, ending) = body_of(b"3\r\nabc\r\n", Framing::Chunked).await;
        assert_eq!(
            (out.bytes.as_slice(), ending),
            (b"abc".as_slice(), Ending::Eof)
        );
    }

    #[tokio::test]
    async fn bad_chunk_framing_is_malformed() {
        let (_, ending) = body_of(b"zz\r\nabc\r\n", Framing::Chunked).await;
        assert_eq!(ending, Ending::Malformed);
        let (_, ending) = body_of(b"2\r\nabc\r\n0\r\n\r\n", Framing::Chunked).await;
        assert_eq!(ending, Ending::Malformed);
    }

    #[tokio::test]
    async fn a_short_body_ends_with_eof() {
        let (out, ending) = body_of(b"abc", Framing::Length(9)).await;
        assert_eq!((out.len, ending), (3, Ending::Eof));
    }
}
