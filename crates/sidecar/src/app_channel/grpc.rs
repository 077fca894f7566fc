//! Calls to the app over gRPC: `AppCallback`, its health check, and streams passed through
//! (contract `grpc-api.md` 5, 9).

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Poll, ready},
};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header, uri};
use outrider_trust::Connector;
use outrider_wire::grpc::{Code, frame};
use tokio::time::Instant;

use crate::{
    call::{Body, grpc::GrpcStatus},
    link::{
        client::{USER_AGENT, timeout_value},
        end::{AppEnd, End},
        failure,
        message::Messages,
        pool::Group,
        raw::{self, Broken, Sending},
    },
};

const ON_INVOKE: &str = "/dapr.proto.runtime.v1.AppCallback/OnInvoke";
const HEALTH_CHECK: &str = "/dapr.proto.runtime.v1.AppCallbackHealthCheck/HealthCheck";

/// Attempts over further connections where the app did not look at the one before.
const UNPROCESSED_LIMIT: u32 = 3;

/// The app beside this sidecar, as one lane sees it.
pub(crate) struct GrpcApp {
    authority: uri::Authority,
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
            // The app's own name means nothing to it.
            authority: addr
                .parse()
                .unwrap_or(uri::Authority::from_static("localhost")),
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
        metadata.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        if let Some(deadline) = deadline {
            metadata.insert("grpc-timeout", timeout_value(deadline));
        }
        let body = match framed(message, self.limit) {
            Ok(body) => body,
            Err(status) => return status.into(),
        };
        let path = uri::PathAndQuery::from_static(path);
        match self
            .exchange(&path, &metadata, || Body::Whole(body.clone()))
            .await
        {
            Ok((response, sending)) => read(response, sending, self.limit).await,
            Err(NoAnswer { status, unreached }) => Answered {
                status,
                unreached,
                ..Answered::default()
            },
        }
    }

    /// Opens a stream and waits for the head of its answer. Where the app surely did not look at
    /// it, it is opened again, as long as `body` has the whole body.
    pub(crate) async fn exchange(
        &self,
        path: &uri::PathAndQuery,
        metadata: &HeaderMap,
        body: impl BodySource,
    ) -> Result<(Response<RecvStream>, Sending), NoAnswer> {
        let mut unprocessed = 0;
        loop {
            let link = self.group.link(&self.end).await;
            let link = link.map_err(|error| NoAnswer {
                status: GrpcStatus::new(Code::Unavailable, error.to_string()),
                unreached: true,
            })?;
            let sent = async {
                let req = request(&self.authority, path, metadata.clone());
                raw::open(&link, req, body.body()).await?.head().await
            };
            match sent.await {
                Err(Broken::Unprocessed(_))
                    if unprocessed < UNPROCESSED_LIMIT && body.is_possible() =>
                {
                    unprocessed += 1;
                }
                answered => return answered.map_err(|broken| broken.status().into()),
            }
        }
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

/// A body that may be needed more than once.
pub(crate) trait BodySource {
    /// The body from its start.
    fn body(&self) -> Body;
    /// Whether it can be had again.
    fn is_possible(&self) -> bool;
}

/// Whole bodies can be had as often as one likes.
impl<F: Fn() -> Body> BodySource for F {
    fn body(&self) -> Body {
        self()
    }

    fn is_possible(&self) -> bool {
        true
    }
}

/// A gRPC request. What the transport itself says is set here, whatever the metadata has.
pub(crate) fn request(
    authority: &uri::Authority,
    path: &uri::PathAndQuery,
    metadata: HeaderMap,
) -> Request<()> {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(uri::Scheme::HTTP);
    parts.authority = Some(authority.clone());
    parts.path_and_query = Some(path.clone());
    let mut req = Request::new(());
    *req.method_mut() = Method::POST;
    *req.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *req.headers_mut() = metadata;
    let headers = req.headers_mut();
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    req
}

fn framed(message: &[u8], limit: usize) -> Result<Bytes, GrpcStatus> {
    let prefix = frame::prefix(message.len()).filter(|_| message.len() <= limit);
    let Some(prefix) = prefix else {
        let text = format!(
            "trying to send message larger than max ({} vs. {limit})",
            message.len()
        );
        return Err(GrpcStatus::new(Code::ResourceExhausted, text));
    };
    let mut out = BytesMut::with_capacity(message.len() + prefix.len());
    out.extend_from_slice(&prefix);
    out.extend_from_slice(message);
    Ok(out.freeze())
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
        return status.into();
    }
    // An answer that consists of trailers only has the status in its head.
    if let Some(status) = failure::status_in(&head.headers) {
        return Answered {
            trailers: head.headers,
            status,
            ..Answered::default()
        };
    }
    let mut answered = Answered {
        headers: head.headers,
        ..Answered::default()
    };
    let mut messages = Messages::new(recv, limit);
    let mut count = 0;
    let ended = poll_fn(|cx| {
        sending.poll_progress(cx);
        loop {
            match ready!(messages.poll_next(cx)) {
                Some(Ok(message)) => {
                    count += 1;
                    answered.message = message;
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
        Ok(Some(trailers)) => {
            answered.status = failure::no_status(&trailers);
            answered.trailers = trailers;
        }
        Ok(None) => answered.status = failure::no_trailers(),
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
