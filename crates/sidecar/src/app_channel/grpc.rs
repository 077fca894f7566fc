//! Calls to the app over gRPC: `AppCallback`, its health check, and streams passed through
//! (contract `grpc-api.md` 5, 9).

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header, uri};
use outrider_trust::Connector;
use outrider_wire::grpc::{Code, frame};
use tokio::time::Instant;

use crate::{
    call::grpc::GrpcStatus,
    link::{
        client::{USER_AGENT, tell_deadline},
        end::{AppEnd, End},
        failure,
        message::{MessageError, Messages},
        pool::Group,
        raw::{self, BodySource, Sending},
    },
};

const ON_INVOKE: &str = "/dapr.proto.runtime.v1.AppCallback/OnInvoke";
const HEALTH_CHECK: &str = "/dapr.proto.runtime.v1.AppCallbackHealthCheck/HealthCheck";

/// The app beside this sidecar, as one lane sees it.
pub(crate) struct GrpcApp {
    origin: Origin,
    end: End,
    group: Rc<Group>,
    /// Longest message, either way.
    limit: usize,
}

/// How a unary call of the app ended.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// Initial metadata.
    pub headers: HeaderMap,
    /// The message, if there was one.
    pub message: Bytes,
    /// Trailing metadata.
    pub trailers: HeaderMap,
    /// The status; also that of a call that got nowhere.
    pub status: GrpcStatus,
    /// The app could not be reached, so it surely has not seen the call.
    pub unreached: bool,
}

/// Why a call of the app has no answer.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    /// What a gRPC client makes of it.
    pub status: GrpcStatus,
    /// The app could not be reached, so it surely has not seen the call.
    pub unreached: bool,
}

impl GrpcApp {
    /// The app at `addr` (`host:port`).
    pub(super) fn new(addr: &str, tls: Option<Connector>, limit: usize) -> Self {
        Self {
            origin: Origin {
                scheme: match tls {
                    Some(_) => uri::Scheme::HTTPS,
                    None => uri::Scheme::HTTP,
                },
                // The app's own name means nothing to it.
                authority: addr
                    .parse()
                    .unwrap_or(uri::Authority::from_static("localhost")),
            },
            end: End::App(Rc::new(AppEnd {
                addr: addr.to_owned(),
                tls,
            })),
            group: Rc::default(),
            limit,
        }
    }

    /// Asks whether the app is healthy. An error tells why not.
    pub(crate) async fn check_health(&self) -> Result<(), String> {
        let status = self
            .unary(HEALTH_CHECK, HeaderMap::new(), &[], None)
            .await
            .status;
        match status.is_ok() {
            true => Ok(()),
            false => Err(outrider_wire::grpc::rpc_error_text_of(
                status.code,
                &status.message,
            )),
        }
    }

    /// `OnInvoke` with that message.
    pub(crate) async fn on_invoke(
        &self,
        metadata: HeaderMap,
        message: &[u8],
        deadline: Option<Instant>,
    ) -> Answered {
        self.unary(ON_INVOKE, metadata, message, deadline).await
    }

    async fn unary(
        &self,
        path: &'static str,
        mut metadata: HeaderMap,
        message: &[u8],
        deadline: Option<Instant>,
    ) -> Answered {
        let content_type = HeaderValue::from_static("application/grpc");
        put(&mut metadata, &header::CONTENT_TYPE, content_type);
        say_transport(&mut metadata);
        if let Some(deadline) = deadline {
            tell_deadline(&mut metadata, deadline);
        }
        let body = match framed(message, self.limit) {
            Ok(body) => body,
            Err(status) => return status.into(),
        };
        let path = uri::PathAndQuery::from_static(path);
        match self.exchange(&path, || metadata.clone(), &body).await {
            Ok((response, sending)) => read(response, sending, self.limit).await,
            Err(NoAnswer { status, unreached }) => Answered {
                status,
                unreached,
                ..Answered::default()
            },
        }
    }

    /// Opens a stream and waits for the head of its answer; `metadata` is asked for each attempt, and
    /// has what [`say_transport`] adds.
    pub(crate) async fn exchange(
        &self,
        path: &uri::PathAndQuery,
        metadata: impl Fn() -> HeaderMap,
        body: &impl BodySource,
    ) -> Result<(Response<RecvStream>, Sending), NoAnswer> {
        let request = || request(&self.origin, path, metadata());
        let answered = raw::exchange(&self.group, &self.end, request, body).await;
        answered.map_err(|error| match error {
            raw::NoAnswer::Unreached(error) => NoAnswer {
                status: GrpcStatus::new(Code::Unavailable, error.to_string()),
                unreached: true,
            },
            raw::NoAnswer::Broken(broken) => broken.status().into(),
        })
    }
}

