//! `CallLocalStream` and `CallLocal` as the callee serves them (contract `sidecar-protocol.md` 3.2).

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use outrider_core::path::normalize_method;
use outrider_wire::{
    envelope::{self, RequestMessage, RequestParts},
    grpc::{Code, FrameError, metadata::is_from_grpc},
};

use tokio::time::Instant as Deadline;

use super::answer;
use crate::{
    call::{
        Body, BodyError, BodyStream, Fault, Kind, Reply, Status, request::wants_events,
        until::unless_reset,
    },
    inbound::{Arrival, TIMING, deliver, push_timing},
    lane::Lane,
    link::message::{MessageError, Messages, Sequence},
};

pub(super) const STREAM_PATH: &str = "/dapr.proto.internals.v1.ServiceInvocation/CallLocalStream";
pub(super) const UNARY_PATH: &str = "/dapr.proto.internals.v1.ServiceInvocation/CallLocal";

const MISSING: &str = "parsing InternalInvokeRequest error: request does not contain the required \
                       fields in the leading chunk";

/// Serves a streamed call.
pub(super) async fn stream(
    lane: &Lane,
    body: RecvStream,
    respond: &mut SendResponse<Bytes>,
    deadline: Option<Deadline>,
) -> Result<(), Fault> {
    lane.needs_app()?;
    let mut messages = Messages::new(body, lane.shared.limits.envelope);
    let first = match poll_fn(|cx| messages.poll_next(cx)).await {
        Some(Ok(first)) => decode(&first)?,
        Some(Err(error)) => return Err(receive_fault(&error)),
        None => return Err(Fault::new(Kind::PeerStatus(Code::Unknown), "EOF")),
    };
    let RequestMessage { head, payload } = first;
    let mut parts = match head {
        Some(parts) if parts.has_metadata && parts.has_message => parts,
        _ => return Err(Fault::new(Kind::PeerStatus(Code::InvalidArgument), MISSING)),
    };
    if !parts.data_value.is_empty() {
        // The body travels as payload; one that does not is left out with what is said of it.
        parts.type_url.clear();
    }
    let mut body = RequestBody::new(messages);
    let first = payload.map(|payload| body.seq.check(payload)).transpose();
    let first = first
        .map_err(|error| Fault::new(Kind::BadBody, error.to_string()))?
        .unwrap_or_default();
    let body = body.into_body(first).await;
    let invoked = unless_reset(respond, invoke(lane, &parts, body, deadline)).await;
    let reply = invoked.unwrap_or_else(|| Err(cancelled()))?;
    answer::stream(respond, reply).await
}

/// Serves a unary call.
pub(super) async fn unary(
    lane: &Lane,
    body: RecvStream,
    respond: &mut SendResponse<Bytes>,
    deadline: Option<Deadline>,
) -> Result<(), Fault> {
    lane.needs_app()?;
    let mut messages = Messages::new(body, lane.shared.limits.envelope);
    let first = match poll_fn(|cx| messages.poll_next(cx)).await {
        Some(Ok(first)) => first,
        Some(Err(error)) => return Err(receive_fault(&error)),
        None => return Err(Fault::new(Kind::PeerStatus(Code::Internal), "EOF")),
    };
    let parts = envelope::decode_unary_request(&first).map_err(|error| undecodable(&error))?;
    if !parts.has_message {
        let text = "parsing InternalInvokeRequest error: field Message is nil";
        return Err(Fault::new(Kind::PeerStatus(Code::InvalidArgument), text));
    }
    let body = Body::whole(parts.data_value.clone());
    let invoked = unless_reset(respond, invoke(lane, &parts, body, deadline)).await;
    let reply = invoked.unwrap_or_else(|| Err(cancelled()))?;
    answer::unary(respond, reply, lane.shared.limits.envelope).await
}

