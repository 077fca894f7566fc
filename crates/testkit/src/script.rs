//! What an app does with one connection after a request: bytes, pauses, ends.
//!
//! A script is data, so a test reads as the list of what happens on the wire. It never adds a byte
//! of its own: what is not in the script is not sent.

use std::sync::Arc;
use std::{io, iter};

use tokio::sync::watch;
use tokio::time::timeout;

use crate::LIMIT;

/// One act of an app.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Repeat(Vec<u8>, usize),
    Wait(Gate),
    ReadBody,
    ReadSome(u64),
    HalfClose,
    Close,
    Reset,
    Hang,
}

/// The acts that answer one request, in order. At the end the connection stays open for the next
/// request unless the script closed it.
#[derive(Debug, Clone, Default)]
pub struct Script(pub(crate) Vec<Step>);

impl Script {
    /// An empty script: nothing is answered and the next request is read.
    pub fn new() -> Self {
        Self::default()
    }

    /// A complete answer with a `Content-Length`, `status` being e.g. `200 OK`.
    pub fn answer(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len().to_string();
        let lines = headers
            .iter()
            .copied()
            .chain(iter::once(("Content-Length", length.as_str())));
        let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
        for (name, value) in lines {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Self::new().send(bytes)
    }

    fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    /// Writes exactly these bytes.
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    /// Writes these bytes as one chunk of chunked coding; an empty piece is the last chunk.
    pub fn chunk(self, piece: impl AsRef<[u8]>) -> Self {
        let piece = piece.as_ref();
        let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
        self.send(bytes)
    }

    /// Writes these bytes `times` times, for bodies too large to hold.
    pub fn repeat(self, bytes: impl Into<Vec<u8>>, times: usize) -> Self {
        self.then(Step::Repeat(bytes.into(), times))
    }

    /// Stops until the test opens the gate.
    pub fn wait(self, gate: &Gate) -> Self {
        self.then(Step::Wait(gate.clone()))
    }

    /// Reads the rest of the request's body (only for apps that answer at the head).
    pub fn read_body(self) -> Self {
        self.then(Step::ReadBody)
    }

    /// Reads on until at least `n` more bytes of the body came (only for apps that answer at the
    /// head, only before [`Script::read_body`], and never past the end of the body).
    pub fn read_some(self, n: u64) -> Self {
        self.then(Step::ReadSome(n))
    }

    /// Ends the sending direction and goes on.
    pub fn half_close(self) -> Self {
        self.then(Step::HalfClose)
    }

    /// Closes the connection in order.
    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    /// Closes the connection with a reset.
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Never answers; the connection lives until the peer gives up.
    pub fn hang(self) -> Self {
        self.then(Step::Hang)
    }
}

/// A pause point: the app stops there until the test lets it go on.
#[derive(Debug, Clone)]
pub struct Gate(Arc<GateState>);

#[derive(Debug)]
struct GateState {
    reached: watch::Sender<usize>,
    opened: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(GateState {
            reached: watch::Sender::new(0),
            opened: watch::Sender::new(false),
        }))
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.0.opened.send_replace(true);
    }

    /// Waits until an app stands at the gate (or has passed it).
    ///
    /// # Errors
    /// `TimedOut` if no app came within [`LIMIT`].
    pub async fn reached(&self) -> io::Result<()> {
        self.reached_times(1).await
    }

    /// Waits until apps came to the gate `n` times.
    ///
    /// # Errors
    /// `TimedOut` if fewer came within [`LIMIT`].
    pub async fn reached_times(&self, n: usize) -> io::Result<()> {
        let mut seen = self.0.reached.subscribe();
        match timeout(LIMIT, seen.wait_for(|times| *times >= n)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "no app reached the gate",
            )),
        }
    }

    pub(crate) async fn pass(&self) {
        self.0.reached.send_modify(|times| *times += 1);
        self.opened().await;
    }

    pub(crate) async fn opened(&self) {
        // The sender lives in this very state, so waiting cannot fail.
        let _ = self.0.opened.subscribe().wait_for(|open| *open).await;
    }
}
