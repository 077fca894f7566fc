//! The stream under an HTTP/2 connection, with one write for everything one poll produced.
//!
//! The `h2` crate writes and flushes after each DATA frame that it does not copy. Here a flush is
//! put off: bytes gather in one buffer, and whoever drives the connection calls
//! [`poll_flush_now`](Gathered::poll_flush_now) when the connection has nothing more to do. Many
//! calls that arrive together leave together. Reads may be preceded by bytes that somebody else
//! has read already (a preface seen while an HTTP/1 head was expected).

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::Stream;

/// More than this is not gathered: the connection waits for the socket.
const GATHER_LIMIT: usize = 256 * 1024;

/// A buffer that has grown past this by a burst is given back once it is empty.
const KEEP_LIMIT: usize = 32 * 1024;

/// The stream as `h2` sees it, and as its driver does.
#[derive(Clone)]
pub(crate) struct Gathered {
    inner: Rc<Inner>,
}

struct Inner {
    stream: RefCell<Stream>,
    early: RefCell<Early>,
    out: RefCell<Out>,
    /// Something was read since the last look.
    active: Cell<bool>,
    /// Something was written since the last look.
    wrote: Cell<bool>,
}

#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    written: usize,
}

/// Bytes put before, or between, those of the stream.
#[derive(Default)]
struct Early {
    bytes: Vec<u8>,
    read: usize,
    /// Bytes of the stream to let pass, and what to put in behind them.
    inject: Option<Inject>,
}

/// What `Upgrade: h2c` needs: the request is put in as stream 1 behind the client's preface and
/// its first frame, which is its SETTINGS.
struct Inject {
    seen: Vec<u8>,
    frame: Vec<u8>,
}

impl Gathered {
    /// Wraps a stream whose first bytes, `early`, were read by somebody else.
    pub(crate) fn new(stream: Stream, early: Vec<u8>) -> Self {
        Self {
            inner: Rc::new(Inner {
                stream: RefCell::new(stream),
                early: RefCell::new(Early {
                    bytes: early,
                    ..Early::default()
                }),
                out: RefCell::default(),
                active: Cell::new(true),
                wrote: Cell::new(false),
            }),
        }
    }

    /// As [`new`](Self::new), and puts `frame` in behind the preface and the first frame.
    pub(crate) fn upgraded(stream: Stream, early: Vec<u8>, frame: Vec<u8>) -> Self {
        let this = Self::new(stream, early);
        this.inner.early.borrow_mut().inject = Some(Inject {
            seen: Vec::new(),
            frame,
        });
        this
    }

    /// True if something was read since the last call.
    pub(crate) fn take_active(&self) -> bool {
        self.inner.active.replace(false)
    }

    /// True if something was written since the last call.
    pub(crate) fn take_wrote(&self) -> bool {
        self.inner.wrote.replace(false)
    }

    /// Writes what has gathered.
    pub(crate) fn poll_flush_now(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.inner.out.borrow_mut();
        let out = &mut *out;
        while out.written < out.bytes.len() {
            let rest = &out.bytes[out.written..];
            let mut stream = self.inner.stream.borrow_mut();
            let n = ready!(Pin::new(&mut *stream).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            out.written += n;
            self.inner.wrote.set(true);
            if out.written > GATHER_LIMIT {
                // A reader that is always a little behind must not make us keep what it has read.
                out.bytes.drain(..out.written);
                out.written = 0;
            }
        }
        out.written = 0;
        if out.bytes.capacity() > KEEP_LIMIT {
            out.bytes = Vec::new();
        } else {
            out.bytes.clear();
        }
        Pin::new(&mut *self.inner.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_read_stream(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.inner.stream.borrow_mut()).poll_read(cx, buf)
    }
}

impl AsyncRead for Gathered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let mut early = self.inner.early.borrow_mut();
        if early.read < early.bytes.len() {
            let n = (early.bytes.len() - early.read).min(buf.remaining());
            buf.put_slice(&early.bytes[early.read..early.read + n]);
            early.read += n;
            if early.read == early.bytes.len() {
                (early.bytes, early.read) = (Vec::new(), 0);
            }
        } else {
            ready!(self.poll_read_stream(cx, buf))?;
        }
        let new = &buf.filled()[before..];
        self.inner.active.set(true);
        if let Some(inject) = &mut early.inject {
            inject.seen.extend_from_slice(new);
            if let Some(end) = inject.first_frame_end() {
                // Hold back what was read past the first frame and put the request before it.
                let past = inject.seen.split_off(end);
                let keep = buf.filled().len() - past.len();
                let mut bytes = std::mem::take(&mut inject.frame);
                bytes.extend_from_slice(&past);
                bytes.extend_from_slice(&early.bytes[early.read..]);
                (early.bytes, early.read, early.inject) = (bytes, 0, None);
                buf.set_filled(keep);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Inject {
    /// Where the first frame behind the 24-byte preface ends, once that is known and read.
    fn first_frame_end(&self) -> Option<usize> {
        const PREFACE: usize = outrider_wire::http1::HTTP2_PREFACE.len();
        let length = self.seen.get(PREFACE..PREFACE + 3)?;
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let end = PREFACE + 9 + length;
        (self.seen.len() >= end).then_some(end)
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let gathered = {
            let out = self.inner.out.borrow();
            out.bytes.len() - out.written
        };
        if gathered >= GATHER_LIMIT {
            ready!(self.poll_flush_now(cx))?;
        }
        self.inner.out.borrow_mut().bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut written = 0;
        let mut this = self;
        for part in parts {
            match this.as_mut().poll_write(cx, part) {
                Poll::Ready(Ok(n)) => written += n,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if written > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Put off until [`poll_flush_now`](Gathered::poll_flush_now).
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush_now(cx))?;
        Pin::new(&mut *self.inner.stream.borrow_mut()).poll_shutdown(cx)
    }
}
