//! A lane's outgoing HTTP/2 connections: a few per destination, opened on demand, one attempt at a
//! time.
//!
//! The key is (address, namespace, app id), so that a connection verified for one app never serves
//! another (contract `sidecar-protocol.md` 9, Weakness).

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use outrider_lookup::Instance;
use tokio::{sync::Notify, task::spawn_local};

use super::{
    connect::ConnectError,
    connection::{Link, open},
    end::End,
};

/// Connections to one destination; calls beyond what they carry queue.
const LINKS_LIMIT: usize = 256;

/// Address, namespace, app id.
type Key = (Box<str>, Box<str>, Box<str>);

/// All peers of a lane.
#[derive(Default)]
pub(crate) struct Pool {
    peers: RefCell<HashMap<Key, Rc<Group>>>,
}

impl Pool {
    /// The connections to one instance.
    pub(crate) fn peer(&self, instance: &Arc<Instance>, namespace: &str) -> Rc<Group> {
        let key = (
            instance.addr().into(),
            namespace.into(),
            instance.app_id().into(),
        );
        let mut peers = self.peers.borrow_mut();
        if peers.len() > 256 {
            peers.retain(|_, peer| Rc::strong_count(peer) > 1 || peer.len() > 0);
        }
        Rc::clone(peers.entry(key).or_default())
    }
}

/// The connections to one destination.
#[derive(Default)]
pub(crate) struct Group {
    links: RefCell<Vec<Rc<Link>>>,
    connecting: RefCell<Option<Rc<Connecting>>>,
    /// Told when a connection that was full has a place again.
    freed: Rc<Notify>,
}

/// One attempt to connect, awaited by all who need it.
#[derive(Default)]
struct Connecting {
    result: RefCell<Option<Result<Rc<Link>, ConnectError>>>,
    done: Notify,
}

impl Group {
    /// An open connection with room for one more stream.
    pub(crate) fn open_link(&self) -> Option<Rc<Link>> {
        let links = self.links.borrow();
        links.iter().find(|link| link.has_room()).map(Rc::clone)
    }

    /// A connection with room for one more stream.
    pub(crate) async fn link(self: &Rc<Self>, end: &End) -> Result<Rc<Link>, ConnectError> {
        loop {
            if let Some(link) = self.open_link() {
                return Ok(link);
            }
            let emptiest = {
                let links = self.links.borrow();
                let open = links.iter().filter(|link| !link.is_closed());
                let emptiest = open.min_by_key(|link| link.streams()).map(Rc::clone);
                match emptiest {
                    Some(link) if links.len() >= LINKS_LIMIT || link.is_shut() => return Ok(link),
                    emptiest => emptiest,
                }
            };
            let attempt = self.attempt(end);
            let opened = match &emptiest {
                // Another connection is on its way; the last places on this one are taken meanwhile.
                Some(link) if !link.is_full() => return Ok(Rc::clone(link)),
                Some(_) => tokio::select! {
                    opened = attempt.wait() => opened,
                    // Whatever becomes of the attempt, there is a place now.
                    () = self.freed.notified() => continue,
                },
                None => attempt.wait().await,
            };
            match (opened, emptiest) {
                // One that allows no stream at all may allow some later.
                (Ok(link), _) if !link.is_full() || link.streams() == 0 => return Ok(link),
                // All who waited with us were faster.
                (Ok(_), _) => {}
                // Behind streams that may stay open for ever nobody waits while there is hope.
                (Err(_), Some(link)) => return Ok(link),
                (Err(error), None) => return Err(error),
            }
        }
    }

    /// The running attempt, or a new one. It runs by itself: callers come and go.
    fn attempt(self: &Rc<Self>, end: &End) -> Rc<Connecting> {
        if let Some(running) = &*self.connecting.borrow() {
            return Rc::clone(running);
        }
        let attempt = Rc::new(Connecting::default());
        *self.connecting.borrow_mut() = Some(Rc::clone(&attempt));
        let (group, end, running) = (Rc::clone(self), end.clone(), Rc::clone(&attempt));
        spawn_local(async move {
            let result = open(&group, &end).await;
            group.connecting.borrow_mut().take();
            *running.result.borrow_mut() = Some(result);
            running.done.notify_waiters();
        });
        attempt
    }

    pub(super) fn freed(&self) -> Rc<Notify> {
        Rc::clone(&self.freed)
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.links.borrow().len()
    }

    pub(super) fn add(&self, link: &Rc<Link>) {
        self.links.borrow_mut().push(Rc::clone(link));
    }

    pub(super) fn remove(&self, link: &Rc<Link>) {
        self.links
            .borrow_mut()
            .retain(|other| !Rc::ptr_eq(other, link));
    }
}

impl Connecting {
    async fn wait(&self) -> Result<Rc<Link>, ConnectError> {
        loop {
            let notified = self.done.notified();
            if let Some(result) = &*self.result.borrow() {
                return result.clone();
            }
            notified.await;
        }
    }
}
