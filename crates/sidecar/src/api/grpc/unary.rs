//! Unary calls of the gRPC API: one message in, one message or a status out.

use std::{
    future::{Future, poll_fn},
    io::Read,
};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, header, request::Parts};
use outrider_wire::grpc::{Code, frame};
use prost::{DecodeError, Message};
use tokio::time::Instant;

use super::Status;
use crate::{
    app_channel::grpc::put,
    call::{
        grpc::go_text,
        until::{in_time, unless_reset},
    },
    lane::Lane,
    link::{
        failure,
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
    /// When the client gives up.
    pub deadline: Option<Instant>,
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
                for (name, value) in &self.echo {
                    put(&mut ended.headers, name, value.clone());
                }
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
    let deadline = asked.deadline;
    let work = async |parts: Parts, recv| {
        let work = async {
            let message = read(lane, &parts.headers, recv).await?;
            let answer = handle(message).await?;
            check_length(lane, answer.encoded_len())?;
            Ok(answer)
        };
        let done = over(in_time(deadline, work).await);
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

/// The end of a call whose client has given up by then.
pub(super) fn over<T>(done: Option<Result<T, Status>>) -> Result<T, Status> {
    done.unwrap_or_else(|| Err(Status::too_late()))
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
    let limit = lane.shared.limits.message;
    let encoding = headers.get("grpc-encoding").map(HeaderValue::as_bytes);
    let is_gzip = encoding == Some(b"gzip");
    if let Some(unknown) = encoding
        && !matches!(unknown, b"" | b"identity" | b"gzip")
    {
        let name = outrider_core::quote::quote(&String::from_utf8_lossy(unknown));
        let text = format!("grpc: Decompressor is not installed for grpc-encoding {name}");
        return Err(Status::new(Code::Unimplemented, text));
    }
    let mut messages = match is_gzip {
        true => Messages::with_compressed(recv, limit),
        false => Messages::new(recv, limit),
    };
    match poll_fn(|cx| messages.poll_next(cx)).await {
        Some(Ok(message)) => {
            let message = match messages.is_compressed() {
                true => unpacked(&message, limit)?,
                false => message,
            };
            M::decode(message).map_err(|error| undecodable(&error))
        }
        Some(Err(MessageError::Frame(error))) => Err(failure::frame_status(error)),
        Some(Err(error @ MessageError::Cut)) => Err(Status::new(Code::Unknown, error.to_string())),
        Some(Err(error)) => Err(Status::new(Code::Canceled, error.to_string())),
        None => Err(Status::new(Code::Unknown, "EOF")),
    }
}

/// What is in a message that came compressed with gzip, if that is not too long.
fn unpacked(message: &[u8], limit: usize) -> Result<Bytes, Status> {
    let mut plain = Vec::new();
    // One byte more than allowed tells that there is more.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut reader = MultiGzDecoder::new(message).take(most);
    if let Err(error) = reader.read_to_end(&mut plain) {
        let text = format!("grpc: failed to decompress the received message: {error}");
        return Err(Status::new(Code::Internal, text));
    }
    if plain.len() > limit {
        let text = format!("grpc: received message after decompression larger than max {limit}");
        return Err(Status::new(Code::ResourceExhausted, text));
    }
    Ok(plain.into())
}

fn undecodable(error: &DecodeError) -> Status {
    let text = format!("grpc: error unmarshalling request: {}", go_text(error));
    Status::new(Code::Internal, text)
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
    let content_type = HeaderValue::from_static("application/grpc");
    put(rsp.headers_mut(), &header::CONTENT_TYPE, content_type);
    // Failing means that the client has gone, here and below.
    let Ok(mut send) = respond.send_response(rsp, false) else {
        return;
    };
    if status.is_ok() {
        let Some(framed) = frame::framed(&message) else {
            return;
        };
        if wait_for_window(&mut send).await.is_err() || send.send_data(framed, false).is_err() {
            return;
        }
    }
    status.write(&mut trailers);
    let _ = send.send_trailers(trailers);
}
