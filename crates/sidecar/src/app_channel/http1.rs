//! Requests to the app over HTTP/1.1.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use outrider_trust::Connector;
use outrider_wire::http1::{
    Decoder, Framing, ResponseHead, finish_head, push_chunk, push_decimal, push_field,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    AppError, Rest,
    body::{AppBody, Framed, Upload, upload},
    connection::{Connection, Written},
    http::AppAnswer,
};
use crate::{
    call::Body,
    io::{Buffer, Buffers, Socket},
    link::connect::connect,
};

/// Idle connections are closed before the common app servers close them (Node: 5 s), so that a
/// request seldom meets a closing connection.
const IDLE_LIMIT: Duration = Duration::from_secs(4);

/// How long the app's host may take to take a connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// Idle connections kept per lane.
const IDLE_KEPT: usize = 256;

/// The app beside this sidecar, as one lane sees it.
pub(super) struct Channel {
    addr: String,
    tls: Option<Connector>,
    idle: Rc<Idle>,
    buffers: Rc<Buffers>,
    /// Longest head of an answer.
    head_limit: usize,
}

/// Connections that wait for a request.
#[derive(Default)]
pub(super) struct Idle {
    connections: RefCell<Vec<Connection>>,
}

impl Idle {
    pub(super) fn put(&self, mut connection: Connection) {
        connection.idle_since = Instant::now();
        connection.reused = true;
        let mut connections = self.connections.borrow_mut();
        if connections.len() < IDLE_KEPT {
            connections.push(connection);
        }
    }

    /// The connection used last, if the app has not closed it.
    fn take(&self, cx: &mut Context<'_>) -> Option<Connection> {
        while let Some(connection) = self.connections.borrow_mut().pop() {
            if connection.idle_since.elapsed() < IDLE_LIMIT && connection.is_quiet(cx) {
                return Some(connection);
            }
        }
        None
    }

    /// Closes what has been idle for too long.
    pub(super) fn expire(&self) {
        self.connections
            .borrow_mut()
            .retain(|connection| connection.idle_since.elapsed() < IDLE_LIMIT);
    }
}

impl Channel {
    /// The app at `addr` (`host:port`), spoken to over TLS if there is a connector. Heads of
    /// answers may have so many bytes.
    pub(super) fn new(
        addr: &str,
        tls: Option<Connector>,
        buffers: Rc<Buffers>,
        head_limit: usize,
    ) -> Self {
        Self {
            addr: addr.to_owned(),
            tls,
            idle: Rc::default(),
            buffers,
            head_limit,
        }
    }

