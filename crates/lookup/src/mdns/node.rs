//! What announcer and querier share: the sockets, the interfaces they are joined to, and what is
//! announced on them.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hickory_proto::op::Message;
use outrider_telemetry::log::scope;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::announcer::{Announced, Place};
use super::error::Error;
use super::hearing;
use super::interfaces::{self, Interface};
use super::socket::Sockets;

/// Sockets, and what is announced on them. No borrow of it outlives a step.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) net: RefCell<Net>,
    pub(super) announced: RefCell<Option<Announced>>,
    /// There is something new to announce.
    pub(super) wake: Notify,
}

#[derive(Debug, Default)]
pub(super) struct Net {
    pub(super) sockets: Option<Rc<Sockets>>,
    /// Those whose multicast we receive.
    pub(super) interfaces: Vec<Interface>,
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
    pub(super) fn multicast(&self, bytes: &[u8], is_meant: impl Fn(&Interface) -> bool) {
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
    pub(super) fn look(&self) -> bool {
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

    pub(super) fn tell(&self) {
        if let Some(Announced { service, .. }) = &*self.announced.borrow() {
            tracing::info!(
                target: scope::CONTRIB, component = COMPONENT,
                "local service entry announced: {} -> {}", service.app_id, service.addr
            );
        }
    }

    pub(super) fn withdraw(&self) {
        if let Some(announced) = self.announced.take() {
            let net = self.net.borrow();
            net.multicast(&announced.records.goodbye, |_| true);
        }
    }

    pub(super) fn answer(&self, message: &Message, from: SocketAddr) {
        if let Some(announced) = &*self.announced.borrow() {
            for reply in hearing::replies(message, &announced.records) {
                self.net.borrow().reply(&reply, from);
            }
        }
    }

    pub(super) fn announce_due(&self, now: Instant) {
        if let Some(announced) = &mut *self.announced.borrow_mut() {
            for (bytes, place) in announced.due(now) {
                self.net.borrow().multicast(bytes, |it| match &place {
                    Place::Everywhere => true,
                    Place::On(indexes) => indexes.contains(&it.index),
                });
            }
        }
    }

    pub(super) fn next_announcement(&self) -> Option<Instant> {
        self.announced.borrow().as_ref()?.next_due()
    }
}

/// How the reference's log names it.
const COMPONENT: &str = "nr (mdns/v1)";
/// How often interfaces are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(5);
