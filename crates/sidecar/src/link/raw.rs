//! An HTTP/2 stream whose bytes are passed on as they are: a gRPC call that is not looked into.

mod body;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::ResponseFuture};
use http::{Request, Response};

use super::{
    connect::ConnectError,
    connection::{Link, StreamGuard},
    end::End,
    failure,
    pool::Group,
    upload::{UploadError, wait_beside},
};
use crate::call::{Body, BodyError, grpc::GrpcStatus};

pub(crate) use body::{RawBody, RawError};

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

/// A body that may be needed more than once.
pub(crate) trait BodySource {
    /// The head never is the end, be the body empty: servers of grpc-go wait for a frame of data.
    const ENDS_IN_DATA: bool;
    /// The body from its start.
    fn body(&self) -> Body;
    /// Whether it can be had again.
    fn is_possible(&self) -> bool;
}

/// Whole bodies can be had as often as one likes.
impl BodySource for Bytes {
    const ENDS_IN_DATA: bool = true;

    fn body(&self) -> Body {
        Body::whole(self.clone())
    }

    fn is_possible(&self) -> bool {
        true
    }
}

/// Why there is no answer.
pub(crate) enum NoAnswer {
    /// There is no connection: the far end surely has not seen the call.
    Unreached(ConnectError),
    /// The stream broke.
    Broken(Broken),
}

/// Attempts that may follow at once, because the far end did not look at the one before.
pub(crate) const UNPROCESSED_LIMIT: u32 = 3;

/// Opens a stream to the app and waits for the head of its answer. Where the app surely did not look
/// at it, it is opened again, as long as the whole body can be had.
pub(crate) async fn exchange(
    group: &Rc<Group>,
    end: &End,
    request: impl Fn() -> Request<()>,
    body: &impl BodySource,
) -> Result<(Response<RecvStream>, Sending), NoAnswer> {
    let mut unprocessed = 0;
    loop {
        let link = group.link(end).await.map_err(NoAnswer::Unreached)?;
        let sent = async { open(&link, &request, body).await?.head().await };
        match sent.await {
            Err(Broken::Unprocessed(_))
                if unprocessed < UNPROCESSED_LIMIT && body.is_possible() =>
            {
                unprocessed += 1;
            }
            answered => return answered.map_err(NoAnswer::Broken),
        }
    }
}

/// Opens a stream; head and what is there of the body leave in one write.
pub(crate) async fn open<B: BodySource>(
    link: &Rc<Link>,
    request: impl FnOnce() -> Request<()>,
    body: &B,
) -> Result<RawCall, Broken> {
    let guard = link.begin();
    // Before the body is touched: a connection that takes no more calls leaves it whole for another.
    let ready = link.ready().await.map_err(Broken::Unprocessed)?;
    let mut body = body.body();
    let first = body.ready().await.map_err(Broken::Body)?;
    let ends = body.is_empty();
    let has_data = !first.is_empty() || (ends && B::ENDS_IN_DATA);
    let (response, mut send) = link
        .start(ready, request(), ends && !has_data)
        .map_err(Broken::Unprocessed)?;
    if has_data {
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
                wait_beside(&mut send, |cx| body.poll_progress(cx)).await?;
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
