//! mDNS as the reference does it, so that our sidecars and daprd find each other: an announcer and
//! a querier on one pair of sockets (contract `naming.md` 5).
//!
//! It is no general mDNS. The app id itself is the service, names are compared byte for byte, and
//! records are joined per message. What fails here is told once and tried again: the sidecar works
//! without it, with whatever other sources know.

mod announcer;
mod hearing;
mod interfaces;
mod packet;
mod querier;
mod socket;

use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::future::pending;
use std::hash::BuildHasher;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use outrider_telemetry::log::scope;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, interval, sleep, sleep_until};

use crate::table::{Asked, Query, SourceHandle, Table};
use announcer::{Announced, PROBE_GAP, Place};
use interfaces::Interface;
use packet::{LONGEST_LABEL, Records};
use querier::{Cause, Querier};
use socket::{PORT, Sockets};

pub use packet::Service;

/// The name of this source.
pub const MDNS: &str = "mdns";

/// Why mDNS does not work, or not for this app. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is not to be had.
    #[error(
        "UDP port {PORT} cannot be opened for mDNS: {0}; if another program holds the port without \
         sharing it, stop that one (`ss -ulpn sport = :{PORT}` names it)"
    )]
    Port(io::Error),
    /// Nothing to send on.
    #[error(
        "no network interface takes part in mDNS{}; bring up one that can do multicast, the \
         loopback interface is enough for one host", because(.0)
    )]
    NoInterface(Vec<String>),
    /// Nothing gets out.
    #[error(
        "nothing can be sent to the mDNS group on {interface}: {cause}; if a firewall forbids it, \
         let UDP port {PORT} pass"
    )]
    Mute {
        /// The first interface.
        interface: Box<str>,
        /// What the system says.
        cause: io::Error,
    },
    /// No DNS name can hold the id.
    #[error(
        "the app id has {0} bytes, and no name that mDNS can announce holds more than \
         {LONGEST_LABEL}; choose a shorter --app-id to be found by mDNS"
    )]
    LongId(usize),
    /// No DNS name can hold the id or the host's name.
    #[error(
        "mDNS has no names for app id {app_id} on host {hostname}: {cause}; choose another \
         --app-id or hostname to be found by mDNS"
    )]
    Name {
        /// The id.
        app_id: String,
        /// The host's name.
        hostname: String,
        /// What is wrong with them.
        cause: String,
    },
}

fn because(causes: &[String]) -> String {
    match causes {
        [] => String::new(),
        causes => format!(" ({})", causes.join(", ")),
    }
}

/// Our end of mDNS. Lives on one thread; the sockets close with the last of this, its
/// announcement, and what [`run`](Self::run) returned.
#[derive(Debug)]
pub struct Mdns {
    node: Rc<Node>,
    asked: Asked,
    source: SourceHandle,
    table: Table,
}

/// Makes a sidecar known until it is dropped, which says goodbye at once.
#[derive(Debug)]
#[must_use = "dropping it says goodbye"]
pub struct Announcement {
    node: Rc<Node>,
}

impl Drop for Announcement {
    fn drop(&mut self) {
        self.node.withdraw();
    }
}

impl Mdns {
    /// Opens the sockets. If that fails, the log says why, and [`run`](Self::run) tries again.
    /// To be called inside the runtime that is to run it.
    pub fn new(table: &Table) -> Self {
        let node = Rc::new(Node::default());
        node.look();
        Self {
            node,
            asked: table.asked(),
            source: table.source(MDNS),
            table: table.clone(),
        }
    }

    /// Whether multicast can be sent now.
    pub fn works(&self) -> bool {
        !self.node.net.borrow().interfaces.is_empty()
    }

    /// Something to announce by while [`run`](Self::run) has the rest.
    pub fn announcer(&self) -> Announcer {
        Announcer {
            node: Rc::clone(&self.node),
        }
    }

    /// Answers, announces, asks and listens until dropped. To be polled by the thread that made it.
    pub async fn run(self) {
        let mut run = Run {
            node: self.node,
            source: self.source,
            table: self.table,
            querier: Querier::default(),
        };
        run.run(self.asked).await;
    }
}

/// Announces on the sockets of an [`Mdns`].
#[derive(Clone, Debug)]
pub struct Announcer {
    node: Rc<Node>,
}

impl Announcer {
    /// Makes a sidecar known: questions are answered from now on. One at a time.
    pub fn announce(&self, service: Service) -> Result<Announcement, Error> {
        let records = Records::try_new(&service).map_err(|error| match service.app_id.len() {
            long if long > LONGEST_LABEL => Error::LongId(long),
            _ => Error::Name {
                app_id: service.app_id.clone(),
                hostname: service.hostname.clone(),
                cause: error.to_string(),
            },
        })?;
        let now = Instant::now();
        let announced = Announced::new(service, records, probe_gap(), now);
        self.node.announced.replace(Some(announced));
        if !self.node.net.borrow().interfaces.is_empty() {
            self.node.tell();
            // Before anybody can be told that we are ready.
            self.node.announce_due(now);
        }
        self.node.wake.notify_one();
        let node = Rc::clone(&self.node);
        Ok(Announcement { node })
    }
}

