//! One HTTP/2 connection that calls leave by: opened, greeted, driven, closed.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use h2::{
    SendStream,
    client::{Connection, ResponseFuture, SendRequest},
};
use http::Request;
use outrider_lookup::Instance;
use outrider_telemetry::log::scope;
use tokio::{sync::Notify, task::spawn_local};

use super::{
    connect::ConnectError,
    end::{End, SHORT_GREETING},
    io::Gathered,
    keepalive::{DEAD, IDLE, Keepalive},
    pool::Group,
    seldom::Seldom,
};

/// Window for the whole connection: the largest there is, because `h2` also bounds small frames by
/// it (see `docs/decisions/0003-http2-windows.md`); streams are bounded one by one.
pub(crate) const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// Window of one stream: what a slow reader makes us hold.
pub(crate) const STREAM_WINDOW: u32 = 256 * 1024;

/// The same where the far end is on this host.
pub(crate) const LOCAL_STREAM_WINDOW: u32 = 64 * 1024;

/// Largest frame we take.
pub(crate) const MAX_FRAME: u32 = 64 * 1024;

/// Streams that were reset are remembered for so long, and so many, because frames of theirs may be
/// on their way: a burst of calls that are given up must not end the connection.
pub(crate) const RESET_STREAMS: usize = 20_000;
/// See [`RESET_STREAMS`].
pub(crate) const RESET_KEPT: Duration = Duration::from_secs(10);

/// Finds out whether a sidecar is there, with a connection that is not kept. The system accepts
/// connections for a process that is frozen or stuck: only a word of the peer counts.
pub(crate) async fn probe(instance: &std::sync::Arc<Instance>) -> Result<(), ConnectError> {
    let end = End::Peer(std::sync::Arc::clone(instance));
    greeted(&end, SHORT_GREETING).await.map(drop)
}

/// A connection over which the far end has answered.
struct Greeted {
    send: SendRequest<Bytes>,
    connection: Connection<Gathered, Bytes>,
    pings: Option<h2::PingPong>,
    gathered: Gathered,
}

async fn greeted(end: &End, limit: Duration) -> Result<Greeted, ConnectError> {
    let gathered = Gathered::new(end.connect().await?, Vec::new());
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(end.stream_window())
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        // What arrives late for calls that were given up must not count against the connection.
        .max_concurrent_reset_streams(RESET_STREAMS)
        .reset_stream_duration(RESET_KEPT)
        .max_local_error_reset_streams(None)
        .enable_push(false);
    let (send, mut connection) = builder
        .handshake(gathered.clone())
        .await
        .map_err(|error| no_preface(&error.to_string()))?;
    let pings = greet(&mut connection, &gathered, limit).await?;
    Ok(Greeted {
        send,
        connection,
        pings,
        gathered,
    })
}

fn no_preface(why: &str) -> ConnectError {
    ConnectError::Preface(why.to_owned())
}

/// What the far end did instead of speaking HTTP/2.
fn not_http2(error: &h2::Error) -> String {
    // "HTTP" read as the length of a frame.
    if error.reason() == Some(h2::Reason::FRAME_SIZE_ERROR) {
        return "http2: failed reading the frame payload: http2: frame too large, note that the \
                frame header looked like an HTTP/1.1 header"
            .to_owned();
    }
    error.to_string()
}

/// Waits for the first answer: a process that accepts and says nothing is not reached. By then its
/// limit on streams is known, too.
async fn greet(
    connection: &mut Connection<Gathered, Bytes>,
    gathered: &Gathered,
    limit: Duration,
) -> Result<Option<h2::PingPong>, ConnectError> {
    let Some(mut pings) = connection.ping_pong() else {
        return Ok(None);
    };
    pings
        .send_ping(h2::Ping::opaque())
        .map_err(|error| no_preface(&error.to_string()))?;
    let answered = poll_fn(|cx| {
        if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
            let why = ended.map_or_else(|error| not_http2(&error), |()| "EOF".to_owned());
            return Poll::Ready(Err(why));
        }
        if let Poll::Ready(Err(error)) = gathered.poll_flush_now(cx) {
            return Poll::Ready(Err(error.to_string()));
        }
        pings.poll_pong(cx).map_err(|error| error.to_string())
    });
    match tokio::time::timeout(limit, answered).await {
        Ok(Ok(_)) => Ok(Some(pings)),
        Ok(Err(why)) => Err(no_preface(&why)),
        Err(_) => Err(no_preface(
            "the peer accepted the connection and said nothing",
        )),
    }
}

