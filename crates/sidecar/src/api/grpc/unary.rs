//! Unary calls of the gRPC API: one message in, one message or a status out.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, header, request::Parts};
use outrider_wire::grpc::{Code, FrameError, frame, parse_timeout};
use prost::{DecodeError, Message};
use tokio::time::Instant;

use super::Status;
use crate::{
    lane::Lane,
    link::{
        message::{MessageError, Messages},
        upload::wait_for_window,
    },
};

/// A call that waits for its answer.
pub(super) struct Asked {
    /// The request.
    pub req: Request<RecvStream>,
    /// Where the answer goes.
    pub respond: SendResponse<Bytes>,
    /// Headers of any answer.
    pub echo: HeaderMap,
}

/// How a call ends.
#[derive(Default)]
pub(super) struct Ended {
    /// Initial metadata.
    pub headers: HeaderMap,
    /// The answer, if the status is OK.
    pub message: Bytes,
    /// Trailing metadata.
    pub trailers: HeaderMap,
    /// The status.
    pub status: Status,
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

impl Asked {
    /// Serves the call: `handle` sees head and body and says how it ends. Returns the code.
    pub(super) async fn answer<F>(mut self, handle: impl FnOnce(Parts, RecvStream) -> F) -> i32
    where
        F: Future<Output = Ended>,
    {
        let (parts, recv) = self.req.into_parts();
        match unless_reset(&mut self.respond, handle(parts, recv)).await {
            Some(mut ended) => {
                ended.headers.extend(self.echo);
                let code = ended.status.code;
                send(&mut self.respond, ended).await;
                code
            }
            None => Code::Canceled.number(),
        }
    }

    /// Ends the call. Returns the code.
    pub(super) fn refuse(mut self, status: &Status) -> i32 {
        status.send_with(&mut self.respond, self.echo);
        status.code
    }
}

/// Serves one call whose handler needs the message and nothing else of the request. Returns the
/// code it ended with.
pub(super) async fn serve<Q, A, F>(lane: &Lane, asked: Asked, handle: impl FnOnce(Q) -> F) -> i32
where
    Q: Message + Default,
    A: Message,
    F: Future<Output = Result<A, Status>>,
{
    let work = async |parts: Parts, recv| {
        let work = async {
            let message = read(lane, &parts.headers, recv).await?;
            let answer = handle(message).await?;
            check_length(lane, answer.encoded_len())?;
            Ok(answer)
        };
        let done = match deadline(&parts.headers) {
            None => work.await,
            Some(limit) => tokio::time::timeout_at(limit, work)
                .await
                .unwrap_or_else(|_| {
                    let text = "context deadline exceeded";
                    Err(Status::new(Code::DeadlineExceeded, text))
                }),
        };
        match done {
            Ok(message) => Ended {
                message: message.encode_to_vec().into(),
                ..Ended::default()
            },
            Err(status) => status.into(),
        }
    };
    asked.answer(work).await
}

/// When the client gives up.
pub(super) fn deadline(headers: &HeaderMap) -> Option<Instant> {
    let value = headers.get("grpc-timeout")?;
    let timeout = parse_timeout(value.as_bytes()).ok()?;
    Some(Instant::now() + timeout)
}

/// What `work` comes to; none if the client gives up first, which drops it.
async fn unless_reset<T>(
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

/// Sends head, message and status in one go. Clients tell initial metadata from trailing by the
/// frame, so an error has a head of its own if there is any of it.
async fn send(respond: &mut SendResponse<Bytes>, ended: Ended) {
    let Ended {
        headers,
        message,
        mut trailers,
        status,
    } = ended;
    if !status.is_ok() && headers.is_empty() {
        return status.send_with(respond, trailers);
    }
    let mut rsp = Response::new(());
    *rsp.headers_mut() = headers;
    rsp.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    // Failing means that the client has gone, here and below.
    let Ok(mut send) = respond.send_response(rsp, false) else {
        return;
    };
    if status.is_ok() {
        let Some(prefix) = frame::prefix(message.len()) else {
            return;
        };
        let mut framed = BytesMut::with_capacity(message.len() + prefix.len());
        framed.extend_from_slice(&prefix);
        framed.extend_from_slice(&message);
        if wait_for_window(&mut send).await.is_err()
            || send.send_data(framed.freeze(), false).is_err()
        {
            return;
        }
    }
    status.write(&mut trailers);
    let _ = send.send_trailers(trailers);
}
