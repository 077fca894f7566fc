//! Requests in turn over one connection.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use outrider_core::path::BadPath;
use outrider_wire::{
    Fields,
    http1::{Expect, Framing, HTTP2_PREFACE, RequestError, RequestHead, Version, parse_request},
};
use tokio::sync::watch;

use super::{
    Incoming,
    respond::{Asked, Date, Sent, respond},
};
use crate::{
    call::Body,
    io::{Buffer, Buffers, Socket},
};

/// How long the rest of a head may take once its first byte has come.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// What a connection accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of request line, fields and empty line together.
    pub head: usize,
    /// Bytes of a request body.
    pub body: u64,
    /// HTTP/2 without TLS may be spoken.
    pub h2c: bool,
}

/// A request and its body.
pub(crate) struct Request {
    /// The head.
    pub head: RequestHead,
    /// The body, readable while the request is being handled.
    pub body: Body,
}

/// How the length of an answer's body is told to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizing {
    /// By `Content-Length`, if the body is whole.
    Length,
    /// By chunks, even if it is whole.
    Chunked,
}

/// An answer.
pub(crate) struct Response<R> {
    /// Status code.
    pub status: u16,
    /// Header fields, without lengths and hop-by-hop ones.
    pub fields: Fields,
    /// The body.
    pub body: Body,
    /// How its length is told.
    pub sizing: Sizing,
    /// Close the connection afterwards.
    pub close: bool,
    /// What the handler wants to remember until the answer has been sent.
    pub record: R,
}

/// Answers requests.
pub(crate) trait Handler {
    /// What is kept from handling to [`finished`](Self::finished).
    type Record;

    /// Answers one request. Dropped if the client leaves.
    fn handle(&self, req: Request) -> impl Future<Output = Response<Self::Record>>;

    /// Called once the answer has been sent or has failed to be.
    fn finished(&self, record: Self::Record, sent: Sent);
}

/// Why [`serve`] returned.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The connection is over.
    Closed,
    /// The client opened with HTTP/2; these bytes have been read already.
    Http2(Vec<u8>),
    /// The client asked to go on in HTTP/2 and this request, which has no body, is the first there.
    Upgrade(Box<RequestHead>, Vec<u8>),
}

/// What [`serve`] works with.
pub(crate) struct Served<'a> {
    pub(crate) socket: &'a Rc<Socket>,
    pub(crate) buffers: &'a Rc<Buffers>,
    pub(crate) date: &'a Date,
    pub(crate) limits: Limits,
    /// Becomes true when no further request is to be taken.
    pub(crate) drain: watch::Receiver<bool>,
}

/// Serves one connection to its end. Returns early where HTTP/2 takes over.
pub(crate) async fn serve(served: Served<'_>, handler: &impl Handler) -> Ended {
    let Served { socket, limits, .. } = served;
    let mut drain = served.drain;
    let buffer = Buffer::new(Rc::clone(served.buffers));
    let incoming = Rc::new(RefCell::new(Incoming::new(Rc::clone(socket), buffer)));
    let mut first = true;
    loop {
        let head = match next_head(socket, &incoming, limits, &mut drain).await {
            Ok(Head::Request(head)) => head,
            Ok(Head::Http2) if limits.h2c && first => {
                return Ended::Http2(incoming.borrow().buffer.filled().to_vec());
            }
            Ok(Head::Http2) => {
                refuse(socket, RequestError::Malformed.answer()).await;
                return Ended::Closed;
            }
            Ok(Head::Closed) => return Ended::Closed,
            Err((status, text)) => {
                refuse(socket, (status, text)).await;
                return Ended::Closed;
            }
        };
        if !is_uri(head.method(), head.target()) {
            refuse(socket, RequestError::Malformed.answer()).await;
            return Ended::Closed;
        }
        if limits.h2c && wants_h2c(&head) {
            let rest = incoming.borrow().buffer.filled().to_vec();
            return Ended::Upgrade(head, rest);
        }
        first = false;
        if head.expect == Expect::Other {
            let _ = socket
                .write_all(b"HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .await;
            return Ended::Closed;
        }
        let connection = Connection {
            socket,
            incoming: &incoming,
            date: served.date,
        };
        // Boxed for the time of a call: thousands of connections idle, few are in a call.
        let exchange = Box::pin(exchange(&connection, *head, limits.body, handler, &drain));
        match exchange.await {
            Next::Request => {}
            Next::Close => {
                linger(socket, &incoming).await;
                return Ended::Closed;
            }
            Next::Cut => return Ended::Closed,
        }
    }
}

/// The two halves of a connection.
pub(super) struct Connection<'a> {
    pub socket: &'a Rc<Socket>,
    pub incoming: &'a Rc<RefCell<Incoming>>,
    pub date: &'a Date,
}

