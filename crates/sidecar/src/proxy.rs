//! gRPC calls that are passed through: of any service, of any kind, not looked into
//! (contract `grpc-api.md` 9).
//!
//! The path and the frames go on untouched, both ways, as fast as the slower side takes them. What
//! is decided here is where a call goes and which metadata goes with it.

mod relay;
mod request;

use std::rc::Rc;

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, uri::PathAndQuery};
use outrider_core::path::normalize_method;
use outrider_wire::grpc::Code;
use tokio::time::Instant;

pub(crate) use request::{Opened, Origin, Proxied};

use crate::{
    app_channel::grpc::NoAnswer,
    call::{
        Target,
        grpc::{GrpcStatus, is_over},
        until::in_time,
    },
    lane::Lane,
    outbound::{self, Route},
    workers::Job,
};
use relay::Relay;
use request::target_name;

/// A call that somebody wants passed on. It stays where it is while it is worked on, and what goes on
/// is taken out of it: an async function would hold a copy at each level.
pub(crate) struct Asked {
    path: PathAndQuery,
    metadata: HeaderMap,
    /// There until it is taken.
    body: Option<RecvStream>,
    deadline: Option<Instant>,
    baggage: Option<HeaderValue>,
    origin: Origin,
}

impl Asked {
    /// That request of `origin`, who gives up at `deadline`; `baggage` is sent back as a header.
    pub(crate) fn new(
        req: Request<RecvStream>,
        origin: Origin,
        deadline: Option<Instant>,
        baggage: Option<HeaderValue>,
    ) -> Self {
        let (parts, body) = req.into_parts();
        let path = parts.uri.into_parts().path_and_query;
        Self {
            path: path.unwrap_or(PathAndQuery::from_static("/")),
            metadata: parts.headers,
            body: Some(body),
            deadline,
            baggage,
            origin,
        }
    }
}

/// What lasts as long as a call.
pub(crate) trait Guards: 'static {
    /// The call has ended with that code.
    fn ended(&mut self, code: i32);
}

/// The work on a call that is passed on.
pub(crate) struct Passing<G> {
    /// The lane it came to.
    pub lane: Rc<Lane>,
    /// The call.
    pub asked: Asked,
    /// Where the answer goes.
    pub respond: SendResponse<Bytes>,
    /// Dropped when it has ended.
    pub guards: G,
}

impl<G: Guards> Job for Passing<G> {
    async fn run(&mut self) {
        let code = serve(&self.lane, &mut self.asked, &mut self.respond).await;
        self.guards.ended(code);
    }
}

/// Passes a call on. A client's goes to the app that it names, another sidecar's to our app only.
/// Returns the code it ended with.
async fn serve(lane: &Rc<Lane>, asked: &mut Asked, respond: &mut SendResponse<Bytes>) -> i32 {
    let deadline = asked.deadline;
    let mut relay = Relay::new(respond, asked.baggage.take(), lane.shared.limits.message);
    let passed = in_time(deadline, pass(lane, asked, &mut relay)).await;
    match passed.unwrap_or_else(|| Err(GrpcStatus::too_late().into())) {
        Ok(code) => code,
        Err(NoAnswer {
            mut status,
            unreached,
        }) => {
            if status.code == Code::Canceled.number() && is_over(deadline) {
                status = GrpcStatus::too_late();
            }
            relay.end(&status, unreached)
        }
    }
}

/// Carries the call to its end, which is the callee's unless it is an error.
async fn pass(lane: &Rc<Lane>, asked: &mut Asked, relay: &mut Relay<'_>) -> Result<i32, NoAnswer> {
    let Some(opened) = relay.unless_reset(open(lane, asked)).await else {
        return Ok(Code::Canceled.number());
    };
    let (response, sending) = opened?;
    Ok(relay.run(response, sending).await?)
}

