//! The API over HTTP/2 without TLS: by prior knowledge, or gone on to from HTTP/1.1.

use std::{
    future::{Future, poll_fn},
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderName, HeaderValue, Request as Http2Request, StatusCode, header};
use outrider_wire::{
    Fields,
    http1::{Framing, RequestHead},
};
use tokio::task::spawn_local;

use crate::{
    api::http::Api,
    call::{Body, BodyError, BodyStream},
    http1::{Handler, Request, Response, Sent},
    io::Stream,
    link::{io::Gathered, upload::wait_beside},
    listen::connection::serve_http2,
};

/// What HTTP/1.1 heads may have more than HTTP/2 header lists (contract `http-api.md` 1).
const HEAD_SLACK: usize = 4096 - 320;

/// Serves a connection whose first bytes have been read already.
pub(super) async fn serve(api: Api, stream: Stream, early: Vec<u8>, upgraded: Option<RequestHead>) {
    let lane = Rc::clone(&api.lane);
    let gathered = match &upgraded {
        None => Gathered::new(stream, early),
        Some(head) => Gathered::upgraded(stream, early, headers_frame(head)),
    };
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(1024 * 1024)
        .initial_connection_window_size(crate::link::connection::CONNECTION_WINDOW)
        .max_frame_size(1024 * 1024)
        .max_concurrent_streams(250)
        .max_pending_accept_reset_streams(1000)
        .max_header_list_size(
            u32::try_from(lane.shared.limits.head.saturating_sub(HEAD_SLACK)).unwrap_or(u32::MAX),
        );
    let api = Rc::new(api);
    serve_http2(
        &builder,
        gathered,
        lane.shared.drain.subscribe(),
        |req, respond, open| {
            let api = Rc::clone(&api);
            spawn_local(async move {
                handle(api, req, respond).await;
                drop(open);
            });
        },
    )
    .await;
}

/// One request.
async fn handle(api: Rc<Api>, req: Http2Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (parts, recv) = req.into_parts();
    let fields = fields(&parts.headers);
    if parts.headers.get(header::EXPECT) == Some(&CONTINUE) && !recv.is_end_stream() {
        let mut go_on = http::Response::new(());
        *go_on.status_mut() = StatusCode::CONTINUE;
        // Failing means that the client has gone.
        let _ = respond.send_informational(go_on);
    }
    let length = fields
        .get("content-length")
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|text| text.parse().ok());
    let (body, framing) = if recv.is_end_stream() {
        (Body::Empty, Framing::Empty)
    } else {
        let limit = api.lane.shared.limits.body;
        let framing = length.map_or(Framing::Chunked, Framing::Length);
        (
            Body::Stream(Box::new(Http2Body {
                recv,
                allowed: limit,
            })),
            framing,
        )
    };
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let head = RequestHead::of_http2(parts.method.as_str(), target, fields, framing);
    let is_head = head.method() == "HEAD";
    let mut work = std::pin::pin!(api.handle(Request { head, body }));
    let rsp = poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(rsp) => Poll::Ready(Some(rsp)),
        // The client has reset the stream: the call is dropped, which cancels it.
        Poll::Pending => respond.poll_reset(cx).map(|_| None),
    })
    .await;
    if let Some(rsp) = rsp {
        let (sent, record) = answer(&api, &mut respond, rsp, is_head).await;
        api.finished(record, sent);
    }
}

const CONTINUE: HeaderValue = HeaderValue::from_static("100-continue");

/// The fields that travel: what belongs to the connection does not, as in HTTP/1.1. Cookies may come
/// in crumbs, which are one field to who knows HTTP/1.1 (RFC 9113 8.2.3).
fn fields(headers: &http::HeaderMap) -> Fields {
    let mut fields = Fields::with_capacity(512, headers.len() + 8);
    let mut cookies = Vec::new();
    for (name, value) in headers {
        match name.as_str() {
            "host" | "trailer" | "transfer-encoding" => {}
            "expect" if value == CONTINUE => {}
            "cookie" => cookies.push(value.as_bytes()),
            name => fields.push_canonical(name.as_bytes(), value.as_bytes()),
        }
    }
    if !cookies.is_empty() {
        fields.push(b"Cookie", &cookies.join(&b"; "[..]));
    }
    fields
}

