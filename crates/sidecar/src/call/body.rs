//! Message bodies: nothing, one piece, or a stream that pushes back on its sender.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use bytes::Bytes;
use outrider_wire::grpc::{Code, FrameError};

use super::grpc::GrpcStatus;

/// A body on its way. Small bodies are whole and cost no stream.
#[derive(Default)]
pub(crate) enum Body {
    /// No bytes at all.
    #[default]
    Empty,
    /// All bytes at once.
    Whole(Bytes),
    /// Bytes that arrive over time; nothing is read ahead of the consumer.
    Stream(Box<dyn BodyStream>),
}

/// A source of body bytes. Dropping it before its end abandons the body.
pub(crate) trait BodyStream {
    /// The next piece, never empty; `None` at the end.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>>;

    /// Does what is to be done beside reading, while the consumer has no room for more: an answer
    /// whose request is still being sent goes on sending it. Errors show in the next piece.
    fn poll_progress(&mut self, _: &mut Context<'_>) {}
}

/// Why a body ended before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Longer than this sidecar lets a request body be.
    #[error("stream too large")]
    TooLarge,
    /// The client that was sending it left.
    #[error("client disconnected")]
    ClientGone,
    /// The sender broke off or broke the framing; the text says how.
    #[error("{0}")]
    Broken(String),
    /// A gRPC message in it is too long, or there is none.
    #[error("{0}")]
    Frame(FrameError),
}

impl BodyError {
    /// The status of a gRPC call whose request failed so.
    pub(crate) fn grpc_status(&self) -> GrpcStatus {
        let code = match self {
            Self::TooLarge | Self::Frame(FrameError::TooLarge { .. }) => Code::ResourceExhausted,
            Self::ClientGone => Code::Canceled,
            Self::Broken(_) | Self::Frame(_) => Code::Internal,
        };
        GrpcStatus::new(code, self.to_string())
    }
}

impl Body {
    /// A whole body, or none if there are no bytes.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Whole(bytes)
        }
    }

    /// The next piece, never empty; `None` at the end.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(_) => match std::mem::take(self) {
                Self::Whole(bytes) => Poll::Ready(Some(Ok(bytes))),
                _ => Poll::Ready(None),
            },
            Self::Stream(stream) => {
                let polled = stream.poll_data(cx);
                if matches!(polled, Poll::Ready(None)) {
                    *self = Self::Empty;
                }
                polled
            }
        }
    }

    /// Goes on with what accompanies the body, while nobody takes a piece of it.
    pub(crate) fn poll_progress(&mut self, cx: &mut Context<'_>) {
        if let Self::Stream(stream) = self {
            stream.poll_progress(cx);
        }
    }

    /// [`poll_data`](Self::poll_data) as a future.
    pub(crate) async fn data(&mut self) -> Option<Result<Bytes, BodyError>> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// What has come already, without waiting: the next piece, or nothing.
    pub(crate) async fn ready(&mut self) -> Result<Bytes, BodyError> {
        let polled = poll_fn(|cx| Poll::Ready(self.poll_data(cx))).await;
        match polled {
            Poll::Ready(Some(piece)) => piece,
            Poll::Ready(None) | Poll::Pending => Ok(Bytes::new()),
        }
    }

    /// The same body, known to be good as far as it has come, and empty if it has ended already.
    pub(crate) async fn begun(mut self) -> Result<Self, BodyError> {
        let first = self.ready().await?;
        Ok(prefixed(first, self))
    }

    /// True if no byte is left, as far as that is known without waiting.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Takes all bytes if they are not more than `limit`; otherwise hands the body back as it was,
    /// with the pieces already read in front.
    pub(crate) async fn collect(mut self, limit: usize) -> Result<Bytes, Result<Self, BodyError>> {
        match self {
            Self::Empty => return Ok(Bytes::new()),
            Self::Whole(bytes) => return Ok(bytes),
            Self::Stream(_) => {}
        }
        let mut all = Vec::new();
        while let Some(piece) = self.data().await {
            all.extend_from_slice(&piece.map_err(Err)?);
            if all.len() > limit {
                return Err(Ok(Self::Stream(Box::new(Prefixed {
                    first: Some(all.into()),
                    rest: self,
                }))));
            }
        }
        Ok(all.into())
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Whole(bytes) => write!(f, "Whole({})", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// A body some of which has been read already.
struct Prefixed {
    first: Option<Bytes>,
    rest: Body,
}

impl BodyStream for Prefixed {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.rest.poll_data(cx),
        }
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>) {
        self.rest.poll_progress(cx);
    }
}

/// A body with its first piece, if there is one, put back in front.
pub(crate) fn prefixed(first: Bytes, rest: Body) -> Body {
    if first.is_empty() {
        return rest;
    }
    match rest {
        Body::Empty => Body::Whole(first),
        rest => Body::Stream(Box::new(Prefixed {
            first: Some(first),
            rest,
        })),
    }
}
