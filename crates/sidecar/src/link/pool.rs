//! A lane's connections to other sidecars: a few per peer, opened on demand, one attempt at a time.
//!
//! The key is (address, namespace, app id), so that a connection verified for one app never serves
//! another (contract `sidecar-protocol.md` 9, Weakness).

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use outrider_lookup::Instance;
use tokio::{
    sync::{Notify, watch},
    task::spawn_local,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use super::{
    connect::{ConnectError, connect},
    io::Gathered,
};

/// Window for the whole connection: the largest there is, because `h2` also bounds small frames by
/// it (see `docs/decisions/0003-http2-windows.md`); streams are bounded one by one.
pub(crate) const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// Window of one stream: what a slow reader makes us hold.
pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;

/// Largest frame we take.
pub(crate) const MAX_FRAME: u32 = 64 * 1024;

/// A connection is looked at this often; so long, too, a sign of life may take that was asked for.
const TICK: Duration = Duration::from_secs(5);

/// After so many silent ticks a sign of life is asked for (contract `sidecar-protocol.md` 9).
const SILENT_TICKS: u32 = 2;

/// A connection without calls for so many ticks is closed: 150 s, before the peer does it at 180.
const IDLE_TICKS: u32 = 30;

/// Address, namespace, app id.
type Key = (Box<str>, Box<str>, Box<str>);

/// All peers of a lane.
#[derive(Default)]
pub(crate) struct Pool {
    peers: RefCell<HashMap<Key, Rc<Peer>>>,
}

impl Pool {
    /// The connections to one instance.
    pub(crate) fn peer(&self, instance: &Arc<Instance>, namespace: &str) -> Rc<Peer> {
        let key = (
            instance.addr().into(),
            namespace.into(),
            instance.app_id().into(),
        );
        let mut peers = self.peers.borrow_mut();
        if peers.len() > 256 {
            peers.retain(|_, peer| Rc::strong_count(peer) > 1 || !peer.links.borrow().is_empty());
        }
        Rc::clone(peers.entry(key).or_default())
    }
}

/// The connections to one instance.
#[derive(Default)]
pub(crate) struct Peer {
    links: RefCell<Vec<Rc<Link>>>,
    connecting: RefCell<Option<Rc<Connecting>>>,
}

/// One attempt to connect, awaited by all who need it.
#[derive(Default)]
struct Connecting {
    result: RefCell<Option<Result<Rc<Link>, ConnectError>>>,
    done: Notify,
}

impl Peer {
    /// A connection with room for one more stream.
    pub(crate) async fn link(
        self: &Rc<Self>,
        instance: &Arc<Instance>,
    ) -> Result<Rc<Link>, ConnectError> {
        let fullest = {
            let links = self.links.borrow();
            if let Some(link) = links.iter().find(|link| link.has_room()) {
                return Ok(Rc::clone(link));
            }
            links
                .iter()
                .filter(|link| !link.closed.get())
                .min_by_key(|link| link.streams.get())
                .map(Rc::clone)
        };
        let attempt = self.attempt(instance);
        match fullest {
            // More connections are on their way; meanwhile calls queue for the least loaded one.
            Some(link) => Ok(link),
            None => attempt.wait().await,
        }
    }

    /// The running attempt, or a new one. It runs by itself: callers come and go.
    fn attempt(self: &Rc<Self>, instance: &Arc<Instance>) -> Rc<Connecting> {
        if let Some(running) = &*self.connecting.borrow() {
            return Rc::clone(running);
        }
        let attempt = Rc::new(Connecting::default());
        *self.connecting.borrow_mut() = Some(Rc::clone(&attempt));
        let (peer, instance, running) =
            (Rc::clone(self), Arc::clone(instance), Rc::clone(&attempt));
        spawn_local(async move {
            let result = open(&peer, &instance).await;
            peer.connecting.borrow_mut().take();
            *running.result.borrow_mut() = Some(result);
            running.done.notify_waiters();
        });
        attempt
    }

    fn remove(&self, link: &Rc<Link>) {
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

/// Finds out whether a sidecar is there, with a connection that is not kept. The system accepts
/// connections for a process that is frozen or stuck: only a word of the peer counts.
pub(crate) async fn probe(instance: &Instance) -> Result<(), ConnectError> {
    greeted(instance, SHORT_GREETING).await.map(drop)
}

/// A connection over which the peer has answered.
struct Greeted {
    send: SendRequest<Bytes>,
    connection: Connection<Gathered, Bytes>,
    pings: Option<h2::PingPong>,
    gathered: Gathered,
}

async fn greeted(instance: &Instance, limit: Duration) -> Result<Greeted, ConnectError> {
    let gathered = Gathered::new(connect(instance).await?, Vec::new());
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .enable_push(false);
    let (send, mut connection) = builder
        .handshake(gathered.clone())
        .await
        .map_err(|error| ConnectError(format!("error reading server preface: {error}")))?;
    let pings = greet(&mut connection, &gathered, limit).await?;
    Ok(Greeted {
        send,
        connection,
        pings,
        gathered,
    })
}

/// Connects, and starts the task that drives the connection.
async fn open(peer: &Rc<Peer>, instance: &Arc<Instance>) -> Result<Rc<Link>, ConnectError> {
    let limit = match instance.is_dispensable() {
        true => SHORT_GREETING,
        false => GREETING,
    };
    let Greeted {
        send,
        connection,
        pings,
        gathered,
    } = greeted(instance, limit).await?;
    let link = Rc::new(Link {
        instance: Arc::clone(instance),
        send,
        streams: Cell::new(0),
        closed: Cell::new(false),
        close: watch::Sender::new(()),
    });
    peer.links.borrow_mut().push(Rc::clone(&link));
    spawn_local(drive(
        Rc::clone(peer),
        Rc::clone(&link),
        connection,
        Keepalive::new(pings, gathered.clone()),
        gathered,
    ));
    Ok(link)
}

/// Waits for the first answer of the peer: a process that accepts and says nothing is not reached.
async fn greet(
    connection: &mut Connection<Gathered, Bytes>,
    gathered: &Gathered,
    limit: Duration,
) -> Result<Option<h2::PingPong>, ConnectError> {
    let Some(mut pings) = connection.ping_pong() else {
        return Ok(None);
    };
    let broken = |why: String| ConnectError(format!("error reading server preface: {why}"));
    pings
        .send_ping(h2::Ping::opaque())
        .map_err(|error| broken(error.to_string()))?;
    let answered = poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
            let why = ended
                .err()
                .map_or_else(|| "EOF".to_owned(), |error| error.to_string());
            return Poll::Ready(Err(why));
        }
        if let Poll::Ready(Err(error)) = gathered.poll_flush_now(cx) {
            return Poll::Ready(Err(error.to_string()));
        }
        pings.poll_pong(cx).map_err(|error| error.to_string())
    });
    match tokio::time::timeout(limit, answered).await {
        Ok(Ok(_)) => Ok(Some(pings)),
        Ok(Err(why)) => Err(broken(why)),
        Err(_) => Err(broken(
            "the peer accepted the connection and said nothing".to_owned(),
        )),
    }
}

