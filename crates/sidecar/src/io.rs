//! One connected byte stream of a lane, and the buffers its bytes arrive in.
//!
//! A [`Socket`] is shared by the reading and the writing half of one connection, which live in the
//! same task, so a `RefCell` borrowed for the length of one poll is all the sharing needs.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use outrider_trust::TlsStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// A connected stream of any kind.
#[derive(Debug)]
pub(crate) enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix domain socket.
    Unix(UnixStream),
    /// TLS over TCP, towards an app.
    Tls(Box<TlsStream>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    /// Only TLS holds anything back.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

impl Stream {
    /// The TCP connection underneath, unless it is a Unix domain socket.
    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(tcp) => Some(tcp),
            Self::Tls(tls) => Some(tls.get_ref()),
            Self::Unix(_) => None,
        }
    }
}

/// A connected stream that one task reads and writes.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: RefCell<Stream>,
}

impl Socket {
    /// Takes over a connected stream.
    pub(crate) fn new(stream: Stream) -> Rc<Self> {
        Rc::new(Self {
            stream: RefCell::new(stream),
        })
    }

    /// Gives the stream back if nobody else holds this socket.
    pub(crate) fn into_stream(self: Rc<Self>) -> Option<Stream> {
        Rc::into_inner(self).map(|socket| socket.stream.into_inner())
    }

    /// Reads into `buf`; no bytes read means the peer has finished.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buf)
    }

    /// Ready once a read might return something; costs no system call. TLS holds bytes that the
    /// system knows nothing of, so only a read tells.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.stream.borrow() {
            Stream::Tcp(tcp) => tcp.poll_read_ready(cx),
            Stream::Unix(unix) => unix.poll_read_ready(cx),
            Stream::Tls(_) => Poll::Ready(Ok(())),
        }
    }

    /// Writes some bytes.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes)
    }

    /// Sends what the stream holds back.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx)
    }

    /// Writes all bytes; one system call if the socket buffer has room.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[n..];
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Tells the peer that nothing more will be written.
    pub(crate) async fn shutdown(&self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)).await
    }

    /// True if the peer has closed its side, even while bytes it sent before wait to be read.
    pub(crate) fn is_closed_by_peer(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let flags = PollFlags::RDHUP;
        let stream = self.stream.borrow();
        let mut fds = [match &*stream {
            Stream::Tcp(tcp) => PollFd::new(tcp, flags),
            Stream::Unix(unix) => PollFd::new(unix, flags),
            Stream::Tls(tls) => PollFd::new(tls.get_ref(), flags),
        }];
        let now = Timespec::default();
        let closed = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().intersects(closed)
    }

    /// Makes the close of this socket a reset, so that the peer can't take what it got for whole.
    pub(crate) fn reset_on_close(&self) {
        if let Some(tcp) = self.stream.borrow().tcp() {
            // Failing leaves an ordinary close, which is what there was before.
            let _ = socket2::SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

/// Read buffers that go from connection to connection: an idle one holds none.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: RefCell<Vec<Box<[u8]>>>,
}

/// Holds an ordinary head and a small body at once.
const BUFFER_SIZE: usize = 16 * 1024;

/// Buffers kept for reuse; more are freed after a burst.
const BUFFERS_KEPT: usize = 32;

/// Bytes read from a socket and not yet used.
#[derive(Debug)]
pub(crate) struct Buffer {
    pool: Rc<Buffers>,
    data: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer, which takes memory only when bytes arrive.
    pub(crate) fn new(pool: Rc<Buffers>) -> Self {
        Self {
            pool,
            data: Box::default(),
            start: 0,
            end: 0,
        }
    }

    /// The bytes not yet used.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// Marks `n` bytes as used; an empty buffer gives its memory back.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.release();
        }
    }

    /// Reads once from `socket`; 0 means the peer has finished. Grows if there is no room.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        socket: &Socket,
    ) -> Poll<io::Result<usize>> {
        if self.data.is_empty() {
            // Waits without memory: thousands of connections are idle at a time.
            ready!(socket.poll_read_ready(cx))?;
            self.data = self.pool.take();
        } else if self.end == self.data.len() {
            self.make_room();
        }
        let mut buf = ReadBuf::new(&mut self.data[self.end..]);
        let read = socket.poll_read(cx, &mut buf);
        let n = buf.filled().len();
        match read {
            Poll::Ready(Ok(())) => {
                self.end += n;
                if n == 0 && self.start == self.end {
                    self.release();
                }
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if self.start == self.end {
                    self.release();
                }
                Poll::Pending
            }
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else {
            let mut bigger = vec![0; self.data.len() * 2].into_boxed_slice();
            bigger[..self.end].copy_from_slice(&self.data);
            self.data = bigger;
        }
    }

    fn release(&mut self) {
        let data = std::mem::take(&mut self.data);
        if data.len() == BUFFER_SIZE {
            self.pool.give(data);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.release();
    }
}

impl Buffers {
    fn take(&self) -> Box<[u8]> {
        let kept = self.free.borrow_mut().pop();
        kept.unwrap_or_else(|| vec![0; BUFFER_SIZE].into_boxed_slice())
    }

    fn give(&self, data: Box<[u8]>) {
        let mut free = self.free.borrow_mut();
        if free.len() < BUFFERS_KEPT {
            free.push(data);
        }
    }
}
