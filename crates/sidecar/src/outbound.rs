//! A call on its way out: target → instances → one of them → its answer, told once for every door.
//!
//! What repeats a call is decided here and nowhere else. By itself a call is repeated only where it
//! surely was not processed, or where repeating does no harm (`docs/differences.md`).

mod replay;
mod routes;

use std::{rc::Rc, sync::Arc, time::Duration};

use outrider_lookup::{Instance, Instances};
use outrider_wire::grpc::Code;
use tokio::time::Instant;

pub(crate) use routes::Routes;

use crate::{
    call::{Body, Call, Fault, Kind, Reply, fault::Repeat, request::relayed},
    inbound::{Arrival, deliver},
    lane::Lane,
    link::client::{self, Outgoing},
    plan::Resolver,
};
use replay::Replay;
use routes::Route;

/// The built-in service retry: three more attempts, a second apart (contract
/// `sidecar-protocol.md` 8).
const RETRIES: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Attempts that may follow at once, because the peer did not look at the one before.
const UNPROCESSED_LIMIT: u32 = 3;

/// How long an id that nobody has seen yet is waited for.
const LOOKUP_LIMIT: Duration = Duration::from_secs(1);

/// Bytes of a DNS label, which is what an app id is to name resolution.
const LONGEST_NAME: usize = 63;

/// What became of a call: the one record that log, metrics and answer headers are made from.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Attempts made; 0 if none got as far as a connection.
    pub attempts: u32,
    /// The instance that answered or failed last.
    pub instance: Option<Arc<Instance>>,
    /// From sending the last attempt to the head of its answer.
    pub took: Duration,
}

/// Carries a call to its app and the answer back.
pub(crate) async fn invoke(
    lane: &Rc<Lane>,
    call: Call,
    outcome: &mut Outcome,
) -> Result<Reply, Fault> {
    let deadline = call.deadline;
    let carried = carry(lane, call, outcome);
    match deadline {
        None => carried.await,
        Some(deadline) => tokio::time::timeout_at(deadline, carried)
            .await
            .unwrap_or_else(|_| {
                Err(Fault::new(
                    Kind::DeadlineExceeded,
                    "context deadline exceeded",
                ))
            }),
    }
}

async fn carry(lane: &Rc<Lane>, mut call: Call, outcome: &mut Outcome) -> Result<Reply, Fault> {
    let plan = &lane.shared.plan;
    // What belongs to us is not taken from a client (contract `http-api.md` 6, Weakness).
    call.fields.retain(|name, _| !is_ours(name));
    if call.target.app_id == plan.app_id && call.target.namespace == plan.namespace {
        return to_self(lane, call).await;
    }
    match &plan.resolver {
        // What was wrong with it has been logged.
        Resolver::Absent { .. } => {
            let text = "name resolver not initialized";
            return Err(Fault::new(Kind::NoResolver, text));
        }
        Resolver::Mdns if !is_label(&call.target.app_id) => {
            // No such name can be asked for.
            return Err(Fault::new(Kind::UnknownApp, "dns: bad rdata"));
        }
        _ => {}
    }
    let route = lane.routes.route(lane, &call.target).await?;
    Attempts::new(lane, &route, call, outcome).run().await
}

/// Whether mDNS can ask for it.
fn is_label(app_id: &str) -> bool {
    (1..=LONGEST_NAME).contains(&app_id.len())
}

/// A call of the app to itself: no look-up, no peer, nothing added.
async fn to_self(lane: &Rc<Lane>, mut call: Call) -> Result<Reply, Fault> {
    if call.grpc.as_ref().is_some_and(|grpc| !grpc.http_extension) {
        return Err(Fault::new(
            Kind::InvalidVerb,
            "missing HTTP extension field",
        ));
    }
    let body = std::mem::take(&mut call.body);
    let length = match (&call.grpc, &body) {
        (Some(_), Body::Whole(whole)) => Some(whole.len() as u64),
        _ => None,
    };
    let mut reply = deliver(
        lane,
        Arrival {
            method: &call.method,
            verb: call.verb,
            query: &call.query,
            content_type: call.content_type(),
            fields: &call.fields,
            length,
            body,
        },
    )
    .await?;
    let content_type = reply.fields.get("content-type").unwrap_or_default();
    reply.fields = relayed(&reply.fields, content_type);
    Ok(reply)
}

/// One call's attempts.
struct Attempts<'a> {
    lane: &'a Rc<Lane>,
    route: &'a Route,
    call: Call,
    replay: Replay,
    outcome: &'a mut Outcome,
    /// Instances that could not be reached.
    avoid: Vec<Arc<Instance>>,
    /// Timed retries made.
    retries: u32,
    unprocessed: u32,
    /// An app broke down over this call once; that is not to go round.
    broke_an_app: bool,
}

impl<'a> Attempts<'a> {
    fn new(lane: &'a Rc<Lane>, route: &'a Route, mut call: Call, outcome: &'a mut Outcome) -> Self {
        let body = std::mem::take(&mut call.body);
        Self {
            lane,
            route,
            replay: Replay::new(body, call.unsized_body),
            call,
            outcome,
            avoid: Vec::new(),
            retries: 0,
            unprocessed: 0,
            broke_an_app: false,
        }
    }

