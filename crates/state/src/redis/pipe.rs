//! A connection that many share: questions go out as they come, those of one moment in one write,
//! and answers come back in the order of the questions.
//!
//! There is no task. Whoever waits for an answer writes and reads for all; when he has his answer or
//! gives up, he wakes another one who waits. Says of each question that got no answer whether it can
//! have reached the server. Sends nothing twice.

mod line;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::{self, Instant, Sleep},
};

use super::{
    question::Question,
    value::{Decoder, Value},
};
use line::Line;

/// A shared connection.
pub(super) struct Pipe<S> {
    state: RefCell<State<S>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// It did not come in time.
    Late,
    /// The connection broke after the question, or a part of it, had gone out.
    Lost(String),
    /// The connection broke before anything of the question had gone out.
    Unsent(String),
    /// Too many wait already. Nothing has gone out.
    Full,
}

struct State<S> {
    stream: S,
    /// What has not gone out yet.
    out: BytesMut,
    /// Bytes that have gone out since the beginning.
    sent: u64,
    /// True if the stream may hold back what it was given.
    is_held_back: bool,
    input: BytesMut,
    decoder: Decoder,
    line: Line,
    /// Who writes and reads for all: somebody who waits, if anybody does.
    driver: Option<u64>,
    /// True if the driver has been woken and has not come yet.
    is_coming: bool,
    broken: Option<String>,
    timer: Option<Pin<Box<Sleep>>>,
    /// When the timer ends: no later than the time of anybody who waits.
    alarm: Option<Instant>,
}

/// Somebody who waits for answers.
struct Asking<'a, S: AsyncRead + AsyncWrite + Unpin> {
    pipe: &'a Pipe<S>,
    id: u64,
    has_waited: bool,
}

