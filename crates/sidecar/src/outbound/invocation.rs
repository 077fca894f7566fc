//! A call that this sidecar understands, on its way to a peer as `CallLocalStream`.

use std::{rc::Rc, time::Duration};

use outrider_telemetry::log::scope;
use outrider_wire::grpc::Code;

use super::{Cargo, Replay, Route};
use crate::{
    call::{Call, Fault, Kind, Reply, Status},
    lane::Lane,
    link::{
        client::{self, Outgoing},
        connection::Link,
    },
};

/// A call and its body.
pub(super) struct Invocation<'a> {
    lane: &'a Rc<Lane>,
    route: &'a Route,
    call: &'a Call,
    replay: Replay,
}

impl<'a> Invocation<'a> {
    /// That call, whose body is taken out of it.
    pub(super) fn new(lane: &'a Rc<Lane>, route: &'a Route, call: &'a mut Call) -> Self {
        let body = std::mem::take(&mut call.body);
        Self {
            lane,
            route,
            replay: Replay::new(body, call.unsized_body),
            call,
        }
    }

    /// The old form of a call, for peers that don't know the streamed one.
    async fn unary(&self, link: &Rc<Link>, out: &Outgoing<'_>) -> Result<Reply, Fault> {
        let id = self.call.target.app_id.as_str();
        let whole = match self.replay.body() {
            body if !self.replay.is_possible() => Err(Ok(body)),
            body => body.collect(out.message_limit).await,
        };
        match whole {
            Ok(bytes) => {
                tracing::warn!(
                    target: scope::RUNTIME_DIRECT_MESSAGING,
                    "App {id} does not support streaming-based service invocation (most likely \
                     because it's using an older version of Dapr); falling back to unary calls"
                );
                client::call_unary(link, out, bytes).await
            }
            Err(Err(error)) => Err(Fault::new(Kind::BadBody, error.to_string())),
            Err(Ok(_)) => Err(Fault::new(
                Kind::PeerProtocol,
                format!(
                    "target app '{id}' is running a version of Dapr that does not support \
                     streaming-based service invocation"
                ),
            )),
        }
    }
}

impl Cargo for Invocation<'_> {
    type Answer = Reply;

    async fn send(&mut self, link: &Rc<Link>) -> Result<Reply, Fault> {
        let shared = &self.lane.shared;
        let (plan, target) = (&shared.plan, &self.call.target);
        let appended = [
            ("X-Forwarded-For", shared.host_address.as_str()),
            ("X-Forwarded-Host", shared.hostname.as_str()),
            ("Forwarded", shared.forwarded.as_str()),
        ];
        let extra = [
            ("destination-app-id", target.app_id.as_str()),
            ("dapr-caller-namespace", plan.namespace.as_str()),
            ("dapr-caller-app-id", plan.app_id.as_str()),
            ("dapr-callee-app-id", target.app_id.as_str()),
        ];
        let out = Outgoing {
            call: self.call,
            appended: &appended,
            extra: &extra,
            message_limit: shared.limits.envelope,
        };
        self.route.sent(self.call.unsized_body);
        let reply = client::call(link, &out, self.replay.body()).await;
        match is_unimplemented(&reply) {
            true => self.unary(link, &out).await,
            false => reply,
        }
    }

    fn body(&self) -> &Replay {
        &self.replay
    }

    fn is_idempotent(&self) -> bool {
        self.call.is_idempotent()
    }

    fn may_wait(&self) -> bool {
        !self.call.unsized_body
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn is_unreached(answer: &Reply) -> bool {
        matches!(&answer.status, Status::Grpc(end) if end.unreached)
    }

    fn answered(&self, route: &Route, reply: &Reply, took: Duration) {
        route.received(reply.status.number(), self.call.unsized_body, took);
    }
}

/// The peer has the service but not the streamed method. A proxied "unimplemented" of an app is
/// not meant: that comes inside an answer.
fn is_unimplemented(reply: &Result<Reply, Fault>) -> bool {
    matches!(reply, Err(fault) if fault.kind == Kind::PeerStatus(Code::Unimplemented))
}
