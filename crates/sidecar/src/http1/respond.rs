//! The writing half of a served connection: one write for head and first bytes, one per piece.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::Poll,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use outrider_core::calendar::civil_from_days;
use outrider_wire::http1::{
    Version, finish_head, push_chunk, push_decimal, push_field, push_status_line,
};

use super::{
    Incoming,
    server::{Connection, Next, Response, Sizing},
};
use crate::{
    call::{Body, BodyError},
    io::Socket,
};

/// What became of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Content bytes handed to the connection.
    pub bytes: u64,
    /// The client got all of it.
    pub complete: bool,
}

/// What the writer needs to know of the request it answers.
pub(super) struct Asked {
    pub version: Version,
    pub head: bool,
    pub keep_alive: bool,
}

/// How the body is delimited on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delimited {
    Nothing,
    Length(usize),
    Chunks,
    Close,
}

/// Writes `rsp`. Returns what was sent and whether the connection may be used again.
pub(super) async fn respond<R>(
    connection: &Connection<'_>,
    asked: &Asked,
    mut rsp: Response<R>,
) -> (Sent, Next, R) {
    let socket = connection.socket;
    let mut out = Vec::with_capacity(1024);
    let mut sent = Sent::default();
    // A body that is not there yet does not hold the head back.
    let first = match poll_first(&mut rsp.body).await {
        Some(Err(error)) => {
            // Nothing was promised yet, but nothing better can be said either: the status came
            // from somebody else. Cut the connection so that nobody takes this for an answer.
            abort(socket, &error);
            return (sent, Next::Cut, rsp.record);
        }
        Some(Ok(first)) => first,
        None => First::Later,
    };
    let delimited = delimit(&rsp, asked, &first);
    let keep = asked.keep_alive && !rsp.close && delimited != Delimited::Close;
    push_head(
        &mut out,
        &rsp,
        (delimited, keep, asked.version),
        connection.date,
    );
    let next = if keep { Next::Request } else { Next::Close };
    if asked.head || delimited == Delimited::Nothing {
        let written = socket.write_all(&out).await;
        sent.complete = written.is_ok();
        return (
            sent,
            if sent.complete { next } else { Next::Cut },
            rsp.record,
        );
    }
    let mut writing = Writing {
        connection,
        delimited,
        out,
        bytes: 0,
    };
    let result = writing.write(first, &mut rsp.body).await;
    sent.bytes = writing.bytes;
    if let Err(error) = &result {
        abort(socket, error);
        return (sent, Next::Cut, rsp.record);
    }
    sent.complete = true;
    (sent, next, rsp.record)
}

/// The first thing known about a body without waiting.
enum First {
    Piece(Bytes),
    End,
    Later,
}

async fn poll_first(body: &mut Body) -> Option<Result<First, BodyError>> {
    poll_fn(|cx| {
        Poll::Ready(match body.poll_data(cx) {
            Poll::Ready(Some(Ok(piece))) => Some(Ok(First::Piece(piece))),
            Poll::Ready(Some(Err(error))) => Some(Err(error)),
            Poll::Ready(None) => Some(Ok(First::End)),
            Poll::Pending => None,
        })
    })
    .await
}

fn delimit<R>(rsp: &Response<R>, asked: &Asked, first: &First) -> Delimited {
    if matches!(rsp.status, 100..=199 | 204 | 304) {
        return Delimited::Nothing;
    }
    match (first, rsp.sizing) {
        (First::End, Sizing::Chunked) if asked.head => Delimited::Nothing,
        (First::End, _) => Delimited::Length(0),
        (First::Piece(piece), Sizing::Length) if rsp.body.is_empty() => {
            Delimited::Length(piece.len())
        }
        _ if asked.head => Delimited::Nothing,
        _ if asked.version == Version::Http10 => Delimited::Close,
        _ => Delimited::Chunks,
    }
}

fn push_head<R>(
    out: &mut Vec<u8>,
    rsp: &Response<R>,
    (delimited, keep, version): (Delimited, bool, Version),
    date: &Date,
) {
    push_status_line(out, version, rsp.status);
    let mut dated = false;
    for (name, value) in rsp.fields.iter() {
        if !keep && name.eq_ignore_ascii_case(b"connection") {
            continue;
        }
        dated |= name.eq_ignore_ascii_case(b"date");
        push_field(out, name, value);
    }
    if !dated {
        push_field(out, b"Date", &date.now());
    }
    match delimited {
        Delimited::Length(n) => {
            out.extend_from_slice(b"Content-Length: ");
            push_decimal(out, n as u64);
            out.extend_from_slice(b"\r\n");
        }
        Delimited::Chunks => push_field(out, b"Transfer-Encoding", b"chunked"),
        Delimited::Nothing | Delimited::Close => {}
    }
    // What each version does unless told otherwise is not said.
    match (version, keep) {
        (Version::Http11, false) => push_field(out, b"Connection", b"close"),
        (Version::Http10, true) => push_field(out, b"Connection", b"keep-alive"),
        _ => {}
    }
    finish_head(out);
}

