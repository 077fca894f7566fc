//! What is passed on of a request.

use std::{borrow::Cow, mem, rc::Rc};

use h2::RecvStream;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header, uri};
use outrider_core::ids::AppId;
use outrider_wire::grpc::Code;
use tokio::time::Instant;

use super::Asked;
use crate::{
    app_channel::grpc::{Origin as Server, put, request, say_transport},
    call::{Body, Fault, Kind},
    lane::Lane,
    link::{
        client::{is_unreached, tell_deadline},
        connection::Link,
        raw::{self, BodySource, Broken, RawBody, Sending},
    },
    outbound::{Cargo, Replay, Route},
};

/// Where a call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client of the API.
    Client,
    /// Another sidecar.
    Peer,
}

/// An answer that has begun, and the request that may still be leaving.
pub(crate) type Opened = (Response<RecvStream>, Sending);

/// A call to be passed on.
pub(crate) struct Proxied {
    /// The method's path.
    pub path: uri::PathAndQuery,
    /// The messages, as often as they can be had.
    pub body: Replay,
    metadata: HeaderMap,
    deadline: Option<Instant>,
}

static APP_ID: HeaderName = HeaderName::from_static("dapr-app-id");
static CALLEE: HeaderName = HeaderName::from_static("dapr-callee-app-id");
static CALLER: HeaderName = HeaderName::from_static("dapr-caller-app-id");
static TOKEN: HeaderName = HeaderName::from_static("dapr-api-token");

/// Why a field is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It concerns the connection it came by, only an answer may have it, or it was for us.
    Always,
    /// A client does not say who it is (contract `grpc-api.md` 9.2, Weakness).
    Identity,
    /// It is the token that we have asked for, or that our app is shown.
    Token,
}

/// What is not passed on. What each request has of its own is put over what came.
static DROPPED: [(HeaderName, Why); 8] = [
    (header::HOST, Why::Always),
    (HeaderName::from_static("grpc-status"), Why::Always),
    (HeaderName::from_static("grpc-message"), Why::Always),
    (HeaderName::from_static("dapr-app-id"), Why::Always),
    (HeaderName::from_static("dapr-caller-app-id"), Why::Identity),
    (
        HeaderName::from_static("dapr-caller-namespace"),
        Why::Identity,
    ),
    (HeaderName::from_static("destination-app-id"), Why::Identity),
    (HeaderName::from_static("dapr-api-token"), Why::Token),
];

/// Removes fields, most of which are seldom there: looking at each field once is cheaper than
/// looking each name up.
fn remove(metadata: &mut HeaderMap, is_dropped: impl Fn(Why) -> bool) {
    let mut found = [false; DROPPED.len()];
    for name in metadata.keys() {
        if let Some(at) = DROPPED.iter().position(|(known, _)| known == name) {
            found[at] = is_dropped(DROPPED[at].1);
        }
    }
    for ((name, _), _) in DROPPED.iter().zip(found).filter(|(_, found)| *found) {
        metadata.remove(name);
    }
}

/// Who is called, as the caller names it: the callee's name counts first. Where that is us, the app
/// has handed on what came with a call of its own, and then its word about the next one counts; to
/// take the first would send the call round to itself.
pub(super) fn target_name<'a>(headers: &'a HeaderMap, own: &AppId) -> Option<Cow<'a, str>> {
    let text = |name: &HeaderName| {
        let value: &HeaderValue = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()))
    };
    let callee = text(&CALLEE);
    match text(&APP_ID) {
        Some(app_id)
            if callee
                .as_deref()
                .is_none_or(|callee| callee == own.as_str()) =>
        {
            Some(app_id)
        }
        _ => callee,
    }
}

/// Of several values, the peer has put its own behind those of its client.
fn keep_last(metadata: &mut HeaderMap, name: &HeaderName) {
    if metadata.len() == metadata.keys_len() {
        // No field has several values.
        return;
    }
    let mut all = metadata.get_all(name).iter();
    if let (Some(_), Some(last)) = (all.next(), all.next_back()) {
        let last = last.clone();
        put(metadata, name, last);
    }
}

impl Proxied {
    /// What is passed on of that call, once: to a peer by that route, or to our app.
    pub(super) async fn new(lane: &Lane, asked: &mut Asked, route: Option<&Route>) -> Self {
        let mut metadata = mem::take(&mut asked.metadata);
        let is_client = asked.origin == Origin::Client;
        let has_token = route.is_none() || (is_client && lane.shared.plan.api.token.is_some());
        remove(&mut metadata, |why| match why {
            Why::Always => true,
            Why::Identity => is_client,
            Why::Token => has_token,
        });
        if !is_client {
            keep_last(&mut metadata, &CALLER);
        }
        match (route, &lane.app_token) {
            (Some(route), _) => {
                put(&mut metadata, &CALLEE, route.callee().clone());
                put(&mut metadata, &CALLER, lane.own_id.clone());
            }
            (None, Some(token)) => put(&mut metadata, &TOKEN, token.clone()),
            (None, None) => {}
        }
        say_transport(&mut metadata);
        let limit = lane.shared.limits.message;
        let body = match asked.body.take() {
            Some(recv) => RawBody::messages(recv, &metadata, limit).into_body().await,
            None => Body::Empty,
        };
        // The path may be a slice of all that came with it: held as long as the stream, it would hold
        // the metadata, too.
        let path = mem::replace(&mut asked.path, uri::PathAndQuery::from_static("/"));
        Self {
            path,
            body: Replay::new(body, false),
            metadata,
            deadline: asked.deadline,
        }
    }

    /// The metadata as the next attempt sends it.
    pub(super) fn metadata(&self) -> HeaderMap {
        let mut metadata = self.metadata.clone();
        if let Some(deadline) = self.deadline {
            tell_deadline(&mut metadata, deadline);
        }
        metadata
    }
}

impl BodySource for Replay {
    const ENDS_IN_DATA: bool = true;

    fn body(&self) -> Body {
        Replay::body(self)
    }

    fn is_possible(&self) -> bool {
        Replay::is_possible(self)
    }
}

/// The authority of a call between sidecars is ignored; a fixed one compresses to a byte.
const PEER: &str = "outrider";

/// What a request to a peer is for.
fn peer() -> Server {
    Server {
        scheme: uri::Scheme::HTTP,
        authority: uri::Authority::from_static(PEER),
    }
}

impl Cargo for &Proxied {
    type Answer = Opened;

    async fn send(&mut self, link: &Rc<Link>) -> Result<Opened, Fault> {
        let req = || request(&peer(), &self.path, self.metadata());
        let sent = async { raw::open(link, req, &self.body).await?.head().await };
        sent.await.map_err(|broken| match broken {
            Broken::Unprocessed(error) => {
                Fault::new(Kind::PeerUnprocessed, crate::link::failure::text(&error))
            }
            broken => {
                let status = broken.status();
                let code = Code::from_i32(status.code).unwrap_or(Code::Unknown);
                Fault::new(Kind::PeerStatus(code), status.message)
            }
        })
    }

    fn body(&self) -> &Replay {
        &self.body
    }

    /// Whether it is depends on the service; nobody knows here.
    fn is_idempotent(&self) -> bool {
        false
    }

    /// The built-in retries are for `InvokeService` and HTTP (contract `grpc-api.md` 9.4).
    fn may_wait(&self) -> bool {
        false
    }

    /// A stream may wait for its first word for hours; that says nothing about the instance.
    fn is_timed(&self) -> bool {
        false
    }

    fn is_unreached((response, _): &Opened) -> bool {
        response.body().is_end_stream() && is_unreached(response.headers())
    }
}
