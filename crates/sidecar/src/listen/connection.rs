//! A served HTTP/2 connection of gRPC's kind: its settings, its keep-alive, its polite end
//! (contract `grpc-api.md` 1).

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
    RecvStream,
    server::{Connection, SendResponse},
};
use http::Request;
use outrider_telemetry::log::scope;
use tokio::{sync::watch, time::Sleep};

use crate::link::{
    connection::{CONNECTION_WINDOW, MAX_FRAME, RESET_KEPT, RESET_STREAMS},
    io::Gathered,
    keepalive::{IDLE, Keepalive},
    seldom::Seldom,
};

/// Calls under way on one connection from a peer, which opens another one well before this.
pub(crate) const PEER_STREAMS: u32 = 1000;

/// The same for a client of the API: it may have but one connection, and streams that stay open.
pub(crate) const CLIENT_STREAMS: u32 = 20_000;

/// Largest header list: room for many large metadata values, none for a bomb.
const MAX_HEADER_LIST: u32 = 4 * 1024 * 1024;

/// So often a client may go on with a stream that is long over.
const LATE_FRAMES: usize = 1_000_000;

/// Settings that every HTTP/2 server of a sidecar shares.
pub(crate) fn builder(streams: u32, window: u32) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(window)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_concurrent_streams(streams)
        // Callers that give up come in bursts, and their resets in one read with their calls.
        .max_pending_accept_reset_streams(4 * streams as usize)
        // What arrives late for calls that were given up must not count against the connection.
        .max_concurrent_reset_streams(RESET_STREAMS)
        .reset_stream_duration(RESET_KEPT)
        .max_local_error_reset_streams(Some(LATE_FRAMES))
        .max_header_list_size(MAX_HEADER_LIST);
    builder
}

/// How long a client may take over its HTTP/2 preface.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection without calls for so long is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(180);

/// Drives a served HTTP/2 connection: hands each request to `start`, writes once per wake-up,
/// finishes politely when `drain` says so.
pub(crate) async fn serve_http2(
    builder: &h2::server::Builder,
    gathered: Gathered,
    mut drain: watch::Receiver<bool>,
    mut start: impl FnMut(Request<RecvStream>, SendResponse<Bytes>, OpenStream),
) {
    let io = gathered.clone();
    let mut handshake = std::pin::pin!(builder.handshake::<_, Bytes>(io));
    // The server's SETTINGS leave at once, whatever the client sends: a TLS client that meets this
    // port learns that it is plain.
    let shaken = poll_fn(|cx| {
        let polled = handshake.as_mut().poll(cx);
        match gathered.poll_flush_now(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(None),
            _ => polled.map(Result::ok),
        }
    });
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(PREFACE_TIMEOUT, shaken) => shaken,
        _ = drain.wait_for(|draining| *draining) => return,
    };
    let Ok(Some(mut connection)) = shaken else {
        return;
    };
    let used = Rc::<Cell<bool>>::default();
    let mut keepalive = Keepalive::new(
        connection.ping_pong(),
        gathered.clone(),
        Rc::clone(&used),
        IDLE_LIMIT,
    );
    let mut draining = std::pin::pin!(async move {
        // An ended sender means that the process is going away.
        let _ = drain.wait_for(|draining| *draining).await;
    });
    let open = Rc::<Cell<usize>>::default();
    let mut drained: Option<Pin<Box<Sleep>>> = None;
    let mut seldom = Seldom::new();
    let ended = poll_fn(|cx| {
        let mut rung = seldom.rung(cx);
        if let Some(cx) = &mut rung
            && drained.is_none()
            && draining.as_mut().poll(cx).is_ready()
        {
            drained = Some(Box::pin(tokio::time::sleep(GOAWAY_TIMEOUT)));
            connection.graceful_shutdown();
        }
        loop {
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((req, respond)))) => {
                    used.set(true);
                    start(req, respond, OpenStream::new(&open));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.to_string())),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        if let Poll::Ready(Err(error)) = gathered.poll_flush_now(cx) {
            return Poll::Ready(Err(error.to_string()));
        }
        // A client that does not take part in the farewell is left when nothing is open any more.
        if let Some(limit) = &mut drained
            && limit.as_mut().poll(cx).is_ready()
            && open.get() == 0
        {
            if !gathered.take_wrote() {
                return Poll::Ready(Ok(()));
            }
            // Answers are still leaving, as fast as the client takes them.
            limit
                .as_mut()
                .reset(tokio::time::Instant::now() + GOAWAY_TIMEOUT);
            cx.waker().wake_by_ref();
        }
        let Some(rung) = &mut rung else {
            return Poll::Pending;
        };
        match keepalive.poll(rung, open.get() == 0) {
            Poll::Ready(IDLE) if drained.is_none() => {
                drained = Some(Box::pin(tokio::time::sleep(GOAWAY_TIMEOUT)));
                connection.graceful_shutdown();
                // The farewell is sent by the next poll.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(why) => Poll::Ready(Err(why.to_owned())),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    finish(connection, &gathered).await;
    if let Err(why) = ended {
        tracing::debug!(target: scope::RUNTIME_GRPC_INTERNAL, "HTTP/2 connection ended: {why}");
    }
}

/// How long a drained connection without calls waits for its client to say good-bye.
const GOAWAY_TIMEOUT: Duration = Duration::from_secs(1);

/// Counts a call as open on its connection until dropped.
pub(crate) struct OpenStream(Rc<Cell<usize>>);

impl OpenStream {
    fn new(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Writes what is left, a GOAWAY for example, but not for ever.
async fn finish(connection: Connection<Gathered, Bytes>, gathered: &Gathered) {
    drop(connection);
    let flush = poll_fn(|cx| gathered.poll_flush_now(cx));
    let _ = tokio::time::timeout(Duration::from_secs(1), flush).await;
}
