//! One attempt of a call over one connection: `CallLocalStream` as the caller speaks it
//! (contract `sidecar-protocol.md` 3.1), in full duplex, with `CallLocal` as fallback.

mod reply;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use outrider_wire::{
    envelope::{self, RequestHead, Verb},
    grpc::{Code, format_timeout},
};

use super::{
    connection::{Link, Started, StreamGuard},
    failure::{self, lost, unprocessed_or_lost},
    message::Messages,
    upload::{PIECE, UploadError, upload},
};
use crate::call::{Body, Call, Fault, Kind, Reply, Status, body::prefixed};

const STREAM_PATH: &str = "/dapr.proto.internals.v1.ServiceInvocation/CallLocalStream";
const UNARY_PATH: &str = "/dapr.proto.internals.v1.ServiceInvocation/CallLocal";

/// Trailer in which our sidecars name the kind of fault; others ignore it.
pub(crate) static FAULT_TRAILER: HeaderName = HeaderName::from_static("outrider-fault");

/// What the caller's sidecar adds to every call it sends to a peer.
pub(crate) struct Outgoing<'a> {
    /// The call; its body is sent separately, because an attempt may be one of several.
    pub call: &'a Call,
    /// Entries appended to the caller's own (`X-Forwarded-For` and kin).
    pub appended: &'a [(&'a str, &'a str)],
    /// Entries that replace the caller's (`dapr-caller-app-id` and kin).
    pub extra: &'a [(&'a str, &'a str)],
    /// Longest message taken from the peer.
    pub message_limit: usize,
}

/// Calls over `link`. The body is consumed as far as it was sent.
pub(crate) async fn call(link: &Rc<Link>, out: &Outgoing<'_>, body: Body) -> Result<Reply, Fault> {
    let guard = link.begin();
    let mut exchange = open(link, out, body, guard).await?;
    let headers = exchange.response_headers().await?;
    exchange.check_headers(&headers)?;
    let first = exchange.first_message().await?;
    let mut reply = reply::assemble(exchange, first).await?;
    if let Status::Grpc(end) = &mut reply.status {
        end.unreached = is_unreached(&headers);
    }
    Ok(reply)
}

/// Whether a sidecar of our kind says that its app surely has not seen the call.
pub(crate) fn is_unreached(headers: &HeaderMap) -> bool {
    let word = headers.get(&FAULT_TRAILER);
    word.is_some_and(|word| word == Kind::AppUnreachable.name())
}

/// Says that to the caller's sidecar; others ignore it.
pub(crate) fn say_unreached(headers: &mut HeaderMap) {
    let word = HeaderValue::from_static(Kind::AppUnreachable.name());
    headers.insert(&FAULT_TRAILER, word);
}

/// Calls in the unary form, which peers older than the streamed one understand.
pub(crate) async fn call_unary(
    link: &Rc<Link>,
    out: &Outgoing<'_>,
    body: Bytes,
) -> Result<Reply, Fault> {
    let guard = link.begin();
    let mut message = BytesMut::with_capacity(1024 + body.len());
    envelope::encode_unary_request(&mut message, &head(out), &body).map_err(|e| bad_field(&e))?;
    let (response, mut send) = start(link, out, UNARY_PATH).await?;
    send.send_data(message.freeze(), true)
        .map_err(|e| lost(&e))?;
    let mut exchange = Exchange::new(response, None, guard, out.message_limit);
    let headers = exchange.response_headers().await?;
    exchange.check_headers(&headers)?;
    let first = exchange.first_message().await?;
    let parts = envelope::decode_unary_response(&first).map_err(|e| reply::undecodable(&e))?;
    reply::from_unary(parts)
}

/// The running upload of a body that did not fit the first message.
pub(super) type Upload = Pin<Box<dyn Future<Output = Result<(), UploadError>>>>;

/// A stream under way.
pub(super) struct Exchange {
    response: Option<h2::client::ResponseFuture>,
    messages: Option<Messages>,
    upload: Option<Upload>,
    /// Why the body could not be sent, until somebody asks for the answer.
    failed: Option<crate::call::BodyError>,
    message_limit: usize,
    _guard: StreamGuard,
}