/// Random, so that hosts that start together do not speak together.
fn probe_gap() -> Duration {
    let drawn = RandomState::new().hash_one(());
    Duration::from_millis(drawn % u64::try_from(PROBE_GAP.as_millis()).unwrap_or(1))
}

/// Sockets, and what is announced on them. No borrow of it outlives a step.
#[derive(Debug, Default)]
struct Node {
    net: RefCell<Net>,
    announced: RefCell<Option<Announced>>,
    /// There is something new to announce.
    wake: Notify,
}

#[derive(Debug, Default)]
struct Net {
    sockets: Option<Rc<Sockets>>,
    /// Those whose multicast we receive.
    interfaces: Vec<Interface>,
    complained: bool,
    /// The log has been told that nothing can be sent.
    mute: Cell<bool>,
}

impl Net {
    /// Opens what is closed and joins what is new; returns the indexes of the latter.
    fn look(&mut self) -> Result<Vec<u32>, Error> {
        let sockets = match &self.sockets {
            Some(sockets) => Rc::clone(sockets),
            None => Rc::new(Sockets::open().map_err(Error::Port)?),
        };
        self.sockets = Some(Rc::clone(&sockets));
        let unlisted = |error: io::Error| Error::NoInterface(vec![error.to_string()]);
        let found = interfaces::list().map_err(unlisted)?;
        let (mut joined, mut new, mut causes) = (Vec::new(), Vec::new(), Vec::new());
        for interface in found {
            if self.interfaces.contains(&interface) {
                joined.push(interface);
                continue;
            }
            match sockets.join(&interface) {
                Ok(()) => {
                    new.push(interface.index);
                    joined.push(interface);
                }
                Err(error) => causes.push(format!("{}: {error}", interface.name)),
            }
        }
        self.interfaces = joined;
        match self.interfaces.is_empty() {
            true => Err(Error::NoInterface(causes)),
            false => Ok(new),
        }
    }

    /// Sends where it is meant to go. What is lost here is lost; that nothing gets out at all is
    /// said once.
    fn multicast(&self, bytes: &[u8], is_meant: impl Fn(&Interface) -> bool) {
        let Some(sockets) = &self.sockets else {
            return;
        };
        let (mut sent, mut failure) = (false, None);
        for interface in self.interfaces.iter().filter(|it| is_meant(it)) {
            match sockets.multicast(bytes, interface) {
                Ok(()) => sent = true,
                Err(cause) => {
                    failure.get_or_insert((interface.name.clone(), cause));
                }
            }
        }
        match failure {
            _ if sent => self.mute.set(false),
            Some((interface, cause)) if !self.mute.replace(true) => {
                let error = Error::Mute { interface, cause };
                tracing::warn!(target: scope::CONTRIB, component = COMPONENT, "{error}");
            }
            _ => {}
        }
    }

    /// One reply: to who asked, or to the group on the interface that leads there.
    fn reply(&self, reply: &hearing::Reply, from: SocketAddr) {
        let is_near = self.interfaces.iter().any(|it| it.leads_to(from));
        match &self.sockets {
            // Never to a stranger from far away: who that is can be forged.
            Some(sockets) if reply.unicast && is_near => sockets.unicast(&reply.bytes, from),
            _ => self.multicast(&reply.bytes, |it| !is_near || it.leads_to(from)),
        }
    }
}

impl Node {
    /// Looks at the interfaces; true if there are new ones.
    fn look(&self) -> bool {
        let mut net = self.net.borrow_mut();
        match net.look() {
            Ok(new) => {
                let recovered = std::mem::take(&mut net.complained);
                drop(net);
                if recovered {
                    tracing::info!(
                        target: scope::CONTRIB, component = COMPONENT,
                        "name resolution by mDNS works now"
                    );
                    self.tell();
                }
                if let Some(announced) = &mut *self.announced.borrow_mut()
                    && !new.is_empty()
                {
                    announced.repeat_on(&new, Instant::now());
                }
                !new.is_empty()
            }
            Err(error) => {
                if !std::mem::replace(&mut net.complained, true) {
                    tracing::warn!(
                        target: scope::CONTRIB, component = COMPONENT,
                        "apps are neither found nor announced by mDNS: {error}; trying again every \
                         {} s", LOOK.as_secs()
                    );
                }
                false
            }
        }
    }

    fn tell(&self) {
        if let Some(Announced { service, .. }) = &*self.announced.borrow() {
            tracing::info!(
                target: scope::CONTRIB, component = COMPONENT,
                "local service entry announced: {} -> {}", service.app_id, service.addr
            );
        }
    }

    fn withdraw(&self) {
        if let Some(announced) = self.announced.take() {
            let net = self.net.borrow();
            net.multicast(&announced.records.goodbye, |_| true);
        }
    }

    fn answer(&self, message: &hickory_proto::op::Message, from: SocketAddr) {
        if let Some(announced) = &*self.announced.borrow() {
            for reply in hearing::replies(message, &announced.records) {
                self.net.borrow().reply(&reply, from);
            }
        }
    }

