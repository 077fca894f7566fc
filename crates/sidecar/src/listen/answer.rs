//! How an internal call ends on the wire.

use bytes::{Bytes, BytesMut};
use h2::{SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Response, header};
use outrider_wire::{
    envelope::{self, ResponseHead},
    grpc::{Code, encode_message},
};

use crate::{
    call::{Fault, Kind, Reply, Status, body::prefixed},
    link::{
        client::{FAULT_TRAILER, say_unreached},
        upload::{PIECE, UploadError, send_pieces, wait_for_window},
    },
};

/// Ends a call that has not been answered yet with a fault's status.
pub(super) fn refuse(respond: &mut SendResponse<Bytes>, fault: &Fault) {
    let (code, message) = fault.peer_status();
    let mut headers = status(code, &message);
    headers.insert(header::CONTENT_TYPE, GRPC);
    if let Ok(name) = HeaderValue::from_str(fault.name()) {
        headers.insert(&FAULT_TRAILER, name);
    }
    send_head(respond, headers, true);
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

fn send_head(
    respond: &mut SendResponse<Bytes>,
    headers: HeaderMap,
    end: bool,
) -> Option<SendStream<Bytes>> {
    let mut rsp = Response::new(());
    *rsp.headers_mut() = headers;
    // Failing means that the caller has gone; it is not told.
    respond.send_response(rsp, end).ok()
}

fn status(code: Code, message: &str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert("grpc-status", HeaderValue::from(code.number()));
    if !message.is_empty()
        && let Ok(message) = HeaderValue::from_str(&encode_message(message))
    {
        headers.insert("grpc-message", message);
    }
    headers
}

/// Sends the app's answer as `CallLocalStream` wants it: head and first piece in one message, more
/// pieces as they come, then the status. A body that breaks ends with an error status, so that the
/// caller can't take it for whole.
pub(super) async fn stream(
    respond: &mut SendResponse<Bytes>,
    mut reply: Reply,
) -> Result<(), Fault> {
    let mut body = std::mem::take(&mut reply.body);
    let mut first = body
        .ready()
        .await
        .map_err(|error| Fault::new(Kind::PeerStatus(Code::Unknown), error.to_string()))?;
    let piece = first.split_to(first.len().min(PIECE));
    let payload = (!piece.is_empty()).then_some((0, &piece[..]));
    let mut message = BytesMut::with_capacity(reply.fields.text_len() + piece.len() + 512);
    envelope::encode_response(&mut message, &head(&reply), payload)
        .map_err(|error| Fault::new(Kind::PeerStatus(Code::Internal), error.to_string()))?;
    let mut headers = HeaderMap::with_capacity(1);
    headers.insert(header::CONTENT_TYPE, GRPC);
    if matches!(&reply.status, Status::Grpc(end) if end.unreached) {
        // To others this is an answer like any other; ours may ask another instance.
        say_unreached(&mut headers);
    }
    let Some(mut send) = send_head(respond, headers, false) else {
        return Ok(());
    };
    if send.send_data(message.freeze(), false).is_err() {
        return Ok(());
    }
    let mut rest = prefixed(first, body);
    let end = send_pieces(&mut rest, &mut send, u64::from(payload.is_some())).await;
    let trailers = match end {
        Ok(()) => status(Code::Ok, ""),
        Err(UploadError::Body(error)) => status(Code::Unknown, &error.to_string()),
        Err(UploadError::Stopped) => return Ok(()),
    };
    let _ = send.send_trailers(trailers);
    Ok(())
}

fn head(reply: &Reply) -> ResponseHead<'_> {
    let head = ResponseHead {
        content_type: std::str::from_utf8(reply.content_type()).unwrap_or_default(),
        canonical: false,
        ..ResponseHead::new(reply.status.number(), &reply.fields)
    };
    match &reply.status {
        Status::Http(_) => head,
        Status::Grpc(end) => ResponseHead {
            status_message: &end.status.message,
            details: &end.status.details,
            type_url: &end.type_url,
            trailers: Some(&end.trailers),
            ..head
        },
    }
}

/// Sends the app's answer in the unary form: one message with the whole body.
pub(super) async fn unary(
    respond: &mut SendResponse<Bytes>,
    mut reply: Reply,
    limit: usize,
) -> Result<(), Fault> {
    let body = match std::mem::take(&mut reply.body).collect(limit).await {
        Ok(body) => body,
        Err(Ok(_)) => {
            let text = format!("grpc: trying to send message larger than max ({limit})");
            return Err(Fault::new(Kind::PeerStatus(Code::ResourceExhausted), text));
        }
        Err(Err(error)) => {
            return Err(Fault::new(
                Kind::PeerStatus(Code::Unknown),
                error.to_string(),
            ));
        }
    };
    let mut message = BytesMut::with_capacity(reply.fields.text_len() + body.len() + 512);
    envelope::encode_unary_response(&mut message, &head(&reply), &body)
        .map_err(|error| Fault::new(Kind::PeerStatus(Code::Internal), error.to_string()))?;
    let mut headers = HeaderMap::with_capacity(1);
    headers.insert(header::CONTENT_TYPE, GRPC);
    if let Some(mut send) = send_head(respond, headers, false) {
        let _ = wait_for_window(&mut send).await;
        let _ = send.send_data(message.freeze(), false);
        let _ = send.send_trailers(status(Code::Ok, ""));
    }
    Ok(())
}
