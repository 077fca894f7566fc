//! A call on its way out: target → instances → one of them → its answer, told once for every door.
//!
//! What repeats a call is decided here and nowhere else. By itself a call is repeated only where it
//! surely was not processed, or where repeating does no harm (`docs/differences.md`).

mod invocation;
mod replay;
mod routes;

use std::{rc::Rc, sync::Arc, time::Duration};

use outrider_lookup::{Instance, Instances};
use tokio::time::Instant;

pub(crate) use replay::Replay;
pub(crate) use routes::{Route, Routes};

use crate::{
    app_channel::{App, Speaks},
    call::{Body, Call, Fault, Kind, Reply, Target, fault::Repeat, grpc::is_over, until::in_time},
    inbound::{Arrival, deliver},
    lane::Lane,
    link::{connection::Link, end::End, pool::Group, raw::UNPROCESSED_LIMIT},
    plan::Resolver,
    proxy::{Opened, Proxied},
};
use invocation::Invocation;

/// The built-in service retry: three more attempts, a second apart (contract
/// `sidecar-protocol.md` 8).
const RETRIES: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long an id that nobody has seen yet is waited for.
const LOOKUP_LIMIT: Duration = Duration::from_secs(1);

/// A stream whose answer begins later than this was waiting for something to tell.
const LONGEST_UNTIMED: Duration = Duration::from_secs(1);

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

/// What is carried to another sidecar: a call that this one understands, or one passed through.
pub(crate) trait Cargo {
    /// What comes back.
    type Answer;

    /// One attempt over that connection.
    async fn send(&mut self, link: &Rc<Link>) -> Result<Self::Answer, Fault>;

    /// The body, and whether it can be had again.
    fn body(&self) -> &Replay;

    /// Sending it twice does no more than sending it once.
    fn is_idempotent(&self) -> bool;

    /// Another round may be waited for.
    fn may_wait(&self) -> bool;

    /// While it waits for its answer, the instance counts as slow.
    fn is_timed(&self) -> bool;

    /// The answer says that the app surely has not seen the call.
    fn is_unreached(answer: &Self::Answer) -> bool;

    /// An answer has come after that time.
    fn answered(&self, _: &Route, _: &Self::Answer, _: Duration) {}
}

/// Carries a call to its app and the answer back. The call stays where it is, because each level of
/// async functions would hold a copy of it; its body is taken out of it.
pub(crate) async fn invoke(
    lane: &Rc<Lane>,
    call: &mut Call,
    outcome: &mut Outcome,
) -> Result<Reply, Fault> {
    let deadline = call.deadline;
    match in_time(deadline, carry(lane, call, outcome)).await {
        None => Err(Fault::too_late()),
        Some(Err(fault)) if fault.is_cancelled() && is_over(deadline) => Err(Fault::too_late()),
        Some(carried) => carried,
    }
}

async fn carry(lane: &Rc<Lane>, call: &mut Call, outcome: &mut Outcome) -> Result<Reply, Fault> {
    let plan = &lane.shared.plan;
    // What belongs to us is not taken from a client (contract `http-api.md` 6, Weakness).
    call.fields.retain(|name, _| !is_ours(name));
    if call.target.app_id == plan.app_id && call.target.namespace == plan.namespace {
        // Boxed because it is rare, and larger than all that follows.
        return Box::pin(to_self(lane, call)).await;
    }
    let route = find(lane, &call.target).await?;
    let cargo = Invocation::new(lane, &route, call);
    Attempts::new(lane, &route, cargo, outcome).run().await
}

/// Opens a stream for a call that is passed through.
pub(crate) async fn open(
    lane: &Rc<Lane>,
    route: &Route,
    proxied: &Proxied,
) -> Result<Opened, Fault> {
    let mut outcome = Outcome::default();
    Attempts::new(lane, route, proxied, &mut outcome)
        .run()
        .await
}

/// The route to a target.
pub(crate) async fn find(lane: &Rc<Lane>, target: &Target) -> Result<Rc<Route>, Fault> {
    match &lane.shared.plan.resolver {
        // What was wrong with it has been logged.
        Resolver::Absent { .. } => {
            let text = "name resolver not initialized";
            return Err(Fault::new(Kind::NoResolver, text));
        }
        Resolver::Mdns if !is_label(&target.app_id) => {
            // No such name can be asked for.
            return Err(Fault::new(Kind::UnknownApp, "dns: bad rdata"));
        }
        _ => {}
    }
    lane.routes.route(lane, target).await
}

/// Whether mDNS can ask for it.
fn is_label(app_id: &str) -> bool {
    (1..=LONGEST_NAME).contains(&app_id.len())
}

/// A call of the app to itself: no look-up, no peer, nothing added.
async fn to_self(lane: &Rc<Lane>, call: &mut Call) -> Result<Reply, Fault> {
    let body = std::mem::take(&mut call.body);
    let length = match (&call.grpc, &body) {
        (Some(_), Body::Whole(whole)) => Some(whole.len() as u64),
        _ => None,
    };
    let (content_type, mut type_url, has_extension) = call.described();
    let to_grpc = matches!(lane.app.as_ref().map(App::speaks), Some(Speaks::Grpc));
    if to_grpc && matches!(body, Body::Empty) {
        // Nothing has no type (seen at the reference, on this way only).
        type_url = "";
    }
    deliver(
        lane,
        Arrival {
            method: &call.method,
            verb: call.verb,
            query: &call.query,
            has_extension,
            content_type,
            type_url,
            fields: &call.fields,
            length,
            body,
            deadline: call.deadline,
        },
    )
    .await
}

