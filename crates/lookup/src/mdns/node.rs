//! What announcer and querier share: the sockets, the interfaces they are joined to, and what is
//! announced on them.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io;
use std::mem::{Discriminant, discriminant};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hickory_proto::op::Message;
use outrider_telemetry::log::scope;
use rustix::io::Errno;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::announcer::{Announced, Place};
use super::error::Error;
use super::hearing;
use super::interfaces::{self, Interface};
use super::pace::Answers;
use super::socket::{Family, Sockets};

/// Sockets, and what is announced on them. No borrow of it outlives a step.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) net: RefCell<Net>,
    pub(super) announced: RefCell<Option<Announced>>,
    answers: RefCell<Answers>,
    /// There is something new to announce.
    pub(super) wake: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Net {
    pub(super) sockets: Rc<Sockets>,
    /// Those whose multicast we receive, by one family at least.
    pub(super) interfaces: Vec<Interface>,
    /// Interfaces, by index, and families whose multicast we receive.
    joined: HashSet<(u32, Family)>,
    /// What the log knows to be wrong.
    told: Vec<Discriminant<Error>>,
    /// The log has been told that nothing can be sent.
    mute: Cell<bool>,
}

/// What came of a look at sockets and interfaces.
#[derive(Default)]
struct Look {
    /// Indexes of interfaces that are new, or new by one of the families.
    new: Vec<u32>,
    flaws: Vec<Error>,
}

impl Net {
    /// Opens what is closed and joins what is not joined.
    fn look(&mut self) -> Look {
        let mut look = Look::default();
        let mut closed = self.sockets.open();
        if closed.len() == Family::BOTH.len() {
            let supported = closed.iter().position(|(_, it)| !is_unsupported(it));
            let (_, cause) = closed.swap_remove(supported.unwrap_or(0));
            look.flaws.push(Error::Port(cause));
            return look;
        }
        // A system without one of the families misses nothing.
        closed.retain(|(_, cause)| !is_unsupported(cause));
        let half = closed.into_iter();
        look.flaws
            .extend(half.map(|(family, cause)| Error::half_port(family, cause)));
        match interfaces::list() {
            Ok(found) => self.join(found, &mut look),
            Err(error) => look.flaws.push(Error::NoInterface(vec![error.to_string()])),
        }
        look
    }

    fn join(&mut self, found: Vec<Interface>, look: &mut Look) {
        let (mut interfaces, mut joined, mut failed) = (Vec::new(), HashSet::new(), Vec::new());
        for interface in found {
            let is_known = self.interfaces.contains(&interface);
            let (mut takes_part, mut is_new) = (false, false);
            for family in Family::BOTH {
                let place = (interface.index, family);
                let outcome = match is_known && self.joined.contains(&place) {
                    true => Some(Ok(())),
                    false => {
                        let outcome = self.sockets.join(&interface, family);
                        is_new |= matches!(outcome, Some(Ok(())));
                        outcome
                    }
                };
                match outcome {
                    None => {}
                    Some(Ok(())) => {
                        joined.insert(place);
                        takes_part = true;
                    }
                    Some(Err(error)) => failed.push((interface.name.clone(), family, error)),
                }
            }
            if is_new {
                look.new.push(interface.index);
            }
            if takes_part {
                interfaces.push(interface);
            }
        }
        (self.interfaces, self.joined) = (interfaces, joined);
        if self.interfaces.is_empty() {
            let causes = failed
                .iter()
                .map(|(name, _, error)| format!("{name}: {error}"));
            look.flaws.push(Error::NoInterface(causes.collect()));
            return;
        }
        let others = failed.len().saturating_sub(1);
        if let Some((interface, family, cause)) = failed.into_iter().next() {
            look.flaws.push(Error::Deaf {
                interface,
                others,
                family: family.name(),
                cause,
            });
        }
    }

    /// Whether a datagram comes from this host or a network that it is on. Others are not to be
    /// believed (RFC 6762 11): they were sent here through a router, by whomever.
    pub(super) fn is_near(&self, from: SocketAddr) -> bool {
        let is_ours = interfaces::is_ours(&self.interfaces, from.ip());
        is_ours || self.interfaces.iter().any(|it| it.leads_to(from))
    }

