//! The reading half of a served connection: heads and request bodies out of one buffer.

use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use outrider_wire::http1::{Decoder, Framing};
use tokio::time::{Instant, Sleep, sleep};

use crate::{
    call::{Body, BodyError, BodyStream},
    io::{Buffer, Socket},
};

/// How much a client may send ahead while its request is being answered.
const READ_AHEAD: usize = 64 * 1024;

/// What an unread rest of a body may have left for the connection to be kept (as Go's server does).
const DRAIN_LIMIT: u64 = 256 * 1024;

/// Bytes coming in on a served connection.
#[derive(Debug)]
pub(crate) struct Incoming {
    socket: Rc<Socket>,
    pub(super) buffer: Buffer,
    decoder: Decoder,
    /// The client waits for `100 Continue` before it sends the body.
    awaits_continue: bool,
    /// Body bytes still allowed.
    allowed: u64,
    /// The body can't be read to its end; the connection can't be used again.
    broken: bool,
    /// When to look next whether the client is still there.
    look: Option<Pin<Box<Sleep>>>,
}

/// How often a client whose bytes wait to be read is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Incoming {
    pub(super) fn new(socket: Rc<Socket>, buffer: Buffer) -> Self {
        Self {
            socket,
            buffer,
            decoder: Decoder::new(Framing::Empty),
            awaits_continue: false,
            allowed: 0,
            broken: false,
            look: None,
        }
    }

    /// Prepares for the body of the request whose head was just consumed.
    pub(super) fn begin_body(&mut self, framing: Framing, awaits_continue: bool, limit: u64) {
        self.decoder = Decoder::new(framing);
        self.awaits_continue = awaits_continue && !self.decoder.is_done();
        self.allowed = limit;
        self.look = None;
    }

    /// The body of the current request as a value; whole if it has already arrived.
    pub(super) fn body(this: &Rc<RefCell<Self>>, framing: Framing) -> Body {
        let mut incoming = this.borrow_mut();
        match framing {
            Framing::Empty => Body::Empty,
            Framing::Length(n)
                if n <= incoming.allowed && n <= incoming.buffer.filled().len() as u64 =>
            {
                let n = incoming
                    .buffer
                    .filled()
                    .len()
                    .min(usize::try_from(n).unwrap_or(usize::MAX));
                let bytes = Bytes::copy_from_slice(&incoming.buffer.filled()[..n]);
                incoming.buffer.consume(n);
                incoming.decoder = Decoder::Done;
                Body::whole(bytes)
            }
            _ => Body::Stream(Box::new(IncomingBody(Rc::clone(this)))),
        }
    }

    /// Waits until the client has gone. A client that has sent its request may send the next one
    /// meanwhile; that is kept, up to a limit.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // While there is something to read, reading can't tell whether the client is still there.
            if !self.decoder.is_done() || self.buffer.filled().len() >= READ_AHEAD {
                return self.poll_left(cx);
            }
            match ready!(self.buffer.poll_fill(cx, &self.socket)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Looks now and then whether the client has closed, without reading.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let look = self.look.get_or_insert_with(|| Box::pin(sleep(LOOK_EVERY)));
        while look.as_mut().poll(cx).is_ready() {
            if self.socket.is_closed_by_peer() {
                return Poll::Ready(());
            }
            look.as_mut().reset(Instant::now() + LOOK_EVERY);
        }
        Poll::Pending
    }

    /// Reads what is left of the body, so that the next request can follow; false if the
    /// connection must be closed instead.
    pub(super) async fn finish_body(this: &Rc<RefCell<Self>>) -> bool {
        if this.borrow().awaits_continue {
            return false;
        }
        this.borrow_mut().allowed = DRAIN_LIMIT;
        loop {
            let polled = std::future::poll_fn(|cx| this.borrow_mut().poll_body(cx)).await;
            match polled {
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
                None => return !this.borrow().broken,
            }
        }
    }

    pub(super) fn is_body_done(&self) -> bool {
        self.decoder.is_done()
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if self.broken {
                return Poll::Ready(Some(Err(BodyError::ClientGone)));
            }
            if self.decoder.is_done() {
                return Poll::Ready(None);
            }
            if !self.buffer.filled().is_empty() {
                let step = match self.decoder.step(self.buffer.filled()) {
                    Ok(step) => step,
                    Err(error) => return self.fail(BodyError::Broken(error.to_string())),
                };
                if step.data as u64 > self.allowed {
                    return self.fail(BodyError::TooLarge);
                }
                self.allowed -= step.data as u64;
                let data =
                    Bytes::copy_from_slice(&self.buffer.filled()[step.skip..step.skip + step.data]);
                self.buffer.consume(step.skip + step.data);
                if !data.is_empty() {
                    return Poll::Ready(Some(Ok(data)));
                }
                if step.done {
                    return Poll::Ready(None);
                }
                continue;
            }
            if self.awaits_continue {
                ready!(self.poll_continue(cx));
            }
            match ready!(self.buffer.poll_fill(cx, &self.socket)) {
                Ok(0) => return self.fail(BodyError::Broken("unexpected EOF".to_owned())),
                Ok(_) => {}
                Err(_) => return self.fail(BodyError::ClientGone),
            }
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.broken = true;
        Poll::Ready(Some(Err(error)))
    }

    /// Asks for the body the first time somebody wants it. The line is far smaller than any socket
    /// buffer, so a partial write does not occur; if it does the client is as good as gone.
    fn poll_continue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        const LINE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let written: io::Result<usize> = ready!(self.socket.poll_write(cx, LINE));
        self.awaits_continue = false;
        self.broken = !matches!(written, Ok(n) if n == LINE.len());
        Poll::Ready(())
    }
}

/// A request body read from its connection as somebody asks for it.
struct IncomingBody(Rc<RefCell<Incoming>>);

impl BodyStream for IncomingBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.0.borrow_mut().poll_body(cx)
    }
}