/// Opens the stream and sends head and first piece of the body in one go.
async fn open(
    link: &Rc<Link>,
    out: &Outgoing<'_>,
    mut body: Body,
    guard: StreamGuard,
) -> Result<Exchange, Fault> {
    // Before the body is touched: a connection that takes no more calls leaves it whole for another.
    let ready = link.ready().await.map_err(|error| unprocessed(&error))?;
    let mut first = body
        .ready()
        .await
        .map_err(|error| Fault::new(Kind::BadBody, error.to_string()))?;
    let piece = first.split_to(first.len().min(PIECE));
    let payload = (!piece.is_empty()).then_some((0, &piece[..]));
    let text = out.call.fields.text_len() + out.call.method.len() + out.call.query.len();
    let mut message = BytesMut::with_capacity(text + piece.len() + 768);
    envelope::encode_request(&mut message, &head(out), payload).map_err(|e| bad_field(&e))?;
    let started = link.start(ready, request(out, STREAM_PATH), false);
    let (response, mut send) = started.map_err(|error| unprocessed(&error))?;
    let rest = prefixed(first, body);
    let whole = rest.is_empty();
    send.send_data(message.freeze(), whole)
        .map_err(|e| lost(&e))?;
    let seq = u64::from(payload.is_some());
    let upload = (!whole).then(|| Box::pin(upload(rest, send, seq)) as Upload);
    Ok(Exchange::new(response, upload, guard, out.message_limit))
}

fn head<'a>(out: &'a Outgoing<'_>) -> RequestHead<'a> {
    let call = out.call;
    let (content_type, type_url, http_extension) = call.described();
    RequestHead {
        type_url,
        http_extension,
        query: &call.query,
        content_type: std::str::from_utf8(content_type).unwrap_or_default(),
        canonical: false,
        appended: out.appended,
        extra: out.extra,
        verb: call.verb,
        ..RequestHead::new(&call.method, Verb::None, &call.fields)
    }
}

fn bad_field(error: &envelope::EncodeError) -> Fault {
    // A peer that is not ours would refuse the whole message, in these words.
    let text = match error {
        envelope::EncodeError::NotUtf8 { .. } => {
            "error sending message: rpc error: code = Internal desc = grpc: error while \
             marshaling: string field contains invalid UTF-8"
                .to_owned()
        }
        other => other.to_string(),
    };
    Fault::new(Kind::BadField, text)
}

fn unprocessed(error: &h2::Error) -> Fault {
    Fault::new(Kind::PeerUnprocessed, failure::text(error))
}

/// Queues the request's HEADERS frame.
async fn start(link: &Link, out: &Outgoing<'_>, path: &'static str) -> Result<Started, Fault> {
    let ready = link.ready().await.map_err(|error| unprocessed(&error))?;
    let started = link.start(ready, request(out, path), false);
    started.map_err(|error| unprocessed(&error))
}

fn request(out: &Outgoing<'_>, path: &'static str) -> Request<()> {
    let mut req = Request::new(());
    *req.method_mut() = Method::POST;
    *req.uri_mut() = link_uri(path);
    let headers = req.headers_mut();
    headers.reserve(4);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    if let Some(deadline) = out.call.deadline {
        tell_deadline(headers, deadline);
    }
    if let Some(context) = out.call.fields.get("traceparent")
        && let Ok(mut context) = HeaderValue::from_bytes(context)
    {
        // Sidecars of the reference go on from here (contract `sidecar-protocol.md` 13). No two
        // calls have the same, so it is not to fill the table of known fields.
        context.set_sensitive(true);
        headers.insert("traceparent", context);
    }
    req
}

static TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Tells the far end what is left until then. A map that is full is left as it is, because whoever
/// filled it came from outside.
pub(crate) fn tell_deadline(headers: &mut HeaderMap, deadline: tokio::time::Instant) {
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    let value = HeaderValue::from_str(&format_timeout(left));
    let mut value = value.unwrap_or(HeaderValue::from_static("0n"));
    // No two calls have the same, so it is not to fill the table of known fields.
    value.set_sensitive(true);
    let _ = headers.try_insert(&TIMEOUT, value);
}

