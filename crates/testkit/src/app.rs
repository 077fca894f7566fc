//! An HTTP/1.1 app under full control of the test.
//!
//! It records each request as it stood on the wire and answers by a [`Script`]. It refuses to be
//! helpful: no header, no status, no keep-alive rule that the script does not spell out. The one
//! exception is `100 Continue` for a client that asks for it, which can be turned off.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::log::Log;
use crate::message::RawRequest;
use crate::script::Script;

mod connection;

type Handler = Arc<dyn Fn(&RawRequest) -> Script + Send + Sync>;

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<RawRequest>,
    /// Requests forgotten so far, so that a late one still finds its place.
    cleared: usize,
    /// One entry per accepted connection: whether it is still open.
    open: Vec<bool>,
}

struct Shared {
    seen: Log<Seen>,
    handler: Mutex<Handler>,
    once: Mutex<VecDeque<Script>>,
    settings: AppBuilder,
}

/// How an app listens and when it answers.
#[derive(Debug, Clone, Default)]
pub struct AppBuilder {
    at_head: bool,
    internal: bool,
    no_continue: bool,
    port: u16,
}

impl AppBuilder {
    /// Runs the script as soon as the head is in; the script reads the body when it likes.
    pub fn answer_at_head(mut self) -> Self {
        self.at_head = true;
        self
    }

    /// Records `GET /dapr/config` and `GET /healthz` too and gives them to the handler, instead of
    /// answering 404 in silence.
    pub fn serve_internal(mut self) -> Self {
        self.internal = true;
        self
    }

    /// Never sends `100 Continue`.
    pub fn no_continue(mut self) -> Self {
        self.no_continue = true;
        self
    }

    /// Listens on this port instead of a free one, to come back where another app was.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the app.
    ///
    /// # Errors
    /// If the port cannot be bound.
    pub async fn start(
        self,
        handler: impl Fn(&RawRequest) -> Script + Send + Sync + 'static,
    ) -> io::Result<RawApp> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            seen: Log::default(),
            handler: Mutex::new(Arc::new(handler)),
            once: Mutex::default(),
            settings: self,
        });
        let task = tokio::spawn(connection::accept(listener, Arc::clone(&shared)));
        Ok(RawApp { addr, shared, task })
    }
}

/// A running app; it ends, connections and all, when it is dropped.
pub struct RawApp {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for RawApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawApp")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Drop for RawApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RawApp {
    /// Settings for an app that is not the plain one.
    pub fn builder() -> AppBuilder {
        AppBuilder::default()
    }

    /// Starts an app that answers each request by the script that `handler` makes for it.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start(
        handler: impl Fn(&RawRequest) -> Script + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::builder().start(handler).await
    }

    /// Starts an app that answers 200 with the body and content type it received.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn echo() -> io::Result<Self> {
        Self::start(echo).await
    }

    /// Starts an app that answers everything with these bytes.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn answering(bytes: impl Into<Vec<u8>>) -> io::Result<Self> {
        let script = Script::new().send(bytes);
        Self::start(move |_| script.clone()).await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Replaces the handler for requests that come from now on.
    pub fn handle(&self, handler: impl Fn(&RawRequest) -> Script + Send + Sync + 'static) {
        *lock(&self.shared.handler) = Arc::new(handler);
    }

    /// Answers the next request without a script yet by this one; several queue up.
    pub fn answer_once(&self, script: Script) {
        lock(&self.shared.once).push_back(script);
    }

    /// All requests so far in order of arrival, unfinished ones included.
    pub async fn requests(&self) -> Vec<RawRequest> {
        self.shared.seen.look(|seen| seen.requests.clone())
    }

    /// Waits until `n` requests ended (well or badly) and returns all.
    ///
    /// # Errors
    /// `TimedOut` if fewer ended within [`crate::LIMIT`].
    pub async fn wait_requests(&self, n: usize) -> io::Result<Vec<RawRequest>> {
        let pick = |seen: &Seen| {
            let ended = seen.requests.iter().filter(|r| r.ending.is_some()).count();
            (ended >= n).then(|| seen.requests.clone())
        };
        self.shared
            .seen
            .wait(&format!("{n} requests at the app"), pick)
            .await
    }

    /// The newest request.
    ///
    /// # Errors
    /// `TimedOut` if none ended within [`crate::LIMIT`].
    pub async fn last_request(&self) -> io::Result<RawRequest> {
        self.wait_requests(1)
            .await
            .map(|mut all| all.pop().expect("at least one was awaited"))
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        self.shared.seen.change(|seen| {
            seen.cleared += seen.requests.len();
            seen.requests.clear();
        });
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.seen.look(|seen| seen.open.len())
    }

    /// Waits until connection `number` is closed, by whichever side.
    ///
    /// # Errors
    /// `TimedOut` if it is still open after [`crate::LIMIT`].
    pub async fn wait_closed(&self, number: usize) -> io::Result<()> {
        let what = format!("the end of app connection {number}");
        self.shared
            .seen
            .wait(&what, |seen| {
                (seen.open.get(number) == Some(&false)).then_some(())
            })
            .await
    }

    /// Stops listening and drops every connection; returns once the port is free.
    pub async fn stop(mut self) {
        self.task.abort();
        // An aborted task ends with an error by design.
        let _ = (&mut self.task).await;
    }
}

fn echo(req: &RawRequest) -> Script {
    let kind = req
        .headers
        .get("content-type")
        .unwrap_or("text/plain")
        .to_owned();
    let headers = [("Content-Type", kind.as_str())];
    if req.method() == "HEAD" {
        return Script::new().send(format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n"));
    }
    Script::answer("200 OK", &headers, &req.body)
}

/// A panic in a handler fails its own test; the record stays usable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
