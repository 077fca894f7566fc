//! Standard output and standard error, shared by everybody who writes.
//!
//! A thread of its own writes, so that a terminal that was stopped, or a pipe that nobody reads,
//! holds up those who write but never the watching over processes. A line that is not complete
//! when somebody else writes is ended first. If nobody reads any more, what comes is dropped.

mod line;

use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::output::printable;
use line::Writer;
pub(super) use line::{APP, Look, OWN, SIDECAR, Source};

/// Where lines go; clones write to the same place.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    send: mpsc::UnboundedSender<Message>,
    room: Arc<Semaphore>,
    own: Source,
    look: Look,
}

/// The two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// What our own lines are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Info,
    Success,
    Warning,
    Failure,
}

#[derive(Debug)]
enum Message {
    Piece {
        stream: Stream,
        source: Source,
        bytes: Vec<u8>,
        _room: Option<OwnedSemaphorePermit>,
    },
    Tell {
        source: Source,
        status: Status,
        text: String,
    },
    End(oneshot::Sender<()>),
}

impl Screen {
    pub(super) fn new(look: Look, own: Source) -> Self {
        let (send, receive) = mpsc::unbounded_channel();
        // It ends with the process at the latest; `close` waits for it.
        std::thread::spawn(move || serve(receive, look));
        Self {
            send,
            room: Arc::new(Semaphore::new(PIECES)),
            own,
            look,
        }
    }

    /// Whether what is written appears as it comes, as somebody who types an answer expects.
    pub(super) fn is_interactive(&self) -> bool {
        self.look == Look::Terminal
    }

    /// Shows lines, or a piece of a line, once there is room for it.
    pub(super) async fn write(&self, stream: Stream, source: &Source, bytes: Vec<u8>) {
        let room = Arc::clone(&self.room).acquire_owned().await.ok();
        let _ = self.send.send(Message::Piece {
            stream,
            source: source.clone(),
            bytes,
            _room: room,
        });
    }

    /// Says something of our own. Never waits: there are few of these.
    pub(super) fn tell(&self, status: Status, text: impl Into<String>) {
        let _ = self.send.send(Message::Tell {
            source: self.own.clone(),
            status,
            text: text.into(),
        });
    }

    /// Waits until everything so far is written.
    pub(super) async fn close(&self) {
        let (done, wait) = oneshot::channel();
        if self.send.send(Message::End(done)).is_ok() {
            let _ = wait.await;
        }
    }
}

fn serve(mut receive: mpsc::UnboundedReceiver<Message>, look: Look) {
    let mut writer = Writer::new(look, one_place());
    let mut out = Sink::new(io::stdout());
    let mut err = Sink::new(io::stderr());
    while let Some(message) = receive.blocking_recv() {
        let (stream, bytes) = match message {
            Message::Piece {
                stream,
                source,
                bytes,
                _room,
            } => (stream, writer.piece(stream, &source, &bytes)),
            Message::Tell {
                source,
                status,
                text,
            } => writer.told(&source, status, &text),
            Message::End(done) => {
                out.write(&writer.end(Stream::Out));
                err.write(&writer.end(Stream::Err));
                let _ = done.send(());
                return;
            }
        };
        match stream {
            Stream::Out => out.write(&bytes),
            Stream::Err => err.write(&bytes),
        }
    }
}

/// A stream until the first error, nothing from then on.
struct Sink<W> {
    inner: Option<W>,
}

impl<W: Write> Sink<W> {
    fn new(inner: W) -> Self {
        Self { inner: Some(inner) }
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(inner) = &mut self.inner {
            let written = inner.write_all(bytes).and_then(|()| inner.flush());
            if written.is_err() {
                self.inner = None;
            }
        }
    }
}

/// Whether both streams lead to the same place, where an open line of one disturbs the other.
fn one_place() -> bool {
    let out = rustix::fs::fstat(io::stdout());
    let err = rustix::fs::fstat(io::stderr());
    matches!((out, err), (Ok(out), Ok(err))
        if (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino))
}

/// How lines look on this standard output.
pub(super) fn look(json: bool, no_color: bool) -> Look {
    match (json, io::stdout().is_terminal(), no_color) {
        (true, ..) => Look::Json,
        (_, true, false) => Look::Terminal,
        (_, true, true) => Look::Colourless,
        (_, false, _) => Look::Plain,
    }
}

/// Our last words where nothing was started, and so nothing else writes.
pub(super) fn last_words(json: bool, text: &str) -> String {
    if !json {
        let lines = text.lines().map(printable);
        return lines.map(|line| line + "\n").collect();
    }
    let own = Source::new(Look::Json, "", None, "", OWN);
    let (_, bytes) = Writer::new(Look::Json, true).told(&own, Status::Failure, text);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Pieces that may wait to be written; each is at most as large as what was read at once.
const PIECES: usize = 64;
