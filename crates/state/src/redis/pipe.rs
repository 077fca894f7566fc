//! A connection that many share: questions go out as they come, those of one moment in one write,
//! and answers come back in the order of the questions.
//!
//! There is no task. Whoever waits for an answer writes and reads for all; when he has his answer or
//! gives up, he wakes another one who waits. Says of each question that got no answer whether it can
//! have reached the server. Sends nothing twice.
//!
//! Nothing goes out for somebody who has left: a question of which nothing has gone out is taken
//! back, and behind the half of one nothing more is sent. Who leaves also leaves his time behind: a
//! connection whose oldest question is overdue is given up, however impatient those who ask are.

mod line;
mod out;
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

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::{self, Instant, Sleep},
};

use super::{
    question::Question,
    value::{Decoder, Value},
};
use line::Line;
use out::Out;

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
    out: Out,
    /// Up to here the stream holds nothing back of what it was given.
    flushed: u64,
    input: BytesMut,
    decoder: Decoder,
    line: Line,
    /// Who writes and reads for all: somebody who waits, if anybody does.
    driver: Option<u64>,
    /// True if the driver has been woken and has not come yet.
    is_coming: bool,
    /// When something was read the last time while more was to come.
    heard: Option<Instant>,
    /// Why nothing more goes out, though answers may still come.
    closed: Option<String>,
    /// Why there is nothing more at all.
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
/// Empty buffers up to this size are kept.
const KEPT: usize = 4 * PIECE;
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
                out: Out::default(),
                flushed: 0,
                input: BytesMut::new(),
                decoder: Decoder::default(),
                line: Line::default(),
                driver: None,
                is_coming: false,
                heard: None,
                closed: None,
                broken: None,
                timer: None,
                alarm: None,
            }),
        }
    }

    /// True once nothing can be asked any more, or should be.
    pub(super) fn is_broken(&self) -> bool {
        let state = &mut *self.state.borrow_mut();
        // Whoever waits would see it, and must stay the one who is woken.
        if !state.line.has_waiting() {
            let mut nobody = Context::from_waker(Waker::noop());
            let _ = state.receive(&mut nobody, None);
        }
        state.why_not().is_some() || state.line.is_overdue(state.heard)
    }

    /// The answers to a question, in their order.
    pub(super) async fn ask(
        &self,
        question: &Question,
        limit: Option<Duration>,
    ) -> Result<Vec<Value>, Gap> {
        match question.commands() {
            0 => Ok(Vec::new()),
            _ => match self.join(question, limit) {
                Ok(asking) => asking.await,
                Err(gap) => {
                    self.wake();
                    Err(gap)
                }
            },
        }
    }

    fn join(&self, question: &Question, limit: Option<Duration>) -> Result<Asking<'_, S>, Gap> {
        let state = &mut *self.state.borrow_mut();
        if let Some(why) = state.why_not() {
            return Err(Gap::Unsent(why.to_owned()));
        }
        if state.line.len() >= MOST || state.out.len() >= MOST_BYTES {
            // Full of what nobody wants any more, it would stay so as long as the server likes.
            if state.line.is_mostly_left() || state.out.is_mostly_hollow() {
                let why = "the server has not answered those who asked before";
                state.close(why);
                return Err(Gap::Unsent(why.to_owned()));
            }
            return Err(Gap::Full);
        }
        let place = state.out.push(question.bytes());
        let (id, until) = state.line.join(question.commands(), place, limit);
        if let (Some(alarm), Some(until)) = (state.alarm, until)
            && until < alarm
        {
            state.alarm = None;
        }
        Ok(Asking {
            pipe: self,
            id,
            has_waited: false,
        })
    }

    /// Wakes those who are to be woken, while nothing is borrowed.
    fn wake(&self) {
        let mut woken = std::mem::take(&mut self.state.borrow_mut().line.woken);
        if woken.is_empty() {
            return;
        }
        woken.drain(..).for_each(Waker::wake);
        let mut state = self.state.borrow_mut();
        if state.line.woken.is_empty() {
            state.line.woken = woken;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Asking<'_, S> {
    type Output = Result<Vec<Value>, Gap>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let is_first = !std::mem::replace(&mut self.has_waited, true);
        let end = self.pipe.state.borrow_mut().go_on(cx, self.id, is_first);
        self.pipe.wake();
        match end {
            Some(end) => Poll::Ready(end),
            None => Poll::Pending,
        }
    }
}

/// Who has his answer or gives up leaves the work to another one.
impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Asking<'_, S> {
    fn drop(&mut self) {
        self.pipe.state.borrow_mut().leave(self.id);
        self.pipe.wake();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> State<S> {
    /// Why nothing can be asked any more.
    fn why_not(&self) -> Option<&str> {
        self.broken.as_deref().or(self.closed.as_deref())
    }

    /// Does what can be done for `id` and tells how it ended, if it has.
    fn go_on(
        &mut self,
        cx: &mut Context<'_>,
        id: u64,
        is_first: bool,
    ) -> Option<Result<Vec<Value>, Gap>> {
        let end = self.line.take(id);
        if end.is_some() {
            return end;
        }
        self.line.wait(id, cx.waker());
        if !is_first {
            self.driver = Some(id);
            self.is_coming = false;
            self.drive(cx, id);
            return self.line.take(id);
        }
        // What others ask at this moment goes out with it.
        if !self.is_coming {
            self.driver = Some(id);
            self.is_coming = true;
            self.line.woken.push(cx.waker().clone());
        }
        None
    }

    fn leave(&mut self, id: u64) {
        if let Some(place) = self.line.leave(id)
            && self.why_not().is_none()
        {
            if place.start >= self.out.gone() {
                self.out.take_back(place);
                self.line.strike(id);
            } else if place.end > self.flushed {
                self.close("somebody gave up when a half of his request had been sent");
            }
        }
        if self.driver == Some(id) {
            self.driver = self.line.wake_last();
            self.is_coming = self.driver.is_some();
        }
    }

    /// Sends nothing more. Those whose questions have gone out may still get their answers.
    fn close(&mut self, why: &str) {
        self.line.end_beyond(self.flushed, self.out.gone(), why);
        self.out.clear();
        self.closed = Some(why.to_owned());
    }

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
        if self.closed.is_some() {
            return Poll::Ready(Ok(()));
        }
        let mut written = Poll::Ready(());
        while written.is_ready() && !self.out.is_empty() {
            written = match Pin::new(&mut self.stream).poll_write(cx, self.out.next()) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(sent) => {
                    self.out.advance(sent?);
                    Poll::Ready(())
                }
                Poll::Pending => Poll::Pending,
            };
        }
        // Also if more is to go out: then it is known what has really gone.
        if self.flushed < self.out.gone() {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.flushed = self.out.gone();
        }
        ready!(written);
        self.out.shrink(KEPT);
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
                Ok(_) => {
                    self.hand_out();
                    if self.line.is_owed() {
                        self.heard = Some(Instant::now());
                    }
                }
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
        shrink(&mut self.input, KEPT);
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
            self.line.end_late(Instant::now(), self.heard);
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
        self.line.end_beyond(0, self.out.gone(), &why);
        self.broken = Some(why);
    }
}

/// A large buffer is not kept for small messages.
fn shrink(buffer: &mut BytesMut, most: usize) {
    if buffer.is_empty() && buffer.capacity() > most {
        *buffer = BytesMut::new();
    }
}
