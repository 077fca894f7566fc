//! mDNS as the reference does it, so that our sidecars and daprd find each other: an announcer and
//! a querier on one pair of sockets (contract `naming.md` 5).
//!
//! It is no general mDNS. The app id itself is the service, names are compared byte for byte, and
//! records are joined per message. What fails here is told once and tried again: the sidecar works
//! without it, with whatever other sources know.

mod announcer;
mod error;
mod hearing;
mod interfaces;
mod node;
mod pace;
mod packet;
mod querier;
mod socket;

use std::collections::hash_map::RandomState;
use std::future::pending;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::time::{Instant, interval, sleep, sleep_until};

use crate::table::{Asked, Query, SourceHandle, Table};
use announcer::{Announced, PROBE_GAP};
use node::{LOOK, Node};
use packet::{LONGEST_LABEL, Records};
use querier::{Cause, Querier};
use socket::Sockets;

pub use error::Error;
pub use packet::Service;

/// The name of this source.
pub const MDNS: &str = "mdns";

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
            published: None,
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
            self.node.speak(now);
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

/// The one task of mDNS.
struct Run {
    node: Rc<Node>,
    source: SourceHandle,
    table: Table,
    querier: Querier,
    /// When the table was last told.
    published: Option<Instant>,
}

impl Run {
    async fn run(&mut self, mut asked: Asked) {
        let mut looks = interval(LOOK);
        // The first tick comes at once, and the first look has been.
        looks.tick().await;
        let mut buffer = vec![0; LONGEST_MESSAGE];
        loop {
            let next = [
                self.querier.next_due(),
                self.node.next_due(),
                self.publication_due(),
            ];
            let next = next.into_iter().flatten().min();
            let sockets = Rc::clone(&self.node.net.borrow().sockets);
            let node = Rc::clone(&self.node);
            tokio::select! {
                (length, from) = receive(&sockets, &mut buffer) => {
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
        self.node.speak(now);
        for app_id in self.querier.due(now) {
            if let Some(question) = packet::question(&app_id) {
                self.node.net.borrow().multicast(&question, |_| true);
            }
        }
        let may_publish = self.published.is_none_or(|last| last + PUBLISH_GAP <= now);
        if may_publish && let Some(listings) = self.querier.take_changes() {
            self.source.replace_all(listings);
            self.published = Some(now);
        }
    }

    /// When the table is to be told of changes; strangers could make it many times a second.
    fn publication_due(&self) -> Option<Instant> {
        let last = self.published.filter(|_| self.querier.has_changes());
        last.map(|last| last + PUBLISH_GAP)
    }

    fn received(&mut self, bytes: &[u8], from: SocketAddr) {
        if !self.node.net.borrow().is_near(from) {
            return;
        }
        let Some(message) = hearing::read(bytes) else {
            return;
        };
        let now = Instant::now();
        self.node.answer(&message, from, now);
        let from_here = interfaces::is_ours(&self.node.net.borrow().interfaces, from.ip());
        for heard in hearing::instances(&message, from, from_here) {
            self.querier.hear(heard, now);
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

async fn receive(sockets: &Sockets, buffer: &mut [u8]) -> (usize, SocketAddr) {
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

/// Shorter than anybody notices, long enough that telling costs little.
const PUBLISH_GAP: Duration = Duration::from_millis(10);
const AFTER_ERROR: Duration = Duration::from_millis(10);
/// The longest message mDNS allows, headers of lower layers included.
const LONGEST_MESSAGE: usize = 9_000;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn errors_name_cause_and_cure() {
        let port = Error::Port(io::ErrorKind::AddrInUse.into()).to_string();
        assert!(port.contains("address in use"), "{port}");
        assert!(port.contains("ss -ulpn sport = :5353"), "{port}");
        let half = Error::half_port(socket::Family::V4, io::ErrorKind::AddrInUse.into());
        let half = half.to_string();
        assert!(
            half.starts_with("UDP port 5353 cannot be opened for IPv4: address in use; until then")
        );
        assert!(half.contains("announced by IPv6 only"), "{half}");
        assert!(half.contains("ss -ulpn sport = :5353"), "{half}");
        let deaf = |others| Error::Deaf {
            interface: "m20".into(),
            others,
            family: "IPv4",
            cause: io::ErrorKind::OutOfMemory.into(),
        };
        let (one, many) = (deaf(0).to_string(), deaf(59).to_string());
        assert!(one.starts_with("network interface m20 cannot be listened to by IPv4: "));
        assert!(many.starts_with("network interface m20, and 59 more, cannot be"));
        assert!(many.contains("net.ipv4.igmp_max_memberships"));
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
        assert!(announcer.node.next_due().is_some());
        drop(announcement);
        assert!(announcer.node.announced.borrow().is_none());
    }
}