    fn announce_due(&self, now: Instant) {
        if let Some(announced) = &mut *self.announced.borrow_mut() {
            for (bytes, place) in announced.due(now) {
                self.net.borrow().multicast(bytes, |it| match &place {
                    Place::Everywhere => true,
                    Place::On(indexes) => indexes.contains(&it.index),
                });
            }
        }
    }

    fn next_announcement(&self) -> Option<Instant> {
        self.announced.borrow().as_ref()?.next_due()
    }
}

/// The one task of mDNS.
struct Run {
    node: Rc<Node>,
    source: SourceHandle,
    table: Table,
    querier: Querier,
}

impl Run {
    async fn run(&mut self, mut asked: Asked) {
        let mut looks = interval(LOOK);
        // The first tick comes at once, and the first look has been.
        looks.tick().await;
        let mut buffer = vec![0; LONGEST_MESSAGE];
        loop {
            let next = [self.querier.next_due(), self.node.next_announcement()];
            let next = next.into_iter().flatten().min();
            let sockets = self.node.net.borrow().sockets.clone();
            let node = Rc::clone(&self.node);
            tokio::select! {
                (length, from) = receive(sockets.as_deref(), &mut buffer) => {
                    self.received(&buffer[..length], from);
                }
                Some(query) = asked.next() => self.ask(&query),
                () = until(next) => {}
                () = node.wake.notified() => {}
                _ = looks.tick() => {
                    if node.look() {
                        self.querier.refresh(Instant::now());
                    }
                }
            }
            self.step();
            // However much arrives, others get their turn.
            consume_budget().await;
        }
    }

    /// Sends what is due and tells the table what changed.
    fn step(&mut self) {
        let now = Instant::now();
        self.node.announce_due(now);
        for app_id in self.querier.due(now) {
            if let Some(question) = packet::question(&app_id) {
                self.node.net.borrow().multicast(&question, |_| true);
            }
        }
        if let Some(listings) = self.querier.take_changes() {
            self.source.replace_all(listings);
        }
    }

    fn received(&mut self, bytes: &[u8], from: SocketAddr) {
        let Some(message) = hearing::read(bytes) else {
            return;
        };
        self.node.answer(&message, from);
        let from_here = interfaces::is_ours(&self.node.net.borrow().interfaces, from.ip());
        for heard in hearing::instances(&message, from, from_here) {
            self.querier.hear(heard, Instant::now());
        }
    }

    fn ask(&mut self, query: &Query) {
        let app_id = query.app_id();
        if app_id.is_empty() || app_id.len() > LONGEST_LABEL {
            return;
        }
        let now = Instant::now();
        let known = self.table.peek(query.namespace(), app_id);
        let Some(known) = known else {
            return self.querier.ask(app_id, Cause::Wanted, now);
        };
        let failing = known.all().iter().filter(|it| it.probe_due().is_some());
        let failing: Vec<_> = failing.filter_map(|it| it.addr().parse().ok()).collect();
        self.querier.ask(app_id, Cause::Failing(&failing), now);
    }
}

async fn receive(sockets: Option<&Sockets>, buffer: &mut [u8]) -> (usize, SocketAddr) {
    let Some(sockets) = sockets else {
        return pending().await;
    };
    loop {
        match sockets.receive(buffer).await {
            Ok(received) => return received,
            Err(error) => {
                // Such as the refusal of an earlier answer; an error that stays must not spin.
                tracing::debug!("mDNS message not received: {error}");
                sleep(AFTER_ERROR).await;
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// How the reference's log names it.
const COMPONENT: &str = "nr (mdns/v1)";
/// How often interfaces are looked at.
const LOOK: Duration = Duration::from_secs(5);
const AFTER_ERROR: Duration = Duration::from_millis(10);
/// The longest message mDNS allows, headers of lower layers included.
const LONGEST_MESSAGE: usize = 9_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_cause_and_cure() {
        let port = Error::Port(io::ErrorKind::AddrInUse.into()).to_string();
        assert!(port.contains("address in use"), "{port}");
        assert!(port.contains("ss -ulpn sport = :5353"), "{port}");
        let none = Error::NoInterface(vec!["eth0: no buffer space".into()]).to_string();
        assert!(
            none.starts_with("no network interface takes part in mDNS (eth0: no buffer space);")
        );
    }

    #[test]
    fn the_pause_between_probes_stays_below_its_limit() {
        for _ in 0..1_000 {
            assert!(probe_gap() < PROBE_GAP);
        }
    }

    /// Opens no socket.
    fn announcer() -> Announcer {
        let node = Rc::default();
        Announcer { node }
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_that_is_too_long_is_refused_with_its_length() {
        let mut service = packet::tests::service();
        service.app_id = "x".repeat(64);
        let error = announcer().announce(service).unwrap_err();
        assert!(error.to_string().starts_with("the app id has 64 bytes"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_dropped_is_announced_no_more() {
        let announcer = announcer();
        let announcement = announcer.announce(packet::tests::service()).unwrap();
        assert!(announcer.node.next_announcement().is_some());
        drop(announcement);
        assert!(announcer.node.announced.borrow().is_none());
    }
}