async fn answer<R>(
    api: &Api,
    respond: &mut SendResponse<Bytes>,
    rsp: Response<R>,
    is_head: bool,
) -> (Sent, R) {
    let Response {
        status,
        fields,
        mut body,
        record,
        ..
    } = rsp;
    let mut sent = Sent::default();
    // HTTP/2 has no such thing, and as an answer it would end the connection (RFC 9113 8.6).
    let status = if status == 101 { 200 } else { status };
    let mut head = http::Response::new(());
    *head.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in fields.iter() {
        if outrider_wire::headers::is_hop_by_hop(name) {
            continue;
        }
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            head.headers_mut().append(name, value);
        }
    }
    if !head.headers().contains_key(header::DATE)
        && let Ok(date) = HeaderValue::from_bytes(&api.lane.date.now())
    {
        head.headers_mut().insert(header::DATE, date);
    }
    match &body {
        Body::Empty if !is_head && !matches!(status, 204 | 304) => {
            head.headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        }
        Body::Whole(whole) if !is_head && rsp.sizing == crate::http1::Sizing::Length => {
            head.headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
        }
        _ => {}
    }
    let end = body.is_empty() || is_head || matches!(status, 204 | 304);
    let Ok(mut send) = respond.send_response(head, end) else {
        return (sent, record);
    };
    sent.complete = end || write(&mut send, &mut body, &mut sent.bytes).await;
    (sent, record)
}

/// Sends the body; false if either side broke off. A body that breaks resets the stream, so that
/// the client can't take it for whole.
async fn write(send: &mut SendStream<Bytes>, body: &mut Body, bytes: &mut u64) -> bool {
    loop {
        let piece = poll_fn(|cx| match body.poll_data(cx) {
            Poll::Pending => send
                .poll_reset(cx)
                .map(|_| Some(Err(BodyError::ClientGone))),
            ready => ready,
        })
        .await;
        match piece {
            None => return send.send_data(Bytes::new(), true).is_ok(),
            Some(Err(_)) => {
                send.send_reset(h2::Reason::INTERNAL_ERROR);
                return false;
            }
            Some(Ok(piece)) => {
                *bytes += piece.len() as u64;
                let end = body.is_empty();
                let room = wait_beside(send, |cx| body.poll_progress(cx));
                if room.await.is_err() || send.send_data(piece, end).is_err() {
                    return false;
                }
                if end {
                    return true;
                }
            }
        }
    }
}

/// A request body as it arrives.
struct Http2Body {
    recv: RecvStream,
    allowed: u64,
}

impl BodyStream for Http2Body {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match ready!(self.recv.poll_data(cx)) {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyError::ClientGone))),
                Some(Ok(data)) => {
                    let _ = self.recv.flow_control().release_capacity(data.len());
                    if data.len() as u64 > self.allowed {
                        return Poll::Ready(Some(Err(BodyError::TooLarge)));
                    }
                    self.allowed -= data.len() as u64;
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}

/// The upgraded request as the HEADERS frame of stream 1, every field as a literal that is not
/// indexed (RFC 7541 6.2.2), so that the compression state of the connection is untouched.
fn headers_frame(head: &RequestHead) -> Vec<u8> {
    let mut block = Vec::with_capacity(512);
    literal(&mut block, b":method", head.method().as_bytes());
    literal(&mut block, b":scheme", b"http");
    literal(&mut block, b":path", head.target().as_bytes());
    for (name, value) in head.fields.iter() {
        if !outrider_wire::headers::is_hop_by_hop(name) {
            literal(&mut block, &name.to_ascii_lowercase(), value);
        }
    }
    let length = u32::try_from(block.len()).unwrap_or(0).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3]];
    // HEADERS with END_STREAM and END_HEADERS on stream 1.
    frame.extend_from_slice(&[0x1, 0x5, 0, 0, 0, 1]);
    frame.extend_from_slice(&block);
    frame
}

fn literal(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0);
    for text in [name, value] {
        let mut length = text.len();
        if length < 127 {
            block.push(length as u8);
        } else {
            block.push(127);
            length -= 127;
            while length >= 128 {
                block.push((length % 128) as u8 | 128);
                length /= 128;
            }
            block.push(length as u8);
        }
        block.extend_from_slice(text);
    }
}