/// How a connection goes on after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another request may follow.
    Request,
    /// The answer is complete and the last one.
    Close,
    /// The answer is not complete, and nothing may make it look so.
    Cut,
}

/// Handles one request.
async fn exchange<H: Handler>(
    connection: &Connection<'_>,
    head: RequestHead,
    body_limit: u64,
    handler: &H,
    drain: &watch::Receiver<bool>,
) -> Next {
    let incoming = connection.incoming;
    let mut asked = Asked {
        version: head.version,
        head: head.method() == "HEAD",
        keep_alive: head.keep_alive,
    };
    let framing = head.framing;
    let awaits = head.expect == Expect::Continue && head.version == Version::Http11;
    incoming
        .borrow_mut()
        .begin_body(framing, awaits, body_limit);
    let body = Incoming::body(incoming, framing);
    let rsp = {
        let handled = pin!(handler.handle(Request { head, body }));
        unless_gone(incoming, handled).await
    };
    let Some(rsp) = rsp else {
        return Next::Cut;
    };
    asked.keep_alive &= !*drain.borrow();
    let (sent, next, record) = respond(connection, &asked, rsp).await;
    handler.finished(record, sent);
    let reusable = incoming.borrow().is_body_done()
        || next != Next::Request
        || tokio::time::timeout(LINGER.0, Incoming::finish_body(incoming))
            .await
            .unwrap_or(false);
    if reusable { next } else { Next::Close }
}

/// The result of `work`, or nothing if the client leaves first: then `work` is to be dropped, which
/// cancels the call all the way down.
async fn unless_gone<T>(
    incoming: &Rc<RefCell<Incoming>>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => incoming.borrow_mut().poll_gone(cx).map(|()| None),
    })
    .await
}

enum Head {
    Request(Box<RequestHead>),
    Http2,
    Closed,
}

/// Waits for the next head. A drained connection takes no further request.
async fn next_head(
    socket: &Rc<Socket>,
    incoming: &Rc<RefCell<Incoming>>,
    limits: Limits,
    drain: &mut watch::Receiver<bool>,
) -> Result<Head, (u16, &'static str)> {
    if let Some(head) = read_head(incoming, limits)? {
        return Ok(head);
    }
    if incoming.borrow().buffer.filled().is_empty() {
        // Idle: no timer, no memory. Drain ends it.
        tokio::select! {
            biased;
            filled = fill(socket, incoming) => if !filled { return Ok(Head::Closed) },
            _ = drain.wait_for(|draining| *draining) => return Ok(Head::Closed),
        }
        if let Some(head) = read_head(incoming, limits)? {
            return Ok(head);
        }
    }
    let rest = async {
        loop {
            if !fill(socket, incoming).await {
                return Ok(Head::Closed);
            }
            if let Some(head) = read_head(incoming, limits)? {
                return Ok(head);
            }
        }
    };
    tokio::select! {
        biased;
        head = tokio::time::timeout(HEAD_TIMEOUT, rest) => head.unwrap_or(Ok(Head::Closed)),
        _ = drain.wait_for(|draining| *draining) => Ok(Head::Closed),
    }
}