/// One call's attempts.
struct Attempts<'a, C> {
    lane: &'a Rc<Lane>,
    route: &'a Route,
    cargo: C,
    outcome: &'a mut Outcome,
    /// Instances that could not be reached.
    avoid: Vec<Arc<Instance>>,
    /// Timed retries made.
    retries: u32,
    unprocessed: u32,
    /// An app broke down over this call once; that is not to go round.
    broke_an_app: bool,
}

impl<'a, C: Cargo> Attempts<'a, C> {
    fn new(lane: &'a Rc<Lane>, route: &'a Route, cargo: C, outcome: &'a mut Outcome) -> Self {
        Self {
            lane,
            route,
            cargo,
            outcome,
            avoid: Vec::new(),
            retries: 0,
            unprocessed: 0,
            broke_an_app: false,
        }
    }

    async fn run(mut self) -> Result<C::Answer, Fault> {
        loop {
            let instances = self.route.instances(self.lane);
            if instances.all().is_empty() {
                let text = format!("couldn't find service: {}", self.route.target().app_id);
                return Err(Fault::new(Kind::UnknownApp, text));
            }
            let now = Instant::now();
            let Some(instance) = self.choose(&instances, now) else {
                // Every instance has been tried in this round.
                self.avoid.clear();
                continue;
            };
            let fault = match self.attempt(&instance).await {
                Ok(answer) if C::is_unreached(&answer) => {
                    instance.set_aside(now);
                    if self.has_other(&instances, &instance) {
                        continue;
                    }
                    return Ok(answer);
                }
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            if !self.again(&fault, &instances, &instance).await {
                return Err(self.last(fault));
            }
        }
    }

    fn choose(&self, instances: &Instances, now: Instant) -> Option<Arc<Instance>> {
        let trial = match self.cargo.body().is_certain() {
            true => instances.trial(&self.avoid, now),
            false => None,
        };
        trial.or_else(|| instances.choose(&mut || self.lane.random(), &self.avoid, now))
    }

    async fn attempt(&mut self, instance: &Arc<Instance>) -> Result<C::Answer, Fault> {
        self.outcome.attempts += 1;
        self.outcome.instance = Some(Arc::clone(instance));
        let peer = self.route.peer(self.lane, instance);
        // An open connection is the rule, and needs no future.
        let link = match peer.open_link() {
            Some(link) => link,
            None => connect(&peer, instance).await?,
        };
        instance.report_connected();
        let started = Instant::now();
        let in_flight = self.cargo.is_timed().then(|| instance.begin());
        let answer = self.cargo.send(&link).await;
        if let Ok(answer) = &answer {
            instance.report_success();
            let now = Instant::now();
            let took = now - started;
            self.outcome.took = took;
            if in_flight.is_some() || took < LONGEST_UNTIMED {
                instance.record_latency(took, now);
            }
            self.cargo.answered(self.route, answer, took);
        }
        answer
    }

    /// Decides about another attempt, and waits for its time.
    async fn again(&mut self, fault: &Fault, instances: &Instances, tried: &Arc<Instance>) -> bool {
        if fault.repeat() == Repeat::Elsewhere {
            // Whether or not this call has a second chance, the next ones are spared.
            tried.set_aside(Instant::now());
        }
        if !self.cargo.body().is_possible() {
            return false;
        }
        let idempotent = self.cargo.is_idempotent();
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
        if self.has_other(instances, tried) {
            return true;
        }
        if elsewhere || !self.cargo.may_wait() || self.retries == RETRIES {
            return false;
        }
        self.retries += 1;
        self.avoid.clear();
        tokio::time::sleep(RETRY_PAUSE).await;
        true
    }

    /// Whether there is an instance that was not tried in this round, and the call can be repeated.
    fn has_other(&mut self, instances: &Instances, tried: &Arc<Instance>) -> bool {
        self.avoid.push(Arc::clone(tried));
        let is_left = |i: &Arc<Instance>| !self.avoid.iter().any(|a| Arc::ptr_eq(a, i));
        self.cargo.body().is_possible() && instances.all().iter().any(is_left)
    }

    /// The fault the caller hears of, with the retries made in vain.
    fn last(&self, mut fault: Fault) -> Fault {
        fault.retries = self.retries;
        fault
    }
}

/// Waits for a connection to an instance, which is ejected if there is none to be had.
async fn connect(peer: &Rc<Group>, instance: &Arc<Instance>) -> Result<Rc<Link>, Fault> {
    let linked = peer.link(&End::Peer(Arc::clone(instance))).await;
    linked.map_err(|error| {
        instance.eject(Instant::now());
        Fault::new(Kind::PeerUnreachable, error.to_string())
    })
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
