//! Unary calls of the gRPC API: one message in, one message or a status out.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use outrider_wire::grpc::{Code, FrameError, parse_timeout};
use prost::{DecodeError, Message};

use super::Status;
use crate::{
    lane::Lane,
    link::{
        message::{MessageError, Messages},
        upload::wait_for_window,
    },
};

/// Serves one call whose handler needs the message and nothing else of the request.
pub(super) async fn serve<Q, A, F>(
    lane: &Lane,
    req: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    handle: impl FnOnce(Q) -> F,
) where
    Q: Message + Default,
    A: Message,
    F: Future<Output = Result<A, Status>>,
{
    let (parts, recv) = req.into_parts();
    let work = async {
        let message = read(lane, &parts.headers, recv).await?;
        let answer = handle(message).await?;
        check_length(lane, answer.encoded_len())?;
        Ok(answer)
    };
    let work = async {
        match deadline(&parts.headers) {
            None => work.await,
            Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
                let text = "context deadline exceeded";
                Err(Status::new(Code::DeadlineExceeded, text))
            }),
        }
    };
    match unless_reset(&mut respond, work).await {
        Some(Ok(message)) => {
            answer(
                &mut respond,
                HeaderMap::new(),
                message.encode_to_vec().into(),
            )
            .await;
        }
        Some(Err(status)) => status.send(&mut respond),
        None => {}
    }
}

fn deadline(headers: &HeaderMap) -> Option<std::time::Duration> {
    let value = headers.get("grpc-timeout")?;
    parse_timeout(value.as_bytes()).ok()
}

/// What `work` comes to; none if the client gives up first, which drops it.
pub(super) async fn unless_reset<T>(
    respond: &mut SendResponse<Bytes>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => respond.poll_reset(cx).map(|_| None),
    })
    .await
}

/// Refuses an answer that clients would not take.
pub(super) fn check_length(lane: &Lane, length: usize) -> Result<(), Status> {
    let limit = lane.shared.limits.message;
    if length <= limit {
        return Ok(());
    }
    let text = format!("grpc: trying to send message larger than max ({length} vs. {limit})");
    Err(Status::new(Code::ResourceExhausted, text))
}

/// The one message of a request.
pub(super) async fn read<M: Message + Default>(
    lane: &Lane,
    headers: &HeaderMap,
    recv: RecvStream,
) -> Result<M, Status> {
    let mut messages = Messages::new(recv, lane.shared.limits.message);
    match poll_fn(|cx| messages.poll_next(cx)).await {
        Some(Ok(message)) => M::decode(message).map_err(|error| undecodable(&error)),
        Some(Err(MessageError::Frame(error))) => Err(unreadable(error, headers)),
        Some(Err(error)) => Err(Status::new(Code::Canceled, error.to_string())),
        None => Err(Status::new(
            Code::Internal,
            "grpc: the request has no message",
        )),
    }
}

/// In the words that grpc-go has for it.
fn undecodable(error: &DecodeError) -> Status {
    // There is no other way to ask.
    let why = if error.to_string().contains("not UTF-8") {
        "string field contains invalid UTF-8"
    } else {
        "proto: cannot parse invalid wire-format data"
    };
    let text = format!("grpc: error unmarshalling request: {why}");
    Status::new(Code::Internal, text)
}

fn unreadable(error: FrameError, headers: &HeaderMap) -> Status {
    let code = match error {
        FrameError::TooLarge { .. } => Code::ResourceExhausted,
        FrameError::Compressed => {
            let encoding = headers.get("grpc-encoding").map(HeaderValue::as_bytes);
            let encoding = String::from_utf8_lossy(encoding.unwrap_or_default());
            if !matches!(&*encoding, "" | "identity") {
                let name = outrider_core::quote::quote(&encoding);
                let text = format!("grpc: Decompressor is not installed for grpc-encoding {name}");
                return Status::new(Code::Unimplemented, text);
            }
            Code::Internal
        }
        FrameError::Flag(_) => Code::Internal,
    };
    Status::new(code, error.to_string())
}

/// Answers with a message and the status OK.
pub(super) async fn answer(respond: &mut SendResponse<Bytes>, headers: HeaderMap, message: Bytes) {
    let mut rsp = Response::new(());
    *rsp.headers_mut() = headers;
    rsp.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    let Ok(mut send) = respond.send_response(rsp, false) else {
        return;
    };
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    let Some(prefix) = outrider_wire::grpc::frame::prefix(message.len()) else {
        return;
    };
    framed.extend_from_slice(&prefix);
    framed.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    Status::new(Code::Ok, "").write(&mut trailers);
    if wait_for_window(&mut send).await.is_ok() && send.send_data(framed.freeze(), false).is_ok() {
        let _ = send.send_trailers(trailers);
    }
}