/// Checks the call and hands it to the app.
async fn invoke(
    lane: &Lane,
    parts: &RequestParts,
    body: Body,
    deadline: Option<Deadline>,
) -> Result<Reply, Fault> {
    let method = normalize_method(&parts.method)
        .map_err(|error| Fault::new(Kind::InvalidMethod, format!("invalid method: {error}")))?;
    let caller = parts.fields.get("dapr-caller-app-id");
    let seen = lane.metrics.arrived(caller);
    if parts.ver != envelope::VERSION {
        let text = format!(
            "error invoking app channel: rpc error: code = Unimplemented desc = Unsupported spec version: {}",
            parts.ver
        );
        return Err(Fault::new(Kind::PeerStatus(Code::Internal), text));
    }
    let arrival = Arrival {
        method: &method,
        verb: parts.verb,
        query: &parts.query,
        has_extension: parts.has_http_extension,
        content_type: parts.content_type.as_bytes(),
        type_url: &parts.type_url,
        fields: &parts.fields,
        length: None,
        body,
        deadline,
    };
    let started = Instant::now();
    let mut reply = deliver(lane, arrival).await;
    if let (Ok(reply), true) = (&mut reply, parts.fields.contains(TIMING)) {
        push_timing(&mut reply.fields, "app", started.elapsed());
    }
    lane.metrics.answered(
        &seen,
        reply.as_ref().map_or(0, |reply| reply.status.number()),
    );
    let reply = reply?;
    let events = wants_events(&parts.fields) && !is_from_grpc(&parts.fields);
    if events && matches!(reply.status, Status::Http(_)) && !reply.status.is_http_success() {
        // Pinned by the reference's suite, status and body of the app notwithstanding.
        return Err(Fault::new(
            Kind::AppBroken,
            "no response received from stream",
        ));
    }
    Ok(reply)
}

fn decode(message: &Bytes) -> Result<RequestMessage, Fault> {
    envelope::decode_request(message).map_err(|error| undecodable(&error))
}

fn undecodable(error: &envelope::DecodeError) -> Fault {
    let text = format!("grpc: error unmarshalling request: {error}");
    Fault::new(Kind::PeerStatus(Code::Internal), text)
}

fn receive_fault(error: &MessageError) -> Fault {
    let code = match error {
        MessageError::Frame(FrameError::TooLarge { .. }) => Code::ResourceExhausted,
        MessageError::Stream(_) => Code::Canceled,
        _ => Code::Internal,
    };
    Fault::new(Kind::PeerStatus(code), error.to_string())
}

/// The caller has reset the stream.
fn cancelled() -> Fault {
    Fault::new(Kind::PeerStatus(Code::Canceled), "context canceled")
}

/// The body of a streamed call as it arrives.
struct RequestBody {
    messages: Messages,
    seq: Sequence,
}

impl RequestBody {
    fn new(messages: Messages) -> Self {
        Self {
            messages,
            seq: Sequence::default(),
        }
    }

    /// A body value: whole if the stream has ended already.
    async fn into_body(mut self, first: Bytes) -> Body {
        if self.messages.is_end() {
            return Body::whole(first);
        }
        let next = poll_fn(|cx| Poll::Ready(self.poll_data(cx))).await;
        match next {
            Poll::Ready(None) => Body::whole(first),
            next => Body::Stream(Box::new(Started {
                first: Some(first).filter(|first| !first.is_empty()),
                next: match next {
                    Poll::Ready(next) => next,
                    Poll::Pending => None,
                },
                rest: self,
            })),
        }
    }
}

/// A body of which the first pieces have been read.
struct Started {
    first: Option<Bytes>,
    next: Option<Result<Bytes, BodyError>>,
    rest: RequestBody,
}

impl BodyStream for Started {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        match self.next.take() {
            Some(next) => Poll::Ready(Some(next)),
            None => self.rest.poll_data(cx),
        }
    }
}

impl BodyStream for RequestBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let broken = |text: String| Poll::Ready(Some(Err(BodyError::Broken(text))));
            let message = match ready!(self.messages.poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(message)) => message,
                Some(Err(error)) => return broken(format!("error receiving message: {error}")),
            };
            let message = match envelope::decode_request(&message) {
                Ok(message) => message,
                Err(error) => return broken(format!("error receiving message: {error}")),
            };
            if message.head.as_ref().is_some_and(RequestParts::is_leading) {
                return broken("request metadata found in non-leading chunk".to_owned());
            }
            match message.payload.map(|payload| self.seq.check(payload)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(checked) => return Poll::Ready(Some(checked)),
                None => {}
            }
        }
    }
}
