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
use http::{HeaderValue, Request};
use outrider_core::path::normalize_method;
use outrider_wire::grpc::Code;
use tokio::time::Instant;

pub(crate) use request::{Opened, Proxied};

use crate::{
    app_channel::grpc::NoAnswer,
    call::{
        Target,
        grpc::{GrpcStatus, is_over},
        until::in_time,
    },
    lane::Lane,
    outbound::{self, Outcome},
};
use relay::Relay;
use request::{Origin, target_name};

/// A call that somebody wants passed on.
pub(crate) struct Asked {
    /// The request.
    pub req: Request<RecvStream>,
    /// When the caller gives up.
    pub deadline: Option<Instant>,
    /// Sent back as a header, if there is one.
    pub baggage: Option<HeaderValue>,
}

/// Passes on a call of a client of this sidecar's API. Returns the code it ended with.
pub(crate) async fn from_client(
    lane: &Rc<Lane>,
    asked: Asked,
    respond: &mut SendResponse<Bytes>,
) -> i32 {
    serve(lane, asked, respond, Origin::Client).await
}

/// Passes on a call that another sidecar sends: to our app or to nobody.
pub(crate) async fn from_peer(
    lane: &Rc<Lane>,
    asked: Asked,
    respond: &mut SendResponse<Bytes>,
) -> i32 {
    serve(lane, asked, respond, Origin::Peer).await
}

async fn serve(
    lane: &Rc<Lane>,
    asked: Asked,
    respond: &mut SendResponse<Bytes>,
    origin: Origin,
) -> i32 {
    let deadline = asked.deadline;
    let mut relay = Relay::new(respond, asked.baggage.clone(), lane.shared.limits.message);
    let passed = in_time(deadline, pass(lane, asked, &mut relay, origin)).await;
    let passed = passed.unwrap_or_else(|| {
        let text = "context deadline exceeded";
        Err(GrpcStatus::new(Code::DeadlineExceeded, text).into())
    });
    match passed {
        Ok(code) => code,
        Err(NoAnswer {
            mut status,
            unreached,
        }) => {
            if status.code == Code::Canceled.number() && is_over(deadline) {
                let text = "context deadline exceeded";
                status = GrpcStatus::new(Code::DeadlineExceeded, text);
            }
            relay.end(&status, unreached)
        }
    }
}

/// Carries the call to its end, which is the callee's unless it is an error.
async fn pass(
    lane: &Rc<Lane>,
    asked: Asked,
    relay: &mut Relay<'_>,
    origin: Origin,
) -> Result<i32, NoAnswer> {
    let target = target(lane, &asked)?;
    let plan = &lane.shared.plan;
    let is_own = target.app_id == plan.app_id && target.namespace == plan.namespace;
    if !is_own && origin == Origin::Peer {
        // Passing it on would let its sender act under our name (contract `sidecar-protocol.md` 12).
        let text = format!(
            "this is the sidecar of app {}: it passes no call of another sidecar on to app {}",
            plan.app_id, target.shown
        );
        return Err(GrpcStatus::new(Code::PermissionDenied, text).into());
    }
    let proxied = Proxied::new(lane, asked, target, origin).await;
    let opening = async {
        match is_own {
            true => to_own_app(lane, &proxied).await,
            false => outbound::open(lane, &proxied, &mut Outcome::default())
                .await
                .map_err(|fault| fault.proxy_status().into()),
        }
    };
    let Some(opened) = relay.unless_reset(opening).await else {
        return Ok(Code::Canceled.number());
    };
    let (response, sending) = opened?;
    // From here on there is no second attempt, and a stream may live for long.
    proxied.body.forget();
    drop(proxied);
    Ok(relay.run(response, sending).await?)
}

/// Who is called. What is wrong with that is `Unknown` to clients of the reference, who may look
/// for the texts (contract `grpc-api.md` 9.6).
fn target(lane: &Lane, asked: &Asked) -> Result<Target, GrpcStatus> {
    let unknown = |text: &str| GrpcStatus::new(Code::Unknown, text);
    let Some(name) = target_name(asked.req.headers(), &lane.shared.plan.app_id) else {
        let path = asked.req.uri().path();
        let is_dapr = [
            "/dapr.proto.internals.",
            "/dapr.proto.runtime.",
            "/TaskHubSidecarService",
        ]
        .iter()
        .any(|prefix| path.starts_with(prefix));
        return Err(unknown(match lane.shared.plan.api.tracing && !is_dapr {
            true => "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata",
            false => {
                "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not \
                 found"
            }
        }));
    };
    if name.is_empty() {
        return Err(unknown("app id is empty"));
    }
    let target = Target::parse(&name, &lane.shared.plan.namespace);
    target.map_err(|error| unknown(&error.to_string()))
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
