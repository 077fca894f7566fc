//! An HTTP/2 stream whose bytes are passed on as they are: a gRPC call that is not looked into.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::ResponseFuture};
use http::{Request, Response};
use outrider_wire::grpc::{FrameError, scan::FrameScan};

use super::{
    connection::{Link, StreamGuard},
    failure,
    upload::{UploadError, wait_beside},
};
use crate::call::{Body, BodyError, BodyStream, body::prefixed, grpc::GrpcStatus};

/// A stream under way.
pub(crate) struct RawCall {
    response: ResponseFuture,
    sending: Sending,
}

/// The half of a stream that still sends.
pub(crate) struct Sending {
    upload: Option<Upload>,
    /// Why the body could not be sent, until somebody asks for the answer.
    failed: Option<BodyError>,
    _guard: StreamGuard,
}

type Upload = Pin<Box<dyn Future<Output = Result<(), UploadError>>>>;

/// Why a stream has no answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The far end surely did not look at it.
    Unprocessed(h2::Error),
    /// It may have.
    Stream(h2::Error),
    /// The body that was to be sent failed.
    Body(BodyError),
}

impl Broken {
    /// The status that a gRPC client makes of it.
    pub(crate) fn status(&self) -> GrpcStatus {
        match self {
            Self::Unprocessed(error) | Self::Stream(error) => failure::status(error),
            Self::Body(error) => error.grpc_status(),
        }
    }
}

/// Opens a stream; head and what is there of the body leave in one write.
pub(crate) async fn open(
    link: &Rc<Link>,
    req: Request<()>,
    mut body: Body,
) -> Result<RawCall, Broken> {
    let guard = link.begin();
    // Before the body is touched: a connection that takes no more calls leaves it whole for another.
    let ready = link.ready().await.map_err(Broken::Unprocessed)?;
    let first = body.ready().await.map_err(Broken::Body)?;
    let ends = body.is_empty();
    let (response, mut send) = link
        .start(ready, req, first.is_empty() && ends)
        .map_err(Broken::Unprocessed)?;
    if !first.is_empty() {
        send.send_data(first, ends).map_err(Broken::Stream)?;
    }
    let upload = (!ends).then(|| Box::pin(upload(body, send)) as Upload);
    Ok(RawCall {
        response,
        sending: Sending {
            upload,
            failed: None,
            _guard: guard,
        },
    })
}

impl RawCall {
    /// Waits for the head of the answer while the body is being sent.
    pub(crate) async fn head(mut self) -> Result<(Response<RecvStream>, Sending), Broken> {
        let head = poll_fn(|cx| {
            self.sending.poll_progress(cx);
            if let Some(error) = self.sending.failed.take() {
                return Poll::Ready(Err(Broken::Body(error)));
            }
            let polled = ready!(Pin::new(&mut self.response).poll(cx));
            Poll::Ready(
                polled.map_err(|error| match failure::is_unprocessed(&error) {
                    true => Broken::Unprocessed(error),
                    false => Broken::Stream(error),
                }),
            )
        });
        let head = head.await?;
        Ok((head, self.sending))
    }
}

impl Sending {
    /// Goes on sending the body.
    pub(crate) fn poll_progress(&mut self, cx: &mut Context<'_>) {
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(sent) = upload.as_mut().poll(cx)
        {
            self.upload = None;
            // Whether all was sent or the far end takes no more: the answer decides.
            if let Err(UploadError::Body(error)) = sent {
                self.failed = Some(error);
            }
        }
    }

    /// Why the body could not be sent, if that is so.
    pub(crate) fn take_failure(&mut self) -> Option<BodyError> {
        self.failed.take()
    }
}

/// Sends the rest of `body` and ends the stream. A body that breaks resets it: the call must not
/// look complete.
async fn upload(mut body: Body, mut send: SendStream<Bytes>) -> Result<(), UploadError> {
    loop {
        let piece = poll_fn(|cx| match body.poll_data(cx) {
            Poll::Pending => send.poll_reset(cx).map(|_| Err(UploadError::Stopped)),
            ready => ready.map(|piece| piece.transpose().map_err(UploadError::Body)),
        });
        match piece.await {
            Ok(Some(piece)) => {
                wait_beside(&mut send, &mut body).await?;
                send.send_data(piece, false)
                    .map_err(|_| UploadError::Stopped)?;
            }
            // The far end has to hear that nothing more comes, in a frame that is the last.
            Ok(None) => {
                return send
                    .send_data(Bytes::new(), true)
                    .map_err(|_| UploadError::Stopped);
            }
            Err(error) => {
                if let UploadError::Body(_) = error {
                    send.send_reset(h2::Reason::CANCEL);
                }
                return Err(error);
            }
        }
    }
}

/// The bytes of a stream as they arrive, nothing put together or copied.
pub(crate) struct RawBody {
    recv: RecvStream,
    scan: Option<FrameScan>,
}

impl RawBody {
    /// The bytes of that stream.
    pub(crate) fn new(recv: RecvStream) -> Self {
        Self { recv, scan: None }
    }

    /// The bytes of a gRPC call; a message longer than `limit` breaks it (contract `grpc-api.md`
    /// 9.5).
    pub(crate) fn messages(recv: RecvStream, limit: usize) -> Self {
        Self {
            recv,
            scan: Some(FrameScan::new(limit)),
        }
    }

    /// A body value: whole if all of it has arrived.
    pub(crate) async fn into_body(mut self) -> Body {
        if self.recv.is_end_stream() {
            return Body::Empty;
        }
        match poll_fn(|cx| Poll::Ready(self.poll_data(cx))).await {
            Poll::Ready(None) => Body::Empty,
            Poll::Ready(Some(Ok(first))) if self.recv.is_end_stream() => Body::Whole(first),
            Poll::Ready(Some(Ok(first))) => prefixed(first, Body::Stream(Box::new(self))),
            Poll::Ready(Some(Err(error))) => Body::Stream(Box::new(Failed(Some(error)))),
            Poll::Pending => Body::Stream(Box::new(self)),
        }
    }

    /// The next bytes, unchecked errors of the stream as they are.
    pub(crate) fn poll_raw(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, RawError>>> {
        loop {
            let data = match ready!(self.recv.poll_data(cx)) {
                None => return Poll::Ready(None),
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
}

impl RawError {
    /// The status that a gRPC client makes of it.
    pub(crate) fn status(&self) -> GrpcStatus {
        match self {
            Self::Stream(error) => failure::status(error),
            Self::Frame(error) => failure::frame_status(*error),
        }
    }
}

impl BodyStream for RawBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let polled = ready!(self.poll_raw(cx));
        Poll::Ready(polled.map(|data| {
            data.map_err(|error| match error {
                RawError::Stream(_) => BodyError::ClientGone,
                RawError::Frame(error) => BodyError::Frame(error),
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