/// How long a peer may take for its first answer.
const GREETING: Duration = Duration::from_secs(5);

/// The same where calls can go to another one meanwhile.
const SHORT_GREETING: Duration = Duration::from_secs(1);

/// One connection to a peer.
pub(crate) struct Link {
    instance: Arc<Instance>,
    pub(super) send: SendRequest<Bytes>,
    streams: Cell<usize>,
    closed: Cell<bool>,
    close: watch::Sender<()>,
}

impl Link {
    /// Takes no further call; calls under way go on.
    pub(crate) fn retire(&self) {
        self.closed.set(true);
    }

    /// Fewer than four fifths of what the peer allows are in use.
    fn has_room(&self) -> bool {
        let max = self.send.current_max_send_streams();
        !self.closed.get() && self.streams.get() < max - max / 5
    }

    /// Counts a stream until the guard is dropped.
    pub(crate) fn begin(self: &Rc<Self>) -> StreamGuard {
        self.streams.set(self.streams.get() + 1);
        StreamGuard(Rc::clone(self))
    }
}

/// Keeps a stream counted.
pub(crate) struct StreamGuard(Rc<Link>);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
    }
}

/// Drives a connection until it ends, then takes it out of the pool.
async fn drive(
    peer: Rc<Peer>,
    link: Rc<Link>,
    mut connection: Connection<Gathered, Bytes>,
    mut keepalive: Keepalive,
    gathered: Gathered,
) {
    let ended = poll_fn(|cx| {
        if let Poll::Ready(result) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(result.map_err(|error| error.to_string()));
        }
        if let Poll::Ready(Err(error)) = gathered.poll_flush_now(cx) {
            return Poll::Ready(Err(error.to_string()));
        }
        let idle = link.streams.get() == 0;
        match keepalive.poll(cx, idle) {
            Poll::Ready(why) => {
                if why == DEAD {
                    // The next connection would be accepted and say nothing, too.
                    link.instance.eject(Instant::now());
                }
                Poll::Ready(Err(why.to_owned()))
            }
            // A ping just queued leaves with the next flush.
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    link.closed.set(true);
    peer.remove(&link);
    link.close.send_replace(());
    if let Err(why) = ended {
        tracing::debug!(target: outrider_telemetry::log::scope::RUNTIME_DIRECT_MESSAGING, "connection to a peer ended: {why}");
    }
}

/// Why a connection is given up whose peer gives no sign of life.
const DEAD: &str = "keep-alive ping not answered within 5 s";

/// Notices a peer that has vanished, and a connection nobody needs.
pub(crate) struct Keepalive {
    pings: Option<h2::PingPong>,
    gathered: Gathered,
    ticks: Interval,
    idle_ticks: u32,
    silent_ticks: u32,
    awaiting: bool,
}

impl Keepalive {
    /// Watches the connection whose pings and stream these are.
    pub(crate) fn new(pings: Option<h2::PingPong>, gathered: Gathered) -> Self {
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            pings,
            gathered,
            ticks,
            idle_ticks: 0,
            silent_ticks: 0,
            awaiting: false,
        }
    }

    /// Ready with the reason once the connection is to be given up.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, idle: bool) -> Poll<&'static str> {
        while self.ticks.poll_tick(cx).is_ready() {
            self.idle_ticks = if idle { self.idle_ticks + 1 } else { 0 };
            if self.idle_ticks >= IDLE_TICKS {
                return Poll::Ready("idle");
            }
            if self.gathered.take_active() {
                (self.awaiting, self.silent_ticks) = (false, 0);
                continue;
            }
            if self.awaiting {
                return Poll::Ready(DEAD);
            }
            self.silent_ticks += 1;
            if self.silent_ticks >= SILENT_TICKS
                && let Some(pings) = &mut self.pings
            {
                self.awaiting = pings.send_ping(h2::Ping::opaque()).is_ok();
            }
        }
        if let Some(pings) = &mut self.pings {
            // Takes the answer off, so that the next ping may be sent.
            let _ = pings.poll_pong(cx);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use outrider_lookup::{Listing, Table};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A listener, and the instance that it is.
    async fn listener() -> (TcpListener, Table, Arc<Instance>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let table = Table::new();
        let listing = Listing::new(Some("default"), "cart", &addr);
        table.source("static").upsert(listing);
        let found = table.peek("default", "cart").unwrap();
        let instance = Arc::clone(&found.all()[0]);
        (listener, table, instance)
    }

    /// Serves one connection until it ends.
    async fn serve(tcp: TcpStream) {
        let mut connection = h2::server::handshake(tcp).await.unwrap();
        while let Some(Ok(_)) = connection.accept().await {}
    }

    #[tokio::test]
    async fn a_peer_that_answers_is_there() {
        let (listener, _table, instance) = listener().await;
        let served = async {
            let (tcp, _) = listener.accept().await.unwrap();
            serve(tcp).await;
        };
        let probed = async { probe(&instance).await };
        tokio::select! {
            probed = probed => probed.unwrap(),
            () = served => panic!("the connection ended before it was used"),
        }
    }

    #[tokio::test]
    async fn a_peer_that_accepts_and_says_nothing_is_not_there() {
        // Nobody accepts: the system does.
        let (_listener, _table, instance) = listener().await;
        let limit = Duration::from_millis(20);
        let error = greeted(&instance, limit).await.map(drop).unwrap_err();
        assert!(error.0.contains("said nothing"), "{error}");
    }
}