impl From<GrpcStatus> for NoAnswer {
    fn from(status: GrpcStatus) -> Self {
        Self {
            status,
            unreached: false,
        }
    }
}

/// Whom a request is for.
pub(crate) struct Origin {
    /// Some servers refuse one that does not fit the connection.
    pub scheme: uri::Scheme,
    /// Host and port.
    pub authority: uri::Authority,
}

/// Adds what the transport itself says, whatever the metadata has.
pub(crate) fn say_transport(metadata: &mut HeaderMap) {
    put(metadata, &header::TE, HeaderValue::from_static("trailers"));
    let agent = HeaderValue::from_static(USER_AGENT);
    put(metadata, &header::USER_AGENT, agent);
}

/// A gRPC request, whose metadata has what [`say_transport`] adds.
pub(crate) fn request(
    origin: &Origin,
    path: &uri::PathAndQuery,
    metadata: HeaderMap,
) -> Request<()> {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(origin.scheme.clone());
    parts.authority = Some(origin.authority.clone());
    parts.path_and_query = Some(path.clone());
    let mut req = Request::new(());
    *req.method_mut() = Method::POST;
    *req.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *req.headers_mut() = metadata;
    req
}

/// Sets a field; a map that is full is left as it is, because whoever filled it came from outside.
pub(crate) fn put(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    let _ = headers.try_insert(name, value);
}

fn framed(message: &[u8], limit: usize) -> Result<Bytes, GrpcStatus> {
    let framed = (message.len() <= limit).then(|| frame::framed(message));
    let Some(framed) = framed.flatten() else {
        let text = format!(
            "trying to send message larger than max ({} vs. {limit})",
            message.len()
        );
        return Err(GrpcStatus::new(Code::ResourceExhausted, text));
    };
    Ok(framed)
}

impl From<GrpcStatus> for Answered {
    fn from(status: GrpcStatus) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

/// Reads the one message of an answer, and how it ends.
async fn read(response: Response<RecvStream>, mut sending: Sending, limit: usize) -> Answered {
    let (head, recv) = response.into_parts();
    if let Some(status) = failure::not_grpc(&head) {
        return Box::pin(failure::told(status, recv)).await.into();
    }
    // An answer that consists of trailers only has the status in its head.
    if recv.is_end_stream() {
        return Answered {
            status: failure::no_status(&head.headers),
            trailers: head.headers,
            ..Answered::default()
        };
    }
    let mut answered = Answered {
        headers: head.headers,
        ..Answered::default()
    };
    let mut messages = Messages::new(recv, limit);
    let (mut count, mut cut) = (0, false);
    let ended = poll_fn(|cx| {
        sending.poll_progress(cx);
        loop {
            match ready!(messages.poll_next(cx)) {
                Some(Ok(message)) => {
                    count += 1;
                    answered.message = message;
                }
                // The trailers may say why.
                Some(Err(MessageError::Cut)) => {
                    cut = true;
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => return Poll::Ready(Err(failure::message_status(&error))),
                None => return Poll::Ready(Ok(())),
            }
        }
    });
    let trailers = match ended.await {
        Ok(()) => poll_fn(|cx| messages.poll_trailers(cx)).await,
        Err(status) => {
            answered.status = status;
            return answered;
        }
    };
    match trailers {
        Ok(Some(trailers)) if !cut || failure::is_failure(&trailers) => {
            answered.status = failure::no_status(&trailers);
            answered.trailers = trailers;
        }
        Ok(_) if cut => answered.status = failure::message_status(&MessageError::Cut),
        // Some end with a frame of data that is empty.
        Ok(_) if count == 0 && answered.headers.contains_key("grpc-status") => {
            answered.trailers = std::mem::take(&mut answered.headers);
            answered.status = failure::no_status(&answered.trailers);
        }
        Ok(_) => answered.status = failure::no_trailers(),
        Err(error) => answered.status = failure::status(&error),
    }
    if answered.status.is_ok() && count != 1 {
        let text = match count {
            0 => {
                "cardinality violation: received no response message from non-server-streaming RPC"
            }
            _ => {
                "cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message"
            }
        };
        answered.status = GrpcStatus::new(Code::Internal, text);
    }
    answered
}
