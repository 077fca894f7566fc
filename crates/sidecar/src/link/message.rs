//! Messages of a gRPC stream as they arrive over HTTP/2.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use outrider_wire::{envelope::Payload, grpc::FrameReader};

use crate::call::BodyError;

/// Reads messages off one stream. Window credit goes back to the sender as messages are taken.
pub(crate) struct Messages {
    recv: RecvStream,
    frames: FrameReader,
    limit: usize,
}

/// Why no further message can be read.
#[derive(Debug)]
pub(crate) enum MessageError {
    /// The stream or the connection broke.
    Stream(h2::Error),
    /// The bytes are no gRPC messages; the text is what a gRPC client would say.
    Frame(outrider_wire::grpc::FrameError),
    /// The stream ended inside a message.
    Cut,
}

impl std::fmt::Display for MessageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stream(error) => error.fmt(f),
            Self::Frame(error) => error.fmt(f),
            Self::Cut => f.write_str("unexpected EOF"),
        }
    }
}

impl Messages {
    /// Messages of at most `limit` bytes from `recv`.
    pub(crate) fn new(recv: RecvStream, limit: usize) -> Self {
        Self {
            recv,
            frames: FrameReader::new(),
            limit,
        }
    }

    /// The same, compressed ones included, as they are.
    pub(crate) fn with_compressed(recv: RecvStream, limit: usize) -> Self {
        Self {
            frames: FrameReader::with_compressed(),
            ..Self::new(recv, limit)
        }
    }

    /// Whether the message handed out last is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.frames.is_compressed()
    }

    /// The next message; `None` when the sender has finished.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, MessageError>>> {
        loop {
            match self.frames.next_frame(self.limit) {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(MessageError::Frame(error)))),
            }
            match ready!(self.recv.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Asked for because somebody takes the message now: the credit is due.
                    let _ = self.recv.flow_control().release_capacity(data.len());
                    self.frames.push(data);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(MessageError::Stream(error)))),
                None if self.frames.is_mid_message() => {
                    return Poll::Ready(Some(Err(MessageError::Cut)));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    /// True if the sender has finished, as far as that is known without waiting.
    pub(crate) fn is_end(&self) -> bool {
        self.recv.is_end_stream() && !self.frames.is_mid_message()
    }

    /// The trailers, after the last message.
    pub(crate) fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<HeaderMap>, h2::Error>> {
        self.recv.poll_trailers(cx)
    }
}

/// Numbers of payloads in one direction, from 0 without gaps (contract `sidecar-protocol.md` 15.4).
#[derive(Default)]
pub(crate) struct Sequence {
    expected: u64,
}

impl Sequence {
    /// The payload's bytes, if it is the next one.
    pub(crate) fn check(&mut self, payload: Payload) -> Result<Bytes, BodyError> {
        if payload.seq != self.expected {
            return Err(BodyError::Broken(format!(
                "invalid sequence number received: {} (expected: {})",
                payload.seq, self.expected
            )));
        }
        self.expected += 1;
        Ok(payload.data)
    }
}