/// Connects, and starts the task that drives the connection.
pub(super) async fn open(group: &Rc<Group>, end: &End) -> Result<Rc<Link>, ConnectError> {
    let Greeted {
        send,
        connection,
        pings,
        gathered,
    } = greeted(end, end.greeting()).await?;
    let link = Rc::new(Link {
        send,
        streams: Cell::new(0),
        used: Rc::default(),
        closed: Cell::new(false),
        freed: group.freed(),
    });
    group.add(&link);
    let pings = pings.filter(|_| end.is_pinged());
    let driven = Driven {
        group: Rc::clone(group),
        link: Rc::clone(&link),
        end: end.clone(),
        keepalive: Keepalive::new(
            pings,
            gathered.clone(),
            Rc::clone(&link.used),
            end.idle_limit(),
        ),
        gathered,
    };
    spawn_local(driven.drive(connection));
    Ok(link)
}

/// A connection as those who send calls see it.
pub(crate) struct Link {
    send: SendRequest<Bytes>,
    streams: Cell<usize>,
    /// A call has used it since the last look.
    used: Rc<Cell<bool>>,
    closed: Cell<bool>,
    /// Told when there is a place again.
    freed: Rc<Notify>,
}

/// A request on its way.
pub(crate) type Started = (ResponseFuture, SendStream<Bytes>);

impl Link {
    /// Takes no further call; calls under way go on.
    pub(crate) fn retire(&self) {
        self.closed.set(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Calls under way.
    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// Fewer than four fifths of what the far end allows are in use.
    pub(super) fn has_room(&self) -> bool {
        let max = self.send.current_max_send_streams();
        !self.closed.get() && self.streams.get() < max - max / 5
    }

    /// The far end allows no stream for now: another connection would have none to give either.
    pub(super) fn is_shut(&self) -> bool {
        self.send.current_max_send_streams() == 0
    }

    /// As many streams are open as the far end allows: another one would wait.
    pub(super) fn is_full(&self) -> bool {
        self.streams.get() >= self.send.current_max_send_streams()
    }

    /// Counts a stream until the guard is dropped.
    pub(crate) fn begin(self: &Rc<Self>) -> StreamGuard {
        self.streams.set(self.streams.get() + 1);
        self.used.set(true);
        StreamGuard(Rc::clone(self))
    }

    /// A handle that may open a stream. An error proves that nothing was sent.
    pub(crate) async fn ready(&self) -> Result<SendRequest<Bytes>, h2::Error> {
        let mut send = self.send.clone();
        match poll_fn(|cx| send.poll_ready(cx)).await {
            Ok(()) => Ok(send),
            Err(error) => {
                self.retire();
                Err(error)
            }
        }
    }

    /// Queues a request's HEADERS frame. A stream beyond the far end's limit waits inside `h2`. An
    /// error proves that nothing was sent.
    pub(crate) fn start(
        &self,
        mut ready: SendRequest<Bytes>,
        req: Request<()>,
        end: bool,
    ) -> Result<Started, h2::Error> {
        ready.send_request(req, end).inspect_err(|_| self.retire())
    }
}

/// Keeps a stream counted.
pub(crate) struct StreamGuard(Rc<Link>);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let was_full = self.0.is_full();
        self.0.streams.set(self.0.streams.get() - 1);
        if was_full {
            self.0.freed.notify_one();
        }
    }
}

/// What the task of a connection holds.
struct Driven {
    group: Rc<Group>,
    link: Rc<Link>,
    end: End,
    keepalive: Keepalive,
    gathered: Gathered,
}

impl Driven {
    /// Drives the connection until it ends, then takes it out of its group.
    async fn drive(mut self, mut connection: Connection<Gathered, Bytes>) {
        let mut seldom = Seldom::new();
        let ended = poll_fn(|cx| {
            if let Poll::Ready(result) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(result.map_err(|error| error.to_string()));
            }
            if let Poll::Ready(Err(error)) = self.gathered.poll_flush_now(cx) {
                return Poll::Ready(Err(error.to_string()));
            }
            let Some(mut rung) = seldom.rung(cx) else {
                return Poll::Pending;
            };
            let idle = self.link.streams() == 0 && !(self.end.keeps_one() && self.group.len() == 1);
            match self.keepalive.poll(&mut rung, idle) {
                Poll::Ready(why) => Poll::Ready(Err(why.to_owned())),
                // A ping just queued leaves with the next flush.
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        self.link.retire();
        self.group.remove(&self.link);
        let Err(why) = ended else {
            return;
        };
        if why == DEAD {
            self.end.is_dead();
        }
        if why != IDLE {
            tracing::debug!(target: scope::RUNTIME_DIRECT_MESSAGING, "an outgoing HTTP/2 connection ended: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
        let error = greeted(&End::Peer(instance), limit)
            .await
            .map(drop)
            .unwrap_err();
        assert!(error.cause().contains("said nothing"), "{error}");
    }
}