    /// Sends where it is meant to go. What is lost here is lost; that nothing gets out at all is
    /// said once.
    pub(super) fn multicast(&self, bytes: &[u8], is_meant: impl Fn(&Interface) -> bool) {
        let (mut sent, mut failure) = (false, None);
        for interface in self.interfaces.iter().filter(|it| is_meant(it)) {
            match self.sockets.multicast(bytes, interface) {
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

    /// Where an answer to a question from there is heard.
    fn place_of(&self, from: SocketAddr) -> Place {
        let leads_there = self.interfaces.iter().filter(|it| it.leads_to(from));
        let indexes: Vec<_> = leads_there.map(|it| it.index).collect();
        match indexes.is_empty() {
            true => Place::Everywhere,
            false => Place::On(indexes),
        }
    }

    fn multicast_at(&self, bytes: &[u8], place: &Place) {
        self.multicast(bytes, |it| match place {
            Place::Everywhere => true,
            Place::On(indexes) => indexes.contains(&it.index),
        });
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

impl Node {
    /// Looks at sockets and interfaces; true if there are new ones.
    pub(super) fn look(&self) -> bool {
        let mut net = self.net.borrow_mut();
        let worked = !net.interfaces.is_empty();
        let Look { new, flaws } = net.look();
        if flaws.iter().any(|it| !it.is_partial()) {
            net.interfaces.clear();
            net.joined.clear();
        }
        let works = !net.interfaces.is_empty();
        let known = flaws.iter().map(discriminant).collect();
        let known = std::mem::replace(&mut net.told, known);
        drop(net);
        for flaw in flaws.iter().filter(|it| !known.contains(&discriminant(it))) {
            let effect = match flaw.is_partial() {
                true => "mDNS works in part",
                false => "apps are neither found nor announced by mDNS",
            };
            tracing::warn!(
                target: scope::CONTRIB, component = COMPONENT,
                "{effect}: {flaw}; trying again every {} s", LOOK.as_secs()
            );
        }
        if works && !known.is_empty() && (!worked || flaws.is_empty()) {
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

    pub(super) fn tell(&self) {
        if let Some(Announced { service, .. }) = &*self.announced.borrow() {
            tracing::info!(
                target: scope::CONTRIB, component = COMPONENT,
                "local service entry announced: {} -> {}", service.app_id, service.addr
            );
        }
    }

    pub(super) fn withdraw(&self) {
        self.answers.take();
        if let Some(announced) = self.announced.take() {
            let net = self.net.borrow();
            net.multicast(&announced.records.goodbye, |_| true);
        }
    }

    pub(super) fn answer(&self, message: &Message, from: SocketAddr, now: Instant) {
        let announced = self.announced.borrow();
        let Some(announced) = &*announced else {
            return;
        };
        let net = self.net.borrow();
        let place = net.place_of(from);
        for reply in hearing::replies(message, &announced.records) {
            // Never to who is on none of our networks: who that is can be forged.
            if reply.unicast && place != Place::Everywhere {
                net.sockets.unicast(&reply.bytes, from);
            } else if self.answers.borrow_mut().admit(&reply.bytes, &place, now) {
                net.multicast_at(&reply.bytes, &place);
            }
        }
    }

    /// Says what is to be said now.
    pub(super) fn speak(&self, now: Instant) {
        let net = self.net.borrow();
        if let Some(announced) = &mut *self.announced.borrow_mut() {
            for (bytes, place) in announced.due(now) {
                net.multicast_at(bytes, &place);
            }
        }
        for (bytes, place) in self.answers.borrow_mut().due(now) {
            net.multicast_at(&bytes, &place);
        }
    }

    /// When [`speak`](Self::speak) has something to say.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let announced = self.announced.borrow();
        let announcement = announced.as_ref().and_then(Announced::next_due);
        let answer = self.answers.borrow().next_due();
        announcement.into_iter().chain(answer).min()
    }
}

/// How the reference's log names it.
const COMPONENT: &str = "nr (mdns/v1)";
/// How often interfaces are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_and_its_networks_are_near() {
        let interface = Interface {
            index: 3,
            name: "eth0".into(),
            addrs: vec![
                ("192.168.1.5".parse().unwrap(), 24),
                ("fe80::5".parse().unwrap(), 64),
            ],
        };
        let net = Net {
            interfaces: vec![interface],
            ..Net::default()
        };
        for (from, near) in [
            ("127.0.0.1:5353", true),
            ("0.0.0.0:5353", true),
            ("192.168.1.5:40000", true),
            ("192.168.1.77:5353", true),
            ("192.168.2.77:5353", false),
            ("203.0.113.9:5353", false),
            ("[::1]:5353", true),
            ("[fe80::9%3]:5353", true),
            ("[fe80::9%4]:5353", false),
            ("[2001:db8::9]:5353", false),
        ] {
            assert_eq!(net.is_near(from.parse().unwrap()), near, "{from}");
        }
    }

    #[test]
    fn an_answer_goes_where_the_question_came_from() {
        let on = |index: u32, addr: &str| Interface {
            index,
            name: "eth".into(),
            addrs: vec![(addr.parse().unwrap(), 24)],
        };
        let net = Net {
            interfaces: vec![on(1, "10.0.1.1"), on(2, "10.0.2.1")],
            ..Net::default()
        };
        let place = |from: &str| net.place_of(from.parse().unwrap());
        assert_eq!(place("10.0.2.9:5353"), Place::On(vec![2]));
        assert_eq!(place("0.0.0.0:5353"), Place::Everywhere);
    }
}
