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
    pub(super) async fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| {
            let mut written = 0;
            while written < bytes.len() {
                match self.socket.poll_write(cx, &bytes[written..]) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(n)) => written += n,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
            Poll::Ready(Ok(written))
        })
        .await
    }
}