    /// The idle connections, for the task that expires them.
    pub(super) fn idle(&self) -> &Idle {
        &self.idle
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// One more try is made where that does no harm: the connection was a kept one, nothing was
    /// answered, and either nothing was written or the method is idempotent.
    pub(super) async fn send(
        &self,
        head: Vec<u8>,
        rest: Rest,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<AppAnswer, AppError> {
        let Rest {
            verb,
            body,
            length,
            idempotent,
        } = rest;
        let mut framed = frame(head, verb, &body, length);
        let mut body = Some(body);
        let mut fresh = false;
        loop {
            let connection = self.connection(fresh).await?;
            let reused = connection.reused;
            let sent = Sending::start(connection, framed, body.take().unwrap_or_default()).await;
            match sent.head(self.head_limit).await {
                Ok((head, sending)) => return Ok(self.answer(head, sending, verb, permit)),
                Err(Unanswered {
                    error,
                    written,
                    again,
                }) => {
                    let repeatable = reused
                        && matches!(error, AppError::Eof | AppError::Io(..))
                        && (idempotent || !written);
                    match again.filter(|_| repeatable) {
                        Some(whole) => (framed, fresh) = (whole, true),
                        None => return Err(error),
                    }
                }
            }
        }
    }

    async fn connection(&self, fresh: bool) -> Result<Connection, AppError> {
        if !fresh && let Some(kept) = poll_fn(|cx| Poll::Ready(self.idle.take(cx))).await {
            return Ok(kept);
        }
        let stream = connect(&self.addr, self.tls.as_ref(), PATIENCE)
            .await
            .map_err(|error| AppError::Unreachable(error.cause().to_owned()))?;
        Ok(Connection {
            socket: Socket::new(stream),
            buffer: Buffer::new(Rc::clone(&self.buffers)),
            reused: false,
            idle_since: Instant::now(),
        })
    }

    fn answer(
        &self,
        head: ResponseHead,
        sending: Sending,
        verb: &str,
        permit: Option<OwnedSemaphorePermit>,
    ) -> AppAnswer {
        // A HEAD answer has no body whatever its fields say; after 101 no HTTP follows.
        let framing = if verb == "HEAD" || head.status == 101 {
            Framing::Empty
        } else {
            head.framing
        };
        let keep =
            head.keep_alive || (framing == Framing::Empty && head.framing == Framing::UntilClose);
        let mut body = AppBody {
            connection: Some(sending.connection),
            decoder: Decoder::new(framing),
            upload: sending.upload,
            failed: None,
            reusable: keep && head.status != 101,
            idle: Rc::clone(&self.idle),
            permit,
        };
        let body = match body.take_whole() {
            Some(Ok(bytes)) => Body::whole(bytes),
            Some(Err(first)) if first.is_empty() => Body::Stream(Box::new(body)),
            Some(Err(first)) => crate::call::body::prefixed(first, Body::Stream(Box::new(body))),
            None => Body::Stream(Box::new(body)),
        };
        AppAnswer {
            status: head.status,
            fields: head.fields,
            body,
        }
    }
}

/// The head with the fields that frame the body, and the body if it is sent with it.
struct FramedHead {
    bytes: Vec<u8>,
    /// How a streamed body is delimited; whole ones are in `bytes` already.
    streamed: Option<Framed>,
}

fn frame(mut bytes: Vec<u8>, verb: &str, body: &Body, length: Option<u64>) -> FramedHead {
    let mut streamed = None;
    match (body, length) {
        (Body::Empty, _) => {
            // A verb that usually has a body says that there is none (RFC 9110 8.6).
            if matches!(verb, "POST" | "PUT" | "PATCH") {
                push_field(&mut bytes, b"Content-Length", b"0");
            }
            finish_head(&mut bytes);
        }
        (Body::Whole(whole), Some(_)) => {
            push_length(&mut bytes, whole.len() as u64);
            bytes.extend_from_slice(whole);
        }
        (Body::Whole(whole), None) => {
            push_field(&mut bytes, b"Transfer-Encoding", b"chunked");
            finish_head(&mut bytes);
            push_chunk(&mut bytes, whole);
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
        (Body::Stream(_), Some(n)) => {
            push_length(&mut bytes, n);
            streamed = Some(Framed::Length(n));
        }
        (Body::Stream(_), None) => {
            push_field(&mut bytes, b"Transfer-Encoding", b"chunked");
            finish_head(&mut bytes);
            streamed = Some(Framed::Chunks);
        }
    }
    FramedHead { bytes, streamed }
}

fn push_length(bytes: &mut Vec<u8>, length: u64) {
    bytes.extend_from_slice(b"Content-Length: ");
    push_decimal(bytes, length);
    bytes.extend_from_slice(b"\r\n\r\n");
}

/// A request under way.
struct Sending {
    connection: Connection,
    upload: Option<Upload>,
    /// The whole request, if it can be sent again.
    whole: Option<Vec<u8>>,
    /// Some of it has been taken by the connection.
    written: bool,
    failed: Option<AppError>,
}

/// A request that got no answer.
struct Unanswered {
    error: AppError,
    /// Some of it has been taken by the connection.
    written: bool,
    /// The request, if it can be sent again.
    again: Option<FramedHead>,
}

impl Sending {
    async fn start(connection: Connection, framed: FramedHead, body: Body) -> Self {
        let FramedHead { bytes, streamed } = framed;
        let mut this = Self {
            connection,
            upload: None,
            whole: None,
            written: false,
            failed: None,
        };
        let written = this.connection.write_now(&bytes).await;
        // What is left is written beside reading, where nobody counts.
        this.written = written.bytes > 0 || written.failed.is_none();
        match written {
            Written {
                bytes: n,
                flushed,
                failed: None,
            } => {
                let socket = Rc::clone(&this.connection.socket);
                if let Some(framed) = streamed {
                    let rest = bytes[n..].to_vec();
                    this.upload = Some(Box::pin(upload(socket, rest, body, framed)));
                    return this;
                }
                if n < bytes.len() || !flushed {
                    // The socket did not take it at once.
                    let rest = upload(socket, bytes[n..].to_vec(), Body::Empty, Framed::Length(0));
                    this.upload = Some(Box::pin(rest));
                }
            }
            Written {
                failed: Some(error),
                ..
            } => this.failed = Some(AppError::Io("write", error)),
        }
        this.whole = streamed.is_none().then_some(bytes);
        this
    }

    /// Waits for the head of the answer while the body is being sent.
    async fn head(mut self, limit: usize) -> Result<(ResponseHead, Self), Unanswered> {
        let head = match self.failed.take() {
            Some(error) => Err(error),
            None => poll_fn(|cx| self.poll_head(cx, limit)).await,
        };
        match head {
            Ok(head) => Ok((head, self)),
            Err(error) => Err(Unanswered {
                error,
                written: self.written,
                again: self.whole.map(|bytes| FramedHead {
                    bytes,
                    streamed: None,
                }),
            }),
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Result<ResponseHead, AppError>> {
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(sent) = upload.as_mut().poll(cx)
        {
            self.upload = None;
            if let Err(error) = sent {
                return Poll::Ready(Err(AppError::Body(error)));
            }
        }
        self.connection.poll_head(cx, limit)
    }
}
