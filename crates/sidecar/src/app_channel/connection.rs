//! One connection to the app.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use outrider_wire::http1::{ResponseHead, parse_response};

use super::AppError;
use crate::io::{Buffer, Socket};

/// A connection to the app, with one request at a time on it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Rc<Socket>,
    pub(super) buffer: Buffer,
    /// It has carried a request before, so the app may have closed it meanwhile.
    pub(super) reused: bool,
    /// When it became idle.
    pub(super) idle_since: Instant,
}

impl Connection {
    /// True if an idle connection can still be used: nothing to read, not closed. No system call.
    pub(super) fn is_quiet(&self, cx: &mut Context<'_>) -> bool {
        self.socket.poll_read_ready(cx).is_pending() || self.was_spurious(cx)
    }

    /// Readiness may be left over from the last answer; a read that finds nothing clears it.
    fn was_spurious(&self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0u8; 1];
        let mut buf = tokio::io::ReadBuf::new(&mut byte);
        self.socket.poll_read(cx, &mut buf).is_pending()
    }

    /// Reads the next final head; interim answers are swallowed (contract `http-api.md` 8.5).
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Result<ResponseHead, AppError>> {
        loop {
            let filled = self.buffer.filled();
            if !filled.is_empty() {
                match parse_response(&filled[..filled.len().min(limit)]) {
                    Ok(Some((head, len))) => {
                        self.buffer.consume(len);
                        if head.is_interim() {
                            continue;
                        }
                        return Poll::Ready(Ok(head));
                    }
                    Ok(None) if filled.len() >= limit => {
                        return Poll::Ready(Err(AppError::HeadTooLarge(limit)));
                    }
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Err(AppError::Malformed(error))),
                }
            }
            let started = !self.buffer.filled().is_empty();
            match ready!(self.buffer.poll_fill(cx, &self.socket)) {
                Ok(0) if started => {
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF");
                    return Poll::Ready(Err(AppError::Io("read", error)));
                }
                Ok(0) => return Poll::Ready(Err(AppError::Eof)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(AppError::Io("read", error))),
            }
        }
    }

    /// Writes what fits into the socket at once; the rest is written beside reading the answer.
    pub(super) async fn write_now(&self, bytes: &[u8]) -> Written {
        poll_fn(|cx| {
            let write = |rest: &[u8]| self.socket.poll_write(cx, rest);
            let mut written = write_while_ready(bytes, write);
            match self.socket.poll_flush(cx) {
                Poll::Ready(Ok(())) => written.flushed = true,
                Poll::Ready(Err(error)) => written.failed = written.failed.or(Some(error)),
                Poll::Pending => {}
            }
            Poll::Ready(written)
        })
        .await
    }
}

/// What came of writing.
#[derive(Debug)]
pub(super) struct Written {
    /// So many bytes were taken, also if it failed then: the app may have seen them.
    pub(super) bytes: usize,
    /// Nothing that was taken is held back.
    pub(super) flushed: bool,
    pub(super) failed: Option<io::Error>,
}

fn write_while_ready(
    bytes: &[u8],
    mut write: impl FnMut(&[u8]) -> Poll<io::Result<usize>>,
) -> Written {
    let mut written = 0;
    let mut failed = None;
    while written < bytes.len() && failed.is_none() {
        match write(&bytes[written..]) {
            Poll::Ready(Ok(0)) => failed = Some(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => written += n,
            Poll::Ready(Err(error)) => failed = Some(error),
            Poll::Pending => break,
        }
    }
    Written {
        bytes: written,
        flushed: false,
        failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that does these things one after the other.
    fn socket(
        mut does: Vec<Poll<io::Result<usize>>>,
    ) -> impl FnMut(&[u8]) -> Poll<io::Result<usize>> {
        does.reverse();
        move |_| does.pop().unwrap()
    }

    #[test]
    fn bytes_that_were_taken_before_a_failure_are_counted() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let does = vec![Poll::Ready(Ok(3)), Poll::Ready(Err(reset))];
        let written = write_while_ready(b"POST /", socket(does));
        assert_eq!(written.bytes, 3);
        let failed = written.failed.unwrap();
        assert_eq!(failed.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_full_socket_ends_it_without_a_failure() {
        let does = vec![Poll::Ready(Ok(2)), Poll::Ready(Ok(1)), Poll::Pending];
        let written = write_while_ready(b"POST /", socket(does));
        assert_eq!((written.bytes, written.failed.is_none()), (3, true));
        let all = write_while_ready(b"POST /", socket(vec![Poll::Ready(Ok(6))]));
        assert_eq!((all.bytes, all.failed.is_none()), (6, true));
        let zero = write_while_ready(b"POST /", socket(vec![Poll::Ready(Ok(0))]));
        assert_eq!((zero.bytes, zero.failed.is_some()), (0, true));
    }
}