pub(crate) const USER_AGENT: &str = concat!("outrider/", env!("CARGO_PKG_VERSION"));

/// The authority of an internal call is ignored by every callee; a fixed one compresses to a byte.
fn link_uri(path: &'static str) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    parts.authority = Some(http::uri::Authority::from_static("outrider"));
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(path));
    Uri::from_parts(parts).unwrap_or_default()
}

impl Exchange {
    fn new(
        response: h2::client::ResponseFuture,
        upload: Option<Upload>,
        guard: StreamGuard,
        message_limit: usize,
    ) -> Self {
        Self {
            response: Some(response),
            messages: None,
            upload,
            failed: None,
            message_limit,
            _guard: guard,
        }
    }

    /// Goes on sending the body.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) {
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(sent) = upload.as_mut().poll(cx)
        {
            self.upload = None;
            // Whether all was sent or the peer takes no more: the answer decides.
            if let Err(UploadError::Body(error)) = sent {
                self.failed = Some(error);
            }
        }
    }

    /// Goes on sending the body. Ready only if the body failed: then the call has failed.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<crate::call::BodyError> {
        self.poll_progress(cx);
        self.failed.take().map_or(Poll::Pending, Poll::Ready)
    }

    async fn response_headers(&mut self) -> Result<HeaderMap, Fault> {
        let response = poll_fn(|cx| {
            if let Poll::Ready(error) = self.poll_upload(cx) {
                return Poll::Ready(Err(Fault::new(Kind::BadBody, error.to_string())));
            }
            match &mut self.response {
                Some(response) => Pin::new(response)
                    .poll(cx)
                    .map_err(|error| unprocessed_or_lost(&error)),
                None => Poll::Ready(Err(Fault::new(Kind::PeerProtocol, "response read twice"))),
            }
        })
        .await?;
        self.response = None;
        let (head, recv) = response.into_parts();
        self.messages = Some(Messages::new(recv, self.message_limit));
        if head.status != http::StatusCode::OK {
            let text = format!(
                "unexpected HTTP status code received from server: {}",
                head.status.as_u16()
            );
            return Err(Fault::new(Kind::PeerStatus(Code::Unknown), text));
        }
        Ok(head.headers)
    }

    /// An answer that consists of trailers only carries the status in its first headers.
    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Fault> {
        match failure::status_of(headers) {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    async fn first_message(&mut self) -> Result<Bytes, Fault> {
        match poll_fn(|cx| self.poll_message(cx)).await {
            Some(Ok(message)) => Ok(message),
            Some(Err(fault)) => Err(fault),
            // A stream that ends well without a word (contract `sidecar-protocol.md` 3.1, 7).
            None => Err(Fault::new(Kind::PeerProtocol, "EOF")),
        }
    }

    /// The next message; at the end the trailers are read, and a status other than OK is a fault.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        if let Poll::Ready(error) = self.poll_upload(cx) {
            return Poll::Ready(Some(Err(Fault::new(Kind::BadBody, error.to_string()))));
        }
        let Some(messages) = &mut self.messages else {
            return Poll::Ready(None);
        };
        match std::task::ready!(messages.poll_next(cx)) {
            Some(Ok(message)) => Poll::Ready(Some(Ok(message))),
            Some(Err(error)) => Poll::Ready(Some(Err(failure::message(&error)))),
            None => match std::task::ready!(messages.poll_trailers(cx)) {
                Ok(Some(trailers)) => Poll::Ready(failure::status_of(&trailers).map(Err)),
                Ok(None) => Poll::Ready(Some(Err(Fault::new(
                    Kind::PeerProtocol,
                    "rpc error: code = Internal desc = server closed the stream without sending trailers",
                )))),
                Err(error) => Poll::Ready(Some(Err(lost(&error)))),
            },
        }
    }
}