/// A body on its way out behind the head that waits in `out`.
struct Writing<'a> {
    connection: &'a Connection<'a>,
    delimited: Delimited,
    out: Vec<u8>,
    bytes: u64,
}

impl Writing<'_> {
    async fn write(&mut self, first: First, body: &mut Body) -> Result<(), BodyError> {
        let mut ended = false;
        match first {
            First::Piece(piece) => {
                self.push(&piece);
                // Whole bodies end with their first piece: say so in the same write.
                ended = body.is_empty();
            }
            First::End => ended = true,
            First::Later => {}
        }
        loop {
            if ended && self.delimited == Delimited::Chunks {
                self.out.extend_from_slice(b"0\r\n\r\n");
            }
            self.flush(body).await?;
            if ended {
                return Ok(());
            }
            self.out.clear();
            match next_piece(self.connection.incoming, body).await {
                Some(piece) => {
                    self.push(&piece?);
                    ended = body.is_empty();
                }
                None => ended = true,
            }
        }
    }

    /// Writes `out`. While the client has no room, what accompanies the body goes on: a client may
    /// send all of its request before it reads.
    async fn flush(&mut self, body: &mut Body) -> Result<(), BodyError> {
        let mut written = 0;
        poll_fn(|cx| {
            while written < self.out.len() {
                match self.connection.socket.poll_write(cx, &self.out[written..]) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(BodyError::ClientGone)),
                    Poll::Ready(Ok(n)) => written += n,
                    Poll::Pending => {
                        body.poll_progress(cx);
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        if self.delimited == Delimited::Chunks {
            push_chunk(&mut self.out, piece);
        } else {
            self.out.extend_from_slice(piece);
        }
    }
}

/// The next piece, unless the client leaves first.
async fn next_piece(
    incoming: &Rc<RefCell<Incoming>>,
    body: &mut Body,
) -> Option<Result<Bytes, BodyError>> {
    poll_fn(|cx| match body.poll_data(cx) {
        Poll::Pending => incoming
            .borrow_mut()
            .poll_gone(cx)
            .map(|()| Some(Err(BodyError::ClientGone))),
        ready => ready,
    })
    .await
}

/// Ends the connection so that the client can't take what it got for the whole answer: a chunked
/// body lacks its end anyway, and one that ends with the connection is reset.
fn abort(socket: &Socket, error: &BodyError) {
    tracing::debug!(target: outrider_telemetry::log::scope::RUNTIME_HTTP, "answer cut off: {error}");
    socket.reset_on_close();
}

/// The `Date` field, made once a second.
#[derive(Debug, Default)]
pub(crate) struct Date {
    made: Cell<(u64, [u8; 29])>,
}

impl Date {
    /// The current time as RFC 9110 5.6.7 writes it.
    pub(crate) fn now(&self) -> [u8; 29] {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let (second, text) = self.made.get();
        if second == now && now != 0 {
            return text;
        }
        let text = imf_fixdate(now);
        self.made.set((now, text));
        text
    }
}

fn imf_fixdate(seconds: u64) -> [u8; 29] {
    const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
    const MONTHS: [&[u8; 3]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days.cast_signed());
    let (year, month, day) = (year.cast_unsigned(), month as usize, day.cast_unsigned());
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    text[..3].copy_from_slice(DAYS[(days % 7) as usize]);
    two(&mut text[5..7], day);
    text[8..11].copy_from_slice(MONTHS[month - 1]);
    two(&mut text[12..14], year / 100);
    two(&mut text[14..16], year % 100);
    two(&mut text[17..19], rest / 3600);
    two(&mut text[20..22], rest / 60 % 60);
    two(&mut text[23..25], rest % 60);
    text
}

fn two(out: &mut [u8], value: u64) {
    out[0] = b'0' + (value / 10 % 10) as u8;
    out[1] = b'0' + (value % 10) as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_680_000, "Thu, 26 Nov 2026 08:00:00 GMT"),
        ] {
            assert_eq!(std::str::from_utf8(&imf_fixdate(seconds)).unwrap(), text);
        }
    }
}
