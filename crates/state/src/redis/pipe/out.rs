//! What has not gone out on one connection. A question of which nothing has gone out can be taken
//! back. Writes nothing itself.

use std::{collections::BTreeMap, ops::Range};

use bytes::{Buf, BytesMut};

/// Bytes to go out, each with its place in all that was ever put here.
#[derive(Default)]
pub(super) struct Out {
    bytes: BytesMut,
    /// The place of the first of `bytes`: what is before it has gone out or was taken back.
    gone: u64,
    /// What was taken back and is still in `bytes`: neither at its beginning nor at its end.
    holes: BTreeMap<u64, u64>,
    /// How much that is.
    hollow: usize,
}

impl Out {
    /// Puts something behind all the rest. Its place.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Range<u64> {
        let begins = self.end();
        self.bytes.extend_from_slice(bytes);
        begins..self.end()
    }

    /// The place of the first that has not gone out.
    pub(super) fn gone(&self) -> u64 {
        self.gone
    }

    /// Takes back what has not gone out.
    pub(super) fn take_back(&mut self, place: Range<u64>) {
        self.hollow += length(&place);
        self.holes.insert(place.start, place.end);
        while let Some((start, end)) = self.holes.last_key_value()
            && *end == self.end()
        {
            let hole = *start..*end;
            self.bytes.truncate(length(&(self.gone..hole.start)));
            self.forget(&hole);
        }
        self.skip();
    }

    /// What goes out next.
    pub(super) fn next(&self) -> &[u8] {
        match self.holes.first_key_value() {
            None => &self.bytes,
            Some((start, _)) => &self.bytes[..length(&(self.gone..*start))],
        }
    }

    /// So much of it has gone out.
    pub(super) fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.gone += count as u64;
        self.skip();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True if there is more that was taken back than what is to go out.
    pub(super) fn is_mostly_hollow(&self) -> bool {
        self.hollow > self.bytes.len() / 2
    }

    /// Takes everything back.
    pub(super) fn clear(&mut self) {
        *self = Self {
            gone: self.end(),
            ..Self::default()
        };
    }

    /// A buffer larger than this is not kept when it is empty.
    pub(super) fn shrink(&mut self, most: usize) {
        super::shrink(&mut self.bytes, most);
    }

    fn end(&self) -> u64 {
        self.gone + self.bytes.len() as u64
    }

    /// Passes over what was taken back, if it is next.
    fn skip(&mut self) {
        while let Some((start, end)) = self.holes.first_key_value()
            && *start == self.gone
        {
            let hole = *start..*end;
            self.bytes.advance(length(&hole));
            self.gone = hole.end;
            self.forget(&hole);
        }
    }

    fn forget(&mut self, hole: &Range<u64>) {
        self.holes.remove(&hole.start);
        self.hollow -= length(hole);
    }
}

/// Both ends are places in one buffer.
fn length(place: &Range<u64>) -> usize {
    (place.end - place.start) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_taken_back_does_not_go_out() {
        let mut out = Out::default();
        let places = ["aa", "bb", "cc", "dd"].map(|text| out.push(text.as_bytes()));
        out.take_back(places[1].clone());
        assert_eq!(out.next(), b"aa");
        out.advance(1);
        assert_eq!(out.next(), b"a");
        out.advance(1);
        assert_eq!(out.next(), b"ccdd");
        out.take_back(places[3].clone());
        assert_eq!(out.next(), b"cc");
        assert!(!out.is_mostly_hollow());
        out.take_back(places[2].clone());
        assert!(out.is_empty());
        assert_eq!(out.push(b"ee"), 4..6);
        assert_eq!(out.next(), b"ee");
        out.clear();
        assert_eq!((out.len(), out.gone()), (0, 6));
    }

    proptest! {
        #[test]
        fn what_stays_goes_out_in_its_order(
            sizes in proptest::collection::vec(1usize..6, 1..20),
            leaving in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..9), 0..30),
        ) {
            let mut out = Out::default();
            let mut sent = Vec::new();
            let mut stays: Vec<_> = sizes.iter().enumerate().map(|(number, size)| {
                (number as u8, out.push(&vec![number as u8; *size]))
            }).collect();
            for (who, room) in leaving {
                let room = room.min(out.next().len());
                sent.extend_from_slice(&out.next()[..room]);
                out.advance(room);
                if !stays.is_empty() {
                    let who = who.index(stays.len());
                    if stays[who].1.start >= out.gone() {
                        out.take_back(stays.remove(who).1);
                    }
                }
            }
            while !out.is_empty() {
                prop_assert!(!out.next().is_empty());
                sent.extend_from_slice(out.next());
                out.advance(out.next().len());
            }
            let expected: Vec<u8> = stays.iter().flat_map(|(number, _)| {
                vec![*number; sizes[usize::from(*number)]]
            }).collect();
            prop_assert_eq!(sent, expected);
            prop_assert_eq!((out.hollow, out.holes.len()), (0, 0));
        }
    }
}
