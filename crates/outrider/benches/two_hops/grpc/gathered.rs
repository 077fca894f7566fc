//! HTTP/2 connections that write once for everything one poll has produced.
//!
//! `h2` flushes after each DATA frame that it does not copy; a good relay does not. So a flush is
//! put off until the connection has nothing more to do. Client, relays and app all use this, so
//! that what differs between the ways is the proxies' own.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use h2::server::SendResponse;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

/// More than this is not gathered.
const LIMIT: usize = 256 << 10;

/// `h2` bounds small frames by the window of the connection: the largest there is.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

#[derive(Clone)]
struct Gathered(Rc<RefCell<Inner>>);

struct Inner {
    stream: TcpStream,
    out: Vec<u8>,
    written: usize,
}

impl Gathered {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(Rc::new(RefCell::new(Inner {
            stream,
            out: Vec::new(),
            written: 0,
        }))))
    }

    fn poll_write_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        while inner.written < inner.out.len() {
            let rest = &inner.out[inner.written..];
            let n = ready!(Pin::new(&mut inner.stream).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            inner.written += n;
        }
        inner.written = 0;
        inner.out.clear();
        Poll::Ready(Ok(()))
    }
}

impl Gathered {
    /// Writes what has gathered; ready if that cannot be done.
    fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.poll_write_out(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

impl AsyncRead for Gathered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let gathered = self.0.borrow().out.len();
        if gathered >= LIMIT {
            ready!(self.poll_write_out(cx))?;
        }
        self.0.borrow_mut().out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let gathered = self.0.borrow().out.len();
        if gathered >= LIMIT {
            ready!(self.poll_write_out(cx))?;
        }
        let out = &mut self.0.borrow_mut().out;
        let before = out.len();
        parts.iter().for_each(|part| out.extend_from_slice(part));
        Poll::Ready(Ok(out.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Put off.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_out(cx))?;
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(cx)
    }
}

/// A connection to a server on this machine, driven by a task until its last handle is dropped.
/// `window` is that of one stream.
pub(super) async fn connect(port: u16, window: u32) -> io::Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).await?;
    let io = Gathered::new(stream)?;
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(window)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(1 << 20)
        .enable_push(false);
    let shaken = builder.handshake(io.clone()).await;
    let (send, mut connection) = shaken.map_err(io::Error::other)?;
    spawn_local(async move {
        poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => io.poll_broken(cx),
        })
        .await;
    });
    Ok(send)
}

/// Serves a connection to its end; `start` gets every request.
pub(super) async fn serve(
    stream: TcpStream,
    mut start: impl FnMut(Request<RecvStream>, SendResponse<Bytes>),
) -> io::Result<()> {
    const STREAM_WINDOW: u32 = 256 << 10;
    let io = Gathered::new(stream)?;
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(10_000);
    let shaken = builder.handshake::<_, Bytes>(io.clone()).await;
    let mut connection = shaken.map_err(io::Error::other)?;
    poll_fn(|cx| {
        loop {
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((req, respond)))) => start(req, respond),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        io.poll_broken(cx)
    })
    .await;
    Ok(())
}