/// As much is read at a time.
const PIECE: usize = 16 * 1024;
/// So many may wait, and so much may lie here to go out, before others are turned away: a server
/// that stands still while clients come and go must not fill the memory.
const MOST: usize = 16 * 1024;
const MOST_BYTES: usize = 64 * 1024 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    /// Over a connection on which nothing is under way.
    pub(super) fn new(stream: S) -> Self {
        Self {
            state: RefCell::new(State {
                stream,
                out: BytesMut::new(),
                sent: 0,
                is_held_back: false,
                input: BytesMut::new(),
                decoder: Decoder::default(),
                line: Line::default(),
                driver: None,
                is_coming: false,
                broken: None,
                timer: None,
                alarm: None,
            }),
        }
    }

    /// True once nothing can be asked any more.
    pub(super) fn is_broken(&self) -> bool {
        let state = &mut *self.state.borrow_mut();
        // Whoever waits would see it, and must stay the one who is woken.
        if !state.line.has_waiting() {
            let mut nobody = Context::from_waker(Waker::noop());
            let _ = state.receive(&mut nobody, None);
        }
        state.broken.is_some()
    }

    /// The answers to a question, in their order.
    pub(super) async fn ask(
        &self,
        question: &Question,
        limit: Option<Duration>,
    ) -> Result<Vec<Value>, Gap> {
        match question.commands() {
            0 => Ok(Vec::new()),
            _ => self.join(question, limit)?.await,
        }
    }

    fn join(&self, question: &Question, limit: Option<Duration>) -> Result<Asking<'_, S>, Gap> {
        let state = &mut *self.state.borrow_mut();
        if let Some(why) = &state.broken {
            return Err(Gap::Unsent(why.clone()));
        }
        if state.line.len() >= MOST || state.out.len() >= MOST_BYTES {
            return Err(Gap::Full);
        }
        let begins = state.sent + state.out.len() as u64;
        state.out.extend_from_slice(question.bytes());
        let until = limit.map(|limit| Instant::now() + limit);
        if let (Some(alarm), Some(until)) = (state.alarm, until)
            && until < alarm
        {
            state.alarm = None;
        }
        Ok(Asking {
            pipe: self,
            id: state.line.join(question.commands(), begins, until),
            has_waited: false,
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Asking<'_, S> {
    type Output = Result<Vec<Value>, Gap>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let pipe = self.pipe;
        let state = &mut *pipe.state.borrow_mut();
        if let Some(end) = state.line.take(self.id) {
            return Poll::Ready(end);
        }
        state.line.wait(self.id, cx.waker());
        if !self.has_waited {
            self.has_waited = true;
            // What others ask at this moment goes out with it.
            if !state.is_coming {
                state.driver = Some(self.id);
                state.is_coming = true;
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        state.driver = Some(self.id);
        state.is_coming = false;
        state.drive(cx, self.id);
        match state.line.take(self.id) {
            Some(end) => Poll::Ready(end),
            None => Poll::Pending,
        }
    }
}

/// Who has his answer or gives up leaves the work to another one.
impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Asking<'_, S> {
    fn drop(&mut self) {
        let state = &mut *self.pipe.state.borrow_mut();
        state.line.leave(self.id);
        if state.driver == Some(self.id) {
            state.driver = state.line.wake_last();
            state.is_coming = state.driver.is_some();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> State<S> {
    /// Does what can be done now. `id` is whose answer it is done for.
    fn drive(&mut self, cx: &mut Context<'_>, id: u64) {
        if let Poll::Ready(Err(error)) = self.send(cx) {
            // What the server said before it hung up still counts.
            let _ = self.receive(cx, None);
            self.end(&error);
        } else if self.receive(cx, Some(id)).is_pending() {
            self.look_at_the_clock(cx);
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(sent);
            self.sent += sent as u64;
            self.is_held_back = true;
        }
        if self.is_held_back {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_held_back = false;
        }
        shrink(&mut self.out);
        Poll::Ready(Ok(()))
    }

    /// Reads until there is no more, or until what `id` waits for is there. Ready if nothing has to
    /// be waited for.
    fn receive(&mut self, cx: &mut Context<'_>, id: Option<u64>) -> Poll<()> {
        while self.broken.is_none() {
            if id.is_some_and(|id| self.line.has_ended(id)) {
                break;
            }
            if self.input.capacity() - self.input.len() < PIECE / 4 {
                self.input.reserve(PIECE);
            }
            match ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx)) {
                Ok(0) => self.end(&io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => self.hand_out(),
                Err(error) => self.end(&error),
            }
        }
        Poll::Ready(())
    }

    fn hand_out(&mut self) {
        let makes_sense = loop {
            match self.decoder.next(&mut self.input) {
                Ok(Some(value)) => {
                    if !self.line.answer(value) {
                        break false;
                    }
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if !makes_sense {
            let text = "the answer makes no sense: is it a Redis server, and does it want TLS \
                        (enableTLS)?";
            self.end(&io::Error::other(text));
        }
        shrink(&mut self.input);
    }

    /// Tells those whose time is over, and wakes the driver in time for the next one.
    fn look_at_the_clock(&mut self, cx: &mut Context<'_>) {
        loop {
            if self.alarm.is_none() {
                let Some(first) = self.line.first_time() else {
                    return;
                };
                self.alarm = Some(first);
                match &mut self.timer {
                    Some(timer) => timer.as_mut().reset(first),
                    None => self.timer = Some(Box::pin(time::sleep_until(first))),
                }
            }
            let Some(timer) = &mut self.timer else {
                return;
            };
            if timer.as_mut().poll(cx).is_pending() {
                return;
            }
            self.alarm = None;
            self.line.end_late(Instant::now());
        }
    }

    /// Tells everybody that there will be no answer any more.
    fn end(&mut self, error: &io::Error) {
        if self.broken.is_some() {
            return;
        }
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => "connection lost before the answer came".to_owned(),
            _ => error.to_string(),
        };
        self.line.end_all(self.sent, &why);
        self.broken = Some(why);
    }
}

/// A large buffer is not kept for small messages.
fn shrink(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > 4 * PIECE {
        *buffer = BytesMut::new();
    }
}