/// Opens the stream that the call goes on by. From then on there is no second attempt, and what was
/// kept for one is not held as long as the stream lives.
async fn open(lane: &Rc<Lane>, asked: &mut Asked) -> Result<Opened, NoAnswer> {
    let origin = asked.origin;
    let route = match to(lane, asked)? {
        To::Own => None,
        To::Known(route) => Some(route),
        To::Other(target) if origin == Origin::Client => {
            let found = outbound::find(lane, &target).await;
            Some(found.map_err(|fault| fault.proxy_status())?)
        }
        To::Other(target) => return Err(refused(lane, &target.shown)),
    };
    if let (Some(route), Origin::Peer) = (&route, origin) {
        return Err(refused(lane, &route.target().shown));
    }
    let proxied = Proxied::new(lane, asked, route.as_deref()).await;
    let opened = match &route {
        Some(route) => {
            let opened = outbound::open(lane, route, &proxied).await;
            opened.map_err(|fault| fault.proxy_status())?
        }
        None => to_own_app(lane, &proxied).await?,
    };
    proxied.body.forget();
    Ok(opened)
}

/// Passing it on would let its sender act under our name (contract `sidecar-protocol.md` 12).
fn refused(lane: &Lane, shown: &str) -> NoAnswer {
    let text = format!(
        "this is the sidecar of app {}: it passes no call of another sidecar on to app {shown}",
        lane.shared.plan.app_id
    );
    GrpcStatus::new(Code::PermissionDenied, text).into()
}

/// Where a call goes.
enum To {
    /// The app beside us.
    Own,
    /// An app that has been called before.
    Known(Rc<Route>),
    /// Another one.
    Other(Target),
}

/// Who is called. What is wrong with that is `Unknown` to clients of the reference, who may look
/// for the texts (contract `grpc-api.md` 9.6).
fn to(lane: &Lane, asked: &Asked) -> Result<To, GrpcStatus> {
    let plan = &lane.shared.plan;
    let Some(name) = target_name(&asked.metadata, &plan.app_id) else {
        return Err(GrpcStatus::new(Code::Unknown, no_target(lane, asked)));
    };
    if *name == *plan.app_id.as_str() {
        return Ok(To::Own);
    }
    if let Some(route) = lane.routes.known(lane, &name) {
        return Ok(To::Known(route));
    }
    if name.is_empty() {
        return Err(GrpcStatus::new(Code::Unknown, "app id is empty"));
    }
    let target = Target::parse(&name, &plan.namespace);
    let target = target.map_err(|error| GrpcStatus::new(Code::Unknown, error.to_string()))?;
    match target.app_id == plan.app_id && target.namespace == plan.namespace {
        true => Ok(To::Own),
        false => Ok(To::Other(target)),
    }
}

fn no_target(lane: &Lane, asked: &Asked) -> &'static str {
    const DAPR: [&str; 3] = [
        "/dapr.proto.internals.",
        "/dapr.proto.runtime.",
        "/TaskHubSidecarService",
    ];
    let path = asked.path.path();
    let is_dapr = DAPR.iter().any(|prefix| path.starts_with(prefix));
    match lane.shared.plan.api.tracing && !is_dapr {
        true => "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata",
        false => {
            "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found"
        }
    }
}

/// To the app beside us, whatever it is said to speak.
async fn to_own_app(lane: &Lane, proxied: &Proxied) -> Result<Opened, NoAnswer> {
    if let Err(error) = normalize_method(proxied.path.as_str()) {
        let text = format!("invalid method: {error}");
        return Err(GrpcStatus::new(Code::InvalidArgument, text).into());
    }
    let Some(app) = &lane.app else {
        let text = "connection error: desc = \"transport: Error while dialing: dial tcp \
                    127.0.0.1:0: connect: connection refused\"";
        return Err(NoAnswer {
            status: GrpcStatus::new(Code::Unavailable, text),
            unreached: true,
        });
    };
    app.grpc
        .exchange(&proxied.path, || proxied.metadata(), &proxied.body)
        .await
}
