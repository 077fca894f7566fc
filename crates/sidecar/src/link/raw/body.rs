//! The bytes of a stream on their way in, looked at no more than their limits demand.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderMap, HeaderName};
use outrider_wire::grpc::{Code, FrameError, scan::FrameScan};

use crate::{
    call::{Body, BodyError, BodyStream, body::prefixed, grpc::GrpcStatus},
    link::failure,
};

static ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Pieces smaller than this are put together if several have come.
const SMALL: usize = 8 * 1024;

/// The bytes of a stream as they arrive.
pub(crate) struct RawBody {
    recv: RecvStream,
    scan: Option<FrameScan>,
    /// Found behind bytes that were good.
    failed: Option<FrameError>,
    /// Nothing more comes from the stream.
    ended: bool,
}

impl RawBody {
    /// The bytes of an answer that is none of gRPC.
    pub(crate) fn answer(recv: RecvStream) -> Self {
        Self {
            recv,
            scan: None,
            failed: None,
            ended: false,
        }
    }

    /// The bytes of a gRPC call or its answer; a message longer than `limit` breaks it (contract `grpc-api.md`
    /// 9.5).
    pub(crate) fn messages(recv: RecvStream, headers: &HeaderMap, limit: usize) -> Self {
        let encoding = headers.get(&ENCODING);
        let compressed = encoding.is_some_and(|encoding| encoding != "identity");
        Self {
            recv,
            scan: Some(FrameScan::new(limit, compressed)),
            failed: None,
            ended: false,
        }
    }

    /// A body value: whole if all of it has arrived.
    pub(crate) async fn into_body(mut self) -> Body {
        match poll_fn(|cx| Poll::Ready(self.poll_data(cx))).await {
            Poll::Ready(None) => Body::Empty,
            Poll::Ready(Some(Ok(first))) if self.is_over() => Body::Whole(first),
            Poll::Ready(Some(Ok(first))) => prefixed(first, Body::Stream(Box::new(self))),
            Poll::Ready(Some(Err(error))) => Body::Stream(Box::new(Failed(Some(error)))),
            Poll::Pending => Body::Stream(Box::new(self)),
        }
    }

    /// Nothing more comes, and nothing was wrong with what came.
    fn is_over(&self) -> bool {
        let is_cut = self.scan.as_ref().is_some_and(FrameScan::is_mid_message);
        self.failed.is_none() && !is_cut && (self.ended || self.recv.is_end_stream())
    }

    /// The next bytes. Of a gRPC call, small pieces that have come already are put together: many tiny
    /// frames cost far more than their bytes, here and at the far end.
    pub(crate) fn poll_raw(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, RawError>>> {
        let first = match ready!(self.poll_piece(cx)) {
            Some(Ok(first)) if self.scan.is_some() && first.len() < SMALL => first,
            other => return Poll::Ready(other),
        };
        let mut gathered = BytesMut::new();
        let mut total = first.len();
        while total < SMALL {
            match self.poll_piece(cx) {
                Poll::Ready(Some(Ok(more))) => {
                    if gathered.is_empty() {
                        gathered.reserve(2 * SMALL);
                        gathered.extend_from_slice(&first);
                    }
                    total += more.len();
                    gathered.extend_from_slice(&more);
                }
                Poll::Ready(Some(Err(RawError::Frame(error)))) => {
                    self.failed = Some(error);
                    break;
                }
                // It will say so again.
                Poll::Ready(Some(Err(RawError::Stream(_) | RawError::Cut)) | None)
                | Poll::Pending => break,
            }
        }
        let data = match gathered.is_empty() {
            true => first,
            // Kept for a while, a few bytes must not hold the room for many.
            false if gathered.len() < gathered.capacity() / 2 => Bytes::copy_from_slice(&gathered),
            false => gathered.freeze(),
        };
        Poll::Ready(Some(Ok(data)))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, RawError>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(RawError::Frame(error))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            let data = match ready!(self.recv.poll_data(cx)) {
                None if self.scan.as_ref().is_some_and(FrameScan::is_mid_message) => {
                    return Poll::Ready(Some(Err(RawError::Cut)));
                }
                None => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(RawError::Stream(error)))),
                Some(Ok(data)) => data,
            };
            // Asked for because somebody takes it now: the credit is due.
            let _ = self.recv.flow_control().release_capacity(data.len());
            if data.is_empty() {
                // Such frames are counted against a connection for ever; none is passed on.
                continue;
            }
            let scanned = self.scan.as_mut().map_or(Ok(()), |scan| scan.push(&data));
            return Poll::Ready(Some(scanned.map(|()| data).map_err(RawError::Frame)));
        }
    }

    /// The trailers, after the last byte.
    pub(crate) fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<http::HeaderMap>, h2::Error>> {
        self.recv.poll_trailers(cx)
    }
}

/// Why no further bytes come.
pub(crate) enum RawError {
    /// The stream broke.
    Stream(h2::Error),
    /// A message is too long, or these are no messages.
    Frame(FrameError),
    /// The end came inside a message.
    Cut,
}

impl RawError {
    /// The status that a gRPC client makes of it.
    pub(crate) fn status(&self) -> GrpcStatus {
        match self {
            Self::Stream(error) => failure::status(error),
            Self::Frame(error) => failure::frame_status(*error),
            Self::Cut => GrpcStatus::new(Code::Internal, "unexpected EOF"),
        }
    }
}

impl BodyStream for RawBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let polled = ready!(self.poll_raw(cx));
        Poll::Ready(polled.map(|data| {
            data.map_err(|error| match error {
                RawError::Stream(_) if self.scan.is_some() => BodyError::ClientGone,
                RawError::Stream(error) => BodyError::Broken(failure::text(&error)),
                RawError::Frame(error) => BodyError::Frame(error),
                RawError::Cut => BodyError::Broken("unexpected EOF".to_owned()),
            })
        }))
    }
}

/// A body that has failed.
struct Failed(Option<BodyError>);

impl BodyStream for Failed {
    fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}
