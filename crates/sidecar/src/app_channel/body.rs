//! Bodies on both legs of a request to the app: the one being sent and the one coming back.

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use outrider_wire::http1::{Decoder, push_chunk};
use tokio::sync::OwnedSemaphorePermit;

use super::{connection::Connection, http1::Idle};
use crate::{
    call::{Body, BodyError, BodyStream},
    io::Socket,
};

/// A request body still being sent.
pub(super) type Upload = Pin<Box<dyn Future<Output = Result<(), BodyError>>>>;

/// How a request body is delimited on its way to the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framed {
    Length(u64),
    Chunks,
}

/// Sends `head` and then `body`. A connection that takes no more is not an error: the app may have
/// answered already, and its answer is read beside this.
pub(super) async fn upload(
    socket: Rc<Socket>,
    head: Vec<u8>,
    mut body: Body,
    framed: Framed,
) -> Result<(), BodyError> {
    let mut out = head;
    let mut sent = 0u64;
    loop {
        if socket.write_all(&out).await.is_err() {
            return Ok(());
        }
        out.clear();
        if framed == Framed::Length(sent) {
            // All that was promised: the sender's end, which may come separately, adds nothing.
            return Ok(());
        }
        let Some(piece) = body.data().await else {
            break;
        };
        let piece = piece?;
        sent += piece.len() as u64;
        match framed {
            Framed::Chunks => push_chunk(&mut out, &piece),
            Framed::Length(n) if sent > n => {
                return Err(BodyError::Broken(format!(
                    "http: ContentLength={n} with Body length {sent}"
                )));
            }
            Framed::Length(_) => out.extend_from_slice(&piece),
        }
    }
    match framed {
        Framed::Length(n) if sent != n => Err(BodyError::Broken(format!(
            "http: ContentLength={n} with Body length {sent}"
        ))),
        Framed::Length(_) => Ok(()),
        Framed::Chunks => {
            let _ = socket.write_all(b"0\r\n\r\n").await;
            Ok(())
        }
    }
}

/// The body of the app's answer; at its end the connection goes back to the idle ones.
pub(super) struct AppBody {
    pub(super) connection: Option<Connection>,
    pub(super) decoder: Decoder,
    pub(super) upload: Option<Upload>,
    /// The app allows another request on this connection.
    pub(super) reusable: bool,
    pub(super) idle: Rc<Idle>,
    /// Why the request could not be sent, until somebody asks for the answer.
    pub(super) failed: Option<BodyError>,
    /// Holds the app's slot until the answer has been relayed (contract `lifecycle.md` 5).
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl AppBody {
    /// Ends the exchange: the connection is kept if both sides have said everything.
    fn finish(&mut self) {
        self.permit = None;
        if let Some(connection) = self.connection.take()
            && self.reusable
            && self.upload.is_none()
            && connection.buffer.filled().is_empty()
        {
            self.idle.put(connection);
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.connection = None;
        self.permit = None;
        self.decoder = Decoder::Done;
        Poll::Ready(Some(Err(error)))
    }

    /// The rest of the body if all of it has arrived already.
    pub(super) fn take_whole(&mut self) -> Option<Result<Bytes, Bytes>> {
        let mut body = Vec::new();
        loop {
            if self.decoder.is_done() {
                self.finish();
                return Some(Ok(body.into()));
            }
            let connection = self.connection.as_mut()?;
            let filled = connection.buffer.filled();
            if filled.is_empty() {
                return Some(Err(body.into()));
            }
            // A malformed chunk is found again, and reported, when the body is read.
            let step = self.decoder.clone().step(filled).ok()?;
            let _ = self.decoder.step(filled);
            body.extend_from_slice(&filled[step.skip..step.skip + step.data]);
            connection.buffer.consume(step.skip + step.data);
        }
    }
}

impl BodyStream for AppBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.poll_progress(cx);
        if let Some(error) = self.failed.take() {
            return self.fail(error);
        }
        loop {
            if self.decoder.is_done() {
                self.finish();
                return Poll::Ready(None);
            }
            let Some(connection) = &mut self.connection else {
                return Poll::Ready(None);
            };
            let filled = connection.buffer.filled();
            if !filled.is_empty() {
                let step = match self.decoder.step(filled) {
                    Ok(step) => step,
                    Err(error) => return self.fail(BodyError::Broken(error.to_string())),
                };
                let data = Bytes::copy_from_slice(&filled[step.skip..step.skip + step.data]);
                connection.buffer.consume(step.skip + step.data);
                if !data.is_empty() {
                    return Poll::Ready(Some(Ok(data)));
                }
                continue;
            }
            match ready!(connection.buffer.poll_fill(cx, &connection.socket)) {
                Ok(0) => return self.end_of_stream(),
                Ok(_) => {}
                Err(error) => {
                    let text = crate::link::connect::os_text(&error);
                    return self.fail(BodyError::Broken(format!("read tcp: read: {text}")));
                }
            }
        }
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>) {
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(sent) = upload.as_mut().poll(cx)
        {
            self.upload = None;
            self.failed = sent.err();
        }
    }
}

impl AppBody {
    /// The app closed. That ends a body without length, and a body shorter than its declared
    /// length is taken as complete (pinned: `http-api.md` 7); a chunked one has lost its end.
    fn end_of_stream(&mut self) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.reusable = false;
        if matches!(self.decoder, Decoder::Chunked(_)) {
            return self.fail(BodyError::Broken("unexpected EOF".to_owned()));
        }
        self.decoder = Decoder::Done;
        self.finish();
        Poll::Ready(None)
    }
}
