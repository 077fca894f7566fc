//! The answer's way back to the caller.

use std::{
    future::{Future, poll_fn},
    mem,
    task::{Poll, ready},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Response, header};
use outrider_wire::grpc::Code;

use crate::{
    api::grpc::BAGGAGE,
    app_channel::grpc::put,
    call::{
        BodyError,
        grpc::GrpcStatus,
        until::{UnlessReset, unless_reset},
    },
    link::{
        client::{FAULT_TRAILER, say_unreached},
        failure,
        raw::{RawBody, RawError, Sending},
        upload::wait_beside,
    },
};

/// One caller's stream, and how far its answer has come.
pub(super) struct Relay<'a> {
    respond: &'a mut SendResponse<Bytes>,
    baggage: Option<HeaderValue>,
    /// Longest message.
    limit: usize,
    /// There once the head has been sent.
    send: Option<SendStream<Bytes>>,
    has_written: bool,
}

/// What comes next of an answer.
enum Next {
    Data(Bytes),
    Trailers(HeaderMap),
    Failed(GrpcStatus),
    CallerGone,
}

impl<'a> Relay<'a> {
    pub(super) fn new(
        respond: &'a mut SendResponse<Bytes>,
        baggage: Option<HeaderValue>,
        limit: usize,
    ) -> Self {
        Self {
            respond,
            baggage,
            limit,
            send: None,
            has_written: false,
        }
    }

    /// What `work` comes to; none if the caller gives up first, which drops it.
    pub(super) fn unless_reset<F: Future>(&mut self, work: F) -> UnlessReset<'_, F> {
        unless_reset(self.respond, work)
    }

    /// Passes the answer on to its end and returns its code. An error is for [`end`](Self::end).
    pub(super) async fn run(
        &mut self,
        response: Response<RecvStream>,
        mut sending: Sending,
    ) -> Result<i32, GrpcStatus> {
        let (mut head, recv) = response.into_parts();
        // A word between sidecars, which is nothing to the caller, and which no app may say. Among so
        // few fields it is found sooner by looking at each.
        if head.headers.keys().any(|name| *name == FAULT_TRAILER) {
            head.headers.remove(&FAULT_TRAILER);
        }
        if let Some(status) = failure::not_grpc(&head) {
            return Err(Box::pin(failure::told(status, recv)).await);
        }
        if let Some(baggage) = &self.baggage {
            put(&mut head.headers, &BAGGAGE, baggage.clone());
        }
        if recv.is_end_stream() {
            let Some(code) = failure::code_in(&head.headers) else {
                return Err(failure::no_status(&head.headers));
            };
            self.send_head(head.headers, true);
            return Ok(code);
        }
        let mut body = RawBody::messages(recv, &head.headers, self.limit);
        if self.send_head(head.headers, false).is_none() {
            return Ok(Code::Canceled.number());
        }
        loop {
            match self.next(&mut body, &mut sending).await {
                Next::Data(data) => {
                    if !self.write(data, &mut sending).await {
                        return Ok(Code::Canceled.number());
                    }
                }
                Next::Trailers(mut trailers) => {
                    let code = failure::code_in(&trailers).unwrap_or_else(|| {
                        let status = failure::no_status(&trailers);
                        status.write(&mut trailers);
                        status.code
                    });
                    if let Some(send) = &mut self.send {
                        // Failing means that the caller has gone.
                        let _ = send.send_trailers(trailers);
                    }
                    return Ok(code);
                }
                Next::Failed(status) => return Err(status),
                Next::CallerGone => return Ok(Code::Canceled.number()),
            }
        }
    }

    /// The next part of the answer, while the request goes on being sent.
    async fn next(&mut self, body: &mut RawBody, sending: &mut Sending) -> Next {
        poll_fn(|cx| {
            sending.poll_progress(cx);
            match sending.take_failure() {
                None => {}
                Some(BodyError::ClientGone) => return Poll::Ready(Next::CallerGone),
                Some(error) => return Poll::Ready(Next::Failed(error.grpc_status())),
            }
            match body.poll_raw(cx) {
                Poll::Ready(Some(Ok(data))) => return Poll::Ready(Next::Data(data)),
                // The app, or its sidecar, may say why it broke off.
                Poll::Ready(Some(Err(RawError::Cut))) => match ready!(body.poll_trailers(cx)) {
                    Ok(Some(trailers)) if failure::is_failure(&trailers) => {
                        return Poll::Ready(Next::Trailers(trailers));
                    }
                    _ => return Poll::Ready(Next::Failed(RawError::Cut.status())),
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Next::Failed(error.status())),
                Poll::Ready(None) => match body.poll_trailers(cx) {
                    Poll::Ready(Ok(Some(trailers))) => {
                        return Poll::Ready(Next::Trailers(trailers));
                    }
                    Poll::Ready(Ok(None)) => {
                        return Poll::Ready(Next::Failed(failure::no_trailers()));
                    }
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Next::Failed(failure::status(&error)));
                    }
                    Poll::Pending => {}
                },
                Poll::Pending => {}
            }
            match &mut self.send {
                Some(send) => send.poll_reset(cx).map(|_| Next::CallerGone),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Passes bytes on as soon as the caller has room for some; false if it has gone.
    async fn write(&mut self, data: Bytes, sending: &mut Sending) -> bool {
        let Some(send) = &mut self.send else {
            return false;
        };
        // The first piece is little more than one frame; if it is there with the head, both leave
        // together.
        if mem::replace(&mut self.has_written, true) {
            let room = wait_beside(send, |cx| sending.poll_progress(cx));
            if room.await.is_err() {
                return false;
            }
        }
        send.send_data(data, false).is_ok()
    }

    fn send_head(&mut self, headers: HeaderMap, ends: bool) -> Option<()> {
        let mut rsp = Response::new(());
        *rsp.headers_mut() = headers;
        // Failing means that the caller has gone.
        self.send = Some(self.respond.send_response(rsp, ends).ok()?);
        Some(())
    }

    /// Ends the call with a status that is not the callee's. Returns its code. If the callee was
    /// `unreached`, the caller's sidecar may ask another instance.
    pub(super) fn end(&mut self, status: &GrpcStatus, unreached: bool) -> i32 {
        let mut headers = HeaderMap::new();
        status.write(&mut headers);
        if let Some(send) = &mut self.send {
            let _ = send.send_trailers(headers);
            return status.code;
        }
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        if let Some(baggage) = &self.baggage {
            headers.insert(&BAGGAGE, baggage.clone());
        }
        if unreached {
            say_unreached(&mut headers);
        }
        self.send_head(headers, true);
        status.code
    }
}