async fn fill(socket: &Socket, incoming: &Rc<RefCell<Incoming>>) -> bool {
    poll_fn(|cx| incoming.borrow_mut().buffer.poll_fill(cx, socket))
        .await
        .is_ok_and(|n| n > 0)
}

const TOO_LARGE: (u16, &str) = (431, "431 Request Header Fields Too Large");

/// Takes a head out of the buffer, if one is complete.
fn read_head(
    incoming: &Rc<RefCell<Incoming>>,
    limits: Limits,
) -> Result<Option<Head>, (u16, &'static str)> {
    let mut incoming = incoming.borrow_mut();
    // A client may end a body with a line break too many (RFC 9112 2.2).
    let blank = incoming
        .buffer
        .filled()
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    if blank > 0 {
        incoming.buffer.consume(blank);
    }
    let filled = incoming.buffer.filled();
    if filled.is_empty() {
        return Ok(None);
    }
    if filled.starts_with(&HTTP2_PREFACE[..HTTP2_PREFACE.len().min(filled.len())]) {
        return Ok((filled.len() >= HTTP2_PREFACE.len()).then_some(Head::Http2));
    }
    let window = &filled[..filled.len().min(limits.head)];
    match parse_request(window).map_err(RequestError::answer)? {
        Some((head, len)) => {
            incoming.buffer.consume(len);
            Ok(Some(Head::Request(Box::new(head))))
        }
        None if filled.len() >= limits.head => Err(TOO_LARGE),
        None => Ok(None),
    }
}

/// True for a request target that the reference's server can read: a path or a whole URL without
/// broken escapes, `*`, or what CONNECT names.
fn is_uri(method: &str, target: &str) -> bool {
    let known =
        target.starts_with('/') || target == "*" || target.contains("://") || method == "CONNECT";
    let path = target.split('?').next().unwrap_or_default();
    known
        && (!path.contains('%')
            || !matches!(
                outrider_core::path::decode_path(path),
                Err(BadPath::Escape(_))
            ))
}

/// `Upgrade: h2c` as the reference's server takes it: without a body.
fn wants_h2c(head: &RequestHead) -> bool {
    let word = |name: &str, word: &[u8]| {
        head.fields.get_all(name.as_bytes()).any(|value| {
            value
                .split(|b| *b == b',')
                .any(|w| w.trim_ascii().eq_ignore_ascii_case(word))
        })
    };
    head.framing == Framing::Empty
        && head.version == Version::Http11
        && word("connection", b"upgrade")
        && word("connection", b"http2-settings")
        && word("upgrade", b"h2c")
        && head.fields.get("http2-settings").is_some_and(|settings| {
            settings
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='))
        })
}

/// Answers what is no request. The connection ends after it.
async fn refuse(socket: &Socket, (status, text): (u16, &str)) {
    let mut out = Vec::with_capacity(256);
    if text.contains(": ") {
        // The reference's server puts what it has to say into the status line too.
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    } else {
        outrider_wire::http1::push_status_line(&mut out, Version::Http11, status);
    }
    out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n");
    out.extend_from_slice(text.as_bytes());
    let _ = socket.write_all(&out).await;
    let _ = socket.shutdown().await;
}

/// How long, and how much, a client may go on sending after the answer that closes.
const LINGER: (Duration, usize) = (Duration::from_millis(500), 1024 * 1024);

/// Closes behind an answer: unread bytes would turn the close into a reset that may overtake the
/// answer, so they are read for a moment.
async fn linger(socket: &Rc<Socket>, incoming: &Rc<RefCell<Incoming>>) {
    if socket.shutdown().await.is_err() || incoming.borrow().is_body_done() {
        return;
    }
    let drain = async {
        let mut left = LINGER.1;
        loop {
            let n = incoming.borrow().buffer.filled().len();
            incoming.borrow_mut().buffer.consume(n);
            left = left.saturating_sub(n);
            if left == 0 || !fill(socket, incoming).await {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER.0, drain).await;
}
