//! An HTTP/2 app under full control of the test, for gRPC and for plain requests.
//!
//! It records each call as it arrived and answers by a [`GrpcScript`]. What sidecars ask an app on
//! their own account (subscriptions and bindings, `GET /dapr/config`, `GET /healthz`) is answered in
//! silence: there is none.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use h2::Reason;
use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::connection;
use super::frame::messages_of;
use super::metadata::values;
use super::refusal::Refusal;
use super::script::GrpcScript;
use crate::log::Log;

pub(super) type Handler = Arc<dyn Fn(&GrpcCall) -> GrpcScript + Send + Sync>;

/// One call as the app received it.
#[derive(Debug, Clone, Default)]
pub struct GrpcCall {
    /// `POST` for gRPC.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The `:authority`, empty if there was none.
    pub authority: String,
    /// Header fields; repeats of one name keep their order.
    pub metadata: HeaderMap,
    /// What has been read of the body.
    pub body: Vec<u8>,
    /// Whether the request came to its end.
    pub half_closed: bool,
    /// With what the other side reset the stream.
    pub reset: Option<Reason>,
    /// The stream is gone, by a reset or with its connection.
    pub broken: bool,
    /// The script has come to its end.
    pub done: bool,
    /// Number of the connection it came on, from 0 in order of acceptance.
    pub connection: usize,
}

impl GrpcCall {
    /// The whole messages read so far.
    pub fn messages(&self) -> Vec<Bytes> {
        messages_of(&self.body)
    }

    /// All values under `name`, in order.
    pub fn values(&self, name: &str) -> Vec<String> {
        values(&self.metadata, name)
    }
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) calls: Vec<GrpcCall>,
    /// Calls forgotten so far, so that a late one still finds its place.
    pub(super) cleared: usize,
    /// One entry per accepted connection: whether it is still open.
    pub(super) open: Vec<bool>,
}

pub(super) struct Shared {
    pub(super) seen: Log<Seen>,
    pub(super) handler: Mutex<Handler>,
    pub(super) once: Mutex<VecDeque<GrpcScript>>,
    pub(super) refusals: Mutex<VecDeque<Refusal>>,
    pub(super) settings: GrpcAppBuilder,
    /// Raised to drop all connections of now.
    pub(super) cuts: watch::Sender<usize>,
}

/// How an app listens and how much it takes.
#[derive(Debug, Clone, Default)]
pub struct GrpcAppBuilder {
    port: u16,
    pub(super) streams: Option<u32>,
    pub(super) window: Option<u32>,
    refusals: VecDeque<Refusal>,
}

impl GrpcAppBuilder {
    /// Listens on this port instead of a free one, to come back where another app was.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Allows this many streams at once on a connection, and says so in its settings.
    pub fn max_concurrent_streams(mut self, n: u32) -> Self {
        self.streams = Some(n);
        self
    }

    /// Takes this many unread bytes of a stream.
    pub fn window(mut self, bytes: u32) -> Self {
        self.window = Some(bytes);
        self
    }

    /// Turns the first stream of the next connection away; several queue up.
    pub fn refuse_first(mut self, refusal: Refusal) -> Self {
        self.refusals.push_back(refusal);
        self
    }

    /// Starts the app; `handler` is asked as soon as the head of a call is in.
    ///
    /// # Errors
    /// If the port cannot be bound.
    pub async fn start(
        mut self,
        handler: impl Fn(&GrpcCall) -> GrpcScript + Send + Sync + 'static,
    ) -> io::Result<GrpcApp> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            seen: Log::default(),
            handler: Mutex::new(Arc::new(handler)),
            once: Mutex::default(),
            refusals: Mutex::new(std::mem::take(&mut self.refusals)),
            settings: self,
            cuts: watch::Sender::new(0),
        });
        let task = tokio::spawn(connection::accept(listener, Arc::clone(&shared)));
        Ok(GrpcApp { addr, shared, task })
    }
}

/// A running app; it ends, connections and all, when it is dropped.
pub struct GrpcApp {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for GrpcApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcApp")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Drop for GrpcApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl GrpcApp {
    /// Settings for an app that is not the plain one.
    pub fn builder() -> GrpcAppBuilder {
        GrpcAppBuilder::default()
    }

    /// Starts an app that does with each call what `handler` says at its head.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start(
        handler: impl Fn(&GrpcCall) -> GrpcScript + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::builder().start(handler).await
    }

    /// Starts an app that sends each message back while it reads, and ends with status 0.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn echo() -> io::Result<Self> {
        Self::start(|_| GrpcScript::new().echo().ok()).await
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Replaces the handler for calls that come from now on.
    pub fn handle(&self, handler: impl Fn(&GrpcCall) -> GrpcScript + Send + Sync + 'static) {
        *lock(&self.shared.handler) = Arc::new(handler);
    }

    /// Answers the next call without a script yet by this one; several queue up.
    pub fn answer_once(&self, script: GrpcScript) {
        lock(&self.shared.once).push_back(script);
    }

    /// Turns the first stream of the next connection away; several queue up.
    pub fn refuse_next(&self, refusal: Refusal) {
        lock(&self.shared.refusals).push_back(refusal);
    }

    /// All calls so far in order of arrival, unfinished ones included.
    pub fn calls(&self) -> Vec<GrpcCall> {
        self.shared.seen.look(|seen| seen.calls.clone())
    }

    /// Waits until a call is as `wanted`, and returns it.
    ///
    /// # Errors
    /// `TimedOut` if none was within [`crate::LIMIT`].
    pub async fn wait_call(
        &self,
        what: &str,
        wanted: impl Fn(&GrpcCall) -> bool,
    ) -> io::Result<GrpcCall> {
        let pick = |seen: &Seen| seen.calls.iter().find(|call| wanted(call)).cloned();
        self.shared
            .seen
            .wait(&format!("a call at the app: {what}"), pick)
            .await
    }

    /// Waits until `n` calls came to the end of their script or of their stream.
    ///
    /// # Errors
    /// `TimedOut` if fewer did within [`crate::LIMIT`].
    pub async fn wait_done(&self, n: usize) -> io::Result<Vec<GrpcCall>> {
        let pick = |seen: &Seen| {
            let done = seen.calls.iter().filter(|c| c.done || c.broken).count();
            (done >= n).then(|| seen.calls.clone())
        };
        self.shared
            .seen
            .wait(&format!("{n} calls at the app"), pick)
            .await
    }

    /// The newest call once one has ended; the record is then forgotten.
    ///
    /// # Errors
    /// `TimedOut` if none ended within [`crate::LIMIT`].
    pub async fn take(&self) -> io::Result<GrpcCall> {
        let mut all = self.wait_done(1).await?;
        self.clear();
        Ok(all.pop().expect("at least one was awaited"))
    }

    /// Forgets the calls so far.
    pub fn clear(&self) {
        self.shared.seen.change(|seen| {
            seen.cleared += seen.calls.len();
            seen.calls.clear();
        });
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.seen.look(|seen| seen.open.len())
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.shared
            .seen
            .look(|seen| seen.open.iter().filter(|open| **open).count())
    }

    /// Drops all connections of now; new ones are accepted.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Stops listening and drops every connection; returns once the port is free.
    pub async fn stop(mut self) {
        self.task.abort();
        // An aborted task ends with an error by design.
        let _ = (&mut self.task).await;
    }
}

/// A panic in a handler fails its own test; the record stays usable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
