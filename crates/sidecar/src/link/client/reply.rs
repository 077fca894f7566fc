//! From the peer's messages to a reply.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use outrider_wire::{
    envelope::{self, DecodeError, ResponseParts},
    grpc::Code,
    http1::MAX_FIELDS,
};

use super::Exchange;
use crate::call::{
    Body, BodyError, BodyStream, Fault, Kind, Reply, Status,
    grpc::{GrpcEnd, GrpcStatus},
};
use crate::link::message::Sequence;

/// Reads the first message and, if it has already come, the end.
pub(super) async fn assemble(mut exchange: Exchange, first: Bytes) -> Result<Reply, Fault> {
    let message = envelope::decode_response(&first).map_err(|error| undecodable(&error))?;
    let parts = match message.head {
        Some(parts) if parts.has_status => parts,
        _ => {
            return Err(Fault::new(
                Kind::PeerProtocol,
                "response does not contain the required fields in the leading chunk",
            ));
        }
    };
    let mut seq = Sequence::default();
    let first = message
        .payload
        .map(|payload| seq.check(payload))
        .transpose();
    let first = first.map_err(|error| Fault::new(Kind::PeerProtocol, error.to_string()))?;
    let first = first.unwrap_or_default();
    // Most answers are whole by now: then there is no stream to carry around.
    let next = poll_fn(|cx| Poll::Ready(exchange.poll_message(cx))).await;
    let body = match next {
        Poll::Ready(None) => Body::whole(first),
        Poll::Ready(Some(Err(fault))) if first.is_empty() => return Err(fault),
        next => Body::Stream(Box::new(PeerBody {
            exchange,
            first: Some(first).filter(|first| !first.is_empty()),
            next: match next {
                Poll::Ready(Some(next)) => Some(next),
                _ => None,
            },
            seq,
        })),
    };
    reply(parts, body)
}

/// A reply in the unary form.
pub(super) fn from_unary(parts: ResponseParts) -> Result<Reply, Fault> {
    if !parts.has_status {
        return Err(Fault::new(
            Kind::PeerProtocol,
            "response does not contain the required fields in the leading chunk",
        ));
    }
    let body = Body::whole(parts.data_value.clone());
    reply(parts, body)
}

pub(super) fn undecodable(error: &DecodeError) -> Fault {
    let text = format!("grpc: failed to unmarshal the received message: {error}");
    Fault::new(Kind::PeerStatus(Code::Internal), text)
}

fn reply(parts: ResponseParts, body: Body) -> Result<Reply, Fault> {
    if parts.fields.len() + parts.trailers.len() > MAX_FIELDS {
        let text = format!("the peer answered with more than {MAX_FIELDS} header fields");
        return Err(Fault::new(Kind::PeerProtocol, text));
    }
    let status = match u16::try_from(parts.status) {
        Ok(status @ (101 | 200..=999)) => status,
        Ok(status @ 100..=199) => {
            let text = format!("the peer answered with the interim status {status}");
            return Err(Fault::new(Kind::PeerProtocol, text));
        }
        // Of an event stream, 0 means 2xx (contract `sidecar-protocol.md` 6).
        Ok(0) if !parts.has_message => 200,
        _ => return Ok(from_grpc_app(parts, body)),
    };
    let mut fields = parts.fields;
    // The message's own word counts, and it is that of the header almost always.
    let content_type = parts.content_type.as_bytes();
    if fields.get("content-type").unwrap_or_default() != content_type {
        fields.set(b"Content-Type", content_type);
    }
    Ok(Reply {
        status: Status::Http(status),
        fields,
        body,
    })
}

fn from_grpc_app(parts: ResponseParts, body: Body) -> Reply {
    Reply {
        status: Status::Grpc(Box::new(GrpcEnd {
            status: GrpcStatus {
                code: parts.status,
                message: parts.status_message,
                details: parts.details,
            },
            trailers: parts.trailers,
            content_type: parts.content_type,
            type_url: parts.type_url,
            unreached: false,
        })),
        fields: parts.fields,
        body,
    }
}

/// The body of an answer that goes on arriving, and of a request that may still be leaving.
struct PeerBody {
    exchange: Exchange,
    first: Option<Bytes>,
    /// A message read while looking for the end.
    next: Option<Result<Bytes, Fault>>,
    seq: Sequence,
}

impl BodyStream for PeerBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            let next = match self.next.take() {
                Some(next) => Some(next),
                None => ready!(self.exchange.poll_message(cx)),
            };
            let message = match next {
                None => return Poll::Ready(None),
                Some(Ok(message)) => message,
                Some(Err(fault)) => return Poll::Ready(Some(Err(broken(&fault)))),
            };
            let message = match envelope::decode_response(&message) {
                Ok(message) => message,
                Err(error) => return Poll::Ready(Some(Err(broken(&undecodable(&error))))),
            };
            if message.head.as_ref().is_some_and(ResponseParts::is_leading) {
                let text = "response metadata found in non-leading chunk".to_owned();
                return Poll::Ready(Some(Err(BodyError::Broken(text))));
            }
            match message.payload.map(|payload| self.seq.check(payload)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(checked) => return Poll::Ready(Some(checked)),
                None => {}
            }
        }
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>) {
        self.exchange.poll_progress(cx);
    }
}

fn broken(fault: &Fault) -> BodyError {
    BodyError::Broken(format!("error receiving message: {}", fault.text()))
}