    async fn run(mut self) -> Result<Reply, Fault> {
        loop {
            let instances = self.route.instances(self.lane);
            if instances.all().is_empty() {
                let text = format!("couldn't find service: {}", self.call.target.app_id);
                return Err(Fault::new(Kind::UnknownApp, text));
            }
            let now = Instant::now();
            let Some(instance) = self.choose(&instances, now) else {
                // Every instance has been tried in this round.
                self.avoid.clear();
                continue;
            };
            let fault = match self.attempt(&instance).await {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            };
            if !self.again(&fault, &instances, &instance).await {
                return Err(self.last(fault));
            }
        }
    }

    fn choose(&self, instances: &Instances, now: Instant) -> Option<Arc<Instance>> {
        let trial = match self.replay.is_certain() {
            true => instances.trial(&self.avoid, now),
            false => None,
        };
        trial.or_else(|| instances.choose(&mut || self.lane.random(), &self.avoid, now))
    }

    async fn attempt(&mut self, instance: &Arc<Instance>) -> Result<Reply, Fault> {
        self.outcome.attempts += 1;
        self.outcome.instance = Some(Arc::clone(instance));
        let peer = self.route.peer(self.lane, instance);
        let link = match peer.link(instance).await {
            Ok(link) => link,
            Err(error) => {
                instance.eject(Instant::now());
                return Err(Fault::new(Kind::PeerUnreachable, error.to_string()));
            }
        };
        instance.report_connected();
        let started = Instant::now();
        let in_flight = instance.begin();
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
            call: &self.call,
            appended: &appended,
            extra: &extra,
            message_limit: shared.limits.message,
        };
        let streaming = self.call.unsized_body;
        self.route.sent(streaming);
        let mut reply = client::call(&link, &out, self.replay.body()).await;
        if is_unimplemented(&reply) {
            reply = self.unary(&link, &out).await;
        }
        drop(in_flight);
        if let Ok(reply) = &reply {
            instance.report_success();
            let took = started.elapsed();
            self.outcome.took = took;
            instance.record_latency(took, Instant::now());
            self.route.received(reply.status, streaming, took);
        }
        reply
    }

    /// The old form of a call, for peers that don't know the streamed one.
    async fn unary(
        &self,
        link: &Rc<crate::link::pool::Link>,
        out: &Outgoing<'_>,
    ) -> Result<Reply, Fault> {
        let id = self.call.target.app_id.as_str();
        let whole = match self.replay.body() {
            body if !self.replay.is_possible() => Err(Ok(body)),
            body => body.collect(out.message_limit).await,
        };
        match whole {
            Ok(bytes) => {
                tracing::warn!(
                    target: outrider_telemetry::log::scope::RUNTIME_DIRECT_MESSAGING,
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

    /// Decides about another attempt, and waits for its time.
    async fn again(&mut self, fault: &Fault, instances: &Instances, tried: &Arc<Instance>) -> bool {
        if fault.repeat() == Repeat::Elsewhere {
            // Whether or not this call has a second chance, the next ones are spared.
            tried.set_aside(Instant::now());
        }
        if !self.replay.is_possible() {
            return false;
        }
        let idempotent = self.call.is_idempotent();
        let elsewhere = match fault.repeat() {
            Repeat::Never => return false,
            Repeat::IfIdempotent if !idempotent => return false,
            Repeat::OnceElsewhere if !idempotent || self.broke_an_app => return false,
            Repeat::IfIdempotent | Repeat::Always => false,
            Repeat::OnceElsewhere => {
                self.broke_an_app = true;
                true
            }
            Repeat::Elsewhere => true,
        };
        if fault.kind == Kind::PeerUnprocessed && self.unprocessed < UNPROCESSED_LIMIT {
            self.unprocessed += 1;
            return true;
        }
        self.avoid.push(Arc::clone(tried));
        if instances
            .all()
            .iter()
            .any(|i| !self.avoid.iter().any(|a| Arc::ptr_eq(a, i)))
        {
            return true;
        }
        if elsewhere || self.call.unsized_body || self.retries == RETRIES {
            return false;
        }
        self.retries += 1;
        self.avoid.clear();
        tokio::time::sleep(RETRY_PAUSE).await;
        true
    }

    /// The fault the caller hears of, with the retries made in vain.
    fn last(&self, mut fault: Fault) -> Fault {
        fault.retries = self.retries;
        fault
    }
}

/// Entries that only this sidecar may set.
fn is_ours(name: &[u8]) -> bool {
    const OURS: [&str; 4] = [
        "destination-app-id",
        "dapr-caller-namespace",
        "dapr-caller-app-id",
        "dapr-callee-app-id",
    ];
    name.len() >= 18
        && OURS
            .iter()
            .any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()))
}

/// The peer has the service but not the streamed method. A proxied "unimplemented" of an app is
/// not meant: that comes inside an answer.
fn is_unimplemented(reply: &Result<Reply, Fault>) -> bool {
    matches!(reply, Err(fault) if fault.kind == Kind::PeerStatus(Code::Unimplemented))
}
