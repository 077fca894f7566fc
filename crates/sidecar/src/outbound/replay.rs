//! A body that may have to be sent again: whole ones cost a reference, streamed ones are recorded
//! while they are sent, up to a cap.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use crate::call::{Body, BodyError, BodyStream};

/// Bytes of a streamed body kept for another attempt.
const CAP: usize = 64 * 1024;

/// The body of a call, as often as it is needed and can be had.
pub(crate) struct Replay {
    kept: Kept,
}

enum Kept {
    Whole(Bytes),
    Stream(Rc<RefCell<Recorded>>),
}

/// A stream and what has been taken from it.
struct Recorded {
    source: Body,
    pieces: Vec<Bytes>,
    bytes: usize,
    cap: usize,
    /// More was taken than is kept: there is no second time.
    spent: bool,
}

impl Replay {
    /// Keeps `body` for another attempt. One of unknown length is handed on as it comes and never
    /// kept (contract `http-api.md` 8.1).
    pub(crate) fn new(body: Body, unsized_body: bool) -> Self {
        let kept = match body {
            Body::Empty => Kept::Whole(Bytes::new()),
            Body::Whole(bytes) => Kept::Whole(bytes),
            source @ Body::Stream(_) => Kept::Stream(Rc::new(RefCell::new(Recorded {
                source,
                pieces: Vec::new(),
                bytes: 0,
                cap: if unsized_body { 0 } else { CAP },
                spent: false,
            }))),
        };
        Self { kept }
    }

    /// The body for the next attempt, from its start.
    pub(crate) fn body(&self) -> Body {
        match &self.kept {
            Kept::Whole(bytes) => Body::whole(bytes.clone()),
            Kept::Stream(recorded) => Body::Stream(Box::new(Replayed {
                recorded: Rc::clone(recorded),
                next: 0,
            })),
        }
    }

    /// True if another attempt will have the whole body, whatever the next one takes of it.
    pub(crate) fn is_certain(&self) -> bool {
        matches!(self.kept, Kept::Whole(_))
    }

    /// There will be no other attempt: nothing more is kept.
    pub(crate) fn forget(&self) {
        if let Kept::Stream(recorded) = &self.kept {
            let mut recorded = recorded.borrow_mut();
            recorded.cap = 0;
            recorded.spent = true;
        }
    }

    /// True if another attempt would have the whole body.
    pub(crate) fn is_possible(&self) -> bool {
        match &self.kept {
            Kept::Whole(_) => true,
            Kept::Stream(recorded) => !recorded.borrow().spent,
        }
    }
}

/// One attempt's view of a recorded stream.
struct Replayed {
    recorded: Rc<RefCell<Recorded>>,
    next: usize,
}

impl BodyStream for Replayed {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut recorded = self.recorded.borrow_mut();
        if let Some(piece) = recorded.pieces.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(piece.clone())));
        }
        if recorded.spent && self.next > 0 {
            // This attempt has taken all that was recorded, and there will be no other.
            recorded.pieces = Vec::new();
            self.next = 0;
        }
        let piece = match ready!(recorded.source.poll_data(cx)) {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => {
                recorded.spent = true;
                return Poll::Ready(Some(Err(error)));
            }
            None => return Poll::Ready(None),
        };
        recorded.bytes += piece.len();
        if recorded.bytes > recorded.cap {
            recorded.spent = true;
            recorded.pieces = Vec::new();
            self.next = 0;
        } else {
            recorded.pieces.push(piece.clone());
            self.next += 1;
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pieces(Vec<&'static [u8]>);

    impl BodyStream for Pieces {
        fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
            let piece = (!self.0.is_empty()).then(|| self.0.remove(0));
            Poll::Ready(piece.map(|piece| Ok(Bytes::from_static(piece))))
        }
    }

    fn stream(pieces: &[&'static [u8]]) -> Body {
        Body::Stream(Box::new(Pieces(pieces.to_vec())))
    }

    async fn read(mut body: Body, pieces: usize) -> Vec<u8> {
        let mut all = Vec::new();
        for _ in 0..pieces {
            match body.data().await {
                Some(piece) => all.extend_from_slice(&piece.unwrap()),
                None => break,
            }
        }
        all
    }

    #[tokio::test]
    async fn a_small_stream_can_be_sent_again_from_any_point() {
        let replay = Replay::new(stream(&[b"ab", b"cd", b"ef"]), false);
        assert_eq!(read(replay.body(), 2).await, b"abcd");
        assert!(replay.is_possible());
        assert_eq!(read(replay.body(), 9).await, b"abcdef");
        assert_eq!(read(replay.body(), 9).await, b"abcdef");
    }

    #[tokio::test]
    async fn a_stream_of_unknown_length_is_sent_once_it_has_begun() {
        let replay = Replay::new(stream(&[b"ab", b"cd"]), true);
        assert!(replay.is_possible());
        assert_eq!(read(replay.body(), 9).await, b"abcd");
        assert!(!replay.is_possible());
    }

    #[tokio::test]
    async fn what_was_recorded_and_not_yet_taken_is_not_lost_when_nothing_more_is_kept() {
        let replay = Replay::new(stream(&[b"ab", b"cd", b"ef"]), false);
        assert_eq!(read(replay.body(), 2).await, b"abcd");
        let mut second = replay.body();
        assert_eq!(second.data().await.unwrap().unwrap(), "ab");
        replay.forget();
        assert!(!replay.is_possible());
        assert_eq!(read(second, 9).await, b"cdef");
    }

    #[tokio::test]
    async fn more_than_the_cap_is_not_kept() {
        const BIG: &[u8] = &[0; CAP];
        let replay = Replay::new(stream(&[b"a", BIG]), false);
        assert_eq!(read(replay.body(), 1).await.len(), 1);
        assert!(replay.is_possible());
        assert_eq!(read(replay.body(), 2).await.len(), CAP + 1);
        assert!(!replay.is_possible());
    }
}
